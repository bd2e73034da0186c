//! What a network consists of: layers with their sizes and costs.

use super::InferenceError;
use super::models::Model;
use super::network::{Network, Operation};
use super::weights::Weights;

/// One layer of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerSummary {
    /// As the weights file names it.
    pub name: String,
    /// `dense 3x3`, `pointwise`, `depthwise 5x5`, `classifier`, `max pool`, `average pool`,
    /// `concat`, `sum` or `resize`.
    pub kind: String,
    /// Side of the output in pixels.
    pub side_px: usize,
    /// Channels of the output.
    pub channels: usize,
    /// Weights and biases, batch norm folded.
    pub parameters: usize,
    /// Multiplications with an addition for one image.
    pub multiply_adds: u64,
}

impl Model {
    /// Lists the layers in the order in which they run; needs no weights.
    ///
    /// # Errors
    /// None in practice.
    ///
    /// # Examples
    /// ```
    /// use lookalike::inference::Model;
    ///
    /// let layers = Model::EfficientNetLite0.layers()?;
    /// let parameters: usize = layers.iter().map(|layer| layer.parameters).sum();
    /// assert_eq!(parameters, 4_631_000);
    /// # Ok::<(), lookalike::inference::InferenceError>(())
    /// ```
    pub fn layers(self) -> Result<Vec<LayerSummary>, InferenceError> {
        Ok(summarise(&self.define(&Weights::blank())?))
    }
}

/// The layers of a network in the order in which they run.
pub(super) fn summarise(network: &Network) -> Vec<LayerSummary> {
    let shapes = network.shapes();
    let layers = network.layers.iter().zip(&shapes[1..]);
    let summaries = layers.map(|(layer, shape)| {
        let (kind, kernel, bias) = match &layer.operation {
            Operation::Convolution(convolution) => {
                let side = convolution.window.side;
                let kind = if convolution.depthwise {
                    format!("depthwise {side}x{side}")
                } else if shapes[layer.input].side == 1 {
                    "classifier".to_owned()
                } else if side == 1 {
                    "pointwise".to_owned()
                } else {
                    format!("dense {side}x{side}")
                };
                (kind, convolution.kernel.len(), convolution.bias.len())
            }
            Operation::MaxPool(_) => ("max pool".to_owned(), 0, 0),
            Operation::AveragePool => ("average pool".to_owned(), 0, 0),
            Operation::Concat(_) => ("concat".to_owned(), 0, 0),
            Operation::Add(_) => ("sum".to_owned(), 0, 0),
            Operation::Resize(_) => ("resize".to_owned(), 0, 0),
        };
        LayerSummary {
            name: layer.name.clone(),
            kind,
            side_px: shape.side,
            channels: shape.channels,
            parameters: kernel + bias,
            multiply_adds: (kernel * shape.side * shape.side) as u64,
        }
    });
    summaries.collect()
}
