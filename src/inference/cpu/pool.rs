//! The pooling kernels, and the step from floats to bytes.

use super::lanes::Lanes;
use super::tile::Quantum;

/// Takes the greatest of `count` vectors that lie in a grid of `width` by `height` pixels.
#[derive(Clone, Copy)]
pub(super) struct MaxWindow {
    /// Floats or bytes, as the kernel takes them.
    pub(super) input: *const u8,
    /// Pixels of the window that lie inside the image.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Elements from row to row.
    pub(super) row_step: usize,
    /// Channels, a multiple of the lanes; also the step from pixel to pixel.
    pub(super) channels: usize,
    pub(super) output: *mut u8,
}

/// The maximum of each channel over a window of floats.
///
/// # Safety
/// The processor has the instruction set `L`; the window and the output are valid for their
/// extents; the window has at least one pixel.
#[inline(always)]
pub(super) unsafe fn max_window<L: Lanes>(window: &MaxWindow) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let (input, output) = (window.input.cast::<f32>(), window.output.cast::<f32>());
        for channel in (0..window.channels).step_by(L::COUNT) {
            let mut best = L::load(input.add(channel));
            for y in 0..window.height {
                let row = input.add(y * window.row_step + channel);
                for x in 0..window.width {
                    best = L::max(L::load(row.add(x * window.channels)), best);
                }
            }
            L::store(output.add(channel), best);
        }
    }
}

/// The maximum of each channel over a window of bytes.
///
/// # Safety
/// As for [`max_window`].
#[inline(always)]
pub(super) unsafe fn max_window_bytes<L: Lanes>(window: &MaxWindow) {
    /// As many bytes as one register of any instruction set; the compiler makes an operation of it.
    const RUN: usize = 16;
    // SAFETY: the contract of this function is the contract of each operation; a run ends with the
    // channels.
    unsafe {
        let length = RUN.min(window.channels);
        for channel in (0..window.channels).step_by(RUN) {
            // The last run overlaps the one before it: a maximum may be taken twice.
            let channel = channel.min(window.channels - length);
            let mut best = [0; RUN];
            for y in 0..window.height {
                let row = window.input.add(y * window.row_step + channel);
                for x in 0..window.width {
                    let pixel = row.add(x * window.channels);
                    if length == RUN {
                        let bytes = pixel.cast::<[u8; RUN]>().read_unaligned();
                        for (best, byte) in best.iter_mut().zip(bytes) {
                            *best = byte.max(*best);
                        }
                    } else {
                        for (at, best) in best[..length].iter_mut().enumerate() {
                            *best = (*pixel.add(at)).max(*best);
                        }
                    }
                }
            }
            window.output.add(channel).copy_from_nonoverlapping(best.as_ptr(), length);
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
