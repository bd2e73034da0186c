//! What makes two images alike: how much each place adds to their score.

use super::given::{GivenError, decode};
use crate::imaging::{self, DecodeLimits};
use crate::inference::{Encoder, InferenceError};
use crate::pixels::Pixels;
use crate::vector::Embedding;

/// Two images, each with what its places add to their score.
///
/// The cosine of two embeddings is a sum over the positions of either image, so that each has a map
/// of its own: see [`FeatureMap::shares`](crate::inference::FeatureMap::shares).
pub struct Explanation {
    sides: [Side; 2],
    /// The greatest share of all: one scale for both, so that their colours mean the same.
    greatest: f32,
}

/// One of the two images.
struct Side {
    pixels: Pixels,
    /// Positions along an axis.
    side: usize,
    shares: Vec<f32>,
}

impl Explanation {
    /// Draws the map of one image over it: `0` is the first of the two that were given.
    ///
    /// # Panics
    /// For any other number than 0 and 1.
    #[must_use]
    pub fn drawn(&self, number: usize) -> Pixels {
        let Side { pixels, side, shares } = &self.sides[number];
        let mut pixels = pixels.clone();
        imaging::draw_heat(&mut pixels, *side, shares, self.greatest);
        pixels
    }
}

/// Compares the bytes of two image files place by place; `None` for a network whose embeddings are
/// no mean over places. Costs two passes of the network for each image.
///
/// # Errors
/// [`GivenError::Image`] when one of them is no image that can be read.
pub fn explain(
    encoder: &dyn Encoder,
    files: [&[u8]; 2],
    limits: &DecodeLimits,
) -> Result<Option<Explanation>, GivenError> {
    let [first, second] =
        [Seen::of(encoder, files[0], limits)?, Seen::of(encoder, files[1], limits)?];
    let maps = [first.map(encoder, &second)?, second.map(encoder, &first)?];
    let [Some(of_first), Some(of_second)] = maps else { return Ok(None) };
    let shares = of_first.1.iter().chain(&of_second.1);
    let greatest = shares.copied().fold(0f32, f32::max);
    let side = |seen: Seen, (side, shares)| Side { pixels: seen.pixels, side, shares };
    Ok(Some(Explanation { sides: [side(first, of_first), side(second, of_second)], greatest }))
}

/// An image as the network sees it.
struct Seen {
    pixels: Pixels,
    square: Pixels,
    embedding: Embedding,
}

impl Seen {
    fn of(encoder: &dyn Encoder, bytes: &[u8], limits: &DecodeLimits) -> Result<Self, GivenError> {
        let image = decode(encoder, bytes, limits)?;
        let square = imaging::squash(&image.pixels, encoder.input_side_px());
        let embedding = encoder.embed(std::slice::from_ref(&square))?.remove(0);
        Ok(Self { pixels: image.pixels, square, embedding })
    }

    /// Positions along an axis, and what each adds to the score with another image.
    fn map(
        &self,
        encoder: &dyn Encoder,
        other: &Self,
    ) -> Result<Option<(usize, Vec<f32>)>, InferenceError> {
        let map = encoder.feature_map(&self.square)?;
        Ok(map.map(|map| (map.side, map.shares(&other.embedding))))
    }
}
