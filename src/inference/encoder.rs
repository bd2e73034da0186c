//! What every embedding network has in common.

use super::InferenceError;
use crate::pixels::Pixels;
use crate::record::Space;
use crate::vector::Embedding;

/// The features of each position of an input, of which the mean is the embedding before it gets
/// length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// Positions along each axis.
    pub side: usize,
    /// For each position, row by row, as many values as the embedding has.
    pub values: Vec<f32>,
}

impl FeatureMap {
    /// What each position adds to the cosine of this input's embedding with another one: the sum
    /// over the positions is the cosine itself.
    ///
    /// Gives an empty list for an embedding of another dimension.
    #[must_use]
    pub fn shares(&self, other: &Embedding) -> Vec<f32> {
        let (positions, dimension) = (self.side * self.side, other.dimension());
        if positions * dimension != self.values.len() {
            return Vec::new();
        }
        let rows = || self.values.chunks_exact(dimension);
        let mut sums = vec![0f64; dimension];
        for row in rows() {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        let share = |row: &[f32]| {
            let products = row.iter().zip(other.as_slice());
            let dot: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            (dot / length) as f32
        };
        rows().map(share).collect()
    }
}

/// A network that turns an image into an embedding and into class probabilities.
///
/// An encoder sees square inputs of [`Encoder::input_side_px`]; how a whole
/// image becomes such a square is part of its [`Space`].
pub trait Encoder: Send + Sync {
    /// Names the space that the embeddings belong to.
    fn space(&self) -> &Space;

    /// The side of the square input in pixels.
    fn input_side_px(&self) -> u32;

    /// Embeds a batch; one L2-normalised embedding for each input, in order.
    ///
    /// The result for an input does not depend on the others in the batch.
    ///
    /// # Errors
    /// [`InferenceError::InputSize`] when an input has another size.
    fn embed(&self, inputs: &[Pixels]) -> Result<Vec<Embedding>, InferenceError>;

    /// As [`Encoder::embed`], with the softmax probability of every class of the same input.
    ///
    /// The classifier is one product with the features, about a hundredth of the network.
    ///
    /// # Errors
    /// As for [`Encoder::embed`].
    fn embed_and_classify(
        &self,
        inputs: &[Pixels],
    ) -> Result<Vec<(Embedding, Vec<f32>)>, InferenceError>;

    /// Gives what an embedding is the mean of, for each position of the input; `None` for a network
    /// whose embeddings are no such mean.
    ///
    /// # Errors
    /// As for [`Encoder::embed`].
    fn feature_map(&self, input: &Pixels) -> Result<Option<FeatureMap>, InferenceError> {
        let _ = input;
        Ok(None)
    }

    /// The names of the classes, in the order of the probabilities.
    fn class_names(&self) -> &[String];
}
