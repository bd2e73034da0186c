//! The graph against the exact scan.

use std::ops::Deref;
use std::sync::Arc;

use super::super::{
    ExactIndex, GraphBuilder, VectorSet, VectorSetBuilder, build_graph, fixture, recall,
};
use super::*;
use crate::vector::Embedding;

const PARAMETERS: GraphParameters = GraphParameters {
    links_max: 16,
    ef_construction: 100,
    seed: 3,
    builder: GraphBuilder::Weave,
    recall_per_mille: 990,
};

/// Twelve bits of a component of 1/2 are 0.00014 apart: scores of 32 such are off by less.
const TOLERANCE: f32 = 5.0e-4;

/// A graph beside the exact index over the same vectors.
struct Pair {
    graph: GraphIndex,
    exact: ExactIndex,
}

impl Deref for Pair {
    type Target = GraphIndex;

    fn deref(&self) -> &GraphIndex {
        &self.graph
    }
}

impl Pair {
    fn vectors(&self) -> &VectorSet {
        self.exact.vectors()
    }

    /// Asserts that an answer is the exact one, up to the bits that codes lack.
    fn assert_exact(&self, query: &[f32], found: &[Neighbor], filter: Option<&NodeFilter>) {
        let expected = self.exact.scan(query, found.len(), filter);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let true_score = crate::vector::dot(query, self.vectors().row(found.node));
            assert!((true_score - expected.score).abs() < TOLERANCE, "{found:?} {expected:?}");
            assert!((true_score - found.score).abs() < TOLERANCE, "{found:?} {true_score}");
            assert!(filter.is_none_or(|filter| filter.contains(found.node)));
        }
    }
}

fn graph(vectors: VectorSet) -> Pair {
    let exact = ExactIndex::new(Arc::new(vectors));
    let vectors = Arc::clone(exact.vectors());
    let graph = build_graph(vectors, PARAMETERS, &fixture::go_on).expect("a graph");
    Pair { graph, exact }
}

/// Forces the walk, however small the index is.
fn walk(
    graph: &GraphIndex,
    query: &[f32],
    k: usize,
    filter: Option<&NodeFilter>,
) -> Option<Vec<Neighbor>> {
    graph.walk(&QueryCodes::encode(query), k, graph.ef_for(k), filter)
}

#[test]
fn every_vector_of_a_burst_finds_itself() {
    // Inserted burst by burst, hnsw_rs 0.3.5 loses a fifth of these points.
    for spread in [0.01, 0.08, 0.8] {
        let graph = graph(fixture::clusters(40, 4000, 64, spread, 11));
        println!("spread {spread}: ef {}, {:?}", graph.ef(), graph.unreachable().len());
        for node in 0..4000 {
            let row = graph.vectors().row(node);
            let found = walk(&graph, row, 1, None).expect("an answer");
            assert!(found[0].node == node || found[0].score >= 1.0 - TOLERANCE, "node {node}");
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
            let coded = QueryCodes::encode(query);
            let found = graph.walk(&coded, 10, 48, None).expect("an answer");
            let is_found = |wanted: &&Neighbor| found.iter().any(|n| n.node == wanted.node);
            exact.iter().filter(is_found).count()
        })
        .sum();
    assert!(hits >= 1960, "{hits} of 2000");
    assert!(graph.recall().recall() >= 0.99, "the promise of `ef`");
    let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
    let report = recall(|query| graph.graph.search(query, 10, None), &graph.exact, &queries, 10)
        .expect("a report");
    assert_eq!((report.queries, report.wanted), (200, 2000));
    assert!(report.hits >= 1800, "{report:?} with ef {}", graph.ef());
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
    let mut graph = graph(fixture::clusters(40, 4000, 32, 0.3, 13));
    // Wide enough to miss nothing, which the width of a build need not be.
    graph.graph = graph.graph.with_ef(64);
    let filter = NodeFilter::from_predicate(4000, |node| node % 2 == 0);
    for node in 0..100 {
        let query = graph.vectors().row(40 * node);
        let found = walk(&graph, query, 10, Some(&filter)).expect("an answer");
        graph.assert_exact(query, &found, Some(&filter));
    }
}

#[test]
fn walk_that_finds_too_few_is_completed_by_the_scan() {
    // Of 3000 nodes only 30 are linked, so that a walk finds no more than these.
    let exact = ExactIndex::new(Arc::new(fixture::clusters(30, 3000, 16, 0.3, 19)));
    let parameters = GraphParameters { links_max: 8, ..GraphParameters::default() };
    let codes = Codes::encode(exact.vectors());
    let mut weave = Weave::new(codes.view(), 8, 50, 1);
    weave.insert(&(0..30).collect::<Vec<_>>());
    let links = weave.freeze();
    let graph = GraphIndex::new(codes, links, Tuning::unknown(parameters, 50));
    let pair = Pair { graph, exact };
    let query = pair.vectors().row(2999);
    let coded = QueryCodes::encode(query);
    assert!(pair.walk(&coded, 30, 50, None).is_some());
    assert_eq!(pair.walk(&coded, 31, 50, None), None);
    assert!(!pair.scan_is_cheaper(3000, pair.ef_for(31)), "the walk is tried first");
    let found = pair.search(query, 31, None).expect("an answer");
    assert_eq!(found.len(), 31);
    pair.assert_exact(query, &found, None);
}

#[test]
fn filter_far_from_the_query_is_answered_by_the_scan() {
    let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 13));
    // The query sits in the first burst; only the last ten bursts pass.
    let filter = NodeFilter::from_predicate(4000, |node| node >= 3000);
    let query = graph.vectors().row(0);
    let found = graph.search(query, 10, Some(&filter)).expect("an answer");
    assert_eq!(found.len(), 10);
    graph.assert_exact(query, &found, Some(&filter));
}

#[test]
fn unreachable_nodes_are_found_by_scan_and_only_once() {
    let graph = graph(fixture::clusters(40, 4000, 32, 0.3, 14));
    let Pair { graph, exact } = graph;
    let graph = Pair { graph: graph.with_unreachable(vec![5, 6, 7, 3999]), exact };
    let query = graph.vectors().row(6).to_vec();
    let found = walk(&graph, &query, 10, None).expect("an answer");
    graph.assert_exact(&query, &found, None);
    assert!(found.is_sorted_by(|a, b| a < b), "sorted and distinct");
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
            let found = graph.search(&query, k, None).expect("an answer");
            assert_eq!(found.len(), k.min(len), "{len} nodes, k {k}");
            graph.assert_exact(&query, &found, None);
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
    let graph = graph(builder.finish());
    println!("{} nodes, {} unreachable", graph.len(), graph.unreachable().len());
    for node in 0..graph.len() as u32 {
        let row = graph.vectors().row(node);
        let found = walk(&graph, row, 1, None).expect("an answer");
        assert!(found[0].score >= 1.0 - TOLERANCE, "node {node}");
    }
}
