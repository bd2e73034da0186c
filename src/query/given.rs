//! What a network makes of one image file, which need not be in the database.

use crate::imaging::{self, DecodeLimits, DecodedImage, ImagingError};
use crate::inference::{Encoder, InferenceError, top_classes};
use crate::objects;
use crate::record::{BoundingBox, ClassScore};
use crate::vector::Embedding;

/// Why a file cannot be embedded or classified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GivenError {
    /// The bytes are no image that can be read.
    #[error(transparent)]
    Image(#[from] ImagingError),
    /// The network failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// A region has no part of the image in it.
    #[error("the region lies beside the image, or holds nothing")]
    Beside,
}

/// Regions are cut out of an image that is at least this large, as objects are, if it was.
const REGION_OF_SIDE_PX: u32 = 448;

/// Embeds the bytes of an image file.
///
/// # Errors
/// [`GivenError::Image`] when the bytes are no image that can be read.
pub fn embed_file(
    encoder: &dyn Encoder,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<Embedding, GivenError> {
    let image = decode(encoder, bytes, limits)?;
    let whole = imaging::squash(&image.pixels, encoder.input_side_px());
    let mut embeddings = encoder.embed(&[whole])?;
    Ok(embeddings.pop().expect("an encoder gives one embedding for each input"))
}

/// Embeds what lies in a rectangle of an image file, with its surroundings: `margin` on each side in
/// parts of its size, [`objects::MARGIN`] where it is to be compared with stored objects.
///
/// # Errors
/// [`GivenError::Image`] when the bytes are no image that can be read; [`GivenError::Beside`].
pub fn embed_region(
    encoder: &dyn Encoder,
    bytes: &[u8],
    bounds: &BoundingBox,
    margin: f32,
    limits: &DecodeLimits,
) -> Result<Embedding, GivenError> {
    let image = imaging::decode_at_least(bytes, limits, REGION_OF_SIDE_PX)?;
    let inside = bounds.clipped(image.width_px, image.height_px);
    if !inside.is_proper() {
        return Err(GivenError::Beside);
    }
    let mut embeddings = objects::embed(&image, &[inside], margin, encoder)?;
    Ok(embeddings.pop().expect("an encoder gives one embedding for each input"))
}

/// Gives the most probable classes of an image file, the best first.
///
/// # Errors
/// [`GivenError::Image`] when the bytes are no image that can be read.
pub fn classify_file(
    encoder: &dyn Encoder,
    bytes: &[u8],
    limits: &DecodeLimits,
    top: usize,
) -> Result<Vec<ClassScore>, GivenError> {
    let image = decode(encoder, bytes, limits)?;
    let whole = imaging::squash(&image.pixels, encoder.input_side_px());
    let mut encoded = encoder.embed_and_classify(&[whole])?;
    let (_, probabilities) = encoded.pop().expect("an encoder gives one result for each input");
    Ok(top_classes(&probabilities, top))
}

/// Decodes an image as `ingest` does, so that a file finds itself.
pub(super) fn decode(
    encoder: &dyn Encoder,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<DecodedImage, ImagingError> {
    let side_min_px = imaging::side_needed_px(encoder.input_side_px());
    imaging::decode_at_least(bytes, limits, side_min_px)
}
