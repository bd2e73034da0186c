//! Labels from examples: a random forest over the stored embeddings.

use serde::{Deserialize, Serialize};

use super::clusters::matrix_of;
use super::{Corpus, QueryError, Row};
use crate::learn::{self, CrossValidation, Forest, ForestParams};
use crate::record::{ImageId, Prediction};
use crate::store::Store;

/// Folds of the cross-validation; fewer when a label has fewer examples.
const FOLDS: usize = 5;

/// Labelled images at least this similar count as copies of one image: they
/// never stand on both sides of a split. Edited copies of one photo score above
/// it, other photos of one subject below.
const COPY_SCORE_MIN: f32 = 0.95;

/// Images that are predicted at once.
const PREDICT_ROWS: usize = 4096;

/// What a training gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainReport {
    /// Images it was trained on.
    pub examples: usize,
    /// Groups of copies among them that the folds kept together.
    pub groups: usize,
    /// Labels with their number of examples, ordered by name.
    pub labels: Vec<LabelCount>,
    /// Folds of the cross-validation; 0 when some label has a single example.
    pub folds: usize,
    /// Mean accuracy over the folds, 0 to 1.
    pub accuracy: Option<f32>,
    /// Standard deviation of the folds' accuracies.
    pub accuracy_spread: Option<f32>,
    /// Accuracy, on the same folds, of giving the most similar example's label.
    pub nearest_neighbor_accuracy: Option<f32>,
    /// Accuracy of always giving the most frequent label.
    pub majority_accuracy: Option<f32>,
    /// Accuracy on the examples that a tree did not see, over all trees.
    pub out_of_bag_accuracy: Option<f32>,
}

/// A label with the number of images that the user gave it to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelCount {
    /// The label.
    pub label: String,
    /// Indexed images that have it.
    pub images: usize,
}

/// A forest as the store keeps it.
#[derive(Serialize, Deserialize)]
struct StoredForest {
    /// Digest of the space whose embeddings it was trained on.
    space: [u8; 32],
    labels: Vec<String>,
    forest: Forest,
}

/// Trains a forest on the user's labels and stores it. The same labels and seed
/// give the same forest.
///
/// # Errors
/// [`QueryError::TooFewLabels`]; [`QueryError::Store`] when it cannot be stored.
pub fn train_labels(corpus: &Corpus, store: &Store, seed: u64) -> Result<TrainReport, QueryError> {
    let rows: Vec<&Row> = corpus.rows().iter().filter(|row| row.label.is_some()).collect();
    let counts = count_labels(corpus.rows());
    if counts.len() < 2 {
        return Err(QueryError::TooFewLabels { found: counts.len() });
    }
    let names: Vec<String> = counts.iter().map(|count| count.label.clone()).collect();
    let classes: Vec<usize> =
        rows.iter().filter_map(|row| names.binary_search(row.label.as_ref()?).ok()).collect();
    let matrix = matrix_of(corpus, &rows);
    let groups = groups_of_copies(&matrix);
    let mut params = ForestParams::for_dimension(matrix.ncols());
    params.seed = seed;
    let folds = FOLDS.min(fewest_groups(&classes, &groups, names.len()));
    let validation = if folds >= 2 {
        let view = matrix.view();
        Some(learn::cross_validate(view, &classes, &groups, names.len(), folds, &params)?)
    } else {
        None
    };
    let forest = Forest::train(matrix.view(), &classes, names.len(), &params)?;
    let report = report(&rows, &groups, counts, folds, validation, &forest);
    let stored = StoredForest { space: corpus.space().digest(), labels: names, forest };
    let bytes = postcard::to_stdvec(&stored)
        .map_err(|error| QueryError::ForestMismatch { reason: error.to_string() })?;
    store.write(|writer| writer.put_forest(&bytes))?;
    Ok(report)
}

/// Gives every image without a label of the user the forest's label, and stores it.
///
/// # Errors
/// [`QueryError::NoForest`], [`QueryError::ForestMismatch`]; [`QueryError::Store`].
pub fn predict_labels(
    corpus: &Corpus,
    store: &Store,
) -> Result<Vec<(ImageId, Prediction)>, QueryError> {
    let StoredForest { space, labels, forest } = stored_forest(store)?;
    if space != corpus.space().digest() {
        let reason = "it was trained on the embeddings of another network".to_owned();
        return Err(QueryError::ForestMismatch { reason });
    }
    let rows: Vec<&Row> = corpus.rows().iter().filter(|row| row.label.is_none()).collect();
    let mut predictions = Vec::with_capacity(rows.len());
    for block in rows.chunks(PREDICT_ROWS) {
        let predicted = forest.predict(matrix_of(corpus, block).view())?;
        for (row, prediction) in block.iter().zip(predicted) {
            let label = labels.get(prediction.class).cloned().unwrap_or_default();
            let vote_share = prediction.vote_shares.get(prediction.class).copied().unwrap_or(0.0);
            predictions.push((row.id, Prediction { label, vote_share }));
        }
    }
    store.write(|writer| {
        // An image that the user has labelled since keeps no old guess.
        for row in corpus.rows().iter().filter(|row| row.label.is_some()) {
            writer.put_prediction(row.id, None)?;
        }
        for (id, prediction) in &predictions {
            writer.put_prediction(*id, Some(prediction))?;
        }
        Ok::<(), QueryError>(())
    })?;
    Ok(predictions)
}

fn stored_forest(store: &Store) -> Result<StoredForest, QueryError> {
    let bytes = store.forest()?.ok_or(QueryError::NoForest)?;
    let stored: StoredForest = postcard::from_bytes(&bytes)
        .map_err(|error| QueryError::ForestMismatch { reason: error.to_string() })?;
    if stored.labels.len() != stored.forest.classes() {
        let reason = "its labels and its classes differ in number".to_owned();
        return Err(QueryError::ForestMismatch { reason });
    }
    Ok(stored)
}

/// The labels of the user among some images, ordered by name.
pub fn count_labels(rows: &[Row]) -> Vec<LabelCount> {
    let mut labels: Vec<&String> = rows.iter().filter_map(|row| row.label.as_ref()).collect();
    labels.sort_unstable();
    labels
        .chunk_by(|a, b| a == b)
        .map(|same| LabelCount { label: same[0].clone(), images: same.len() })
        .collect()
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

fn report(
    rows: &[&Row],
    groups: &[usize],
    labels: Vec<LabelCount>,
    folds: usize,
    validation: Option<CrossValidation>,
    forest: &Forest,
) -> TrainReport {
    let distinct: std::collections::HashSet<_> = groups.iter().collect();
    let validation = validation.as_ref();
    TrainReport {
        examples: rows.len(),
        groups: distinct.len(),
        labels,
        folds: validation.map_or(0, |_| folds),
        accuracy: validation.map(|validation| validation.mean),
        accuracy_spread: validation.map(|validation| validation.spread),
        nearest_neighbor_accuracy: validation.map(|v| v.nearest_neighbor_accuracy),
        majority_accuracy: validation.map(|validation| validation.majority_baseline),
        out_of_bag_accuracy: forest.out_of_bag_accuracy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

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
