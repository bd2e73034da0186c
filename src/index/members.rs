//! Whom the nodes of a graph stand for, and what a graph does not know yet.

use super::array::Array;

/// The keys of each node: the numbers that its owner gives to the things with this vector.
///
/// Keys rise with time: a thing that came after the graph was built has a greater key than all in
/// it, unless it is one of [`Members::absent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    /// One more than there are nodes: where the keys of each node start.
    pub(super) offsets: Array<u32>,
    pub(super) keys: Array<u64>,
    pub(super) absent: Array<u64>,
    last: u64,
}

impl Members {
    /// The members of nodes from the keys of each, and the absent keys, ascending.
    ///
    /// # Panics
    ///
    /// If there are more than 2^32 keys, or `absent` does not ascend.
    pub fn new<K: AsRef<[u64]>>(keys: impl IntoIterator<Item = K>, absent: Vec<u64>) -> Self {
        assert!(absent.is_sorted_by(|a, b| a < b), "absent keys ascend");
        let (mut offsets, mut all) = (vec![0], Vec::new());
        for keys in keys {
            all.extend_from_slice(keys.as_ref());
            offsets.push(u32::try_from(all.len()).expect("at most 2^32 keys"));
        }
        Self::from_arrays(offsets.into(), all.into(), absent.into())
    }

    pub(super) fn from_arrays(offsets: Array<u32>, keys: Array<u64>, absent: Array<u64>) -> Self {
        let last = keys.iter().chain(absent.last()).copied().max().unwrap_or(0);
        Self { offsets, keys, absent, last }
    }

    /// The keys of a node; none for a node that does not exist.
    pub fn keys(&self, node: u32) -> &[u64] {
        let node = node as usize;
        let ends = (self.offsets.get(node), self.offsets.get(node + 1));
        let (Some(&start), Some(&end)) = ends else { return &[] };
        self.keys.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The greatest key that was known, 0 if there was none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The keys, ascending, of things that were known when the graph was built, but had no vector.
    pub fn absent(&self) -> &[u64] {
        &self.absent
    }

    /// The number of keys in the graph.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the arrays are the members of so many nodes.
    pub(super) fn is_sound(&self, node_count: usize) -> bool {
        self.offsets.len() == node_count + 1
            && self.offsets.first() == Some(&0)
            && self.offsets.last().map(|&end| end as usize) == Some(self.keys.len())
            && self.offsets.is_sorted()
            && self.absent.is_sorted_by(|a, b| a < b)
    }
}
