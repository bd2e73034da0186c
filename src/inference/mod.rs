//! Networks: from pixels to embeddings and classes. The only module that knows candle.
//!
//! A network is defined once (`models`) as data (`network`); `cpu` compiles it for the processor
//! at hand, and `engine` makes the compiled plan an operation of candle.

mod calibration;
mod classes;
mod cnn;
mod cpu;
mod detection;
mod encoder;
mod engine;
mod error;
mod models;
mod network;
mod onnx;
mod profile;
#[cfg(test)]
mod reference;
mod summary;
mod weights;

pub use calibration::Calibration;
pub(crate) use classes::top_classes;
pub use cnn::{Cnn, Compute};
pub use cpu::{InstructionSet, Precision};
pub use detection::{
    COCO_CLASSES, CnnDetector, CocoClass, Detector, DetectorModel, Suppressed, Suppression,
    SuppressionCounts, suppress,
};
pub use encoder::{Encoder, FeatureMap};
pub use error::InferenceError;
pub use models::Model;
pub use profile::StepTime;
pub use summary::LayerSummary;
