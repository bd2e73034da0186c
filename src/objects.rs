//! The objects on an image: found by a detector, cut out with their surroundings, embedded.
//!
//! `ingest` stores what this finds, and queries ask with what it finds on a given image: both must
//! look in the same way.

mod average_precision;
mod coco;

pub use average_precision::{AveragePrecision, Judged, Truth, average_precision};
pub use coco::{AnnotatedImage, CocoError, ExportedImage, read_annotations, write_annotations};

use crate::imaging::{self, DecodeLimits, DecodedImage, ImagingError};
use crate::inference::{Detector, Encoder, InferenceError, Suppressed, Suppression};
use crate::record::{BoundingBox, Detection, Space};
use crate::vector::Embedding;

/// Surroundings that are embedded with an object, on each side in parts of its size: measured by
/// `examples/object_context.rs`, with the figures in `docs/architecture.md`.
pub const MARGIN: f32 = 0.1;

/// Objects of an image that are kept.
pub const OBJECTS_MAX: usize = 50;

/// The purpose of the spaces of objects.
pub const SPACE_NAME: &str = "object";

/// What was found on an image: the objects, and an embedding of each.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundObjects {
    /// The surest first.
    pub detections: Vec<Detection>,
    /// One for each, in order.
    pub embeddings: Vec<Embedding>,
}

/// Why objects cannot be looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The bytes are no image that can be read.
    #[error(transparent)]
    Image(#[from] ImagingError),
    /// A network failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}

/// The space of what a detector finds and an encoder embeds.
#[must_use]
pub fn space(encoder: &Space, detector: &dyn Detector) -> Space {
    let preprocessing = format!(
        "{}; objects with a margin of {MARGIN}, found by {}",
        encoder.preprocessing,
        detector.identity()
    );
    Space { name: SPACE_NAME.to_owned(), preprocessing, ..encoder.clone() }
}

/// Whether a space is one of objects, embedded as `encoder` embeds.
#[must_use]
pub fn is_space_of(space: &Space, encoder: &Space) -> bool {
    let begins = space.preprocessing.strip_prefix(&encoder.preprocessing);
    space.name == SPACE_NAME
        && space.model == encoder.model
        && space.weights_digest == encoder.weights_digest
        && begins.is_some_and(|rest| rest.starts_with("; objects"))
}

/// Decodes an image as large as a detector needs it. `known` is the same image, perhaps decoded
/// smaller; it is taken if it is large enough, or all there is.
///
/// # Errors
/// [`ImagingError`] as for [`imaging::decode_at_least`].
pub fn decode(
    bytes: &[u8],
    limits: &DecodeLimits,
    detector: &dyn Detector,
    known: Option<DecodedImage>,
) -> Result<DecodedImage, ImagingError> {
    let side_min_px = imaging::side_needed_px(detector.input_side_px());
    if let Some(image) = known {
        let (across, down) = (image.pixels.width_px(), image.pixels.height_px());
        if across.min(down) >= side_min_px || (across, down) == (image.width_px, image.height_px) {
            return Ok(image);
        }
    }
    imaging::decode_at_least(bytes, limits, side_min_px)
}

/// Finds the objects on a decoded image.
///
/// # Errors
/// Those of the detector.
pub fn detect(
    image: &DecodedImage,
    detector: &dyn Detector,
    rules: &Suppression,
) -> Result<Suppressed, InferenceError> {
    let size = (image.width_px, image.height_px);
    let input = imaging::fit(&image.pixels, size, detector.input_side_px(), detector.fitting());
    detector.detect(&input, rules)
}

/// Embeds what lies in some boxes of a decoded image, each with its surroundings: `margin` on each
/// side in parts of its size, [`MARGIN`] where it is to be compared with stored objects.
///
/// # Errors
/// Those of the encoder.
pub fn embed(
    image: &DecodedImage,
    boxes: &[BoundingBox],
    margin: f32,
    encoder: &dyn Encoder,
) -> Result<Vec<Embedding>, InferenceError> {
    let (width_px, height_px) = (image.width_px as f32, image.height_px as f32);
    let cut = |bounds: &BoundingBox| {
        let wide = bounds.with_margin(margin);
        let part = [
            wide.left_px / width_px,
            wide.top_px / height_px,
            wide.right_px / width_px,
            wide.bottom_px / height_px,
        ];
        imaging::cut_out(&image.pixels, part, encoder.input_side_px())
    };
    let cuts: Vec<_> = boxes.iter().map(cut).collect();
    encoder.embed(&cuts)
}

/// Finds and embeds the objects on a decoded image.
///
/// # Errors
/// Those of detector and encoder.
pub fn find(
    image: &DecodedImage,
    detector: &dyn Detector,
    encoder: &dyn Encoder,
) -> Result<FoundObjects, InferenceError> {
    let rules = detector.rules();
    let rules = Suppression { count_max: rules.count_max.min(OBJECTS_MAX), ..rules };
    let detections = detect(image, detector, &rules)?.objects;
    let boxes: Vec<BoundingBox> = detections.iter().map(|object| object.bounds).collect();
    let embeddings = embed(image, &boxes, MARGIN, encoder)?;
    Ok(FoundObjects { detections, embeddings })
}
