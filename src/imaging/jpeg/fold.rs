//! Brings the coefficients of a block down to those of its box average.
//!
//! The average of `r` neighboring pixels of a cosine is the same cosine at the centre of the `r`,
//! times `sin(r a) / (r sin(a))`; sampled at the centres alone, cosines above the new limit look
//! like cosines below it. So each coefficient of 8 x 8 adds, with a weight, to one coefficient
//! of the reduced block, or to none, and the reduced block's own inverse transform gives the exact
//! average of the pixels.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use super::frame::Grid;

/// Row and column in the block of each coefficient, in the order of the file.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// For each coefficient, in zigzag order, where it goes and with what weight.
#[derive(Clone)]
pub(super) struct Fold {
    pub(super) targets: [Target; 64],
    /// The last coefficient with a weight.
    pub(super) last: usize,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Target {
    /// Row times columns plus column of the reduced block; below 64.
    pub(super) index: u32,
    /// The quantization step and the scale of the inverse transform included.
    pub(super) weight: f32,
}

impl Fold {
    /// Of coefficients quantized by `quantization`, in zigzag order, to a block of `samples`;
    /// those behind `last_kept` are left out.
    pub(super) fn new(samples: Grid, quantization: &[u16; 64], last_kept: usize) -> Self {
        let mut fold = Self { targets: [Target::default(); 64], last: 0 };
        for (index, target) in fold.targets.iter_mut().enumerate() {
            let (row, column) = (usize::from(ZIGZAG[index] / 8), usize::from(ZIGZAG[index] % 8));
            let (down, down_weight) = fold_one(row, samples.rows);
            let (across, across_weight) = fold_one(column, samples.columns);
            let weight = down_weight * across_weight * f64::from(quantization[index]);
            if weight != 0.0 && index <= last_kept {
                let index_target = (down * samples.columns + across) as u32;
                *target = Target { index: index_target, weight: weight as f32 };
                fold.last = index;
            }
        }
        fold
    }
}

/// Gives where frequency `frequency` of 8 samples appears among `count`, and its weight.
fn fold_one(frequency: usize, count: usize) -> (usize, f64) {
    if frequency == 0 {
        return (0, FRAC_1_SQRT_2 / 2.0);
    }
    let ratio = (8 / count) as f64;
    let angle = frequency as f64 * PI / 16.0;
    let weight = (ratio * angle).sin() / (ratio * angle.sin()) / 2.0;
    // The cosine at the centres has period 4 x count in the frequency, and is odd about count.
    match (frequency / count % 4, frequency % count) {
        (_, 0) => (0, 0.0),
        (0, rest) => (rest, weight),
        (1, rest) => (count - rest, -weight),
        (2, rest) => (rest, -weight),
        (_, rest) => (count - rest, weight),
    }
}

/// The inverse transform of a reduced block to samples, 0 to 255.
pub(super) struct Inverse {
    across: [[f32; 8]; 8],
    down: [[f32; 8]; 8],
}

impl Inverse {
    /// To blocks of `samples`, 1 to 8 each way.
    pub(super) fn new(samples: Grid) -> Self {
        Self { across: cosines(samples.columns), down: cosines(samples.rows) }
    }

    /// Transforms the first `COLUMNS` times `rows` of the coefficients, and calls `put` with each
    /// row of samples.
    #[inline(always)]
    pub(super) fn samples<const COLUMNS: usize>(
        &self,
        rows: usize,
        coefficients: &[f32; 64],
        mut put: impl FnMut(usize, [u8; COLUMNS]),
    ) {
        let mut half = [[0.0; COLUMNS]; 8];
        for (row, source) in half[..rows].iter_mut().zip(coefficients.chunks_exact(COLUMNS)) {
            for (value, cosines) in source.iter().zip(&self.across) {
                for (sum, cosine) in row.iter_mut().zip(cosines) {
                    *sum += value * cosine;
                }
            }
        }
        for y in 0..rows {
            // Grey is 128; half a step more, for the conversion cuts off.
            let mut sums = [128.5; COLUMNS];
            for (source, cosines) in half[..rows].iter().zip(&self.down) {
                for (sum, value) in sums.iter_mut().zip(source) {
                    *sum += value * cosines[y & 7];
                }
            }
            put(y, sums.map(|sum| sum as u8));
        }
    }
}

/// For each frequency, its cosine at each of `count` samples; 0 beyond.
fn cosines(count: usize) -> [[f32; 8]; 8] {
    let mut cosines = [[0.0; 8]; 8];
    for (frequency, row) in cosines[..count].iter_mut().enumerate() {
        for (sample, cosine) in row[..count].iter_mut().enumerate() {
            let angle = (2 * sample + 1) as f64 * frequency as f64 * PI / (2 * count) as f64;
            *cosine = angle.cos() as f32;
        }
    }
    cosines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The full inverse transform of one coefficient, then the average of each box.
    fn slow_average(samples: Grid, coefficient: usize) -> Vec<f64> {
        let (v, u) = (usize::from(ZIGZAG[coefficient] / 8), usize::from(ZIGZAG[coefficient] % 8));
        let basis = |position: usize, frequency: usize| {
            let scale = if frequency == 0 { FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
            scale * ((2 * position + 1) as f64 * frequency as f64 * PI / 16.0).cos()
        };
        let average = |at: usize, count: usize, frequency: usize| {
            let length = 8 / count;
            let sum: f64 = (at * length..(at + 1) * length).map(|x| basis(x, frequency)).sum();
            sum / length as f64
        };
        let rows = 0..samples.rows;
        rows.flat_map(|y| (0..samples.columns).map(move |x| (x, y)))
            .map(|(x, y)| average(x, samples.columns, u) * average(y, samples.rows, v))
            .collect()
    }

    fn folded<const COLUMNS: usize>(rows: usize) {
        let grid = Grid { columns: COLUMNS, rows };
        let inverse = Inverse::new(grid);
        let fold = Fold::new(grid, &[1; 64], 63);
        for coefficient in 0..64 {
            let Target { index, weight } = fold.targets[coefficient];
            let mut coefficients = [0.0; 64];
            coefficients[index as usize] = weight * 400.0;
            let mut samples = Vec::new();
            inverse.samples::<COLUMNS>(rows, &coefficients, |_, row| samples.extend(row));
            let slow = slow_average(grid, coefficient);
            for (fast, slow) in samples.iter().zip(slow) {
                let apart = f64::from(*fast) - (128.0 + 400.0 * slow);
                assert!(apart.abs() <= 0.501, "{COLUMNS} x {rows}, {coefficient}: {apart}");
            }
        }
    }

    #[test]
    fn only_the_first_coefficient_counts_for_the_average_of_a_whole_block() {
        assert_eq!(Fold::new(Grid { columns: 1, rows: 1 }, &[99; 64], 63).last, 0);
        assert_eq!(Fold::new(Grid { columns: 2, rows: 2 }, &[99; 64], 63).last, 63);
        assert_eq!(Fold::new(Grid { columns: 2, rows: 2 }, &[99; 64], 8).last, 6);
    }

    #[test]
    fn each_coefficient_alone_gives_the_box_average_of_its_pixels() {
        folded::<1>(1);
        folded::<2>(1);
        folded::<1>(2);
        folded::<2>(2);
        folded::<4>(2);
        folded::<2>(8);
        folded::<4>(4);
        folded::<8>(8);
    }
}
