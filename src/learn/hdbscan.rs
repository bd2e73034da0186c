//! HDBSCAN: clusters of different density, by the crate `hdbscan`.

use hdbscan::{Hdbscan, HdbscanHyperParams, NnAlgorithm};
use ndarray::ArrayView2;

use super::clustering::Clustering;
use super::error::{LearnError, Result};
use super::matrix::check_rows;
use super::projection::pca;

/// Principal components that distances are taken in: those of all 1280 cost forty times as much.
const COMPONENTS: usize = 32;
/// Rows above which the tree of all distances would take minutes.
const ROWS_MAX: usize = 20_000;

/// Images that make a cluster unless said otherwise.
pub const MIN_CLUSTER_SIZE_DEFAULT: usize = 5;

/// Clusters rows by how long groups of them hold together while the radius shrinks (Campello,
/// Moulavi and Sander, *Density-based clustering based on hierarchical density estimates*, PAKDD
/// 2013); rows in thin places are noise.
///
/// Distances are those of the first 32 principal components of the rows, of shape `[rows, dimension]`.
/// Costs O(n^2) at worst. The same result each time.
///
/// # Errors
/// [`LearnError::EmptyInput`], [`LearnError::ValueOutOfRange`]; [`LearnError::ClusterSize`] for a
/// `min_cluster_size` below 2 or above the number of rows; [`LearnError::TooManyRows`] above 20,000.
pub fn hdbscan(rows: ArrayView2<'_, f32>, min_cluster_size: usize) -> Result<Clustering> {
    check_rows(rows)?;
    let count = rows.nrows();
    if count > ROWS_MAX {
        return Err(LearnError::TooManyRows { found: count, max: ROWS_MAX });
    }
    if !(2..=count.max(2)).contains(&min_cluster_size) {
        return Err(LearnError::ClusterSize { max: count.max(2), found: min_cluster_size });
    }
    if count < min_cluster_size {
        // The crate does not look for this, and counts below zero.
        return Ok(Clustering::from_names(&vec![None; count]));
    }
    let reduced = pca(rows, COMPONENTS, 0)?;
    let data: Vec<Vec<f32>> = reduced.outer_iter().map(|row| row.to_vec()).collect();
    let parameters = HdbscanHyperParams::builder()
        .min_cluster_size(min_cluster_size)
        .nn_algorithm(NnAlgorithm::KdTree)
        .build();
    let names = Hdbscan::new(&data, parameters)
        .cluster()
        .map_err(|error| LearnError::Hdbscan { reason: error.to_string() })?;
    let names: Vec<Option<usize>> =
        names.into_iter().map(|name| usize::try_from(name).ok()).collect();
    Ok(Clustering::from_names(&names))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn planted_groups_are_found_whatever_the_order_of_the_rows() {
        let (rows, truth) = planted(5, 30, 20, 0.2, 1);
        let found = hdbscan(rows.view(), 5).unwrap();
        assert_eq!(found.clusters(), 5);
        for members in found.members() {
            assert!(members.iter().all(|row| truth[*row] == truth[members[0]]), "{members:?}");
        }
        let order: Vec<usize> = (0..rows.nrows()).rev().collect();
        let turned = hdbscan(rows.select(ndarray::Axis(0), &order).view(), 5).unwrap();
        let sizes = |found: &Clustering| {
            let mut sizes: Vec<usize> = found.members().iter().map(Vec::len).collect();
            sizes.sort_unstable();
            sizes
        };
        assert_eq!(sizes(&found), sizes(&turned));
    }

    #[test]
    fn few_rows_equal_rows_and_wrong_sizes_have_an_answer() {
        assert_eq!(hdbscan(random_rows(1, 4, 1).view(), 2).unwrap().clusters(), 0);
        assert_eq!(hdbscan(random_rows(3, 4, 1).view(), 3).unwrap().noise().len() % 3, 0);
        let equal = Array2::from_elem((20, 3), 0.5);
        assert!(hdbscan(equal.view(), 5).unwrap().clusters() <= 1);
        let rows = random_rows(10, 4, 1);
        assert!(matches!(hdbscan(rows.view(), 1), Err(LearnError::ClusterSize { found: 1, .. })));
        assert!(matches!(hdbscan(rows.view(), 11), Err(LearnError::ClusterSize { max: 10, .. })));
    }
}
