//! A graph that has grown old: newer nodes are scanned beside it, and those that went are left out.

use std::sync::Arc;

use super::exact::ExactIndex;
use super::neighbor::TopK;
use super::{GraphFile, IndexError, Neighbor, NodeFilter, VectorIndex, VectorSet};

/// A graph over most of the vectors of today, and an exact scan of the rest.
///
/// Nodes are those of today's vectors; the graph's own are translated by their keys. So new
/// vectors are found as soon as they are there, and the graph is built again only when it
/// [`PatchedGraph::is_worn`].
#[derive(Debug)]
pub struct PatchedGraph {
    file: Arc<GraphFile>,
    exact: ExactIndex,
    /// Today's node of each node of the graph, if it still has one.
    today: Vec<Option<u32>>,
    /// Today's nodes that the graph lacks, ascending.
    delta: Vec<u32>,
    /// The graph's own nodes that are left, if some are gone.
    left: Option<NodeFilter>,
    gone: usize,
}

impl PatchedGraph {
    /// Lays a graph over today's vectors, of which `node_of` gives the node of a key. Linear.
    pub fn new(
        file: Arc<GraphFile>,
        vectors: Arc<VectorSet>,
        node_of: impl Fn(u64) -> Option<u32>,
    ) -> Self {
        let nodes = 0..file.graph.len() as u32;
        let today = nodes.map(|node| file.members.keys(node).iter().find_map(|&key| node_of(key)));
        let today: Vec<Option<u32>> = today.collect();
        let mut is_linked = NodeFilter::none(vectors.len());
        today.iter().flatten().for_each(|&node| is_linked.insert(node));
        let delta = (0..vectors.len() as u32).filter(|&node| !is_linked.contains(node)).collect();
        let gone = today.iter().filter(|node| node.is_none()).count();
        let is_left = |node: u32| today[node as usize].is_some();
        let left = (gone > 0).then(|| NodeFilter::from_predicate(today.len(), is_left));
        Self { file, exact: ExactIndex::new(vectors), today, delta, left, gone }
    }

    /// The graph and its members.
    pub fn file(&self) -> &GraphFile {
        &self.file
    }

    /// The number of vectors that came after the graph was built: each search scans them.
    pub fn delta_len(&self) -> usize {
        self.delta.len()
    }

    /// Whether the graph links today's vectors and no others.
    pub fn is_current(&self) -> bool {
        self.delta.is_empty() && self.gone == 0
    }

    /// Whether a new graph pays.
    pub fn is_worn(&self) -> bool {
        self.file.is_worn_by(self.delta.len(), self.gone)
    }

    /// A filter in the graph's own nodes.
    fn translate(&self, filter: &NodeFilter) -> NodeFilter {
        let passes =
            |node: u32| self.today[node as usize].is_some_and(|node| filter.contains(node));
        NodeFilter::from_predicate(self.today.len(), passes)
    }
}

impl GraphFile {
    /// Whether a new graph pays when so many vectors came and went: the scan beside this one takes
    /// longer than the walk, or walks spend a fourth of their way on nodes that are gone.
    pub fn is_worn_by(&self, came: usize, went: usize) -> bool {
        let len = self.graph.len();
        came > DELTA_MAX.max(len / DELTA_PART) || went > len / 4
    }
}

impl VectorIndex for PatchedGraph {
    fn len(&self) -> usize {
        self.exact.len()
    }

    fn dimension(&self) -> usize {
        self.exact.dimension()
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Result<Vec<Neighbor>, IndexError> {
        self.exact.check(query, filter)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let translated = filter.map(|filter| self.translate(filter));
        let passing = translated.as_ref().or(self.left.as_ref());
        let mut top = TopK::new(k);
        for Neighbor { node, score } in self.file.graph.search(query, k, passing)? {
            if let Some(node) = self.today[node as usize] {
                top.offer(Neighbor { node, score });
            }
        }
        let passes = |node: &u32| filter.is_none_or(|filter| filter.contains(*node));
        self.exact.scan_nodes(query, self.delta.iter().copied().filter(passes), &mut top);
        Ok(top.take_sorted())
    }
}

/// Newer vectors that are scanned beside any graph: by estimate about as long as a few walks.
const DELTA_MAX: usize = 2_000;

/// Beside a large graph, this part of it may be newer: building takes minutes there.
const DELTA_PART: usize = 20;

#[cfg(test)]
mod tests {
    use super::super::{GraphParameters, Members, fixture};
    use super::*;
    use proptest::prelude::*;

    /// Vectors 0..`all` of which those that `in_graph` were there when the graph was built, and
    /// those that `in_set` are there now. Keys are their numbers.
    fn patched(
        all: &VectorSet,
        in_graph: impl Fn(u32) -> bool,
        in_set: impl Fn(u32) -> bool,
    ) -> (PatchedGraph, Vec<u32>) {
        let subset = |keep: &dyn Fn(u32) -> bool| {
            let mut builder = super::super::VectorSetBuilder::new(all.dimension());
            let kept: Vec<u32> = (0..all.len() as u32).filter(|&number| keep(number)).collect();
            for &number in &kept {
                builder.push(all.row(number)).expect("a unit vector");
            }
            (builder.finish(), kept)
        };
        let (old, old_numbers) = subset(&in_graph);
        let parameters =
            GraphParameters { links_max: 8, ef_construction: 40, ..Default::default() };
        let graph = fixture::graph(old, parameters);
        let keys = old_numbers.iter().map(|&number| [u64::from(number)]);
        let file = Arc::new(GraphFile::new(graph, Members::new(keys, Vec::new())));
        let (now, numbers) = subset(&in_set);
        let node_of = |key: u64| numbers.binary_search(&(key as u32)).ok().map(|node| node as u32);
        (PatchedGraph::new(file, Arc::new(now), node_of), numbers)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Whatever came and went: the answers are those of the scan of what is there.
        #[test]
        fn answers_are_about_the_vectors_of_today(
            fates in prop::collection::vec(0u8..8, 400), k in 0usize..30, step in 1u32..40
        ) {
            let all = fixture::clusters(40, 400, 16, 0.5, 9);
            let was = |number: u32| fates[number as usize] < 6;
            let is = |number: u32| fates[number as usize] > 1;
            let (index, numbers) = patched(&all, was, is);
            let new = (0..400).filter(|&number| is(number) && !was(number)).count();
            prop_assert_eq!(index.delta_len(), new);
            let filter = NodeFilter::from_predicate(numbers.len(), |node| node % step == 0);
            for filter in [None, Some(&filter)] {
                let passing = filter.map_or(numbers.len(), NodeFilter::count);
                let query = fixture::unit(16, u64::from(step));
                let found = index.search(&query, k, filter).expect("an answer");
                prop_assert_eq!(found.len(), k.min(passing));
                prop_assert!(found.is_sorted_by(|a, b| a < b), "sorted and distinct");
                let expected = index.exact.scan(&query, k, filter);
                for (found, expected) in found.iter().zip(&expected) {
                    prop_assert!((found.score - expected.score).abs() < 1.0e-3);
                    prop_assert!(filter.is_none_or(|filter| filter.contains(found.node)));
                    let score = crate::vector::dot(&query, index.exact.vectors().row(found.node));
                    prop_assert!((score - found.score).abs() < 1.0e-3, "the score of another node");
                }
            }
        }
    }

    #[test]
    fn a_graph_wears_out_by_what_came_and_by_what_went() {
        let all = fixture::clusters(300, 3000, 8, 0.5, 9);
        let (current, _) = patched(&all, |_| true, |_| true);
        assert!(current.is_current() && !current.is_worn());
        let (grown, _) = patched(&all, |number| number < 1100, |_| true);
        assert!(!grown.is_current() && !grown.is_worn());
        let (grown, _) = patched(&all, |number| number < 900, |_| true);
        assert!(grown.is_worn());
        let (shrunk, _) = patched(&all, |_| true, |number| number < 2000);
        assert!(shrunk.is_worn());
    }
}
