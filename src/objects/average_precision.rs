//! How good detections are, as COCO measures it: average precision.
//!
//! The rules are those of `pycocotools` for boxes of all sizes and 100 detections an image, with
//! which the tests compare. What they leave open, such as the order of equal scores, is the same.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::record::{BoundingBox, ClassId, Detection};

/// Detections of an image that count.
const DETECTIONS_MAX: usize = 100;

/// Overlaps at which a detection counts as right: .50, .55 and so on to .95.
const OVERLAPS: usize = 10;

/// Recalls at which precision is read: 0, .01 and so on to 1.
const RECALLS: usize = 101;

/// An object as people marked it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// What it is.
    pub class: ClassId,
    /// Where it is.
    pub bounds: BoundingBox,
    /// Whether the box is around a crowd: what lies in it is neither right nor wrong.
    pub is_crowd: bool,
}

/// An image with what was found on it and what is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What was found.
    pub found: Vec<Detection>,
    /// What is there.
    pub truth: Vec<Truth>,
}

/// Average precision over all classes, and of each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AveragePrecision {
    /// Mean over classes and overlaps of .50 to .95: "AP", 0 to 1.
    pub mean: f64,
    /// At an overlap of .50.
    pub at_50: f64,
    /// At an overlap of .75.
    pub at_75: f64,
    /// "AP" of each class that has objects.
    #[serde(skip)]
    pub classes: Vec<(ClassId, f64)>,
}

/// A detection that was compared with the truth.
struct Verdict {
    score: f32,
    /// At each overlap: right, wrong, or not counted.
    at: [Option<bool>; OVERLAPS],
}

/// Judges detections on a set of images; `None` when no object was marked on any.
///
/// Costs `detections * objects` of each image and class.
///
/// # Examples
/// ```
/// use lookalike::objects::{Judged, Truth, average_precision};
/// use lookalike::record::{BoundingBox, ClassId, Detection};
///
/// let (class, bounds) = (ClassId(0), BoundingBox::new(0.0, 0.0, 10.0, 10.0));
/// let found = vec![Detection { class, score: 0.9, bounds }];
/// let truth = vec![Truth { class, bounds, is_crowd: false }];
/// assert!((average_precision(&[Judged { found, truth }]).unwrap().mean - 1.0).abs() < 1e-9);
/// ```
#[must_use]
pub fn average_precision(images: &[Judged]) -> Option<AveragePrecision> {
    let classes: BTreeSet<ClassId> =
        images.iter().flat_map(|image| &image.truth).map(|truth| truth.class).collect();
    let mut by_class: BTreeMap<ClassId, [f64; OVERLAPS]> = BTreeMap::new();
    for class in classes {
        let objects = images.iter().flat_map(|image| &image.truth);
        let objects = objects.filter(|truth| truth.class == class && !truth.is_crowd).count();
        if objects > 0 {
            by_class.insert(class, precisions(images, class, objects));
        }
    }
    if by_class.is_empty() {
        return None;
    }
    let at = |overlap: usize| {
        by_class.values().map(|values| values[overlap]).sum::<f64>() / by_class.len() as f64
    };
    let classes: Vec<_> = by_class
        .iter()
        .map(|(class, values)| (*class, values.iter().sum::<f64>() / OVERLAPS as f64))
        .collect();
    let mean = (0..OVERLAPS).map(at).sum::<f64>() / OVERLAPS as f64;
    Some(AveragePrecision { mean, at_50: at(0), at_75: at(5), classes })
}

/// The average precision of a class at each overlap.
fn precisions(images: &[Judged], class: ClassId, objects: usize) -> [f64; OVERLAPS] {
    let mut verdicts: Vec<Verdict> = images.iter().flat_map(|image| judge(image, class)).collect();
    // Stable: equal scores stay in the order of the images.
    verdicts.sort_by(|a, b| b.score.total_cmp(&a.score));
    std::array::from_fn(|overlap| {
        let counted = verdicts.iter().filter_map(|verdict| verdict.at[overlap]);
        precision(counted, objects)
    })
}

/// The mean over the recalls of the greatest precision at that recall or more.
fn precision(verdicts: impl Iterator<Item = bool>, objects: usize) -> f64 {
    let (mut right, mut all) = (0usize, 0usize);
    let mut curve: Vec<(f64, f64)> = Vec::new();
    for is_right in verdicts {
        right += usize::from(is_right);
        all += 1;
        curve.push((right as f64 / objects as f64, right as f64 / all as f64));
    }
    let mut greatest = 0f64;
    for (_, precision) in curve.iter_mut().rev() {
        greatest = greatest.max(*precision);
        *precision = greatest;
    }
    let at = |step: usize| {
        let recall = step as f64 / (RECALLS - 1) as f64;
        let first = curve.partition_point(|(found, _)| *found < recall);
        curve.get(first).map_or(0.0, |(_, precision)| *precision)
    };
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}

/// Compares the detections of a class on an image with the truth, the surest first: each takes the
/// free object that it overlaps most.
fn judge(image: &Judged, class: ClassId) -> Vec<Verdict> {
    let mut found: Vec<&Detection> =
        image.found.iter().filter(|found| found.class == class).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(DETECTIONS_MAX);
    let mut truth: Vec<&Truth> = image.truth.iter().filter(|truth| truth.class == class).collect();
    truth.sort_by_key(|truth| truth.is_crowd);
    let mut taken = vec![[false; OVERLAPS]; truth.len()];
    let mut verdicts = Vec::new();
    for found in found {
        let overlaps: Vec<f64> = truth.iter().map(|truth| overlap(found, truth)).collect();
        let at = std::array::from_fn(|step| {
            let best = best_match(&truth, &overlaps, |index| taken[index][step], step);
            let Some(best) = best else { return Some(false) };
            taken[best][step] = true;
            (!truth[best].is_crowd).then_some(true)
        });
        verdicts.push(Verdict { score: found.score, at });
    }
    verdicts
}

/// The object that a detection takes at an overlap, if any; crowds come last, and only take what no
/// object does.
fn best_match(
    truth: &[&Truth],
    overlaps: &[f64],
    is_taken: impl Fn(usize) -> bool,
    step: usize,
) -> Option<usize> {
    let mut greatest = 0.5 + step as f64 * (0.45 / 9.0);
    let mut best: Option<usize> = None;
    for (index, object) in truth.iter().enumerate() {
        if is_taken(index) && !object.is_crowd {
            continue;
        }
        if object.is_crowd && best.is_some_and(|best| !truth[best].is_crowd) {
            break;
        }
        if overlaps[index] >= greatest {
            (best, greatest) = (Some(index), overlaps[index]);
        }
    }
    best
}

/// Intersection over union, in 64-bit floats as the rules have it; over the detection alone where
/// the truth is a crowd.
fn overlap(found: &Detection, truth: &Truth) -> f64 {
    let edges = |bounds: &BoundingBox| {
        [bounds.left_px, bounds.top_px, bounds.right_px, bounds.bottom_px].map(f64::from)
    };
    let (a, b) = (edges(&found.bounds), edges(&truth.bounds));
    let area =
        |[left, top, right, bottom]: [f64; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let shared = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let covered = if truth.is_crowd { area(a) } else { area(a) + area(b) - shared };
    if shared > 0.0 { shared / covered } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::coco;

    /// What `make_coco.py` beside the files has computed with pycocotools.
    #[test]
    fn it_is_what_pycocotools_computes() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("fixtures/reference/detection");
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let truth = coco::read_annotations(&read("coco_truth.json")).unwrap();
        let found = coco::read_annotations(&read("coco_found.json")).unwrap();
        let expected: Vec<f64> = serde_json::from_slice(&read("coco_expected.json")).unwrap();
        let judged: Vec<Judged> = truth
            .iter()
            .map(|image| {
                let same = found.iter().find(|other| other.file_name == image.file_name);
                let detection = |(truth, score): (&Truth, &f32)| Detection {
                    class: truth.class,
                    score: *score,
                    bounds: truth.bounds,
                };
                let found = same.map_or(Vec::new(), |image| {
                    image.truth.iter().zip(&image.scores).map(detection).collect()
                });
                Judged { found, truth: image.truth.clone() }
            })
            .collect();
        let result = average_precision(&judged).unwrap();
        for (found, expected) in [result.mean, result.at_50, result.at_75].iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-6, "{result:?} {expected}");
        }
        assert!(result.mean > 0.1 && result.mean < 0.9, "{result:?}");
    }

    #[test]
    fn without_objects_there_is_no_precision() {
        assert_eq!(average_precision(&[]), None);
        assert_eq!(average_precision(&[Judged::default()]), None);
    }
}
