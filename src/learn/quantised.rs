//! Rows as bytes, with what is needed to know how far a product of bytes may be off.

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::vector::{ByteRows, ROW_BYTES_MAX, ROW_UNIT};

/// Rows, each rounded to multiples of a 127th of its greatest magnitude.
///
/// Of two rows `x` and `y` that were rounded to `x'` and `y'`, by Cauchy and Schwarz
/// `|x y - x' y'| <= |x - x'| |y| + |x'| |y - y'|`: the bound needs no assumption on the data.
pub(super) struct Quantised {
    bytes: Vec<i8>,
    stride: usize,
    pub(super) scales: Vec<f32>,
    /// Length of what rounding took from each row.
    pub(super) errors: Vec<f32>,
    /// Length of each rounded row.
    pub(super) lengths: Vec<f32>,
}

impl Quantised {
    /// Rounds the rows; `None` for rows too long for a product of bytes. Costs O(n d).
    pub(super) fn new(rows: ArrayView2<'_, f32>) -> Option<Self> {
        let stride = rows.ncols().next_multiple_of(ROW_UNIT);
        if stride > ROW_BYTES_MAX {
            return None;
        }
        let mut bytes = vec![0_i8; rows.nrows() * stride];
        let rounded: Vec<[f32; 3]> = bytes
            .par_chunks_mut(stride)
            .zip(rows.outer_iter())
            .map(|(bytes, row)| round(row.iter().copied(), bytes))
            .collect();
        let of = |at: usize| rounded.iter().map(|numbers| numbers[at]).collect();
        let (scales, errors, lengths) = (of(0), of(1), of(2));
        Some(Self { bytes, stride, scales, errors, lengths })
    }

    /// The bytes of all rows.
    pub(super) fn rows(&self) -> ByteRows<'_> {
        ByteRows::new(&self.bytes, self.stride)
    }
}

/// Rounds a row, and returns its scale, the length of the error and of the rounded row: both a
/// little enlarged, so that rounding of these sums themselves is covered.
fn round(row: impl Iterator<Item = f32> + Clone, bytes: &mut [i8]) -> [f32; 3] {
    let greatest = row.clone().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    let scale = greatest / 127.0;
    if !scale.is_normal() {
        // Nothing is left of a row of zeros, or of numbers too small to divide by.
        return [0.0, greatest * bytes.len() as f32, 0.0];
    }
    let (mut error, mut length) = (0.0_f64, 0.0_f64);
    for (byte, value) in bytes.iter_mut().zip(row) {
        let rounded = (value / scale).round().clamp(-127.0, 127.0);
        *byte = rounded as i8;
        let rounded = f64::from(rounded * scale);
        error += (f64::from(value) - rounded).powi(2);
        length += rounded.powi(2);
    }
    [scale, error.sqrt() as f32 * 1.00001, length.sqrt() as f32 * 1.00001]
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::planted::random_rows;
    use super::*;
    use crate::vector::ByteKernel;

    #[test]
    fn products_are_off_by_no_more_than_the_bound() {
        let mut rows = random_rows(40, 130, 3);
        rows.row_mut(3).fill(0.0);
        rows[(4, 7)] = 40.0;
        rows.row_mut(5).fill(1e-43);
        rows[(5, 0)] = 0.0;
        let mut tightest = f32::INFINITY;
        let quantised = Quantised::new(rows.view()).unwrap();
        for (a, b) in (0..40).flat_map(|a| (0..40).map(move |b| (a, b))) {
            let bytes = quantised.rows();
            let product = ByteKernel::detect().dot(bytes.row(a), bytes.row(b)) as f32;
            let (a, b) = (a as usize, b as usize);
            let found = product * quantised.scales[a] * quantised.scales[b];
            let length = |row: usize| rows.row(row).dot(&rows.row(row)).sqrt();
            let bound =
                quantised.errors[a] * length(b) + quantised.lengths[a] * quantised.errors[b];
            let error = (found - rows.row(a).dot(&rows.row(b))).abs();
            assert!(error <= bound + 1e-5, "{a} {b}: {error} {bound}");
            tightest = tightest.min(bound / error.max(1e-6));
        }
        assert!(tightest < 20.0, "the bound says something: {tightest}");
    }

    #[test]
    fn rows_too_long_for_bytes_are_left_alone() {
        assert!(Quantised::new(Array2::zeros((1, ROW_BYTES_MAX + 1)).view()).is_none());
    }
}
