//! The pooling kernels, and the step from floats to bytes.

use super::lanes::Lanes;
use super::tile::Quantum;

/// Takes the greatest of `count` vectors that lie in a grid of `width` by `height` pixels.
#[derive(Clone, Copy)]
pub(super) struct MaxWindow {
    pub(super) input: *const f32,
    /// Pixels of the window that lie inside the image.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Elements from row to row.
    pub(super) row_step: usize,
    /// Channels, a multiple of the lanes; also the step from pixel to pixel.
    pub(super) channels: usize,
    pub(super) output: *mut f32,
}

/// The maximum of each channel over a window.
///
/// # Safety
/// The processor has the instruction set `L`; the window and the output are valid for their
/// extents; the window has at least one pixel.
#[inline(always)]
pub(super) unsafe fn max_window<L: Lanes>(window: &MaxWindow) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for channel in (0..window.channels).step_by(L::COUNT) {
            let mut best = L::load(window.input.add(channel));
            for y in 0..window.height {
                let row = window.input.add(y * window.row_step + channel);
                for x in 0..window.width {
                    best = L::max(L::load(row.add(x * window.channels)), best);
                }
            }
            L::store(window.output.add(channel), best);
        }
    }
}

/// Adds each of `pixels` neighbors in memory, times `factor`, to the sums.
#[derive(Clone, Copy)]
pub(super) struct MeanRow {
    pub(super) input: *const f32,
    pub(super) pixels: usize,
    /// Channels, a multiple of the lanes; also the step from pixel to pixel.
    pub(super) channels: usize,
    pub(super) factor: f32,
    pub(super) sums: *mut f32,
}

/// One row of an average over all positions.
///
/// # Safety
/// The processor has the instruction set `L`; input and sums are valid for their extents.
#[inline(always)]
pub(super) unsafe fn mean_row<L: Lanes>(row: &MeanRow) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let factor = L::splat(row.factor);
        for channel in (0..row.channels).step_by(L::COUNT) {
            let mut sum = L::splat(0.0);
            for pixel in 0..row.pixels {
                sum = L::add(sum, L::load(row.input.add(pixel * row.channels + channel)));
            }
            let to = row.sums.add(channel);
            L::store(to, L::fma(sum, factor, L::load(to)));
        }
    }
}

/// A run of floats to be written as bytes.
#[derive(Clone, Copy)]
pub(super) struct ByteRun {
    pub(super) input: *const f32,
    /// A multiple of the lanes.
    pub(super) length: usize,
    pub(super) output: *mut u8,
    pub(super) quantum: Quantum,
}

/// Quantises a run of floats.
///
/// # Safety
/// The processor has the instruction set `L`; input and output are valid for `length` elements.
#[inline(always)]
pub(super) unsafe fn byte_run<L: Lanes>(run: &ByteRun) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let (steps, zero) = (L::splat(run.quantum.steps_per_unit), L::splat(run.quantum.zero));
        for at in (0..run.length).step_by(L::COUNT) {
            L::store_bytes(run.output.add(at), L::fma(L::load(run.input.add(at)), steps, zero));
        }
    }
}
