//! What the learners share: input checks, seeded random streams, blocked products,
//! projection, distance.

use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};
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

/// Projects the rows to the `columns` directions in which they differ most, nearly; to fewer where
/// they lie in a space of fewer.
///
/// The directions come from random mixtures of the rows, sharpened by one pass over them: N. Halko,
/// P. Martinsson and J. Tropp, "Finding structure with randomness" (2011), algorithm 4.3. No
/// distance grows. Costs O(n d columns).
pub(super) fn project(rows: ArrayView2<'_, f32>, columns: usize, seed: u64) -> Array2<f32> {
    let mut random = stream(seed, 0);
    let signs = Array2::from_shape_simple_fn((columns, rows.nrows()), || {
        if random.r#gen() { 1.0 } else { -1.0 }
    });
    // In blocks of columns, so that all threads have some.
    let mixed = |weights: ArrayView2<'_, f32>| orthonormal(product(rows.t(), weights));
    let directions = mixed(signs.view());
    let directions = mixed(product(rows, directions.view()).t());
    product(rows, directions.view())
}

/// Makes the columns perpendicular to each other and of length 1, and returns them as rows; leaves
/// out those that depend on earlier ones.
fn orthonormal(columns: Array2<f32>) -> Array2<f32> {
    let rows = columns.t().as_standard_layout().into_owned();
    let mut basis = Array2::zeros((0, rows.ncols()));
    for row in rows.outer_iter() {
        let mut rest = row.to_owned();
        let before = row.dot(&row).sqrt();
        // Once more, because the first pass leaves the rounding of large parts.
        for _ in 0..2 {
            let parts = basis.dot(&rest);
            rest -= &parts.dot(&basis);
        }
        let length = rest.dot(&rest).sqrt();
        if length > 1e-4 * before {
            let pushed = basis.push_row((&rest / length).view());
            pushed.expect("a row of the matrix has its columns");
        }
    }
    basis
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

/// Returns the squared length of each row.
pub(super) fn squared_norms(rows: ArrayView2<'_, f32>) -> Vec<f32> {
    rows.outer_iter().map(|row| row.dot(&row)).collect()
}

/// Returns the squared Euclidean distance of two rows of equal length, by subtraction: without the
/// cancellation of the form with products.
///
/// Sixteen independent sums are what the compiler can vectorise: 2.4 times faster than one in
/// strict order at 128 columns, and 5 times at 1280 (release build without target features).
pub(super) fn squared_distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    match (a.as_slice(), b.as_slice()) {
        (Some(a), Some(b)) => squared_distance_of_slices(a, b),
        _ => a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum(),
    }
}

fn squared_distance_of_slices(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            let difference = a - b;
            *sum += difference * difference;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b));
    sums.into_iter().chain(rest).sum()
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
    fn squared_distance_equals_a_plain_sum_at_every_length() {
        for length in 1..70 {
            let rows = random_rows(2, length, length as u64);
            let plain: f32 =
                rows.row(0).iter().zip(rows.row(1)).map(|(a, b)| (a - b).powi(2)).sum();
            let fast = squared_distance(rows.row(0), rows.row(1));
            assert!((plain - fast).abs() < 1e-5, "length {length}: {plain} {fast}");
            let strided: [Array1<f32>; 2] =
                [0, 1].map(|row| rows.row(row).iter().flat_map(|&value| [value, 9.0]).collect());
            let slow = squared_distance(strided[0].slice(s![..;2]), strided[1].slice(s![..;2]));
            assert!((plain - slow).abs() < 1e-5, "strided, length {length}: {plain} {slow}");
        }
    }

    #[test]
    fn projection_keeps_the_distances_of_rows_that_differ_in_few_directions() {
        let directions = random_rows(6, 200, 1);
        let rows = random_rows(300, 6, 2).dot(&directions);
        let short = project(rows.view(), 32, 6);
        assert_eq!(short.dim(), (300, 6), "six directions are all there are");
        for a in 0..40 {
            for b in 0..a {
                let before = squared_distance(rows.row(a), rows.row(b));
                let after = squared_distance(short.row(a), short.row(b));
                assert!((after - before).abs() < 1e-4, "{a} {b}: {before} {after}");
            }
        }
    }

    #[test]
    fn projection_never_makes_a_distance_grow_and_finds_the_greatest_differences() {
        let mut rows = random_rows(60, 300, 5) * 0.1;
        let planted = random_rows(60, 4, 6);
        rows.slice_mut(s![.., ..4]).assign(&planted);
        let short = project(rows.view(), 8, 6);
        for a in 0..60 {
            for b in 0..a {
                let before = squared_distance(rows.row(a), rows.row(b));
                let after = squared_distance(short.row(a), short.row(b));
                assert!(after <= before + 1e-5, "{a} {b}: {before} {after}");
                let main = squared_distance(planted.row(a), planted.row(b));
                assert!(after > 0.9 * main - 0.01, "{a} {b}: {main} {after}");
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
