//! The matrix product kernels for bytes: unsigned by signed, summed exactly in 32 bits.
//!
//! What is multiplied with what is as in `tile`; an element of a panel is four bytes of each
//! channel, which meet four neighboring bytes of a window.

use super::lanes::Lanes;
use super::tile::{Batch, Extent, Quantum};

/// A product of bytes.
#[derive(Clone, Copy)]
pub(super) struct ByteTile {
    pub(super) batch: *const Batch,
    /// The first tile's first pixel in the batch.
    pub(super) start: usize,
    /// Tiles that are computed one after the other.
    pub(super) count: usize,
    /// The pixels of the last tile that are wanted.
    pub(super) wanted: usize,
    /// The tile's first output channel.
    pub(super) channel: usize,
    pub(super) extent: Extent,
    pub(super) panel: *const i8,
    /// What a step of the integer sum is worth, for each channel: in the output's bytes where
    /// nothing but bytes is wanted, else in the output's unit.
    pub(super) scale: *const f32,
    /// In the same unit.
    pub(super) bias: *const f32,
    /// Whether floats are wanted, or a residual is to be added.
    pub(super) floats: bool,
    pub(super) bounds: (f32, f32),
    /// What is left of negative numbers, if the activation leaves a part of them.
    pub(super) leak: Option<f32>,
    pub(super) quantum: Quantum,
}

/// Multiplies `PIXELS` windows of bytes by a panel of `VECTORS` vectors of output channels.
///
/// # Safety
/// As for [`float_tile`](super::tile::float_tile); `depth` is a multiple of four.
#[inline(always)]
pub(super) unsafe fn byte_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
    tile: &ByteTile,
) {
    // SAFETY: passed on.
    unsafe { fours_tile::<L, PIXELS, VECTORS, false>(tile) }
}

/// As [`byte_tile`], with two signed words of 16 bits for each four bytes.
///
/// # Safety
/// As for [`byte_tile`].
#[inline(always)]
pub(super) unsafe fn word_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
    tile: &ByteTile,
) {
    // SAFETY: passed on.
    unsafe { fours_tile::<L, PIXELS, VECTORS, true>(tile) }
}

/// What [`byte_tile`] and [`word_tile`] do.
///
/// # Safety
/// As for [`byte_tile`].
#[inline(always)]
unsafe fn fours_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize, const WORDS: bool>(
    tile: &ByteTile,
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for index in 0..tile.count {
            let start = tile.start + index * PIXELS;
            let sums = sum_fours::<L, PIXELS, VECTORS, WORDS>(tile, start);
            for pixel in 0..PIXELS {
                if tile.floats {
                    finish_floats::<L, VECTORS>(tile, start + pixel, sums[pixel]);
                    continue;
                }
                let bytes = (*(*tile.batch).bytes.as_ptr().add(start + pixel)).add(tile.channel);
                for vector in 0..VECTORS {
                    let at = vector * L::COUNT;
                    let mut value = to_steps::<L>(tile, at, sums[pixel][vector]);
                    if let Some(leak) = tile.leak {
                        // Counted from the step of zero: `zero + (value - zero) * leak`.
                        let rest = L::splat(tile.quantum.zero * (1.0 - leak));
                        value = L::max(value, L::fma(value, L::splat(leak), rest));
                    }
                    L::store_bytes(bytes.add(at), value);
                }
            }
        }
    }
}

/// As [`byte_tile`], for outputs of bytes alone whose columns lie by fours: the batch has a place
/// for the bytes of every fourth pixel, and a tile begins with such a pixel.
///
/// Pixels of the last tile that are not wanted are zeros in the output.
///
/// # Safety
/// As for [`byte_tile`]; the places are valid for four bytes of each channel.
#[inline(always)]
pub(super) unsafe fn four_tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
    tile: &ByteTile,
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let nothing = L::splat(0.0);
        for index in 0..tile.count {
            let start = tile.start + index * PIXELS;
            let wanted = if index + 1 == tile.count { tile.wanted } else { PIXELS };
            let sums = sum_fours::<L, PIXELS, VECTORS, false>(tile, start);
            for first in (0..PIXELS).step_by(4) {
                if first >= wanted {
                    break;
                }
                let bytes = *(*tile.batch).bytes.as_ptr().add(start + first);
                for vector in 0..VECTORS {
                    let at = vector * L::COUNT;
                    let mut values = [nothing; 4];
                    for column in 0..4 {
                        if first + column < PIXELS && first + column < wanted {
                            values[column] = to_steps::<L>(tile, at, sums[first + column][vector]);
                        }
                    }
                    L::store_fours(bytes.add((tile.channel + at) * 4), values);
                }
            }
        }
    }
}

/// The sums of a tile.
///
/// # Safety
/// As for [`byte_tile`].
#[inline(always)]
unsafe fn sum_fours<L: Lanes, const PIXELS: usize, const VECTORS: usize, const WORDS: bool>(
    tile: &ByteTile,
    start: usize,
) -> [[L::Ints; VECTORS]; PIXELS] {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let batch = &*tile.batch;
        let mut sums = [[L::splat_int(0); VECTORS]; PIXELS];
        let mut panel = tile.panel;
        let mut pixels = [std::ptr::null::<u8>(); PIXELS];
        for pixel in 0..PIXELS {
            // A tile that is wider than what is left repeats the last pixel.
            pixels[pixel] = *batch.windows.as_ptr().add((start + pixel).min(batch.count - 1));
        }
        for _ in 0..tile.extent.taps {
            for element in (0..tile.extent.depth).step_by(4) {
                let mut weights = [L::splat_int(0); VECTORS];
                for vector in 0..VECTORS {
                    weights[vector] = L::load_ints(panel.add(vector * L::COUNT * 4));
                }
                for pixel in 0..PIXELS {
                    let four = pixels[pixel].add(element).cast::<i32>().read_unaligned();
                    let four = L::splat_int(four);
                    for vector in 0..VECTORS {
                        let (sum, weight) = (sums[pixel][vector], weights[vector]);
                        sums[pixel][vector] = if WORDS {
                            L::dot_words(sum, four, weight)
                        } else {
                            L::dot(sum, four, weight)
                        };
                    }
                }
                panel = panel.add(VECTORS * L::COUNT * 4);
            }
            for pixel in &mut pixels {
                *pixel = pixel.wrapping_add(tile.extent.tap_step);
            }
        }
        sums
    }
}

/// A vector of sums in the unit of scale and bias.
///
/// # Safety
/// As for [`byte_tile`]; `at` is the first lane of a vector of the panel.
#[inline(always)]
unsafe fn to_steps<L: Lanes>(tile: &ByteTile, at: usize, sum: L::Ints) -> L::Floats {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let (scale, bias) = (L::load(tile.scale.add(at)), L::load(tile.bias.add(at)));
        L::fma(L::to_floats(sum), scale, bias)
    }
}

/// Ends the sums of a pixel with residual and activation, and writes floats and bytes.
///
/// # Safety
/// As for [`byte_tile`].
#[inline(always)]
unsafe fn finish_floats<L: Lanes, const VECTORS: usize>(
    tile: &ByteTile,
    pixel: usize,
    sums: [L::Ints; VECTORS],
) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let batch = &*tile.batch;
        let (low, high) = (L::splat(tile.bounds.0), L::splat(tile.bounds.1));
        let steps = L::splat(tile.quantum.steps_per_unit);
        let zero = L::splat(tile.quantum.zero);
        let floats = *batch.floats.as_ptr().add(pixel);
        let bytes = *batch.bytes.as_ptr().add(pixel);
        let residual = *batch.residual.as_ptr().add(pixel);
        for vector in 0..VECTORS {
            let at = vector * L::COUNT;
            let mut value = to_steps::<L>(tile, at, sums[vector]);
            if !residual.is_null() {
                value = L::add(value, L::load(residual.add(tile.channel + at)));
            }
            value = L::min(L::max(value, low), high);
            if let Some(leak) = tile.leak {
                value = L::max(value, L::mul(value, L::splat(leak)));
            }
            if !floats.is_null() {
                L::store(floats.add(tile.channel + at), value);
            }
            if !bytes.is_null() {
                L::store_bytes(bytes.add(tile.channel + at), L::fma(value, steps, zero));
            }
        }
    }
}
