//! Which layers of a network work in bytes, and what a byte of each value is worth.

use super::compile::Compiler;
use super::finish::{Finish, fits_bytes};
use super::plan::Precision;
use super::tile::{BATCH_MAX, Quantum};
use crate::inference::network::{Layer, Operation, ValueId};

impl Compiler<'_> {
    /// Whether a layer multiplies bytes. All dense convolutions do but the first, whose input is
    /// the image, those over a single pixel, which cost nothing, and those with an activation that
    /// the kernels of bytes do not know.
    pub(super) fn in_bytes(&self, layer: usize) -> bool {
        let input = self.network.layers[layer].input;
        self.precision == Precision::Int8
            && input != 0
            && self.shapes[input].side > 1
            && self
                .convolution(layer)
                .is_some_and(|convolution| !convolution.depthwise && fits_bytes(convolution))
    }

    /// Whether a layer is a first convolution that multiplies words: they are as exact as it needs
    /// and take half the time of floats.
    pub(super) fn in_words(&self, layer: usize) -> bool {
        self.precision == Precision::Int8
            && self.network.layers[layer].input == 0
            && self
                .convolution(layer)
                .is_some_and(|convolution| !convolution.depthwise && fits_bytes(convolution))
    }

    /// Whether a layer only moves bytes: it computes nothing, and bytes are all that is wanted of
    /// it. Its inputs and its output then have bytes of one worth.
    pub(super) fn moves_bytes(&self, layer: usize) -> bool {
        let definition = &self.network.layers[layer];
        self.precision == Precision::Int8
            && matches!(definition.operation, Operation::MaxPool(_) | Operation::Concat(_))
            && definition.reads().iter().all(|&read| read != 0)
            && self.wants_bytes_only(layer + 1)
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
            && readers.all(|(index, layer)| {
                self.in_bytes(index) && !beside(layer) || self.moves_bytes(index)
            })
    }

    /// How each value becomes bytes; what its activation cuts off needs none.
    pub(super) fn quanta(&self) -> Vec<Quantum> {
        if self.precision == Precision::Float32 {
            return vec![Quantum::default(); self.shapes.len()];
        }
        let mut ends: Vec<(f32, f32)> =
            (0..self.shapes.len()).map(|value| self.ends(value)).collect();
        let mut group: Vec<ValueId> = (0..ends.len()).collect();
        for (layer, definition) in self.network.layers.iter().enumerate() {
            if !self.moves_bytes(layer) {
                continue;
            }
            for read in definition.reads() {
                let (from, to) = (group[layer + 1], group[read]);
                group.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
            }
        }
        for value in 0..ends.len() {
            let (low, high) = ends[value];
            let shared = &mut ends[group[value]];
            *shared = (shared.0.min(low), shared.1.max(high));
        }
        group.into_iter().map(|group| Quantum::between(ends[group].0, ends[group].1)).collect()
    }

    /// The least and the greatest element that a value was seen to have, and zero.
    fn ends(&self, value: ValueId) -> (f32, f32) {
        let layer = value.checked_sub(1).and_then(|layer| self.convolution(layer));
        let bounds = layer.map(|convolution| convolution.activation.bounds());
        let (low, high) = bounds.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let observed = &self.observed[value];
        (observed.low.max(low).min(0.0), observed.high.min(high).max(0.0))
    }
}
