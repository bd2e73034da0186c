//! From a network's definition to a plan: what is fused, what is kept as bytes, what lies where.

use super::calibrate::Observed;
use super::kernels::Kernels;
use super::memory::{FourImage, Image, Planner};
use super::plan::{Exit, Plan, Precision};
use super::steps::{FourPlace, Place, Value};
use super::tile::Quantum;
use crate::inference::network::{Convolution, Layer, Network, Operation, Shape, ValueId};

/// The least side of an image at which a block is fused. Below, all the expanded image fits the
/// caches, and whole tiles count for more: rows of 28 and 14 pixels make a tenth of them overlap.
const FUSED_SIDE_MIN: usize = 29;

/// What the compiler finds out about a value before it is placed.
#[derive(Clone, Copy, Default)]
struct Need {
    floats: bool,
    bytes: bool,
    /// Bytes whose columns lie by fours.
    fours: bool,
    border: usize,
    /// The last layer that reads it.
    last: usize,
}

pub(super) struct Compiler<'a> {
    pub(super) network: &'a Network,
    pub(super) kernels: &'static Kernels,
    pub(super) observed: &'a [Observed],
    pub(super) precision: Precision,
    pub(super) shapes: Vec<Shape>,
    needs: Vec<Need>,
    /// How each value becomes bytes.
    pub(super) quanta: Vec<Quantum>,
    /// For each layer that ends a block, the layers before it that are fused into it.
    pub(super) fused: Vec<usize>,
    pub(super) values: Vec<Value>,
    planner: Planner,
    /// Floats that each member of a team needs for itself.
    pub(super) scratch: usize,
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
        quanta: Vec::new(),
        fused: vec![0; count],
        values: Vec::new(),
        planner: Planner::default(),
        scratch: 0,
    };
    if purpose == Purpose::Outputs {
        compiler.fuse();
    }
    compiler.quanta = compiler.quanta();
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
        channels: compiler.shapes[value].channels,
    };
    Plan {
        kernels,
        steps,
        input_side: network.input.side_px,
        outputs: network.outputs.iter().copied().map(exit).collect(),
        arena: compiler.planner.length(),
        scratch: compiler.scratch.next_multiple_of(16),
        values: compiler.values,
    }
}

impl Compiler<'_> {
    pub(super) fn convolution(&self, layer: usize) -> Option<&Convolution> {
        match &self.network.layers[layer].operation {
            Operation::Convolution(convolution) => Some(convolution),
            _ => None,
        }
    }

    pub(super) fn readers(&self, value: ValueId) -> usize {
        let read = self.network.layers.iter().flat_map(Layer::reads);
        let outputs = self.network.outputs.iter().copied();
        read.chain(outputs).filter(|&read| read == value).count()
    }

    /// Finds depthwise convolutions between two pointwise ones, whose images nobody else reads; the
    /// first of a network may stand for the first of the two.
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
                let from_pixels = self.network.layers[expand].input == 0;
                self.convolution(expand)
                    .is_some_and(|first| if from_pixels { !first.depthwise } else { pointwise(&first) })
                    && self.network.layers[depthwise].input == depthwise
                    && self.readers(depthwise) == 1
                    // What ends a block cannot begin the next.
                    && self.fused[expand] == 0
            });
            self.fused[project] = if expand.is_some() { 2 } else { 1 };
        }
    }

    /// Whether a later layer swallows this one, so that it has no step of its own.
    fn is_swallowed(&self, layer: usize) -> bool {
        let end = self.fused.len().min(layer + 3);
        (layer + 1..end).any(|project| project - self.fused[project] <= layer)
    }

    fn collect_needs(&mut self) {
        for (index, layer) in self.network.layers.iter().enumerate() {
            let moves_bytes = self.moves_bytes(index);
            let (in_bytes, in_fours) = (self.in_bytes(index) || moves_bytes, self.in_fours(index));
            let side = self.shapes[layer.input].side;
            let need = &mut self.needs[layer.input];
            need.last = need.last.max(index);
            need.bytes |= in_bytes;
            need.fours |= in_fours;
            need.floats |= !in_bytes && !in_fours;
            if let Operation::Convolution(convolution) = &layer.operation
                && !convolution.depthwise
            {
                let (before, after) = convolution.window.missing(side);
                need.border = need.border.max(before).max(after);
            }
            for &beside in &layer.reads()[1..] {
                let need = &mut self.needs[beside];
                need.bytes |= moves_bytes;
                need.floats |= !moves_bytes;
                need.last = need.last.max(index);
            }
        }
        for &output in &self.network.outputs {
            self.needs[output].floats = true;
            self.needs[output].last = self.network.layers.len();
        }
        for layer in 0..self.network.layers.len() {
            // A product of floats keeps its sums in its output; pools of floats write no bytes.
            let depthwise =
                self.convolution(layer).is_some_and(|convolution| convolution.depthwise);
            let gives_bytes =
                self.in_bytes(layer) || self.in_words(layer) || self.moves_bytes(layer);
            if !gives_bytes && !depthwise {
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
            let mut place =
                |wanted: bool, floats: usize| wanted.then(|| self.planner.place(floats, lives));
            let fours = FourImage { side: shape.side, channels };
            self.values.push(Value {
                floats: place(wanted && need.floats, image.length())
                    .map(|offset| Place { offset, image }),
                bytes: place(wanted && need.bytes, image.length().div_ceil(4))
                    .map(|offset| Place { offset, image }),
                fours: place(wanted && need.fours, fours.length(shape.side).div_ceil(4))
                    .map(|offset| FourPlace { offset, image: fours }),
                quantum: self.quanta[value],
            });
        }
    }
}
