//! The networks that can be run, each defined in one file.

mod candidates;
mod efficientnet_lite;
pub(super) mod faster_rcnn;
pub(super) mod nanodet;
mod resnet;
pub(super) mod yolox;

use super::InferenceError;
use super::network::{
    Activation, Convolution, Layer, Network, Operation, Padding, ValueId, Window,
};
use super::weights::Weights;
use crate::pixels::Pixels;

const LITE0_WEIGHTS: &[u8] = include_bytes!("../weights/efficientnet-lite0-f16.safetensors");

/// Classes of ImageNet-1k, which all networks here know.
const CLASSES: usize = 1000;

/// A network that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Model {
    /// EfficientNet-Lite0, 224 px: inside the binary.
    EfficientNetLite0,
    /// EfficientNet-Lite2, 260 px.
    EfficientNetLite2,
    /// ResNet-18, 224 px.
    ResNet18,
    /// ResNet-34, 224 px.
    ResNet34,
    /// ResNet-50, 224 px.
    ResNet50,
}

impl Model {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::EfficientNetLite0,
        Self::EfficientNetLite2,
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
    ];

    /// The name by which options, reports and spaces call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::EfficientNetLite2 => "efficientnet-lite2",
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
        }
    }

    /// The model of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// Side of the square input in pixels.
    #[must_use]
    pub fn input_side_px(self) -> u32 {
        let side = match self {
            Self::EfficientNetLite0 => efficientnet_lite::LITE0.input_side_px,
            Self::EfficientNetLite2 => efficientnet_lite::LITE2.input_side_px,
            _ => resnet::INPUT_SIDE_PX,
        };
        side as u32
    }

    /// How bytes enter the network, in words.
    pub(super) fn normalisation(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 | Self::EfficientNetLite2 => "(x - 127) / 128",
            _ => "ImageNet mean and deviation",
        }
    }

    /// The bytes of a weights file; without one, those inside the binary.
    ///
    /// # Errors
    /// [`InferenceError::NoWeights`] when the binary has none for this model.
    pub(super) fn weights_or_embedded(self, bytes: Option<&[u8]>) -> Result<&[u8], InferenceError> {
        match (bytes, self) {
            (Some(bytes), _) => Ok(bytes),
            (None, Self::EfficientNetLite0) => Ok(LITE0_WEIGHTS),
            (None, _) => Err(InferenceError::NoWeights { model: self.name() }),
        }
    }

    /// Checks that an image has the size of the network's input.
    ///
    /// # Errors
    /// [`InferenceError::InputSize`].
    pub(super) fn check_size(self, image: &Pixels) -> Result<(), InferenceError> {
        let (expected, width_px, height_px) =
            (self.input_side_px(), image.width_px(), image.height_px());
        if (width_px, height_px) == (expected, expected) {
            Ok(())
        } else {
            Err(InferenceError::InputSize { expected, width_px, height_px })
        }
    }

    /// Reads the network out of a weights file.
    ///
    /// # Errors
    /// As for [`Weights::values`].
    pub(super) fn define(self, weights: &Weights<'_>) -> Result<Network, InferenceError> {
        match self {
            Self::EfficientNetLite0 => efficientnet_lite::define(efficientnet_lite::LITE0, weights),
            Self::EfficientNetLite2 => efficientnet_lite::define(efficientnet_lite::LITE2, weights),
            Self::ResNet18 => resnet::define(resnet::RESNET18, weights),
            Self::ResNet34 => resnet::define(resnet::RESNET34, weights),
            Self::ResNet50 => resnet::define(resnet::RESNET50, weights),
        }
    }
}

/// Kernel and bias of a convolution without bias and the batch norm after it, folded into one.
///
/// # Errors
/// As for [`Weights::values`].
fn folded(
    weights: &Weights<'_>,
    (name, norm): (&str, &str),
    shape: [usize; 4],
    epsilon: f32,
) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
    let outputs = shape[0];
    let mut kernel = weights.values(&format!("{name}.weight"), &shape)?;
    let of = |part: &str| weights.values(&format!("{norm}.{part}"), &[outputs]);
    let (gain, shift) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let mut bias = Vec::with_capacity(outputs);
    for (output, values) in kernel.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let factor = gain[output] / (variance[output] + epsilon).sqrt();
        values.iter_mut().for_each(|value| *value *= factor);
        bias.push(shift[output] - mean[output] * factor);
    }
    Ok((kernel, bias))
}

/// The classifier over pooled features, which is a convolution over one pixel.
fn classifier(
    weights: &Weights<'_>,
    name: &str,
    input: ValueId,
    features: usize,
) -> Result<Layer, InferenceError> {
    let convolution = Convolution {
        kernel: weights.values(&format!("{name}.weight"), &[CLASSES, features])?,
        bias: weights.values(&format!("{name}.bias"), &[CLASSES])?,
        inputs: features,
        outputs: CLASSES,
        window: Window { side: 1, stride: 1, padding: Padding::Each(0) },
        depthwise: false,
        residual: None,
        activation: Activation::Identity,
    };
    Ok(Layer { name: name.to_owned(), input, operation: Operation::Convolution(convolution) })
}
