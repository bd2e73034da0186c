//! A division of rows into clusters, and what can be said about one: its medoid, its
//! spread, its silhouette.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::error::{LearnError, Result};
use super::matrix::{check_length, check_row, check_rows, product};

/// Which cluster each row is in.
///
/// Cluster 0 is the largest; among equals the one whose first row comes first. No cluster is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clustering {
    assignments: Vec<Option<usize>>,
    clusters: usize,
}

impl Clustering {
    /// Returns the cluster of each row, `None` for a row that is in no cluster (noise).
    pub fn assignments(&self) -> &[Option<usize>] {
        &self.assignments
    }

    /// Returns the number of clusters; every assignment is below it.
    pub fn clusters(&self) -> usize {
        self.clusters
    }

    /// Returns the rows of each cluster, ascending, largest cluster first. Costs O(n).
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.clusters];
        for (row, assignment) in self.assignments.iter().enumerate() {
            if let Some(list) = assignment.and_then(|cluster| members.get_mut(cluster)) {
                list.push(row);
            }
        }
        members
    }

    /// Returns the rows that are in no cluster, ascending.
    pub fn noise(&self) -> Vec<usize> {
        let assignments = self.assignments.iter().enumerate();
        assignments.filter_map(|(row, assignment)| assignment.is_none().then_some(row)).collect()
    }

    /// Renumbers arbitrary cluster names: by size, then by first member, so that equal
    /// divisions are equal.
    pub(super) fn from_names(names: &[Option<usize>]) -> Self {
        let mut groups: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
        for (row, name) in names.iter().enumerate() {
            if let Some(name) = name {
                groups.entry(*name).or_default().push(row);
            }
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
        groups.sort_by_key(|rows| (std::cmp::Reverse(rows.len()), rows.first().copied()));

        let mut assignments = vec![None; names.len()];
        for (cluster, rows) in groups.iter().enumerate() {
            for &row in rows {
                assignments[row] = Some(cluster);
            }
        }
        Self { assignments, clusters: groups.len() }
    }
}

/// Returns the member that is most like all the others: highest mean cosine to them.
///
/// For normalised rows that is the member closest to the mean, so it costs O(m d) instead
/// of the O(m^2 d) of comparing all pairs, and is exact. Among equals the first in
/// `members` wins.
///
/// # Errors
///
/// [`LearnError::NoMembers`], [`LearnError::MemberOutOfRange`], and those of bad values in
/// `rows`.
pub fn medoid(rows: ArrayView2<'_, f32>, members: &[usize]) -> Result<usize> {
    check_members(rows, members)?;
    let mean = mean(rows, members);
    let mut best = (f64::NEG_INFINITY, 0);
    for &member in members {
        let score = dot(rows, member, &mean);
        if score > best.0 {
            best = (score, member);
        }
    }
    Ok(best.1)
}

/// Returns the mean cosine of the members to one row, usually their medoid: 1 when all are
/// alike.
///
/// `rows` are normalised, so the result lies in -1 to 1; the row itself counts if it is a
/// member. O(m d).
///
/// # Errors
///
/// [`LearnError::NoMembers`], [`LearnError::MemberOutOfRange`], and those of bad values in
/// `rows`.
pub fn spread(rows: ArrayView2<'_, f32>, members: &[usize], medoid: usize) -> Result<f32> {
    check_members(rows, members)?;
    check_members(rows, &[medoid])?;
    Ok(dot(rows, medoid, &mean(rows, members)) as f32)
}

/// Returns the mean silhouette of the clustered rows under cosine distance: -1 bad, 0
/// touching, 1 far apart.
///
/// P. Rousseeuw, "Silhouettes" (1987); a row alone in its cluster counts 0, noise is left
/// out. The mean cosine distance of a row to a cluster is one minus its product with the
/// mean of the cluster, so this is exact in O(n k d), where all pairs would cost O(n^2 d).
///
/// # Errors
///
/// [`LearnError::ClusterCount`] for fewer than 2 clusters, [`LearnError::LengthMismatch`],
/// and those of bad values in `rows`.
pub fn silhouette(rows: ArrayView2<'_, f32>, clustering: &Clustering) -> Result<f32> {
    check_rows(rows)?;
    check_length("assignments", rows.nrows(), clustering.assignments.len())?;
    if clustering.clusters < 2 {
        return Err(LearnError::ClusterCount {
            min: 2,
            max: rows.nrows(),
            found: clustering.clusters,
        });
    }
    let members = clustering.members();
    let cosines = product(rows, means(rows, &members).view());
    let sizes: Vec<usize> = members.iter().map(Vec::len).collect();
    let (mut sum, mut count) = (0.0_f64, 0_usize);
    for ((row, cosines), own) in
        rows.outer_iter().zip(cosines.outer_iter()).zip(&clustering.assignments)
    {
        if let Some(own) = *own {
            let itself = f64::from(row.dot(&row));
            sum += row_silhouette(cosines.iter().copied(), &sizes, own, itself);
            count += 1;
        }
    }
    Ok((sum / count as f64) as f32)
}

/// Returns the silhouette of one row from its products with the cluster means.
fn row_silhouette(
    cosines: impl Iterator<Item = f32>,
    sizes: &[usize],
    own: usize,
    itself: f64,
) -> f64 {
    let (mut within, mut nearest_other) = (0.0, f64::INFINITY);
    for (cluster, (cosine, &size)) in cosines.zip(sizes).enumerate() {
        let (cosine, size) = (f64::from(cosine), size as f64);
        if cluster != own {
            nearest_other = f64::min(nearest_other, 1.0 - cosine);
        } else if size > 1.0 {
            within = 1.0 - (cosine * size - itself) / (size - 1.0);
        } else {
            return 0.0;
        }
    }
    let largest = f64::max(within, nearest_other);
    // Rounding leaves about 1e-7 where all rows are one; nothing can be said about those.
    if largest > 1e-6 { (nearest_other - within) / largest } else { 0.0 }
}

/// Returns the means of lists of rows, one row for each list.
pub(super) fn means(rows: ArrayView2<'_, f32>, members: &[Vec<usize>]) -> Array2<f32> {
    let mut result = Array2::zeros((members.len(), rows.ncols()));
    for (mut target, members) in result.axis_iter_mut(Axis(0)).zip(members) {
        target.assign(&mean(rows, members).mapv(|value| value as f32));
    }
    result
}

/// The mean of the members; summed in 64 bits, because 100,000 rows lose 3 digits in 32.
fn mean(rows: ArrayView2<'_, f32>, members: &[usize]) -> Array1<f64> {
    let mut sum = Array1::<f64>::zeros(rows.ncols());
    for &member in members {
        sum.zip_mut_with(&rows.row(member), |sum, &value| *sum += f64::from(value));
    }
    sum / members.len().max(1) as f64
}

fn dot(rows: ArrayView2<'_, f32>, row: usize, other: &Array1<f64>) -> f64 {
    rows.row(row).iter().zip(other).map(|(&a, &b)| f64::from(a) * b).sum()
}

/// Checks the members and their rows only: callers ask for one cluster after another.
fn check_members(rows: ArrayView2<'_, f32>, members: &[usize]) -> Result<()> {
    if members.is_empty() {
        return Err(LearnError::NoMembers);
    }
    for &member in members {
        if member >= rows.nrows() {
            return Err(LearnError::MemberOutOfRange { member, rows: rows.nrows() });
        }
        check_row(member, rows.row(member))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::super::planted::random_rows;
    use super::*;

    fn at_degrees(angles: &[f32]) -> Array2<f32> {
        Array2::from_shape_fn((angles.len(), 2), |(row, column)| {
            let (sine, cosine) = angles[row].to_radians().sin_cos();
            if column == 0 { cosine } else { sine }
        })
    }

    fn clustering(names: &[i32]) -> Clustering {
        let names: Vec<Option<usize>> =
            names.iter().map(|&name| usize::try_from(name).ok()).collect();
        Clustering::from_names(&names)
    }

    #[test]
    fn clusters_are_numbered_by_size_then_by_first_member() {
        struct Case {
            names: &'static [i32],
            assignments: &'static [i32],
        }
        for case in [
            Case { names: &[], assignments: &[] },
            Case { names: &[-1, -1], assignments: &[-1, -1] },
            Case { names: &[9, 4, 4], assignments: &[1, 0, 0] },
            Case { names: &[7, 3, 7, 3, 5], assignments: &[0, 1, 0, 1, 2] },
            Case { names: &[0, -1, 1, 2, 2, 1, -1, 1], assignments: &[2, -1, 0, 1, 1, 0, -1, 0] },
        ] {
            let found = clustering(case.names);
            let expected: Vec<Option<usize>> =
                case.assignments.iter().map(|&cluster| usize::try_from(cluster).ok()).collect();
            assert_eq!(found.assignments(), expected, "{:?}", case.names);
        }
        let found = clustering(&[0, -1, 1, 2, 2, 1, -1, 1]);
        assert_eq!(found.clusters(), 3);
        assert_eq!(found.members(), [vec![2, 5, 7], vec![3, 4], vec![0]]);
        assert_eq!(found.noise(), [1, 6]);
    }

    #[test]
    fn medoid_is_the_member_in_the_middle() {
        let rows = at_degrees(&[0.0, 90.0, 20.0, 30.0, 180.0]);
        // The mean of 0, 20, 30 and 90 degrees points to 34 degrees.
        assert_eq!(medoid(rows.view(), &[0, 1, 2, 3]).unwrap(), 3);
        assert_eq!(medoid(rows.view(), &[4]).unwrap(), 4);
        assert_eq!(medoid(at_degrees(&[50.0, 50.0]).view(), &[1, 0]).unwrap(), 1);
    }

    #[test]
    fn medoid_has_the_highest_mean_cosine_of_all_pairs() {
        for seed in 0..20 {
            let rows = random_rows(30, 7, seed);
            let members: Vec<usize> = (0..30).filter(|row| row % 3 != seed as usize % 3).collect();
            let sum_of = |row: usize| -> f64 {
                members.iter().map(|&other| f64::from(rows.row(row).dot(&rows.row(other)))).sum()
            };
            let best = members.iter().copied().max_by(|&a, &b| sum_of(a).total_cmp(&sum_of(b)));
            assert_eq!(medoid(rows.view(), &members).ok(), best, "seed {seed}");
        }
    }

    #[test]
    fn spread_is_the_mean_cosine_to_the_medoid() {
        let rows = at_degrees(&[0.0, 60.0, 90.0]);
        let found = spread(rows.view(), &[0, 1, 2], 0).unwrap();
        assert!((found - 0.5).abs() < 1e-6, "(1 + 0.5 + 0) / 3, found {found}");
    }

    #[test]
    fn silhouette_of_three_rows_worked_by_hand() {
        // 0 degrees: 0.5 to its fellow, 2 to the other: 1.5 / 2. 60 degrees: 0.5 and 1.5: 1
        // / 1.5. 180: alone.
        let rows = at_degrees(&[0.0, 60.0, 180.0]);
        let found = silhouette(rows.view(), &clustering(&[0, 0, 1])).unwrap();
        assert!((found - (0.75 + 2.0 / 3.0) / 3.0).abs() < 1e-6, "{found}");
        let two_copies = at_degrees(&[0.0, 0.0, 90.0, 90.0]);
        let found = silhouette(two_copies.view(), &clustering(&[0, 0, 1, 1])).unwrap();
        assert!((found - 1.0).abs() < 1e-6, "{found}");
    }

    #[test]
    fn silhouette_equals_the_one_over_all_pairs() {
        for seed in 0..20 {
            let rows = random_rows(40, 6, seed);
            let names: Vec<i32> = (0..40).map(|row| (row * 7 + seed as i32) % 5 - 1).collect();
            let clustering = clustering(&names);
            let found = silhouette(rows.view(), &clustering).unwrap();
            let expected = silhouette_over_pairs(&rows, &clustering);
            assert!((found - expected).abs() < 1e-5, "seed {seed}: {found} {expected}");
        }
    }

    /// The definition, word by word: the slow twin of `silhouette`.
    fn silhouette_over_pairs(rows: &Array2<f32>, clustering: &Clustering) -> f32 {
        let members = clustering.members();
        let mean_distance = |row: usize, cluster: usize| {
            let others: Vec<usize> =
                members[cluster].iter().copied().filter(|&other| other != row).collect();
            let sum: f32 =
                others.iter().map(|&other| 1.0 - rows.row(row).dot(&rows.row(other))).sum();
            sum / others.len() as f32
        };
        let mut values = Vec::new();
        for (row, assignment) in clustering.assignments().iter().enumerate() {
            let Some(own) = *assignment else { continue };
            let within = mean_distance(row, own);
            let others = (0..clustering.clusters()).filter(|&cluster| cluster != own);
            let nearest =
                others.map(|cluster| mean_distance(row, cluster)).fold(f32::INFINITY, f32::min);
            values.push(if members[own].len() == 1 {
                0.0
            } else {
                (nearest - within) / within.max(nearest)
            });
        }
        values.iter().sum::<f32>() / values.len() as f32
    }

    #[test]
    fn members_that_do_not_exist_and_bad_values_are_refused() {
        let rows = array![[1.0, 0.0], [f32::NAN, 0.0]];
        assert!(matches!(medoid(rows.view(), &[]), Err(LearnError::NoMembers)));
        assert!(matches!(
            medoid(rows.view(), &[1]),
            Err(LearnError::ValueOutOfRange { row: 1, column: 0, .. })
        ));
        assert!(matches!(
            medoid(rows.view(), &[0, 2]),
            Err(LearnError::MemberOutOfRange { member: 2, rows: 2 })
        ));
        assert!(matches!(
            spread(rows.view(), &[0], 2),
            Err(LearnError::MemberOutOfRange { member: 2, rows: 2 })
        ));
        let rows = at_degrees(&[0.0, 10.0]);
        assert!(matches!(
            silhouette(rows.view(), &clustering(&[0, 0])),
            Err(LearnError::ClusterCount { min: 2, max: 2, found: 1 })
        ));
        assert!(matches!(
            silhouette(rows.view(), &clustering(&[0, 1, 1])),
            Err(LearnError::LengthMismatch { expected: 2, found: 3, .. })
        ));
    }
}
