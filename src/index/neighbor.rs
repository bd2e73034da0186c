//! A scored node, the order of results, and the heap that keeps the best of many.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A node and its score with the query.
///
/// The order is that of results: the higher score is the *lesser* and so sorts first; of equal
/// scores the smaller node sorts first. It is total, so results do not depend on the order in
/// which nodes were scored, and with it not on the number of threads.
#[derive(Debug, Clone, Copy)]
pub struct Neighbor {
    /// The number of the row in the vector set.
    pub node: u32,
    /// The dot product with the query, in -1..=1 up to rounding.
    pub score: f32,
}

impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score.then(self.node.cmp(&other.node))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Neighbor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Neighbor {}

/// The best `k` of the neighbors it is offered. An offer costs O(log k), or O(1) if it is refused.
#[derive(Debug, Default)]
pub(super) struct TopK {
    k: usize,
    /// The worst neighbor kept is on top.
    heap: BinaryHeap<Neighbor>,
}

impl TopK {
    pub(super) fn new(k: usize) -> Self {
        let heap = BinaryHeap::new();
        Self { k, heap }
    }

    /// Keeps `neighbor` if it is among the best `k` so far.
    #[inline]
    pub(super) fn offer(&mut self, neighbor: Neighbor) {
        if self.heap.len() < self.k {
            self.heap.push(neighbor);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && neighbor < *worst
        {
            *worst = neighbor;
        }
    }

    /// What both have kept, as if one of them had been offered everything.
    pub(super) fn merge(mut self, other: Self) -> Self {
        for neighbor in other.heap {
            self.offer(neighbor);
        }
        self
    }

    /// Takes the kept neighbors out, best first.
    pub(super) fn take_sorted(&mut self) -> Vec<Neighbor> {
        let mut neighbors = std::mem::take(&mut self.heap).into_vec();
        neighbors.sort_unstable();
        neighbors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn top_k_is_the_head_of_the_sorted_list(
            scores in prop::collection::vec(0u8..9, 0..40), k in 0usize..12
        ) {
            let neighbor = |(node, &score): (usize, &u8)| Neighbor {
                node: node as u32,
                score: f32::from(score),
            };
            let mut all: Vec<_> = scores.iter().enumerate().map(neighbor).collect();
            let mut top = TopK::new(k);
            for &neighbor in all.iter().rev() {
                top.offer(neighbor);
            }
            all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
            all.truncate(k);
            prop_assert_eq!(top.take_sorted(), all);
        }
    }
}
