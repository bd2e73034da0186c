//! The graph index: a frozen HNSW graph over a vector set, walked by our own searcher.
//!
//! Building is in `build`, its verification in `audit`, the file form in `snapshot`. This file
//! decides how to answer a search: by a walk where that is cheaper, by the exact scan otherwise.

mod construct;
mod links;
mod walk;

use std::sync::{Arc, Mutex, PoisonError};

use super::neighbor::TopK;
use super::{
    ExactIndex, GraphParameters, IndexError, Neighbor, NodeFilter, RecallReport, VectorIndex,
    VectorSet,
};
pub(super) use construct::{Construction, LEVELS_MAX};
pub use links::LinksDefect;
pub(super) use links::{Adjacency, Links, UpperLevel};
use walk::{Reach, Scorer, Walker};

/// An approximate index: a walk scores a few hundred to thousands of vectors instead of all.
///
/// Every node finds itself, because those that a walk cannot reach are listed when the graph is
/// built and scanned in each search. For other queries [`GraphIndex::recall`] says how many of
/// the ten nearest a walk found. A given graph and kernel answer a query always the same way.
#[derive(Debug)]
pub struct GraphIndex {
    exact: ExactIndex,
    links: Links,
    tuning: Tuning,
    /// The memory of walks that are not under way; as many as ever ran at the same time.
    walkers: Mutex<Vec<Walker>>,
}

/// What was chosen and measured when a graph was built.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tuning {
    pub(super) parameters: GraphParameters,
    pub(super) ef: usize,
    pub(super) recall: RecallReport,
    /// Nodes that a walk does not find, ascending.
    pub(super) unreachable: Vec<u32>,
}

impl Tuning {
    /// Before anything was measured.
    pub(super) fn unknown(parameters: GraphParameters, ef: usize) -> Self {
        let (recall, unreachable) = (RecallReport::unknown(0), Vec::new());
        Self { parameters, ef, recall, unreachable }
    }
}

impl GraphIndex {
    pub(super) fn new(exact: ExactIndex, links: Links, tuning: Tuning) -> Self {
        let walkers = Mutex::default();
        Self { exact, links, tuning, walkers }
    }

    /// The same graph with other nodes to scan in each search, ascending.
    pub(super) fn with_unreachable(mut self, nodes: Vec<u32>) -> Self {
        self.tuning.unreachable = nodes;
        self
    }

    /// The exact index over the same vectors, which answers what the graph would answer slowly.
    pub fn exact(&self) -> &ExactIndex {
        &self.exact
    }

    /// The vectors that the graph links.
    pub fn vectors(&self) -> &Arc<VectorSet> {
        self.exact.vectors()
    }

    /// How the graph was built.
    pub fn parameters(&self) -> &GraphParameters {
        &self.tuning.parameters
    }

    /// The number of candidates a walk keeps, chosen at build so that
    /// [`GraphIndex::recall`] reaches 0.99.
    pub fn ef(&self) -> usize {
        self.tuning.ef
    }

    /// The share of the ten nearest found, measured at build on vectors held out of the graph.
    pub fn recall(&self) -> &RecallReport {
        &self.tuning.recall
    }

    /// The nodes that each search scans because walks do not find them, ascending.
    pub fn unreachable(&self) -> &[u32] {
        &self.tuning.unreachable
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    pub(super) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Walks the graph and scans the unreachable nodes, for a query that has been checked.
    ///
    /// `None` if the walk scored more nodes than the exact scan would, or found fewer than `k`.
    pub(super) fn walk(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        filter: Option<&NodeFilter>,
    ) -> Option<Vec<Neighbor>> {
        let passes = |node| filter.is_none_or(|filter| filter.contains(node));
        let unreachable = &self.tuning.unreachable;
        let mut top = TopK::new(k);
        for neighbor in self.walk_reachable(query, ef, filter)? {
            if unreachable.binary_search(&neighbor.node).is_err() {
                top.offer(neighbor);
            }
        }
        let unreachable = unreachable.iter().copied();
        let passing = unreachable.filter(|&node| passes(node));
        self.exact.scan_nodes(query, passing, &mut top);
        let found = top.take_sorted();
        (found.len() == k).then_some(found)
    }

    pub(super) fn walk_reachable(
        &self,
        query: &[f32],
        ef: usize,
        filter: Option<&NodeFilter>,
    ) -> Option<Vec<Neighbor>> {
        let (vectors, kernel) = (self.vectors().as_ref(), self.exact.kernel());
        let scorer = Scorer { vectors, kernel, query };
        let scored_max = filter.map_or(self.len(), NodeFilter::count).max(ef);
        let reach = Reach { ef, scored_max };
        let mut walker = self.lock_walkers().pop().unwrap_or_default();
        let found = match filter {
            None => walker.walk(&self.links, scorer, reach, |_| true),
            Some(filter) => walker.walk(&self.links, scorer, reach, |node| filter.contains(node)),
        };
        self.lock_walkers().push(walker);
        found
    }

    /// The candidates to keep for `k` results. The tuned number holds for ten of them; for 100,
    /// this found 99.8 % where `max(ef, k)` found 99.3 % (5,000 x 1280, `ef` 48).
    fn ef_for(&self, k: usize) -> usize {
        self.tuning.ef.max(k.saturating_add(self.tuning.ef / 2))
    }

    /// Whether scoring the passing nodes costs less than a walk that keeps `ef` of them.
    ///
    /// A walk takes as long as scanning `ef` times [`ROWS_PER_CANDIDATE`] rows, and longer the
    /// rarer passing nodes are among those it meets.
    fn scan_is_cheaper(&self, passing: usize, ef: usize) -> bool {
        let (passing, len) = (passing as u128, self.len() as u128);
        passing * passing <= (ROWS_PER_CANDIDATE * ef) as u128 * len
    }

    fn lock_walkers(&self) -> std::sync::MutexGuard<'_, Vec<Walker>> {
        // A walker is pushed or popped whole, so a panic elsewhere leaves the list sound.
        self.walkers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VectorIndex for GraphIndex {
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
        let passing = filter.map_or(self.len(), NodeFilter::count);
        let k = k.min(passing);
        if k == 0 {
            return Ok(Vec::new());
        }
        let ef = self.ef_for(k);
        let walked =
            if self.scan_is_cheaper(passing, ef) { None } else { self.walk(query, k, ef, filter) };
        Ok(walked.unwrap_or_else(|| self.exact.scan(query, k, filter)))
    }
}

/// Rows that one thread scans in the time that a walk takes per candidate it keeps.
///
/// Measured at 20,000 x 1280 with `ef` 128 on a noisy 2-core Xeon, 2026-11: 12 to 21 without a
/// filter, and the walk fell behind the scan between one half and one quarter passing, which are
/// 39 and 10. One thread on both sides: a scan that takes all cores keeps other queries waiting.
const ROWS_PER_CANDIDATE: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::{VectorSetBuilder, build_graph, fixture, recall};
    use super::*;
    use crate::vector::Embedding;

    const PARAMETERS: GraphParameters =
        GraphParameters { links_max: 16, ef_construction: 100, seed: 3 };

    fn graph(vectors: VectorSet) -> GraphIndex {
        fixture::graph(vectors, PARAMETERS)
    }

    /// On all threads, and so different in each run.
    fn graph_in_parallel(vectors: VectorSet) -> GraphIndex {
        build_graph(Arc::new(vectors), PARAMETERS, &fixture::go_on).expect("a graph")
    }

    /// Forces the walk, however small the index is.
    fn walk(
        graph: &GraphIndex,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Option<Vec<Neighbor>> {
        graph.walk(query, k, graph.ef_for(k), filter)
    }

    #[test]
    fn every_vector_of_a_burst_finds_itself() {
        // Inserted burst by burst, hnsw_rs 0.3.5 loses a fifth of these points.
        for spread in [0.01, 0.08, 0.8] {
            let graph = graph_in_parallel(fixture::clusters(40, 4000, 64, spread, 11));
            println!("spread {spread}: ef {}, {:?}", graph.ef(), graph.unreachable().len());
            for node in 0..4000 {
                let row = graph.vectors().row(node);
                let found = walk(&graph, row, 1, None).expect("an answer");
                let own_score = graph.exact.kernel().dot(row, row);
                assert!(found[0].node == node || found[0].score >= own_score, "node {node}");
            }
        }
    }

    #[test]
    fn walk_finds_what_the_scan_finds() {
        // Half of the queries are like a burst, half lie between two bursts.
        let graph = graph(fixture::clusters(200, 4000, 32, 0.7, 12));
        let mix = |node: u32| {
            let other = match node % 2 {
                0 => fixture::unit(32, node.into()),
                _ => graph.vectors().row(3999 - 20 * node).to_vec(),
            };
            let row = graph.vectors().row(20 * node).iter();
            let sum = row.zip(&other).map(|(x, y)| x + 0.7 * y).collect();
            Embedding::normalize(sum).expect("a direction").as_slice().to_vec()
        };
        let queries: Vec<_> = (0..200).map(mix).collect();
        let hits: usize = queries
            .iter()
            .map(|query| {
                let exact = graph.exact.scan(query, 10, None);
                let found = walk(&graph, query, 10, None).expect("an answer");
                exact.iter().filter(|neighbor| found.contains(neighbor)).count()
            })
            .sum();
        assert!(hits >= 1960, "{hits} of 2000 with ef {}", graph.ef());
        assert!(graph.recall().recall() >= 0.99, "the promise of `ef`");
        let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
        let report = recall(&graph, &graph.exact, &queries, 10).expect("a report");
        assert_eq!((report.queries, report.wanted), (200, 2000));
        assert!(report.hits >= hits);
    }

    #[test]
    fn filtered_search_answers_in_full_whenever_it_can() {
        let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 13));
        for step in [1, 10, 100, 1000, 4001] {
            let passes = |node: u32| node % step == step - 1;
            let filter = NodeFilter::from_predicate(4000, passes);
            for k in [1, 10, 50] {
                let query = fixture::unit(32, u64::from(step));
                let found = graph.search(&query, k, Some(&filter)).expect("an answer");
                assert_eq!(found.len(), k.min(filter.count()), "1 in {step}, k {k}");
                assert!(found.iter().all(|neighbor| passes(neighbor.node)));
                assert!(found.is_sorted_by(|a, b| a < b), "sorted and distinct");
            }
        }
    }

    #[test]
    fn walk_under_a_filter_finds_what_the_scan_finds() {
        let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 13));
        let filter = NodeFilter::from_predicate(4000, |node| node % 2 == 0);
        for node in 0..100 {
            let query = graph.vectors().row(40 * node);
            let found = walk(&graph, query, 10, Some(&filter)).expect("an answer");
            assert_eq!(found, graph.exact.scan(query, 10, Some(&filter)));
        }
    }

    #[test]
    fn walk_that_finds_too_few_is_completed_by_the_scan() {
        // Of 3000 nodes only 30 are linked, so that a walk finds no more than these.
        let vectors = Arc::new(fixture::clusters(30, 3000, 16, 0.3, 19));
        let parameters = GraphParameters { links_max: 8, ..GraphParameters::default() };
        let mut construction = Construction::new(&vectors, 8, 50);
        construction.insert(&(0..30).collect::<Vec<_>>());
        let exact = ExactIndex::new(Arc::clone(&vectors));
        let tuning = Tuning::unknown(parameters, 50);
        let graph = GraphIndex::new(exact, construction.freeze(), tuning);
        let query = vectors.row(2999);
        assert!(graph.walk(query, 30, 50, None).is_some());
        assert_eq!(graph.walk(query, 31, 50, None), None);
        assert!(!graph.scan_is_cheaper(3000, graph.ef_for(31)), "the walk is tried first");
        let found = graph.search(query, 31, None).expect("an answer");
        assert_eq!(found, graph.exact.scan(query, 31, None));
    }

    #[test]
    fn filter_far_from_the_query_is_answered_by_the_scan() {
        let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 13));
        // The query sits in the first burst; only the last ten bursts pass.
        let filter = NodeFilter::from_predicate(4000, |node| node >= 3000);
        let query = graph.vectors().row(0);
        let found = graph.search(query, 10, Some(&filter)).expect("an answer");
        assert_eq!(found, graph.exact.scan(query, 10, Some(&filter)));
    }

    #[test]
    fn unreachable_nodes_are_found_by_scan_and_only_once() {
        let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 14));
        let graph = graph.with_unreachable(vec![5, 6, 7, 3999]);
        let query = graph.vectors().row(6).to_vec();
        let found = walk(&graph, &query, 10, None).expect("an answer");
        assert_eq!(found, graph.exact.scan(&query, 10, None));
        let filter = NodeFilter::from_predicate(4000, |node| node != 6);
        let found = walk(&graph, &query, 10, Some(&filter)).expect("an answer");
        assert!(found.iter().all(|neighbor| neighbor.node != 6));
    }

    #[test]
    fn searches_at_the_same_time_do_not_disturb_each_other() {
        let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 15));
        let answer = |node: u32| walk(&graph, graph.vectors().row(node), 10, None);
        let expected: Vec<_> = (0..200).map(answer).collect();
        std::thread::scope(|scope| {
            let run = || scope.spawn(|| (0..200).map(answer).collect::<Vec<_>>());
            for thread in [run(), run(), run()] {
                assert_eq!(thread.join().expect("no panic"), expected);
            }
        });
    }

    #[test]
    fn tiny_indexes_answer() {
        for len in [0, 1, 2, 25] {
            let graph = graph(fixture::clusters(len.max(1), len, 8, 0.3, 16));
            let query = fixture::unit(8, 1);
            for k in [0, 1, 30] {
                let expected = graph.exact.search(&query, k, None);
                assert_eq!(graph.search(&query, k, None), expected, "{len} nodes, k {k}");
            }
        }
        let empty = graph(VectorSetBuilder::new(3).finish());
        assert_eq!((empty.len(), empty.dimension(), empty.is_empty()), (0, 3, true));
    }

    #[test]
    fn walk_of_one_node_returns_it() {
        let graph = graph(fixture::clusters(1, 1, 8, 0.3, 16));
        let found = walk(&graph, graph.vectors().row(0), 1, None);
        assert_eq!(found.expect("an answer")[0].node, 0);
    }

    #[test]
    fn queries_that_cannot_be_scored_are_errors() {
        let graph = graph(fixture::clusters(3, 30, 2, 0.5, 17));
        let nan = graph.search(&[0.0, f32::NAN], 1, None);
        assert!(matches!(nan, Err(IndexError::NotFinite { component: 1, .. })));
        let expected = IndexError::DimensionMismatch { expected: 2, found: 0 };
        assert_eq!(graph.search(&[], 0, None), Err(expected));
    }

    #[test]
    fn many_near_copies_of_one_vector_lose_nobody() {
        // 500 vectors that differ in the last bits, and 1000 others.
        let mut builder = VectorSetBuilder::new(32);
        for (bursts, len, spread) in [(1, 500, 1.0e-6), (1000, 1000, 1.0)] {
            let part = fixture::clusters(bursts, len, 32, spread, 18);
            for node in 0..part.len() as u32 {
                builder.push(part.row(node)).expect("a unit vector");
            }
        }
        let graph = graph_in_parallel(builder.finish());
        println!("{} nodes, {} unreachable", graph.len(), graph.unreachable().len());
        for node in 0..graph.len() as u32 {
            let row = graph.vectors().row(node);
            let found = walk(&graph, row, 1, None).expect("an answer");
            assert!(found[0].score >= graph.exact.kernel().dot(row, row), "node {node}");
        }
    }
}
