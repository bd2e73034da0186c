//! The best candidates of a walk in one sorted array, and which of them it has gone on from.
//!
//! A walk keeps a few dozen candidates. Moving half of these by eight bytes costs less than
//! keeping two heaps in order.

/// A node with its rough score, packed so that the order of numbers is the order of results: the
/// inverted score, then the node, then whether the walk has gone on from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::index) struct Candidate(u64);

impl Candidate {
    #[inline]
    pub(super) fn new(node: u32, score: f32) -> Self {
        let bits = score.to_bits();
        // Flips all bits of a negative number and the sign of others: then they sort as numbers.
        let rising = bits ^ (((bits as i32 >> 31) as u32) | 1 << 31);
        Self(u64::from(!rising) << 32 | u64::from(node) << 1)
    }

    #[inline]
    pub(in crate::index) fn node(self) -> u32 {
        (self.0 as u32) >> 1
    }

    #[inline]
    pub(in crate::index) fn score(self) -> f32 {
        let rising = !((self.0 >> 32) as u32);
        let flip = if rising >> 31 == 1 { 1 << 31 } else { u32::MAX };
        f32::from_bits(rising ^ flip)
    }
}

/// The best candidates seen, best first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    width: usize,
    entries: Vec<Candidate>,
    /// All entries before this one have been expanded.
    next: usize,
}

impl Pool {
    /// Empties the pool, which will keep the best `width`.
    pub(super) fn reset(&mut self, width: usize) {
        self.entries.clear();
        self.width = width;
        self.next = 0;
    }

    /// Whether a candidate would be kept.
    #[inline]
    pub(super) fn admits(&self, candidate: Candidate) -> bool {
        self.entries.len() < self.width || self.entries.last().is_some_and(|&last| candidate < last)
    }

    /// Keeps a candidate that [`Pool::admits`], in place of the worst one if the pool is full.
    #[inline]
    pub(super) fn keep(&mut self, candidate: Candidate) {
        if self.entries.len() == self.width {
            self.entries.pop();
        }
        let position = self.entries.partition_point(|&entry| entry < candidate);
        self.entries.insert(position, candidate);
        self.next = self.next.min(position);
    }

    /// The best candidate that has not been expanded, without marking it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<Candidate> {
        while self.entries.get(self.next).is_some_and(|entry| entry.0 & 1 == 1) {
            self.next += 1;
        }
        self.entries.get(self.next).copied()
    }

    /// Marks what [`Pool::peek`] gave as expanded.
    #[inline]
    pub(super) fn mark(&mut self) {
        if let Some(entry) = self.entries.get_mut(self.next) {
            entry.0 |= 1;
            self.next += 1;
        }
    }

    pub(super) fn entries(&self) -> &[Candidate] {
        &self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Neighbor;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn candidates_sort_as_neighbors_do(
            pairs in prop::collection::vec((0u32..1 << 31, -2.0f32..2.0), 2..9)
        ) {
            for &(a, x) in &pairs {
                prop_assert_eq!(Candidate::new(a, x).node(), a);
                prop_assert_eq!(Candidate::new(a, x).score(), x);
                for &(b, y) in &pairs {
                    let neighbors = Neighbor { node: a, score: x }.cmp(&Neighbor { node: b, score: y });
                    prop_assert_eq!(Candidate::new(a, x).cmp(&Candidate::new(b, y)), neighbors);
                }
            }
        }

        #[test]
        fn pool_keeps_the_best_and_gives_each_once(
            scores in prop::collection::vec(-9i8..9, 0..60), width in 1usize..20
        ) {
            let mut pool = Pool::default();
            pool.reset(width);
            let all: Vec<_> = scores.iter().zip(0..)
                .map(|(&score, node)| Candidate::new(node, f32::from(score))).collect();
            let mut given = Vec::new();
            for &candidate in &all {
                if pool.admits(candidate) {
                    pool.keep(candidate);
                }
                if candidate.node() % 3 == 0 && let Some(best) = pool.peek() {
                    pool.mark();
                    given.push(best.node());
                }
            }
            while let Some(best) = pool.peek() {
                pool.mark();
                given.push(best.node());
            }
            let mut expected = all;
            expected.sort();
            expected.truncate(width);
            let expected: Vec<u32> = expected.iter().map(|entry| entry.node()).collect();
            let kept: Vec<u32> = pool.entries().iter().map(|entry| entry.node()).collect();
            prop_assert_eq!(&kept, &expected);
            prop_assert!(expected.iter().all(|node| given.contains(node)));
            given.sort_unstable();
            prop_assert!(given.is_sorted_by(|a, b| a < b), "none twice");
        }
    }
}
