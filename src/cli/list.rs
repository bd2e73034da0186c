//! `lookalike list`: what is in the database, image by image.

use std::collections::BTreeMap;

use lookalike::record::{ContentHash, ImageId, Position};
use lookalike::vector::Embedding;
use lookalike::{Database, ImageRow};
use serde::Serialize;

use super::args::{GlobalArgs, ListArgs};
use super::output::{ClassLine, Output, path_text, shown, with_raws};
use super::{Outcome, session};

/// An image as `--json` prints it.
#[derive(Serialize)]
struct ImageLine {
    id: ImageId,
    hash: ContentHash,
    paths: Vec<String>,
    format: String,
    width_px: u32,
    height_px: u32,
    size_bytes: u64,
    orientation: u8,
    captured_at: Option<String>,
    camera: Option<String>,
    position: Option<Position>,
    raw: Vec<String>,
    classes: Vec<ClassLine>,
    label: Option<String>,
    predicted_label: Option<String>,
    confidence: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vec<f32>>,
}

/// A missing image as `--json` prints it.
#[derive(Serialize)]
struct MissingLine {
    id: ImageId,
    path: String,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &ListArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let found = if args.failed {
        list_failed(&database, output)?
    } else if args.missing {
        list_missing(&database, output)?
    } else {
        list_images(&database, args, output)?
    };
    Ok(if found { Outcome::Done } else { Outcome::Nothing })
}

fn list_images(database: &Database, args: &ListArgs, output: &Output) -> anyhow::Result<bool> {
    let rows = database.images(&session::filter(database, &args.filter)?)?;
    // All of them before the first line: a damaged one is an error, not half a list.
    let mut embeddings = match args.embeddings {
        true => database.embeddings()?,
        false => BTreeMap::new(),
    };
    for row in &rows {
        if output.json {
            output.object(&line(database, row, embeddings.remove(&row.id))?)?;
        } else {
            let id = row.id.to_string();
            let raws = with_raws(&database.raw_files(row)?);
            for location in &row.locations {
                let path = shown(&location.to_path(database.home()));
                output.line(format!("{id:>7}  {path}{raws}"))?;
            }
        }
    }
    Ok(!rows.is_empty())
}

fn line(
    database: &Database,
    row: &ImageRow,
    embedding: Option<Embedding>,
) -> anyhow::Result<ImageLine> {
    let paths = row.locations.iter().map(|location| path_text(&location.to_path(database.home())));
    let scores = row.record.classes.iter().map(|score| (score.class, score.probability));
    Ok(ImageLine {
        id: row.id,
        hash: row.record.hash,
        paths: paths.collect(),
        format: row.record.format.clone(),
        width_px: row.record.width_px,
        height_px: row.record.height_px,
        size_bytes: row.record.size_bytes,
        orientation: row.record.orientation,
        captured_at: row.record.captured_at.clone(),
        camera: row.record.camera.clone(),
        position: row.record.position,
        raw: database.raw_files(row)?.iter().map(|path| path_text(path)).collect(),
        classes: ClassLine::all(database.encoder().class_names(), scores),
        label: row.label.clone(),
        predicted_label: row.prediction.as_ref().map(|prediction| prediction.label.clone()),
        confidence: row.prediction.as_ref().map(|prediction| prediction.confidence),
        embedding: embedding.map(|embedding| embedding.as_slice().to_vec()),
    })
}

fn list_failed(database: &Database, output: &Output) -> anyhow::Result<bool> {
    let failures = database.failed_files()?;
    for failure in &failures {
        if output.json {
            output.object(failure)?;
        } else {
            output.line(format!("{}: {}", shown(&failure.path), failure.reason))?;
        }
    }
    Ok(!failures.is_empty())
}

fn list_missing(database: &Database, output: &Output) -> anyhow::Result<bool> {
    let missing = database.missing_images()?;
    for (id, location) in &missing {
        let path = location.to_path(database.home());
        if output.json {
            output.object(&MissingLine { id: *id, path: path_text(&path) })?;
        } else {
            output.line(format!("{:>7}  {}", id.to_string(), shown(&path)))?;
        }
    }
    Ok(!missing.is_empty())
}
