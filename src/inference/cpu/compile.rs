//! From a network's definition to a plan: what is fused, what is kept as bytes, what lies where.

use super::calibrate::Observed;
use super::finish::Finish;
use super::kernels::Kernels;
use super::memory::{FourImage, Image, Planner};
use super::plan::{Exit, Plan, Precision};
use super::steps::{FourPlace, Place, Value};
use super::tile::{BATCH_MAX, Quantum};
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

    fn readers(&self, value: ValueId) -> usize {
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

    /// Whether a layer multiplies bytes. All dense convolutions do but the first, whose input is
    /// the image, and those over a single pixel, which cost nothing.
    pub(super) fn in_bytes(&self, layer: usize) -> bool {
        let input = self.network.layers[layer].input;
        self.precision == Precision::Int8
            && input != 0
            && self.shapes[input].side > 1
            && self.convolution(layer).is_some_and(|convolution| {
                // The kernels of bytes clamp, and nothing else.
                !convolution.depthwise && Finish::of(convolution).is_none()
            })
    }

    /// Whether a depthwise layer takes bytes by fours: where it is alone to read what a dense
    /// convolution has clamped at zero, and bytes are all that is wanted of it.
    pub(super) fn in_fours(&self, layer: usize) -> bool {
        let (input, Some(depthwise)) = (self.network.layers[layer].input, self.convolution(layer))
        else {
            return false;
        };
        let side = self.shapes[input].side;
        let (missing, _) = depthwise.window.missing(side);
        let window = (depthwise.window.side, depthwise.window.stride, missing);
        // A block that does not widen reads what lies in the arena as it is for others.
        let begins_block = |layer: usize| self.fused.get(layer + 1) == Some(&1);
        depthwise.depthwise
            && Finish::of(depthwise).is_none()
            && side <= BATCH_MAX
            && self.kernels.four_window(window.0, window.1, window.2).is_some()
            && !begins_block(layer)
            && self.gives_fours(input)
            && self.wants_bytes_only(layer + 1)
    }

    /// Whether a value can be written by fours: as bytes from zero on, by a dense convolution.
    fn gives_fours(&self, value: ValueId) -> bool {
        let Some(producer) = value.checked_sub(1) else { return false };
        let Some(convolution) = self.convolution(producer) else { return false };
        self.in_bytes(producer)
            && convolution.residual.is_none()
            && convolution.activation.bounds().0 == 0.0
            && self.readers(value) == 1
    }

    /// Whether all that read a value take bytes of it.
    fn wants_bytes_only(&self, value: ValueId) -> bool {
        let layers = self.network.layers.iter().enumerate();
        let mut readers = layers.filter(|(_, layer)| layer.reads().contains(&value));
        let beside = |layer: &Layer| layer.reads()[1..].contains(&value);
        !self.network.outputs.contains(&value)
            && readers.all(|(index, layer)| self.in_bytes(index) && !beside(layer))
    }

    fn collect_needs(&mut self) {
        for (index, layer) in self.network.layers.iter().enumerate() {
            let (in_bytes, in_fours) = (self.in_bytes(index), self.in_fours(index));
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
                need.floats = true;
                need.last = need.last.max(index);
            }
        }
        for &output in &self.network.outputs {
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
                quantum: self.quantum(value),
            });
        }
    }

    /// How a value becomes bytes; what its activation cuts off needs none.
    pub(super) fn quantum(&self, value: ValueId) -> Quantum {
        let Some(observed) = self.observed.get(value) else { return Quantum::default() };
        let layer = value.checked_sub(1).and_then(|layer| self.convolution(layer));
        let bounds = layer.map(|convolution| convolution.activation.bounds());
        observed.quantum(bounds.unwrap_or((f32::NEG_INFINITY, f32::INFINITY)))
    }
}
