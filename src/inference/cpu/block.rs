//! The fused inverted residual block: expand, depthwise, project, row by row.
//!
//! Layer by layer, the six times wider image between the convolutions is written to and read from
//! the far caches twice. Here a row of output needs as many expanded rows as the window is high;
//! they are kept in a ring in scratch memory, which fits the L2 cache, and each is computed once.

use super::panels::FloatPanels;
use super::steps::{Context, DepthwiseWeights, Place};
use super::tile::{BATCH_MAX, Batch, NO_BYTES};

/// Expand, depthwise and project over a value.
pub(super) struct Block {
    /// Absent in a block that does not widen.
    pub(super) expand: Option<FloatPanels>,
    pub(super) depthwise: DepthwiseWeights,
    pub(super) project: FloatPanels,
    pub(super) input: Place,
    pub(super) output: Place,
    pub(super) residual: Option<Place>,
}

impl Block {
    /// Floats of scratch: the ring of expanded rows, and one row after the depthwise convolution.
    pub(super) fn scratch(depthwise: &DepthwiseWeights, expand: bool) -> usize {
        let row = depthwise.channels * depthwise.input_side;
        let slots = if expand { depthwise.window.side } else { 0 };
        row * slots + depthwise.channels * depthwise.side
    }

    pub(super) fn run(&self, context: &Context<'_>) {
        let depthwise = &self.depthwise;
        let slots = depthwise.window.side;
        let row_floats = depthwise.channels * depthwise.input_side;
        let length = Self::scratch(depthwise, self.expand.is_some());
        let scratch = context.memory.floats(context.scratch, length);
        let narrow = scratch.wrapping_add(length - depthwise.channels * depthwise.side);
        let slot = |row: usize| match self.expand {
            Some(_) => scratch.wrapping_add(row % slots * row_floats),
            None => context.line(self.input, 4, row).cast(),
        };
        let rows = context.member.share(depthwise.side);
        let mut expanded = if rows.is_empty() { 0 } else { depthwise.rows_under(rows.start).start };
        let mut batch = Batch::empty();
        for y in rows {
            if let Some(expand) = &self.expand {
                while expanded < depthwise.rows_under(y).end {
                    self.expand_row(context, expand, &mut batch, expanded, slot(expanded));
                    expanded += 1;
                }
            }
            // SAFETY: the ring holds the rows under `y`, since it has as many slots as the window
            // has rows; the scratch is this member's own.
            unsafe {
                let row = |index| slot(index).cast_const();
                depthwise.run(context.kernels, y, row, (narrow, std::ptr::null_mut()), NO_BYTES);
            }
            self.project_row(context, &mut batch, y, narrow);
        }
    }

    fn expand_row(
        &self,
        context: &Context<'_>,
        expand: &FloatPanels,
        batch: &mut Batch,
        y: usize,
        slot: *mut f32,
    ) {
        let image = self.input.image;
        let line: *mut f32 = context.line(self.input, 4, y).cast();
        for first in (0..image.side).step_by(BATCH_MAX) {
            batch.count = 0;
            for x in first..image.side.min(first + BATCH_MAX) {
                batch.push(
                    line.wrapping_add(x * image.channels).cast(),
                    slot.wrapping_add(x * self.depthwise.channels),
                    std::ptr::null_mut(),
                    std::ptr::null(),
                );
            }
            // SAFETY: the line lies in an image that was checked; a slot has room for a row.
            unsafe {
                let panels = 0..expand.panel_count();
                expand.multiply(context.kernels, batch, panels);
            }
        }
    }

    fn project_row(&self, context: &Context<'_>, batch: &mut Batch, y: usize, narrow: *mut f32) {
        let (side, to) = (self.depthwise.side, self.output.image);
        let output: *mut f32 = context.line(self.output, 4, y).cast();
        for first in (0..side).step_by(BATCH_MAX) {
            batch.count = 0;
            for x in first..side.min(first + BATCH_MAX) {
                let residual = self.residual.map_or(std::ptr::null_mut(), |place| {
                    let line: *mut f32 = context.line(place, 4, y).cast();
                    line.wrapping_add(x * place.image.channels)
                });
                batch.push(
                    narrow.wrapping_add(x * self.depthwise.channels).cast(),
                    output.wrapping_add(x * to.channels),
                    std::ptr::null_mut(),
                    residual,
                );
            }
            // SAFETY: the narrow row is full; the lines lie in images that were checked, and rows
            // of output belong to one member.
            unsafe {
                let panels = 0..self.project.panel_count();
                self.project.multiply(context.kernels, batch, panels);
            }
        }
    }
}
