//! What a network makes of one image file, which need not be in the database.

use crate::imaging::{self, DecodeLimits, DecodedImage, ImagingError};
use crate::inference::{Encoder, InferenceError, top_classes};
use crate::record::ClassScore;
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
}

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
fn decode(
    encoder: &dyn Encoder,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<DecodedImage, ImagingError> {
    let side_min_px = imaging::side_needed_px(encoder.input_side_px());
    imaging::decode_at_least(bytes, limits, side_min_px)
}
