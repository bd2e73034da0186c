//! Walking a graph: down the upper levels greedily, then best first on level 0.
//!
//! Algorithms 5 and 2 of Malkov and Yashunin, arXiv 1603.09320, with one addition: nodes that a
//! filter refuses are walked over but not returned. The walk compares coarse codes; whoever calls
//! it ranks what it found with all bits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::pool::{Candidate, Pool};
use crate::index::codes::CodesView;
use crate::vector::{ByteKernel, prefetch};

/// Who links to whom, while a graph is built and after it was frozen.
pub(super) trait Neighborhood {
    /// The number of levels above 0.
    fn upper_levels(&self) -> usize;

    /// The links of a node on level 0.
    fn base(&self, node: u32) -> &[u32];

    /// The links of a node on a level above 0; none if it does not live there.
    fn upper(&self, level: usize, node: u32) -> &[u32];
}

/// Scores nodes roughly against one query.
#[derive(Clone, Copy)]
pub(super) struct Scorer<'a> {
    pub(super) codes: CodesView<'a>,
    pub(super) kernel: ByteKernel,
    /// The coarse codes of the query. Its scale is left out: it changes no order.
    pub(super) query: &'a [i8],
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
    /// The best nodes that pass.
    pool: Pool,
    /// Nodes that do not pass, to go on from; the best on top.
    detours: BinaryHeap<Reverse<Candidate>>,
    /// The unvisited neighbors of one node, and their dot products.
    fresh: Vec<u32>,
    dots: Vec<i32>,
}

impl Walker {
    /// From `start` down to the level above `last`: on each level to the neighbor that scores
    /// best, until none scores better. Every step raises the score, so it ends.
    pub(super) fn descend(
        &mut self,
        links: &impl Neighborhood,
        scorer: Scorer<'_>,
        start: u32,
        last: usize,
    ) -> Candidate {
        self.fresh.clear();
        self.fresh.push(start);
        self.score_fresh(scorer);
        let mut nearest = scorer.candidate(start, self.dots[0]);
        for level in (last + 1..=links.upper_levels()).rev() {
            loop {
                self.fresh.clear();
                self.fresh.extend_from_slice(links.upper(level, nearest.node()));
                self.score_fresh(scorer);
                let scored = self.fresh.iter().zip(&self.dots);
                let best = scored.map(|(&node, &dot)| scorer.candidate(node, dot)).min();
                match best {
                    Some(best) if best.score() > nearest.score() => nearest = best,
                    _ => break,
                }
            }
        }
        nearest
    }

    /// The best nodes that `passes` found on level 0, best first; at most `reach.ef` of them.
    ///
    /// `None` if the walk scored `reach.scored_max` nodes without coming to its end.
    pub(super) fn walk_base(
        &mut self,
        links: &impl Neighborhood,
        scorer: Scorer<'_>,
        start: Candidate,
        reach: Reach,
        passes: impl Fn(u32) -> bool,
    ) -> Option<&[Candidate]> {
        self.walk_level(|node| links.base(node), scorer, &[start], reach, passes)
    }

    /// The same on any level, whose links `neighbors` gives.
    pub(super) fn walk_level<'l>(
        &mut self,
        neighbors: impl Fn(u32) -> &'l [u32],
        scorer: Scorer<'_>,
        starts: &[Candidate],
        reach: Reach,
        passes: impl Fn(u32) -> bool,
    ) -> Option<&[Candidate]> {
        self.visited.reset(scorer.codes.scales.len());
        self.detours.clear();
        self.pool.reset(reach.ef);
        for &start in starts {
            if self.visited.insert(start.node()) {
                self.note(start, &passes);
            }
        }
        let mut scored = 0;
        while let Some(node) = self.next_node() {
            let list = neighbors(node);
            // Most often the next node is the one that is next now: its links are loaded
            // while the rows of this one are scored.
            if let Some(next) = self.pool.peek() {
                prefetch(neighbors(next.node()));
            }
            scored += self.expand(list, scorer, &passes);
            if scored >= reach.scored_max {
                return None;
            }
        }
        Some(self.pool.entries())
    }

    /// The best node that has not been expanded, if going on from it may lead to better ones.
    #[inline]
    fn next_node(&mut self) -> Option<u32> {
        let best = self.pool.peek();
        if let Some(&Reverse(detour)) = self.detours.peek()
            && best.is_none_or(|best| detour < best)
            && self.pool.admits(detour)
        {
            self.detours.pop();
            return Some(detour.node());
        }
        self.pool.mark();
        best.map(Candidate::node)
    }

    /// Scores the neighbors that have not been seen yet and returns how many they were.
    #[inline]
    fn expand(
        &mut self,
        neighbors: &[u32],
        scorer: Scorer<'_>,
        passes: &impl Fn(u32) -> bool,
    ) -> usize {
        self.fresh.clear();
        for &node in neighbors {
            if self.visited.insert(node) {
                if self.fresh.len() < AHEAD {
                    scorer.codes.rows.prefetch(node);
                }
                self.fresh.push(node);
            }
        }
        self.score_fresh(scorer);
        for position in 0..self.fresh.len() {
            let candidate = scorer.candidate(self.fresh[position], self.dots[position]);
            if self.pool.admits(candidate) {
                self.note(candidate, passes);
            }
        }
        self.fresh.len()
    }

    #[inline]
    fn note(&mut self, candidate: Candidate, passes: &impl Fn(u32) -> bool) {
        if passes(candidate.node()) {
            self.pool.keep(candidate);
        } else {
            self.detours.push(Reverse(candidate));
        }
    }

    #[inline]
    fn score_fresh(&mut self, scorer: Scorer<'_>) {
        self.dots.clear();
        scorer.kernel.dots(scorer.query, scorer.codes.rows, &self.fresh, &mut self.dots);
    }
}

impl Scorer<'_> {
    #[inline]
    pub(super) fn candidate(&self, node: u32, dot: i32) -> Candidate {
        Candidate::new(node, dot as f32 * self.codes.scales[node as usize])
    }
}

/// Rows asked for while the list of neighbors is still being read.
const AHEAD: usize = 4;

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
    use super::super::links::{Adjacency, Links};
    use super::*;
    use crate::index::codes::{Codes, QueryCodes};
    use crate::index::{VectorSet, VectorSetBuilder};

    /// Ten nodes on a quarter circle, each linked to the next and the one before.
    fn arc() -> (VectorSet, Links) {
        let mut builder = VectorSetBuilder::new(2);
        for node in 0..10 {
            let (sine, cosine) = (node as f32 * 0.15).sin_cos();
            builder.push(&[cosine, sine]).expect("a unit vector");
        }
        let list = |node: u32| [node.wrapping_sub(1), node + 1].into_iter();
        let list = |node| list(node).filter(|&node| node < 10).collect::<Vec<_>>();
        let base = Adjacency::from_lists((0..10).map(list));
        (builder.finish(), Links { entry: 0, base, upper: Vec::new() })
    }

    fn walk_along(ef: usize, scored_max: usize, passes: fn(u32) -> bool) -> Option<Vec<u32>> {
        let (vectors, links) = arc();
        let codes = Codes::encode(&vectors);
        let query = QueryCodes::encode(vectors.row(9));
        let kernel = ByteKernel::detect();
        let scorer = Scorer { codes: codes.view(), kernel, query: &query.high };
        let mut walker = Walker::default();
        let start = walker.descend(&links, scorer, links.entry, 0);
        let found = walker.walk_base(&links, scorer, start, Reach { ef, scored_max }, passes)?;
        Some(found.iter().map(|candidate| candidate.node()).collect())
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
