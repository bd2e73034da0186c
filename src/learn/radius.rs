//! Lists of all pairs of rows within a radius, by blocked matrix products and without an n
//! x n matrix.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use linfa_nn::distance::Distance;
use ndarray::{Array1, ArrayView2, s};
use rayon::prelude::*;

use super::error::{LearnError, Result};
use super::matrix::{LaneDistance, blocks};

/// Most neighbors that are kept, over all rows: 1 GiB of row numbers.
const NEIGHBORS_MAX: usize = 1 << 28;
/// Columns of one block of products; with 256 rows it is 1 MB, which a core keeps in its cache.
const BLOCK_COLUMNS: usize = 1024;

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
            squared_norms: rows.outer_iter().map(|row| row.dot(&row)).collect(),
            squared_eps: eps * eps,
            found: AtomicUsize::new(0),
        };
        let later: Option<Vec<Vec<Vec<u32>>>> =
            blocks(rows.nrows()).map(|block| search.later_neighbors(block)).collect();
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
    squared_norms: Array1<f32>,
    squared_eps: f32,
    found: AtomicUsize,
}

impl Search<'_> {
    /// Returns for each row of a block its neighbors in later rows, or `None` if there are
    /// too many in all.
    ///
    /// Only later rows, because products are symmetric: half the work, and no pair whose
    /// two directions round differently.
    fn later_neighbors(&self, block: Range<usize>) -> Option<Vec<Vec<u32>>> {
        let mut lists = vec![Vec::new(); block.len()];
        for start in (block.start..self.rows.nrows()).step_by(BLOCK_COLUMNS) {
            let columns = start..self.rows.nrows().min(start + BLOCK_COLUMNS);
            let before: usize = lists.iter().map(Vec::len).sum();
            self.scan(block.clone(), columns, &mut lists);
            let added = lists.iter().map(Vec::len).sum::<usize>() - before;
            if self.found.fetch_add(2 * added, Ordering::Relaxed) + 2 * added > NEIGHBORS_MAX {
                return None;
            }
        }
        Some(lists)
    }

    /// Appends the neighbors that the rows of a block have among some columns.
    fn scan(&self, block: Range<usize>, columns: Range<usize>, lists: &mut [Vec<u32>]) {
        let candidates = self.rows.slice(s![columns.clone(), ..]);
        let products = self.rows.slice(s![block.clone(), ..]).dot(&candidates.t());
        let norms = self.squared_norms.slice(s![columns.clone()]);
        for ((row, products), list) in block.zip(products.outer_iter()).zip(lists) {
            let own = self.squared_norms[row];
            for ((column, &product), &norm) in columns.clone().zip(products).zip(&norms) {
                let squared = own + norm - 2.0 * product;
                let slack = SLACK * (own + norm);
                if column > row
                    && squared <= self.squared_eps + slack
                    && self.is_neighbor(row, column, squared + slack)
                {
                    list.push(column as u32);
                }
            }
        }
    }

    /// Decides a candidate pair: by its upper bound if that is clear, else by direct subtraction.
    fn is_neighbor(&self, row: usize, column: usize, squared_max: f32) -> bool {
        squared_max <= self.squared_eps
            || squared_distance_of_rows(self.rows, row, column) <= self.squared_eps
    }
}

/// Squared Euclidean distance of two rows, without the cancellation of the product form.
fn squared_distance_of_rows(rows: ArrayView2<'_, f32>, a: usize, b: usize) -> f32 {
    LaneDistance.rdistance(rows.row(a), rows.row(b))
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
                    squared_distance_of_rows(rows.view(), row, other as usize) <= eps * eps
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
