//! Projections to the plane: where images lie to each other, for people to look at.

use faer::{Mat, Side};
use ndarray::{Array2, ArrayView2, Axis};
use rand::seq::index::sample;

use super::error::Result;
use super::matrix::{check_rows, stream};

/// Rows from which the components are found; all are projected.
const ROWS_MAX: usize = 4_000;

/// Projects rows to their principal components, those of the greatest variance first: shape
/// `[rows, components]`, each column with mean 0, its sign such that the largest loading is positive.
///
/// The components are those of `seed`'s sample of 4,000 rows, from the eigenvectors of their
/// covariance by `faer`, O(dimension^3); then one product for all rows.
///
/// # Errors
/// [`LearnError::EmptyInput`](super::LearnError::EmptyInput) without rows or columns;
/// [`LearnError::ValueOutOfRange`](super::LearnError::ValueOutOfRange).
pub fn pca(rows: ArrayView2<'_, f32>, components: usize, seed: u64) -> Result<Array2<f32>> {
    let (count, dimension) = rows.dim();
    let components = components.min(dimension);
    check_rows(rows)?;
    let chosen = sample(&mut stream(seed, 0), count, count.min(ROWS_MAX)).into_vec();
    let mut centred = rows.select(Axis(0), &chosen);
    let mean = centred.mean_axis(Axis(0)).expect("there is a row");
    centred -= &mean;
    let covariance = centred.t().dot(&centred) / chosen.len() as f32;
    let covariance = Mat::from_fn(dimension, dimension, |i, j| f64::from(covariance[(i, j)]));
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .expect("a symmetric matrix of finite numbers has eigenvectors");
    // Ascending by eigenvalue.
    let column = |number: usize| eigen.U().col(dimension - 1 - number);
    let loadings = Array2::from_shape_fn((dimension, components), |(at, number)| {
        let largest = column(number).iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs()));
        (column(number)[at] * largest.unwrap_or(1.0).signum()) as f32
    });
    Ok((&rows - &mean).dot(&loadings))
}

/// A row's neighbors by ascending distance: their rows and distances.
pub type RowNeighbors = Vec<(usize, f32)>;

/// Neighbors that [`tsne`] wants of each row: three times the perplexity of 30.
pub const TSNE_NEIGHBORS: usize = 90;
/// Rounds of the gradient descent.
const EPOCHS: usize = 750;
/// Distance for its size from which on a part of the plane is taken as one point.
const THETA: f32 = 0.5;

/// Lays rows out in the plane such that neighbors stay neighbors: t-SNE with Barnes-Hut trees (van
/// der Maaten, *Accelerating t-SNE using tree-based algorithms*, JMLR 2014) by the crate `bhtsne`,
/// from a given layout, best that of [`pca`]. Shape `[rows, 2]`; the same each time.
///
/// `neighbors` are those of each row, as many for all, [`TSNE_NEIGHBORS`] where there are so many.
/// Costs O(n log n) for each of 750 rounds, on one thread.
///
/// # Panics
/// When the rows of `neighbors` differ in length, or in number from `start`.
pub fn tsne(neighbors: &[RowNeighbors], start: ArrayView2<'_, f32>) -> Array2<f32> {
    assert_eq!(neighbors.len(), start.nrows(), "each row has neighbors and a place");
    let each = neighbors.first().map_or(0, Vec::len);
    // A perplexity needs three times as many neighbors, and less than 2 says nothing.
    if each < 6 {
        return start.to_owned();
    }
    let rows: Vec<usize> = (0..neighbors.len()).collect();
    let neighbors: Vec<Vec<bhtsne::Neighbor<f32>>> = neighbors
        .iter()
        .map(|row| row.iter().map(|(index, distance)| neighbor(*index, *distance)).collect())
        .collect();
    // The usual start: so small that the first steps decide.
    let spread = start.iter().fold(0.0_f32, |most, value| most.max(value.abs())).max(1e-6);
    let start: Vec<f32> = start.iter().map(|value| value / spread * 1e-2).collect();
    let run = || {
        let mut fit = bhtsne::tSNE::<f32, usize, 2>::new(&rows);
        fit.perplexity((each / 3) as f32).epochs(EPOCHS).initial_embedding(start);
        fit.barnes_hut_with_neighbors(THETA, &neighbors);
        fit.embedding()
    };
    // On several threads sums come in any order, and small differences grow.
    let places = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(run),
        Err(_) => run(),
    };
    Array2::from_shape_vec((rows.len(), 2), places).expect("two numbers for each row")
}

fn neighbor(index: usize, distance: f32) -> bhtsne::Neighbor<f32> {
    bhtsne::Neighbor { index, distance }
}

#[cfg(test)]
mod tests {
    use super::super::LearnError;
    use super::*;

    #[test]
    fn the_first_component_is_the_direction_of_the_greatest_spread() {
        // Along (3, 4) / 5, with a little across.
        let rows = Array2::from_shape_fn((50, 2), |(row, column)| {
            let (along, across) = (row as f32 - 20.0, if row % 2 == 0 { 0.1 } else { -0.1 });
            [along * 0.6 - across * 0.8, along * 0.8 + across * 0.6][column]
        });
        let found = pca(rows.view(), 2, 0).unwrap();
        let along = found.column(0);
        // The mean of `along` is 4.5 - 0.
        assert!((along[49] - along[0] - 49.0).abs() < 0.1, "{along}");
        assert!(found.column(1).iter().all(|value| value.abs() < 0.2));
        assert!(along.sum().abs() < 1e-2);
    }

    #[test]
    fn more_components_than_dimensions_no_rows_and_nan() {
        assert_eq!(pca(Array2::zeros((3, 2)).view(), 5, 0).unwrap().dim(), (3, 2));
        assert!(matches!(
            pca(Array2::zeros((0, 4)).view(), 2, 0),
            Err(LearnError::EmptyInput { rows: 0, .. })
        ));
        let mut rows = Array2::zeros((3, 2));
        rows[(1, 0)] = f32::NAN;
        assert!(matches!(
            pca(rows.view(), 2, 0),
            Err(LearnError::ValueOutOfRange { row: 1, column: 0, .. })
        ));
    }

    #[test]
    fn two_crowds_end_apart_and_at_the_same_places_each_time() {
        let place = |row: usize| if row < 30 { row as f32 * 0.01 } else { 5.0 + row as f32 * 0.01 };
        let neighbors: Vec<RowNeighbors> = (0..60)
            .map(|row| {
                let mut all: RowNeighbors = (0..60)
                    .filter(|other| *other != row)
                    .map(|other| (other, (place(row) - place(other)).abs()))
                    .collect();
                all.sort_by(|a, b| a.1.total_cmp(&b.1));
                all.truncate(20);
                all
            })
            .collect();
        let start = Array2::from_shape_fn((60, 2), |(row, column)| [row as f32, 0.5][column]);
        let found = tsne(&neighbors, start.view());
        assert_eq!(found, tsne(&neighbors, start.view()));
        let centre = |range: std::ops::Range<usize>| {
            found.slice(ndarray::s![range, ..]).mean_axis(Axis(0)).unwrap()
        };
        let apart = (&centre(0..30) - &centre(30..60)).mapv(|x| x * x).sum().sqrt();
        let wide = (0..30)
            .map(|row| (&found.row(row) - &centre(0..30)).mapv(|x| x * x).sum().sqrt())
            .fold(0.0, f32::max);
        assert!(apart > 2.0 * wide, "{apart} apart, {wide} wide");
    }
}
