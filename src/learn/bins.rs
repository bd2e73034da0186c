//! Features as small numbers: each column of a matrix cut into at most 256 bins.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::matrix::sample_rows;

/// Bins of one column: a code is a byte.
pub(super) const BINS_MAX: usize = 256;
/// Rows that the borders of the bins are drawn from.
const BORDER_ROWS_MAX: usize = 8192;

/// The bins of all rows, column by column.
pub(super) struct Bins {
    rows: usize,
    codes: Vec<u8>,
    /// Of each column the greatest value of each bin but the last, ascending.
    borders: Vec<Vec<f32>>,
}

impl Bins {
    /// Cuts each column so that its bins hold about equally many rows; a column of at most 256
    /// different values gets a bin for each. Costs O(n d log n) in parallel, and n d bytes.
    pub(super) fn new(rows: ArrayView2<'_, f32>, seed: u64) -> Self {
        let sample = sample_rows(rows.nrows(), BORDER_ROWS_MAX, seed);
        let mut codes = vec![0; rows.len()];
        let borders = codes
            .par_chunks_mut(rows.nrows().max(1))
            .zip(rows.axis_iter(Axis(1)))
            .map(|(codes, column)| {
                let borders = borders(sample.iter().map(|&row| column[row]).collect());
                for (code, value) in codes.iter_mut().zip(column) {
                    *code = borders.partition_point(|border| border < value) as u8;
                }
                borders
            })
            .collect();
        Self { rows: rows.nrows(), codes, borders }
    }

    /// Returns the bin of each row in a column.
    pub(super) fn column(&self, column: usize) -> &[u8] {
        &self.codes[column * self.rows..(column + 1) * self.rows]
    }

    /// Returns the value that parts the rows of a bin and those below from the rest: theirs are at
    /// most that.
    pub(super) fn border(&self, column: usize, bin: u8) -> f32 {
        self.borders[column][bin as usize]
    }

    /// Returns the number of columns.
    pub(super) fn columns(&self) -> usize {
        self.borders.len()
    }
}

/// At most 255 numbers between the values, each between two that differ.
fn borders(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let jumps = (1..values.len()).filter(|&at| values[at - 1] < values[at]);
    let mut jumps: Vec<usize> = jumps.collect();
    if jumps.len() >= BINS_MAX {
        let wanted = (1..BINS_MAX).map(|bin| bin * values.len() / BINS_MAX);
        let next = |rank: usize| jumps.get(jumps.partition_point(|&at| at < rank)).copied();
        let mut chosen: Vec<usize> = wanted.filter_map(next).collect();
        chosen.dedup();
        jumps = chosen;
    }
    jumps.into_iter().map(|at| between(values[at - 1], values[at])).collect()
}

/// A number in the middle of two, at least the lower and less than the upper one.
fn between(lower: f32, upper: f32) -> f32 {
    let middle = lower + (upper - lower) / 2.0;
    if middle < upper { middle } else { lower }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::super::planted::random_rows;
    use super::*;

    #[test]
    fn few_values_get_a_bin_each_and_borders_lie_between() {
        let bins = Bins::new(array![[3.0, 7.0], [1.0, 7.0], [3.0, 7.0], [2.0, 7.0]].view(), 0);
        assert_eq!(bins.column(0), [2, 0, 2, 1]);
        assert_eq!((bins.border(0, 0), bins.border(0, 1)), (1.5, 2.5));
        assert_eq!(bins.column(1), [0; 4]);
        assert_eq!(bins.columns(), 2);
    }

    #[test]
    fn many_values_share_bins_of_about_equal_size_in_their_order() {
        let rows = random_rows(5000, 2, 3);
        let bins = Bins::new(rows.view(), 0);
        for column in 0..2 {
            let codes = bins.column(column);
            let mut counts = [0; BINS_MAX];
            codes.iter().for_each(|&code| counts[code as usize] += 1);
            assert!(counts.iter().all(|count| (10..=30).contains(count)), "{counts:?}");
            for (row, &code) in codes.iter().enumerate() {
                let value = rows[(row, column)];
                assert!(code == 255 || value <= bins.border(column, code));
                assert!(code == 0 || value > bins.border(column, code - 1));
            }
        }
    }

    #[test]
    fn frequent_value_takes_a_bin_and_the_others_keep_theirs() {
        let rows = Array2::from_shape_fn(
            (4000, 1),
            |(row, _)| {
                if row % 2 == 0 { 0.0 } else { row as f32 }
            },
        );
        let bins = Bins::new(rows.view(), 0);
        let different = bins.column(0).iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(different > 120, "{different}");
    }
}
