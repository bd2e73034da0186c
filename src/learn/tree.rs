//! One tree of a forest: grown with linfa's split search node by node, stored as one flat
//! list of nodes.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_trees::DecisionTree;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::error::{LearnError, Result};
use super::matrix::Random;

/// linfa takes values closer than 1e-5 for equal, and features of embeddings are often
/// closer than that. A power of two changes no digit.
const SCALE: f64 = (1_u64 << 20) as f64;
/// Rows of a node that the search for its best split looks at, drawn anew for each node, so
/// that the cost of a node is bounded. Measured on 10,000 rows of 100 classes, 20 trees:
/// 19 s and 0.821 right out of bag, against 51 s and 0.819 for all rows; 256 rows give 17 s
/// and 0.805.
const SEARCHED_ROWS_MAX: usize = 512;
/// Draws of features for one node before it is given up: half the values of an embedding
/// are zero, so a narrow draw can be blind.
const DRAWS_MAX: usize = 3;

/// Nodes in depth-first order: the left child of a split is the next node, the right child
/// comes later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Node {
    Leaf {
        class: u32,
    },
    /// Rows with `feature <= threshold` go to the next node, others to node `right`.
    Split {
        feature: u32,
        threshold: f32,
        right: u32,
    },
}

/// What all trees of a forest are grown from.
pub(super) struct Examples<'a> {
    pub(super) rows: ArrayView2<'a, f32>,
    pub(super) labels: &'a [usize],
    pub(super) classes: usize,
    /// Mean row of each class; zeros for a class without rows.
    pub(super) class_means: ArrayView2<'a, f32>,
    pub(super) features_per_split: usize,
    pub(super) depth_max: usize,
}

impl Tree {
    /// Grows a tree on the rows `members`, in which a row may come several times.
    pub(super) fn grow(examples: &Examples<'_>, members: &[usize], random: &mut Random) -> Self {
        let mut growth = Growth { examples, random, nodes: Vec::new() };
        growth.add(members, 0);
        Self { nodes: growth.nodes }
    }

    /// Returns the class of the leaf that a row falls into; `None` only for a tree that is
    /// not valid.
    pub(super) fn class_of(&self, row: ArrayView1<'_, f32>) -> Option<usize> {
        let mut at = 0;
        loop {
            at = match *self.nodes.get(at)? {
                Node::Leaf { class } => return Some(class as usize),
                Node::Split { feature, threshold, .. }
                    if *row.get(feature as usize)? <= threshold =>
                {
                    at + 1
                }
                Node::Split { right, .. } if right as usize > at => right as usize,
                Node::Split { .. } => return None,
            };
        }
    }

    /// Checks that every node leads to later nodes that exist, and names a column and a
    /// class that exist.
    pub(super) fn validate(&self, tree: usize, dimension: usize, classes: usize) -> Result<()> {
        let nodes = self.nodes.len();
        let is_valid = |at: usize, node: &Node| match *node {
            Node::Leaf { class } => (class as usize) < classes,
            Node::Split { feature, threshold, right } => {
                let right = right as usize;
                (feature as usize) < dimension
                    && threshold.is_finite()
                    && at + 1 < right
                    && right < nodes
            }
        };
        match self.nodes.iter().enumerate().find(|&(at, node)| !is_valid(at, node)) {
            None if nodes > 0 => Ok(()),
            None => Err(LearnError::MalformedTree { tree, node: 0 }),
            Some((node, _)) => Err(LearnError::MalformedTree { tree, node }),
        }
    }
}

struct Growth<'a, 'd, 'r> {
    examples: &'a Examples<'d>,
    random: &'r mut Random,
    nodes: Vec<Node>,
}

impl Growth<'_, '_, '_> {
    /// Adds the subtree of some rows. The recursion is at most `depth_max` deep.
    fn add(&mut self, members: &[usize], depth: usize) {
        let at = self.nodes.len();
        let counts = self.class_counts(members);
        let leaf = Node::Leaf { class: most_frequent(&counts) as u32 };
        self.nodes.push(leaf.clone());
        if depth == self.examples.depth_max {
            return;
        }
        let Some((feature, threshold)) = self.split(members, &counts) else {
            return;
        };
        let (left, right): (Vec<usize>, Vec<usize>) =
            members.iter().partition(|&&row| self.examples.rows[(row, feature)] <= threshold);
        self.add(&left, depth + 1);
        let right_at = self.nodes.len();
        self.add(&right, depth + 1);
        if self.is_one_class(at + 1) {
            self.nodes.truncate(at + 1);
        } else {
            self.nodes[at] =
                Node::Split { feature: feature as u32, threshold, right: right_at as u32 };
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

    fn class_counts(&self, members: &[usize]) -> Vec<usize> {
        let mut counts = vec![0; self.examples.classes];
        for &row in members {
            counts[self.examples.labels[row]] += 1;
        }
        counts
    }

    /// Returns the column and threshold that divide the rows best, or `None` where none does.
    fn split(&mut self, members: &[usize], counts: &[usize]) -> Option<(usize, f32)> {
        let present: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] > 0).collect();
        if present.len() < 2 {
            return None;
        }
        (0..DRAWS_MAX).find_map(|_| {
            let side = self.two_sides(&present);
            let columns = self.examples.rows.ncols();
            let amount = self.examples.features_per_split;
            let mut features = rand::seq::index::sample(self.random, columns, amount).into_vec();
            let searched = self.searched(members);
            // Among equal splits linfa takes the first: let that be the lowest column.
            features.sort_unstable();
            self.best_split(&searched, &features, &side)
        })
    }

    /// Returns the rows that a split is searched among.
    fn searched(&mut self, members: &[usize]) -> Vec<usize> {
        if members.len() <= SEARCHED_ROWS_MAX {
            return members.to_vec();
        }
        members.choose_multiple(self.random, SEARCHED_ROWS_MAX).copied().collect()
    }

    /// Divides the classes of a node in two: two drawn at random, the others each with the
    /// one it is more like. Returns `true` at the classes of the second side.
    ///
    /// That is the twoing of L. Breiman and others, "Classification and regression trees"
    /// (1984), chapter 4, with a random instead of the best division. It also makes a tree
    /// come out the same in every run: linfa adds class shares in the order of a randomly
    /// keyed hash map, and only a sum of two is the same in both orders (with 10 classes, 300
    /// rows and 512 columns, 20 of 20 fits of linfa's tree differed). Sides of like classes
    /// instead of random halves raise the accuracy on 372 photos of 10 classes from 0.754 to
    /// 0.766 (100 trees, 36 columns) and from 0.771 to 0.780 (128 columns).
    fn two_sides(&mut self, present: &[usize]) -> Vec<bool> {
        let poles: Vec<usize> = present.choose_multiple(self.random, 2).copied().collect();
        let mut side = vec![false; self.examples.classes];
        if let &[first, second] = poles.as_slice() {
            let means = self.examples.class_means;
            let axis = &means.row(second) - &means.row(first);
            let middle = (means.row(second).dot(&axis) + means.row(first).dot(&axis)) / 2.0;
            for &class in present {
                side[class] = means.row(class).dot(&axis) > middle;
            }
            side[first] = false;
            side[second] = true;
        }
        side
    }

    /// Lets linfa find the best split between the two sides among some columns.
    fn best_split(
        &self,
        members: &[usize],
        features: &[usize],
        side: &[bool],
    ) -> Option<(usize, f32)> {
        let values = Array2::from_shape_fn((members.len(), features.len()), |(member, feature)| {
            f64::from(self.examples.rows[(members[member], features[feature])]) * SCALE
        });
        let sides = members.iter().map(|&row| side[self.examples.labels[row]]);
        let data = DatasetBase::new(values, Array1::from_iter(sides));
        let stump = DecisionTree::params().max_depth(Some(1)).fit(&data).ok()?;
        // linfa turns the root into a leaf where both halves vote alike, but it keeps what
        // it split on.
        let (feature, threshold, decrease) = stump.root_node().split();
        (decrease > 0.0).then_some((*features.get(feature)?, round_down(threshold / SCALE)))
    }
}

/// Index of the largest count, the lowest one among equals.
pub(super) fn most_frequent(counts: &[usize]) -> usize {
    let best =
        counts.iter().enumerate().max_by_key(|&(class, &count)| (count, std::cmp::Reverse(class)));
    best.map_or(0, |(class, _)| class)
}

/// Rounds to the next lower `f32`, so that a threshold between two neighboring values stays
/// between them.
fn round_down(value: f64) -> f32 {
    let rounded = value as f32;
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

#[cfg(test)]
mod tests {
    use linfa_trees::TreeNode;
    use ndarray::Array2;

    use super::super::clustering::means;
    use super::super::matrix::stream;
    use super::super::planted::{planted, random_rows};
    use super::*;

    fn grow(
        rows: &Array2<f32>,
        labels: &[usize],
        features_per_split: usize,
        depth_max: usize,
    ) -> Tree {
        let classes = labels.iter().max().map_or(0, |label| label + 1);
        let members: Vec<Vec<usize>> = (0..classes)
            .map(|class| (0..labels.len()).filter(|&row| labels[row] == class).collect())
            .collect();
        let class_means = means(rows.view(), &members);
        let examples = Examples {
            rows: rows.view(),
            labels,
            classes,
            class_means: class_means.view(),
            features_per_split,
            depth_max,
        };
        let all: Vec<usize> = (0..labels.len()).collect();
        let tree = Tree::grow(&examples, &all, &mut stream(1, 1));
        tree.validate(0, rows.ncols(), classes).expect("a grown tree is valid");
        tree
    }

    fn classes_of(tree: &Tree, rows: &Array2<f32>) -> Vec<usize> {
        rows.outer_iter().filter_map(|row| tree.class_of(row)).collect()
    }

    /// The splits and leaves of linfa's own tree, in the order of ours.
    fn flatten(node: &TreeNode<f64, bool>, into: &mut Vec<Result<usize, bool>>) {
        match node.prediction() {
            Some(class) => into.push(Err(class)),
            None => {
                into.push(Ok(node.split().0));
                node.children().into_iter().flatten().for_each(|child| flatten(child, into));
            }
        }
    }

    type Result<T, E> = std::result::Result<T, E>;

    #[test]
    fn tree_of_two_classes_splits_like_linfas_own() {
        for seed in 0..20 {
            let rows = random_rows(60, 5, seed);
            let labels: Vec<usize> =
                (0..60).map(|row| usize::from(rows[(row, 0)] + rows[(row, 3)] > 0.1)).collect();
            let ours = grow(&rows, &labels, 5, 60);
            let values = rows.mapv(|value| f64::from(value) * SCALE);
            let sides: Array1<bool> = labels.iter().map(|&label| label == 1).collect();
            let theirs = DecisionTree::params().fit(&DatasetBase::new(values, sides)).unwrap();
            let mut expected = Vec::new();
            flatten(theirs.root_node(), &mut expected);
            let found: Vec<Result<usize, bool>> = ours
                .nodes
                .iter()
                .map(|node| match *node {
                    Node::Leaf { class } => Err(class == 1),
                    Node::Split { feature, .. } => Ok(feature as usize),
                })
                .collect();
            assert_eq!(found, expected, "seed {seed}");
        }
    }

    #[test]
    fn single_split_predicts_like_linfas_own_tree() {
        use linfa::traits::Predict;
        for seed in 0..20 {
            // 51 rows that only column 2 tells apart, so that neither tree has ties to
            // break its own way.
            let rows = random_rows(51, 4, seed);
            let labels: Vec<usize> =
                (0..51).map(|row| usize::from(rows[(row, 2)] > 0.05)).collect();
            let ours = grow(&rows, &labels, 4, 1);
            let sides: Array1<bool> = labels.iter().map(|&label| label == 1).collect();
            let values = rows.mapv(|value| f64::from(value) * SCALE);
            let theirs = DecisionTree::params()
                .max_depth(Some(1))
                .fit(&DatasetBase::new(values, sides))
                .unwrap();
            let fresh = random_rows(300, 4, seed + 100);
            let expected: Array1<bool> =
                theirs.predict(&fresh.mapv(|value| f64::from(value) * SCALE));
            let expected: Vec<usize> = expected.into_iter().map(usize::from).collect();
            assert_eq!(classes_of(&ours, &fresh), expected, "seed {seed}");
        }
    }

    #[test]
    fn unlimited_tree_knows_its_own_rows() {
        for (classes, each, noise) in [(2, 30, 0.5), (3, 20, 2.0), (17, 9, 1.0)] {
            let (rows, owners) = planted(classes, each, 20, noise, 4);
            let tree = grow(&rows, &owners, 4, 100);
            assert_eq!(classes_of(&tree, &rows), owners, "{classes} classes");
        }
    }

    #[test]
    fn split_whose_halves_vote_alike_is_kept() {
        // The best first split is at 3.5: 4 of class 0 on the left, 4 of 7 on the right.
        // linfa prunes that root.
        let rows = Array2::from_shape_fn((11, 1), |(row, _)| row as f32);
        let labels = [0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0];
        let tree = grow(&rows, &labels, 1, 10);
        assert_eq!(classes_of(&tree, &rows), labels);
        // With no depth left below it, the same split says nothing.
        assert_eq!(grow(&rows, &labels, 1, 1).nodes, [Node::Leaf { class: 0 }]);
    }

    #[test]
    fn values_closer_than_linfa_sees_are_still_told_apart() {
        let rows = Array2::from_shape_fn((8, 1), |(row, _)| 0.25 + row as f32 * 1e-7);
        let labels = [0, 0, 0, 0, 1, 1, 1, 1];
        assert_eq!(classes_of(&grow(&rows, &labels, 1, 4), &rows), labels);
    }

    #[test]
    fn adjacent_numbers_are_told_apart() {
        for low in [1.0_f32, 1.0_f32.next_up(), -1.0, (-1.0_f32).next_down()] {
            let rows = Array2::from_shape_vec((2, 1), vec![low, low.next_up()]).unwrap();
            assert_eq!(classes_of(&grow(&rows, &[0, 1], 1, 1), &rows), [0, 1], "{low}");
        }
    }

    #[test]
    fn rows_that_nothing_tells_apart_share_a_leaf_of_the_most_frequent_class() {
        let rows = Array2::<f32>::ones((5, 3));
        for (labels, class) in [([0, 1, 1, 0, 1], 1), ([0, 2, 2, 0, 1], 0)] {
            let tree = grow(&rows, &labels, 2, 9);
            assert_eq!(tree.nodes, [Node::Leaf { class }]);
        }
    }

    #[test]
    fn nodes_too_large_to_search_whole_are_divided_as_well() {
        let (rows, owners) = planted(3, SEARCHED_ROWS_MAX, 10, 0.5, 4);
        assert_eq!(classes_of(&grow(&rows, &owners, 10, 100), &rows), owners);
    }

    #[test]
    fn depth_is_limited() {
        let rows = random_rows(200, 6, 1);
        let labels: Vec<usize> = (0..200).map(|row| row * 7 % 5).collect();
        for depth_max in 1..6 {
            let nodes = grow(&rows, &labels, 3, depth_max).nodes.len();
            assert!(nodes < 1 << (depth_max + 1), "{nodes} nodes at depth {depth_max}");
        }
    }

    #[test]
    fn broken_trees_are_refused_and_walking_them_ends() {
        let leaf = Node::Leaf { class: 0 };
        let split = |feature, threshold, right| Node::Split { feature, threshold, right };
        struct Case {
            what: &'static str,
            nodes: Vec<Node>,
            bad: usize,
        }
        for case in [
            Case { what: "no nodes", nodes: vec![], bad: 0 },
            Case { what: "class", nodes: vec![Node::Leaf { class: 2 }], bad: 0 },
            Case {
                what: "feature",
                nodes: vec![split(3, 0.0, 2), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "threshold",
                nodes: vec![split(0, f32::NAN, 2), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "outside",
                nodes: vec![split(0, 0.0, 3), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "itself",
                nodes: vec![split(0, 0.0, 0), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "both the same",
                nodes: vec![split(0, 0.0, 1), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "back",
                nodes: vec![split(0, 0.0, 2), leaf.clone(), split(0, 0.0, 1), leaf.clone()],
                bad: 2,
            },
            Case {
                what: "ends in a split",
                nodes: vec![split(0, 0.0, 2), leaf.clone(), split(0, 0.0, 3)],
                bad: 2,
            },
        ] {
            let tree = Tree { nodes: case.nodes };
            let found = tree.validate(7, 3, 2);
            let bad = match found {
                Err(LearnError::MalformedTree { tree: 7, node }) => Some(node),
                _ => None,
            };
            assert_eq!(bad, Some(case.bad), "{}", case.what);
            tree.class_of(Array1::ones(3).view());
            tree.class_of(Array1::zeros(1).view());
        }
    }

    #[test]
    fn most_frequent_is_the_lowest_among_equals() {
        for (counts, best) in [(vec![], 0), (vec![0, 0], 0), (vec![1, 3, 3], 1), (vec![2, 1, 3], 2)]
        {
            assert_eq!(most_frequent(&counts), best, "{counts:?}");
        }
    }

    #[test]
    fn thresholds_are_rounded_down() {
        let next = 1.0_f32.next_up();
        assert_eq!(round_down((1.0 + f64::from(next)) / 2.0), 1.0);
        assert_eq!(round_down(f64::from(next)), next);
        assert_eq!(round_down(0.1), 0.1_f32.next_down());
        assert_eq!(round_down(-0.1), -0.1);
    }
}
