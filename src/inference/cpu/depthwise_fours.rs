//! The depthwise kernel for bytes whose columns lie by fours.
//!
//! A vector holds four neighboring columns of each of its channels, so that one dot product takes
//! up to four taps of a window's row. Where a window does not begin with a four it lies over two of
//! them, and its weights are shifted: they are packed once for each shift, with zeros around.

use super::lanes::Lanes;

/// The greatest side of a window.
pub(super) const FOURS_SIDE_MAX: usize = 5;
/// Fours under a window's row, at most.
pub(super) const SLOTS: usize = 2;
/// Columns of a four at which a window can begin.
pub(super) const SHIFTS: usize = 4;

/// Some output pixels of a row.
#[derive(Clone, Copy)]
pub(super) struct FourRun {
    /// The input rows under the window that exist, from the top; each at the first four that the
    /// kernel reads, which may be the border of zeros.
    pub(super) rows: [*const u8; FOURS_SIDE_MAX],
    /// How many of `rows` there are.
    pub(super) row_count: usize,
    /// Channels that are computed, counted from the pointers; whole vectors.
    pub(super) channels: usize,
    /// Channels of input and output: a four is four times as many bytes away from the next.
    pub(super) stride: usize,
    /// For each vector of channels, row, shift and slot a vector; those of the first existing row
    /// of the first vector first.
    pub(super) weights: *const i8,
    /// Bytes from the weights of a vector of channels to those of the next.
    pub(super) weights_step: usize,
    /// What a step of the integer sum is worth in the output's bytes.
    pub(super) scale: *const f32,
    /// In the output's bytes.
    pub(super) bias: *const f32,
    /// Output pixels, at most as many as the kernel computes.
    pub(super) pixels: usize,
    pub(super) output: *mut u8,
}

/// The first four under the first output pixel, counted from its column.
pub(super) const fn first_four(missing: usize) -> isize {
    -(missing.div_ceil(4) as isize)
}

/// Repeats `body` for each of eight numbers, as a constant: the compiler leaves a loop over them in
/// place, with the sums in memory.
macro_rules! for_eight {
    ($($number:literal)+, |$index:ident| $body:block) => {
        $({
            const NUMBER: usize = $number;
            let $index = NUMBER;
            $body
        })+
    };
}

/// Convolves up to `PIXELS` (4 or 8) pixels with a window of `SIDE x SIDE` moved by `STRIDE`, of
/// which `MISSING` columns lie before the image's first.
///
/// # Safety
/// The processor has the instruction set `L`. Every row is valid for the fours under `PIXELS`
/// pixels, whether they are wanted or not; the output for `pixels`; the rest for their extents.
#[inline(always)]
pub(super) unsafe fn depthwise_fours<
    L: Lanes,
    const PIXELS: usize,
    const SIDE: usize,
    const STRIDE: usize,
    const MISSING: usize,
>(
    run: &FourRun,
) {
    // Columns before the first pixel that the first four has, without those of the window.
    let before = MISSING.div_ceil(4) * 4 - MISSING;
    let fours = (before + (PIXELS - 1) * STRIDE + SIDE).div_ceil(4);
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for channel in (0..run.channels).step_by(L::COUNT) {
            let mut sums = [L::splat_int(0); PIXELS];
            let mut weights = run.weights.add(channel / L::COUNT * run.weights_step);
            for row in 0..run.row_count {
                let line = run.rows[row].add(channel * 4).cast::<i8>();
                let mut columns = [L::splat_int(0); 8];
                for_eight!(0 1 2 3 4 5 6 7, |four| {
                    if four < fours {
                        columns[four] = L::load_ints(line.add(four * run.stride * 4));
                    }
                });
                for_eight!(0 1 2 3 4 5 6 7, |pixel| {
                    if pixel < PIXELS {
                        let column = before + pixel * STRIDE;
                        let (four, shift) = (column / 4, column % 4);
                        for slot in 0..(shift + SIDE).div_ceil(4) {
                            let at = (shift * SLOTS + slot) * L::COUNT * 4;
                            let weight = L::load_ints(weights.add(at));
                            sums[pixel] = L::dot(sums[pixel], columns[four + slot], weight);
                        }
                    }
                });
                weights = weights.add(SHIFTS * SLOTS * L::COUNT * 4);
            }
            let (scale, bias) = (L::load(run.scale.add(channel)), L::load(run.bias.add(channel)));
            for_eight!(0 1 2 3 4 5 6 7, |pixel| {
                if pixel < PIXELS && pixel < run.pixels {
                    let value = L::fma(L::to_floats(sums[pixel]), scale, bias);
                    L::store_bytes(run.output.add(pixel * run.stride + channel), value);
                }
            });
        }
    }
}
