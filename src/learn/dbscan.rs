//! DBSCAN: linfa walks the clusters, over neighbor lists that blocked products of bytes made
//! beforehand.

use linfa::traits::Transformer;
use linfa::{Float, ParamGuard};
use linfa_clustering::Dbscan;
use linfa_nn::distance::{Distance, L2Dist};
use linfa_nn::{BuildError, NearestNeighbour, NearestNeighbourIndex, NnError};
use ndarray::{Array2, ArrayBase, ArrayView1, ArrayView2, Data, Ix2};
use std::sync::Arc;

use super::clustering::Clustering;
use super::error::{LearnError, Result};
use super::matrix::check_rows;
use super::radius::NeighborLists;

/// Groups rows that are joined by dense chains of neighbors; rows in thin places are in no
/// cluster.
///
/// Two rows are neighbors at Euclidean distance `eps` or less (for normalised rows: at a
/// cosine of `1 - eps^2 / 2` or more); a row with `min_points` neighbors or more, itself
/// included, is a core and carries its cluster on. M. Ester and others, "A density-based
/// algorithm for discovering clusters" (1996). A row near two clusters joins the one that
/// is found first, in row order; see [`super::choose_eps()`] for `eps`.
///
/// Exact. Costs O(n^2 d / 2) in parallel, of bytes but for pairs near the radius, and 4 bytes for
/// each pair of neighbors: 20,000 rows of 1280 columns take 1.4 s on two cores with AVX-512.
///
/// # Errors
///
/// [`LearnError::Radius`], [`LearnError::MinPoints`], [`LearnError::EmptyInput`],
/// [`LearnError::ValueOutOfRange`]; [`LearnError::TooManyNeighbors`] where `eps` makes
/// nearly everything a neighbor of everything.
pub fn dbscan(rows: ArrayView2<'_, f32>, eps: f32, min_points: usize) -> Result<Clustering> {
    check_rows(rows)?;
    check_min_points(min_points, usize::MAX)?;
    if !(eps.is_finite() && eps > 0.0) {
        return Err(LearnError::Radius { found: eps });
    }
    let lists = NeighborLists::within(rows, eps)?;
    let names = walk(lists, rows.nrows(), min_points)?;
    Ok(Clustering::from_names(&names))
}

/// Checks the core size; linfa wants 2 at least.
pub(super) fn check_min_points(min_points: usize, max: usize) -> Result<()> {
    if (2..=max).contains(&min_points) {
        return Ok(());
    }
    Err(LearnError::MinPoints { max, found: min_points })
}

/// Runs linfa's DBSCAN over a matrix of one column that holds the number of each row.
fn walk(lists: NeighborLists, rows: usize, min_points: usize) -> Result<Vec<Option<usize>>> {
    // linfa reserves room for `min_points` neighbors; one more than all rows is as
    // impossible as any more.
    let min_points = min_points.min(rows + 1);
    let numbers = Array2::from_shape_fn((rows, 1), |(row, _)| row as f64);
    let lookup = Lookup(Arc::new(lists));
    let parameters = Dbscan::params_with(min_points, L2Dist, lookup)
        .tolerance(1.0)
        .check()
        .map_err(LearnError::backend)?;
    Ok(parameters.transform(&numbers).to_vec())
}

/// Answers linfa's radius queries from the lists. A query point is a row number, not a
/// position, because linfa passes the point alone and says nothing about which row it is.
#[derive(Clone, Debug)]
struct Lookup(Arc<NeighborLists>);

impl NearestNeighbour for Lookup {
    fn from_batch_with_leaf_size<'a, F: Float, DT: Data<Elem = F>, D: 'a + Distance<F>>(
        &self,
        batch: &'a ArrayBase<DT, Ix2>,
        _leaf_size: usize,
        _distance: D,
    ) -> std::result::Result<Box<dyn 'a + Send + Sync + NearestNeighbourIndex<F>>, BuildError> {
        Ok(Box::new(LookupIndex { numbers: batch.view(), lists: Arc::clone(&self.0) }))
    }
}

struct LookupIndex<'a, F> {
    numbers: ArrayView2<'a, F>,
    lists: Arc<NeighborLists>,
}

type Found<'p, F> = Vec<(ArrayView1<'p, F>, usize)>;

impl<F: Float> LookupIndex<'_, F> {
    fn neighbors(&self, point: ArrayView1<'_, F>) -> std::result::Result<Found<'_, F>, NnError> {
        let number = point.first().and_then(|number| number.to_usize());
        let row =
            number.filter(|&row| row < self.numbers.nrows()).ok_or(NnError::WrongDimension)?;
        let neighbors = self.lists.of(row).iter().map(|&neighbor| neighbor as usize);
        Ok(neighbors.map(|neighbor| (self.numbers.row(neighbor), neighbor)).collect())
    }
}

impl<F: Float> NearestNeighbourIndex<F> for LookupIndex<'_, F> {
    /// Not asked for by DBSCAN; the lists know no order, so this is the start of the radius answer.
    fn k_nearest(
        &self,
        point: ArrayView1<'_, F>,
        k: usize,
    ) -> std::result::Result<Found<'_, F>, NnError> {
        let mut neighbors = self.neighbors(point)?;
        neighbors.truncate(k);
        Ok(neighbors)
    }

    fn within_range(
        &self,
        point: ArrayView1<'_, F>,
        _range: F,
    ) -> std::result::Result<Found<'_, F>, NnError> {
        self.neighbors(point)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use ndarray::array;
    use proptest::prelude::*;

    use super::super::matrix::squared_distance;
    use super::super::planted::{on_one_and_four_threads, planted, random_rows};
    use super::*;

    #[test]
    fn a_chain_a_border_and_an_outlier_worked_by_hand() {
        // At radius 1 and 3 points: 0, 1, 2 form a chain whose only core is 1; 9 and 9.5
        // are too few.
        let rows = array![[0.0], [1.0], [2.0], [9.0], [9.5]];
        let found = dbscan(rows.view(), 1.0, 3).unwrap();
        assert_eq!(found.assignments(), [Some(0), Some(0), Some(0), None, None]);
        let found = dbscan(rows.view(), 0.5, 2).unwrap();
        assert_eq!(found.assignments(), [None, None, None, Some(0), Some(0)]);
    }

    #[test]
    fn result_equals_the_definition_over_all_pairs() {
        for seed in 0..40 {
            let (clusters, each) = (1 + seed as usize % 5, 3 + seed as usize * 7);
            let (rows, _) = planted(clusters, each, 3 + seed as usize % 11, 0.8, seed);
            let eps = 0.05 + 0.03 * seed as f32;
            for min_points in [2, 3, 6] {
                let found = dbscan(rows.view(), eps, min_points).unwrap();
                let expected = dbscan_over_pairs(&rows, eps, min_points);
                assert_eq!(found, expected, "seed {seed}, min_points {min_points}");
            }
        }
    }

    /// The definition of Ester and others, without index or linfa: the slow twin of `dbscan`.
    fn dbscan_over_pairs(rows: &Array2<f32>, eps: f32, min_points: usize) -> Clustering {
        let neighbors = |row: usize| -> Vec<usize> {
            let near =
                |&other: &usize| squared_distance(rows.row(row), rows.row(other)) <= eps * eps;
            (0..rows.nrows()).filter(near).collect()
        };
        let mut names = vec![None; rows.nrows()];
        for start in 0..rows.nrows() {
            if names[start].is_some() || neighbors(start).len() < min_points {
                continue;
            }
            let mut queue = VecDeque::from([start]);
            while let Some(row) = queue.pop_front() {
                let near = neighbors(row);
                names[row] = Some(start);
                if near.len() >= min_points {
                    for other in near {
                        if names[other].is_none() {
                            names[other] = Some(start);
                            queue.push_back(other);
                        }
                    }
                }
            }
        }
        Clustering::from_names(&names)
    }

    proptest! {
        // Two points make a core, so that there is no border between clusters to be dealt out.
        #[test]
        fn order_of_the_rows_changes_no_cluster(
            places in proptest::collection::vec((0_u8..20, 0_u8..20), 2..40),
            order in proptest::collection::vec(any::<u32>(), 40),
        ) {
            let clusters = |order: &[usize]| {
                let rows = Array2::from_shape_fn((order.len(), 2), |(row, column)| {
                    let (x, y) = places[order[row]];
                    f32::from(if column == 0 { x } else { y })
                });
                let found = dbscan(rows.view(), 2.0, 2).unwrap();
                let named = |members: &Vec<usize>| -> BTreeSet<usize> {
                    members.iter().map(|row| order[*row]).collect()
                };
                found.members().iter().map(named).collect::<BTreeSet<_>>()
            };
            let mut shuffled: Vec<usize> = (0..places.len()).collect();
            let upright = clusters(&shuffled);
            shuffled.sort_by_key(|row| order[*row]);
            prop_assert_eq!(clusters(&shuffled), upright);
        }
    }

    #[test]
    fn copies_are_neighbors_at_the_smallest_radius() {
        let single = random_rows(300, 1280, 4);
        let rows = ndarray::concatenate![ndarray::Axis(0), single, single];
        let found = dbscan(rows.view(), f32::MIN_POSITIVE, 2).unwrap();
        assert_eq!(found.clusters(), 300);
        assert_eq!(found.members()[7], [7, 307]);
    }

    #[test]
    fn parameters_without_meaning_are_refused() {
        let rows = random_rows(5, 3, 1);
        for eps in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(dbscan(rows.view(), eps, 3), Err(LearnError::Radius { .. })), "{eps}");
        }
        for min_points in [0, 1] {
            let found = dbscan(rows.view(), 0.5, min_points);
            assert!(matches!(found, Err(LearnError::MinPoints { .. })), "{min_points}");
        }
    }

    #[test]
    fn core_size_above_the_rows_leaves_all_in_no_cluster() {
        let copies = Array2::<f32>::ones((5, 3));
        assert_eq!(dbscan(copies.view(), 0.5, 5).unwrap().clusters(), 1);
        for min_points in [6, usize::MAX] {
            assert_eq!(dbscan(copies.view(), 0.5, min_points).unwrap().clusters(), 0);
        }
    }

    #[test]
    fn result_does_not_depend_on_threads() {
        let (rows, _) = planted(6, 200, 20, 0.9, 2);
        let (one, four) = on_one_and_four_threads(|| dbscan(rows.view(), 0.7, 4).unwrap());
        assert_eq!(one, four);
        assert!(one.clusters() > 0);
    }

    #[test]
    fn lookup_answers_by_row_number_and_refuses_others() {
        let rows = array![[0.0], [1.0], [5.0]];
        let lookup = Lookup(Arc::new(NeighborLists::within(rows.view(), 1.0).unwrap()));
        let numbers = array![[0.0], [1.0], [2.0]];
        let index = lookup.from_batch(&numbers, L2Dist).unwrap();
        let found = |number: f64| -> Option<Vec<usize>> {
            let answer = index.within_range(array![number].view(), 1.0).ok()?;
            Some(answer.into_iter().map(|(_, row)| row).collect())
        };
        assert_eq!(found(1.0), Some(vec![0, 1]));
        assert_eq!(found(2.0), Some(vec![2]));
        assert_eq!(found(3.0), None);
        assert_eq!(found(-1.0), None);
        assert_eq!(index.k_nearest(array![0.0].view(), 1).unwrap().len(), 1);
    }
}
