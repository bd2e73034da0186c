//! Our own construction of the graph, over flat arrays, on all cores and yet deterministic.
//!
//! Nodes come in batches. All nodes of a batch look for their neighbors at the same time in the
//! graph as it was before the batch; then the links are written in the order of their ends. What
//! a thread does never depends on what another has done meanwhile, so the number of threads and
//! their timing cannot change the graph. Neighbors are chosen for diversity (algorithm 4 of Malkov
//! and Yashunin, arXiv 1603.09320): a candidate that is nearer to a chosen one than to the node
//! adds no new way.

use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
use rayon::prelude::*;

use super::links::{Adjacency, Links, UpperLevel};
use super::pool::Candidate;
use super::walk::{Neighborhood, Reach, Scorer, Walker};
use super::{Builder, LEVELS_MAX};
use crate::index::codes::CodesView;
use crate::vector::ByteKernel;

/// A graph under construction.
pub(in crate::index) struct Weave<'a> {
    codes: CodesView<'a>,
    kernel: ByteKernel,
    links_max: usize,
    ef_construction: usize,
    entry: u32,
    top_level: usize,
    inserted: usize,
    base: Lists,
    /// The lists of a node on levels 1, 2, .. lie one after the other, from here on.
    upper_start: Vec<u32>,
    upper: Lists,
}

impl<'a> Weave<'a> {
    /// An empty graph over `codes` with up to `links_max` links per node and level, twice as many
    /// on level 0. The seed decides how high each node rises.
    pub(in crate::index) fn new(
        codes: CodesView<'a>,
        links_max: usize,
        ef_construction: usize,
        seed: u64,
    ) -> Self {
        let len = codes.scales.len();
        let levels = (0..len as u64).map(|node| level_of(node, links_max, seed));
        let mut upper_start = vec![0];
        let mut lists = 0;
        for level in levels {
            lists += level;
            upper_start.push(lists);
        }
        Self {
            codes,
            kernel: ByteKernel::detect(),
            links_max,
            ef_construction,
            entry: 0,
            top_level: 0,
            inserted: 0,
            base: Lists::new(len, 2 * links_max),
            upper: Lists::new(lists as usize, links_max),
            upper_start,
        }
    }

    fn level(&self, node: u32) -> usize {
        let node = node as usize;
        (self.upper_start[node + 1] - self.upper_start[node]) as usize
    }

    fn insert_batch(&mut self, batch: &[u32]) {
        let plans: Vec<Vec<Vec<u32>>> = batch
            .par_iter()
            .map_init(Walker::default, |walker, &node| self.plan(walker, node))
            .collect();
        for level in 0..=self.top_level {
            self.link(level, batch, &plans);
        }
        for &node in batch {
            if self.inserted == 0 || self.level(node) > self.top_level {
                (self.entry, self.top_level) = (node, self.level(node));
            }
            self.inserted += 1;
        }
    }

    /// The neighbors that a node wants, level 0 first.
    fn plan(&self, walker: &mut Walker, node: u32) -> Vec<Vec<u32>> {
        if self.inserted == 0 {
            return Vec::new();
        }
        let scorer = self.scorer(node);
        let highest = self.level(node).min(self.top_level);
        let start = walker.descend(self, scorer, self.entry, highest);
        let reach = Reach { ef: self.ef_construction, scored_max: usize::MAX };
        let mut starts = vec![start];
        let mut plan = vec![Vec::new(); highest + 1];
        for level in (0..=highest).rev() {
            let neighbors = |node| self.neighbors(level, node);
            let found = walker.walk_level(neighbors, scorer, &starts, reach, |_| true);
            starts = found.unwrap_or_default().to_vec();
            plan[level] = self.choose(node, &starts, self.links_max);
        }
        plan
    }

    /// Writes the links of a batch on one level, in both directions.
    fn link(&mut self, level: usize, batch: &[u32], plans: &[Vec<Vec<u32>>]) {
        let mut back = Vec::new();
        for (&node, plan) in batch.iter().zip(plans) {
            if let Some(list) = plan.get(level) {
                back.extend(list.iter().map(|&target| (target, node)));
                let place = self.place(level, node);
                self.lists(level).set(place, list);
            }
        }
        back.sort_unstable();
        let groups: Vec<&[(u32, u32)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
        let lists: Vec<(u32, Vec<u32>)> =
            groups.par_iter().map(|group| (group[0].0, self.extended(level, group))).collect();
        for (node, list) in lists {
            let place = self.place(level, node);
            self.lists(level).set(place, &list);
        }
    }

    /// The links of a node with those back to newcomers, or the best of both if they are too many.
    fn extended(&self, level: usize, back: &[(u32, u32)]) -> Vec<u32> {
        let node = back[0].0;
        let mut all = self.neighbors(level, node).to_vec();
        all.extend(back.iter().map(|&(_, newcomer)| newcomer));
        let links_max = if level == 0 { self.base.links_max } else { self.upper.links_max };
        if all.len() <= links_max {
            return all;
        }
        let scorer = self.scorer(node);
        let mut dots = Vec::with_capacity(all.len());
        self.kernel.dots(scorer.query, self.codes.rows, &all, &mut dots);
        let scored = all.iter().zip(&dots);
        let mut candidates: Vec<_> =
            scored.map(|(&node, &dot)| scorer.candidate(node, dot)).collect();
        candidates.sort_unstable();
        self.choose(node, &candidates, links_max)
    }

    /// Up to `links_max` of the candidates for a node, which come best first: those that are nearer
    /// to the node than to any chosen before.
    fn choose(&self, node: u32, candidates: &[Candidate], links_max: usize) -> Vec<u32> {
        let own_scale = self.codes.scales[node as usize];
        let mut chosen: Vec<u32> = Vec::with_capacity(links_max);
        for candidate in candidates {
            if chosen.len() == links_max {
                break;
            }
            let scorer = self.scorer(candidate.node());
            // A candidate's score lacks the scale of its query: here both sides lack the
            // candidate's own.
            let score = candidate.score() / self.codes.scales[candidate.node() as usize];
            let is_nearer = |&other: &u32| {
                let dot = self.kernel.dot(scorer.query, self.codes.rows.row(other));
                scorer.candidate(other, dot).score() >= score * own_scale
            };
            if candidate.node() != node && !chosen.iter().any(is_nearer) {
                chosen.push(candidate.node());
            }
        }
        chosen
    }

    fn scorer(&self, node: u32) -> Scorer<'a> {
        Scorer { codes: self.codes, kernel: self.kernel, query: self.codes.rows.row(node) }
    }

    fn neighbors(&self, level: usize, node: u32) -> &[u32] {
        let lists = if level == 0 { &self.base } else { &self.upper };
        lists.get(self.place(level, node))
    }

    fn place(&self, level: usize, node: u32) -> usize {
        match level {
            0 => node as usize,
            _ => self.upper_start[node as usize] as usize + level - 1,
        }
    }

    fn lists(&mut self, level: usize) -> &mut Lists {
        if level == 0 { &mut self.base } else { &mut self.upper }
    }
}

impl Builder for Weave<'_> {
    fn insert(&mut self, mut nodes: &[u32]) {
        while !nodes.is_empty() {
            let size = (self.inserted / BATCH_PART).clamp(1, BATCH_MAX).min(nodes.len());
            let (batch, rest) = nodes.split_at(size);
            self.insert_batch(batch);
            nodes = rest;
        }
    }

    fn freeze(&self) -> Links {
        let len = self.codes.scales.len() as u32;
        let base = Adjacency::from_lists((0..len).map(|node| self.base.get(node as usize)));
        let level = |level: usize| {
            let nodes: Vec<u32> = (0..len).filter(|&node| self.level(node) >= level).collect();
            let lists = nodes.iter().map(|&node| self.neighbors(level, node));
            let links = Adjacency::from_lists(lists);
            UpperLevel { nodes: nodes.into(), links }
        };
        Links { entry: self.entry, base, upper: (1..=self.top_level).map(level).collect() }
    }
}

impl Neighborhood for Weave<'_> {
    fn upper_levels(&self) -> usize {
        self.top_level
    }

    fn base(&self, node: u32) -> &[u32] {
        self.base.get(node as usize)
    }

    fn upper(&self, level: usize, node: u32) -> &[u32] {
        self.neighbors(level, node)
    }
}

/// Lists of at most `links_max` nodes each, in one array.
struct Lists {
    links_max: usize,
    lengths: Vec<u8>,
    nodes: Vec<u32>,
}

impl Lists {
    fn new(count: usize, links_max: usize) -> Self {
        Self { links_max, lengths: vec![0; count], nodes: vec![0; count * links_max] }
    }

    #[inline]
    fn get(&self, place: usize) -> &[u32] {
        &self.nodes[place * self.links_max..][..usize::from(self.lengths[place])]
    }

    fn set(&mut self, place: usize, list: &[u32]) {
        self.nodes[place * self.links_max..][..list.len()].copy_from_slice(list);
        self.lengths[place] = list.len() as u8;
    }
}

/// The highest level of a node: it rises from each to the next with chance 1 in `links_max`.
fn level_of(node: u64, links_max: usize, seed: u64) -> u32 {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ node.wrapping_mul(SPREAD));
    let one_in = links_max as u32;
    (0..LEVELS_MAX as u32 - 1).take_while(|_| random.gen_ratio(1, one_in)).count() as u32
}

/// An odd number with bits everywhere (2^64 over the golden ratio): seeds of neighbors differ.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A batch is this part of the nodes before it. Nodes of a batch do not see each other.
const BATCH_PART: usize = 32;

/// The longest batch: enough work for every core, and 1 % of the smallest set worth a graph.
const BATCH_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::codes::Codes;
    use crate::index::{VectorSet, fixture};

    fn weave(vectors: &VectorSet, threads: usize) -> Links {
        let codes = Codes::encode(vectors);
        let mut weave = Weave::new(codes.view(), 8, 50, 1);
        let nodes: Vec<u32> = (0..vectors.len() as u32).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool").install(|| weave.insert(&nodes));
        weave.freeze()
    }

    #[test]
    fn graph_does_not_depend_on_the_number_of_threads() {
        let vectors = fixture::clusters(30, 3000, 16, 0.5, 5);
        let alone = weave(&vectors, 1);
        assert_eq!(alone.check(3000), Ok(()));
        for threads in [2, 3, 8] {
            assert_eq!(weave(&vectors, threads), alone);
        }
    }

    #[test]
    fn links_are_few_sound_and_lead_everywhere() {
        let vectors = fixture::clusters(300, 3000, 16, 0.5, 5);
        let links = weave(&vectors, 2);
        let mut reached = vec![false; 3000];
        let mut frontier = vec![links.entry];
        while let Some(node) = frontier.pop() {
            if !std::mem::replace(&mut reached[node as usize], true) {
                assert!(links.base_neighbors(node).len() <= 16);
                assert!(!links.base_neighbors(node).contains(&node), "no link to itself");
                frontier.extend(links.base_neighbors(node));
            }
        }
        let lost = reached.iter().filter(|&&reached| !reached).count();
        assert!(lost <= 3, "{lost} of 3000 are not reached on level 0");
        let level = &links.upper[0];
        assert!((250..500).contains(&level.nodes.len()), "1 in 8: {}", level.nodes.len());
        let is_member = |node: &u32| level.nodes.binary_search(node).is_ok();
        assert!(level.links.neighbors.iter().all(is_member));
    }

    #[test]
    fn a_candidate_behind_a_chosen_one_is_not_chosen() {
        // Seen from node 0, node 2 lies behind node 1, and node 3 lies elsewhere.
        let mut builder = crate::index::VectorSetBuilder::new(2);
        for degrees in [0.0f32, 10.0, 25.0, -30.0] {
            let (sine, cosine) = degrees.to_radians().sin_cos();
            builder.push(&[cosine, sine]).expect("a unit vector");
        }
        let codes = Codes::encode(&builder.finish());
        let weave = Weave::new(codes.view(), 4, 10, 1);
        let scorer = weave.scorer(0);
        let dot = |node| weave.kernel.dot(scorer.query, codes.view().rows.row(node));
        let candidates: Vec<_> = [1, 2, 3].map(|node| scorer.candidate(node, dot(node))).into();
        assert!(candidates.is_sorted());
        assert_eq!(weave.choose(0, &candidates, 4), [1, 3]);
        assert_eq!(weave.choose(0, &candidates, 1), [1]);
    }

    #[test]
    fn nodes_not_inserted_yet_are_linked_from_nowhere() {
        let vectors = fixture::clusters(10, 500, 16, 0.5, 5);
        let codes = Codes::encode(&vectors);
        let mut weave = Weave::new(codes.view(), 8, 50, 1);
        weave.insert(&(100..500).collect::<Vec<_>>());
        let links = weave.freeze();
        assert_eq!(links.check(500), Ok(()));
        assert!(links.base.neighbors.iter().all(|&neighbor| neighbor >= 100));
        assert!((0..100).all(|node| links.base_neighbors(node).is_empty()));
    }

    #[test]
    fn graph_of_nothing_is_sound() {
        let vectors = crate::index::VectorSetBuilder::new(4).finish();
        assert_eq!(weave(&vectors, 1).check(0), Ok(()));
    }
}
