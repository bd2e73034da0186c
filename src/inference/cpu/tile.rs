//! The matrix product kernels: a tile of pixels by channels whose sums stay in registers.
//!
//! A convolution is a matrix product without a matrix being built ("implicit GEMM"): channels lie
//! last, so that the window's row above a pixel is one run of `side * channels` neighbors in memory.
//! Each pixel of a tile is a pointer to its window; the window's rows (`taps`) are a fixed step apart.
//! Weights are packed into panels: for each element of the window, one or several vectors of output
//! channels. See Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).

use super::lanes::Lanes;

/// The windows of up to [`BATCH_MAX`] pixels and where their results go.
pub(super) struct Batch {
    pub(super) count: usize,
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
    pub(super) bounds: (f32, f32),
}

/// A product of unsigned by signed bytes, summed exactly, then scaled to floats.
pub(super) struct ByteTile {
    pub(super) batch: *const Batch,
    /// The first tile's first pixel in the batch.
    pub(super) start: usize,
    /// Tiles that are computed one after the other.
    pub(super) count: usize,
    /// The tile's first output channel.
    pub(super) channel: usize,
    pub(super) extent: Extent,
    pub(super) panel: *const i8,
    /// What a step of the integer sum is worth, for each channel.
    pub(super) scale: *const f32,
    pub(super) bias: *const f32,
    pub(super) bounds: (f32, f32),
    pub(super) quantum: Quantum,
}

/// How a float becomes a byte: `round(value * steps_per_unit + zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quantum {
    pub(super) steps_per_unit: f32,
    pub(super) zero: f32,
}

/// For outputs of which no bytes are wanted.
pub(super) const NO_BYTES: Quantum = Quantum { steps_per_unit: 1.0, zero: 0.0 };

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
                        if !residual.is_null() {
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

/// Multiplies `PIXELS` windows of bytes by a panel of `VECTORS` vectors of output channels.
///
/// # Safety
/// As for [`float_tile`]; an element of the panel is four bytes of each channel.
#[inline(always)]
pub(super) unsafe fn byte_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
    tile: &ByteTile,
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let batch = &*tile.batch;
        for index in 0..tile.count {
            let start = tile.start + index * PIXELS;
            let mut sums = [[L::splat_int(0); VECTORS]; PIXELS];
            let mut panel = tile.panel;
            let mut pixels = [std::ptr::null::<u8>(); PIXELS];
            for pixel in 0..PIXELS {
                pixels[pixel] = *batch.windows.as_ptr().add(start + pixel);
            }
            for _ in 0..tile.extent.taps {
                let whole = tile.extent.depth / 8 * 8;
                for element in (0..whole).step_by(8) {
                    multiply_fours::<L, PIXELS, VECTORS, 2>(&mut sums, &pixels, element, panel);
                    panel = panel.add(2 * VECTORS * L::COUNT * 4);
                }
                if whole < tile.extent.depth {
                    multiply_fours::<L, PIXELS, VECTORS, 1>(&mut sums, &pixels, whole, panel);
                    panel = panel.add(VECTORS * L::COUNT * 4);
                }
                for pixel in &mut pixels {
                    *pixel = pixel.wrapping_add(tile.extent.tap_step);
                }
            }
            let (low, high) = (L::splat(tile.bounds.0), L::splat(tile.bounds.1));
            let steps = L::splat(tile.quantum.steps_per_unit);
            let zero = L::splat(tile.quantum.zero);
            for pixel in 0..PIXELS {
                let floats = *batch.floats.as_ptr().add(start + pixel);
                let bytes = *batch.bytes.as_ptr().add(start + pixel);
                let residual = *batch.residual.as_ptr().add(start + pixel);
                for vector in 0..VECTORS {
                    let at = vector * L::COUNT;
                    let (scale, bias) = (L::load(tile.scale.add(at)), L::load(tile.bias.add(at)));
                    let mut value = L::fma(L::to_floats(sums[pixel][vector]), scale, bias);
                    if !residual.is_null() {
                        value = L::add(value, L::load(residual.add(tile.channel + at)));
                    }
                    value = L::min(L::max(value, low), high);
                    if !floats.is_null() {
                        L::store(floats.add(tile.channel + at), value);
                    }
                    if !bytes.is_null() {
                        let quantised = L::fma(value, steps, zero);
                        L::store_bytes(bytes.add(tile.channel + at), quantised);
                    }
                }
            }
        }
    }
}

/// Adds the products of one or two fours of bytes to the sums.
///
/// # Safety
/// As for [`byte_tile`]: pixels are valid for the fours from `element`, the panel for those of its
/// vectors.
#[inline(always)]
unsafe fn multiply_fours<
    L: Lanes,
    const PIXELS: usize,
    const VECTORS: usize,
    const FOURS: usize,
>(
    sums: &mut [[L::Ints; VECTORS]; PIXELS],
    pixels: &[*const u8; PIXELS],
    element: usize,
    panel: *const i8,
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let mut weights = [[L::splat_int(0); 2]; VECTORS];
        for vector in 0..VECTORS {
            for four in 0..FOURS {
                let at = (four * VECTORS + vector) * L::COUNT * 4;
                weights[vector][four] = L::load_ints(panel.add(at));
            }
        }
        for pixel in 0..PIXELS {
            let mut values = [L::splat_int(0); 2];
            for four in 0..FOURS {
                let bytes = pixels[pixel].add(element + four * 4);
                values[four] = L::splat_int(bytes.cast::<i32>().read_unaligned());
            }
            for vector in 0..VECTORS {
                sums[pixel][vector] = L::dot(sums[pixel][vector], values, weights[vector]);
            }
        }
    }
}
