//! A network as data: layers over values, with batch norm folded into the convolutions.
//!
//! A definition is written once, in `models`. `cpu` compiles it for the processor at hand, and
//! `reference` runs it with candle's own operations, which is the oracle of the tests.

/// A value of a network: 0 is the input, `i + 1` what layer `i` gives.
pub(super) type ValueId = usize;

/// A network: an input and the layers in the order in which they run.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) input: Input,
    pub(super) layers: Vec<Layer>,
    /// What it gives. Of an encoder: the pooled features that an embedding is made of; one logit for
    /// each class; the features before they are pooled.
    pub(super) outputs: Vec<ValueId>,
}

/// The square image that a network takes: a channel enters as `(byte - mean) * scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input {
    pub(super) side_px: usize,
    pub(super) mean: [f32; 3],
    pub(super) scale: [f32; 3],
}

/// One layer: an operation on a value.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// As the weights file names it.
    pub(super) name: String,
    pub(super) input: ValueId,
    pub(super) operation: Operation,
}

/// What a layer does.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Convolution(Convolution),
    /// The greatest value of each `side x side` window; what lies outside never wins.
    MaxPool(Window),
    /// The mean over all positions.
    AveragePool,
    /// The channels of the input, then those of other values of the same side.
    Concat(Vec<ValueId>),
    /// The sum with another value of the same shape.
    Add(ValueId),
    /// The same image with another side, pixels as squares without a gap ("half-pixel centres").
    Resize(Resize),
}

/// Another side for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resize {
    pub(super) side: usize,
    pub(super) sampling: Sampling,
}

/// What a pixel of a resized image is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// The pixel in which its centre lies.
    Nearest,
    /// The four pixels around its centre, the nearer the more; nothing is averaged when an image
    /// shrinks.
    Bilinear,
}

impl Resize {
    /// The two pixels of an axis of `length` that an output pixel is made of, and the share of the
    /// second.
    pub(super) fn sources(self, length: usize, at: usize) -> (usize, usize, f32) {
        let step = length as f32 / self.side as f32;
        let centre = (at as f32 + 0.5) * step;
        match self.sampling {
            Sampling::Nearest => {
                let nearest = (centre as usize).min(length - 1);
                (nearest, nearest, 0.0)
            }
            Sampling::Bilinear => {
                let before = (centre - 0.5).max(0.0);
                let first = (before as usize).min(length - 1);
                (first, (first + 1).min(length - 1), before - first as f32)
            }
        }
    }
}

impl Layer {
    /// The values that it reads, its input first.
    pub(super) fn reads(&self) -> Vec<ValueId> {
        let mut reads = vec![self.input];
        match &self.operation {
            Operation::Convolution(convolution) => {
                reads.extend(convolution.residual.map(|residual| residual.value));
            }
            Operation::Concat(others) => reads.extend(others),
            Operation::Add(other) => reads.push(*other),
            Operation::MaxPool(_) | Operation::AveragePool | Operation::Resize(_) => {}
        }
        reads
    }
}

/// A square window that moves over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) side: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
}

/// How an image is continued beyond its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// TensorFlow's SAME: `ceil(length / stride)` steps, the odd pixel at the end.
    Same,
    /// So many pixels on each side, as PyTorch counts them.
    Each(usize),
}

/// A convolution, and what follows it at each position: bias, residual, activation.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    /// `[out, in, side, side]`, or `[channels, 1, side, side]` when depthwise.
    pub(super) kernel: Vec<f32>,
    /// One value for each output channel.
    pub(super) bias: Vec<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) window: Window,
    /// Whether each channel has a kernel of its own instead of one over all channels.
    pub(super) depthwise: bool,
    pub(super) residual: Option<Residual>,
    pub(super) activation: Activation,
}

/// A value of a convolution's output shape that is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Residual {
    pub(super) value: ValueId,
    /// After the activation instead of before.
    pub(super) last: bool,
}

/// The function applied to each element: a clamp, or a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `max(x, x * LEAK)`.
    LeakyRelu,
    /// `x / (1 + exp(-x))`, also known as swish.
    Silu,
}

/// What [`Activation::LeakyRelu`] leaves of negative numbers.
pub(super) const LEAK: f32 = 0.1;

impl Activation {
    /// Lower and upper bound of a clamp; none for a curve.
    pub(super) fn bounds(self) -> (f32, f32) {
        match self {
            Self::Identity | Self::LeakyRelu | Self::Silu => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// The extent of a value: a square image, or 1 x 1 after pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) side: usize,
    pub(super) channels: usize,
}

impl Window {
    /// Steps along an axis of `length` pixels.
    pub(super) fn steps(self, length: usize) -> usize {
        match self.padding {
            Padding::Same => length.div_ceil(self.stride),
            Padding::Each(pad) => (length + 2 * pad).saturating_sub(self.side) / self.stride + 1,
        }
    }

    /// Pixels that are missing before and after an axis of `length`.
    pub(super) fn missing(self, length: usize) -> (usize, usize) {
        let covered = (self.steps(length) - 1) * self.stride + self.side;
        match self.padding {
            Padding::Same => {
                let total = covered.saturating_sub(length);
                (total / 2, total - total / 2)
            }
            Padding::Each(pad) => (pad, covered.saturating_sub(length + pad)),
        }
    }
}

impl Network {
    /// The shape of every value, the input's first.
    pub(super) fn shapes(&self) -> Vec<Shape> {
        let mut shapes = vec![Shape { side: self.input.side_px, channels: 3 }];
        for layer in &self.layers {
            let Shape { side, channels } = shapes[layer.input];
            shapes.push(match &layer.operation {
                Operation::Convolution(convolution) => {
                    Shape { side: convolution.window.steps(side), channels: convolution.outputs }
                }
                Operation::MaxPool(window) => Shape { side: window.steps(side), channels },
                Operation::AveragePool => Shape { side: 1, channels },
                Operation::Concat(others) => {
                    let added: usize = others.iter().map(|&other| shapes[other].channels).sum();
                    Shape { side, channels: channels + added }
                }
                Operation::Add(_) => Shape { side, channels },
                Operation::Resize(resize) => Shape { side: resize.side, channels },
            });
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_pixel_of_same_padding_goes_to_the_end() {
        struct Case {
            length: usize,
            side: usize,
            stride: usize,
            expected: (usize, usize),
        }
        let cases = [
            Case { length: 224, side: 3, stride: 2, expected: (0, 1) },
            Case { length: 112, side: 3, stride: 1, expected: (1, 1) },
            Case { length: 56, side: 5, stride: 2, expected: (1, 2) },
            Case { length: 7, side: 5, stride: 1, expected: (2, 2) },
            Case { length: 7, side: 3, stride: 2, expected: (1, 1) },
            Case { length: 8, side: 1, stride: 2, expected: (0, 0) },
        ];
        for Case { length, side, stride, expected } in cases {
            let window = Window { side, stride, padding: Padding::Same };
            assert_eq!(window.missing(length), expected, "{length} {side} {stride}");
        }
    }

    #[test]
    fn pytorch_padding_gives_pytorch_sizes() {
        let stem = Window { side: 7, stride: 2, padding: Padding::Each(3) };
        assert_eq!((stem.steps(224), stem.missing(224)), (112, (3, 2)));
        let pool = Window { side: 3, stride: 2, padding: Padding::Each(1) };
        assert_eq!((pool.steps(112), pool.missing(112)), (56, (1, 0)));
    }
}
