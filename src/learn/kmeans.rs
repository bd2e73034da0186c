//! k-means for a given number of clusters: a quick fit on a projected sample, then linfa on
//! all rows.

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::clustering::{Clustering, means};
use super::error::{LearnError, Result};
use super::matrix::{LaneDistance, check_rows, project, sample_rows, stream};
use super::seeding::spread_centers;

/// Columns of the projection that the first fit runs in.
const COARSE_COLUMNS: usize = 128;
const COARSE_ROWS_MIN: usize = 4096;
/// A cluster seen by fewer sampled rows than this has no stable mean.
const COARSE_ROWS_PER_CLUSTER: usize = 16;
/// The first fit is repeated while rows times clusters of all repeats stay below this. Of 20
/// planted clusters a single start misses some in 18 of 30 tries.
const RUNS_BUDGET: usize = 400_000;
const RUNS_MAX: usize = 8;
const COARSE_ITERATIONS_MAX: u64 = 50;
const FINE_ITERATIONS_MAX: u64 = 5;
/// Movement of all centers together at which a fit counts as settled; embeddings have length 1.
const TOLERANCE: f32 = 1e-3;

/// Divides the rows into `k` clusters of similar rows.
///
/// The result has fewer than `k` clusters only where rows are copies of each other. The
/// same input and seed give the same result on any number of threads.
///
/// A first fit, the best of up to 8 from greedy k-means++ starts, looks at a sample of at
/// most `max(4096, 16 k)` rows, projected to 128 columns; its clusters then start linfa's
/// k-means on all rows and columns, for at most 5 rounds. Refining a start found on a sample:
/// P. Bradley and U. Fayyad, "Refining initial points for k-means" (1998). Costs O(n k d) for
/// each round.
///
/// # Errors
///
/// [`LearnError::ClusterCount`] unless `1 <= k <= n`; [`LearnError::EmptyInput`],
/// [`LearnError::ValueOutOfRange`].
pub fn kmeans(rows: ArrayView2<'_, f32>, k: usize, seed: u64) -> Result<Clustering> {
    check_rows(rows)?;
    check_cluster_count(k, rows.nrows())?;
    let sample = sample_rows(rows.nrows(), COARSE_ROWS_MIN.max(k * COARSE_ROWS_PER_CLUSTER), seed);
    let coarse = coarse_rows(rows, &sample, seed);
    let start = start_centers(rows, &sample, &coarse_fit(coarse.view(), k, seed)?);
    let fine = rows.as_standard_layout();
    Ok(clusters_of(&fit(fine.view(), start, FINE_ITERATIONS_MAX)?, fine.view()))
}

/// Checks that `k` clusters can be made of this many rows.
pub(super) fn check_cluster_count(k: usize, rows: usize) -> Result<()> {
    if (1..=rows).contains(&k) {
        return Ok(());
    }
    Err(LearnError::ClusterCount { min: 1, max: rows, found: k })
}

/// Returns the sampled rows, projected where that makes them shorter.
pub(super) fn coarse_rows(rows: ArrayView2<'_, f32>, sample: &[usize], seed: u64) -> Array2<f32> {
    let sampled = rows.select(Axis(0), sample);
    if sampled.ncols() > COARSE_COLUMNS {
        project(sampled.view(), COARSE_COLUMNS, seed)
    } else {
        sampled
    }
}

/// Divides coarse rows into at most `k` clusters: the best of a few fits from different starts.
pub(super) fn coarse_fit(coarse: ArrayView2<'_, f32>, k: usize, seed: u64) -> Result<Clustering> {
    let mut random = stream(seed, 2);
    let runs = (RUNS_BUDGET / (coarse.nrows() * k)).clamp(1, RUNS_MAX);
    let mut best: Option<Model> = None;
    for _ in 0..runs {
        let start = spread_centers(coarse, k, &mut random);
        let model = fit(coarse, start, COARSE_ITERATIONS_MAX)?;
        if best.as_ref().is_none_or(|best| model.inertia() < best.inertia()) {
            best = Some(model);
        }
    }
    let names = best.map(|model| clusters_of(&model, coarse));
    Ok(names.unwrap_or_else(|| Clustering::from_names(&[])))
}

/// Means of the clusters of the sample, in all columns.
fn start_centers(
    rows: ArrayView2<'_, f32>,
    sample: &[usize],
    clusters: &Clustering,
) -> Array2<f32> {
    let to_row = |&member: &usize| sample.get(member).copied();
    let members = clusters.members();
    let members: Vec<Vec<usize>> =
        members.iter().map(|list| list.iter().filter_map(to_row).collect()).collect();
    means(rows, &members)
}

type Model = KMeans<f32, LaneDistance>;

/// Runs linfa's k-means from given centers.
fn fit(rows: ArrayView2<'_, f32>, centers: Array2<f32>, iterations_max: u64) -> Result<Model> {
    // linfa wants a generator, and draws nothing from it when the centers are given.
    KMeans::params_with(centers.nrows(), stream(0, 0), LaneDistance)
        .init_method(KMeansInit::Precomputed(centers))
        .n_runs(1)
        .max_n_iterations(iterations_max)
        .tolerance(TOLERANCE)
        .fit(&DatasetBase::from(rows))
        .map_err(LearnError::backend)
}

fn clusters_of(model: &Model, rows: ArrayView2<'_, f32>) -> Clustering {
    let names: Array1<usize> = model.predict(&rows);
    Clustering::from_names(&names.into_iter().map(Some).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::super::planted::{on_one_and_four_threads, planted, random_rows};
    use super::*;

    #[test]
    fn planted_clusters_are_found() {
        struct Case {
            clusters: usize,
            each: usize,
            columns: usize,
        }
        for case in [
            Case { clusters: 3, each: 7, columns: 8 },
            Case { clusters: 8, each: 40, columns: 200 },
            Case { clusters: 5, each: 900, columns: 130 },
        ] {
            let (rows, owners) = planted(case.clusters, case.each, case.columns, 0.3, 11);
            let found = kmeans(rows.view(), case.clusters, 1).unwrap();
            let expected: Vec<Option<usize>> = owners.into_iter().map(Some).collect();
            assert_eq!(found.assignments(), expected, "{} clusters", case.clusters);
        }
    }

    #[test]
    fn many_planted_clusters_are_all_found_from_every_seed() {
        for seed in 0..10 {
            let (rows, owners) = planted(20, 20, 200, 0.4, seed);
            let found = kmeans(rows.view(), 20, seed).unwrap();
            let expected: Vec<Option<usize>> = owners.into_iter().map(Some).collect();
            assert_eq!(found.assignments(), expected, "seed {seed}");
        }
    }

    #[test]
    fn one_cluster_takes_all_and_as_many_as_rows_take_one_each() {
        let rows = random_rows(6, 4, 3);
        assert_eq!(kmeans(rows.view(), 1, 0).unwrap().members(), [vec![0, 1, 2, 3, 4, 5]]);
        assert_eq!(kmeans(rows.view(), 6, 0).unwrap().clusters(), 6);
    }

    #[test]
    fn copies_make_fewer_clusters_than_asked_for() {
        let rows = array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]];
        let found = kmeans(rows.view(), 4, 0).unwrap();
        assert_eq!(found.members(), [vec![0, 1, 3], vec![2]]);
    }

    #[test]
    fn impossible_numbers_of_clusters_are_refused() {
        let rows = random_rows(5, 3, 1);
        for k in [0, 6, usize::MAX] {
            let found = kmeans(rows.view(), k, 0);
            assert!(matches!(found, Err(LearnError::ClusterCount { min: 1, max: 5, .. })), "{k}");
        }
    }

    #[test]
    fn largest_values_that_are_taken_do_not_overflow() {
        let rows = Array2::from_shape_fn((4, 3), |(row, _)| if row < 2 { 1e6 } else { -1e6 });
        assert_eq!(kmeans(rows.view(), 2, 0).unwrap().members(), [[0, 1], [2, 3]]);
    }

    #[test]
    fn result_does_not_depend_on_threads_or_memory_layout() {
        let rows = random_rows(700, 150, 8);
        let (one, four) = on_one_and_four_threads(|| kmeans(rows.view(), 20, 5).unwrap());
        assert_eq!(one, four);
        let turned = rows.t().as_standard_layout().into_owned();
        assert_eq!(one, kmeans(turned.t(), 20, 5).unwrap());
    }
}
