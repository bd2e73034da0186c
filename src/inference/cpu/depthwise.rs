//! The depthwise kernels: one row of output pixels, each channel with its own weights.
//!
//! Beyond the border lies nothing: rows that are missing are not in the list of rows, columns that
//! are missing are skipped. So the input needs no padding, which for a window of 5 over 7 x 7
//! pixels would more than double it.

use super::lanes::Lanes;
use super::tile::Quantum;

/// The greatest side of a depthwise window.
pub(super) const SIDE_MAX: usize = 7;

/// One row of output.
#[derive(Clone, Copy)]
pub(super) struct DepthwiseRow {
    /// The input rows under the window that exist, from the top; each begins at the left border.
    pub(super) rows: [*const f32; SIDE_MAX],
    /// How many of `rows` there are.
    pub(super) row_count: usize,
    pub(super) side: usize,
    pub(super) stride: usize,
    /// Pixels of an input row.
    pub(super) width: usize,
    /// Columns that are missing under the first output pixel.
    pub(super) missing: usize,
    /// Output pixels.
    pub(super) pixels: usize,
    /// Channels, a multiple of the lanes; also the step from pixel to pixel.
    pub(super) channels: usize,
    /// `row_count * side` runs of `channels`, those of the first existing row first.
    pub(super) weights: *const f32,
    pub(super) bias: *const f32,
    pub(super) bounds: (f32, f32),
    /// Null where no floats are wanted.
    pub(super) floats: *mut f32,
    /// Null where no bytes are wanted.
    pub(super) bytes: *mut u8,
    pub(super) quantum: Quantum,
}

/// Pixels that share the loads of the weights and, where windows overlap, of the input. The images
/// of networks for 224 pixels have sides of 7, 14, 28 and so on.
const RUN: usize = 7;

/// Convolves a row with a window of `SIDE x SIDE` moved by `STRIDE`.
///
/// # Safety
/// The processor has the instruction set `L`. Every row is valid for `width * channels` elements,
/// outputs for `pixels * channels`, weights and bias for their extents.
#[inline(always)]
pub(super) unsafe fn depthwise_row<L: Lanes, const SIDE: usize, const STRIDE: usize>(
    row: &DepthwiseRow,
) {
    if row.pixels < RUN {
        // SAFETY: passed on.
        return unsafe { depthwise_row_any::<L>(row) };
    }
    for x in (0..row.pixels).step_by(RUN) {
        // Some pixels a second time is cheaper than the rest one by one.
        let x = x.min(row.pixels - RUN);
        let start = x * STRIDE;
        let end = start + (RUN - 1) * STRIDE + SIDE;
        // SAFETY: passed on; only a run whose columns all exist is not clipped.
        unsafe {
            if start >= row.missing && end <= row.width + row.missing {
                run::<L, SIDE, STRIDE, false>(row, x);
            } else {
                run::<L, SIDE, STRIDE, true>(row, x);
            }
        }
    }
}

/// Convolves a row with a window of any side and stride.
///
/// # Safety
/// As for [`depthwise_row`].
#[inline(always)]
pub(super) unsafe fn depthwise_row_any<L: Lanes>(row: &DepthwiseRow) {
    for x in 0..row.pixels {
        // SAFETY: passed on.
        unsafe { clipped_pixel::<L>(row, x) }
    }
}

/// Repeats `body` for each column under a run: the compiler leaves a loop over more than a dozen of
/// them in place, with the sums in memory.
macro_rules! for_columns {
    ($($index:literal)+, |$column:ident| $body:block) => {
        $({
            const COLUMN: usize = $index;
            let $column = COLUMN;
            $body
        })+
    };
}

/// The pixels from `x`, if `CLIPPED` without the columns that do not exist.
///
/// # Safety
/// As for [`depthwise_row`]; unless `CLIPPED`, all columns under the pixels exist.
#[inline(always)]
unsafe fn run<L: Lanes, const SIDE: usize, const STRIDE: usize, const CLIPPED: bool>(
    row: &DepthwiseRow,
    x: usize,
) {
    let channels = row.channels;
    // Columns are counted with those missing on the left.
    let exist = row.missing..row.missing + row.width;
    let start = x * STRIDE;
    // SAFETY: the contract of this function is the contract of each operation; a column is only
    // read if it exists.
    unsafe {
        for channel in (0..channels).step_by(L::COUNT) {
            let mut sums = [L::load(row.bias.add(channel)); RUN];
            for tap_y in 0..row.row_count {
                let line = row.rows[tap_y].add(channel);
                let mut weights = [L::splat(0.0); SIDE];
                for tap_x in 0..SIDE {
                    let tap = tap_y * SIDE + tap_x;
                    weights[tap_x] = L::load(row.weights.add(tap * channels + channel));
                }
                for_columns!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16, |column| {
                    let at = start + column;
                    if column < (RUN - 1) * STRIDE + SIDE && (!CLIPPED || exist.contains(&at)) {
                        let value = L::load(line.add((at - row.missing) * channels));
                        for tap in (column % STRIDE..SIDE.min(column + 1)).step_by(STRIDE) {
                            let pixel = (column - tap) / STRIDE;
                            if pixel < RUN {
                                sums[pixel] = L::fma(value, weights[tap], sums[pixel]);
                            }
                        }
                    }
                });
            }
            for pixel in 0..RUN {
                finish::<L>(row, (x + pixel) * channels + channel, sums[pixel]);
            }
        }
    }
}

/// One output pixel, without the columns that do not exist.
///
/// # Safety
/// As for [`depthwise_row`].
#[inline(always)]
unsafe fn clipped_pixel<L: Lanes>(row: &DepthwiseRow, x: usize) {
    let channels = row.channels;
    let first = row.missing.saturating_sub(x * row.stride);
    let end = row.side.min((row.width + row.missing).saturating_sub(x * row.stride));
    // SAFETY: the contract of this function is the contract of each operation; columns run from
    // `first`, which is the row's first pixel or a later one, to the row's end.
    unsafe {
        for channel in (0..channels).step_by(L::COUNT) {
            let mut sum = L::load(row.bias.add(channel));
            for tap_y in 0..row.row_count {
                for tap_x in first..end {
                    let column = x * row.stride + tap_x - row.missing;
                    let value = L::load(row.rows[tap_y].add(column * channels + channel));
                    let tap = tap_y * row.side + tap_x;
                    let weight = L::load(row.weights.add(tap * channels + channel));
                    sum = L::fma(value, weight, sum);
                }
            }
            finish::<L>(row, x * channels + channel, sum);
        }
    }
}

/// Applies the activation and writes what is wanted.
///
/// # Safety
/// As for [`depthwise_row`]; `at` is the first element of a vector of the output.
#[inline(always)]
unsafe fn finish<L: Lanes>(row: &DepthwiseRow, at: usize, sum: L::Floats) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let value = L::min(L::max(sum, L::splat(row.bounds.0)), L::splat(row.bounds.1));
        if !row.floats.is_null() {
            L::store(row.floats.add(at), value);
        }
        if !row.bytes.is_null() {
            let steps = L::splat(row.quantum.steps_per_unit);
            L::store_bytes(row.bytes.add(at), L::fma(value, steps, L::splat(row.quantum.zero)));
        }
    }
}
