//! `lookalike detect`: the objects on single files, in the database or not.

use std::path::Path;

use anyhow::{Context, ensure};
use lookalike::imaging::{self, DecodeLimits, DecodedImage};
use lookalike::inference::{Detector, Suppressed, Suppression, SuppressionCounts};
use lookalike::objects;
use lookalike::record::{BoundingBox, Detection};
use serde::Serialize;

use super::args::DetectArgs;
use super::output::{Output, shown};
use super::{Outcome, session};

/// An image's objects as `--json` prints them.
#[derive(Serialize)]
struct DetectedLine {
    path: String,
    width_px: u32,
    height_px: u32,
    objects: Vec<ObjectLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<SuppressionCounts>,
}

/// An object as `--json` prints it.
#[derive(Serialize)]
pub(super) struct ObjectLine {
    /// From 1, the surest first.
    number: usize,
    class: String,
    score: f32,
    left_px: f32,
    top_px: f32,
    width_px: f32,
    height_px: f32,
}

impl ObjectLine {
    /// Names an object; `index` counts from 0.
    pub(super) fn of(index: usize, object: &Detection, names: &[String]) -> Self {
        let BoundingBox { left_px, top_px, .. } = object.bounds;
        Self {
            number: index + 1,
            class: names.get(usize::from(object.class.0)).cloned().unwrap_or_default(),
            score: object.score,
            left_px,
            top_px,
            width_px: object.bounds.width_px(),
            height_px: object.bounds.height_px(),
        }
    }

    /// Class, and box in whole pixels.
    pub(super) fn text(&self) -> String {
        let Self { class, left_px, top_px, width_px, height_px, .. } = self;
        format!("{class} {left_px:.0},{top_px:.0},{width_px:.0},{height_px:.0}")
    }
}

pub(super) fn run(args: &DetectArgs, output: &Output) -> anyhow::Result<Outcome> {
    ensure!(args.top > 0, "--top 0 asks for nothing: give at least 1");
    ensure!(args.draw.is_none() || args.images.len() == 1, "--draw takes one image");
    let detector = session::detector(args.detector.as_deref())?;
    let mut rules = detector.rules();
    rules.score_min = args.min_score.unwrap_or(rules.score_min);
    rules.iou_max = args.max_overlap.unwrap_or(rules.iou_max);
    rules.class_wise = !args.across_classes;
    rules.count_max = args.top;
    let mut outcome = Outcome::Nothing;
    for path in &args.images {
        match detect_file(path, &*detector, &rules) {
            Ok((image, found)) => {
                print(path, &image, &found, &*detector, args, output)?;
                if let Some(target) = &args.draw {
                    draw(target, &image, &found, &*detector)?;
                }
                if outcome == Outcome::Nothing && !found.objects.is_empty() {
                    outcome = Outcome::Done;
                }
            }
            Err(error) => {
                output.warn(format_args!("{error:#}"));
                outcome = Outcome::Failed;
            }
        }
    }
    if outcome == Outcome::Nothing {
        output.note("nothing found");
    }
    Ok(outcome)
}

fn detect_file(
    path: &Path,
    detector: &dyn Detector,
    rules: &Suppression,
) -> anyhow::Result<(DecodedImage, Suppressed)> {
    let given = session::read_image(path)?;
    let image = objects::decode(&given.bytes, &DecodeLimits::default(), detector, None)
        .with_context(|| session::unusable(path))?;
    let found = objects::detect(&image, detector, rules)?;
    Ok((image, found))
}

fn print(
    path: &Path,
    image: &DecodedImage,
    found: &Suppressed,
    detector: &dyn Detector,
    args: &DetectArgs,
    output: &Output,
) -> anyhow::Result<()> {
    let names = detector.class_names();
    let objects = found.objects.iter().enumerate();
    let objects: Vec<_> =
        objects.map(|(index, object)| ObjectLine::of(index, object, names)).collect();
    if output.json {
        return output.object(&DetectedLine {
            path: path.to_string_lossy().into_owned(),
            width_px: image.width_px,
            height_px: image.height_px,
            objects,
            counts: args.explain.then_some(found.counts),
        });
    }
    if args.images.len() > 1 {
        output.line(shown(path))?;
    }
    for object in &objects {
        output.line(format!("{:>3}  {:.3}  {}", object.number, object.score, object.text()))?;
    }
    if args.explain {
        let SuppressionCounts { proposed, unsure, degenerate, suppressed, kept } = found.counts;
        output.note(format_args!(
            "{proposed} boxes proposed: {unsure} not sure enough, {degenerate} empty, \
             {suppressed} suppressed, {kept} kept"
        ));
    }
    Ok(())
}

/// Writes the image with the boxes on it.
fn draw(
    target: &Path,
    image: &DecodedImage,
    found: &Suppressed,
    detector: &dyn Detector,
) -> anyhow::Result<()> {
    let across = image.pixels.width_px() as f32 / image.width_px as f32;
    let down = image.pixels.height_px() as f32 / image.height_px as f32;
    let mut pixels = image.pixels.clone();
    // The surest last, on top of the others.
    for (index, object) in found.objects.iter().enumerate().rev() {
        let BoundingBox { left_px, top_px, right_px, bottom_px } = object.bounds;
        let bounds =
            BoundingBox::new(left_px * across, top_px * down, right_px * across, bottom_px * down);
        let names = detector.class_names();
        let name = names.get(usize::from(object.class.0)).map_or("", String::as_str);
        let text = format!("{} {name} {:.2}", index + 1, object.score);
        imaging::draw_box(&mut pixels, &bounds, &text, object.class.0.into());
    }
    let png = imaging::encode_png(&pixels);
    session::write_new(target, &png)
}
