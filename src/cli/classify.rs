//! `lookalike classify` and `lookalike embed`: what the network makes of single files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use lookalike::imaging::DecodeLimits;
use lookalike::query::{classify_file, embed_file};
use serde::Serialize;

use super::args::{ClassifyArgs, EmbedArgs};
use super::output::{ClassLine, Output, shown};
use super::{Outcome, session};

/// An image's classes as `--json` prints them.
#[derive(Serialize)]
struct ClassifiedLine {
    path: String,
    classes: Vec<ClassLine>,
}

/// An image's embedding as `--json` prints it.
#[derive(Serialize)]
struct EmbeddingLine {
    path: String,
    embedding: Vec<f32>,
}

pub(super) fn classify(args: &ClassifyArgs, output: &Output) -> anyhow::Result<Outcome> {
    anyhow::ensure!(args.top > 0, "--top 0 asks for nothing: give at least 1");
    let encoder = session::encoder()?;
    each(&args.images, output, |path| {
        let given = session::read_image(path)?;
        let scores = classify_file(&*encoder, &given.bytes, &DecodeLimits::default(), args.top)
            .with_context(|| session::unusable(path))?;
        let scores = scores.iter().map(|score| (score.class, score.probability));
        let classes = ClassLine::all(encoder.class_names(), scores);
        let line = ClassifiedLine { path: path.to_string_lossy().into_owned(), classes };
        if output.json {
            return output.object(&line);
        }
        output.line(shown(path))?;
        for class in line.classes {
            output.line(format!("  {:.4}  {}", class.probability, class.class))?;
        }
        Ok(())
    })
}

pub(super) fn embed(args: &EmbedArgs, output: &Output) -> anyhow::Result<Outcome> {
    let encoder = session::encoder()?;
    each(&args.images, output, |path| {
        let given = session::read_image(path)?;
        let embedding = embed_file(&*encoder, &given.bytes, &DecodeLimits::default())
            .with_context(|| session::unusable(path))?;
        if output.json {
            return output.object(&EmbeddingLine {
                path: path.to_string_lossy().into_owned(),
                embedding: embedding.as_slice().to_vec(),
            });
        }
        let values: Vec<String> = embedding.as_slice().iter().map(f32::to_string).collect();
        output.line(format!("{}\t{}", shown(path), values.join(" ")))
    })
}

/// Runs `work` on each file; one that fails does not keep the others from their turn.
fn each(
    images: &[PathBuf],
    output: &Output,
    work: impl Fn(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    for path in images {
        match work(path) {
            Ok(()) => {}
            Err(error) if super::is_closed_pipe(&error) => return Err(error),
            Err(error) => {
                output.warn(format_args!("{error:#}"));
                outcome = Outcome::Failed;
            }
        }
    }
    Ok(outcome)
}
