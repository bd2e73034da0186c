//! Lists of all pairs of rows within a radius: products of bytes in blocks decide most of them, the
//! rows themselves the rest, and no n x n matrix is made.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::error::{LearnError, Result};
use super::matrix::{squared_distance, squared_norms};
use super::quantised::Quantised;
use crate::vector::{ByteKernel, Kernel};

/// Most neighbors that are kept, over all rows: 1 GiB of row numbers.
const NEIGHBORS_MAX: usize = 1 << 28;
/// Rows and columns of one block of products: with 1280 bytes in a row, 164 and 328 kB that stay in
/// a second-level cache.
const BLOCK_ROWS: usize = 128;
const BLOCK_COLUMNS: usize = 256;
/// Pairs that are looked at together, because hardly any of them is near.
const GROUP: usize = 16;

/// Rounding of a product of 1280 columns, relative to the squared norms: pairs this near to
/// the radius are measured again by subtraction, so that `eps` means what it says down to
/// copies.
const SLACK: f32 = 4e-6;

/// For each row the rows within a radius, itself included, ascending.
#[derive(Debug)]
pub(super) struct NeighborLists {
    starts: Vec<usize>,
    neighbors: Vec<u32>,
}

impl NeighborLists {
    /// Finds all pairs at Euclidean distance `eps` or less. `rows` are checked, `eps` is positive.
    pub(super) fn within(rows: ArrayView2<'_, f32>, eps: f32) -> Result<Self> {
        let rows = rows.as_standard_layout();
        let search = Search {
            rows: rows.view(),
            squared_norms: squared_norms(rows.view()),
            quantised: Quantised::new(rows.view()),
            kernels: (Kernel::detect(), ByteKernel::detect()),
            squared_eps: eps * eps,
            found: AtomicUsize::new(0),
        };
        let later: Option<Vec<Vec<Vec<u32>>>> = (0..rows.nrows().div_ceil(BLOCK_ROWS))
            .into_par_iter()
            .map(|block| search.later_neighbors(block * BLOCK_ROWS))
            .collect();
        let later = later.ok_or(LearnError::TooManyNeighbors { eps, pairs_max: NEIGHBORS_MAX })?;
        Ok(Self::mirror(&later.concat()))
    }

    /// Returns the neighbors of a row, itself included.
    pub(super) fn of(&self, row: usize) -> &[u32] {
        let range = self.starts.get(row).zip(self.starts.get(row + 1));
        range.and_then(|(&start, &end)| self.neighbors.get(start..end)).unwrap_or_default()
    }

    /// Makes full lists of half ones: every pair was found once, from its earlier row.
    fn mirror(later: &[Vec<u32>]) -> Self {
        let mut counts: Vec<usize> = later.iter().map(|list| list.len() + 1).collect();
        for &neighbor in later.iter().flatten() {
            counts[neighbor as usize] += 1;
        }
        let mut starts = vec![0];
        starts.extend(counts.iter().scan(0, |end, count| {
            *end += count;
            Some(*end)
        }));
        let mut next = starts.clone();
        let mut neighbors = vec![0; starts.last().copied().unwrap_or(0)];
        let mut put = |row: usize, neighbor: u32| {
            neighbors[next[row]] = neighbor;
            next[row] += 1;
        };
        // When row r is reached, all its earlier neighbors have been put: the lists come
        // out ascending.
        for (row, list) in later.iter().enumerate() {
            put(row, row as u32);
            for &neighbor in list {
                put(neighbor as usize, row as u32);
            }
        }
        for (row, list) in later.iter().enumerate() {
            for &neighbor in list {
                put(row, neighbor);
            }
        }
        Self { starts, neighbors }
    }
}

struct Search<'a> {
    rows: ArrayView2<'a, f32>,
    squared_norms: Vec<f32>,
    quantised: Option<Quantised>,
    kernels: (Kernel, ByteKernel),
    squared_eps: f32,
    found: AtomicUsize,
}

impl Search<'_> {
    /// Returns for each row of the block from `first` on its neighbors in later rows, or `None` if
    /// there are too many in all.
    ///
    /// Only later rows, because products are symmetric: half the work, and no pair whose
    /// two directions round differently.
    fn later_neighbors(&self, first: usize) -> Option<Vec<Vec<u32>>> {
        let block = first..self.rows.nrows().min(first + BLOCK_ROWS);
        let mut lists = vec![Vec::new(); block.len()];
        let mut products = vec![0; BLOCK_ROWS * BLOCK_COLUMNS];
        for start in (block.start..self.rows.nrows()).step_by(BLOCK_COLUMNS) {
            let columns = start..self.rows.nrows().min(start + BLOCK_COLUMNS);
            let before: usize = lists.iter().map(Vec::len).sum();
            match &self.quantised {
                Some(quantised) => {
                    let products = &mut products[..block.len() * columns.len()];
                    let bytes = quantised.rows();
                    let (left, right) = (bytes.part(block.clone()), bytes.part(columns.clone()));
                    self.kernels.1.products(left, right, products);
                    let rows = block.clone().zip(products.chunks(columns.len()));
                    for ((row, products), list) in rows.zip(&mut lists) {
                        self.scan(quantised, row, columns.clone(), products, list);
                    }
                }
                None => {
                    for (row, list) in block.clone().zip(&mut lists) {
                        let later = columns.start.max(row + 1)..columns.end;
                        list.extend(later.filter(|&c| self.is_near(row, c)).map(|c| c as u32));
                    }
                }
            }
            let added = lists.iter().map(Vec::len).sum::<usize>() - before;
            if self.found.fetch_add(2 * added, Ordering::Relaxed) + 2 * added > NEIGHBORS_MAX {
                return None;
            }
        }
        Some(lists)
    }

    /// Appends the neighbors that a row has among some columns.
    fn scan(
        &self,
        quantised: &Quantised,
        row: usize,
        columns: Range<usize>,
        products: &[i32],
        list: &mut Vec<u32>,
    ) {
        let own = Own::new(self, quantised, row);
        let norms = &self.squared_norms[columns.clone()];
        let scales = &quantised.scales[columns.clone()];
        let errors = &quantised.errors[columns.clone()];
        for (group, products) in products.chunks(GROUP).enumerate() {
            let at = group * GROUP..group * GROUP + products.len();
            let pairs = products.iter().zip(&norms[at.clone()]).zip(&scales[at.clone()]);
            let pairs = pairs.zip(&errors[at.clone()]);
            let near = pairs.map(|(((&product, &norm), &scale), &error)| {
                let (squared, doubt) = own.squared(product, norm, scale, error);
                u32::from(squared - doubt <= self.squared_eps)
            });
            if near.sum::<u32>() == 0 {
                continue;
            }
            for at in at {
                let column = columns.start + at;
                let (squared, doubt) =
                    own.squared(products[at % GROUP], norms[at], scales[at], errors[at]);
                let is_candidate = column > row && squared - doubt <= self.squared_eps;
                if is_candidate
                    && (squared + doubt <= self.squared_eps || self.is_near(row, column))
                {
                    list.push(column as u32);
                }
            }
        }
    }

    /// Decides a pair: by the product of the rows if that is clear, else by subtraction.
    fn is_near(&self, row: usize, column: usize) -> bool {
        let (a, b) = (self.rows.row(row), self.rows.row(column));
        let norms = self.squared_norms[row] + self.squared_norms[column];
        let product = match (a.as_slice(), b.as_slice()) {
            (Some(a), Some(b)) => self.kernels.0.dot(a, b),
            _ => a.dot(&b),
        };
        let (squared, slack) = (norms - 2.0 * product, SLACK * norms);
        squared + slack <= self.squared_eps
            || (squared - slack <= self.squared_eps && squared_distance(a, b) <= self.squared_eps)
    }
}

/// What a row brings to the distances from it.
struct Own {
    squared_norm: f32,
    length: f32,
    scale: f32,
    error: f32,
}

impl Own {
    fn new(search: &Search<'_>, quantised: &Quantised, row: usize) -> Self {
        Self {
            squared_norm: search.squared_norms[row],
            length: quantised.lengths[row],
            scale: quantised.scales[row],
            error: quantised.errors[row],
        }
    }

    /// Squared distance to another row by the product of the bytes, and how far off it may be.
    fn squared(&self, product: i32, norm: f32, scale: f32, error: f32) -> (f32, f32) {
        let norms = self.squared_norm + norm;
        let squared = norms - 2.0 * (product as f32 * self.scale * scale);
        (squared, 2.0 * (self.error * norm.sqrt() + self.length * error) + SLACK * norms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::random_rows;
    use super::*;

    #[test]
    fn lists_hold_exactly_the_rows_within_the_radius() {
        for (count, columns, eps) in [(1, 3, 0.5), (2, 1, 3.0), (300, 5, 0.4), (1500, 40, 1.2)] {
            let rows = random_rows(count, columns, 17);
            let lists = NeighborLists::within(rows.view(), eps).unwrap();
            for row in 0..count {
                let near = |&other: &u32| {
                    squared_distance(rows.row(row), rows.row(other as usize)) <= eps * eps
                };
                let expected: Vec<u32> = (0..count as u32).filter(near).collect();
                assert_eq!(lists.of(row), expected, "row {row} of {count}");
            }
            assert!(lists.of(count).is_empty());
        }
    }

    #[test]
    fn radius_that_joins_everything_is_refused_before_memory_is() {
        let rows = random_rows(17_000, 1, 1);
        let found = NeighborLists::within(rows.view(), 3.0);
        assert!(matches!(found, Err(LearnError::TooManyNeighbors { .. })));
    }
}
