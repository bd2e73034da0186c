//! What can go wrong with weights and networks.

use crate::vector::VectorError;

/// An error of weights or of a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// The bytes are not a safetensors file.
    #[error("the weights are not a readable safetensors file")]
    Weights {
        /// What the reader said.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that the network needs is not in the file.
    #[error("the weights hold no tensor {name:?}: they belong to another network")]
    MissingTensor {
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the network needs.
    #[error("tensor {name:?} has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// The tensor's name.
        name: String,
        /// Shape that the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor holds something else than 16- or 32-bit floats.
    #[error("tensor {name:?} has element type {found}, expected F16 or F32")]
    TensorType {
        /// The tensor's name.
        name: String,
        /// Element type in the file.
        found: String,
    },
    /// The binary has no weights for the model, and no file was given.
    #[error("{model} needs a weights file: the binary has none for it")]
    NoWeights {
        /// The model's name.
        model: &'static str,
    },
    /// The bytes are not an ONNX file.
    #[error("the weights are not a readable ONNX file")]
    Onnx {
        /// What the reader said.
        source: prost::DecodeError,
    },
    /// An ONNX file whose layers are not those of the network.
    #[error("the ONNX file does not hold the network: {reason}")]
    OnnxNetwork {
        /// What is missing or too much.
        reason: String,
    },
    /// A weights file of a detector that is not known.
    #[error(
        "the file holds no detector that is known: NanoDet-g, YOLOX-nano, -tiny or -s, Faster R-CNN"
    )]
    UnknownDetector,
    /// This processor cannot run the instruction set that was asked for.
    #[error("this processor has no {name}")]
    InstructionSet {
        /// Its name.
        name: &'static str,
    },
    /// Products of bytes were asked for without a calibration, or one without images.
    #[error("8-bit products need a calibration, and that at least one image")]
    Calibration,
    /// An input image has another size than the network takes.
    #[error("the network takes {expected} x {expected} pixels, got {width_px} x {height_px}")]
    InputSize {
        /// Side of the square that the network takes.
        expected: u32,
        /// Width that was given.
        width_px: u32,
        /// Height that was given.
        height_px: u32,
    },
    /// The list of class names cannot be read.
    #[error("the class names are not a JSON list of strings")]
    ClassNames {
        /// What the reader said.
        source: serde_json::Error,
    },
    /// The network gave something that is no embedding.
    #[error("the network gave no usable embedding")]
    Output {
        /// Why it is none.
        source: VectorError,
    },
    /// candle failed.
    #[error("the tensor library failed")]
    Tensor {
        /// What candle said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<candle_core::Error> for InferenceError {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor { source: Box::new(error) }
    }
}
