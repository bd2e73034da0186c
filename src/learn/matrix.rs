//! What the learners share: input checks, seeded random streams, blocked products,
//! projection, distance.

use std::ops::Range;

use linfa::Float;
use linfa_nn::distance::Distance;
use ndarray::{Array2, ArrayView, ArrayView1, ArrayView2, Axis, Dimension, s};
use rand::{Rng, RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::error::{LearnError, Result};

/// The generator of every random draw here; unlike `StdRng` its output is fixed for all time.
pub(super) type Random = Xoshiro256PlusPlus;

/// Rows in one parallel block. Fixed, never by thread count, so that sums come out the same
/// on any machine size; 256 rows of 1280 columns are 1.3 MB and stay in a second-level
/// cache.
pub(super) const BLOCK_ROWS: usize = 256;

/// Returns the random stream number `index` of `seed`.
///
/// The seed goes through the generator once before the index is mixed in: `seed_from_u64`
/// steps by a fixed constant, so nearby plain sums of seed and index could give shifted
/// copies of one stream.
pub(super) fn stream(seed: u64, index: u64) -> Random {
    let mixed = Random::seed_from_u64(seed).next_u64();
    Random::seed_from_u64(mixed ^ index)
}

/// Checks that there is at least one row and one column, and all values. Costs O(n d).
pub(super) fn check_rows(rows: ArrayView2<'_, f32>) -> Result<()> {
    if rows.is_empty() {
        return Err(LearnError::EmptyInput { rows: rows.nrows(), columns: rows.ncols() });
    }
    rows.outer_iter().enumerate().try_for_each(|(number, row)| check_row(number, row))
}

/// Checks the values of one row: finite, and too small for any sum of squares to overflow,
/// on which linfa panics.
pub(super) fn check_row(number: usize, row: ArrayView1<'_, f32>) -> Result<()> {
    const MAX: f32 = 1e6;
    // NaN is in no range.
    match row.iter().position(|value| !(-MAX..=MAX).contains(value)) {
        Some(column) => Err(LearnError::ValueOutOfRange { row: number, column, max: MAX }),
        None => Ok(()),
    }
}

/// Checks that a list goes row by row with the matrix.
pub(super) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(LearnError::LengthMismatch { what, expected, found })
}

/// Splits `0..rows` into blocks of [`BLOCK_ROWS`], in order.
pub(super) fn blocks(rows: usize) -> impl IndexedParallelIterator<Item = Range<usize>> {
    (0..rows.div_ceil(BLOCK_ROWS))
        .into_par_iter()
        .map(move |block| block * BLOCK_ROWS..rows.min((block + 1) * BLOCK_ROWS))
}

/// Returns `left * right^T`, computed in parallel over blocks of rows of `left`.
pub(super) fn product(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut result = Array2::zeros((left.nrows(), right.nrows()));
    result
        .axis_chunks_iter_mut(Axis(0), BLOCK_ROWS)
        .into_par_iter()
        .zip(blocks(left.nrows()))
        .for_each(|(mut block, range)| {
            block.assign(&left.slice(s![range, ..]).dot(&right.t()));
        });
    result
}

/// Projects the rows to `columns` dimensions by a random matrix of plus and minus ones.
///
/// Squared distances keep their expectation, with a relative standard deviation of about
/// `sqrt(2 / columns)`: D. Achlioptas, "Database-friendly random projections" (2003).
pub(super) fn project(rows: ArrayView2<'_, f32>, columns: usize, seed: u64) -> Array2<f32> {
    let mut random = stream(seed, 0);
    let unit = 1.0 / (columns as f32).sqrt();
    let signs = Array2::from_shape_simple_fn((columns, rows.ncols()), || {
        if random.r#gen() { unit } else { -unit }
    });
    product(rows, signs.view())
}

/// Draws `amount` different row numbers, in ascending order; all of them if there are no more.
pub(super) fn sample_rows(rows: usize, amount: usize, seed: u64) -> Vec<usize> {
    if amount >= rows {
        return (0..rows).collect();
    }
    let mut random = stream(seed, 1);
    let mut chosen = rand::seq::index::sample(&mut random, rows, amount).into_vec();
    chosen.sort_unstable();
    chosen
}

/// Euclidean distance that the compiler can vectorise.
///
/// linfa's own `L2Dist` adds in strict order, one value at a time; sixteen independent sums
/// are 2.4 times faster at 128 columns and 5 times at 1280 (release build without target features).
#[derive(Clone, Debug)]
pub(super) struct LaneDistance;

impl<F: Float> Distance<F> for LaneDistance {
    fn distance<D: Dimension>(&self, a: ArrayView<'_, F, D>, b: ArrayView<'_, F, D>) -> F {
        self.rdistance(a, b).sqrt()
    }

    fn rdistance<D: Dimension>(&self, a: ArrayView<'_, F, D>, b: ArrayView<'_, F, D>) -> F {
        match (a.as_slice(), b.as_slice()) {
            (Some(a), Some(b)) => squared_distance(a, b),
            _ => (&a - &b).mapv(|difference| difference * difference).sum(),
        }
    }

    fn rdist_to_dist(&self, rdist: F) -> F {
        rdist.sqrt()
    }

    fn dist_to_rdist(&self, dist: F) -> F {
        dist * dist
    }
}

fn squared_distance<F: Float>(a: &[F], b: &[F]) -> F {
    const LANES: usize = 16;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [F::zero(); LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
            let difference = a - b;
            *sum += difference * difference;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| (a - b) * (a - b));
    sums.into_iter().chain(rest).fold(F::zero(), |sum, term| sum + term)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::super::planted::random_rows;
    use super::*;

    #[test]
    fn empty_and_non_finite_and_huge_rows_are_refused() {
        let empty = Array2::<f32>::zeros((0, 4));
        assert!(matches!(
            check_rows(empty.view()),
            Err(LearnError::EmptyInput { rows: 0, columns: 4 })
        ));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 2e6, -2e6] {
            let rows = array![[0.0, 1.0, 2.0], [3.0, bad, bad]];
            assert!(matches!(
                check_rows(rows.view()),
                Err(LearnError::ValueOutOfRange { row: 1, column: 1, .. })
            ));
        }
    }

    #[test]
    fn streams_repeat_and_neighbors_share_no_values() {
        let values = |seed, index| {
            let mut random = stream(seed, index);
            (0..8).map(|_| random.next_u64()).collect::<Vec<u64>>()
        };
        assert_eq!(values(7, 3), values(7, 3));
        for (seed, index) in [(7, 4), (8, 3), (3, 7)] {
            let other = values(seed, index);
            assert!(values(7, 3).iter().all(|value| !other.contains(value)), "{seed} {index}");
        }
    }

    #[test]
    fn product_equals_one_dot_at_a_time() {
        for (left, right, columns) in [(1, 1, 1), (3, 5, 17), (257, 2, 9), (513, 33, 40)] {
            let a = random_rows(left, columns, 1);
            let b = random_rows(right, columns, 2);
            let product = product(a.view(), b.view());
            for ((row, column), &value) in product.indexed_iter() {
                let expected = a.row(row).dot(&b.row(column));
                assert!((value - expected).abs() < 1e-5, "{row} {column}: {value} {expected}");
            }
        }
    }

    #[test]
    fn lane_distance_equals_a_plain_sum_at_every_length() {
        for length in 1..70 {
            let rows = random_rows(2, length, length as u64);
            let plain: f32 =
                rows.row(0).iter().zip(rows.row(1)).map(|(a, b)| (a - b).powi(2)).sum();
            let fast = LaneDistance.rdistance(rows.row(0), rows.row(1));
            assert!((plain - fast).abs() < 1e-5, "length {length}: {plain} {fast}");
            let strided: [Array1<f32>; 2] =
                [0, 1].map(|row| rows.row(row).iter().flat_map(|&value| [value, 9.0]).collect());
            let slow =
                LaneDistance.rdistance(strided[0].slice(s![..;2]), strided[1].slice(s![..;2]));
            assert!((plain - slow).abs() < 1e-5, "strided, length {length}: {plain} {slow}");
        }
    }

    #[test]
    fn projection_keeps_squared_distances_within_four_deviations() {
        let rows = random_rows(40, 1280, 5);
        let short = project(rows.view(), 128, 6);
        for a in 0..40 {
            for b in 0..a {
                let before = LaneDistance.rdistance(rows.row(a), rows.row(b));
                let after = LaneDistance.rdistance(short.row(a), short.row(b));
                assert!((after / before - 1.0).abs() < 0.5, "{a} {b}: {before} {after}");
            }
        }
    }

    #[test]
    fn sampled_rows_are_different_and_ascending() {
        let sample = sample_rows(1000, 100, 3);
        assert_eq!(sample.len(), 100);
        assert!(sample.windows(2).all(|pair| pair[0] < pair[1]));
        assert_ne!(sample, sample_rows(1000, 100, 4));
        assert_eq!(sample_rows(3, 100, 3), [0, 1, 2]);
    }
}
