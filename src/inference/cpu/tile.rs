//! The matrix product kernels: a tile of pixels by channels whose sums stay in registers.
//!
//! A convolution is a matrix product without a matrix being built ("implicit GEMM"): channels lie
//! last, so that the window's row above a pixel is one run of `side * channels` neighbors in memory.
//! Each pixel of a tile is a pointer to its window; the window's rows (`taps`) are a fixed step apart.
//! Weights are packed into panels: for each element of the window, one or several vectors of output
//! channels. See Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).

use super::lanes::{BYTE_MAX, Lanes};

/// The windows of up to [`BATCH_MAX`] pixels and where their results go.
pub(super) struct Batch {
    pub(super) count: usize,
    /// Pixels of a row, where the output's columns lie by fours: then the batch is whole rows.
    pub(super) width: usize,
    /// The first element of each pixel's window: floats or bytes, as the product takes them.
    pub(super) windows: [*const u8; BATCH_MAX],
    /// Null where no floats are wanted.
    pub(super) floats: [*mut f32; BATCH_MAX],
    /// Null where no bytes are wanted.
    pub(super) bytes: [*mut u8; BATCH_MAX],
    /// What is added before the activation; null where there is nothing.
    pub(super) residual: [*const f32; BATCH_MAX],
}

impl Batch {
    pub(super) fn empty() -> Self {
        Self {
            count: 0,
            width: 0,
            windows: [std::ptr::null(); BATCH_MAX],
            floats: [std::ptr::null_mut(); BATCH_MAX],
            bytes: [std::ptr::null_mut(); BATCH_MAX],
            residual: [std::ptr::null(); BATCH_MAX],
        }
    }

    /// Adds a pixel.
    pub(super) fn push(
        &mut self,
        window: *const u8,
        floats: *mut f32,
        bytes: *mut u8,
        residual: *const f32,
    ) {
        self.windows[self.count] = window;
        self.floats[self.count] = floats;
        self.bytes[self.count] = bytes;
        self.residual[self.count] = residual;
        self.count += 1;
    }
}

/// The most pixels that are multiplied at a time: a multiple of the common tiles.
pub(super) const BATCH_MAX: usize = 240;

/// What is summed for a pixel: rows of the window, each a run of neighbors in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Rows of the window.
    pub(super) taps: usize,
    /// Elements from one row of the window to the next.
    pub(super) tap_step: usize,
    /// Elements of a row; a multiple of four for bytes.
    pub(super) depth: usize,
}

/// A product of floats.
pub(super) struct FloatTile {
    pub(super) batch: *const Batch,
    /// The first tile's first pixel in the batch.
    pub(super) start: usize,
    /// Tiles that are computed one after the other.
    pub(super) count: usize,
    /// The tile's first output channel.
    pub(super) channel: usize,
    pub(super) extent: Extent,
    /// Elements of the window that are summed elsewhere, before those of `extent`.
    pub(super) skipped: usize,
    pub(super) panel: *const f32,
    pub(super) bias: *const f32,
    /// Whether the sum begins here, at the bias, or goes on from what the output holds.
    pub(super) first: bool,
    /// Whether the sum ends here, with residual and activation.
    pub(super) last: bool,
    /// Whether the residual is added before the activation, if there is one.
    pub(super) adds_residual: bool,
    pub(super) bounds: (f32, f32),
}

/// How a float becomes a byte: `round(value * steps_per_unit + zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantum {
    pub(super) steps_per_unit: f32,
    pub(super) zero: f32,
}

/// For outputs of which no bytes are wanted.
impl Default for Quantum {
    fn default() -> Self {
        Self { steps_per_unit: 1.0, zero: 0.0 }
    }
}

impl Quantum {
    /// The finest byte steps that reach from one end to the other, with a byte for zero, which lies
    /// between them.
    pub(super) fn between(low: f32, high: f32) -> Self {
        let span = if high > low { high - low } else { 1.0 };
        let steps_per_unit = f32::from(BYTE_MAX) / span;
        Self { steps_per_unit, zero: (-low * steps_per_unit).round() }
    }

    /// Turns what a sum is worth and what is added to it from the output's unit into byte steps.
    pub(super) fn count_in_steps(self, scale: &mut [f32], bias: &mut [f32]) {
        for (scale, bias) in scale.iter_mut().zip(bias) {
            *scale *= self.steps_per_unit;
            *bias = *bias * self.steps_per_unit + self.zero;
        }
    }
}

/// Multiplies `PIXELS` windows by a panel of `VECTORS` vectors of output channels.
///
/// # Safety
/// The processor has the instruction set `L`. Every pointer of the tile is valid for what the
/// extents say: windows for `depth` elements at each tap, the panel for
/// `taps * depth * VECTORS` vectors, the rest for `VECTORS` vectors.
#[inline(always)]
pub(super) unsafe fn float_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
    tile: &FloatTile,
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let batch = &*tile.batch;
        for index in 0..tile.count {
            let start = tile.start + index * PIXELS;
            let mut sums = [[L::splat(0.0); VECTORS]; PIXELS];
            for pixel in 0..PIXELS {
                let output = batch.floats.as_ptr().add(start + pixel);
                for vector in 0..VECTORS {
                    let from = if tile.first {
                        tile.bias
                    } else {
                        (*output).add(tile.channel).cast_const()
                    };
                    sums[pixel][vector] = L::load(from.add(vector * L::COUNT));
                }
            }
            let mut panel = tile.panel;
            let mut pixels = [std::ptr::null::<f32>(); PIXELS];
            for pixel in 0..PIXELS {
                let window = *batch.windows.as_ptr().add(start + pixel);
                pixels[pixel] = window.cast::<f32>().add(tile.skipped);
            }
            for _ in 0..tile.extent.taps {
                for element in 0..tile.extent.depth {
                    let mut weights = [L::splat(0.0); VECTORS];
                    for vector in 0..VECTORS {
                        weights[vector] = L::load(panel.add(vector * L::COUNT));
                    }
                    for pixel in 0..PIXELS {
                        let value = L::splat(*pixels[pixel].add(element));
                        for vector in 0..VECTORS {
                            sums[pixel][vector] =
                                L::fma(value, weights[vector], sums[pixel][vector]);
                        }
                    }
                    panel = panel.add(VECTORS * L::COUNT);
                }
                for pixel in &mut pixels {
                    *pixel = pixel.wrapping_add(tile.extent.tap_step);
                }
            }
            let (low, high) = (L::splat(tile.bounds.0), L::splat(tile.bounds.1));
            for pixel in 0..PIXELS {
                let output = (*batch.floats.as_ptr().add(start + pixel)).add(tile.channel);
                let residual = *batch.residual.as_ptr().add(start + pixel);
                for vector in 0..VECTORS {
                    let at = vector * L::COUNT;
                    let mut value = sums[pixel][vector];
                    if tile.last {
                        if tile.adds_residual && !residual.is_null() {
                            value = L::add(value, L::load(residual.add(tile.channel + at)));
                        }
                        value = L::min(L::max(value, low), high);
                    }
                    L::store(output.add(at), value);
                }
            }
        }
    }
}
