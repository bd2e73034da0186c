//! What is kept of the pixels of an image, to tell copies and edits of it from images like it.

use serde::{Deserialize, Serialize};

/// A small copy of an image in levels of grey, and what its pixels say of its quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Luma (Rec. 601), 0 to 255, of the upright image squashed to a square of
    /// [`Fingerprint::SIDE_PX`]: rows top to bottom.
    luma: Vec<u8>,
    /// Measured on the image before it was squashed.
    pub quality: Quality,
}

impl Fingerprint {
    /// Pixels along a side of the small copy.
    pub const SIDE_PX: usize = 48;

    /// Takes the levels of a small copy, row by row; `None` unless there are
    /// `SIDE_PX * SIDE_PX` of them.
    pub fn new(luma: Vec<u8>, quality: Quality) -> Option<Self> {
        let fingerprint = Self { luma, quality };
        fingerprint.is_whole().then_some(fingerprint)
    }

    /// The levels of the small copy, row by row.
    pub fn luma(&self) -> &[u8] {
        &self.luma
    }

    /// Whether the small copy has as many levels as it should: what was read from outside may not.
    pub fn is_whole(&self) -> bool {
        self.luma.len() == Self::SIDE_PX * Self::SIDE_PX
    }
}

/// How good a photo is, as far as its levels of grey can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Energy of the finest detail for that of the whole: the mean square of the Laplacian over
    /// the variance of the levels, 0 for a flat image. A blurred image has little.
    pub sharpness: f32,
    /// Mean level, 0 (black) to 1 (white).
    pub brightness: f32,
    /// Standard deviation of the levels, 0 to 0.5.
    pub contrast: f32,
    /// Share of the pixels that are black or nearly, 0 to 1.
    pub dark_share: f32,
    /// Share of the pixels that are white or nearly, 0 to 1.
    pub bright_share: f32,
    /// Entropy of the levels in bits, 0 to 8: low for an image of few tones.
    pub entropy_bits: f32,
}
