//! From which agreement on two images are the same: learned from the user's own photos.
//!
//! Two things are measured. Pairs of different photos say how far chance goes: the tail of their
//! agreement is taken as exponential (the peaks-over-threshold method, Pickands, *Statistical
//! inference using extreme order statistics*, Annals of Statistics 1975, with shape 0), and the
//! threshold lies where [`FALSE_EXPECTED`] of all pairs that are laid over each other would pass.
//! Edits made of some photos say what is found at it.

use rayon::prelude::*;
use serde::Serialize;

use crate::imaging::{Edit, Prepared, Turn, align, align_whole, fingerprint};
use crate::pixels::Pixels;
use crate::record::Fingerprint;

/// Agreement from which on images are the same, 0 to 1, by the freedom that it took to get there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholds {
    /// Whole over whole.
    pub whole: f32,
    /// Whole over whole, turned or mirrored.
    pub turned: f32,
    /// A part over a whole.
    pub cropped: f32,
}

/// Where there are too few photos to measure on.
impl Default for Thresholds {
    fn default() -> Self {
        Self { whole: 0.95, turned: 0.95, cropped: 0.95 }
    }
}

/// How many edits of one kind are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EditRecall {
    /// The kind.
    pub edit: Edit,
    /// Edits that agree enough with their photo.
    pub found: usize,
    /// Edits that were made.
    pub made: usize,
}

/// What was learned of a collection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EditCalibration {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// What is found at them.
    pub edits: Vec<EditRecall>,
    /// Pairs of different photos that were compared.
    pub pairs: usize,
}

/// What a calibration looks at.
pub struct Sample<'a> {
    /// Some photos.
    pub photos: &'a [Pixels],
    /// Pairs of different images: drawn at random, and such that look alike.
    pub pairs: &'a [[&'a Fingerprint; 2]],
    /// Pairs that the search for duplicates will lay over each other, about.
    pub pairs_in_all: usize,
}

/// Pairs that pass by chance in a whole search, in expectation.
const FALSE_EXPECTED: f64 = 0.05;
/// Part of the sampled pairs whose agreement makes the tail.
const TAIL: f64 = 0.1;
/// Pairs in the tail below which there is nothing to learn from.
const TAIL_PAIRS_MIN: usize = 20;
/// A sampled pair that agrees so well is a duplicate that nobody knows of yet.
const SUSPECT: f32 = 0.98;
/// Thresholds never lie beyond these. Of 120 photos, half of them of clothes on white, two different
/// ones agree by .97 at most, one pair in a hundred by .8; of nine kinds of edits nearly all agree
/// with their photo by .98.
const THRESHOLD_MIN: f32 = 0.85;
const THRESHOLD_MAX: f32 = 0.975;

impl EditCalibration {
    /// Measures a sample: of each pair and of each edit of a photo all ways to lie over each other.
    pub fn of(sample: &Sample<'_>) -> Self {
        let learned = |agreement: fn(&Fingerprint, &Fingerprint, f32) -> Option<f32>, fallback| {
            let pairs = sample.pairs.par_iter();
            let found = pairs.map(|[first, second]| agreement(first, second, -1.0).unwrap_or(0.0));
            threshold(found.collect(), sample.pairs_in_all).unwrap_or(fallback)
        };
        let fallback = Thresholds::default();
        let thresholds = Thresholds {
            whole: learned(whole, fallback.whole),
            turned: learned(turned, fallback.turned),
            cropped: learned(cropped, fallback.cropped),
        };
        let edits = Edit::ALL.map(|edit| recall(sample.photos, edit, &thresholds));
        Self { thresholds, edits: edits.to_vec(), pairs: sample.pairs.len() }
    }
}

/// The agreement of two images in one of the ways of [`Thresholds`], if it reaches `least`.
fn whole(first: &Fingerprint, second: &Fingerprint, least: f32) -> Option<f32> {
    let found = align_whole(&Prepared::new(first), &Prepared::new(second), least);
    found.map(|found| found.agreement)
}

fn turned(first: &Fingerprint, second: &Fingerprint, least: f32) -> Option<f32> {
    let first = Prepared::new(first);
    let found = Turn::ALL[1..].iter().filter_map(|turn| {
        align_whole(&first, &Prepared::turned(second, *turn), least).map(|found| found.agreement)
    });
    found.max_by(f32::total_cmp)
}

fn cropped(first: &Fingerprint, second: &Fingerprint, least: f32) -> Option<f32> {
    let found = align(&Prepared::new(first), &Prepared::new(second), least);
    found.map(|found| found.agreement)
}

fn threshold(mut found: Vec<f32>, pairs_in_all: usize) -> Option<f32> {
    found.retain(|agreement| *agreement < SUSPECT);
    found.sort_by(|a, b| b.total_cmp(a));
    let tail = (found.len() as f64 * TAIL) as usize;
    if tail < TAIL_PAIRS_MIN {
        return None;
    }
    let start = f64::from(found[tail]);
    let excess = found[..tail].iter().map(|agreement| f64::from(*agreement) - start).sum::<f64>();
    let mean = excess / tail as f64;
    let expected = TAIL * pairs_in_all.max(1) as f64;
    let threshold = (start + mean * (expected / FALSE_EXPECTED).ln()) as f32;
    Some(threshold.clamp(THRESHOLD_MIN, THRESHOLD_MAX))
}

fn recall(photos: &[Pixels], edit: Edit, thresholds: &Thresholds) -> EditRecall {
    let is_found = |(number, photo): (usize, &Pixels)| {
        // Crops lie at a different place in each photo, the same in each run.
        let at = [3, 7].map(|step| (number * step % 11) as f32 / 10.0);
        let (original, edited) = (fingerprint(photo), fingerprint(&edit.apply(photo, at)));
        whole(&original, &edited, thresholds.whole).is_some()
            || turned(&original, &edited, thresholds.turned).is_some()
            || cropped(&original, &edited, thresholds.cropped).is_some()
    };
    let found = photos.par_iter().enumerate().filter(|photo| is_found(*photo)).count();
    EditRecall { edit, found, made: photos.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_tail_and_more_pairs_raise_the_threshold() {
        let tail = |scale: f32| -> Vec<f32> {
            // Quantiles of an exponential distribution above .3.
            (1..1000).map(|n| 0.3 - scale * (1.0 - n as f32 / 1000.0).ln()).collect()
        };
        let short = threshold(tail(0.05), 1000).unwrap();
        // -ln of .05 / 1000 is 9.9: at .3 + .05 * 9.9 one in 20,000 passes.
        assert_eq!(short, THRESHOLD_MIN, "raised from .795");
        let long = threshold(tail(0.06), 1000).unwrap();
        assert!((long - 0.894).abs() < 0.02, "{long}");
        assert!(threshold(tail(0.06), 2000).unwrap() > long);
        assert_eq!(threshold(tail(0.2), 1000), Some(THRESHOLD_MAX));
        assert_eq!(threshold(tail(0.05)[..100].to_vec(), 1000), None);
    }
}
