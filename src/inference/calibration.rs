//! What numbers the values of a network take on example photos, as a file.

use std::borrow::Cow;
use std::collections::HashMap;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};

use super::cpu::{Observed, calibrate};
use super::models::{Model, nanodet};
use super::network::Network;
use super::weights::Weights;
use super::{InferenceError, detection};
use crate::pixels::Pixels;

/// Both measured by `examples/calibrate.rs` on all photos of `fixtures/photos`.
const LITE0: &[u8] = include_bytes!("weights/efficientnet-lite0-calibration.safetensors");
const NANODET: &[u8] = include_bytes!("weights/nanodet-g-calibration.safetensors");

/// What [`Precision::Int8`](super::Precision::Int8) needs to know of a network: the range of each
/// of its values and the mean of each channel, measured on example photos.
///
/// As bytes it is a safetensors file with two tensors for each layer, named after it: `.range`,
/// F32, the least and the greatest element (means over the photos), and `.means`, F16, for each
/// channel; of the input they are called `input`.
#[derive(Clone, Debug)]
pub struct Calibration {
    bytes: Cow<'static, [u8]>,
}

impl Calibration {
    /// That of EfficientNet-Lite0's weights inside the binary.
    pub(super) fn embedded() -> Self {
        Self { bytes: Cow::Borrowed(LITE0) }
    }

    /// That of NanoDet-g's weights inside the binary.
    pub(super) fn of_embedded_detector() -> Self {
        Self { bytes: Cow::Borrowed(NANODET) }
    }

    /// Takes the bytes of a file that [`Calibration::as_bytes`] once gave; they are read when a
    /// network is loaded with it.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes: Cow::Owned(bytes) }
    }

    /// The bytes of the file: about 50 KB for EfficientNet-Lite0, 15 KB for NanoDet-g.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Runs a model over example images, squashed to its input, one network pass each.
    ///
    /// A dozen photos of any kind do; weights are given as for [`Cnn::load`](super::Cnn::load).
    ///
    /// # Errors
    /// [`InferenceError::Calibration`] without images, [`InferenceError::InputSize`] when one has
    /// another size than the network takes, and those of the weights.
    pub fn measure(
        model: Model,
        weights: Option<&[u8]>,
        images: &[Pixels],
    ) -> Result<Self, InferenceError> {
        let weights = Weights::parse(model.weights_or_embedded(weights)?)?;
        Self::of_network(&model.define(&weights)?, images)
    }

    /// As [`Calibration::measure`], for a detector: the bytes of its file as for
    /// [`CnnDetector::load`](super::CnnDetector::load), without one the weights inside the binary;
    /// images are fitted to its input.
    ///
    /// # Errors
    /// As for [`Calibration::measure`].
    pub fn measure_detector(
        bytes: Option<&[u8]>,
        images: &[Pixels],
    ) -> Result<Self, InferenceError> {
        let defined = detection::define(bytes.unwrap_or(nanodet::WEIGHTS))?;
        Self::of_network(&defined.network, images)
    }

    fn of_network(network: &Network, images: &[Pixels]) -> Result<Self, InferenceError> {
        if images.is_empty() {
            return Err(InferenceError::Calibration);
        }
        let expected = network.input.side_px as u32;
        for image in images {
            let (width_px, height_px) = (image.width_px(), image.height_px());
            if (width_px, height_px) != (expected, expected) {
                return Err(InferenceError::InputSize { expected, width_px, height_px });
            }
        }
        let images: Vec<&[u8]> = images.iter().map(Pixels::rgb).collect();
        Self::of(network, &calibrate(network, &images))
    }

    fn of(network: &Network, observed: &[Observed]) -> Result<Self, InferenceError> {
        let mut tensors = HashMap::new();
        for (name, value) in names(network).zip(observed) {
            let range: Vec<u8> =
                [value.low, value.high].iter().flat_map(|end| end.to_le_bytes()).collect();
            let means: Vec<u8> =
                value.means.iter().flat_map(|mean| f16::from_f32(*mean).to_le_bytes()).collect();
            tensors.insert(format!("{name}.range"), (Dtype::F32, vec![2], range));
            tensors.insert(format!("{name}.means"), (Dtype::F16, vec![value.means.len()], means));
        }
        let mut views = Vec::new();
        for (name, (dtype, shape, bytes)) in &tensors {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .map_err(|source| InferenceError::Weights { source })?;
            views.push((name, view));
        }
        let bytes = serialize(views, None).map_err(|source| InferenceError::Weights { source })?;
        Ok(Self { bytes: Cow::Owned(bytes) })
    }

    /// What each value of the network was seen to be, and the digest of the file.
    pub(super) fn read(
        &self,
        network: &Network,
    ) -> Result<(Vec<Observed>, String), InferenceError> {
        let file = Weights::parse(&self.bytes)?;
        let mut observed = Vec::new();
        for (name, shape) in names(network).zip(network.shapes()) {
            let range = file.values(&format!("{name}.range"), &[2])?;
            let means = file.values(&format!("{name}.means"), &[shape.channels])?;
            observed.push(Observed { low: range[0], high: range[1], means });
        }
        Ok((observed, file.digest().to_owned()))
    }
}

/// The names of the network's values: the input's, then those of the layers.
fn names(network: &Network) -> impl Iterator<Item = &str> {
    std::iter::once("input").chain(network.layers.iter().map(|layer| layer.name.as_str()))
}
