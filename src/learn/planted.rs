//! Rows with planted clusters, for the tests of the learners.

use ndarray::Array2;
use rand::Rng;

use super::matrix::stream;

/// Returns `clusters * each` normalised rows around as many random centers, and the center
/// of each row.
///
/// Row `i` belongs to center `i % clusters`. `noise` is the length of the random part; two
/// centers are about 1.4 apart.
pub(super) fn planted(
    clusters: usize,
    each: usize,
    columns: usize,
    noise: f32,
    seed: u64,
) -> (Array2<f32>, Vec<usize>) {
    let centers = random_rows(clusters, columns, seed);
    let owners: Vec<usize> = (0..clusters * each).map(|row| row % clusters).collect();
    let mut rows = random_rows(owners.len(), columns, seed + 1) * noise;
    for (mut row, &owner) in rows.outer_iter_mut().zip(&owners) {
        row += &centers.row(owner);
    }
    (normalised(rows), owners)
}

/// Returns rows of length 1 in random directions.
pub(super) fn random_rows(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut random = stream(seed, 9);
    // A sum of four uniform values is round enough to have no preferred direction.
    let mut value = || (0..4).map(|_| random.gen_range(-1.0..1.0_f32)).sum::<f32>();
    normalised(Array2::from_shape_simple_fn((rows, columns), &mut value))
}

/// Runs a computation on pools of one and of four threads and returns both results.
pub(super) fn on_one_and_four_threads<T: Send>(compute: impl Fn() -> T + Sync) -> (T, T) {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started").install(&compute)
    };
    (run(1), run(4))
}

fn normalised(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    rows
}
