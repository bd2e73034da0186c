//! The frozen graph: who links to whom on each level, in flat arrays.

use thiserror::Error;

use super::walk::Neighborhood;
use crate::index::array::Array;

/// The links of a hierarchical navigable small world graph (Malkov and Yashunin, arXiv 1603.09320).
///
/// Level 0 holds every node, each level above a random fraction of the one below. A walk starts
/// at `entry`, a node of the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::index) struct Links {
    /// Where walks start; 0 in an empty graph.
    pub(in crate::index) entry: u32,
    /// Level 0, where the position of a node is its number.
    pub(in crate::index) base: Adjacency,
    /// Level 1 and above, lowest first.
    pub(in crate::index) upper: Vec<UpperLevel>,
}

/// A level that holds some of the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::index) struct UpperLevel {
    /// The nodes of the level, strictly ascending.
    pub(in crate::index) nodes: Array<u32>,
    /// Their links, in the order of `nodes`.
    pub(in crate::index) links: Adjacency,
}

/// Lists of neighbors, one after the other: list `i` is `neighbors[offsets[i]..offsets[i + 1]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::index) struct Adjacency {
    /// One more than there are lists; starts at 0 and never falls.
    pub(in crate::index) offsets: Array<u32>,
    pub(in crate::index) neighbors: Array<u32>,
}

impl Adjacency {
    /// Lays the lists out one after the other.
    pub(in crate::index) fn from_lists<L: AsRef<[u32]>>(
        lists: impl IntoIterator<Item = L>,
    ) -> Self {
        let (mut offsets, mut neighbors) = (vec![0], Vec::new());
        for list in lists {
            neighbors.extend_from_slice(list.as_ref());
            let end = u32::try_from(neighbors.len()).expect("2^31 nodes of few links each");
            offsets.push(end);
        }
        Self { offsets: offsets.into(), neighbors: neighbors.into() }
    }

    #[inline]
    fn list(&self, position: usize) -> &[u32] {
        let (start, end) = (self.offsets[position], self.offsets[position + 1]);
        &self.neighbors[start as usize..end as usize]
    }

    fn check(&self, level: usize, lists: usize, node_count: usize) -> Result<(), LinksDefect> {
        let ends_match = self.offsets.len() == lists + 1
            && self.offsets.first() == Some(&0)
            && self.offsets.last().copied() == u32::try_from(self.neighbors.len()).ok();
        if !ends_match || !self.offsets.is_sorted() {
            return Err(LinksDefect::Offsets { level });
        }
        let beyond = |&&neighbor: &&u32| neighbor as usize >= node_count;
        match self.neighbors.iter().find(beyond) {
            None => Ok(()),
            Some(&neighbor) => Err(LinksDefect::Neighbor { level, neighbor }),
        }
    }
}

impl Neighborhood for Links {
    fn upper_levels(&self) -> usize {
        self.upper.len()
    }

    #[inline]
    fn base(&self, node: u32) -> &[u32] {
        self.base.list(node as usize)
    }

    fn upper(&self, level: usize, node: u32) -> &[u32] {
        self.upper[level - 1].neighbors(node)
    }
}

impl Links {
    /// The neighbors of `node` on level 0.
    pub(in crate::index) fn base_neighbors(&self, node: u32) -> &[u32] {
        self.base.list(node as usize)
    }

    /// Checks everything a walk relies on, for a graph over `node_count` nodes. Linear.
    pub(in crate::index) fn check(&self, node_count: usize) -> Result<(), LinksDefect> {
        self.base.check(0, node_count, node_count)?;
        for (level, upper) in (1..).zip(&self.upper) {
            upper.check(level, node_count)?;
        }
        let on_top_level = match self.upper.last() {
            Some(top) => top.nodes.binary_search(&self.entry).is_ok(),
            None => (self.entry as usize) < node_count.max(1),
        };
        let entry = self.entry;
        if on_top_level { Ok(()) } else { Err(LinksDefect::Entry { entry }) }
    }
}

impl UpperLevel {
    /// The neighbors of `node` on this level; none if it does not belong here.
    #[inline]
    pub(super) fn neighbors(&self, node: u32) -> &[u32] {
        match self.nodes.binary_search(&node) {
            Ok(position) => self.links.list(position),
            Err(_) => &[],
        }
    }

    fn check(&self, level: usize, node_count: usize) -> Result<(), LinksDefect> {
        let in_range = self.nodes.last().is_some_and(|&last| (last as usize) < node_count);
        if !in_range || !self.nodes.is_sorted_by(|a, b| a < b) {
            return Err(LinksDefect::Nodes { level });
        }
        self.links.check(level, self.nodes.len(), node_count)
    }
}

/// Why a set of arrays is not a graph.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinksDefect {
    /// The list boundaries of a level do not rise from 0 to the number of links.
    #[error("the list boundaries of level {level} do not rise from 0 to its number of links")]
    Offsets {
        /// The level, 0 for the lowest.
        level: usize,
    },
    /// A link leads to a node that does not exist.
    #[error("level {level} links to node {neighbor}, which does not exist")]
    Neighbor {
        /// The level, 0 for the lowest.
        level: usize,
        /// Where the link leads.
        neighbor: u32,
    },
    /// The nodes of a level are none, not ascending, or do not exist.
    #[error("the nodes of level {level} are not some of the nodes in ascending order")]
    Nodes {
        /// The level, 1 or above.
        level: usize,
    },
    /// The entry point is not a node of the top level.
    #[error("the entry point {entry} is not a node of the top level")]
    Entry {
        /// The entry point.
        entry: u32,
    },
    /// The nodes to be scanned in each search are not ascending or do not exist.
    #[error("the list of unreachable nodes is not some of the nodes in ascending order")]
    Unreachable,
    /// The members of the nodes are not as many lists as there are nodes.
    #[error("the members of the graph are not one list of keys for each node")]
    Members,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three nodes in a row; node 1 is alone on level 1.
    fn links() -> Links {
        Links {
            entry: 1,
            base: Adjacency::from_lists([vec![1], vec![0, 2], vec![1]]),
            upper: vec![UpperLevel {
                nodes: vec![1].into(),
                links: Adjacency::from_lists([vec![]]),
            }],
        }
    }

    #[test]
    fn lists_come_back_as_they_were_laid_out() {
        let links = links();
        assert_eq!(links.check(3), Ok(()));
        let lists = [0, 1, 2].map(|node| links.base_neighbors(node).to_vec());
        assert_eq!(lists, [vec![1], vec![0, 2], vec![1]]);
        assert!(links.upper[0].neighbors(1).is_empty());
        assert!(links.upper[0].neighbors(2).is_empty());
    }

    #[test]
    fn each_defect_is_named() {
        struct Case {
            damage: fn(&mut Links),
            expected: LinksDefect,
        }
        let cases = [
            Case {
                damage: |links| links.base.offsets.owned_mut()[1] = 4,
                expected: LinksDefect::Offsets { level: 0 },
            },
            Case {
                damage: |links| links.base.offsets.owned_mut()[3] = 3,
                expected: LinksDefect::Offsets { level: 0 },
            },
            Case {
                damage: |links| links.base.neighbors.owned_mut()[0] = 3,
                expected: LinksDefect::Neighbor { level: 0, neighbor: 3 },
            },
            Case {
                damage: |links| links.upper[0].nodes.owned_mut()[0] = 3,
                expected: LinksDefect::Nodes { level: 1 },
            },
            Case {
                damage: |links| links.upper[0].nodes = Vec::new().into(),
                expected: LinksDefect::Nodes { level: 1 },
            },
            Case { damage: |links| links.entry = 0, expected: LinksDefect::Entry { entry: 0 } },
        ];
        for case in cases {
            let mut links = links();
            (case.damage)(&mut links);
            assert_eq!(links.check(3), Err(case.expected));
        }
    }
}
