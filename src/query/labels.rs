//! Labels from examples: a classifier over the stored embeddings that says how sure it is.

use serde::{Deserialize, Serialize};

use super::clusters::matrix_of;
use super::examples::Examples;
use super::{Corpus, QueryError, Row};
use crate::learn::{self, Calibration, Classifier, ClassifierKind, CrossValidation, Judged};
use crate::record::{ImageId, Prediction};
use crate::store::Store;

/// Images that are predicted at once.
const PREDICT_ROWS: usize = 4096;

/// What a training gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainReport {
    /// What was trained.
    pub classifier: ClassifierKind,
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
    /// Expected calibration error of the confidence on the held-out folds, 0 to 1.
    pub calibration_error: Option<f32>,
    /// Accuracy, on the same folds, of giving the most similar example's label.
    pub nearest_neighbor_accuracy: Option<f32>,
    /// Accuracy of always giving the most frequent label.
    pub majority_accuracy: Option<f32>,
    /// Of a forest: accuracy on the examples that a tree did not see, over all trees.
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

/// What a classifier says of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// The image.
    pub id: ImageId,
    /// The label with its confidence.
    pub prediction: Prediction,
    /// Whether it is sure enough for the error that was asked for; if not, a person should look.
    pub is_kept: bool,
}

/// A classifier as the store keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredClassifier {
    /// Digest of the space whose embeddings it was trained on.
    space: [u8; 32],
    pub(super) labels: Vec<String>,
    pub(super) classifier: Classifier,
    pub(super) calibration: Calibration,
    /// What it said of held-out examples; empty where there were too few.
    held_out: Vec<Judged>,
}

/// Trains a classifier on the user's labels and stores it: of the given kind, else of the one that
/// is best in cross-validation. The same labels and seed give the same classifier.
///
/// # Errors
/// [`QueryError::TooFewLabels`]; [`QueryError::Store`] when it cannot be stored.
pub fn train_labels(
    corpus: &Corpus,
    store: &Store,
    kind: Option<ClassifierKind>,
    seed: u64,
) -> Result<TrainReport, QueryError> {
    let examples = Examples::of(corpus)?;
    let (kind, validation) = match kind {
        _ if examples.folds() < 2 => (kind.unwrap_or(ClassifierKind::Logistic), None),
        Some(kind) => (kind, Some(examples.validate(kind, seed)?)),
        None => {
            let (mut all, best) = examples.validate_all(seed)?;
            let (kind, validation) = all.swap_remove(best);
            (kind, Some(validation))
        }
    };
    let (rows, classes) = (examples.matrix.view(), examples.counts.len());
    let classifier = Classifier::train(kind, rows, &examples.classes, classes, seed)?;
    let report = report(&examples, validation.as_ref(), &classifier);
    let stored = StoredClassifier {
        space: corpus.space().digest(),
        labels: examples.names(),
        calibration: validation.as_ref().map(|found| found.calibration).unwrap_or_default(),
        held_out: validation.map(|found| found.judged).unwrap_or_default(),
        classifier,
    };
    let bytes = postcard::to_stdvec(&stored)
        .map_err(|error| QueryError::ForestMismatch { reason: error.to_string() })?;
    store.write(|writer| writer.put_forest(&bytes))?;
    Ok(report)
}

/// Gives every image without a label of the user the classifier's label, and stores it.
///
/// With `error`, 0 to 1, only those labels are kept and stored of which in expectation no greater
/// share is wrong: see [`learn::select`].
///
/// # Errors
/// [`QueryError::NoForest`], [`QueryError::ForestMismatch`]; [`QueryError::NotValidated`] for an
/// `error` where no example was held out; [`QueryError::Store`].
pub fn predict_labels(
    corpus: &Corpus,
    store: &Store,
    error: Option<f32>,
) -> Result<Vec<Guess>, QueryError> {
    let stored = stored_classifier(corpus, store)?;
    let mut guesses = guesses(corpus, &stored)?;
    if let Some(error) = error {
        if stored.held_out.is_empty() {
            return Err(QueryError::NotValidated);
        }
        let confidences: Vec<f32> =
            guesses.iter().map(|guess| guess.prediction.confidence).collect();
        let kept = learn::select(&stored.held_out, &confidences, error);
        for (guess, is_kept) in guesses.iter_mut().zip(kept) {
            guess.is_kept = is_kept;
        }
    }
    store.write(|writer| {
        // An image that the user has labelled since keeps no old guess.
        for row in corpus.rows().iter().filter(|row| row.label.is_some()) {
            writer.put_prediction(row.id, None)?;
        }
        for guess in &guesses {
            writer.put_prediction(guess.id, guess.is_kept.then_some(&guess.prediction))?;
        }
        Ok::<(), QueryError>(())
    })?;
    Ok(guesses)
}

/// What the classifier says of every image without a label of the user.
pub(super) fn guesses(
    corpus: &Corpus,
    stored: &StoredClassifier,
) -> Result<Vec<Guess>, QueryError> {
    let rows: Vec<&Row> = corpus.rows().iter().filter(|row| row.label.is_none()).collect();
    let mut guesses = Vec::with_capacity(rows.len());
    for block in rows.chunks(PREDICT_ROWS) {
        let shares = stored.classifier.shares(matrix_of(corpus, block).view())?;
        for (row, shares) in block.iter().zip(shares.outer_iter()) {
            let probabilities = stored.calibration.probabilities(shares);
            let class = learn::greatest(shares);
            let label = stored.labels.get(class).cloned().unwrap_or_default();
            let prediction = Prediction { label, confidence: probabilities[class] };
            guesses.push(Guess { id: row.id, prediction, is_kept: true });
        }
    }
    Ok(guesses)
}

pub(super) fn stored_classifier(
    corpus: &Corpus,
    store: &Store,
) -> Result<StoredClassifier, QueryError> {
    let bytes = store.forest()?.ok_or(QueryError::NoForest)?;
    let mismatch = |reason: &str| QueryError::ForestMismatch { reason: reason.to_owned() };
    let stored: StoredClassifier = postcard::from_bytes(&bytes)
        .map_err(|error| QueryError::ForestMismatch { reason: error.to_string() })?;
    if stored.labels.len() != stored.classifier.classes() {
        return Err(mismatch("its labels and its classes differ in number"));
    }
    if stored.space != corpus.space().digest() {
        return Err(mismatch("it was trained on the embeddings of another network"));
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

fn report(
    examples: &Examples,
    validation: Option<&CrossValidation>,
    classifier: &Classifier,
) -> TrainReport {
    let distinct: std::collections::HashSet<_> = examples.groups.iter().collect();
    TrainReport {
        classifier: classifier.kind(),
        examples: examples.ids.len(),
        groups: distinct.len(),
        labels: examples.counts.clone(),
        folds: validation.map_or(0, |_| examples.folds()),
        accuracy: validation.map(|validation| validation.mean),
        accuracy_spread: validation.map(|validation| validation.spread),
        calibration_error: validation.and_then(|found| learn::calibration_error(&found.judged)),
        nearest_neighbor_accuracy: validation.map(|v| v.nearest_neighbor_accuracy),
        majority_accuracy: validation.map(|validation| validation.majority_baseline),
        out_of_bag_accuracy: classifier.out_of_bag_accuracy(),
    }
}
