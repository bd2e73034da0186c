//! Making the graph with `hnsw_rs`, the only place that knows that crate, and freezing it.
//!
//! What we learned about `hnsw_rs` 0.3.5 and hold to here: points are inserted in random order,
//! because bursts in order leave up to a fifth of them unreachable; the first ones serially,
//! because inserting into an empty graph races; the distance is our own, because the one it has
//! panics on rounding. Its own search takes one hop per upper level and its dump has no checksum,
//! so neither is used.

use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::prelude as hnsw;

use super::Builder;
use super::links::{Adjacency, Links, UpperLevel};
use crate::index::VectorSet;
use crate::vector::Kernel;

/// A graph under construction. It holds a copy of every vector inserted.
pub(in crate::index) struct Construction<'a> {
    vectors: &'a VectorSet,
    graph: hnsw::Hnsw<'static, f32, CosineDistance>,
    inserted: usize,
}

impl<'a> Construction<'a> {
    /// An empty graph over `vectors` with up to `links_max` links per node and level, twice as
    /// many on level 0.
    pub(in crate::index) fn new(
        vectors: &'a VectorSet,
        links_max: usize,
        ef_construction: usize,
    ) -> Self {
        let distance = CosineDistance(Kernel::detect());
        let hint = vectors.len().max(1);
        let graph = hnsw::Hnsw::new(links_max, hint, LEVELS_MAX, ef_construction, distance);
        Self { vectors, graph, inserted: 0 }
    }

    fn point(&self, node: u32) -> (&'a [f32], usize) {
        (self.vectors.row(node), node as usize)
    }
}

impl Builder for Construction<'_> {
    /// Inserts in parallel once there is a graph to speak of.
    ///
    /// Serially, and so on a pool of one thread, the graph depends on the order of nodes alone.
    /// In parallel it also depends on timing.
    fn insert(&mut self, nodes: &[u32]) {
        let serial = SERIAL_NODES.saturating_sub(self.inserted).min(nodes.len());
        let (first, rest) = nodes.split_at(serial);
        for &node in first {
            self.graph.insert_slice(self.point(node));
        }
        let rest: Vec<_> = rest.iter().map(|&node| self.point(node)).collect();
        self.graph.parallel_insert_slice(&rest);
        self.inserted += nodes.len();
    }

    fn freeze(&self) -> Links {
        let mut base = vec![Vec::new(); self.vectors.len()];
        let mut upper: Vec<Vec<(u32, Vec<u32>)>> = vec![Vec::new(); LEVELS_MAX - 1];
        let mut entry = 0;
        for level in 0..LEVELS_MAX {
            let points = self.graph.get_point_indexation().get_layer_iterator(level);
            for (rank, point) in points.enumerate() {
                let node = point.get_origin_id() as u32;
                // The first node of the top level is where `hnsw_rs` enters, too.
                entry = if rank == 0 { node } else { entry };
                // A point also remembers a link on levels above its own: those are no members.
                let mut lists = point.get_neighborhood_id().into_iter();
                base[node as usize] = link_list(0, lists.next());
                for (above, list) in (1..=level).zip(lists) {
                    upper[above - 1].push((node, link_list(above, Some(list))));
                }
            }
        }
        let upper = upper.into_iter().filter(|members| !members.is_empty());
        Links { entry, base: Adjacency::from_lists(base), upper: upper.map(upper_level).collect() }
    }
}

/// The nodes a point links to on `level`, without those that do not live that high: the former
/// top node keeps one link to the newcomer that rose above it, and is linked back.
fn link_list(level: usize, links: Option<Vec<hnsw::Neighbour>>) -> Vec<u32> {
    let links = links.unwrap_or_default().into_iter();
    let members = links.filter(|link| usize::from(link.p_id.0) >= level);
    members.map(|link| link.d_id as u32).collect()
}

fn upper_level(mut members: Vec<(u32, Vec<u32>)>) -> UpperLevel {
    members.sort_unstable_by_key(|(node, _)| *node);
    let (nodes, lists): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    let links = Adjacency::from_lists(lists);
    UpperLevel { nodes: nodes.into(), links }
}

/// 1 - cosine, never below 0: `hnsw_rs` asserts that, and rounding alone can break it.
#[derive(Clone, Copy)]
struct CosineDistance(Kernel);

impl Distance<f32> for CosineDistance {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - self.0.dot(a, b)).max(0.0)
    }
}

/// The most levels `hnsw_rs` makes. With 16 links a node rises to the last with chance 16^-15.
pub(in crate::index) const LEVELS_MAX: usize = 16;

/// Nodes inserted one by one at first. Points inserted at the same time do not see each other, so
/// many threads must not meet in a graph of few points.
const SERIAL_NODES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::fixture;

    #[test]
    fn frozen_graph_is_sound_and_links_every_node() {
        let vectors = fixture::clusters(30, 3000, 16, 0.5, 5);
        let mut construction = Construction::new(&vectors, 8, 50);
        let nodes: Vec<u32> = (0..3000).collect();
        fixture::on_one_thread(|| construction.insert(&nodes));
        let links = construction.freeze();
        assert_eq!(links.check(3000), Ok(()));
        let level = &links.upper[0];
        let is_member = |node: &u32| level.nodes.binary_search(node).is_ok();
        assert!(level.nodes.len() > 200);
        assert!(level.links.neighbors.iter().all(is_member));
        assert!(level.nodes.iter().all(|&node| !level.neighbors(node).is_empty()));
        let top = links.upper.last().expect("several levels");
        assert!(top.links.neighbors.iter().all(|node| top.nodes.contains(node)));
        assert!(nodes.iter().all(|&node| !links.base_neighbors(node).is_empty()));
    }

    #[test]
    fn nodes_not_inserted_yet_are_linked_from_nowhere() {
        let vectors = fixture::clusters(10, 500, 16, 0.5, 5);
        let mut construction = Construction::new(&vectors, 8, 50);
        construction.insert(&(100..500).collect::<Vec<_>>());
        let links = construction.freeze();
        assert_eq!(links.check(500), Ok(()));
        assert!(links.base.neighbors.iter().all(|&neighbor| neighbor >= 100));
        assert!((0..100).all(|node| links.base_neighbors(node).is_empty()));
    }

    #[test]
    fn on_one_thread_the_order_of_nodes_decides_the_graph() {
        let vectors = fixture::clusters(10, 600, 16, 0.5, 5);
        let build = || {
            let mut construction = Construction::new(&vectors, 8, 50);
            construction.insert(&(0..600).collect::<Vec<_>>());
            construction.freeze()
        };
        assert_eq!(fixture::on_one_thread(build), fixture::on_one_thread(build));
    }

    #[test]
    fn graph_of_nothing_is_sound() {
        let vectors = crate::index::VectorSetBuilder::new(4).finish();
        assert_eq!(Construction::new(&vectors, 8, 50).freeze().check(0), Ok(()));
    }
}
