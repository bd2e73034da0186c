//! Measures whether soft suppression finds more than greedy suppression: average precision of the
//! detector inside the binary, judged by what a better one finds on the same photos.
//!
//! Soft-NMS: Bodla et al., "Soft-NMS: Improving object detection with one line of code" (arXiv
//! 1704.04503).
//!
//! `cargo run --release --example soft_suppression -- YOLOX.onnx FOLDER...`

use std::path::PathBuf;

use ignore::WalkBuilder;
use lookalike::imaging::DecodeLimits;
use lookalike::inference::{CnnDetector, Compute, Detector, Suppression, suppress};
use lookalike::objects::{self, Judged, Truth, average_precision};
use lookalike::record::Detection;

/// Proposals below it would not change the precision.
const SCORE_MIN: f32 = 0.01;

/// Objects of a photo.
const COUNT_MAX: usize = 100;

/// What becomes of the score of a proposal that overlaps a surer object of its class.
#[derive(Clone, Copy, Debug)]
enum Decay {
    /// Above this overlap what is left is the rest.
    Linear(f32),
    /// Gaussian of this width.
    Gaussian(f32),
}

impl Decay {
    fn factor(self, overlap: f32) -> f32 {
        match self {
            Self::Linear(most) if overlap <= most => 1.0,
            Self::Linear(_) => 1.0 - overlap,
            Self::Gaussian(width) => (-overlap * overlap / width).exp(),
        }
    }
}

/// What was proposed on a photo, and what is there.
struct Photo {
    proposals: Vec<Detection>,
    truth: Vec<Truth>,
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let file = arguments.next().ok_or_else(|| anyhow::anyhow!("give YOLOX's file and folders"))?;
    let judge = CnnDetector::load(&std::fs::read(file)?, &Compute::default())?;
    let detector = CnnDetector::embedded_as(&Compute::default())?;
    let paths: Vec<PathBuf> = arguments
        .flat_map(|folder| WalkBuilder::new(folder).sort_by_file_path(std::path::Path::cmp).build())
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| path.is_file())
        .collect();
    let photos: Vec<Photo> =
        paths.iter().filter_map(|path| photo(path, &detector, &judge)).collect();
    let objects: usize = photos.iter().map(|photo| photo.truth.len()).sum();
    println!("{} photos, {objects} objects", photos.len());
    for iou_max in [0.4, 0.5, 0.6, 0.7] {
        let rules =
            Suppression { score_min: SCORE_MIN, iou_max, class_wise: true, count_max: COUNT_MAX };
        report(&format!("greedy above {iou_max}"), &photos, |proposals| {
            suppress(proposals, &rules).objects
        });
    }
    let linear = [0.3, 0.4, 0.5, 0.6].map(Decay::Linear);
    let gaussian = [0.05, 0.1, 0.3, 0.5].map(Decay::Gaussian);
    for decay in linear.into_iter().chain(gaussian) {
        report(&format!("{decay:?}"), &photos, |proposals| decayed(proposals, decay));
    }
    Ok(())
}

/// Prints how precise the objects are that are made of the proposals.
fn report(name: &str, photos: &[Photo], objects: impl Fn(&[Detection]) -> Vec<Detection>) {
    let judge =
        |photo: &Photo| Judged { found: objects(&photo.proposals), truth: photo.truth.clone() };
    let judged: Vec<Judged> = photos.iter().map(judge).collect();
    if let Some(precision) = average_precision(&judged) {
        println!(
            "{name}: AP@[.5:.95] {:.4}, @.5 {:.4}, @.75 {:.4}",
            precision.mean, precision.at_50, precision.at_75
        );
    }
}

fn photo(path: &PathBuf, detector: &CnnDetector, judge: &CnnDetector) -> Option<Photo> {
    let bytes = std::fs::read(path).ok()?;
    let image = objects::decode(&bytes, &DecodeLimits::default(), detector, None).ok()?;
    let all = Suppression { score_min: SCORE_MIN, iou_max: 1.0, class_wise: true, count_max: 5000 };
    let proposals = objects::detect(&image, detector, &all).ok()?.objects;
    let found = objects::detect(&image, judge, &judge.rules()).ok()?.objects;
    let truth =
        |object: Detection| Truth { class: object.class, bounds: object.bounds, is_crowd: false };
    Some(Photo { proposals, truth: found.into_iter().map(truth).collect() })
}

/// The proposals with the scores that are left of them, the surest first.
fn decayed(proposals: &[Detection], decay: Decay) -> Vec<Detection> {
    let mut left = proposals.to_vec();
    let mut objects: Vec<Detection> = Vec::new();
    while objects.len() < COUNT_MAX {
        let best = (0..left.len()).max_by(|a, b| left[*a].score.total_cmp(&left[*b].score));
        let Some(best) = best else { break };
        let object = left.swap_remove(best);
        for other in left.iter_mut().filter(|other| other.class == object.class) {
            other.score *= decay.factor(object.bounds.iou(&other.bounds));
        }
        left.retain(|other| other.score >= SCORE_MIN);
        objects.push(object);
    }
    objects
}
