//! EfficientNet-Lite: the mobile EfficientNet without squeeze-excite, with ReLU6.
//!
//! Networks: Tan and Le, "EfficientNet" (arXiv 1905.11946), in the Lite form of
//! TensorFlow's model garden. Weights: batch norm folded into the convolutions.

use crate::inference::InferenceError;
use crate::inference::network::{
    Activation, Convolution, Input, Layer, Network, Operation, Padding, Residual, ValueId, Window,
};
use crate::inference::weights::Weights;

const STEM_CHANNELS: usize = 32;
const HEAD_CHANNELS: usize = 1280;

/// Output channels of the stages; the stem and the head are alike in all variants.
const STAGE_CHANNELS: [usize; 7] = [16, 24, 40, 80, 112, 192, 320];

/// What makes a member of the family.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) input_side_px: usize,
    /// Blocks of each stage.
    repeats: [usize; 7],
    /// Factor of the stages' channels.
    width: f64,
}

/// EfficientNet-Lite0.
pub(super) const LITE0: Variant =
    Variant { input_side_px: 224, repeats: [1, 2, 2, 3, 3, 4, 1], width: 1.0 };

/// EfficientNet-Lite2.
pub(super) const LITE2: Variant =
    Variant { input_side_px: 260, repeats: [1, 3, 3, 4, 4, 5, 1], width: 1.1 };

impl Variant {
    /// Widens and rounds to a multiple of 8, never down by more than a tenth.
    fn channels(self, base: usize) -> usize {
        let wide = base as f64 * self.width;
        let rounded = ((wide + 4.0) as usize / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * wide { rounded + 8 } else { rounded }
    }
}

/// Reads the network out of a weights file.
///
/// # Errors
/// As for [`Weights::values`].
pub(super) fn define(variant: Variant, weights: &Weights<'_>) -> Result<Network, InferenceError> {
    let shapes = [(3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1)];
    let mut builder = Builder { weights, layers: Vec::new() };
    builder.dense("_conv_stem", 0, [3, STEM_CHANNELS], (3, 2), Activation::Relu6, None)?;
    let mut inputs = STEM_CHANNELS;
    let mut block = 0;
    for (stage, (side, first_stride)) in shapes.into_iter().enumerate() {
        let outputs = variant.channels(STAGE_CHANNELS[stage]);
        for repeat in 0..variant.repeats[stage] {
            let stride = if repeat == 0 { first_stride } else { 1 };
            let widen = if stage == 0 { 1 } else { 6 };
            builder.block(block, [inputs, widen, outputs], (side, stride))?;
            block += 1;
            inputs = outputs;
        }
    }
    let last = builder.layers.len();
    builder.dense("_conv_head", last, [inputs, HEAD_CHANNELS], (1, 1), Activation::Relu6, None)?;
    let pooled = Layer {
        name: "_avg_pooling".to_owned(),
        input: builder.layers.len(),
        operation: Operation::AveragePool,
    };
    builder.layers.push(pooled);
    let features = builder.layers.len();
    let logits = super::classifier(weights, "_fc", features, HEAD_CHANNELS)?;
    builder.layers.push(logits);
    let input = Input { side_px: variant.input_side_px, mean: [127.0; 3], scale: [1.0 / 128.0; 3] };
    Ok(Network { input, layers: builder.layers, outputs: vec![features, features + 1, last + 1] })
}

struct Builder<'a, 'b> {
    weights: &'a Weights<'b>,
    layers: Vec<Layer>,
}

impl Builder<'_, '_> {
    /// An inverted residual block: expand (unless `widen` is 1), depthwise, project.
    fn block(
        &mut self,
        index: usize,
        [inputs, widen, outputs]: [usize; 3],
        (side, stride): (usize, usize),
    ) -> Result<(), InferenceError> {
        let name = |layer: &str| format!("_blocks.{index}.{layer}");
        let input: ValueId = self.layers.len();
        let expanded = inputs * widen;
        if widen > 1 {
            let channels = [inputs, expanded];
            self.dense(&name("_expand_conv"), input, channels, (1, 1), Activation::Relu6, None)?;
        }
        let depthwise = name("_depthwise_conv");
        let convolution = Convolution {
            kernel: self
                .weights
                .values(&format!("{depthwise}.weight"), &[expanded, 1, side, side])?,
            bias: self.weights.values(&format!("{depthwise}.bias"), &[expanded])?,
            inputs: expanded,
            outputs: expanded,
            window: Window { side, stride, padding: Padding::Same },
            depthwise: true,
            residual: None,
            activation: Activation::Relu6,
        };
        self.layers.push(Layer {
            name: depthwise,
            input: self.layers.len(),
            operation: Operation::Convolution(convolution),
        });
        let residual = (stride == 1 && inputs == outputs).then_some(input);
        let (name, last) = (name("_project_conv"), self.layers.len());
        self.dense(&name, last, [expanded, outputs], (1, 1), Activation::Identity, residual)
    }

    fn dense(
        &mut self,
        name: &str,
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        (side, stride): (usize, usize),
        activation: Activation,
        residual: Option<ValueId>,
    ) -> Result<(), InferenceError> {
        let shape = [outputs, inputs, side, side];
        let convolution = Convolution {
            kernel: self.weights.values(&format!("{name}.weight"), &shape)?,
            bias: self.weights.values(&format!("{name}.bias"), &[outputs])?,
            inputs,
            outputs,
            window: Window { side, stride, padding: Padding::Same },
            depthwise: false,
            residual: residual.map(|value| Residual { value, last: false }),
            activation,
        };
        let operation = Operation::Convolution(convolution);
        self.layers.push(Layer { name: name.to_owned(), input, operation });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lite2_has_the_published_widths() {
        let widths = STAGE_CHANNELS.map(|base| LITE2.channels(base));
        assert_eq!(widths, [16, 24, 48, 88, 120, 208, 352]);
        assert_eq!(STAGE_CHANNELS.map(|base| LITE0.channels(base)), STAGE_CHANNELS);
    }
}
