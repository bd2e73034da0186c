//! Vectors in twelve bits a component: a byte to walk by, and half a byte more to rank by.
//!
//! A component is `scale * (coarse + fine / 14)`, with a scale for each row. Walks and scans read
//! the coarse bytes alone, a quarter of what the components take as `f32`; only the last
//! candidates are ranked with all twelve bits. The dot products are sums of integers, so that
//! every processor ranks alike.

use rayon::prelude::*;

use super::VectorSet;
use super::array::Array;
use super::graph::Candidate;
use super::neighbor::Neighbor;
use crate::vector::{ByteKernel, ByteRows, ROW_UNIT};

/// The quantised rows of a set of vectors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Codes {
    dimension: usize,
    /// A row for each node, padded with zeros.
    pub(super) coarse: Array<i8>,
    /// What the coarse bytes leave over, two components to a byte.
    pub(super) fine: Array<u8>,
    /// The worth of a coarse step in each row.
    pub(super) scales: Array<f32>,
}

impl Codes {
    /// Quantises all rows, in parallel on the current rayon pool.
    pub(super) fn encode(vectors: &VectorSet) -> Self {
        let (dimension, len) = (vectors.dimension(), vectors.len());
        let stride = stride(dimension);
        let (mut coarse, mut fine) = (Array::zeros(len * stride), Array::zeros(len * stride / 2));
        let mut scales = vec![0.0; len];
        let rows = coarse.owned_mut().par_chunks_exact_mut(stride);
        let rows = rows.zip(fine.owned_mut().par_chunks_exact_mut(stride / 2));
        rows.zip(&mut scales).enumerate().for_each(|(node, ((coarse, fine), scale))| {
            *scale = encode_row(vectors.row(node as u32), coarse, fine);
        });
        Self { dimension, coarse, fine, scales: scales.into() }
    }

    /// Puts arrays together that are known to be of `scales.len()` rows of this dimension.
    pub(super) fn from_arrays(
        dimension: usize,
        coarse: Array<i8>,
        fine: Array<u8>,
        scales: Array<f32>,
    ) -> Self {
        let bytes = scales.len() * stride(dimension);
        assert_eq!((coarse.len(), fine.len()), (bytes, bytes / 2), "codes of another size");
        Self { dimension, coarse, fine, scales }
    }

    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// The arrays as slices, for one search.
    pub(super) fn view(&self) -> CodesView<'_> {
        let rows = ByteRows::new(&self.coarse, stride(self.dimension));
        CodesView { rows, fine: &self.fine, scales: &self.scales }
    }
}

/// The rows of [`Codes`], borrowed for a search.
#[derive(Debug, Clone, Copy)]
pub(super) struct CodesView<'a> {
    pub(super) rows: ByteRows<'a>,
    fine: &'a [u8],
    pub(super) scales: &'a [f32],
}

impl CodesView<'_> {
    /// The score of a node with all its bits: off by 1e-4 at most at 512 components (of 10,000
    /// pairs), by 2e-5 mostly.
    pub(super) fn score(
        &self,
        kernel: ByteKernel,
        query: &QueryCodes,
        node: u32,
        scratch: &mut Vec<i8>,
    ) -> Neighbor {
        let coarse = self.rows.row(node);
        let half = self.rows.stride() / 2;
        let fine = &self.fine[node as usize * half..][..half];
        scratch.resize(2 * half, 0);
        unpack(fine, scratch);
        let parts = |row: &[i8]| {
            let (high, low) = (kernel.dot(&query.high, row), kernel.dot(&query.low, row));
            f64::from(high) + f64::from(low) / f64::from(LOW_STEPS)
        };
        let sum = parts(coarse) + parts(scratch) / f64::from(FINE_STEPS);
        let scale = f64::from(self.scales[node as usize]) * f64::from(query.scale);
        Neighbor { node, score: (sum * scale) as f32 }
    }
}

/// A query in two bytes a component: `scale * (high + low / 254)`.
#[derive(Debug, Clone, Default)]
pub(super) struct QueryCodes {
    pub(super) high: Vec<i8>,
    low: Vec<i8>,
    pub(super) scale: f32,
}

impl QueryCodes {
    /// Quantises a query, which is a unit vector.
    pub(super) fn encode(query: &[f32]) -> Self {
        let stride = stride(query.len());
        let (mut high, mut low) = (vec![0; stride], vec![0; stride]);
        let scale = coarse_scale(query);
        let per_value = 1.0 / scale;
        for ((&value, high), low) in query.iter().zip(&mut high).zip(&mut low) {
            let steps = value * per_value;
            let whole = round(steps);
            *high = small(whole);
            *low = small(round((steps - whole) * LOW_STEPS));
        }
        Self { high, low, scale }
    }
}

/// How far two coarse scores of a query may be from the order of the true ones, in their unit.
///
/// Rounding moves each component of row and query by up to half a step, evenly: the variance of a
/// score is a twelfth of the two squared steps. Five deviations of the difference of two scores
/// are beyond what happens in a search.
pub(super) fn doubt(query: &QueryCodes, codes: CodesView<'_>, found: &[Candidate]) -> f32 {
    let steps = found.iter().map(|candidate| codes.scales[candidate.node() as usize]);
    let step = steps.fold(0.0f32, f32::max);
    let deviation = ((step * step + query.scale * query.scale) / 12.0).sqrt();
    5.0 * std::f32::consts::SQRT_2 * deviation / query.scale
}

/// The bytes of a row: a whole number of cache lines.
pub(super) fn stride(dimension: usize) -> usize {
    dimension.next_multiple_of(ROW_UNIT)
}

/// Steps of the fine part to a coarse one. The rest of a coarse step, half of it at most, takes
/// -7..=7 of them.
const FINE_STEPS: f32 = 14.0;

/// Steps of the low byte of a query to one of the high byte.
const LOW_STEPS: f32 = 254.0;

fn coarse_scale(row: &[f32]) -> f32 {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    largest.max(f32::MIN_POSITIVE) / 127.0
}

/// Writes the codes of a row and returns their scale, such that the decoded row has length 1.
fn encode_row(row: &[f32], coarse: &mut [i8], fine: &mut [u8]) -> f32 {
    let per_value = 1.0 / coarse_scale(row);
    let half = fine.len();
    fine.fill(FINE_ZERO | FINE_ZERO << 4);
    let mut squares = 0.0f64;
    for (position, &value) in row.iter().enumerate() {
        let steps = value * per_value;
        let whole = round(steps);
        let rest = round((steps - whole) * FINE_STEPS);
        coarse[position] = small(whole);
        let code = (small(rest) + FINE_ZERO as i8) as u8;
        let (place, shift) = if position < half { (position, 0) } else { (position - half, 4) };
        fine[place] = (fine[place] & !(0xf << shift)) | code << shift;
        squares += f64::from(whole + rest / FINE_STEPS).powi(2);
    }
    (1.0 / squares.sqrt()) as f32
}

/// The nearest whole number, for numbers far below 2^22.
///
/// Without an instruction set that has rounding, `f32::round` is a call: 1024 of them took as long
/// as scoring 400 rows. Adding 1.5 * 2^23 leaves no bits for a fraction, and vectorises.
#[inline]
fn round(value: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT) - SHIFT
}

/// A whole number in -127..=127 as a byte. Goes over `i32`, which vectorises.
#[inline]
fn small(whole: f32) -> i8 {
    whole as i32 as i8
}

/// How a fine part of 0 is stored: 4 bits hold -7..=7 as 1..=15.
const FINE_ZERO: u8 = 8;

/// The fine parts of a row. The first half of the components lies in the low bits.
fn unpack(fine: &[u8], out: &mut [i8]) {
    let (low, high) = out.split_at_mut(fine.len());
    for ((&byte, low), high) in fine.iter().zip(low).zip(high) {
        *low = (byte & 0xf) as i8 - FINE_ZERO as i8;
        *high = (byte >> 4) as i8 - FINE_ZERO as i8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::fixture;
    use crate::vector::dot;

    #[test]
    fn scores_are_off_by_less_than_the_documented_bound() {
        for (dimension, bound) in [(3, 1.0e-3), (65, 3.0e-4), (512, 1.2e-4), (1280, 1.0e-4)] {
            let vectors = fixture::clusters(100, 200, dimension, 1.0, 3);
            let codes = Codes::encode(&vectors);
            let mut largest = 0.0f32;
            for query in 0..50 {
                let query = fixture::unit(dimension, query);
                let coded = QueryCodes::encode(&query);
                for node in 0..vectors.len() as u32 {
                    let score = codes.view().score(ByteKernel::detect(), &coded, node, &mut vec![]);
                    let error = (score.score - dot(&query, vectors.row(node))).abs();
                    largest = largest.max(error);
                }
            }
            println!("{dimension} components: off by {largest:e} at most");
            assert!(largest < bound, "{dimension} components: {largest}");
        }
    }

    #[test]
    fn a_vector_scores_one_with_itself() {
        let vectors = fixture::clusters(10, 100, 130, 0.5, 4);
        let codes = Codes::encode(&vectors);
        for node in 0..100 {
            let query = QueryCodes::encode(vectors.row(node));
            let score = codes.view().score(ByteKernel::detect(), &query, node, &mut Vec::new());
            assert!((score.score - 1.0).abs() < 1.0e-5, "{}", score.score);
        }
    }

    #[test]
    fn every_kernel_gives_the_same_score() {
        let vectors = fixture::clusters(10, 20, 300, 0.5, 4);
        let codes = Codes::encode(&vectors);
        let query = QueryCodes::encode(&fixture::unit(300, 1));
        for node in 0..20 {
            let score = |kernel| codes.view().score(kernel, &query, node, &mut Vec::new()).score;
            let expected = score(ByteKernel::scalar());
            assert!(ByteKernel::available().into_iter().all(|kernel| score(kernel) == expected));
        }
    }

    #[test]
    fn largest_components_stay_within_a_byte() {
        let vectors = {
            let mut builder = crate::index::VectorSetBuilder::new(2);
            builder.push(&[1.0, 0.0]).expect("a unit vector");
            builder.push(&[-1.0, 0.0]).expect("a unit vector");
            builder.finish()
        };
        let codes = Codes::encode(&vectors);
        assert_eq!((codes.coarse[0], codes.coarse[64]), (127, -127));
        let query = QueryCodes::encode(&[-1.0, 0.0]);
        let score =
            |node| codes.view().score(ByteKernel::detect(), &query, node, &mut vec![]).score;
        assert_eq!((score(0), score(1)), (-1.0, 1.0));
    }
}
