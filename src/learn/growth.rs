//! How a tree grows: node by node, each parted where the classes of its rows fall apart best.

use rand::Rng;

use super::bins::{BINS_MAX, Bins};
use super::matrix::Random;
use super::tree::{Node, most_frequent};

/// From this many rows on a node sorts them by counting the rows of each bin.
const COUNTED_ROWS_MIN: usize = 96;

/// What all trees of a forest are grown from.
pub(super) struct Examples<'a> {
    pub(super) bins: &'a Bins,
    /// Class of each row.
    pub(super) labels: &'a [u32],
    pub(super) classes: usize,
    pub(super) features_per_split: usize,
    pub(super) depth_max: usize,
}

/// A tree that grows.
pub(super) struct Growth<'a, 'r> {
    examples: &'a Examples<'a>,
    weights: &'a [u32],
    random: &'r mut Random,
    nodes: Vec<Node>,
    /// All columns, in the order of the last draws.
    features: Vec<u32>,
    scan: Scan,
}

/// Where to part the rows of a node.
#[derive(Clone, Copy)]
struct Split {
    /// Greater is better.
    score: f64,
    feature: usize,
    /// Last bin of the left side.
    bin: u8,
}

impl<'a, 'r> Growth<'a, 'r> {
    pub(super) fn new(
        examples: &'a Examples<'a>,
        weights: &'a [u32],
        random: &'r mut Random,
    ) -> Self {
        let features = (0..examples.bins.columns() as u32).collect();
        let scan = Scan::new(examples.classes);
        Self { examples, weights, random, nodes: Vec::new(), features, scan }
    }

    pub(super) fn grow(mut self) -> Vec<Node> {
        let all = 0..self.weights.len() as u32;
        let mut members: Vec<u32> = all.filter(|&row| self.weights[row as usize] > 0).collect();
        self.add(&mut members, 0);
        self.nodes
    }

    /// Adds the subtree of some rows. The recursion is at most `depth_max` deep.
    fn add(&mut self, members: &mut [u32], depth: usize) {
        let at = self.nodes.len();
        let counts = self.class_counts(members);
        self.nodes.push(Node::Leaf { class: most_frequent(&counts) as u32 });
        let present = counts.iter().filter(|count| **count > 0).count();
        if depth == self.examples.depth_max || present < 2 {
            return;
        }
        let Some(split) = self.split(members, &counts) else {
            return;
        };
        let codes = self.examples.bins.column(split.feature);
        let middle = part(members, |row| codes[row as usize] <= split.bin);
        let (left, right) = members.split_at_mut(middle);
        self.add(left, depth + 1);
        let right_at = self.nodes.len();
        self.add(right, depth + 1);
        if self.is_one_class(at + 1) {
            self.nodes.truncate(at + 1);
        } else {
            self.nodes[at] = Node::Split {
                feature: split.feature as u32,
                threshold: self.examples.bins.border(split.feature, split.bin),
                right: right_at as u32,
            };
        }
    }

    /// Says whether the last two nodes, from `first` on, are leaves of one class: then the
    /// split says nothing.
    fn is_one_class(&self, first: usize) -> bool {
        match self.nodes.get(first..) {
            Some([Node::Leaf { class: left }, Node::Leaf { class: right }]) => left == right,
            _ => false,
        }
    }

    fn class_counts(&self, members: &[u32]) -> Vec<u32> {
        let mut counts = vec![0; self.examples.classes];
        for &row in members {
            counts[self.examples.labels[row as usize] as usize] += self.weights[row as usize];
        }
        counts
    }

    /// Returns the best split among columns drawn anew for each node; where none of them can part
    /// the rows (half the values of an embedding are zero), it goes on until one does.
    fn split(&mut self, members: &[u32], counts: &[u32]) -> Option<Split> {
        self.scan.enter(members, self.examples.labels, self.weights, counts);
        let mut best: Option<Split> = None;
        for drawn in 0..self.features.len() {
            if drawn >= self.examples.features_per_split && best.is_some() {
                break;
            }
            let other = self.random.gen_range(drawn..self.features.len());
            self.features.swap(drawn, other);
            let feature = self.features[drawn] as usize;
            let codes = self.examples.bins.column(feature);
            if let Some((score, bin)) = self.scan.best(members, codes, counts) {
                // Among equals the lowest column, so that the order of the draws says nothing.
                let is_better = best.is_none_or(|best| {
                    score > best.score || (score == best.score && feature < best.feature)
                });
                if is_better {
                    best = Some(Split { score, feature, bin });
                }
            }
        }
        best
    }
}

/// Puts the rows that belong to the left first, in their order, and returns their number.
fn part(members: &mut [u32], is_left: impl Fn(u32) -> bool) -> usize {
    let (left, right): (Vec<u32>, Vec<u32>) = members.iter().partition(|&&row| is_left(row));
    members[..left.len()].copy_from_slice(&left);
    members[left.len()..].copy_from_slice(&right);
    left.len()
}

/// Room for the search of the best bin, reused from node to node.
struct Scan {
    /// Class and weight of the members of a node.
    kinds: Vec<Kind>,
    /// The same, in the order of the bins.
    ordered: Vec<(u8, Kind)>,
    keys: Vec<u32>,
    left: Vec<u32>,
    right: Vec<u32>,
    total: u64,
    total_squares: u64,
}

#[derive(Clone, Copy, Default)]
struct Kind {
    class: u32,
    weight: u32,
}

impl Scan {
    fn new(classes: usize) -> Self {
        Self {
            kinds: Vec::new(),
            ordered: Vec::new(),
            keys: Vec::new(),
            left: vec![0; classes],
            right: vec![0; classes],
            total: 0,
            total_squares: 0,
        }
    }

    /// Begins a node.
    fn enter(&mut self, members: &[u32], labels: &[u32], weights: &[u32], counts: &[u32]) {
        let kinds = members
            .iter()
            .map(|&row| Kind { class: labels[row as usize], weight: weights[row as usize] });
        self.kinds.clear();
        self.kinds.extend(kinds);
        self.total = counts.iter().map(|&count| u64::from(count)).sum();
        self.total_squares = counts.iter().map(|&count| u64::from(count).pow(2)).sum();
    }

    /// Returns the bin after which the two sides are purest, with a score of that; `None` where all
    /// rows are in one bin.
    ///
    /// The score is `sum_c l_c^2 / l + sum_c r_c^2 / r`, which grows as the Gini impurity of the
    /// sides falls: L. Breiman and others, "Classification and regression trees" (1984).
    fn best(&mut self, members: &[u32], codes: &[u8], counts: &[u32]) -> Option<(f64, u8)> {
        self.order(members, codes);
        let first = self.ordered.first()?.0;
        if self.ordered.last()?.0 == first {
            return None;
        }
        self.left.fill(0);
        self.right.copy_from_slice(counts);
        let (mut left, mut left_squares) = (0_u64, 0_u64);
        let (mut right, mut right_squares) = (self.total, self.total_squares);
        let mut best: Option<(f64, u8)> = None;
        let mut before = first;
        for &(code, kind) in &self.ordered {
            if code != before {
                let score = left_squares as f64 / left as f64 + right_squares as f64 / right as f64;
                if best.is_none_or(|best| score > best.0) {
                    best = Some((score, before));
                }
                before = code;
            }
            let (class, weight) = (kind.class as usize, u64::from(kind.weight));
            left_squares += weight * (2 * u64::from(self.left[class]) + weight);
            right_squares -= weight * (2 * u64::from(self.right[class]) - weight);
            self.left[class] += kind.weight;
            self.right[class] -= kind.weight;
            left += weight;
            right -= weight;
        }
        best
    }

    /// Sorts the members of the node by their bins.
    fn order(&mut self, members: &[u32], codes: &[u8]) {
        if members.len() < COUNTED_ROWS_MIN {
            let keys = members.iter().zip(0..);
            self.keys.clear();
            self.keys
                .extend(keys.map(|(&row, at): (_, u32)| u32::from(codes[row as usize]) << 24 | at));
            self.keys.sort_unstable();
            let kinds = &self.kinds;
            let ordered =
                self.keys.iter().map(|key| ((key >> 24) as u8, kinds[(key & 0xff_ffff) as usize]));
            self.ordered.clear();
            self.ordered.extend(ordered);
            return;
        }
        let mut next = [0_u32; BINS_MAX];
        for &row in members {
            next[codes[row as usize] as usize] += 1;
        }
        let mut start = 0;
        for count in &mut next {
            start += std::mem::replace(count, start);
        }
        self.ordered.resize(members.len(), (0, Kind::default()));
        for (&row, &kind) in members.iter().zip(&self.kinds) {
            let code = codes[row as usize];
            let place = &mut next[code as usize];
            self.ordered[*place as usize] = (code, kind);
            *place += 1;
        }
    }
}
