//! The set of nodes that a search may return.

/// A bitmap over the nodes of an index: search returns only members. One bit per node.
///
/// # Examples
///
/// ```
/// use lookalike::index::NodeFilter;
///
/// let even = NodeFilter::from_predicate(5, |node| node % 2 == 0);
/// assert_eq!(even.count(), 3);
/// assert!(even.contains(4) && !even.contains(3));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFilter {
    words: Vec<u64>,
    len: usize,
    count: usize,
}

const WORD_BITS: usize = u64::BITS as usize;

impl NodeFilter {
    /// A filter over `len` nodes that lets none pass.
    pub fn none(len: usize) -> Self {
        let words = vec![0; len.div_ceil(WORD_BITS)];
        Self { words, len, count: 0 }
    }

    /// A filter over `len` nodes that lets those pass for which `passes` holds.
    pub fn from_predicate(len: usize, passes: impl Fn(u32) -> bool) -> Self {
        let mut filter = Self::none(len);
        for node in 0..len as u32 {
            if passes(node) {
                filter.insert(node);
            }
        }
        filter
    }

    /// Lets `node` pass.
    ///
    /// # Panics
    ///
    /// If `node` is not below [`NodeFilter::len`].
    pub fn insert(&mut self, node: u32) {
        let position = node as usize;
        assert!(position < self.len, "node {node} of {} in a filter", self.len);
        let word = &mut self.words[position / WORD_BITS];
        let bit = 1 << (position % WORD_BITS);
        self.count += usize::from(*word & bit == 0);
        *word |= bit;
    }

    /// Lets `node` pass no more, for example because its image was deleted.
    ///
    /// # Panics
    ///
    /// If `node` is not below [`NodeFilter::len`].
    pub fn remove(&mut self, node: u32) {
        let was_in = self.contains(node);
        let (position, len) = (node as usize, self.len);
        assert!(position < len, "node {node} of {len} in a filter");
        self.words[position / WORD_BITS] &= !(1 << (position % WORD_BITS));
        self.count -= usize::from(was_in);
    }

    /// Whether `node` passes. A node beyond the end does not.
    #[inline]
    pub fn contains(&self, node: u32) -> bool {
        let position = node as usize;
        let word = self.words.get(position / WORD_BITS);
        word.is_some_and(|word| word >> (position % WORD_BITS) & 1 == 1)
    }

    /// The number of nodes the filter is over.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the filter is over no nodes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of nodes that pass. O(1).
    pub fn count(&self) -> usize {
        self.count
    }

    /// The passing nodes among `start..end`, ascending. `start` is a multiple of [`WORD_BITS`].
    pub(super) fn passing(&self, start: usize, end: usize) -> impl Iterator<Item = u32> {
        debug_assert!(start.is_multiple_of(WORD_BITS));
        let words = &self.words[start / WORD_BITS..end.div_ceil(WORD_BITS)];
        let bases = (start as u32..).step_by(WORD_BITS);
        words.iter().zip(bases).flat_map(|(&word, base)| {
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|&rest| rest != 0)
                .map(move |rest| base + rest.trailing_zeros())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn filter_holds_what_a_set_holds(nodes in prop::collection::vec(0u32..200, 0..99)) {
            let expected: BTreeSet<u32> = nodes.iter().copied().collect();
            let mut filter = NodeFilter::none(200);
            nodes.iter().for_each(|&node| filter.insert(node));
            prop_assert_eq!(filter.count(), expected.len());
            prop_assert!((0..300).all(|node| filter.contains(node) == expected.contains(&node)));
            let (kept, mut rest) = (expected.clone(), filter.clone());
            kept.iter().for_each(|&node| (0..2).for_each(|_| rest.remove(node)));
            prop_assert_eq!(rest, NodeFilter::none(200));
            let halves = filter.passing(0, 128).chain(filter.passing(128, 200));
            prop_assert_eq!(halves.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "node 3 of 3 in a filter")]
    fn node_beyond_the_end_cannot_be_inserted() {
        NodeFilter::none(3).insert(3);
    }
}
