//! What every embedding network has in common.

use super::InferenceError;
use crate::pixels::Pixels;
use crate::record::Space;
use crate::vector::Embedding;

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

    /// The names of the classes, in the order of the probabilities.
    fn class_names(&self) -> &[String];
}
