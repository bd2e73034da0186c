//! Seeded vectors for the tests of this module.

use std::ops::ControlFlow;
use std::sync::Arc;

use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

use super::{BuildProgress, GraphIndex, GraphParameters, VectorSet, VectorSetBuilder, build_graph};
use crate::vector::Embedding;

/// `bursts` random directions with `len / bursts` vectors each around them, burst by burst, as a
/// camera makes them. `spread` is the length of the random offset from the direction.
pub(super) fn clusters(
    bursts: usize,
    len: usize,
    dimension: usize,
    spread: f32,
    seed: u64,
) -> VectorSet {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut builder = VectorSetBuilder::new(dimension);
    let per_burst = len / bursts;
    for _ in 0..bursts.min(len) {
        let center = direction(&mut random, dimension);
        for _ in 0..per_burst.max(1) {
            let offset = direction(&mut random, dimension);
            let sum = center.iter().zip(&offset).map(|(c, o)| c + spread * o);
            let vector = Embedding::normalize(sum.collect()).expect("a direction");
            builder.push(vector.as_slice()).expect("a unit vector");
        }
    }
    builder.finish()
}

/// A graph over the vectors.
pub(super) fn graph(vectors: VectorSet, parameters: GraphParameters) -> GraphIndex {
    build_graph(Arc::new(vectors), parameters, &go_on).expect("a graph")
}

/// Runs `work` on a rayon pool of one thread.
pub(super) fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.expect("a pool").install(work)
}

/// The progress callback of a build that nobody watches.
pub(super) fn go_on(_: BuildProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// One random unit vector.
pub(super) fn unit(dimension: usize, seed: u64) -> Vec<f32> {
    direction(&mut Xoshiro256PlusPlus::seed_from_u64(seed), dimension)
}

/// A unit vector with four components of 1/2, so that dot products take few values.
pub(super) fn sparse_unit(dimension: usize, seed: u64) -> Vec<f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut vector = vec![0.0; dimension];
    for position in rand::seq::index::sample(&mut random, dimension, 4) {
        vector[position] = 0.5;
    }
    vector
}

/// Uniform on the sphere up to a bias that does not matter here: twelve uniforms make a normal.
fn direction(random: &mut Xoshiro256PlusPlus, dimension: usize) -> Vec<f32> {
    let normal = |_| (0..12).map(|_| random.gen_range(-0.5f32..0.5)).sum();
    let components = (0..dimension).map(normal).collect();
    let embedding = Embedding::normalize(components).expect("not zero");
    embedding.as_slice().to_vec()
}
