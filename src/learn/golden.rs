//! Tests against what scikit-learn found on small sets: `fixtures/reference/learn_golden.json`, made
//! by the script beside it.

use ndarray::{Array2, s};
use serde::Deserialize;

use super::clustering::{Clustering, silhouette};
use super::dbscan::dbscan;
use super::kmeans::kmeans;
use super::logistic::Logistic;
use super::matrix::squared_distance;
use super::retrieval::retrieval;

#[derive(Deserialize)]
struct Golden {
    dbscan: Vec<GoldenDbscan>,
    kmeans: Vec<GoldenKmeans>,
    logistic: Vec<GoldenLogistic>,
    mean_average_precision: f64,
    silhouette: f32,
}

#[derive(Deserialize)]
struct GoldenDbscan {
    seed: u64,
    eps: f32,
    min_points: usize,
    /// -1 for noise.
    names: Vec<i64>,
}

#[derive(Deserialize)]
struct GoldenKmeans {
    seed: u64,
    k: usize,
    /// The best of 50 starts.
    inertia: f64,
}

#[derive(Deserialize)]
struct GoldenLogistic {
    seed: u64,
    shares: Vec<Vec<f32>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../fixtures/reference/learn_golden.json")).unwrap()
}

/// The script's generator, step by step.
fn values(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn clustered(seed: u64, clusters: usize, each: usize, columns: usize, noise: f64) -> Array2<f32> {
    let centers = values(seed, clusters * columns);
    let noises = values(seed + 1, clusters * each * columns);
    Array2::from_shape_fn((clusters * each, columns), |(row, column)| {
        let center = centers[row % clusters * columns + column];
        (noises[row * columns + column] * noise + center) as f32
    })
}

#[test]
fn dbscan_gives_the_same_clusters() {
    for GoldenDbscan { seed, eps, min_points, names } in golden().dbscan {
        let rows = clustered(seed, 5, 24, 6, 0.6);
        let names: Vec<Option<usize>> =
            names.iter().map(|&name| usize::try_from(name).ok()).collect();
        let expected = Clustering::from_names(&names);
        assert!(expected.clusters() > 1, "seed {seed}: a case that says something");
        assert_eq!(dbscan(rows.view(), eps, min_points).unwrap(), expected, "seed {seed}");
    }
}

#[test]
fn kmeans_is_as_tight_as_the_best_of_fifty_starts() {
    for GoldenKmeans { seed, k, inertia } in golden().kmeans {
        let rows = clustered(seed, 5, 24, 6, 0.6);
        let found = kmeans(rows.view(), k, 0).unwrap();
        let mut sum = 0.0;
        for members in found.members() {
            let rows = rows.select(ndarray::Axis(0), &members);
            let mean = rows.mean_axis(ndarray::Axis(0)).unwrap();
            sum += rows
                .outer_iter()
                .map(|row| f64::from(squared_distance(row, mean.view())))
                .sum::<f64>();
        }
        assert!(sum <= inertia * 1.02, "seed {seed}: {sum} {inertia}");
        assert!(sum >= inertia * 0.999, "seed {seed}: better than the best: {sum} {inertia}");
    }
}

#[test]
fn logistic_regression_gives_the_same_probabilities() {
    for GoldenLogistic { seed, shares } in golden().logistic {
        let rows = clustered(seed, 4, 30, 6, 1.5);
        let labels: Vec<usize> = (0..80).map(|row| row % 4).collect();
        let logistic = Logistic::train(rows.slice(s![..80, ..]), &labels, 4).unwrap();
        let found = logistic.shares(rows.slice(s![80.., ..])).unwrap();
        for (found, expected) in found.outer_iter().zip(&shares) {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.01, "seed {seed}: {found} {expected}");
            }
        }
    }
}

#[test]
fn average_precision_and_silhouette_are_the_same() {
    let mut rows = clustered(9, 4, 8, 6, 0.8);
    for mut row in rows.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    let classes: Vec<usize> = (0..32).map(|row| row % 4).collect();
    let golden = golden();
    let (all, _) = retrieval(rows.view(), &classes, 4).unwrap();
    let found = all.mean_average_precision;
    assert!((found - golden.mean_average_precision).abs() < 1e-6, "{found}");
    let names: Vec<Option<usize>> = classes.into_iter().map(Some).collect();
    let found = silhouette(rows.view(), &Clustering::from_names(&names)).unwrap();
    assert!((found - golden.silhouette).abs() < 1e-5, "{found}");
}
