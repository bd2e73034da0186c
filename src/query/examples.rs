//! The images that the user labelled, as examples to learn from.

use ndarray::Array2;

use super::clusters::matrix_of;
use super::{Corpus, LabelCount, QueryError, Row, count_labels};
use crate::learn::{self, ClassifierKind, CrossValidation};
use crate::record::ImageId;

/// Folds of the cross-validation; fewer when a label has fewer examples.
const FOLDS: usize = 5;

/// Labelled images at least this similar count as copies of one image: they
/// never stand on both sides of a split. Edited copies of one photo score above
/// it, other photos of one subject below.
const COPY_SCORE_MIN: f32 = 0.95;

/// Labelled images with their vectors, row by row.
pub(super) struct Examples {
    pub(super) ids: Vec<ImageId>,
    pub(super) matrix: Array2<f32>,
    /// The label of each, as an index into `counts`.
    pub(super) classes: Vec<usize>,
    /// The labels, ordered by name.
    pub(super) counts: Vec<LabelCount>,
    /// Number of the group of copies that each is in.
    pub(super) groups: Vec<usize>,
}

impl Examples {
    /// Collects them.
    ///
    /// # Errors
    /// [`QueryError::TooFewLabels`].
    pub(super) fn of(corpus: &Corpus) -> Result<Self, QueryError> {
        let counts = count_labels(corpus.rows());
        if counts.len() < 2 {
            return Err(QueryError::TooFewLabels { found: counts.len() });
        }
        let rows: Vec<&Row> = corpus.rows().iter().filter(|row| row.label.is_some()).collect();
        let class = |row: &&Row| {
            let label = row.label.as_deref()?;
            counts.binary_search_by(|count| count.label.as_str().cmp(label)).ok()
        };
        let matrix = matrix_of(corpus, &rows);
        Ok(Self {
            ids: rows.iter().map(|row| row.id).collect(),
            classes: rows.iter().filter_map(class).collect(),
            groups: groups_of_copies(&matrix),
            matrix,
            counts,
        })
    }

    /// The names of the labels.
    pub(super) fn names(&self) -> Vec<String> {
        self.counts.iter().map(|count| count.label.clone()).collect()
    }

    /// Folds that can be made; below 2 nothing can be validated.
    pub(super) fn folds(&self) -> usize {
        FOLDS.min(fewest_groups(&self.classes, &self.groups, self.counts.len()))
    }

    /// Cross-validates one kind of classifier.
    ///
    /// # Errors
    /// [`QueryError::TooFewExamples`] where some label has examples of one image only.
    pub(super) fn validate(
        &self,
        kind: ClassifierKind,
        seed: u64,
    ) -> Result<CrossValidation, QueryError> {
        let (folds, classes) = (self.folds(), self.counts.len());
        if folds < 2 {
            return Err(QueryError::TooFewExamples { label: self.rarest() });
        }
        let (rows, groups) = (self.matrix.view(), &self.groups);
        Ok(learn::cross_validate(rows, &self.classes, groups, classes, folds, kind, seed)?)
    }

    /// Cross-validates all kinds, and says which is the best.
    ///
    /// # Errors
    /// As [`Examples::validate`].
    pub(super) fn validate_all(
        &self,
        seed: u64,
    ) -> Result<(Vec<(ClassifierKind, CrossValidation)>, usize), QueryError> {
        let mut all = Vec::new();
        for kind in ClassifierKind::ALL {
            all.push((kind, self.validate(kind, seed)?));
        }
        let means = all.iter().map(|(_, validation)| validation.mean).enumerate().rev();
        let best = means.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(best, _)| best);
        Ok((all, best))
    }

    /// The first label with examples of one image only.
    fn rarest(&self) -> String {
        let groups_of = |class: usize| {
            let own = self.classes.iter().zip(&self.groups).filter(|(other, _)| **other == class);
            own.map(|(_, group)| group).collect::<std::collections::HashSet<_>>().len()
        };
        let rarest = (0..self.counts.len()).min_by_key(|class| groups_of(*class));
        rarest.map(|class| self.counts[class].label.clone()).unwrap_or_default()
    }
}

/// Numbers the groups of rows that are copies of one image: joined by similarity.
fn groups_of_copies(matrix: &ndarray::Array2<f32>) -> Vec<usize> {
    let mut group: Vec<usize> = (0..matrix.nrows()).collect();
    for row in 0..matrix.nrows() {
        let similar = matrix.slice(ndarray::s![..row, ..]).dot(&matrix.row(row));
        for (other, &score) in similar.iter().enumerate() {
            if score >= COPY_SCORE_MIN && group[other] != group[row] {
                let (from, to) = (group[row].max(group[other]), group[row].min(group[other]));
                for number in &mut group[..=row] {
                    if *number == from {
                        *number = to;
                    }
                }
            }
        }
    }
    group
}

/// Groups that the rarest label has examples in: there can be no more folds.
fn fewest_groups(classes: &[usize], groups: &[usize], class_count: usize) -> usize {
    let mut seen = vec![std::collections::HashSet::new(); class_count];
    for (class, group) in classes.iter().zip(groups) {
        seen[*class].insert(*group);
    }
    seen.iter().map(std::collections::HashSet::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn copies_of_one_image_form_one_group_across_the_chain() {
        let angle = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
        let (a, b, c, d) = (angle(0.0), angle(90.0), angle(30.0), angle(15.0));
        // 15 degrees apart is 0.966: `d` joins `a` and `c`, which are 0.866 apart.
        let matrix = array![[a[0], a[1]], [b[0], b[1]], [c[0], c[1]], [d[0], d[1]]];
        let groups = groups_of_copies(&matrix);
        assert_eq!(groups, [0, 1, 0, 0]);
        assert_eq!(fewest_groups(&[0, 1, 0, 1], &groups, 2), 1);
    }
}
