//! Whether rows that are alike under one network are also alike under another.

use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

use super::error::Result;
use super::matrix::{blocks, check_length, check_rows, sample_rows};

/// Rows that are compared with each other, so that the cost is bounded.
const SAMPLE_ROWS: usize = 4096;

/// How far two spaces agree.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Rows that were compared.
    pub images: usize,
    /// Correlation (Pearson) of the cosines of all pairs, -1 to 1; `None` where one space has the
    /// same cosine for all.
    pub correlation: Option<f64>,
    /// Share of the nearest neighbors in one space that are nearest neighbors in the other, 0 to 1.
    pub neighbor_overlap: f64,
    /// How many neighbors of each row.
    pub neighbors: usize,
    /// Pairs of rows by their cosines: those of the left space fall into [`JOINT_BINS`] rows and those
    /// of the right one into as many columns, from -1 to 1.
    #[serde(skip)]
    pub joint: Vec<u32>,
}

/// Steps of the cosine in [`Agreement::joint`].
pub const JOINT_BINS: usize = 128;

/// Compares the similarities of the same rows in two spaces, whose dimensions may differ.
///
/// Looks at no more than 4096 rows, drawn by `seed`, and at the `neighbors` nearest of each.
/// N. Kriegeskorte and others, "Representational similarity analysis" (2008). Costs O(n^2 d).
///
/// # Errors
///
/// [`super::LearnError::LengthMismatch`], [`super::LearnError::EmptyInput`],
/// [`super::LearnError::ValueOutOfRange`].
pub fn agreement(
    left: ArrayView2<'_, f32>,
    right: ArrayView2<'_, f32>,
    neighbors: usize,
    seed: u64,
) -> Result<Agreement> {
    check_rows(left)?;
    check_rows(right)?;
    check_length("rows of the other space", left.nrows(), right.nrows())?;
    let sample = sample_rows(left.nrows(), SAMPLE_ROWS, seed);
    let (left, right) = (left.select(Axis(0), &sample), right.select(Axis(0), &sample));
    let neighbors = neighbors.min(sample.len().saturating_sub(1));
    let sums: Vec<(Moments, usize, Vec<u32>)> = blocks(sample.len())
        .map(|block| {
            let cosines =
                [&left, &right].map(|rows| rows.slice(s![block.clone(), ..]).dot(&rows.t()));
            let (mut moments, mut shared) = (Moments::default(), 0);
            let mut joint = vec![0_u32; JOINT_BINS * JOINT_BINS];
            for (row, at) in block.zip(0..) {
                let [a, b] = [&cosines[0], &cosines[1]].map(|cosines| cosines.row(at));
                for other in row + 1..sample.len() {
                    moments.add(f64::from(a[other]), f64::from(b[other]));
                    joint[bin(a[other]) * JOINT_BINS + bin(b[other])] += 1;
                }
                let [a, b] = [a, b].map(|cosines| nearest(row, cosines, neighbors));
                shared += a.iter().filter(|other| b.contains(other)).count();
            }
            (moments, shared, joint)
        })
        .collect();
    let mut moments = Moments::default();
    let mut joint = vec![0; JOINT_BINS * JOINT_BINS];
    for (part, _, counts) in &sums {
        moments.merge(part);
        joint.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    let shared: usize = sums.iter().map(|(_, shared, _)| shared).sum();
    Ok(Agreement {
        images: sample.len(),
        correlation: moments.correlation(),
        neighbor_overlap: shared as f64 / (neighbors * sample.len()).max(1) as f64,
        neighbors,
        joint,
    })
}

fn bin(cosine: f32) -> usize {
    (((cosine + 1.0) / 2.0 * JOINT_BINS as f32) as usize).min(JOINT_BINS - 1)
}

/// The nearest other rows.
fn nearest(row: usize, cosines: ndarray::ArrayView1<'_, f32>, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cosines.len()).filter(|&other| other != row).collect();
    let by_cosine = |a: &usize, b: &usize| cosines[*b].total_cmp(&cosines[*a]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_cosine);
    }
    order.truncate(count);
    order
}

/// Sums from which a correlation follows.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Moments {
    fn add(&mut self, a: f64, b: f64) {
        self.merge(&Self { count: 1.0, a, b, aa: a * a, bb: b * b, ab: a * b });
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.a += other.a;
        self.b += other.b;
        self.aa += other.aa;
        self.bb += other.bb;
        self.ab += other.ab;
    }

    fn correlation(&self) -> Option<f64> {
        let covariance = self.count * self.ab - self.a * self.b;
        let variances = [(self.aa, self.a), (self.bb, self.b)]
            .map(|(squares, sum)| self.count * squares - sum * sum);
        // Rounding of 32-bit cosines.
        let is_spread = variances.iter().all(|variance| *variance > 1e-10 * self.count.powi(2));
        is_spread.then(|| (covariance / (variances[0] * variances[1]).sqrt()).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn space_agrees_with_itself_turned_and_not_with_another() {
        let (rows, _) = planted(8, 40, 20, 0.6, 3);
        let mut turned = rows.clone();
        turned.invert_axis(Axis(1));
        let same = agreement(rows.view(), turned.view(), 10, 0).unwrap();
        assert!(same.correlation.unwrap() > 0.9999, "{same:?}");
        assert!(same.neighbor_overlap > 0.99, "{same:?}");
        assert_eq!((same.images, same.neighbors), (320, 10));
        assert_eq!(same.joint.iter().sum::<u32>(), 320 * 319 / 2);
        let is_diagonal = |at: usize| (at / JOINT_BINS).abs_diff(at % JOINT_BINS) <= 1;
        assert!(same.joint.iter().enumerate().all(|(at, n)| *n == 0 || is_diagonal(at)));
        let other = agreement(rows.view(), random_rows(320, 9, 5).view(), 10, 0).unwrap();
        assert!(other.correlation.unwrap().abs() < 0.05, "{other:?}");
        assert!(other.neighbor_overlap < 0.1, "{other:?}");
    }

    #[test]
    fn few_rows_and_equal_rows_have_an_answer() {
        let one = random_rows(1, 3, 1);
        let found = agreement(one.view(), one.view(), 10, 0).unwrap();
        assert_eq!((found.correlation, found.neighbor_overlap, found.neighbors), (None, 0.0, 0));
        let equal = Array2::from_elem((5, 3), 0.5);
        assert_eq!(agreement(equal.view(), equal.view(), 2, 0).unwrap().correlation, None);
    }
}
