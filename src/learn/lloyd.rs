//! Lloyd's rounds of k-means: assignment by blocked matrix products, with bounds that spare the
//! rows whose center cannot have changed.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::clustering::Clustering;
use super::matrix::{BLOCK_ROWS, squared_distance, squared_norms};
use crate::vector::Kernel;

/// Rounding of a product, relative to the squared norms of the two rows.
const SLACK: f32 = 4e-6;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// Most rounds.
    pub(super) max: usize,
    /// Share of rows that change their cluster at which a fit counts as settled.
    pub(super) settled_share: f64,
}

/// Centers with the rows that are nearest to each.
pub(super) struct Fit {
    names: Vec<u32>,
    /// Sum of the squared distances of the rows to the means of their clusters.
    pub(super) inertia: f64,
}

impl Fit {
    /// Returns the division; it has no empty clusters.
    pub(super) fn clustering(&self) -> Clustering {
        let names: Vec<_> = self.names.iter().map(|&name| Some(name as usize)).collect();
        Clustering::from_names(&names)
    }
}

/// Moves centers to the means of the rows nearest to them, round by round.
///
/// A row is compared with all centers only where its distance to its own may have become greater
/// than to another, by the triangle inequality: G. Hamerly, "Making k-means even faster" (2010).
/// The bounds include the rounding of the products, so the result is that of comparing all, up to
/// ties. A center that loses all its rows takes the row that is furthest from its own. Costs
/// O(n k d) for the first rounds and little for the last ones; sums are kept in 64 bits and
/// changed by the rows that moved. `rows` are contiguous.
pub(super) fn lloyd(rows: ArrayView2<'_, f32>, centers: Array2<f32>, rounds: Rounds) -> Fit {
    let mut state = State::new(rows, centers);
    for round in 0..rounds.max.max(1) {
        let moved = state.assign(round == 0);
        let moved_rows = moved.len();
        state.move_centers(moved);
        if moved_rows as f64 <= rounds.settled_share * rows.nrows() as f64 {
            break;
        }
    }
    Fit { inertia: state.inertia(), names: state.names }
}

/// A row that changes its cluster.
#[derive(Clone, Copy)]
struct Move {
    row: usize,
    /// None in the first round.
    from: Option<u32>,
    to: u32,
}

/// What is known of the distances of a row.
#[derive(Clone, Copy)]
struct Bounds {
    /// At least its distance to its own center.
    upper: f32,
    /// At most its distance to any other center.
    lower: f32,
}

struct State<'a> {
    rows: ArrayView2<'a, f32>,
    norms: Vec<f32>,
    centers: Array2<f32>,
    center_norms: Vec<f32>,
    /// Half the distance of each center to the nearest other one.
    halves: Vec<f32>,
    names: Vec<u32>,
    bounds: Vec<Bounds>,
    sums: Array2<f64>,
    sizes: Vec<usize>,
}

impl<'a> State<'a> {
    fn new(rows: ArrayView2<'a, f32>, centers: Array2<f32>) -> Self {
        let nothing_known = Bounds { upper: f32::INFINITY, lower: 0.0 };
        Self {
            center_norms: squared_norms(centers.view()),
            halves: vec![0.0; centers.nrows()],
            names: vec![0; rows.nrows()],
            bounds: vec![nothing_known; rows.nrows()],
            sums: Array2::zeros(centers.raw_dim()),
            sizes: vec![0; centers.nrows()],
            norms: squared_norms(rows),
            rows,
            centers,
        }
    }

    /// Finds the nearest center of each row, and returns the rows that get another one.
    fn assign(&mut self, is_first: bool) -> Vec<Move> {
        let mut names = std::mem::take(&mut self.names);
        let mut bounds = std::mem::take(&mut self.bounds);
        let state = &*self;
        let mut moved: Vec<Move> = names
            .par_chunks_mut(BLOCK_ROWS)
            .zip(bounds.par_chunks_mut(BLOCK_ROWS))
            .enumerate()
            .map(|(block, (names, bounds))| {
                state.assign_block(block * BLOCK_ROWS, names, bounds, is_first)
            })
            .flatten_iter()
            .collect();
        (self.names, self.bounds) = (names, bounds);
        for change in &moved {
            if let Some(from) = change.from {
                self.sizes[from as usize] -= 1;
            }
            self.sizes[change.to as usize] += 1;
        }
        self.fill_empty(&mut moved);
        moved
    }

    /// Assigns the rows of one block, which begins at row `first`.
    fn assign_block(
        &self,
        first: usize,
        names: &mut [u32],
        bounds: &mut [Bounds],
        is_first: bool,
    ) -> Vec<Move> {
        let unsure: Vec<usize> = (0..names.len())
            .filter(|&at| is_first || self.is_unsure(first + at, names[at], &mut bounds[at]))
            .collect();
        let products = if unsure.len() * 2 > names.len() {
            let all = self.rows.slice(s![first..first + names.len(), ..]);
            all.dot(&self.centers.t()).select(Axis(0), &unsure)
        } else {
            let rows: Vec<usize> = unsure.iter().map(|at| first + at).collect();
            self.rows.select(Axis(0), &rows).dot(&self.centers.t())
        };
        let mut moved = Vec::new();
        for (&at, products) in unsure.iter().zip(products.outer_iter()) {
            let row = first + at;
            let (to, found) = self.nearest(row, products.iter().copied(), names[at]);
            bounds[at] = found;
            if is_first || to != names[at] {
                moved.push(Move { row, from: (!is_first).then_some(names[at]), to });
                names[at] = to;
            }
        }
        moved
    }

    /// Says whether another center may be nearer than a row's own, after measuring the distance
    /// to its own where the bounds alone do not tell.
    fn is_unsure(&self, row: usize, name: u32, bounds: &mut Bounds) -> bool {
        let own = name as usize;
        let free = bounds.lower.max(self.halves[own]);
        if bounds.upper < free {
            return false;
        }
        let (a, b) = (self.rows.row(row), self.centers.row(own));
        if let (Some(a), Some(b)) = (a.as_slice(), b.as_slice()) {
            bounds.upper = self.distances(row, own, Kernel::detect().dot(a, b)).1;
        }
        bounds.upper >= free
    }

    /// Least and greatest distance that a product allows.
    fn distances(&self, row: usize, center: usize, product: f32) -> (f32, f32) {
        let norms = self.norms[row] + self.center_norms[center];
        let (squared, slack) = (norms - 2.0 * product, SLACK * norms);
        ((squared - slack).max(0.0).sqrt(), (squared + slack).max(0.0).sqrt())
    }

    /// The nearest center, `own` among equals, and the bounds that follow.
    fn nearest(&self, row: usize, products: impl Iterator<Item = f32>, own: u32) -> (u32, Bounds) {
        // The norm of the row is the same for all.
        let (mut best, mut second) = ((f32::INFINITY, 0, 0.0), (f32::INFINITY, 0, 0.0));
        for (center, product) in products.enumerate() {
            let score = self.center_norms[center] - 2.0 * product;
            if score < best.0 || (score == best.0 && center == own as usize) {
                second = best;
                best = (score, center, product);
            } else if score < second.0 {
                second = (score, center, product);
            }
        }
        let upper = self.distances(row, best.1, best.2).1;
        let lower = match second.0.is_finite() {
            true => self.distances(row, second.1, second.2).0,
            false => f32::INFINITY,
        };
        (best.1 as u32, Bounds { upper, lower })
    }

    /// Gives each cluster without rows the row that is furthest from its center.
    fn fill_empty(&mut self, moved: &mut Vec<Move>) {
        for empty in 0..self.sizes.len() {
            if self.sizes[empty] > 0 {
                continue;
            }
            let is_free = |row: &usize| self.sizes[self.names[*row] as usize] > 1;
            let far = |row: usize| {
                let own = self.names[row] as usize;
                let (a, b) = (self.rows.row(row), self.centers.row(own));
                squared_distance(a, b)
            };
            let distances = (0..self.names.len()).filter(is_free).map(|row| (far(row), row));
            let furthest = distances.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let Some((distance, row)) = furthest.filter(|(distance, _)| *distance > 0.0) else {
                // All rows that are left are copies of their centers.
                return;
            };
            debug_assert!(distance.is_finite());
            let from = std::mem::replace(&mut self.names[row], empty as u32);
            self.sizes[from as usize] -= 1;
            self.sizes[empty] += 1;
            self.bounds[row] = Bounds { upper: f32::INFINITY, lower: 0.0 };
            // A row of which this round has told a move already goes on from there.
            match moved.iter_mut().find(|change| change.row == row) {
                Some(change) => change.to = empty as u32,
                None => moved.push(Move { row, from: Some(from), to: empty as u32 }),
            }
        }
    }

    /// Moves the centers to the means of their rows, and widens the bounds by how far they moved.
    fn move_centers(&mut self, moved: Vec<Move>) {
        let mut changes: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.sizes.len()];
        for change in moved {
            if let Some(from) = change.from {
                changes[from as usize].push((change.row, -1.0));
            }
            changes[change.to as usize].push((change.row, 1.0));
        }
        let (rows, sizes) = (self.rows, &self.sizes);
        let shifts: Vec<f32> = self
            .sums
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(self.centers.axis_iter_mut(Axis(0)))
            .enumerate()
            .map(|(cluster, (mut sum, mut center))| {
                for &(row, sign) in &changes[cluster] {
                    sum.zip_mut_with(&rows.row(row), |sum, &value| *sum += sign * f64::from(value));
                }
                if changes[cluster].is_empty() || sizes[cluster] == 0 {
                    return 0.0;
                }
                let share = 1.0 / sizes[cluster] as f64;
                let mut shift = 0.0_f64;
                center.zip_mut_with(&sum, |center, &sum| {
                    let mean = (sum * share) as f32;
                    shift += f64::from(mean - *center).powi(2);
                    *center = mean;
                });
                shift.sqrt() as f32 * 1.000_001
            })
            .collect();
        self.center_norms = squared_norms(self.centers.view());
        self.halves = self.half_distances();
        self.widen(&shifts);
    }

    fn widen(&mut self, shifts: &[f32]) {
        let furthest = shifts.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        let (furthest, most) = furthest.map_or((0, 0.0), |(center, &shift)| (center, shift));
        let others = shifts.iter().enumerate().filter(|&(center, _)| center != furthest);
        let most_of_others = others.map(|(_, &shift)| shift).fold(0.0, f32::max);
        for (bounds, &name) in self.bounds.iter_mut().zip(&self.names) {
            bounds.upper += shifts[name as usize];
            bounds.lower -= if name as usize == furthest { most_of_others } else { most };
        }
    }

    fn half_distances(&self) -> Vec<f32> {
        let products = self.centers.dot(&self.centers.t());
        let half = |(own, products): (usize, ndarray::ArrayView1<'_, f32>)| {
            let others = products.iter().enumerate().filter(|&(other, _)| other != own);
            let squared = others.map(|(other, product)| {
                let norms = self.center_norms[own] + self.center_norms[other];
                norms * (1.0 - SLACK) - 2.0 * product
            });
            squared.fold(f32::INFINITY, f32::min).max(0.0).sqrt() / 2.0
        };
        products.outer_iter().enumerate().map(half).collect()
    }

    fn inertia(&self) -> f64 {
        let all: f64 = self.norms.iter().copied().map(f64::from).sum();
        let clusters = self.sums.outer_iter().zip(&self.sizes).filter(|(_, size)| **size > 0);
        all - clusters.map(|(sum, &size)| sum.dot(&sum) / size as f64).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use linfa::DatasetBase;
    use linfa::traits::{Fit as _, Predict};
    use linfa_clustering::{KMeans, KMeansInit};
    use linfa_nn::distance::L2Dist;
    use ndarray::array;

    use super::super::matrix::{sample_rows, stream};
    use super::super::planted::{planted, random_rows};
    use super::*;

    const TO_THE_END: Rounds = Rounds { max: 300, settled_share: 0.0 };

    /// Every row compared with every center by subtraction, in every round: the slow twin.
    fn plain_lloyd(rows: &Array2<f32>, mut centers: Array2<f32>) -> Vec<u32> {
        let mut names = Vec::new();
        loop {
            let nearest = |row: ndarray::ArrayView1<'_, f32>| {
                let distances = centers.outer_iter().map(|center| squared_distance(row, center));
                let best = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
                best.map_or(0, |(center, _)| center as u32)
            };
            let found: Vec<u32> = rows.outer_iter().map(nearest).collect();
            if found == names {
                return names;
            }
            names = found;
            for (center, mut target) in centers.outer_iter_mut().enumerate() {
                let members: Vec<usize> =
                    (0..names.len()).filter(|&row| names[row] as usize == center).collect();
                target.assign(&rows.select(Axis(0), &members).mean_axis(Axis(0)).unwrap());
            }
        }
    }

    #[test]
    fn bounds_spare_work_and_change_nothing() {
        for seed in 0..12 {
            let (rows, _) = planted(9, 60, 20, 0.9, seed);
            let start = rows.select(Axis(0), &sample_rows(540, 12, seed));
            let expected = plain_lloyd(&rows, start.clone());
            assert_eq!(lloyd(rows.view(), start, TO_THE_END).names, expected, "seed {seed}");
        }
    }

    #[test]
    fn result_is_linfas_from_the_same_centers() {
        for seed in 0..6 {
            let (rows, _) = planted(5, 40, 12, 0.5, seed);
            let start = rows.select(Axis(0), &[0, 1, 2, 3, 4]);
            let theirs = KMeans::params_with(5, stream(0, 0), L2Dist)
                .init_method(KMeansInit::Precomputed(start.clone()))
                .n_runs(1)
                .max_n_iterations(300)
                .tolerance(1e-6)
                .fit(&DatasetBase::from(rows.view()))
                .unwrap();
            let expected: Vec<u32> =
                theirs.predict(&rows.view()).iter().map(|&name| name as u32).collect();
            let ours = lloyd(rows.view(), start, TO_THE_END);
            assert_eq!(ours.names, expected, "seed {seed}");
            // linfa gives the mean of the squared distances.
            let inertia = f64::from(theirs.inertia()) * 200.0;
            assert!((ours.inertia - inertia).abs() < 1e-3 * inertia, "{} {inertia}", ours.inertia);
        }
    }

    #[test]
    fn centers_that_no_row_is_nearest_to_take_the_furthest_rows() {
        let rows = array![[0.0, 0.0], [0.1, 0.0], [5.0, 0.0], [9.0, 0.0], [9.1, 0.0]];
        let start = array![[4.0, 0.0], [100.0, 0.0], [-100.0, 0.0]];
        // All rows are nearest to the first; 9.1 and then 9 are furthest from it, and none of the
        // others is nearer to them than to its own.
        let found = lloyd(rows.view(), start, TO_THE_END).clustering();
        assert_eq!(found.members(), [vec![0, 1, 2], vec![3], vec![4]]);
        let copies = array![[1.0, 0.0], [1.0, 0.0]];
        let found = lloyd(copies.view(), array![[1.0, 0.0], [1.0, 0.0]], TO_THE_END);
        assert_eq!(found.clustering().members(), [[0, 1]]);
    }

    #[test]
    fn order_of_the_rows_changes_nothing_but_the_order() {
        let rows = random_rows(300, 9, 2);
        let start = rows.slice(s![..7, ..]).to_owned();
        let forwards = lloyd(rows.view(), start.clone(), TO_THE_END).names;
        let reversed = rows.slice(s![..;-1, ..]).as_standard_layout().into_owned();
        let mut backwards = lloyd(reversed.view(), start, TO_THE_END).names;
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }
}
