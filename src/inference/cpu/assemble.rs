//! The steps of a plan, with their weights packed.

use std::borrow::Cow;

use super::block::{Block, Expand, Middle};
use super::byte_panels::{ByteInput, ByteOutput, BytePanels};
use super::compile::Compiler;
use super::finish::Finish;
use super::four_depthwise::{FourDepthwise, Fours};
use super::memory::{Aligned, Image};
use super::panels::{DenseWeights, FloatPanels, Product, padded_floats};
use super::plan::{Step, Work};
use super::points::{PointWeights, Tiling};
use super::reshape::{Concat, Resized, Sum};
use super::stem::{Normal, Stem, StemRows, WORD_STEPS};
use super::steps::{
    AveragePool, Dense, Depthwise, DepthwiseShape, DepthwiseWeights, MaxPool, Place, ToBytes, Value,
};
use super::tile::Extent;
use super::winograd::Winograd;
use crate::inference::network::{Convolution, Operation, ValueId};

impl Compiler<'_> {
    pub(super) fn add_steps(&mut self, layer: usize, steps: &mut Vec<Step>) {
        let definition = &self.network.layers[layer];
        let output = self.values[layer + 1];
        let input = self.values[definition.input];
        let mut to_bytes = false;
        let mut add = |work| steps.push(Step { layer, work });
        match &definition.operation {
            Operation::Convolution(_) if self.fused[layer] > 0 => {
                to_bytes = output.bytes.is_some() && !self.in_bytes(layer);
                add(Work::Block(Box::new(self.block(layer))));
            }
            Operation::Convolution(convolution) if definition.input == 0 => {
                to_bytes = output.bytes.is_some() && !self.in_words(layer);
                let rows = self.stem(layer, convolution);
                self.scratch = self.scratch.max(rows.scratch());
                add(Work::Stem(Box::new(Stem { rows, output })));
            }
            Operation::Convolution(convolution) if self.in_fours(layer) => {
                add(Work::Fours(Fours {
                    depthwise: self.four_depthwise(layer, convolution),
                    input: input.fours.expect("the compiler has placed it by fours"),
                    output,
                }));
            }
            Operation::Convolution(convolution) if convolution.depthwise => {
                let weights = self.depthwise(layer, convolution);
                let input = input.floats.expect("depthwise convolutions read floats");
                add(Work::Depthwise(Depthwise { weights, input, output }));
            }
            Operation::Convolution(convolution) if self.tiling(layer).is_some() => {
                to_bytes = output.bytes.is_some();
                add(Work::Winograd(self.winograd(layer, convolution)));
            }
            Operation::Convolution(convolution) => {
                to_bytes = output.bytes.is_some() && !self.in_bytes(layer);
                let image = input.floats.or(input.bytes).expect("inputs are placed").image;
                let result = ByteOutput {
                    floats: output.floats.is_some() || convolution.residual.is_some(),
                    fours: output.fours.is_some(),
                    quantum: output.quantum,
                };
                let product = self.product(layer, convolution, image, result);
                let place = if self.in_bytes(layer) { input.bytes } else { input.floats };
                add(Work::Dense(Dense {
                    product,
                    window: convolution.window,
                    input: place.expect("inputs are placed"),
                    output,
                    residual: self.residual(convolution),
                    side: self.shapes[layer + 1].side,
                }));
            }
            Operation::MaxPool(window) => {
                let input = if self.moves_bytes(layer) { input.bytes } else { input.floats };
                let input = input.expect("what pools read is placed");
                to_bytes = output.bytes.is_some() && !self.moves_bytes(layer);
                add(Work::MaxPool(MaxPool { window: *window, input, output }));
            }
            Operation::AveragePool => {
                to_bytes = output.bytes.is_some();
                let [input, output] =
                    [input, output].map(|value| value.floats.expect("pools take and give floats"));
                add(Work::AveragePool(AveragePool { input, output }));
            }
            Operation::Concat(_) => {
                let moves_bytes = self.moves_bytes(layer);
                to_bytes = output.bytes.is_some() && !moves_bytes;
                let part = |value: ValueId| {
                    let Value { floats, bytes, .. } = self.values[value];
                    let place = if moves_bytes { bytes } else { floats };
                    (
                        place.expect("what is put side by side is placed"),
                        self.shapes[value].channels,
                    )
                };
                let parts = definition.reads().into_iter().map(part).collect();
                add(Work::Concat(Concat { parts, output }));
            }
            Operation::Add(other) => {
                to_bytes = output.bytes.is_some();
                let inputs = [definition.input, *other].map(|value| self.floats(value));
                add(Work::Sum(Sum { inputs, output: self.floats(layer + 1) }));
            }
            Operation::Resize(resize) => {
                to_bytes = output.bytes.is_some();
                let [input, output] = [definition.input, layer + 1].map(|value| self.floats(value));
                add(Work::Resized(Resized { resize: *resize, input, output }));
            }
        }
        if to_bytes {
            add(Work::ToBytes(ToBytes { value: output }));
        }
    }

    fn residual(&self, convolution: &Convolution) -> Option<Place> {
        convolution.residual.map(|residual| self.floats(residual.value))
    }

    /// A value that the compiler has seen is wanted as floats.
    fn floats(&self, value: ValueId) -> Place {
        self.values[value].floats.expect("the compiler has placed its floats")
    }

    /// The first convolution, in floats or in words.
    fn stem(&self, layer: usize, convolution: &Convolution) -> StemRows {
        let input = &self.network.input;
        let window = convolution.window;
        let tap_step = StemRows::row_step(window, input.side_px);
        let mut extent = Extent { taps: window.side, depth: window.side * 3, tap_step };
        let (product, normal) = if self.in_words(layer) {
            extent.depth = extent.depth.next_multiple_of(2);
            let mut scaled = convolution.clone();
            let taps = window.side * window.side;
            for (plane, kernel) in scaled.kernel.chunks_exact_mut(taps).enumerate() {
                kernel.iter_mut().for_each(|weight| *weight *= input.scale[plane % 3]);
            }
            let furthest = |mean: f32| mean.abs().max((255.0 - mean).abs());
            let input_max = input.mean.map(furthest).into_iter().fold(0.0, f32::max);
            let words = ((input_max + 1.0) * WORD_STEPS, 1.0 / WORD_STEPS);
            let weights = dense_weights(&scaled, 3, extent);
            let panels =
                BytePanels::pack_words(&weights, words, self.quanta[layer + 1], self.kernels);
            (Product::Bytes(panels), Normal::words(input))
        } else {
            let weights = dense_weights(convolution, 3, extent);
            (Product::Floats(FloatPanels::pack(&weights, self.kernels)), Normal::floats(input))
        };
        StemRows {
            product,
            window,
            input_side: input.side_px,
            side: self.shapes[layer + 1].side,
            normal,
        }
    }

    /// The tiles of a convolution that is computed at points.
    fn tiling(&self, layer: usize) -> Option<Tiling> {
        let convolution = self.convolution(layer).filter(|_| !self.in_bytes(layer))?;
        Tiling::of(convolution, self.shapes[layer + 1].side)
    }

    fn winograd(&mut self, layer: usize, convolution: &Convolution) -> Winograd {
        let tiling = self.tiling(layer).expect("the caller asked");
        let input = self.values[self.network.layers[layer].input].floats;
        let input = input.expect("products of floats take floats");
        self.scratch = self.scratch.max(Winograd::scratch(tiling, input.image, self.kernels));
        Winograd {
            weights: PointWeights::pack(convolution, tiling, self.kernels),
            input,
            output: self.values[layer + 1],
            residual: self.residual(convolution),
        }
    }

    /// Packs a convolution over an image of channels-last elements.
    fn product(
        &self,
        layer: usize,
        convolution: &Convolution,
        image: Image,
        output: ByteOutput,
    ) -> Product {
        if !self.in_bytes(layer) {
            return Product::Floats(self.float_panels(convolution, image));
        }
        let extent = extent(convolution, image, 4);
        let input = self.network.layers[layer].input;
        let mut pixel = self.observed[input].means.clone();
        pixel.resize(image.channels, 0.0);
        let row: Vec<f32> = pixel.into_iter().cycle().take(extent.depth).collect();
        let input = ByteInput { quantum: self.quanta[input], means: &row.repeat(extent.taps) };
        let weights = dense_weights(convolution, image.channels, extent);
        Product::Bytes(BytePanels::pack(&weights, &input, output, self.kernels))
    }

    fn float_panels(&self, convolution: &Convolution, image: Image) -> FloatPanels {
        let extent = extent(convolution, image, 1);
        let weights = dense_weights(convolution, image.channels, extent);
        FloatPanels::pack(&weights, self.kernels)
    }

    fn depthwise_shape(&self, layer: usize, convolution: &Convolution) -> DepthwiseShape {
        DepthwiseShape {
            window: convolution.window,
            input_side: self.shapes[self.network.layers[layer].input].side,
            side: self.shapes[layer + 1].side,
            channels: convolution.outputs.next_multiple_of(self.kernels.lanes),
        }
    }

    fn depthwise(&self, layer: usize, convolution: &Convolution) -> DepthwiseWeights {
        let shape = self.depthwise_shape(layer, convolution);
        let taps = convolution.window.side * convolution.window.side;
        let mut weights = Aligned::zeroed(shape.channels * taps);
        for (channel, kernel) in convolution.kernel.chunks_exact(taps).enumerate() {
            for (tap, &weight) in kernel.iter().enumerate() {
                weights.floats_mut()[tap * shape.channels + channel] = weight;
            }
        }
        DepthwiseWeights {
            shape,
            weights,
            bias: padded_floats(&convolution.bias, shape.channels),
            bounds: convolution.activation.bounds(),
            finish: Finish::of(convolution),
        }
    }

    fn four_depthwise(&self, layer: usize, convolution: &Convolution) -> FourDepthwise {
        let input = self.network.layers[layer].input;
        let byte_input =
            ByteInput { quantum: self.quanta[input], means: &self.observed[input].means };
        let shape = self.depthwise_shape(layer, convolution);
        let output = self.quanta[layer + 1];
        FourDepthwise::pack(convolution, shape, &byte_input, output, self.kernels)
    }

    fn block(&mut self, project: usize) -> Block {
        let first = project - self.fused[project];
        let depthwise = project - 1;
        let definition = |layer| self.convolution(layer).expect("blocks are made of convolutions");
        let inside = |value: ValueId| Image {
            side: self.shapes[value].side,
            channels: self.shapes[value].channels.next_multiple_of(self.kernels.lanes),
            border: 0,
        };
        let (fours, output) = (self.in_fours(depthwise), self.values[project + 1]);
        let value = self.values[self.network.layers[first].input];
        let expand = if self.network.layers[first].input == 0 {
            Expand::Stem(self.stem(first, definition(first)))
        } else if self.fused[project] == 1 {
            Expand::Absent { input: value.floats.expect("what a block reads is placed") }
        } else {
            let input = if self.in_bytes(first) { value.bytes } else { value.floats };
            let input = input.expect("what a block reads is placed");
            let quantum = self.quanta[first + 1];
            let result = ByteOutput { floats: !fours, fours, quantum };
            let product = self.product(first, definition(first), input.image, result);
            Expand::Product { product, input }
        };
        let middle = if fours {
            Middle::Fours(self.four_depthwise(depthwise, definition(depthwise)))
        } else {
            let weights = self.depthwise(depthwise, definition(depthwise));
            let quantum = self.in_bytes(project).then(|| self.quanta[project]);
            Middle::Floats { weights, quantum }
        };
        let last = definition(project);
        let result = ByteOutput {
            floats: output.floats.is_some() || last.residual.is_some(),
            fours: false,
            quantum: output.quantum,
        };
        let project = self.product(project, last, inside(project), result);
        let block = Block { expand, middle, project, output, residual: self.residual(last) };
        self.scratch = self.scratch.max(block.scratch());
        block
    }
}

/// What a convolution sums for a pixel of an image, in runs of whole `fours` elements.
fn extent(convolution: &Convolution, image: Image, fours: usize) -> Extent {
    // A single column leaves out the channels that only pad; a row of columns includes them.
    let depth = match convolution.window.side {
        1 => convolution.inputs.next_multiple_of(fours),
        side => side * image.channels,
    };
    Extent { taps: convolution.window.side, depth, tap_step: image.row_step() }
}

/// The weights in the order of a window over pixels of `channels` elements.
fn dense_weights(convolution: &Convolution, channels: usize, extent: Extent) -> DenseWeights<'_> {
    let (inputs, side) = (convolution.inputs, convolution.window.side);
    let elements = extent.taps * extent.depth;
    let dense = |weights| DenseWeights {
        channels: convolution.outputs,
        extent,
        weights,
        bias: &convolution.bias,
        bounds: convolution.activation.bounds(),
        finish: Finish::of(convolution),
    };
    if side == 1 && elements == inputs {
        return dense(Cow::Borrowed(&convolution.kernel));
    }
    let mut weights = vec![0.0; convolution.outputs * elements];
    let kernels = convolution.kernel.chunks_exact(inputs * side * side);
    for (row, kernel) in weights.chunks_exact_mut(elements).zip(kernels) {
        for (input, plane) in kernel.chunks_exact(side * side).enumerate() {
            for (tap, line) in plane.chunks_exact(side).enumerate() {
                for (column, &weight) in line.iter().enumerate() {
                    row[tap * extent.depth + column * channels + input] = weight;
                }
            }
        }
    }
    dense(Cow::Owned(weights))
}
