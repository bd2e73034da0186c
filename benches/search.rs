//! Exact scan against graph walk on synthetic embeddings, at the sizes between which to choose.
//!
//! `cargo bench --bench search` builds graphs over 1,000 and 10,000 vectors; with
//! `LOOKALIKE_BENCH_LARGE=1` also over 50,000, which takes minutes. What is not a time per query
//! (build time, recall, width) goes to standard error.

#![allow(missing_docs, reason = "the macro of criterion makes a public function")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use lookalike::index::{
    BuildProgress, ExactIndex, GraphIndex, GraphParameters, Neighbor, VectorIndex, VectorSet,
    VectorSetBuilder, build_graph, recall,
};
use lookalike::vector::{Embedding, Kernel};
use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

const DIMENSION: usize = 1280;
const QUERIES: usize = 200;
const K: usize = 10;

fn search(criterion: &mut Criterion) {
    let large = std::env::var_os("LOOKALIKE_BENCH_LARGE").is_some();
    for len in [1_000, 10_000, 50_000] {
        if len < 50_000 || large {
            compare(criterion, len);
        }
    }
}

fn compare(criterion: &mut Criterion, len: usize) {
    let (vectors, queries) = World::new(1).photos(len);
    let exact = ExactIndex::new(Arc::clone(&vectors));
    let graph = build(vectors);
    report(&graph, &exact, &queries);
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    let mut group = criterion.benchmark_group(format!("{len} x {DIMENSION}, k {K}"));
    let mut time = |name: &str, search: &(dyn Fn(&[f32]) -> Vec<Neighbor> + Sync)| {
        let mut turn = queries.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(search(turn.next().expect("cycles never end"))));
        });
    };
    let scan = |query: &[f32]| exact.search(query, K, None).expect("a valid query");
    time("exact, all threads", &scan);
    time("exact, 1 thread", &|query| alone.install(|| scan(query)));
    time("graph, 1 thread", &|query| graph.search(query, K, None).expect("a valid query"));
}

fn build(vectors: Arc<VectorSet>) -> GraphIndex {
    let started = Instant::now();
    let go_on = |_: BuildProgress| ControlFlow::Continue(());
    let graph = build_graph(vectors, GraphParameters::default(), &go_on).expect("a graph");
    eprintln!("{} vectors: built in {:.1} s", graph.len(), started.elapsed().as_secs_f64());
    graph
}

fn report(graph: &GraphIndex, exact: &ExactIndex, queries: &[Vec<f32>]) {
    let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
    let fresh =
        recall(|query| graph.search(query, K, None), exact, &queries, K).expect("valid queries");
    eprintln!(
        "kernel {}, ef {}, recall at build {:.4}, on new photos {:.4}, unreachable {}",
        Kernel::detect().name(),
        graph.ef(),
        graph.recall().recall(),
        fresh.recall(),
        graph.unreachable().len(),
    );
}

/// Photos as cameras make them: topics, in each of them bursts, in each burst near-copies. They
/// vary in few directions, like embeddings of real photos, with a little noise in all.
struct World {
    random: Xoshiro256PlusPlus,
    directions: Vec<Vec<f32>>,
    topics: Vec<Vec<f32>>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let directions = (0..48).map(|_| normals(&mut random, DIMENSION)).collect();
        let topics = (0..200).map(|_| normals(&mut random, 48)).collect();
        Self { random, directions, topics }
    }

    /// `len` photos, and queries from bursts of which the set knows nothing or other photos.
    fn photos(mut self, len: usize) -> (Arc<VectorSet>, Vec<Vec<f32>>) {
        let mut builder = VectorSetBuilder::new(DIMENSION);
        let mut queries = Vec::new();
        let mut added = 0;
        while added < len {
            let mut burst = self.burst();
            if queries.len() < QUERIES {
                queries.extend(burst.pop());
            }
            for photo in burst.iter().take(len - added) {
                builder.push(photo).expect("a unit vector");
                added += 1;
            }
        }
        (Arc::new(builder.finish()), queries)
    }

    fn burst(&mut self) -> Vec<Vec<f32>> {
        let topic = self.random.gen_range(0..self.topics.len());
        let photos = [1, 1, 1, 2, 3, 5, 8, 12][self.random.gen_range(0..8)];
        let topic = self.topics[topic].clone();
        let scene = self.near(&topic, 0.7);
        (0..photos).map(|_| self.photo(&scene)).collect()
    }

    fn photo(&mut self, scene: &[f32]) -> Vec<f32> {
        let place = self.near(scene, 0.1);
        let mut photo: Vec<f32> = normals(&mut self.random, DIMENSION);
        photo.iter_mut().for_each(|value| *value *= 0.3);
        for (direction, weight) in self.directions.iter().zip(place) {
            for (value, step) in photo.iter_mut().zip(direction) {
                *value += weight * step;
            }
        }
        Embedding::normalize(photo).expect("a direction").as_slice().to_vec()
    }

    fn near(&mut self, point: &[f32], distance: f32) -> Vec<f32> {
        let offset = normals(&mut self.random, point.len());
        point.iter().zip(offset).map(|(value, step)| value + distance * step).collect()
    }
}

/// Nearly normal numbers: sums of twelve uniform ones.
fn normals(random: &mut Xoshiro256PlusPlus, count: usize) -> Vec<f32> {
    let normal = |_| (0..12).map(|_| random.gen_range(-0.5f32..0.5)).sum();
    (0..count).map(normal).collect()
}

criterion_group!(benches, search);
criterion_main!(benches);
