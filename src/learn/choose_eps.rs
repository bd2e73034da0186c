//! Chooses the radius of DBSCAN from the sorted distances of rows to their neighbors.

use ndarray::{ArrayView2, Axis, s};
use rayon::prelude::*;

use super::dbscan::check_min_points;
use super::error::Result;
use super::matrix::{blocks, check_rows, sample_rows};

/// Default `min_points` of DBSCAN: with two close companions a photo is the core of a
/// group.
///
/// The rules of the literature grow with the number of dimensions or rows (twice the
/// dimensions, the natural logarithm of the rows); photos come in small groups, and of 372
/// photos a core size of 6, their logarithm, leaves 4 groups where 3 finds 11.
pub const MIN_POINTS_DEFAULT: usize = 3;

/// Rows whose distances are measured, each to all rows.
const SAMPLE_ROWS: usize = 2048;
/// Height of a knee over the straight line, as a share of the curve, from which on it parts
/// clusters from noise.
const KNEE_MIN: f32 = 0.5;
/// Share of rows that become cores where the curve has no knee. Measured on 372 and 215
/// photos with `min_points` 3: 0.15 and 0.2 give groups of 70 to 90 % one kind; at 0.25
/// they begin to melt into one.
const CORE_SHARE: f32 = 0.2;
/// Smallest radius returned: rounding of 32-bit embeddings makes copies differ by less.
const EPS_MIN: f32 = 1e-3;

/// A chosen radius, and what it was chosen by.
#[derive(Clone, Debug, PartialEq)]
pub struct EpsChoice {
    /// The radius for [`super::dbscan()`], above 0.
    pub eps: f32,
    /// Whether the curve has a knee, that is, whether rows fall clearly into clusters and noise.
    pub has_knee: bool,
    /// Distances to the `min_points`-th neighbor (the row itself is the first): minimum,
    /// nine deciles, maximum.
    pub deciles: [f32; 11],
}

/// Chooses a radius for DBSCAN with this `min_points`.
///
/// The distances of rows to their `min_points`-th neighbor, sorted, are the curve of M.
/// Ester and others (1996): all rows up to a point of it become cores. Its knee is the
/// point furthest below the straight line from first to last, as in V. Satopaa and others,
/// "Finding a 'Kneedle' in a haystack" (2011). Embeddings of ordinary photos have no knee,
/// and any radius that makes most of them cores melts all into one cluster: then the radius
/// makes a fifth of the rows cores.
///
/// Measures at most 2048 rows, drawn by `seed`, against all: costs O(2048 n d).
///
/// # Errors
///
/// [`super::LearnError::MinPoints`] unless `2 <= min_points <= n`;
/// [`super::LearnError::EmptyInput`], [`super::LearnError::ValueOutOfRange`].
pub fn choose_eps(rows: ArrayView2<'_, f32>, min_points: usize, seed: u64) -> Result<EpsChoice> {
    check_rows(rows)?;
    check_min_points(min_points, rows.nrows())?;
    let curve = sorted_distances(rows, &sample_rows(rows.nrows(), SAMPLE_ROWS, seed), min_points);
    let knee = knee(&curve);
    let eps = knee.unwrap_or_else(|| quantile(&curve, CORE_SHARE));
    Ok(EpsChoice {
        eps: eps.max(EPS_MIN),
        has_knee: knee.is_some(),
        deciles: std::array::from_fn(|decile| quantile(&curve, decile as f32 / 10.0)),
    })
}

/// Distances of the sampled rows to their `min_points`-th neighbor, ascending.
fn sorted_distances(rows: ArrayView2<'_, f32>, sample: &[usize], min_points: usize) -> Vec<f32> {
    let squared_norms: Vec<f32> = rows.outer_iter().map(|row| row.dot(&row)).collect();
    let mut distances: Vec<f32> = blocks(sample.len())
        .flat_map_iter(|block| {
            let queries = &sample[block];
            let products = rows.select(Axis(0), queries).dot(&rows.t());
            let norms = &squared_norms;
            let nth = |(position, &query): (usize, &usize)| {
                let products = products.slice(s![position, ..]);
                let squared = products
                    .iter()
                    .zip(norms)
                    .map(|(product, norm)| norms[query] + norm - 2.0 * product);
                nth_smallest(squared.collect(), min_points).max(0.0).sqrt()
            };
            queries.iter().enumerate().map(nth).collect::<Vec<f32>>()
        })
        .collect();
    distances.sort_unstable_by(f32::total_cmp);
    distances
}

/// The `nth` smallest value, counted from 1; there are at least that many.
fn nth_smallest(mut values: Vec<f32>, nth: usize) -> f32 {
    *values.select_nth_unstable_by(nth - 1, f32::total_cmp).1
}

/// The value furthest below the line from first to last, if that is far.
fn knee(curve: &[f32]) -> Option<f32> {
    let (first, last) = (*curve.first()?, *curve.last()?);
    let steps = (curve.len() - 1) as f32;
    let below = |(index, &value): (usize, &f32)| {
        (index as f32 / steps - (value - first) / (last - first), value)
    };
    let furthest = curve.iter().enumerate().map(below).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (furthest.0 >= KNEE_MIN).then_some(furthest.1)
}

/// The value that a share of an ascending list is not above.
fn quantile(ascending: &[f32], share: f32) -> f32 {
    let index = (share * ascending.len().saturating_sub(1) as f32).round() as usize;
    ascending.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, concatenate};

    use super::super::dbscan::dbscan;
    use super::super::error::LearnError;
    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn knee_parts_planted_clusters_from_noise() {
        let (clusters, _) = planted(4, 50, 60, 0.3, 5);
        let rows = concatenate![Axis(0), clusters, random_rows(60, 60, 6)];
        let choice = choose_eps(rows.view(), MIN_POINTS_DEFAULT, 1).unwrap();
        assert!(choice.has_knee, "{choice:?}");
        let found = dbscan(rows.view(), choice.eps, MIN_POINTS_DEFAULT).unwrap();
        assert_eq!(found.clusters(), 4);
        assert!(found.noise().iter().filter(|&&row| row < 200).count() < 10, "{choice:?}");
        assert!(found.noise().iter().filter(|&&row| row >= 200).count() == 60, "{choice:?}");
    }

    #[test]
    fn without_a_knee_a_fifth_of_the_rows_become_cores() {
        let rows = random_rows(500, 20, 2);
        let choice = choose_eps(rows.view(), 4, 1).unwrap();
        assert!(!choice.has_knee, "{choice:?}");
        assert_eq!(choice.eps, choice.deciles[2]);
        assert!(choice.deciles.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(dbscan(rows.view(), choice.eps, 4).unwrap().clusters() > 0);
    }

    #[test]
    fn distance_is_to_the_neighbor_asked_for() {
        // On a line at 0, 1, 3, 7: second neighbors (the row is its own first) at 1, 1, 2, 4.
        let rows = Array2::from_shape_vec((4, 1), vec![0.0, 1.0, 3.0, 7.0]).unwrap();
        assert_eq!(sorted_distances(rows.view(), &[0, 1, 2, 3], 2), [1.0, 1.0, 2.0, 4.0]);
        assert_eq!(sorted_distances(rows.view(), &[3, 0], 4), [7.0, 7.0]);
    }

    #[test]
    fn knee_is_the_point_furthest_below_the_line() {
        assert_eq!(knee(&[1.0, 1.1, 1.2, 1.3, 9.0]), Some(1.3));
        assert_eq!(knee(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(knee(&[2.0, 2.0, 2.0]), None);
        assert_eq!(knee(&[2.0]), None);
    }

    #[test]
    fn copies_give_a_radius_above_zero() {
        let choice = choose_eps(Array2::<f32>::ones((9, 4)).view(), 3, 0).unwrap();
        assert_eq!(choice.eps, EPS_MIN);
    }

    #[test]
    fn core_sizes_that_no_row_can_have_are_refused() {
        let rows = random_rows(5, 3, 1);
        for min_points in [0, 1, 6] {
            let found = choose_eps(rows.view(), min_points, 0);
            assert!(matches!(found, Err(LearnError::MinPoints { max: 5, .. })), "{min_points}");
        }
        assert!(choose_eps(rows.view(), 5, 0).is_ok());
    }
}
