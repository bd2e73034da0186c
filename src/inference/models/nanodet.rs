//! NanoDet-g 416: a CSP backbone, a path aggregation network, and one head for each stride.
//!
//! github.com/RangiLyu/nanodet, with the tensor names of the weights inside the binary, which come
//! from a conversion to TensorFlow: kernels are `[side, side, in, out]`, inputs blue first.

use super::candidates::{best_class, cell_box, logit, sigmoid};
use crate::inference::InferenceError;
use crate::inference::cpu::Grid;
use crate::inference::detection::COCO_CLASSES;
use crate::inference::network::{
    Activation, Convolution, Input, Layer, Network, Operation, Padding, Residual, Resize, Sampling,
    ValueId, Window,
};
use crate::inference::weights::Weights;
use crate::pixels::Fitted;
use crate::record::Detection;

/// The file inside the binary.
pub(in crate::inference) const WEIGHTS: &[u8] =
    include_bytes!("../weights/nanodet-g-f16.safetensors");

const INPUT_SIDE_PX: usize = 416;

/// Of red, green and blue; the network's own order is the other way round.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
const DEVIATION: [f32; 3] = [58.395, 57.12, 57.375];

/// Classes whose scores come first among the channels of a head.
const CLASSES: usize = COCO_CLASSES.len();

/// Distances that each side of a box is spread over, in strides.
const BINS: usize = 11;

/// Channels between backbone and heads.
const WIDTH: usize = 128;

/// Reads the network out of a weights file; its outputs are the heads at strides 8, 16 and 32.
///
/// # Errors
/// As for [`Weights::values`].
pub(in crate::inference) fn define(weights: &Weights<'_>) -> Result<Network, InferenceError> {
    let mut builder = Builder { weights, layers: Vec::new(), convolutions: 0 };
    let stem = builder.convolution(0, [3, 32], (3, 2), Activation::LeakyRelu, None)?;
    let pool = Window { side: 3, stride: 2, padding: Padding::Each(1) };
    let pooled = builder.push("pool", stem, Operation::MaxPool(pool));
    let mut value = builder.convolution(pooled, [32, 32], (3, 1), Activation::LeakyRelu, None)?;
    let mut stages = Vec::new();
    for (width, halves) in [(32, 1), (64, 2), (128, 2), (256, 3)] {
        if width > 32 {
            value = builder.convolution(value, [width; 2], (3, 2), Activation::LeakyRelu, None)?;
        }
        value = builder.stage(value, width, halves)?;
        stages.push(value);
    }
    let mut outputs = Vec::new();
    for value in builder.aggregate(&stages[1..])? {
        let wide = builder.convolution(value, [WIDTH; 2], (3, 1), Activation::LeakyRelu, None)?;
        let channels = [WIDTH, CLASSES + 4 * BINS];
        outputs.push(builder.convolution(wide, channels, (1, 1), Activation::Identity, None)?);
    }
    let input = Input {
        side_px: INPUT_SIDE_PX,
        mean: MEAN,
        scale: DEVIATION.map(|deviation| 1.0 / deviation),
    };
    Ok(Network { input, layers: builder.layers, outputs })
}

struct Builder<'a, 'b> {
    weights: &'a Weights<'b>,
    layers: Vec<Layer>,
    /// Convolutions so far, by which the file names them.
    convolutions: usize,
}

impl Builder<'_, '_> {
    fn push(&mut self, name: &str, input: ValueId, operation: Operation) -> ValueId {
        let name = format!("{name}.{}", self.layers.len());
        self.layers.push(Layer { name, input, operation });
        self.layers.len()
    }

    /// Of a value of `width` channels makes one of twice as many: halves of it are filtered one
    /// after the other, each kept beside what comes of it, and the whole beside the input.
    fn stage(
        &mut self,
        input: ValueId,
        width: usize,
        halves: usize,
    ) -> Result<ValueId, InferenceError> {
        let leaky = Activation::LeakyRelu;
        let (mut value, mut inputs) = (input, width);
        for _ in 0..halves {
            let first = self.convolution(value, [inputs, width / 2], (3, 1), leaky, None)?;
            let second = self.convolution(first, [width / 2; 2], (3, 1), leaky, None)?;
            value = self.push("halves", second, Operation::Concat(vec![first]));
            inputs = width;
        }
        let last = self.convolution(value, [inputs, width], (3, 1), leaky, None)?;
        Ok(self.push("stage", last, Operation::Concat(vec![input])))
    }

    /// Passes what the stages see down to the finest and up again.
    fn aggregate(&mut self, stages: &[ValueId]) -> Result<Vec<ValueId>, InferenceError> {
        let [fine, middle, coarse] = [stages[0], stages[1], stages[2]];
        let side = |stride: usize| INPUT_SIDE_PX / stride;
        // The file numbers the three reductions from fine to coarse; they run the other way round.
        let first = self.convolutions;
        let reduce = |builder: &mut Self, at: usize, input, residual| {
            builder.convolutions = first + at;
            let (channels, identity) = ([WIDTH << at, WIDTH], Activation::Identity);
            builder.convolution(input, channels, (1, 1), identity, residual)
        };
        let added = |value| Some(Residual { value, last: false });
        let coarse = reduce(self, 2, coarse, None)?;
        let above = self.resize(coarse, side(16));
        let middle = reduce(self, 1, middle, added(above))?;
        let above = self.resize(middle, side(8));
        let fine = reduce(self, 0, fine, added(above))?;
        self.convolutions = first + 3;
        let below = self.resize(fine, side(16));
        let middle = self.push("sum", middle, Operation::Add(below));
        let below = self.resize(middle, side(32));
        let coarse = self.push("sum", coarse, Operation::Add(below));
        Ok(vec![fine, middle, coarse])
    }

    fn resize(&mut self, input: ValueId, side: usize) -> ValueId {
        let resize = Resize { side, sampling: Sampling::Bilinear };
        self.push("resize", input, Operation::Resize(resize))
    }

    fn convolution(
        &mut self,
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        (side, stride): (usize, usize),
        activation: Activation,
        residual: Option<Residual>,
    ) -> Result<ValueId, InferenceError> {
        let (name, bias) = names(self.convolutions);
        let file = self.weights.values(&name, &[side, side, inputs, outputs])?;
        let mut kernel = vec![0.0; file.len()];
        for (tap, plane) in file.chunks_exact(inputs * outputs).enumerate() {
            for (input, row) in plane.chunks_exact(outputs).enumerate() {
                // Red first, where the input is the image.
                let input = if self.convolutions == 0 { inputs - 1 - input } else { input };
                for (output, &weight) in row.iter().enumerate() {
                    kernel[(output * inputs + input) * side * side + tap] = weight;
                }
            }
        }
        let convolution = Convolution {
            kernel,
            bias: self.weights.values(&bias, &[outputs])?,
            inputs,
            outputs,
            window: Window { side, stride, padding: Padding::Each(side / 2) },
            depthwise: false,
            residual,
            activation,
        };
        self.convolutions += 1;
        self.layers.push(Layer { name, input, operation: Operation::Convolution(convolution) });
        Ok(self.layers.len())
    }
}

/// What the file calls kernel and bias of a convolution.
fn names(index: usize) -> (String, String) {
    let kernel = match index {
        0 => "PartitionedCall/split".to_owned(),
        _ => format!("PartitionedCall/split_{index}"),
    };
    // Between the biases lie the variables of batch norm, folded; behind the backbone those of
    // reshapes too.
    let bias = match index {
        0..28 => 2 * index,
        28.. => [60, 62, 66, 68, 70, 72].get(index - 28).copied().unwrap_or(0),
    };
    (kernel, format!("unknown_{bias}"))
}

/// The boxes that the heads propose, and the number of cells that are less sure than `score_min`.
pub(in crate::inference) fn propose(
    grids: &[Grid],
    input: &Fitted,
    score_min: f32,
) -> (Vec<Detection>, usize) {
    let (mut proposals, mut left_out) = (Vec::new(), 0);
    let logit_min = logit(score_min);
    for grid in grids {
        let stride = INPUT_SIDE_PX as f32 / grid.side as f32;
        for (cell, values) in grid.values.chunks_exact(grid.channels).enumerate() {
            let (logits, distances) = values.split_at(CLASSES);
            let (class, logit) = best_class(logits);
            if logit < logit_min {
                left_out += 1;
                continue;
            }
            let centre = |at: usize| (at as f32 + 0.5) * stride;
            let (x, y) = (centre(cell % grid.side), centre(cell / grid.side));
            let mut sides = [0.0; 4];
            for (side, logits) in sides.iter_mut().zip(distances.chunks_exact(BINS)) {
                *side = expected_bin(logits) * stride;
            }
            let [left, top, right, bottom] = sides;
            let bounds = cell_box(input, [x - left, y - top, x + right, y + bottom]);
            proposals.push(Detection { class, score: sigmoid(logit), bounds });
        }
    }
    (proposals, left_out)
}

/// The mean bin under the softmax of the logits.
fn expected_bin(logits: &[f32]) -> f32 {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut total, mut sum) = (0.0, 0.0);
    for (bin, logit) in logits.iter().enumerate() {
        let share = (logit - peak).exp();
        total += share;
        sum += share * bin as f32;
    }
    sum / total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_bin_of_huge_logits_is_finite() {
        let mut logits = [-1000.0; BINS];
        (logits[3], logits[4]) = (1000.0, 1000.0);
        assert!((expected_bin(&logits) - 3.5).abs() < 1e-6);
        assert!((expected_bin(&[0.0; BINS]) - 5.0).abs() < 1e-5);
    }
}
