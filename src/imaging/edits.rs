//! Edits that people make of photos, to measure how well they are recognised.

use serde::Serialize;

use super::orient::orient;
use super::resize::resized;
use super::thumbnail::encode_jpeg;
use super::{DecodeLimits, decode};
use crate::pixels::Pixels;

/// One way to edit an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// Half the width and height.
    Reduced,
    /// JPEG of quality 30.
    Recompressed,
    /// Three tenths lighter.
    Brightened,
    /// A light mark over the middle, half as wide and a fifth as high.
    Marked,
    /// A tenth of the area cut off.
    CroppedByTenth,
    /// A fourth of the area cut off.
    CroppedByFourth,
    /// A quarter turn clockwise.
    Rotated,
    /// Left and right exchanged.
    Mirrored,
}

impl Edit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Reduced,
        Self::Recompressed,
        Self::Brightened,
        Self::Marked,
        Self::CroppedByTenth,
        Self::CroppedByFourth,
        Self::Rotated,
        Self::Mirrored,
    ];

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reduced => "half size",
            Self::Recompressed => "JPEG of quality 30",
            Self::Brightened => "30 % lighter",
            Self::Marked => "a mark over it",
            Self::CroppedByTenth => "10 % cut off",
            Self::CroppedByFourth => "25 % cut off",
            Self::Rotated => "a quarter turn",
            Self::Mirrored => "mirrored",
        }
    }

    /// Edits an image. `at`, 0 to 1 across and down, says where the rest of a crop lies.
    #[must_use]
    pub fn apply(self, image: &Pixels, at: [f32; 2]) -> Pixels {
        match self {
            Self::Reduced => {
                let half = |length_px: u32| (length_px / 2).max(1);
                resized(image, half(image.width_px()), half(image.height_px()))
            }
            Self::Recompressed => recompressed(image, 30),
            Self::Brightened => levels(image, |level, _, _| level * 1.3),
            Self::Marked => {
                let (width, height) = (image.width_px() as usize, image.height_px() as usize);
                let (across, down) = (width / 4..width * 3 / 4, height * 2 / 5..height * 3 / 5);
                levels(image, |level, x, y| match across.contains(&x) && down.contains(&y) {
                    true => level * 0.4 + 255.0 * 0.6,
                    false => level,
                })
            }
            Self::CroppedByTenth => cropped(image, 0.9, at),
            Self::CroppedByFourth => cropped(image, 0.75, at),
            Self::Rotated => orient(image.clone(), 6),
            Self::Mirrored => orient(image.clone(), 2),
        }
    }
}

/// Changes each level, by its place.
fn levels(image: &Pixels, change: impl Fn(f32, usize, usize) -> f32) -> Pixels {
    let mut changed = image.clone();
    let row_bytes = image.width_px() as usize * 3;
    for (y, row) in changed.rgb_mut().chunks_exact_mut(row_bytes).enumerate() {
        for (at, level) in row.iter_mut().enumerate() {
            *level = change(f32::from(*level), at / 3, y) as u8;
        }
    }
    changed
}

/// The part with this share of the area and the shape of the whole.
fn cropped(image: &Pixels, share: f32, at: [f32; 2]) -> Pixels {
    let kept = |length_px: u32| ((length_px as f32 * share.sqrt()).round() as u32).max(1);
    let (width_px, height_px) = (kept(image.width_px()), kept(image.height_px()));
    let start = |length_px: u32, kept_px: u32, at: f32| {
        ((length_px - kept_px) as f32 * at.clamp(0.0, 1.0)).round() as usize
    };
    let left = start(image.width_px(), width_px, at[0]);
    let top = start(image.height_px(), height_px, at[1]);
    let rows = image.rgb().chunks_exact(image.width_px() as usize * 3);
    let rows = rows.skip(top).take(height_px as usize);
    let rgb = rows.flat_map(|row| &row[left * 3..][..width_px as usize * 3]).copied().collect();
    Pixels::from_rgb(width_px, height_px, rgb).expect("the part lies inside the image")
}

fn recompressed(image: &Pixels, quality: u8) -> Pixels {
    let read = encode_jpeg(image, quality)
        .and_then(|jpeg| decode(&jpeg, &DecodeLimits::default()).ok())
        .map(|read| read.pixels);
    // An image that JPEG cannot hold is too long for any side: it stays as it is.
    read.unwrap_or_else(|| image.clone())
}
