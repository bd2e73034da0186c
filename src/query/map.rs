//! The collection in the plane, images that are alike close together.

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clusters::matrix_of;
use super::{Corpus, Filter, QueryError, Row};
use crate::index::{ExactIndex, NodeFilter, VectorIndex};
use crate::learn::{self, RowNeighbors, TSNE_NEIGHBORS};
use crate::record::ImageId;

/// How images are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// By the two principal components: at once, the large differences only.
    Pca,
    /// By t-SNE: neighbors stay neighbors.
    Tsne,
}

/// An image on the map.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapPoint {
    /// The image.
    pub id: ImageId,
    /// From the left edge of the map to the right, 0 to 1.
    pub x: f32,
    /// From the upper edge to the lower, 0 to 1.
    pub y: f32,
}

/// Lays out the images that pass a filter, ordered by number; the same each time. Empty without
/// images.
///
/// `index` is one of the corpus. Costs as [`learn::pca`] and [`learn::tsne`], and for t-SNE a
/// comparison of all images with all.
///
/// # Errors
/// Those of the filter; [`QueryError::Learn`].
pub fn map(
    corpus: &Corpus,
    index: &ExactIndex,
    filter: &Filter,
    layout: Layout,
    class_names: &[String],
) -> Result<Vec<MapPoint>, QueryError> {
    let filter = filter.resolve_in(corpus.known(), class_names)?;
    let rows: Vec<&Row> = filter.rows(corpus.known()).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let start = learn::pca(matrix_of(corpus, &rows).view(), 2, 0)?;
    // A single direction where there is no second.
    let start = Array2::from_shape_fn((rows.len(), 2), |at| start.get(at).copied().unwrap_or(0.0));
    let places = match layout {
        Layout::Pca => start,
        Layout::Tsne => learn::tsne(&neighbors(corpus, index, &rows)?, start.view()),
    };
    let least = |axis: usize| places.column(axis).iter().copied().fold(f32::INFINITY, f32::min);
    let most = |axis: usize| places.column(axis).iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // One scale for both axes, the shorter one in the middle.
    let bounds = [0, 1].map(|axis| (least(axis), most(axis)));
    let side = bounds.iter().map(|(low, high)| high - low).fold(1e-6, f32::max);
    let at = |row: usize, axis: usize| {
        let (low, high) = bounds[axis];
        0.5 + (places[(row, axis)] - (low + high) / 2.0) / side
    };
    let point =
        |(number, row): (usize, &&Row)| MapPoint { id: row.id, x: at(number, 0), y: at(number, 1) };
    Ok(rows.iter().enumerate().map(point).collect())
}

/// The neighbors of each row among the rows, as many for all.
fn neighbors(
    corpus: &Corpus,
    index: &ExactIndex,
    rows: &[&Row],
) -> Result<Vec<RowNeighbors>, QueryError> {
    let mut copies: Vec<Vec<usize>> = vec![Vec::new(); corpus.vectors().len()];
    let mut nodes = NodeFilter::none(corpus.vectors().len());
    for (number, row) in rows.iter().enumerate() {
        let node = corpus.node(row);
        copies[node as usize].push(number);
        nodes.insert(node);
    }
    let each = TSNE_NEIGHBORS.min(rows.len().saturating_sub(1));
    let of_row = |(number, row): (usize, &&Row)| -> Result<RowNeighbors, QueryError> {
        let found = index.search(corpus.vector(row), each + 1, Some(&nodes))?;
        let images = found.iter().flat_map(|hit| {
            // The distance of unit vectors with this cosine.
            let distance = (2.0 - 2.0 * hit.score).max(0.0).sqrt();
            copies[hit.node as usize].iter().map(move |other| (*other, distance))
        });
        Ok(images.filter(|(other, _)| *other != number).take(each).collect())
    };
    rows.par_iter().enumerate().map(of_row).collect()
}
