//! Detectors: from an image to the objects on it, with their classes and boxes.

mod cnn;
mod coco;
mod suppress;

pub(super) use cnn::define;
pub use cnn::{CnnDetector, DetectorModel};
pub use coco::{COCO_CLASSES, CocoClass};
pub use suppress::{Suppressed, Suppression, SuppressionCounts, suppress};

use super::InferenceError;
use crate::pixels::{Fitted, Fitting};

/// A network that finds objects on an image.
///
/// It sees a square of [`Detector::input_side_px`], to which a whole image is fitted as
/// [`Detector::fitting`] says, and gives boxes in pixels of the whole image.
pub trait Detector: Send + Sync {
    /// Names network, weights and preprocessing: other detections are not to be mixed with these.
    fn identity(&self) -> &str;

    /// The side of the square input in pixels.
    fn input_side_px(&self) -> u32;

    /// How an image becomes that square.
    fn fitting(&self) -> Fitting;

    /// What of its proposals counts as an object, unless somebody asks for something else.
    fn rules(&self) -> Suppression;

    /// Finds the objects on an image, the surest first; their boxes lie on the image.
    ///
    /// # Errors
    /// [`InferenceError::InputSize`] when the square has another size.
    fn detect(&self, input: &Fitted, rules: &Suppression) -> Result<Suppressed, InferenceError>;

    /// The names of the classes, in the order of their numbers.
    fn class_names(&self) -> &[String];
}
