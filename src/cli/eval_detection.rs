//! `lookalike eval detection`: how good a detector is on images that people annotated.

use std::path::Path;

use anyhow::{Context, ensure};
use lookalike::imaging::DecodeLimits;
use lookalike::inference::{Detector, Suppression};
use lookalike::objects::{self, AnnotatedImage, AveragePrecision, Judged};
use rayon::prelude::*;
use serde::Serialize;

use super::args::EvalDetectionArgs;
use super::output::Output;
use super::{Outcome, session};

/// Boxes below this score would not change the precision, only the time.
const SCORE_MIN: f32 = 0.01;

/// What was measured, as `--json` prints it.
#[derive(Serialize)]
struct Line {
    images: usize,
    objects: usize,
    #[serde(flatten)]
    precision: AveragePrecision,
    failed: Vec<String>,
}

pub(super) fn run(args: &EvalDetectionArgs, output: &Output) -> anyhow::Result<Outcome> {
    let bytes =
        std::fs::read(&args.coco).with_context(|| format!("cannot read {:?}", args.coco))?;
    let annotated =
        objects::read_annotations(&bytes).with_context(|| format!("cannot use {:?}", args.coco))?;
    let beside = args.coco.parent().unwrap_or(Path::new("."));
    let folder = args.images.as_deref().unwrap_or(beside);
    let detector = session::detector(args.detector.as_deref())?;
    let rules = Suppression {
        score_min: SCORE_MIN,
        iou_max: args.max_overlap,
        class_wise: true,
        count_max: 100,
    };
    let results: Vec<anyhow::Result<Judged>> =
        annotated.par_iter().map(|image| judge(image, folder, &*detector, &rules)).collect();
    let (mut judged, mut failed) = (Vec::new(), Vec::new());
    for (image, result) in annotated.iter().zip(results) {
        match result {
            Ok(image) => judged.push(image),
            Err(error) => {
                output.warn(format_args!("{error:#}"));
                failed.push(image.file_name.clone());
            }
        }
    }
    ensure!(!judged.is_empty(), "none of the {} images can be read", annotated.len());
    let precision = objects::average_precision(&judged)
        .context("no object that a detector knows is marked on the images")?;
    let objects = judged.iter().map(|image| image.truth.len()).sum();
    let line = Line { images: judged.len(), objects, precision, failed };
    if output.json {
        output.object(&line)?;
    } else {
        let AveragePrecision { mean, at_50, at_75, .. } = line.precision;
        output.line(format!("images        {}, {} objects", line.images, line.objects))?;
        output.line(format!("AP@[.5:.95]   {mean:.3}"))?;
        output.line(format!("AP@.5         {at_50:.3}"))?;
        output.line(format!("AP@.75        {at_75:.3}"))?;
    }
    Ok(if line.failed.is_empty() { Outcome::Done } else { Outcome::Failed })
}

fn judge(
    image: &AnnotatedImage,
    folder: &Path,
    detector: &dyn Detector,
    rules: &Suppression,
) -> anyhow::Result<Judged> {
    let path = folder.join(&image.file_name);
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
    let decoded = objects::decode(&bytes, &DecodeLimits::default(), detector, None)
        .with_context(|| session::unusable(&path))?;
    let found = objects::detect(&decoded, detector, rules)?.objects;
    Ok(Judged { found, truth: image.truth.clone() })
}
