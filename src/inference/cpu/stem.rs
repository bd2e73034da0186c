//! The first convolution: from the bytes of the input image.

use super::panels::Product;
use super::steps::{Context, Place, Value, offset};
use super::tile::{BATCH_MAX, Batch};
use crate::inference::network::{Input, Window};

/// Steps of a word for each level of a byte: so fine is a channel's mean taken.
pub(super) const WORD_STEPS: f32 = 64.0;

/// Computes the rows of the first convolution one by one.
pub(super) struct StemRows {
    pub(super) product: Product,
    pub(super) window: Window,
    pub(super) input_side: usize,
    pub(super) side: usize,
    pub(super) normal: Normal,
}

/// How the bytes of an input row become the elements that are multiplied, one entry for each.
pub(super) enum Normal {
    /// `(byte - mean) * scale`.
    Floats { mean: Vec<f32>, scale: Vec<f32> },
    /// `byte * WORD_STEPS - mean`; the scale is in the weights.
    Words { mean: Vec<i16> },
}

impl Normal {
    pub(super) fn floats(input: &Input) -> Self {
        let row = |values: [f32; 3]| values.repeat(input.side_px);
        Self::Floats { mean: row(input.mean), scale: row(input.scale) }
    }

    pub(super) fn words(input: &Input) -> Self {
        let mean = input.mean.map(|mean| (mean * WORD_STEPS).round() as i16);
        Self::Words { mean: mean.repeat(input.side_px) }
    }

    fn element_bytes(&self) -> usize {
        match self {
            Self::Floats { .. } => 4,
            Self::Words { .. } => 2,
        }
    }
}

impl StemRows {
    /// Elements from row to row of what is multiplied: with the columns that are missing, and two
    /// more that a window of an odd number of words may read.
    pub(super) fn row_step(window: Window, input_side: usize) -> usize {
        let (before, after) = window.missing(input_side);
        ((before + input_side + after) * 3 + 2).next_multiple_of(2)
    }

    /// Floats of scratch.
    pub(super) fn scratch(&self) -> usize {
        Self::row_step(self.window, self.input_side) * self.window.side
    }

    /// Computes output row `y` into `floats` and `bytes`, pixels `step` apart; either may be null,
    /// and bytes are given by products of words only.
    ///
    /// # Safety
    /// `scratch` is valid for as many floats as [`StemRows::scratch`] says and this member's own;
    /// what is not null is valid for the row with the padded channels.
    pub(super) unsafe fn run(
        &self,
        context: &Context<'_>,
        scratch: *mut f32,
        batch: &mut Batch,
        y: usize,
        (floats, bytes, step): (*mut f32, *mut u8, usize),
    ) {
        let element = self.normal.element_bytes();
        let row_step = Self::row_step(self.window, self.input_side);
        let scratch: *mut u8 = scratch.cast();
        for row in 0..self.window.side {
            let to = scratch.wrapping_add(row * row_step * element);
            // SAFETY: passed on: the scratch has room for the rows of a window.
            unsafe { self.convert(context.pixels, y * self.window.stride + row, to) }
        }
        for first in (0..self.side).step_by(BATCH_MAX) {
            batch.count = 0;
            for x in first..self.side.min(first + BATCH_MAX) {
                batch.push(
                    scratch.wrapping_add(x * self.window.stride * 3 * element),
                    offset(floats, x * step),
                    offset(bytes, x * step),
                    std::ptr::null(),
                );
            }
            // SAFETY: the windows lie in the rows, which have the missing columns too.
            unsafe {
                self.product.multiply(context.kernels, batch, 0..self.product.panel_count());
            }
        }
    }

    /// Converts an input row; `top` counts rows with those missing above.
    ///
    /// # Safety
    /// `to` is valid for a row.
    unsafe fn convert(&self, pixels: &[u8], top: usize, to: *mut u8) {
        let row_step = Self::row_step(self.window, self.input_side);
        let (before, _) = self.window.missing(self.input_side);
        let length = self.input_side * 3;
        let line = match top.checked_sub(before) {
            Some(y) if y < self.input_side => &pixels[y * length..(y + 1) * length],
            _ => &[],
        };
        match &self.normal {
            Normal::Floats { mean, scale } => {
                // SAFETY: the caller answers for the row; scratch begins at a cache line and a row
                // is a whole number of floats.
                let row = unsafe { std::slice::from_raw_parts_mut(to.cast::<f32>(), row_step) };
                row.fill(0.0);
                for (to, ((&byte, mean), scale)) in
                    row[before * 3..].iter_mut().zip(line.iter().zip(mean).zip(scale))
                {
                    *to = (f32::from(byte) - mean) * scale;
                }
            }
            Normal::Words { mean } => {
                // SAFETY: as above; a row is a whole number of words.
                let row = unsafe { std::slice::from_raw_parts_mut(to.cast::<i16>(), row_step) };
                row.fill(0);
                for (to, (&byte, mean)) in row[before * 3..].iter_mut().zip(line.iter().zip(mean)) {
                    *to = i16::from(byte) * WORD_STEPS as i16 - mean;
                }
            }
        }
    }
}

/// The first convolution, where no block begins with it.
pub(super) struct Stem {
    pub(super) rows: StemRows,
    pub(super) output: Value,
}

impl Stem {
    pub(super) fn run(&self, context: &Context<'_>) {
        let scratch = context.memory.floats(context.scratch, self.rows.scratch());
        let Value { floats, bytes, .. } = self.output;
        let image = floats.or(bytes).map(|place| place.image);
        let channels = image.map_or(0, |image| image.channels);
        let mut batch = Batch::empty();
        for y in context.member.share(self.rows.side) {
            let line = |place: Option<Place>, element| {
                place.map_or(std::ptr::null_mut(), |place| context.line(place, element, y))
            };
            let row = (line(floats, 4).cast(), line(bytes, 1), channels);
            // SAFETY: the scratch was checked and is this member's own; rows of output lie in
            // images that were checked, and belong to one member.
            unsafe { self.rows.run(context, scratch, &mut batch, y, row) }
        }
    }
}
