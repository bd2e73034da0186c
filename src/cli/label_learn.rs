//! `lookalike label train`, `predict`, `compare`, `review` and `errors`: labels that are learned.

use std::path::PathBuf;

use lookalike::learn::ClassifierKind;
use lookalike::record::ImageId;
use lookalike::{Comparison, Database, Guess, TrainReport};
use serde::Serialize;

use super::Outcome;
use super::output::{Output, counted, path_text, shown};

/// A learned label as `--json` prints it.
#[derive(Serialize)]
struct PredictionLine {
    path: String,
    id: ImageId,
    label: String,
    confidence: f32,
    /// `false`: not sure enough for the wanted error, for review.
    labelled: bool,
}

/// A doubtful label of the user as `--json` prints it.
#[derive(Serialize)]
struct SuspectLine {
    path: String,
    id: ImageId,
    label: String,
    confidence: f32,
    suggested: String,
    suggested_confidence: f32,
}

pub(super) fn train(
    database: &Database,
    kind: Option<ClassifierKind>,
    seed: u64,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let report = database.train_labels(kind, seed)?;
    if output.json {
        output.object(&report)?;
    } else {
        print_training(&report, output)?;
    }
    Ok(Outcome::Done)
}

fn print_training(report: &TrainReport, output: &Output) -> anyhow::Result<()> {
    output.line(format!(
        "trained {} on {} with {}",
        described(report.classifier),
        counted(report.examples as u64, "image"),
        counted(report.labels.len() as u64, "label")
    ))?;
    match (report.accuracy, report.accuracy_spread) {
        (Some(accuracy), Some(spread)) => {
            let folds = report.folds;
            output.line(format!(
                "accuracy {} +/- {} ({folds}-fold cross-validation, copies kept together)",
                percent(accuracy),
                percent(spread)
            ))?;
        }
        _ => output.line("accuracy unknown: a label needs at least two different images")?,
    }
    let others = [
        (report.calibration_error, "confidence is off by"),
        (report.nearest_neighbor_accuracy, "the most similar example's label would give"),
        (report.majority_accuracy, "the most frequent label would give"),
        (report.out_of_bag_accuracy, "out-of-bag accuracy"),
    ];
    for (value, name) in others {
        if let Some(value) = value {
            output.line(format!("{name} {}", percent(value)))?;
        }
    }
    Ok(())
}

pub(super) fn predict(
    database: &Database,
    error: Option<f32>,
    min_confidence: f32,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let guesses = database.predict_labels(error)?;
    let kept = guesses.iter().filter(|guess| guess.is_kept).count();
    let mut shown_any = false;
    for guess in &guesses {
        let is_shown = guess.prediction.confidence >= min_confidence;
        // For review they come in an order of their own.
        if !is_shown || !(guess.is_kept || output.json) {
            continue;
        }
        shown_any |= print_guess(database, guess, output)?;
    }
    if let Some(error) = error {
        output.note(format_args!(
            "{} labelled with an expected error of at most {}, {} left for `lookalike label review`",
            counted(kept as u64, "image"),
            percent(error),
            guesses.len() - kept
        ));
    }
    Ok(if shown_any { Outcome::Done } else { Outcome::Nothing })
}

pub(super) fn review(
    database: &Database,
    count: usize,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let mut shown_any = false;
    for guess in database.review_labels(count)? {
        shown_any |= print_guess(database, &guess, output)?;
    }
    Ok(if shown_any { Outcome::Done } else { Outcome::Nothing })
}

/// Prints what is thought of an image, unless it has no file.
fn print_guess(database: &Database, guess: &Guess, output: &Output) -> anyhow::Result<bool> {
    let Some(path) = path_of(database, guess.id)? else { return Ok(false) };
    let (label, confidence) = (&guess.prediction.label, guess.prediction.confidence);
    if output.json {
        output.object(&PredictionLine {
            path: path_text(&path),
            id: guess.id,
            label: label.clone(),
            confidence,
            labelled: guess.is_kept,
        })?;
    } else {
        output.line(format!("{confidence:.3}  {label}  {}", shown(&path)))?;
    }
    Ok(true)
}

pub(super) fn errors(
    database: &Database,
    count: usize,
    seed: u64,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let mut shown_any = false;
    for suspect in database.suspect_labels(seed)?.into_iter().take(count) {
        let Some(path) = path_of(database, suspect.id)? else { continue };
        shown_any = true;
        if output.json {
            output.object(&SuspectLine {
                path: path_text(&path),
                id: suspect.id,
                label: suspect.label,
                confidence: suspect.confidence,
                suggested: suspect.suggested,
                suggested_confidence: suspect.suggested_confidence,
            })?;
        } else {
            let (own, other) = (suspect.confidence, suspect.suggested_confidence);
            let (label, suggested) = (suspect.label, suspect.suggested);
            let path = shown(&path);
            output.line(format!("{label} ({own:.3}), rather {suggested} ({other:.3})  {path}"))?;
        }
    }
    Ok(if shown_any { Outcome::Done } else { Outcome::Nothing })
}

pub(super) fn compare(database: &Database, seed: u64, output: &Output) -> anyhow::Result<Outcome> {
    let compared = database.compare_labels(seed)?;
    if !output.json {
        output.line("classifier   accuracy           confidence off by    labels at 5 % error")?;
    }
    for comparison in &compared {
        if output.json {
            output.object(comparison)?;
        } else {
            output.line(comparison_line(comparison))?;
        }
    }
    let best = compared.iter().find(|comparison| comparison.is_recommended);
    if let Some(best) = best.filter(|_| !output.json) {
        output.line("")?;
        output.line(format!(
            "best: {}; of what it says with this confidence, so much is right:",
            best.classifier.name()
        ))?;
        for bin in &best.reliability {
            output.line(format!(
                "  {:>7}  {:>7}  {}",
                percent(bin.confidence),
                percent(bin.accuracy),
                counted(bin.rows as u64, "image")
            ))?;
        }
    }
    Ok(Outcome::Done)
}

fn comparison_line(comparison: &Comparison) -> String {
    format!(
        "{:<11}  {:>6} +/- {:>5}    {:>6} (raw {:>6})    {:>7}, {} wrong",
        comparison.classifier.name(),
        percent(comparison.accuracy),
        percent(comparison.accuracy_spread),
        percent(comparison.calibration_error),
        percent(comparison.calibration_error_before),
        percent(comparison.kept_share),
        percent(comparison.kept_error),
    )
}

fn described(kind: ClassifierKind) -> &'static str {
    match kind {
        ClassifierKind::Logistic => "logistic regression",
        ClassifierKind::Forest => "a random forest",
        ClassifierKind::Neighbors => "a vote of neighbors",
    }
}

fn path_of(database: &Database, id: ImageId) -> anyhow::Result<Option<PathBuf>> {
    let row = database.image(id)?;
    let location = row.as_ref().and_then(|row| row.locations.first());
    Ok(location.map(|location| location.to_path(database.home())))
}

fn percent(share: f32) -> String {
    format!("{:.1} %", share * 100.0)
}
