//! Walking the frozen graph: down the upper levels greedily, then best first on level 0.
//!
//! Algorithms 5 and 2 of Malkov and Yashunin, arXiv 1603.09320, with one addition: nodes that a
//! filter refuses are walked over but not returned.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::links::Links;
use crate::index::VectorSet;
use crate::index::neighbor::{Neighbor, TopK};
use crate::vector::Kernel;

/// Scores nodes against one query.
#[derive(Clone, Copy)]
pub(super) struct Scorer<'a> {
    pub(super) vectors: &'a VectorSet,
    pub(super) kernel: Kernel,
    pub(super) query: &'a [f32],
}

impl Scorer<'_> {
    #[inline]
    fn score(&self, node: u32) -> Neighbor {
        let score = self.kernel.dot(self.vectors.row(node), self.query);
        Neighbor { node, score }
    }
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// The number of best passing nodes to keep while walking; more find better ones.
    pub(super) ef: usize,
    /// Nodes to score before giving up.
    pub(super) scored_max: usize,
}

/// The memory of a walk, kept for the next one so that searching does not allocate for it.
#[derive(Debug, Default)]
pub(super) struct Walker {
    visited: VisitedSet,
    /// Nodes to go on from, best on top.
    frontier: BinaryHeap<Reverse<Neighbor>>,
    best: TopK,
    /// The unvisited neighbors of one node.
    fresh: Vec<u32>,
}

impl Walker {
    /// The best nodes that `passes` found on the way, best first; at most `reach.ef` of them.
    ///
    /// `None` if the walk scored `reach.scored_max` nodes without coming to its end.
    pub(super) fn walk(
        &mut self,
        links: &Links,
        scorer: Scorer<'_>,
        reach: Reach,
        passes: impl Fn(u32) -> bool,
    ) -> Option<Vec<Neighbor>> {
        self.start(descend(links, scorer), scorer.vectors.len(), reach.ef, &passes);
        let mut scored = 0;
        while let Some(Reverse(nearest)) = self.frontier.pop() {
            if self.best.bar().is_some_and(|worst| nearest > worst) {
                break;
            }
            scored += self.expand(links.base_neighbors(nearest.node), scorer, &passes);
            if scored >= reach.scored_max {
                return None;
            }
        }
        Some(self.best.take_sorted())
    }

    fn start(
        &mut self,
        entry: Neighbor,
        node_count: usize,
        ef: usize,
        passes: &impl Fn(u32) -> bool,
    ) {
        self.visited.reset(node_count);
        self.frontier.clear();
        self.best.reset(ef);
        self.visited.insert(entry.node);
        self.frontier.push(Reverse(entry));
        if passes(entry.node) {
            self.best.offer(entry);
        }
    }

    /// Scores the neighbors that have not been seen yet and returns how many they were.
    fn expand(
        &mut self,
        neighbors: &[u32],
        scorer: Scorer<'_>,
        passes: &impl Fn(u32) -> bool,
    ) -> usize {
        self.fresh.clear();
        let unseen = neighbors.iter().filter(|&&node| self.visited.insert(node));
        self.fresh.extend(unseen);
        for (position, &node) in self.fresh.iter().enumerate() {
            if let Some(&next) = self.fresh.get(position + 1) {
                scorer.kernel.prefetch(scorer.vectors.row(next));
            }
            let neighbor = scorer.score(node);
            if self.best.bar().is_none_or(|worst| neighbor < worst) {
                self.frontier.push(Reverse(neighbor));
                if passes(node) {
                    self.best.offer(neighbor);
                }
            }
        }
        self.fresh.len()
    }
}

/// From the entry point down to level 1: on each level to the neighbor that scores best, until
/// none scores better. Every step raises the score, so it ends.
///
/// Keeping 16 nodes per level instead of one (20,000 x 1280, level 0 at `ef` 64) found 96 instead
/// of 89 % for queries between two bursts, but took a quarter longer, as a wider level 0 does.
fn descend(links: &Links, scorer: Scorer<'_>) -> Neighbor {
    let mut nearest = scorer.score(links.entry);
    for level in links.upper.iter().rev() {
        loop {
            let neighbors = level.neighbors(nearest.node).iter();
            let best = neighbors.map(|&node| scorer.score(node)).min();
            match best {
                Some(best) if best.score > nearest.score => nearest = best,
                _ => break,
            }
        }
    }
    nearest
}

/// A bitmap that is emptied by undoing what was inserted, not by clearing all of it.
#[derive(Debug, Default)]
struct VisitedSet {
    words: Vec<u64>,
    /// Words that are not 0, some of them more than once.
    touched: Vec<u32>,
}

impl VisitedSet {
    fn reset(&mut self, node_count: usize) {
        for word in self.touched.drain(..) {
            self.words[word as usize] = 0;
        }
        self.words.resize(node_count.div_ceil(64), 0);
    }

    /// Whether `node` was not there before.
    #[inline]
    fn insert(&mut self, node: u32) -> bool {
        let word = &mut self.words[(node / 64) as usize];
        let bit = 1 << (node % 64);
        let is_new = *word & bit == 0;
        if is_new {
            *word |= bit;
            self.touched.push(node / 64);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::super::links::Adjacency;
    use super::*;
    use crate::index::VectorSetBuilder;

    /// Ten nodes on a quarter circle, each linked to the next and the one before.
    fn arc() -> (VectorSet, Links) {
        let mut builder = VectorSetBuilder::new(2);
        for node in 0..10 {
            let (sine, cosine) = (node as f32 * 0.15).sin_cos();
            builder.push(&[cosine, sine]).expect("a unit vector");
        }
        let list = |node: u32| [node.wrapping_sub(1), node + 1].into_iter();
        let lists = (0..10).map(|node| list(node).filter(|&node| node < 10).collect());
        let (entry, base, upper) = (0, Adjacency::from_lists(lists), Vec::new());
        (builder.finish(), Links { entry, base, upper })
    }

    fn walk_along(ef: usize, scored_max: usize, passes: fn(u32) -> bool) -> Option<Vec<u32>> {
        let (vectors, links) = arc();
        let (query, kernel) = (vectors.row(9), Kernel::detect());
        let scorer = Scorer { vectors: &vectors, kernel, query };
        let reach = Reach { ef, scored_max };
        let found = Walker::default().walk(&links, scorer, reach, passes)?;
        Some(found.iter().map(|neighbor| neighbor.node).collect())
    }

    #[test]
    fn walk_goes_on_as_long_as_it_comes_nearer() {
        assert_eq!(walk_along(2, 99, |_| true), Some(vec![9, 8]));
    }

    #[test]
    fn walk_passes_over_refused_nodes_without_returning_them() {
        assert_eq!(walk_along(2, 99, |node| node % 4 == 1), Some(vec![9, 5]));
    }

    #[test]
    fn walk_gives_up_when_it_has_scored_enough() {
        assert_eq!(walk_along(2, 9, |_| true), None);
        assert!(walk_along(2, 10, |_| true).is_some());
    }

    #[test]
    fn visited_set_is_empty_after_a_reset() {
        let mut visited = VisitedSet::default();
        visited.reset(130);
        assert!(visited.insert(0) && visited.insert(1) && visited.insert(129));
        assert!(!visited.insert(1));
        visited.reset(130);
        assert!(visited.insert(1) && visited.insert(129));
    }
}
