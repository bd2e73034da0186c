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

/// Pixels that share the loads of the weights and, where windows overlap, of the input.
const RUN: usize = 4;

/// Convolves a row with a window of `SIDE x SIDE` moved by `STRIDE`.
///
/// # Safety
/// The processor has the instruction set `L`. Every row is valid for `width * channels` elements,
/// outputs for `pixels * channels`, weights and bias for their extents.
#[inline(always)]
pub(super) unsafe fn depthwise_row<L: Lanes, const SIDE: usize, const STRIDE: usize>(
    row: &DepthwiseRow,
) {
    // Output pixels in `inner` see no missing column.
    let first = row.missing.div_ceil(STRIDE).min(row.pixels);
    let reach = (row.width + row.missing + STRIDE).saturating_sub(SIDE) / STRIDE;
    let end = reach.clamp(first, row.pixels);
    // SAFETY: every run lies in `first..end`, where all columns exist; `clipped_pixel` sees to the
    // columns itself. The caller answers for the rest.
    unsafe {
        for x in (0..first).chain(end..row.pixels) {
            clipped_pixel::<L>(row, x);
        }
        let mut x = first;
        while x + RUN <= end {
            run::<L, SIDE, STRIDE, RUN>(row, x);
            x += RUN;
        }
        if x < end && end - first >= RUN {
            // Some pixels a second time is cheaper than the rest one by one.
            run::<L, SIDE, STRIDE, RUN>(row, end - RUN);
            x = end;
        }
        while x < end {
            run::<L, SIDE, STRIDE, 1>(row, x);
            x += 1;
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

/// # Safety
/// As for [`depthwise_row`]; the windows of the pixels from `x` lie inside the row.
#[inline(always)]
unsafe fn run<L: Lanes, const SIDE: usize, const STRIDE: usize, const PIXELS: usize>(
    row: &DepthwiseRow,
    x: usize,
) {
    let channels = row.channels;
    let start = (x * STRIDE - row.missing) * channels;
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for channel in (0..channels).step_by(L::COUNT) {
            let mut sums = [L::load(row.bias.add(channel)); PIXELS];
            for tap_y in 0..row.row_count {
                let line = row.rows[tap_y].add(start + channel);
                let mut weights = [L::splat(0.0); SIDE];
                for tap_x in 0..SIDE {
                    let tap = tap_y * SIDE + tap_x;
                    weights[tap_x] = L::load(row.weights.add(tap * channels + channel));
                }
                // Input columns one after the other, each to all the pixels that see it.
                for column in 0..(PIXELS - 1) * STRIDE + SIDE {
                    let value = L::load(line.add(column * channels));
                    for pixel in 0..PIXELS {
                        if column >= pixel * STRIDE && column < pixel * STRIDE + SIDE {
                            let weight = weights[column - pixel * STRIDE];
                            sums[pixel] = L::fma(value, weight, sums[pixel]);
                        }
                    }
                }
            }
            for pixel in 0..PIXELS {
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
