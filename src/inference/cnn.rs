//! A convolutional network as an encoder.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::calibration::Calibration;
use super::cpu::{InstructionSet, Output, Plan, Precision};
use super::engine::{Engine, Forward};
use super::models::Model;
use super::weights::Weights;
use super::{Encoder, FeatureMap, InferenceError, classes};
use crate::pixels::{Pixels, READING};
use crate::record::Space;
use crate::vector::Embedding;

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
    /// What [`Precision::Int8`] needs to know; the binary has it for its own weights.
    pub calibration: Option<Calibration>,
}

impl Default for Compute {
    /// 32-bit floats on the best instruction set of this processor.
    fn default() -> Self {
        Self {
            instruction_set: InstructionSet::detect(),
            precision: Precision::Float32,
            calibration: None,
        }
    }
}

impl Cnn {
    /// Loads EfficientNet-Lite0 from the weights inside the binary, with products of 8-bit
    /// integers: about half the time of floats, and a mean cosine of 0.996 to their embeddings.
    ///
    /// # Errors
    /// None in practice: the embedded file is covered by the tests.
    pub fn embedded() -> Result<Self, InferenceError> {
        let compute = Compute { precision: Precision::Int8, ..Compute::default() };
        Self::load(Model::EfficientNetLite0, None, &compute)
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
    /// [`InferenceError::Calibration`] when [`Precision::Int8`] has no calibration and the weights
    /// are not those inside the binary; as for weights when it belongs to another network.
    pub fn load(
        model: Model,
        bytes: Option<&[u8]>,
        compute: &Compute,
    ) -> Result<Self, InferenceError> {
        let set = compute.instruction_set;
        if !InstructionSet::available().contains(&set) {
            return Err(InferenceError::InstructionSet { name: set.name() });
        }
        let calibration = match (compute.precision, &compute.calibration, bytes) {
            (Precision::Float32, ..) => None,
            (Precision::Int8, Some(calibration), _) => Some(calibration.clone()),
            (Precision::Int8, None, None) => Some(Calibration::embedded()),
            (Precision::Int8, None, Some(_)) => return Err(InferenceError::Calibration),
        };
        let weights = Weights::parse(model.weights_or_embedded(bytes)?)?;
        let network = model.define(&weights)?;
        let mut preprocessing = format!(
            "{READING}, whole image squashed to {0} x {0}, bicubic, {1}",
            model.input_side_px(),
            model.normalisation(),
        );
        let mut observed = Vec::new();
        if let Some(calibration) = calibration {
            let digest;
            (observed, digest) = calibration.read(&network)?;
            preprocessing.push_str(", 8-bit products (2) by ");
            preprocessing.push_str(&digest[..16]);
        }
        let dimension = network.shapes()[network.outputs[0]].channels as u32;
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
            engine: Engine::new(Plan::new(&network, set, compute.precision, &observed)),
        })
    }

    /// The instruction set that the kernels use.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.engine.plan().instruction_set()
    }

    pub(super) fn model(&self) -> Model {
        self.model
    }

    pub(super) fn plan(&self) -> &Plan {
        self.engine.plan()
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
        self.model.check_size(input)?;
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
        self.run(inputs, Output::Features)?.into_iter().map(embedding).collect()
    }

    fn embed_and_classify(
        &self,
        inputs: &[Pixels],
    ) -> Result<Vec<(Embedding, Vec<f32>)>, InferenceError> {
        let outputs = self.run(inputs, Output::FeaturesAndLogits)?.into_iter();
        outputs
            .map(|mut features| {
                let mut logits = features.split_off(self.space.dimension as usize);
                classes::softmax(&mut logits);
                Ok((embedding(features)?, logits))
            })
            .collect()
    }

    fn feature_map(&self, input: &Pixels) -> Result<Option<FeatureMap>, InferenceError> {
        self.model.check_size(input)?;
        let threads = rayon::current_num_threads().min(TEAM_MAX);
        let grid = self.engine.run_all(input.rgb(), threads).pop();
        Ok(grid.map(|grid| FeatureMap { side: grid.side, values: grid.values }))
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }
}

fn embedding(features: Vec<f32>) -> Result<Embedding, InferenceError> {
    Embedding::normalize(features).map_err(|source| InferenceError::Output { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_the_positions_add_up_to_the_cosine() {
        let encoder = Cnn::embedded().unwrap();
        let side = encoder.input_side_px();
        let picture = |seed: u32| {
            let bytes = (0..side * side * 3).map(|at| ((at / 50 * seed) % 251) as u8).collect();
            Pixels::from_rgb(side, side, bytes).unwrap()
        };
        let (one, other) = (picture(7), picture(31));
        let embeddings = encoder.embed(&[one.clone(), other]).unwrap();
        let map = encoder.feature_map(&one).unwrap().unwrap();
        assert_eq!((map.side, map.values.len()), (7, 49 * 1280));
        for embedding in &embeddings {
            let shares = map.shares(embedding);
            let sum: f32 = shares.iter().sum();
            let cosine = embeddings[0].cosine(embedding).unwrap();
            assert!((sum - cosine).abs() < 1e-4, "{sum} {cosine}");
            assert!(shares.iter().all(|share| *share >= 0.0));
        }
        let short = Embedding::normalize(vec![1.0; 3]).unwrap();
        assert!(map.shares(&short).is_empty());
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
        let weights = Some(&b"of the caller"[..]);
        let error = Cnn::load(Model::EfficientNetLite0, weights, &compute).err().unwrap();
        assert!(matches!(error, InferenceError::Calibration), "{error}");
    }
}
