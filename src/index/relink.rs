//! Links to the nodes that a finished graph does not reach.

use std::collections::HashMap;

use super::audit::finds_itself;
use super::codes::QueryCodes;
use super::graph::{Adjacency, Links};
use super::{GraphIndex, VectorIndex, VectorSet};

/// Links each lost node from one that a walk towards it does reach, and puts those that are not
/// found even so on the list that each search scans.
///
/// A walk ends when it has gone on from all candidates it keeps. So whichever of them gets the
/// link, the same walk finds the lost node. No node gets more than [`EXTRA_MAX`] links, so that
/// many copies of one image hang together in a tree instead of on one node.
pub(super) fn relink(graph: GraphIndex, vectors: &VectorSet, lost: Vec<u32>) -> GraphIndex {
    if lost.is_empty() {
        return graph;
    }
    let mut extra: HashMap<u32, Vec<u32>> = HashMap::new();
    for &node in &lost {
        let query = QueryCodes::encode(vectors.row(node));
        let mut found = graph.walk_reachable(&query, graph.ef()).unwrap_or_default();
        found.sort_unstable();
        let has_room = |target: &u32| extra.get(target).map_or(0, Vec::len) < EXTRA_MAX;
        // Nodes linked before are good targets, too: copies would otherwise run out of them.
        let chained = found.first().and_then(|best| last_of_chain(&extra, best.node));
        let targets = found.iter().map(|neighbor| neighbor.node).chain(chained);
        if let Some(target) = targets.filter(|&target| target != node).find(has_room) {
            extra.entry(target).or_default().push(node);
        }
    }
    let tuning = graph.tuning().clone();
    let links = graph.links();
    let lists = (0..graph.len() as u32).map(|node| {
        let mut list = links.base_neighbors(node).to_vec();
        list.extend(extra.get(&node).into_iter().flatten());
        list
    });
    let (entry, upper) = (links.entry, links.upper.clone());
    let links = Links { entry, base: Adjacency::from_lists(lists), upper };
    let graph = GraphIndex::new(graph.codes().clone(), links, tuning);
    let still_lost = lost.into_iter().filter(|&node| !finds_itself(&graph, vectors, node));
    let still_lost = still_lost.collect();
    graph.with_unreachable(still_lost)
}

/// The end of the chain of extra links that starts at a node.
fn last_of_chain(extra: &HashMap<u32, Vec<u32>>, node: u32) -> Option<u32> {
    let next = |node: &u32| extra.get(node).and_then(|links| links.last().copied());
    std::iter::successors(next(&node), next).take(CHAIN_MAX).last()
}

/// Links that a node gets beyond its usual ones.
pub(super) const EXTRA_MAX: usize = 8;

/// Links followed to find the end of a chain.
const CHAIN_MAX: usize = 1 << 20;
