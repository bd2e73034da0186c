//! What helps a person to label well: classifiers compared, probable mistakes, and the images whose
//! labels would teach most.

use ndarray::{Array1, Axis};
use serde::Serialize;

use super::clusters::matrix_of;
use super::examples::Examples;
use super::labels::{Guess, guesses, stored_classifier};
use super::{Corpus, QueryError, Row};
use crate::learn::{self, ClassifierKind, ReliabilityBin};
use crate::record::ImageId;
use crate::store::Store;

/// Error at which [`Comparison::kept_share`] is measured.
const KEPT_AT_ERROR: f32 = 0.05;

/// Of the least sure images so many times the wanted number are looked at for unlike ones.
const REVIEW_POOL: usize = 20;

/// How well one kind of classifier does on held-out examples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The kind.
    pub classifier: ClassifierKind,
    /// Whether it is the best.
    pub is_recommended: bool,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Mean accuracy over the folds, 0 to 1.
    pub accuracy: f32,
    /// Standard deviation of the folds' accuracies.
    pub accuracy_spread: f32,
    /// Expected calibration error of its shares as they come, 0 to 1.
    pub calibration_error_before: f32,
    /// The same of the calibrated confidence.
    pub calibration_error: f32,
    /// Share of the images that it labels where no more than 5 % of those may be wrong.
    pub kept_share: f32,
    /// Share of those that was wrong.
    pub kept_error: f32,
    /// Confidence and accuracy in steps of confidence.
    pub reliability: Vec<ReliabilityBin>,
}

/// A label of the user that is probably a mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The image.
    pub id: ImageId,
    /// The label of the user.
    pub label: String,
    /// How probable a classifier that has not seen it finds that label, 0 to 1.
    pub confidence: f32,
    /// The label that it finds most probable.
    pub suggested: String,
    /// How probable that is.
    pub suggested_confidence: f32,
}

/// Cross-validates every kind of classifier on the user's labels, copies kept together.
///
/// # Errors
/// [`QueryError::TooFewLabels`], [`QueryError::TooFewExamples`].
pub fn compare_labels(corpus: &Corpus, seed: u64) -> Result<Vec<Comparison>, QueryError> {
    let examples = Examples::of(corpus)?;
    let (all, best) = examples.validate_all(seed)?;
    let compared = all.into_iter().enumerate().map(|(at, (classifier, found))| {
        let (kept_share, kept_error) = found.kept_at(KEPT_AT_ERROR);
        let error = |judged| learn::calibration_error(judged).unwrap_or_default();
        Comparison {
            classifier,
            is_recommended: at == best,
            folds: found.fold_accuracies.len(),
            accuracy: found.mean,
            accuracy_spread: found.spread,
            calibration_error_before: error(&found.judged_by_shares),
            calibration_error: error(&found.judged),
            kept_share,
            kept_error,
            reliability: learn::reliability(&found.judged),
        }
    });
    Ok(compared.collect())
}

/// Finds labels of the user that classifiers which have not seen them contradict, the surest first.
///
/// The difference of the two confidences orders them: C. Northcutt and others, "Confident learning"
/// (2021), in its simplest form. Always the logistic regression, whose confidence is the best.
///
/// # Errors
/// [`QueryError::TooFewLabels`], [`QueryError::TooFewExamples`].
pub fn suspect_labels(corpus: &Corpus, seed: u64) -> Result<Vec<Suspect>, QueryError> {
    let examples = Examples::of(corpus)?;
    let found = examples.validate(ClassifierKind::Logistic, seed)?;
    let names = examples.names();
    let rows = found.shares.outer_iter().zip(&examples.classes).zip(&examples.ids);
    let mut suspects: Vec<Suspect> = rows
        .filter_map(|((shares, &class), &id)| {
            let suggested = learn::greatest(shares);
            let probabilities = found.calibration.probabilities(shares);
            (suggested != class).then(|| Suspect {
                id,
                label: names[class].clone(),
                confidence: probabilities[class],
                suggested: names[suggested].clone(),
                suggested_confidence: probabilities[suggested],
            })
        })
        .collect();
    let doubt = |suspect: &Suspect| suspect.suggested_confidence - suspect.confidence;
    suspects.sort_by(|a, b| doubt(b).total_cmp(&doubt(a)).then(a.id.cmp(&b.id)));
    Ok(suspects)
}

/// Proposes images to label next: those that the stored classifier is least sure of, and unlike each
/// other.
///
/// Each next one has the greatest product of doubt (one minus confidence) and distance to those that
/// were proposed before (one minus the greatest cosine), so that a burst is asked about once.
///
/// # Errors
/// [`QueryError::NoForest`], [`QueryError::ForestMismatch`]; [`QueryError::Store`].
pub fn review_labels(
    corpus: &Corpus,
    store: &Store,
    count: usize,
) -> Result<Vec<Guess>, QueryError> {
    let stored = stored_classifier(corpus, store)?;
    let mut pool = guesses(corpus, &stored)?;
    pool.sort_by(|a, b| {
        let by_confidence = a.prediction.confidence.total_cmp(&b.prediction.confidence);
        by_confidence.then(a.id.cmp(&b.id))
    });
    pool.truncate(count.saturating_mul(REVIEW_POOL));
    let rows: Vec<&Row> = pool.iter().filter_map(|guess| corpus.row(guess.id)).collect();
    let matrix = matrix_of(corpus, &rows);
    let mut likeness = Array1::<f32>::zeros(pool.len());
    let mut is_free = vec![true; pool.len()];
    let mut proposed = Vec::new();
    while proposed.len() < count.min(pool.len()) {
        let value = |at: &usize| (1.0 - pool[*at].prediction.confidence) * (1.0 - likeness[*at]);
        let free = (0..pool.len()).filter(|at| is_free[*at]).rev();
        let Some(next) = free.max_by(|a, b| value(a).total_cmp(&value(b))) else { break };
        is_free[next] = false;
        let cosines = matrix.dot(&matrix.index_axis(Axis(0), next));
        likeness.zip_mut_with(&cosines, |most, &cosine| *most = most.max(cosine.min(1.0)));
        proposed.push(pool[next].clone());
    }
    Ok(proposed)
}
