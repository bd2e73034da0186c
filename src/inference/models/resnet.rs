//! ResNet-18, -34 and -50 with the tensor names of torchvision.
//!
//! He et al., "Deep residual learning for image recognition" (arXiv 1512.03385); the stride of a
//! bottleneck stands at its 3 x 3 convolution, as torchvision has it ("ResNet v1.5").

use crate::inference::InferenceError;
use crate::inference::network::{
    Activation, Convolution, Input, Layer, Network, Operation, Padding, Residual, ValueId, Window,
};
use crate::inference::weights::Weights;

/// torchvision's `BatchNorm2d` adds this to the variance.
pub(super) const EPSILON: f32 = 1e-5;

/// ImageNet's mean and standard deviation of each channel, of 1.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// What makes a member of the family.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    /// Blocks of each stage.
    repeats: [usize; 4],
    /// Whether a block is 1 x 1, 3 x 3, 1 x 1 and four times as wide outside, or 3 x 3 twice.
    bottleneck: bool,
}

pub(super) const RESNET18: Variant = Variant { repeats: [2, 2, 2, 2], bottleneck: false };
pub(super) const RESNET34: Variant = Variant { repeats: [3, 4, 6, 3], bottleneck: false };
pub(super) const RESNET50: Variant = Variant { repeats: [3, 4, 6, 3], bottleneck: true };

/// Side of the square input in pixels.
pub(super) const INPUT_SIDE_PX: usize = 224;

/// Reads the network out of a weights file, folding batch norm.
///
/// # Errors
/// As for [`Weights::values`].
pub(super) fn define(variant: Variant, weights: &Weights<'_>) -> Result<Network, InferenceError> {
    let Stages { mut layers, ends } = stages(variant, weights, "")?;
    let [.., (last, channels)] = ends;
    layers.push(Layer {
        name: "avgpool".to_owned(),
        input: last,
        operation: Operation::AveragePool,
    });
    let features = layers.len();
    layers.push(super::classifier(weights, "fc", features, channels)?);
    let outputs = vec![features, features + 1, last];
    Ok(Network { input: input(INPUT_SIDE_PX), layers, outputs })
}

/// The stem and the four stages, without what is made of them.
pub(super) struct Stages {
    pub(super) layers: Vec<Layer>,
    /// What each stage ends with, and its channels: a quarter to a thirty-second of the input's
    /// side.
    pub(super) ends: [(ValueId, usize); 4],
}

/// Reads stem and stages out of a weights file in which `prefix` stands before each name.
///
/// # Errors
/// As for [`Weights::values`].
pub(super) fn stages(
    variant: Variant,
    weights: &Weights<'_>,
    prefix: &str,
) -> Result<Stages, InferenceError> {
    let mut builder = Builder { weights, prefix, layers: Vec::new() };
    builder.convolution(("conv1", "bn1"), 0, [3, 64], [7, 2, 3], Activation::Relu, None)?;
    builder.push(
        "maxpool",
        1,
        Operation::MaxPool(Window { side: 3, stride: 2, padding: Padding::Each(1) }),
    );
    let mut inputs = 64;
    let mut ends = [(0, 0); 4];
    for (stage, repeats) in variant.repeats.into_iter().enumerate() {
        let width = 64 << stage;
        for repeat in 0..repeats {
            let stride = if stage > 0 && repeat == 0 { 2 } else { 1 };
            let block = format!("layer{}.{repeat}", stage + 1);
            inputs = builder.block(&block, inputs, width, stride, variant.bottleneck)?;
        }
        ends[stage] = (builder.layers.len(), inputs);
    }
    Ok(Stages { layers: builder.layers, ends })
}

/// A square image with ImageNet's mean and deviation.
pub(super) fn input(side_px: usize) -> Input {
    Input {
        side_px,
        mean: MEAN.map(|mean| mean * 255.0),
        scale: DEVIATION.map(|deviation| 1.0 / (deviation * 255.0)),
    }
}

struct Builder<'a, 'b> {
    weights: &'a Weights<'b>,
    prefix: &'a str,
    layers: Vec<Layer>,
}

impl Builder<'_, '_> {
    fn push(&mut self, name: &str, input: ValueId, operation: Operation) -> ValueId {
        self.layers.push(Layer { name: format!("{}{name}", self.prefix), input, operation });
        self.layers.len()
    }

    /// Adds a residual block and gives its output channels.
    fn block(
        &mut self,
        name: &str,
        inputs: usize,
        width: usize,
        stride: usize,
        bottleneck: bool,
    ) -> Result<usize, InferenceError> {
        let outputs = if bottleneck { 4 * width } else { width };
        let input = self.layers.len();
        let mut residual = input;
        if stride != 1 || inputs != outputs {
            let names = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            let names = (names.0.as_str(), names.1.as_str());
            let channels = [inputs, outputs];
            residual = self.convolution(
                names,
                input,
                channels,
                [1, stride, 0],
                Activation::Identity,
                None,
            )?;
        }
        let sides: &[usize] = if bottleneck { &[1, 3, 1] } else { &[3, 3] };
        let strided = if bottleneck { 1 } else { 0 };
        let (mut value, mut channels) = (input, inputs);
        for (index, &side) in sides.iter().enumerate() {
            let last = index + 1 == sides.len();
            let next = if last { outputs } else { width };
            let stride = if index == strided { stride } else { 1 };
            let names = (format!("{name}.conv{}", index + 1), format!("{name}.bn{}", index + 1));
            value = self.convolution(
                (&names.0, &names.1),
                value,
                [channels, next],
                [side, stride, side / 2],
                Activation::Relu,
                last.then_some(residual),
            )?;
            channels = next;
        }
        Ok(outputs)
    }

    /// Adds a convolution with the batch norm after it folded in.
    fn convolution(
        &mut self,
        (name, norm): (&str, &str),
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        [side, stride, padding]: [usize; 3],
        activation: Activation,
        residual: Option<ValueId>,
    ) -> Result<ValueId, InferenceError> {
        let [kernel_name, norm] = [name, norm].map(|part| format!("{}{part}", self.prefix));
        let shape = [outputs, inputs, side, side];
        let (kernel, bias) = super::folded(self.weights, (&kernel_name, &norm), shape, EPSILON)?;
        let window = Window { side, stride, padding: Padding::Each(padding) };
        let operation = Operation::Convolution(Convolution {
            kernel,
            bias,
            inputs,
            outputs,
            window,
            depthwise: false,
            residual: residual.map(|value| Residual { value, last: false }),
            activation,
        });
        Ok(self.push(name, input, operation))
    }
}
