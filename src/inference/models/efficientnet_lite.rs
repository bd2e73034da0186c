//! EfficientNet-Lite: the mobile EfficientNet without squeeze-excite, with ReLU6.
//!
//! Networks: Tan and Le, "EfficientNet" (arXiv 1905.11946), in the Lite form of
//! TensorFlow's model garden. Weights: batch norm folded into the convolutions.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::inference::layers::{Activation, BiasActivation, Dense, Depthwise, Pointwise};
use crate::inference::weights::Weights;
use crate::inference::{Encoder, InferenceError, classes};
use crate::pixels::Pixels;
use crate::record::Space;
use crate::vector::Embedding;

const LITE0_WEIGHTS: &[u8] = include_bytes!("../weights/efficientnet-lite0-f16.safetensors");

const STEM_CHANNELS: usize = 32;
const HEAD_CHANNELS: usize = 1280;
const CLASSES: usize = 1000;

/// Output channels of the stages; the stem and the head are alike in all variants.
const STAGE_CHANNELS: [usize; 7] = [16, 24, 40, 80, 112, 192, 320];

/// A member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// 224 px, 4.7 M parameters, 0.39 G multiply-adds.
    Lite0,
    /// 260 px, 6.1 M parameters, 0.86 G multiply-adds.
    Lite2,
}

/// One stage: blocks of one kernel side, the first of them with the stride.
struct Stage {
    repeats: usize,
    side: usize,
    stride: usize,
    channels: usize,
}

impl Variant {
    fn model(self) -> &'static str {
        match self {
            Self::Lite0 => "efficientnet-lite0",
            Self::Lite2 => "efficientnet-lite2",
        }
    }

    fn input_side_px(self) -> u32 {
        match self {
            Self::Lite0 => 224,
            Self::Lite2 => 260,
        }
    }

    fn stages(self) -> [Stage; 7] {
        let repeats = match self {
            Self::Lite0 => [1, 2, 2, 3, 3, 4, 1],
            Self::Lite2 => [1, 3, 3, 4, 4, 5, 1],
        };
        let shapes = [(3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1)];
        std::array::from_fn(|stage| Stage {
            repeats: repeats[stage],
            side: shapes[stage].0,
            stride: shapes[stage].1,
            channels: self.channels(STAGE_CHANNELS[stage]),
        })
    }

    /// Lite2 widens by 1.1 and rounds to a multiple of 8, never down by more than a tenth.
    fn channels(self, base: usize) -> usize {
        let wide = match self {
            Self::Lite0 => return base,
            Self::Lite2 => base as f64 * 1.1,
        };
        let rounded = ((wide + 4.0) as usize / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * wide { rounded + 8 } else { rounded }
    }
}

/// An EfficientNet-Lite as an [`Encoder`].
///
/// The embedding is the average-pooled output of the head convolution, before
/// the classifier, L2-normalised: 1280 values, none negative.
///
/// # Examples
/// ```
/// use lookalike::inference::{EfficientNetLite, Encoder};
/// use lookalike::pixels::Pixels;
///
/// let encoder = EfficientNetLite::embedded()?;
/// let side = encoder.input_side_px();
/// let grey = Pixels::from_rgb(side, side, vec![127; (side * side * 3) as usize]).unwrap();
/// let embeddings = encoder.embed(&[grey])?;
/// assert_eq!(embeddings[0].as_slice().len(), 1280);
/// # Ok::<(), lookalike::inference::InferenceError>(())
/// ```
pub struct EfficientNetLite {
    variant: Variant,
    space: Space,
    class_names: Vec<String>,
    stem: Dense,
    blocks: Vec<Block>,
    head: Pointwise,
    /// `[1280, 1000]`.
    classifier: Tensor,
    classifier_bias: Tensor,
}

impl EfficientNetLite {
    /// Loads EfficientNet-Lite0 from the weights inside the binary.
    ///
    /// # Errors
    /// None in practice: the embedded file is covered by the tests.
    pub fn embedded() -> Result<Self, InferenceError> {
        Self::load(Variant::Lite0, LITE0_WEIGHTS)
    }

    /// Loads a variant from the bytes of a safetensors file with folded batch norm.
    ///
    /// # Errors
    /// [`InferenceError::Weights`] when the bytes are no safetensors file;
    /// [`InferenceError::MissingTensor`], [`InferenceError::TensorShape`] or
    /// [`InferenceError::TensorType`] when they belong to another network.
    pub fn load(variant: Variant, bytes: &[u8]) -> Result<Self, InferenceError> {
        let weights = Weights::parse(bytes)?;
        let mut blocks = Vec::new();
        let mut input = STEM_CHANNELS;
        for (stage_index, stage) in variant.stages().iter().enumerate() {
            for repeat in 0..stage.repeats {
                let shape = BlockShape {
                    input,
                    expanded: if stage_index == 0 { input } else { input * 6 },
                    output: stage.channels,
                    side: stage.side,
                    stride: if repeat == 0 { stage.stride } else { 1 },
                };
                blocks.push(Block::load(&weights, blocks.len(), &shape)?);
                input = stage.channels;
            }
        }
        let classifier = weights.tensor("_fc.weight", &[CLASSES, HEAD_CHANNELS])?;
        Ok(Self {
            variant,
            space: Space {
                name: "content".to_owned(),
                model: variant.model().to_owned(),
                weights_digest: weights.digest().to_owned(),
                preprocessing: format!(
                    "whole image squashed to {0} x {0}, bicubic, (x - 127) / 128",
                    variant.input_side_px()
                ),
                dimension: HEAD_CHANNELS as u32,
            },
            class_names: classes::imagenet()?,
            stem: Dense {
                kernel: weights.tensor("_conv_stem.weight", &[STEM_CHANNELS, 3, 3, 3])?,
                stride: 2,
                epilogue: epilogue(&weights, "_conv_stem", STEM_CHANNELS, Activation::Relu6)?,
            },
            blocks,
            head: pointwise(&weights, "_conv_head", input, HEAD_CHANNELS, Activation::Relu6)?,
            classifier: classifier.t()?.contiguous()?,
            classifier_bias: weights.tensor("_fc.bias", &[CLASSES])?,
        })
    }

    /// Runs the network up to the pooled features of each input, `[1, 1280]`.
    ///
    /// One image is one task: as a batch, the layers would take turns between
    /// one and all threads, and hold the activations of all images at a time.
    /// On two cores that gave 18 images a second and 190 MB, this 26 and 97 MB.
    fn features(&self, inputs: &[Pixels]) -> Result<Vec<Tensor>, InferenceError> {
        inputs.par_iter().map(|input| self.features_of(input)).collect()
    }

    fn features_of(&self, input: &Pixels) -> Result<Tensor, InferenceError> {
        let mut x = self.stem.forward(&self.normalised(input)?)?;
        for block in &self.blocks {
            x = block.forward(x)?;
        }
        Ok(self.head.forward(&x)?.mean((2, 3))?)
    }

    /// Interleaved bytes to `(x - 127) / 128` in planes: `[1, 3, side, side]`.
    fn normalised(&self, input: &Pixels) -> Result<Tensor, InferenceError> {
        let (expected, width_px, height_px) =
            (self.variant.input_side_px(), input.width_px(), input.height_px());
        if (width_px, height_px) != (expected, expected) {
            return Err(InferenceError::InputSize { expected, width_px, height_px });
        }
        let side = expected as usize;
        let mut values = vec![0f32; 3 * side * side];
        for (channel, plane) in values.chunks_exact_mut(side * side).enumerate() {
            for (value, rgb) in plane.iter_mut().zip(input.rgb().chunks_exact(3)) {
                *value = (f32::from(rgb[channel]) - 127.0) / 128.0;
            }
        }
        Ok(Tensor::from_vec(values, (1, 3, side, side), &Device::Cpu)?)
    }
}

impl Encoder for EfficientNetLite {
    fn space(&self) -> &Space {
        &self.space
    }

    fn input_side_px(&self) -> u32 {
        self.variant.input_side_px()
    }

    fn embed(&self, inputs: &[Pixels]) -> Result<Vec<Embedding>, InferenceError> {
        let features = self.features(inputs)?.into_iter();
        features
            .map(|row| {
                let values = row.flatten_all()?.to_vec1::<f32>()?;
                Embedding::normalize(values).map_err(|source| InferenceError::Output { source })
            })
            .collect()
    }

    fn classify(&self, inputs: &[Pixels]) -> Result<Vec<Vec<f32>>, InferenceError> {
        let features = self.features(inputs)?.into_iter();
        features
            .map(|row| {
                let logits = row.matmul(&self.classifier)?.flatten_all()?;
                Ok(softmax((logits + &self.classifier_bias)?.to_vec1::<f32>()?))
            })
            .collect()
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }
}

/// Subtracts the maximum first, so that no logit overflows the exponential.
fn softmax(mut logits: Vec<f32>) -> Vec<f32> {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0f32;
    for value in &mut logits {
        *value = (*value - peak).exp();
        total += *value;
    }
    for value in &mut logits {
        *value /= total;
    }
    logits
}

struct BlockShape {
    input: usize,
    expanded: usize,
    output: usize,
    side: usize,
    stride: usize,
}

/// An inverted residual block: expand, depthwise, project.
struct Block {
    /// Absent in the first stage, which does not widen.
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    /// Whether the input is added to the output.
    residual: bool,
}

impl Block {
    fn load(weights: &Weights, index: usize, shape: &BlockShape) -> Result<Self, InferenceError> {
        let name = |layer: &str| format!("_blocks.{index}.{layer}");
        let expand = if shape.expanded == shape.input {
            None
        } else {
            let name = name("_expand_conv");
            Some(pointwise(weights, &name, shape.input, shape.expanded, Activation::Relu6)?)
        };
        let depthwise = name("_depthwise_conv");
        let kernel_shape = [shape.expanded, 1, shape.side, shape.side];
        Ok(Self {
            expand,
            depthwise: Depthwise {
                kernels: weights.values(&format!("{depthwise}.weight"), &kernel_shape)?,
                side: shape.side,
                stride: shape.stride,
                epilogue: epilogue(weights, &depthwise, shape.expanded, Activation::Relu6)?,
            },
            project: pointwise(
                weights,
                &name("_project_conv"),
                shape.expanded,
                shape.output,
                Activation::Identity,
            )?,
            residual: shape.stride == 1 && shape.input == shape.output,
        })
    }

    fn forward(&self, input: Tensor) -> candle_core::Result<Tensor> {
        let expanded = match &self.expand {
            Some(expand) => self.depthwise.forward(&expand.forward(&input)?)?,
            None => self.depthwise.forward(&input)?,
        };
        let output = self.project.forward(&expanded)?;
        if self.residual { output + input } else { Ok(output) }
    }
}

fn pointwise(
    weights: &Weights,
    name: &str,
    input: usize,
    output: usize,
    activation: Activation,
) -> Result<Pointwise, InferenceError> {
    let kernel = weights.tensor(&format!("{name}.weight"), &[output, input, 1, 1])?;
    Ok(Pointwise {
        kernel: kernel.reshape((1, output, input))?,
        epilogue: epilogue(weights, name, output, activation)?,
    })
}

fn epilogue(
    weights: &Weights,
    name: &str,
    channels: usize,
    activation: Activation,
) -> Result<BiasActivation, InferenceError> {
    let bias = weights.values(&format!("{name}.bias"), &[channels])?;
    Ok(BiasActivation { bias, activation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_of_huge_logits_is_finite_and_sums_to_one() {
        let probabilities = softmax(vec![1000.0, 999.0, -1000.0]);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((probabilities[0] - 0.7310586).abs() < 1e-5);
    }

    #[test]
    fn lite2_has_the_published_widths() {
        let widths = STAGE_CHANNELS.map(|base| Variant::Lite2.channels(base));
        assert_eq!(widths, [16, 24, 48, 88, 120, 208, 352]);
    }

    #[test]
    fn an_input_of_another_size_is_refused() {
        let encoder = EfficientNetLite::embedded().unwrap();
        let small = Pixels::from_rgb(2, 2, vec![0; 12]).unwrap();
        let error = encoder.embed(&[small]).unwrap_err();
        assert!(matches!(error, InferenceError::InputSize { expected: 224, .. }), "{error}");
    }
}
