//! `lookalike label`: names by hand, and by a forest that learned from them.

use std::path::{Path, PathBuf};

use lookalike::record::ImageId;
use lookalike::{Database, TrainReport};
use serde::Serialize;

use super::args::{GlobalArgs, LabelCommand};
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, locate, session};

/// A forest's label as `--json` prints it.
#[derive(Serialize)]
struct PredictionLine {
    path: String,
    id: ImageId,
    label: String,
    vote_share: f32,
}

pub(super) fn run(
    global: &GlobalArgs,
    command: &LabelCommand,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = open(global, command)?;
    match command {
        LabelCommand::Add { label, images } => {
            anyhow::ensure!(!label.trim().is_empty(), "a label needs at least one character");
            let images = resolve(&database, images)?;
            database.label(Some(label), &images)?;
            output
                .note(format_args!("{} labelled {label:?}", counted(images.len() as u64, "image")));
            Ok(Outcome::Done)
        }
        LabelCommand::Remove { images } => {
            let images = resolve(&database, images)?;
            database.label(None, &images)?;
            let count = counted(images.len() as u64, "image");
            output.note(format_args!("{count} without a label now"));
            Ok(Outcome::Done)
        }
        LabelCommand::List => list(&database, output),
        LabelCommand::Train { seed } => train(&database, *seed, output),
        LabelCommand::Predict { min_share } => predict(&database, *min_share, output),
    }
}

/// The database of the first image that is named, else the one here.
fn open(global: &GlobalArgs, command: &LabelCommand) -> anyhow::Result<Database> {
    let images = match command {
        LabelCommand::Add { images, .. } | LabelCommand::Remove { images } => images.as_slice(),
        _ => &[],
    };
    let first = images.iter().find(|image| number(image).is_none());
    match first.and_then(|image| image.parent()).filter(|folder| folder.is_dir()) {
        Some(folder) => session::open(global, folder),
        None => session::open_here(global),
    }
}

fn resolve(database: &Database, images: &[PathBuf]) -> anyhow::Result<Vec<ImageId>> {
    images
        .iter()
        .map(|image| match number(image) {
            Some(id) => Ok(id),
            None => Ok(database.image_at(&locate::absolute(image)?)?),
        })
        .collect()
}

/// Reads `#12`.
fn number(image: &Path) -> Option<ImageId> {
    image.to_str()?.strip_prefix('#')?.parse().ok().map(ImageId)
}

fn list(database: &Database, output: &Output) -> anyhow::Result<Outcome> {
    let labels = database.labels()?;
    for count in &labels {
        if output.json {
            output.object(count)?;
        } else {
            output.line(format!("{:>7}  {}", count.images, count.label))?;
        }
    }
    Ok(if labels.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

fn train(database: &Database, seed: u64, output: &Output) -> anyhow::Result<Outcome> {
    let report = database.train_labels(seed)?;
    if output.json {
        output.object(&report)?;
    } else {
        print_training(&report, output)?;
    }
    Ok(Outcome::Done)
}

fn print_training(report: &TrainReport, output: &Output) -> anyhow::Result<()> {
    output.line(format!(
        "trained on {} with {}",
        counted(report.examples as u64, "image"),
        counted(report.labels.len() as u64, "label")
    ))?;
    let percent = |share: f32| format!("{:.1} %", share * 100.0);
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
    let baselines = [
        (report.nearest_neighbor_accuracy, "the most similar example's label would give"),
        (report.majority_accuracy, "the most frequent label would give"),
        (report.out_of_bag_accuracy, "out-of-bag accuracy"),
    ];
    for (value, name) in baselines {
        if let Some(value) = value {
            output.line(format!("{name} {}", percent(value)))?;
        }
    }
    Ok(())
}

fn predict(database: &Database, min_share: f32, output: &Output) -> anyhow::Result<Outcome> {
    let mut shown_any = false;
    for (id, prediction) in database.predict_labels()? {
        let Some(row) = database.image(id)? else { continue };
        let Some(location) = row.locations.first() else { continue };
        if prediction.vote_share < min_share {
            continue;
        }
        shown_any = true;
        let path = location.to_path(database.home());
        if output.json {
            output.object(&PredictionLine {
                path: path_text(&path),
                id,
                label: prediction.label,
                vote_share: prediction.vote_share,
            })?;
        } else {
            let (label, share) = (prediction.label, prediction.vote_share);
            output.line(format!("{share:.3}  {label}  {}", shown(&path)))?;
        }
    }
    Ok(if shown_any { Outcome::Done } else { Outcome::Nothing })
}
