//! The fused inverted residual block: expand, depthwise, project, row by row.
//!
//! Layer by layer, the six times wider image between the convolutions is written to and read from
//! the far caches twice. Here a row of output needs as many expanded rows as the window is high;
//! they are kept in a ring in scratch memory, which fits the L2 cache, and each is computed once.

use super::four_depthwise::FourDepthwise;
use super::panels::Product;
use super::stem::StemRows;
use super::steps::{Context, DepthwiseShape, DepthwiseWeights, Place, Value, offset};
use super::tile::{BATCH_MAX, Batch, Quantum};

/// Expand, depthwise and project over a value.
pub(super) struct Block {
    pub(super) expand: Expand,
    pub(super) middle: Middle,
    pub(super) project: Product,
    pub(super) output: Value,
    pub(super) residual: Option<Place>,
}

/// Where the rows of the depthwise convolution come from.
pub(super) enum Expand {
    /// They lie in the arena: the block does not widen.
    Absent {
        input: Place,
    },
    Product {
        product: Product,
        input: Place,
    },
    /// The first convolution of the network.
    Stem(StemRows),
}

/// The depthwise convolution, and what its rows are made of.
pub(super) enum Middle {
    Floats {
        weights: DepthwiseWeights,
        /// How its output becomes bytes, if it does.
        quantum: Option<Quantum>,
    },
    Fours(FourDepthwise),
}

impl Middle {
    fn shape(&self) -> DepthwiseShape {
        match self {
            Self::Floats { weights, .. } => weights.shape,
            Self::Fours(fours) => fours.shape,
        }
    }
}

/// Where a block keeps its rows in scratch memory.
struct Rows {
    /// Expanded rows, one after the other.
    ring: *mut u8,
    slots: usize,
    /// Bytes of an expanded row.
    row_step: usize,
    /// A row after the depthwise convolution.
    narrow: *mut u8,
    /// What the first convolution needs for itself.
    stem: *mut f32,
}

impl Block {
    /// Bytes of the ring of expanded rows and of the row after the depthwise convolution.
    fn scratch_bytes(&self) -> (usize, usize) {
        let shape = self.middle.shape();
        let slots = shape.window.side;
        let ring = match &self.middle {
            _ if matches!(self.expand, Expand::Absent { .. }) => 0,
            Middle::Floats { .. } => slots * shape.channels * shape.input_side * 4,
            Middle::Fours(fours) => fours.image.length(slots),
        };
        let narrow = shape.channels * shape.side * self.project.element_bytes();
        (ring.next_multiple_of(64), narrow.next_multiple_of(64))
    }

    /// Floats of scratch.
    pub(super) fn scratch(&self) -> usize {
        let (ring, narrow) = self.scratch_bytes();
        let stem = match &self.expand {
            Expand::Stem(rows) => rows.scratch(),
            _ => 0,
        };
        (ring + narrow) / 4 + stem
    }

    fn rows(&self, context: &Context<'_>) -> Rows {
        let shape = self.middle.shape();
        let (length, narrow) = self.scratch_bytes();
        let ring: *mut u8 = context.memory.floats(context.scratch, self.scratch()).cast();
        let slots = shape.window.side;
        let row_step = match &self.middle {
            Middle::Floats { .. } => shape.channels * shape.input_side * 4,
            Middle::Fours(fours) => fours.image.row_step(),
        };
        if let (Middle::Fours(fours), Expand::Product { .. }) = (&self.middle, &self.expand) {
            fours.image.border_runs(slots, |start, length| {
                // SAFETY: the runs lie in the ring, which has room for so many rows.
                unsafe { ring.wrapping_add(start).write_bytes(0, length) }
            });
        }
        let stem = ring.wrapping_add(length + narrow).cast();
        Rows { ring, slots, row_step, narrow: ring.wrapping_add(length), stem }
    }

    pub(super) fn run(&self, context: &Context<'_>) {
        let shape = self.middle.shape();
        let scratch = self.rows(context);
        let slot = |row: usize| match self.expand {
            Expand::Absent { input } => context.line(input, 4, row),
            _ => scratch.ring.wrapping_add(row % scratch.slots * scratch.row_step),
        };
        let rows = context.member.share(shape.side);
        let mut expanded = if rows.is_empty() { 0 } else { shape.rows_under(rows.start).start };
        let mut batch = Batch::empty();
        for y in rows {
            while expanded < shape.rows_under(y).end {
                let to = slot(expanded);
                match &self.expand {
                    Expand::Absent { .. } => {}
                    Expand::Product { product, input } => {
                        self.expand_row(context, (product, *input), &mut batch, expanded, to);
                    }
                    Expand::Stem(stem) => {
                        let row = (to.cast(), std::ptr::null_mut(), shape.channels);
                        // SAFETY: a slot has room for a row; the scratch is this member's own.
                        unsafe { stem.run(context, scratch.stem, &mut batch, expanded, row) }
                    }
                }
                expanded += 1;
            }
            // SAFETY: the ring holds the rows under `y`, since it has as many slots as the window
            // has rows; the scratch is this member's own.
            unsafe { self.filter_row(context, y, slot, scratch.narrow) }
            self.project_row(context, &mut batch, y, scratch.narrow);
        }
    }

    /// The depthwise convolution.
    ///
    /// # Safety
    /// `slot` gives the rows under `y`; `narrow` has room for a row of output.
    unsafe fn filter_row(
        &self,
        context: &Context<'_>,
        y: usize,
        slot: impl Fn(usize) -> *mut u8,
        narrow: *mut u8,
    ) {
        match &self.middle {
            Middle::Floats { weights, quantum } => {
                let row = |index| slot(index).cast_const().cast();
                let (floats, bytes) = match quantum {
                    Some(_) => (std::ptr::null_mut(), narrow),
                    None => (narrow.cast(), std::ptr::null_mut()),
                };
                let quantum = quantum.unwrap_or_default();
                // SAFETY: passed on.
                unsafe { weights.run(context.kernels, y, row, (floats, bytes), quantum) }
            }
            Middle::Fours(fours) => {
                let row = |index| slot(index).cast_const();
                // SAFETY: passed on; the ring has the slack behind its last row.
                unsafe { fours.run(y, 0..fours.shape.channels, row, narrow) }
            }
        }
    }

    fn expand_row(
        &self,
        context: &Context<'_>,
        (expand, input): (&Product, Place),
        batch: &mut Batch,
        y: usize,
        slot: *mut u8,
    ) {
        let (side, channels) = (input.image.side, input.image.channels);
        let element = expand.element_bytes();
        let line = context.line(input, element, y);
        for first in (0..side).step_by(BATCH_MAX) {
            batch.count = 0;
            for x in first..side.min(first + BATCH_MAX) {
                let (floats, bytes): (*mut f32, *mut u8) = match &self.middle {
                    Middle::Floats { weights, .. } => {
                        let floats: *mut f32 = slot.cast();
                        (floats.wrapping_add(x * weights.shape.channels), std::ptr::null_mut())
                    }
                    Middle::Fours(fours) => {
                        let four = slot.wrapping_add((x / 4 + 1) * fours.image.step());
                        (std::ptr::null_mut(), four)
                    }
                };
                let window = line.wrapping_add(x * channels * element);
                batch.push(window, floats, bytes, std::ptr::null());
            }
            batch.width = batch.count;
            // SAFETY: the line lies in an image that was checked; a slot has room for a row.
            unsafe {
                let panels = 0..expand.panel_count();
                expand.multiply(context.kernels, batch, panels);
            }
        }
    }

    fn project_row(&self, context: &Context<'_>, batch: &mut Batch, y: usize, narrow: *mut u8) {
        let DepthwiseShape { side, channels, .. } = self.middle.shape();
        let element = self.project.element_bytes();
        let line = |place: Option<Place>, element| {
            place.map_or((std::ptr::null_mut(), 0), |place| {
                (context.line(place, element, y), place.image.channels)
            })
        };
        let (floats, floats_step) = line(self.output.floats, 4);
        let (bytes, bytes_step) = line(self.output.bytes, 1);
        let (residual, residual_step) = line(self.residual, 4);
        for first in (0..side).step_by(BATCH_MAX) {
            batch.count = 0;
            for x in first..side.min(first + BATCH_MAX) {
                batch.push(
                    narrow.wrapping_add(x * channels * element),
                    offset(floats.cast(), x * floats_step),
                    offset(bytes, x * bytes_step),
                    offset(residual.cast(), x * residual_step),
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
