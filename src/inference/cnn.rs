//! A convolutional network as an encoder.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::cpu::{InstructionSet, Output, Plan, Precision, calibrate};
use super::engine::{Engine, Forward};
use super::models::Model;
use super::weights::Weights;
use super::{Encoder, InferenceError, classes};
use crate::pixels::Pixels;
use crate::record::Space;
use crate::vector::Embedding;

const LITE0_WEIGHTS: &[u8] = include_bytes!("weights/efficientnet-lite0-f16.safetensors");

/// The most threads that work on one image together: layers of 7 x 7 pixels have no work for more.
const TEAM_MAX: usize = 4;

/// A convolutional network on the CPU engine as an [`Encoder`].
///
/// The embedding is the average-pooled output of the last convolution, before the classifier,
/// L2-normalised; none of its values is negative.
///
/// # Examples
/// ```
/// use lookalike::inference::{Cnn, Encoder};
/// use lookalike::pixels::Pixels;
///
/// let encoder = Cnn::embedded()?;
/// let side = encoder.input_side_px();
/// let grey = Pixels::from_rgb(side, side, vec![127; (side * side * 3) as usize]).unwrap();
/// let embeddings = encoder.embed(&[grey])?;
/// assert_eq!(embeddings[0].as_slice().len(), 1280);
/// # Ok::<(), lookalike::inference::InferenceError>(())
/// ```
pub struct Cnn {
    model: Model,
    space: Space,
    class_names: Vec<String>,
    engine: Engine,
}

/// How a network is run.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The instruction set of the kernels.
    pub instruction_set: InstructionSet,
    /// The numbers that convolutions are computed in.
    pub precision: Precision,
    /// For [`Precision::Int8`]: example images, squashed to the network's input, from which the
    /// scales of the bytes are taken. A dozen photos of any kind do.
    pub calibration: Vec<Pixels>,
}

impl Default for Compute {
    /// 32-bit floats on the best instruction set of this processor.
    fn default() -> Self {
        Self {
            instruction_set: InstructionSet::detect(),
            precision: Precision::Float32,
            calibration: Vec::new(),
        }
    }
}

impl Cnn {
    /// Loads EfficientNet-Lite0 from the weights inside the binary.
    ///
    /// # Errors
    /// None in practice: the embedded file is covered by the tests.
    pub fn embedded() -> Result<Self, InferenceError> {
        Self::load(Model::EfficientNetLite0, None, &Compute::default())
    }

    /// Loads a model from the bytes of a safetensors file; without one, from the weights inside
    /// the binary.
    ///
    /// # Errors
    /// [`InferenceError::NoWeights`] when the binary has none for this model;
    /// [`InferenceError::Weights`] when the bytes are no safetensors file;
    /// [`InferenceError::MissingTensor`], [`InferenceError::TensorShape`] or
    /// [`InferenceError::TensorType`] when they belong to another network;
    /// [`InferenceError::InstructionSet`] when this processor lacks it;
    /// [`InferenceError::Calibration`] when [`Precision::Int8`] has no example images, and
    /// [`InferenceError::InputSize`] when one has another size than the network takes.
    pub fn load(
        model: Model,
        bytes: Option<&[u8]>,
        compute: &Compute,
    ) -> Result<Self, InferenceError> {
        let bytes = match (bytes, model) {
            (Some(bytes), _) => bytes,
            (None, Model::EfficientNetLite0) => LITE0_WEIGHTS,
            (None, _) => return Err(InferenceError::NoWeights { model: model.name() }),
        };
        let set = compute.instruction_set;
        if !InstructionSet::available().contains(&set) {
            return Err(InferenceError::InstructionSet { name: set.name() });
        }
        let weights = Weights::parse(bytes)?;
        let network = model.define(&weights)?;
        let mut preprocessing = format!(
            "whole image squashed to {0} x {0}, bicubic, {1}",
            model.input_side_px(),
            model.normalisation(),
        );
        let mut ranges = Vec::new();
        if compute.precision == Precision::Int8 {
            if compute.calibration.is_empty() {
                return Err(InferenceError::Calibration);
            }
            for image in &compute.calibration {
                check_size(model, image)?;
            }
            let images: Vec<&[u8]> = compute.calibration.iter().map(Pixels::rgb).collect();
            ranges = calibrate(&network, &images);
            preprocessing.push_str(", 8-bit products calibrated on ");
            let mut hasher = blake3::Hasher::new();
            for image in images {
                hasher.update(image);
            }
            preprocessing.push_str(&hasher.finalize().to_hex()[..16]);
        }
        let dimension = network.shapes()[network.features].channels as u32;
        Ok(Self {
            model,
            space: Space {
                name: "content".to_owned(),
                model: model.name().to_owned(),
                weights_digest: weights.digest().to_owned(),
                preprocessing,
                dimension,
            },
            class_names: classes::imagenet()?,
            engine: Engine::new(Plan::new(&network, set, compute.precision, &ranges)),
        })
    }

    /// The instruction set that the kernels use.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.engine.plan().instruction_set()
    }

    /// Runs the network for each input.
    ///
    /// A single image is shared by a team of threads; of several, each has one thread to itself,
    /// which gives the most images a second and holds the fewest activations. The numbers are the
    /// same either way.
    fn run(&self, inputs: &[Pixels], output: Output) -> Result<Vec<Vec<f32>>, InferenceError> {
        let threads =
            if inputs.len() == 1 { rayon::current_num_threads().min(TEAM_MAX) } else { 1 };
        inputs.par_iter().map(|input| self.run_one(input, output, threads)).collect()
    }

    fn run_one(
        &self,
        input: &Pixels,
        output: Output,
        threads: usize,
    ) -> Result<Vec<f32>, InferenceError> {
        check_size(self.model, input)?;
        let side = input.width_px() as usize;
        let tensor = Tensor::from_slice(input.rgb(), (1, side, side, 3), &Device::Cpu)?;
        let forward = Forward { engine: &self.engine, output, threads };
        Ok(tensor.apply_op1_no_bwd(&forward)?.flatten_all()?.to_vec1()?)
    }
}

impl Encoder for Cnn {
    fn space(&self) -> &Space {
        &self.space
    }

    fn input_side_px(&self) -> u32 {
        self.model.input_side_px()
    }

    fn embed(&self, inputs: &[Pixels]) -> Result<Vec<Embedding>, InferenceError> {
        let features = self.run(inputs, Output::Features)?.into_iter();
        features
            .map(|values| {
                Embedding::normalize(values).map_err(|source| InferenceError::Output { source })
            })
            .collect()
    }

    fn classify(&self, inputs: &[Pixels]) -> Result<Vec<Vec<f32>>, InferenceError> {
        Ok(self.run(inputs, Output::Logits)?.into_iter().map(softmax).collect())
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }
}

fn check_size(model: Model, input: &Pixels) -> Result<(), InferenceError> {
    let (expected, width_px, height_px) =
        (model.input_side_px(), input.width_px(), input.height_px());
    if (width_px, height_px) == (expected, expected) {
        Ok(())
    } else {
        Err(InferenceError::InputSize { expected, width_px, height_px })
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
    fn an_input_of_another_size_is_refused() {
        let encoder = Cnn::embedded().unwrap();
        let small = Pixels::from_rgb(2, 2, vec![0; 12]).unwrap();
        let error = encoder.embed(&[small]).unwrap_err();
        assert!(matches!(error, InferenceError::InputSize { expected: 224, .. }), "{error}");
    }

    #[test]
    fn a_model_without_weights_and_bytes_without_calibration_are_refused() {
        let missing = Cnn::load(Model::ResNet18, None, &Compute::default()).err().unwrap();
        assert!(matches!(missing, InferenceError::NoWeights { model: "resnet18" }), "{missing}");
        let compute = Compute { precision: Precision::Int8, ..Compute::default() };
        let error = Cnn::load(Model::EfficientNetLite0, None, &compute).err().unwrap();
        assert!(matches!(error, InferenceError::Calibration), "{error}");
    }
}
