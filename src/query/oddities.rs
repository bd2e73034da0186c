//! Images that stand out: unlike all others, or of doubtful quality.

use serde::Serialize;

use super::Row;
use crate::record::{Fingerprint, ImageId};

/// An image unlike the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// The image.
    pub id: ImageId,
    /// Mean cosine similarity to its nearest images, -1 to 1.
    pub score: f32,
    /// How far that lies below what is usual here: the modified z-score of Iglewicz and Hoaglin
    /// (*How to Detect and Handle Outliers*, 1993), negative for images unlike the others.
    pub z: f32,
}

impl Outlier {
    /// The modified z-score that Iglewicz and Hoaglin call an outlier.
    pub const Z_MAX: f32 = -3.5;

    /// Whether it lies far below what is usual.
    pub fn is_far(&self) -> bool {
        self.z <= Self::Z_MAX
    }
}

/// Orders images by their mean score to their nearest, the oddest first.
pub fn outliers(scores: &[(ImageId, f32)]) -> Vec<Outlier> {
    let values: Vec<f32> = scores.iter().map(|(_, score)| *score).collect();
    let usual = Usual::of(&values);
    let outlier =
        |(id, score): &(ImageId, f32)| Outlier { id: *id, score: *score, z: usual.z(*score) };
    let mut outliers: Vec<Outlier> = scores.iter().map(outlier).collect();
    outliers.sort_by(|a, b| a.score.total_cmp(&b.score).then(a.id.cmp(&b.id)));
    outliers
}

/// What is doubtful about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// Little fine detail.
    Blurry,
    /// Nearly all of it is black.
    Dark,
    /// Nearly all of it is white.
    Overexposed,
    /// Few tones: a blank page, a lens cap.
    LowInformation,
    /// Much smaller or larger than the others.
    OddSize,
    /// Much wider or taller than the others.
    OddAspect,
}

impl Issue {
    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Blurry => "blurry",
            Self::Dark => "dark",
            Self::Overexposed => "over-exposed",
            Self::LowInformation => "low information",
            Self::OddSize => "odd size",
            Self::OddAspect => "odd aspect",
        }
    }
}

/// An image with something doubtful.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageIssue {
    /// The image.
    pub id: ImageId,
    /// What it is.
    pub issue: Issue,
    /// What was measured: sharpness, mean level, entropy in bits, millions of pixels, or width for
    /// height, as the issue has it.
    pub value: f32,
}

/// Sharpness below which an image is blurry.
const SHARPNESS_MIN: f32 = 0.004;
/// Mean level below which, with most of it black, an image is dark; and as far from white.
const BRIGHTNESS_MIN: f32 = 0.12;
/// Share of black or white pixels that makes it so.
const SHARE_MIN: f32 = 0.6;
/// Entropy below which an image says little, in bits.
const ENTROPY_MIN: f32 = 2.5;
/// Factor between the sizes of two photos, or their shapes, that is always usual.
const FACTOR_USUAL: f32 = 2.5;

/// Lists what is doubtful about images, by kind and then by how much.
pub fn issues(images: &[(&Row, &Fingerprint)]) -> Vec<ImageIssue> {
    let pixels = |row: &Row| row.record.width_px as f32 * row.record.height_px as f32;
    let aspect = |row: &Row| row.record.width_px as f32 / row.record.height_px.max(1) as f32;
    // Length of a side and shape, both by their factors; portrait and landscape are alike.
    let sizes: Vec<f32> = images.iter().map(|(row, _)| pixels(row).max(1.0).ln() / 2.0).collect();
    let shapes: Vec<f32> = images.iter().map(|(row, _)| aspect(row).ln().abs()).collect();
    let (usual_size, usual_shape) = (Usual::of(&sizes), Usual::of(&shapes));
    let mut found = Vec::new();
    for (place, (row, fingerprint)) in images.iter().enumerate() {
        let quality = fingerprint.quality;
        let mut add = |issue, value| found.push(ImageIssue { id: row.id, issue, value });
        let is_flat = quality.entropy_bits < ENTROPY_MIN;
        if is_flat {
            add(Issue::LowInformation, quality.entropy_bits);
        } else if quality.sharpness < SHARPNESS_MIN {
            add(Issue::Blurry, quality.sharpness);
        }
        if quality.brightness < BRIGHTNESS_MIN && quality.dark_share > SHARE_MIN {
            add(Issue::Dark, quality.brightness);
        }
        if quality.brightness > 1.0 - BRIGHTNESS_MIN && quality.bright_share > SHARE_MIN {
            add(Issue::Overexposed, quality.brightness);
        }
        if usual_size.is_odd(sizes[place]) {
            add(Issue::OddSize, pixels(row) / 1e6);
        }
        if usual_shape.is_odd(shapes[place]) {
            add(Issue::OddAspect, aspect(row));
        }
    }
    found.sort_by(|a, b| {
        a.issue.cmp(&b.issue).then(a.value.total_cmp(&b.value)).then(a.id.cmp(&b.id))
    });
    found
}

/// Median of some values and their spread around it.
struct Usual {
    median: f32,
    /// Median of the distances from the median.
    deviation: f32,
}

impl Usual {
    fn of(values: &[f32]) -> Self {
        let median = median(values.to_vec());
        let deviation = values.iter().map(|value| (value - median).abs()).collect();
        Self { median, deviation: self::median(deviation) }
    }

    fn z(&self, value: f32) -> f32 {
        // .6745 makes it the standard deviation of a normal distribution.
        0.6745 * (value - self.median) / self.deviation.max(1e-4)
    }

    /// Whether the logarithm of a factor is far from what is usual.
    fn is_odd(&self, value: f32) -> bool {
        (value - self.median).abs() > FACTOR_USUAL.ln() && self.z(value).abs() > -Outlier::Z_MAX
    }
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_far_from_all_others_comes_first_and_is_far() {
        let scores: Vec<_> = (1..=20)
            .map(|n| (ImageId(n), 0.8 + n as f32 / 200.0))
            .chain([(ImageId(21), 0.2)])
            .collect();
        let found = outliers(&scores);
        assert_eq!(found[0].id, ImageId(21));
        assert!(found[0].is_far() && !found[1].is_far(), "{:?}", &found[..2]);
        assert_eq!(outliers(&[]), []);
        assert!(!outliers(&scores[..1])[0].is_far());
    }
}
