//! `lookalike label`: names by hand; what learns from them is in `label_learn`.

use std::path::{Path, PathBuf};

use lookalike::Database;
use lookalike::record::ImageId;

use super::args::{GlobalArgs, LabelCommand};
use super::output::{Output, counted};
use super::{Outcome, label_learn, locate, session};

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
        LabelCommand::Train { model, seed } => {
            label_learn::train(&database, model.chosen(), *seed, output)
        }
        LabelCommand::Predict { error, min_confidence } => {
            label_learn::predict(&database, *error, *min_confidence, output)
        }
        LabelCommand::Compare { seed } => label_learn::compare(&database, *seed, output),
        LabelCommand::Review { count } => label_learn::review(&database, *count, output),
        LabelCommand::Errors { count, seed } => {
            label_learn::errors(&database, *count, *seed, output)
        }
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
