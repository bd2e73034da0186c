//! Cross-validation that keeps groups (bursts, near-copies) together, with the baselines a
//! classifier must beat.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::calibration::{Calibration, Judged};
use super::classifier::{Classifier, ClassifierKind};
use super::error::{LearnError, Result};
use super::forest::check_labels;
use super::matrix::{blocks, check_length, check_rows, stream};
use super::selection::select;

/// How well a classifier tells classes apart on rows that it was not trained on.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// Share of right predictions in each fold.
    pub fold_accuracies: Vec<f32>,
    /// Mean of the fold accuracies.
    pub mean: f32,
    /// Standard deviation of the fold accuracies.
    pub spread: f32,
    /// Rows by true class, then by predicted class.
    pub confusion: Vec<Vec<usize>>,
    /// Accuracy of always naming the most frequent class.
    pub majority_baseline: f32,
    /// Accuracy of naming the class of the most similar row outside the fold.
    pub nearest_neighbor_accuracy: f32,
    /// Fold of each row.
    pub fold_of: Vec<usize>,
    /// Shares of the classes for each row (n x classes), said by the classifier of its fold, that
    /// did not see it.
    pub shares: Array2<f32>,
    /// The class that was named for each row, with its probability: of each fold by the calibration
    /// of the other folds.
    pub judged: Vec<Judged>,
    /// The same by the shares themselves.
    pub judged_by_shares: Vec<Judged>,
    /// Calibration on all folds together.
    pub calibration: Calibration,
}

/// Trains on all folds but one and predicts that one, for each fold.
///
/// `groups` names the group of each row, any numbers: rows of one group never stand on both
/// sides, because a near-copy in training makes the accuracy a lie. `seed` also
/// shuffles the folds. Costs `folds` trainings and O(n^2 d) for the nearest neighbors.
///
/// # Errors
///
/// Those of [`folds`] and [`Classifier::train`].
pub fn cross_validate(
    rows: ArrayView2<'_, f32>,
    labels: &[usize],
    groups: &[usize],
    classes: usize,
    fold_count: usize,
    kind: ClassifierKind,
    seed: u64,
) -> Result<CrossValidation> {
    check_rows(rows)?;
    check_labels(rows.nrows(), labels, classes)?;
    let fold_of = folds(labels, groups, fold_count, seed)?;
    let mut shares = Array2::zeros((rows.nrows(), classes));
    for fold in 0..fold_count {
        let (tested, trained): (Vec<usize>, Vec<usize>) =
            (0..rows.nrows()).partition(|&row| fold_of[row] == fold);
        let known: Vec<usize> = trained.iter().map(|&row| labels[row]).collect();
        let trained = rows.select(Axis(0), &trained);
        let classifier = Classifier::train(kind, trained.view(), &known, classes, seed)?;
        let found = classifier.shares(rows.select(Axis(0), &tested).view())?;
        for (&row, found) in tested.iter().zip(found.outer_iter()) {
            shares.row_mut(row).assign(&found);
        }
    }
    let judged_by_shares =
        judge(&shares, labels, &fold_of, &vec![Calibration::default(); fold_count]);
    let mut confusion = vec![vec![0; classes]; classes];
    for (shares, &label) in shares.outer_iter().zip(labels) {
        confusion[label][greatest(shares)] += 1;
    }
    let fold_accuracies = fold_accuracies(&judged_by_shares, &fold_of, fold_count);
    let (mean, spread) = mean_and_deviation(&fold_accuracies);
    Ok(CrossValidation {
        mean,
        spread,
        fold_accuracies,
        majority_baseline: majority_share(&confusion, labels.len()),
        confusion,
        nearest_neighbor_accuracy: nearest_neighbor_accuracy(rows, labels, &fold_of),
        judged: judge(
            &shares,
            labels,
            &fold_of,
            &calibrations(&shares, labels, &fold_of, fold_count),
        ),
        judged_by_shares,
        calibration: Calibration::fit(shares.view(), labels),
        shares,
        fold_of,
    })
}

impl CrossValidation {
    /// Returns which share of the rows [`select`] keeps at an error, and which share of those is
    /// wrong: the rows of each fold by what is known of the others.
    pub fn kept_at(&self, error: f32) -> (f32, f32) {
        let (mut kept, mut wrong) = (0, 0);
        for fold in 0..self.fold_accuracies.len() {
            let of_fold = self.judged.iter().zip(&self.fold_of);
            let (new, held_out): (Vec<_>, Vec<_>) = of_fold.partition(|(_, other)| **other == fold);
            let held_out: Vec<Judged> = held_out.into_iter().map(|(row, _)| *row).collect();
            let confidences: Vec<f32> = new.iter().map(|(row, _)| row.confidence).collect();
            let selected = select(&held_out, &confidences, error);
            let selected = new.iter().zip(selected).filter(|(_, is_kept)| *is_kept);
            for ((row, _), _) in selected {
                kept += 1;
                wrong += usize::from(!row.is_right);
            }
        }
        (kept as f32 / self.judged.len() as f32, wrong as f32 / kept.max(1) as f32)
    }
}

/// For each fold the calibration of the others.
fn calibrations(
    shares: &Array2<f32>,
    labels: &[usize],
    fold_of: &[usize],
    fold_count: usize,
) -> Vec<Calibration> {
    let without = |fold: usize| {
        let others: Vec<usize> = (0..labels.len()).filter(|&row| fold_of[row] != fold).collect();
        let known: Vec<usize> = others.iter().map(|&row| labels[row]).collect();
        Calibration::fit(shares.select(Axis(0), &others).view(), &known)
    };
    (0..fold_count).into_par_iter().map(without).collect()
}

fn judge(
    shares: &Array2<f32>,
    labels: &[usize],
    fold_of: &[usize],
    calibrations: &[Calibration],
) -> Vec<Judged> {
    let rows = shares.outer_iter().zip(labels).zip(fold_of);
    rows.map(|((shares, &label), &fold)| {
        let class = greatest(shares);
        let confidence = calibrations[fold].probabilities(shares)[class];
        Judged { confidence, is_right: class == label }
    })
    .collect()
}

/// Returns the class with the greatest share, the lowest one among equals; 0 for none.
pub fn greatest(shares: ndarray::ArrayView1<'_, f32>) -> usize {
    let all = shares.iter().enumerate().rev();
    all.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class)
}

fn fold_accuracies(judged: &[Judged], fold_of: &[usize], fold_count: usize) -> Vec<f32> {
    let mut right = vec![(0, 0); fold_count];
    for (row, &fold) in judged.iter().zip(fold_of) {
        right[fold].0 += usize::from(row.is_right);
        right[fold].1 += 1;
    }
    right.into_iter().map(|(right, rows)| right as f32 / rows as f32).collect()
}

/// Deals the rows out to `fold_count` folds and returns the fold of each row.
///
/// All rows of a group go to one fold; the largest groups go first, each to the fold that
/// has the least of its classes, so classes are spread as evenly as the groups allow.
/// Groups of one size go in an order drawn from `seed`. Costs O(n log n + groups * folds).
///
/// # Errors
///
/// [`LearnError::FoldCount`] unless `2 <= fold_count <= n`; [`LearnError::TooFewExamples`]
/// where a class is in fewer groups than there are folds; [`LearnError::LengthMismatch`].
pub fn folds(
    labels: &[usize],
    groups: &[usize],
    fold_count: usize,
    seed: u64,
) -> Result<Vec<usize>> {
    check_length("groups", labels.len(), groups.len())?;
    if !(2..=labels.len()).contains(&fold_count) {
        return Err(LearnError::FoldCount { max: labels.len(), found: fold_count });
    }
    let groups = shuffled_groups(labels, groups, seed);
    let totals = class_totals(&groups, fold_count)?;
    let mut deal = vec![Fold::default(); fold_count];
    let mut fold_of = vec![0; labels.len()];
    for group in &groups {
        let fold = emptiest(&deal, group, &totals);
        deal[fold].take(group);
        for &row in &group.rows {
            fold_of[row] = fold;
        }
    }
    Ok(fold_of)
}

struct Group {
    rows: Vec<usize>,
    class_counts: BTreeMap<usize, usize>,
}

#[derive(Clone, Default)]
struct Fold {
    rows: usize,
    class_counts: BTreeMap<usize, usize>,
}

impl Fold {
    fn take(&mut self, group: &Group) {
        self.rows += group.rows.len();
        for (&class, &count) in &group.class_counts {
            *self.class_counts.entry(class).or_default() += count;
        }
    }

    fn count(&self, class: usize) -> usize {
        self.class_counts.get(&class).copied().unwrap_or(0)
    }
}

/// Collects the groups, largest first, equal ones in random order.
fn shuffled_groups(labels: &[usize], groups: &[usize], seed: u64) -> Vec<Group> {
    let mut by_name: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &group) in groups.iter().enumerate() {
        by_name.entry(group).or_default().push(row);
    }
    let collect = |rows: Vec<usize>| {
        let mut class_counts = BTreeMap::new();
        for &row in &rows {
            *class_counts.entry(labels[row]).or_default() += 1;
        }
        Group { rows, class_counts }
    };
    let mut groups: Vec<Group> = by_name.into_values().map(collect).collect();
    groups.shuffle(&mut stream(seed, 3));
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    groups
}

/// Returns the rows of each class, after checking that each class is in enough groups.
fn class_totals(groups: &[Group], fold_count: usize) -> Result<BTreeMap<usize, usize>> {
    let mut totals: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (&class, &count) in groups.iter().flat_map(|group| &group.class_counts) {
        let total = totals.entry(class).or_default();
        *total = (total.0 + count, total.1 + 1);
    }
    match totals.iter().find(|(_, (_, groups))| *groups < fold_count) {
        Some((&class, &(_, found))) => {
            Err(LearnError::TooFewExamples { class, expected: fold_count, found })
        }
        None => Ok(totals.into_iter().map(|(class, (rows, _))| (class, rows)).collect()),
    }
}

/// Returns the fold where the classes of a group are rarest; then the smallest; then the first.
fn emptiest(deal: &[Fold], group: &Group, totals: &BTreeMap<usize, usize>) -> usize {
    let crowding = |fold: &Fold| -> f64 {
        let counts = group.class_counts.iter();
        counts
            .map(|(&class, &count)| {
                (fold.count(class) * count) as f64
                    / totals.get(&class).map_or(1.0, |&total| total as f64)
            })
            .sum()
    };
    let order = |(_, a): &(usize, &Fold), (_, b): &(usize, &Fold)| {
        crowding(a).total_cmp(&crowding(b)).then(a.rows.cmp(&b.rows))
    };
    deal.iter().enumerate().min_by(order).map_or(0, |(fold, _)| fold)
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let squares: f32 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

fn majority_share(confusion: &[Vec<usize>], rows: usize) -> f32 {
    let largest = confusion.iter().map(|row| row.iter().sum::<usize>()).max();
    largest.unwrap_or(0) as f32 / rows as f32
}

/// Accuracy of the most similar row of another fold, the first one among equals.
fn nearest_neighbor_accuracy(
    rows: ArrayView2<'_, f32>,
    labels: &[usize],
    fold_of: &[usize],
) -> f32 {
    let right: usize = blocks(rows.nrows())
        .map(|block| {
            let products = rows.slice(s![block.clone(), ..]).dot(&rows.t());
            let nearest = |row: usize, products: ndarray::ArrayView1<'_, f32>| {
                let others = products
                    .into_iter()
                    .enumerate()
                    .filter(|&(other, _)| fold_of[other] != fold_of[row]);
                others.rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(other, _)| labels[other])
            };
            block
                .zip(products.outer_iter())
                .filter(|&(row, products)| nearest(row, products) == Some(labels[row]))
                .count()
        })
        .sum();
    right as f32 / rows.nrows() as f32
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array, concatenate};
    use rand::Rng;

    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn single_rows_are_dealt_out_evenly_in_every_class() {
        for seed in 0..20 {
            let labels: Vec<usize> =
                (0..97).map(|row| if row < 40 { 0 } else { row % 4 }).collect();
            let groups: Vec<usize> = (0..97).collect();
            let fold_of = folds(&labels, &groups, 5, seed).unwrap();
            for class in 0..4 {
                let mut counts = [0; 5];
                for row in (0..97).filter(|&row| labels[row] == class) {
                    counts[fold_of[row]] += 1;
                }
                let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                assert!(most - least <= 1, "seed {seed}, class {class}: {counts:?}");
            }
        }
    }

    #[test]
    fn rows_of_one_group_share_a_fold_and_no_fold_is_empty() {
        let mut random = stream(4, 4);
        for seed in 0..50 {
            let rows = random.gen_range(30..120);
            let groups: Vec<usize> = (0..rows).map(|_| random.gen_range(0..25)).collect();
            let labels: Vec<usize> = (0..rows).map(|row| groups[row] % 2).collect();
            let Ok(fold_of) = folds(&labels, &groups, 3, seed) else { continue };
            for fold in 0..3 {
                assert!(fold_of.contains(&fold), "seed {seed}");
            }
            for (a, b) in (0..rows).flat_map(|a| (0..a).map(move |b| (a, b))) {
                assert!(groups[a] != groups[b] || fold_of[a] == fold_of[b], "seed {seed}: {a} {b}");
            }
        }
    }

    #[test]
    fn groups_are_dealt_largest_first_by_hand() {
        // Group 9 takes fold 0 and group 4 fold 1. The singles of class 1 then go to fold 1,
        // the smaller one, to fold 0, which has none of them, and to fold 1 again.
        let labels = [0, 0, 0, 0, 0, 1, 1, 1];
        let groups = [9, 9, 9, 4, 4, 7, 2, 3];
        let fold_of = folds(&labels, &groups, 2, 0).unwrap();
        assert_eq!(fold_of[..5], [0, 0, 0, 1, 1]);
        assert_eq!(fold_of[5..].iter().sum::<usize>(), 2, "{fold_of:?}");
    }

    #[test]
    fn seed_changes_the_folds_and_repeats_them() {
        let labels: Vec<usize> = (0..60).map(|row| row % 3).collect();
        let groups: Vec<usize> = (0..60).collect();
        assert_eq!(folds(&labels, &groups, 4, 1).unwrap(), folds(&labels, &groups, 4, 1).unwrap());
        assert_ne!(folds(&labels, &groups, 4, 1).unwrap(), folds(&labels, &groups, 4, 2).unwrap());
    }

    #[test]
    fn folds_that_cannot_be_made_are_refused() {
        let groups = [0, 1, 2, 3, 4];
        for fold_count in [0, 1, 6] {
            let found = folds(&[0, 0, 0, 1, 1], &groups, fold_count, 0);
            assert!(matches!(found, Err(LearnError::FoldCount { max: 5, .. })), "{fold_count}");
        }
        assert!(matches!(
            folds(&[0, 0, 0, 1, 1], &groups, 3, 0),
            Err(LearnError::TooFewExamples { class: 1, expected: 3, found: 2 })
        ));
        // Three rows of class 1, but a burst: one group.
        assert!(matches!(
            folds(&[0, 0, 1, 1, 1], &[0, 1, 2, 2, 2], 2, 0),
            Err(LearnError::TooFewExamples { class: 1, expected: 2, found: 1 })
        ));
        assert!(matches!(folds(&[0, 1], &[0], 2, 0), Err(LearnError::LengthMismatch { .. })));
        assert!(matches!(folds(&[], &[], 2, 0), Err(LearnError::FoldCount { max: 0, .. })));
    }

    #[test]
    fn planted_classes_are_validated_with_their_baselines() {
        let (rows, mut labels) = planted(3, 30, 12, 0.5, 7);
        labels.iter_mut().for_each(|label| *label = (*label).min(1));
        let groups: Vec<usize> = (0..90).collect();
        let found =
            cross_validate(rows.view(), &labels, &groups, 2, 5, ClassifierKind::Neighbors, 1)
                .unwrap();
        assert_eq!(found.fold_accuracies.len(), 5);
        assert!(found.mean > 0.95 && found.spread < 0.1, "{found:?}");
        assert!(found.nearest_neighbor_accuracy > 0.95, "{found:?}");
        assert_eq!(found.majority_baseline, 60.0 / 90.0);
        let right = found.confusion[0][0] + found.confusion[1][1];
        let wrong = found.confusion[0][1] + found.confusion[1][0];
        assert_eq!(right + wrong, 90);
        assert_eq!(found.confusion[0].iter().sum::<usize>(), 30);
        assert!((right as f32 / 90.0 - found.mean).abs() < 0.02);
    }

    #[test]
    fn confusion_has_a_line_for_each_true_class() {
        let rows = random_rows(60, 6, 5);
        let labels: Vec<usize> = (0..60).map(|row| usize::from(row % 3 > 0)).collect();
        let groups: Vec<usize> = (0..60).collect();
        let confusion =
            cross_validate(rows.view(), &labels, &groups, 2, 4, ClassifierKind::Neighbors, 1)
                .unwrap()
                .confusion;
        let sums: Vec<usize> = confusion.iter().map(|line| line.iter().sum()).collect();
        assert_eq!(sums, [20, 40]);
        assert_ne!(confusion[0][1], confusion[1][0], "else the test proves nothing");
    }

    #[test]
    fn copies_on_both_sides_lie_and_groups_stop_them() {
        let single = random_rows(60, 8, 3);
        let rows = concatenate![Axis(0), single, single];
        let labels: Vec<usize> = (0..120).map(|row| row % 60 * 7 % 3 % 2).collect();
        let apart: Vec<usize> = (0..120).collect();
        let together: Vec<usize> = (0..120).map(|row| row % 60).collect();
        let accuracy = |groups: &[usize]| {
            cross_validate(rows.view(), &labels, groups, 2, 4, ClassifierKind::Neighbors, 1)
                .unwrap()
                .nearest_neighbor_accuracy
        };
        assert!(accuracy(&apart) > 0.8, "{}", accuracy(&apart));
        assert!(accuracy(&together) < 0.7, "{}", accuracy(&together));
    }

    #[test]
    fn nearest_neighbor_is_looked_up_outside_the_fold() {
        let rows = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]];
        // Within the folds neighbors agree; across them the nearest has the other label.
        assert_eq!(nearest_neighbor_accuracy(rows.view(), &[0, 1, 0, 1], &[0, 1, 0, 1]), 0.0);
        assert_eq!(nearest_neighbor_accuracy(rows.view(), &[0, 0, 1, 1], &[0, 1, 0, 1]), 1.0);
        assert_eq!(nearest_neighbor_accuracy(rows.view(), &[0, 0, 1, 1], &[0, 0, 1, 1]), 0.0);
    }

    #[test]
    fn mean_and_deviation_by_hand() {
        assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, 2.0_f32.sqrt()));
        assert_eq!(mean_and_deviation(&[0.5]), (0.5, 0.0));
    }

    #[test]
    fn bad_rows_are_refused_before_any_training() {
        let rows = Array2::from_elem((4, 2), f32::NAN);
        let found = cross_validate(
            rows.view(),
            &[0, 1, 0, 1],
            &[0, 1, 2, 3],
            2,
            2,
            ClassifierKind::Neighbors,
            1,
        );
        assert!(matches!(found, Err(LearnError::ValueOutOfRange { row: 0, column: 0, .. })));
    }
}
