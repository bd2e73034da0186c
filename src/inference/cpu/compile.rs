//! From a network's definition to a plan: what is fused, what is kept as bytes, what lies where.

use std::borrow::Cow;

use super::block::Block;
use super::calibrate::Observed;
use super::kernels::Kernels;
use super::memory::{Aligned, Image, Planner};
use super::panels::{ByteInput, BytePanels, DenseWeights, FloatPanels, Product};
use super::plan::{Exit, Plan, Precision, Step, Work};
use super::points::{PointWeights, Tiling};
use super::steps::{
    AveragePool, Dense, Depthwise, DepthwiseWeights, MaxPool, Place, Stem, ToBytes, Value,
};
use super::tile::{Extent, NO_BYTES, Quantum};
use super::winograd::Winograd;
use crate::inference::network::{Convolution, Network, Operation, Shape, ValueId};

/// The least side of an image at which a block is fused. Below, all the expanded image fits the
/// caches, and whole tiles count for more: rows of 28 and 14 pixels make a tenth of them overlap.
const FUSED_SIDE_MIN: usize = 29;

/// What the compiler finds out about a value before it is placed.
#[derive(Clone, Copy, Default)]
struct Need {
    floats: bool,
    bytes: bool,
    border: usize,
    /// The last layer that reads it.
    last: usize,
}

struct Compiler<'a> {
    network: &'a Network,
    kernels: &'static Kernels,
    observed: &'a [Observed],
    precision: Precision,
    shapes: Vec<Shape>,
    needs: Vec<Need>,
    /// For each layer that ends a block, the layers before it that are fused into it.
    fused: Vec<usize>,
    values: Vec<Value>,
    planner: Planner,
    scratch: usize,
}

/// What a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To give the outputs fast: layers are fused, values share memory.
    Outputs,
    /// To look at every value after a run.
    Values,
}

/// Compiles `network` for `kernels`; `observed` has one entry for each value, or none for floats.
pub(super) fn compile(
    network: &Network,
    kernels: &'static Kernels,
    precision: Precision,
    observed: &[Observed],
    purpose: Purpose,
) -> Plan {
    let count = network.layers.len();
    let mut compiler = Compiler {
        network,
        kernels,
        observed,
        precision,
        shapes: network.shapes(),
        needs: vec![Need::default(); count + 1],
        fused: vec![0; count],
        values: Vec::new(),
        planner: Planner::default(),
        scratch: 0,
    };
    if purpose == Purpose::Outputs {
        compiler.fuse();
    }
    compiler.collect_needs();
    compiler.place(purpose);
    let mut steps = Vec::new();
    for layer in 0..count {
        if !compiler.is_swallowed(layer) {
            compiler.add_steps(layer, &mut steps);
        }
    }
    let exit = |value: ValueId| Exit {
        layer: value - 1,
        place: compiler.values[value].floats.expect("outputs are floats"),
        length: compiler.shapes[value].channels,
    };
    Plan {
        kernels,
        steps,
        input_side: network.input.side_px,
        features: exit(network.features),
        logits: exit(network.logits),
        arena: compiler.planner.length(),
        scratch: compiler.scratch.next_multiple_of(16),
        values: compiler.values,
    }
}

impl Compiler<'_> {
    fn convolution(&self, layer: usize) -> Option<&Convolution> {
        match &self.network.layers[layer].operation {
            Operation::Convolution(convolution) => Some(convolution),
            _ => None,
        }
    }

    fn readers(&self, value: ValueId) -> usize {
        let mut readers =
            usize::from(value == self.network.features || value == self.network.logits);
        for (index, layer) in self.network.layers.iter().enumerate() {
            readers += usize::from(layer.input == value);
            let residual = self.convolution(index).and_then(|convolution| convolution.residual);
            readers += usize::from(residual == Some(value));
        }
        readers
    }

    /// Finds depthwise convolutions between two pointwise ones, whose images nobody else reads.
    fn fuse(&mut self) {
        for project in 1..self.network.layers.len() {
            let pointwise = |convolution: &&Convolution| {
                !convolution.depthwise
                    && convolution.window.side == 1
                    && convolution.window.stride == 1
            };
            let depthwise = project - 1;
            let fits = self.convolution(project).is_some_and(|last| pointwise(&last))
                && self.network.layers[project].input == project
                && self.convolution(depthwise).is_some_and(|middle| middle.depthwise)
                && self.readers(project) == 1
                && self.shapes[self.network.layers[depthwise].input].side >= FUSED_SIDE_MIN;
            if !fits {
                continue;
            }
            let expand = depthwise.checked_sub(1).filter(|&expand| {
                self.convolution(expand).is_some_and(|first| pointwise(&first))
                    && self.network.layers[depthwise].input == depthwise
                    && self.readers(depthwise) == 1
                    // What ends a block cannot begin the next.
                    && self.fused[expand] == 0
                    && self.network.layers[expand].input != 0
            });
            self.fused[project] = if expand.is_some() { 2 } else { 1 };
        }
    }

    /// Whether a later layer swallows this one, so that it has no step of its own.
    fn is_swallowed(&self, layer: usize) -> bool {
        let end = self.fused.len().min(layer + 3);
        (layer + 1..end).any(|project| project - self.fused[project] <= layer)
    }

    /// Whether a layer multiplies bytes. All dense convolutions do but the first, whose input is
    /// the image, those over a single pixel, which cost nothing, and those of fused blocks: on
    /// large images few channels are summed, where bytes gain least and their rounding costs most
    /// (the four of EfficientNet-Lite0 half of what the embedding loses).
    fn in_bytes(&self, layer: usize) -> bool {
        let input = self.network.layers[layer].input;
        self.precision == Precision::Int8
            && input != 0
            && self.shapes[input].side > 1
            && self.fused[layer] == 0
            && !self.is_swallowed(layer)
            && self.convolution(layer).is_some_and(|convolution| !convolution.depthwise)
    }

    fn collect_needs(&mut self) {
        for (index, layer) in self.network.layers.iter().enumerate() {
            let in_bytes = self.in_bytes(index);
            let side = self.shapes[layer.input].side;
            let need = &mut self.needs[layer.input];
            need.last = need.last.max(index);
            need.bytes |= in_bytes;
            need.floats |= !in_bytes;
            if let Operation::Convolution(convolution) = &layer.operation {
                if !convolution.depthwise {
                    let (before, after) = convolution.window.missing(side);
                    need.border = need.border.max(before).max(after);
                }
                if let Some(residual) = convolution.residual {
                    let need = &mut self.needs[residual];
                    need.floats = true;
                    need.last = need.last.max(index);
                }
            }
        }
        for output in [self.network.features, self.network.logits] {
            self.needs[output].floats = true;
            self.needs[output].last = self.network.layers.len();
        }
        for layer in 0..self.network.layers.len() {
            // A product of floats keeps its sums in its output; pools write floats only.
            let depthwise =
                self.convolution(layer).is_some_and(|convolution| convolution.depthwise);
            if !self.in_bytes(layer) && !depthwise {
                self.needs[layer + 1].floats = true;
            }
        }
        // What lies inside a block is never placed; its first input lives until the block ends.
        for project in 0..self.network.layers.len() {
            for inside in 1..=self.fused[project] {
                let value = project + 1 - inside;
                self.needs[value] = Need::default();
            }
            if self.fused[project] > 0 {
                let input = self.network.layers[project - self.fused[project]].input;
                self.needs[input].last = self.needs[input].last.max(project);
            }
        }
    }

    fn place(&mut self, purpose: Purpose) {
        for value in 0..self.needs.len() {
            let (need, shape) = (self.needs[value], self.shapes[value]);
            let channels = shape.channels.next_multiple_of(self.kernels.lanes);
            let image = Image { side: shape.side, channels, border: need.border };
            let lives = match purpose {
                Purpose::Outputs => (value.saturating_sub(1), need.last),
                Purpose::Values => (0, self.network.layers.len()),
            };
            let wanted = value > 0;
            let mut place = |wanted: bool, floats: usize| {
                wanted.then(|| Place { offset: self.planner.place(floats, lives), image })
            };
            self.values.push(Value {
                floats: place(wanted && need.floats, image.length()),
                bytes: place(wanted && need.bytes, image.length().div_ceil(4)),
                quantum: self.quantum(value),
            });
        }
    }

    fn quantum(&self, value: ValueId) -> Quantum {
        self.observed.get(value).map_or(NO_BYTES, Observed::quantum)
    }

    fn add_steps(&mut self, layer: usize, steps: &mut Vec<Step>) {
        let definition = &self.network.layers[layer];
        let output = self.values[layer + 1];
        let input = self.values[definition.input];
        let mut to_bytes = false;
        let mut add = |work| steps.push(Step { layer, work });
        match &definition.operation {
            Operation::Convolution(_) if self.fused[layer] > 0 => {
                to_bytes = output.bytes.is_some();
                add(Work::Block(Box::new(self.block(layer))));
            }
            Operation::Convolution(convolution) if definition.input == 0 => {
                to_bytes = output.bytes.is_some();
                add(Work::Stem(Box::new(self.stem(layer, convolution))));
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
                let product = self.product(layer, convolution, image);
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
                to_bytes = output.bytes.is_some();
                let [input, output] =
                    [input, output].map(|value| value.floats.expect("pools take and give floats"));
                add(Work::MaxPool(MaxPool { window: *window, input, output }));
            }
            Operation::AveragePool => {
                to_bytes = output.bytes.is_some();
                let [input, output] =
                    [input, output].map(|value| value.floats.expect("pools take and give floats"));
                add(Work::AveragePool(AveragePool { input, output }));
            }
        }
        if to_bytes {
            add(Work::ToBytes(ToBytes { value: output }));
        }
    }

    fn residual(&self, convolution: &Convolution) -> Option<Place> {
        let value = convolution.residual?;
        Some(self.values[value].floats.expect("residuals are floats"))
    }

    fn stem(&mut self, layer: usize, convolution: &Convolution) -> Stem {
        let input_side = self.network.input.side_px;
        let window = convolution.window;
        self.scratch = self.scratch.max(Stem::scratch(window, input_side));
        let tap_step = Stem::row_step(window, input_side);
        let extent = Extent { taps: window.side, depth: window.side * 3, tap_step };
        Stem {
            product: FloatPanels::pack(&dense_weights(convolution, 3, extent), self.kernels),
            window,
            input_side,
            output: self.values[layer + 1],
            side: self.shapes[layer + 1].side,
            levels: Stem::levels(&self.network.input),
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
    fn product(&self, layer: usize, convolution: &Convolution, image: Image) -> Product {
        if !self.in_bytes(layer) {
            return Product::Floats(self.float_panels(convolution, image));
        }
        let extent = extent(convolution, image, 4);
        let observed = &self.observed[self.network.layers[layer].input];
        let mut pixel = observed.means.clone();
        pixel.resize(image.channels, 0.0);
        let row: Vec<f32> = pixel.into_iter().cycle().take(extent.depth).collect();
        let input = ByteInput { quantum: observed.quantum(), means: &row.repeat(extent.taps) };
        let weights = dense_weights(convolution, image.channels, extent);
        Product::Bytes(BytePanels::pack(&weights, &input, self.kernels))
    }

    fn float_panels(&self, convolution: &Convolution, image: Image) -> FloatPanels {
        let extent = extent(convolution, image, 1);
        let weights = dense_weights(convolution, image.channels, extent);
        FloatPanels::pack(&weights, self.kernels)
    }

    fn depthwise(&self, layer: usize, convolution: &Convolution) -> DepthwiseWeights {
        let channels = convolution.outputs.next_multiple_of(self.kernels.lanes);
        let window = convolution.window;
        let taps = window.side * window.side;
        let mut weights = Aligned::zeroed(channels * taps);
        let mut bias = Aligned::zeroed(channels);
        bias.floats_mut()[..convolution.outputs].copy_from_slice(&convolution.bias);
        for channel in 0..convolution.outputs {
            for tap in 0..taps {
                weights.floats_mut()[tap * channels + channel] =
                    convolution.kernel[channel * taps + tap];
            }
        }
        DepthwiseWeights {
            window,
            input_side: self.shapes[self.network.layers[layer].input].side,
            side: self.shapes[layer + 1].side,
            channels,
            weights,
            bias,
            bounds: convolution.activation.bounds(),
        }
    }

    fn block(&mut self, project: usize) -> Block {
        let first = project - self.fused[project];
        let definition = |layer| self.convolution(layer).expect("blocks are made of convolutions");
        let inside = |value: ValueId| Image {
            side: self.shapes[value].side,
            channels: self.shapes[value].channels.next_multiple_of(self.kernels.lanes),
            border: 0,
        };
        let last = definition(project);
        let depthwise = self.depthwise(project - 1, definition(project - 1));
        let input = self.values[self.network.layers[first].input].floats;
        let input = input.expect("blocks read floats");
        let expands = self.fused[project] == 2;
        let block = Block {
            expand: expands.then(|| self.float_panels(definition(first), input.image)),
            project: self.float_panels(last, inside(project)),
            input,
            output: self.values[project + 1].floats.expect("blocks give floats"),
            residual: self.residual(last),
            depthwise,
        };
        self.scratch = self.scratch.max(Block::scratch(&block.depthwise, expands));
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
