//! A depthwise convolution of bytes whose columns lie by fours: its weights, and its rows.

use super::byte_panels::{ByteInput, byte_step, round};
use super::depthwise_fours::{FOURS_SIDE_MAX, FourRun, SHIFTS, SLOTS, first_four};
use super::kernels::{FourWindow, Kernels};
use super::memory::{Aligned, FourImage};
use super::panels::padded_floats;
use super::steps::{Context, DepthwiseShape, FourPlace, Value};
use super::tile::Quantum;
use crate::inference::network::Convolution;

/// Channels whose bytes share a cache line of the output: they are computed for all rows before the
/// next, since their weights and columns then stay in the L1 cache.
const CHANNELS_AT_ONCE: usize = 64;

/// Weights as signed bytes, one scale for each channel.
pub(super) struct FourDepthwise {
    pub(super) shape: DepthwiseShape,
    pub(super) image: FourImage,
    window: &'static FourWindow,
    /// Pixels that are missing before the first row and column.
    missing: usize,
    /// See [`FourRun::weights`].
    weights: Aligned,
    scale: Aligned,
    bias: Aligned,
    lanes: usize,
}

impl FourDepthwise {
    /// Quantises and packs weights. The shift that rounding them causes is taken back in the bias,
    /// as in [`BytePanels::pack`](super::byte_panels::BytePanels::pack).
    ///
    /// # Panics
    /// When `kernels` has none for the window, or the input's zero is not the byte 0.
    pub(super) fn pack(
        convolution: &Convolution,
        shape: DepthwiseShape,
        input: &ByteInput<'_>,
        output: Quantum,
        kernels: &Kernels,
    ) -> Self {
        assert!(input.quantum.zero == 0.0, "what is missing must be a zero");
        let side = convolution.window.side;
        let (missing, _) = convolution.window.missing(shape.input_side);
        let window = kernels.four_window(side, convolution.window.stride, missing);
        let mut packed = Self {
            shape,
            image: FourImage { side: shape.input_side, channels: shape.channels },
            window: window.expect("the compiler has asked for the window"),
            missing,
            weights: Aligned::zeroed(shape.channels * side * SHIFTS * SLOTS),
            scale: Aligned::zeroed(shape.channels),
            bias: padded_floats(&convolution.bias, shape.channels),
            lanes: kernels.lanes,
        };
        for (channel, kernel) in convolution.kernel.chunks_exact(side * side).enumerate() {
            let rows = kernel.chunks_exact(side);
            let step =
                byte_step(rows.flat_map(|row| row.windows(2).map(|pair| (pair[0], pair[1]))));
            let bytes: Vec<i8> = kernel.iter().map(|weight| round(weight / step) as i8).collect();
            let rounded: f32 = bytes.iter().map(|&byte| f32::from(byte) * step).sum();
            let shift = (kernel.iter().sum::<f32>() - rounded) * input.means[channel];
            packed.scale.floats_mut()[channel] = step / input.quantum.steps_per_unit;
            packed.bias.floats_mut()[channel] += shift;
            packed.place_kernel(channel, &bytes);
        }
        output.count_in_steps(packed.scale.floats_mut(), packed.bias.floats_mut());
        packed
    }

    /// Writes the taps of a channel once for each column of a four at which a window can begin.
    fn place_kernel(&mut self, channel: usize, kernel: &[i8]) {
        let side = self.shape.window.side;
        let step = self.weights_step();
        let vector = self.lanes * 4;
        let first = channel / self.lanes * step + channel % self.lanes * 4;
        let weights = &mut self.weights.bytes_mut()[first..];
        for (row, taps) in kernel.chunks_exact(side).enumerate() {
            for shift in 0..SHIFTS {
                for (tap, &weight) in taps.iter().enumerate() {
                    let column = shift + tap;
                    let at = (row * SHIFTS + shift) * SLOTS + column / 4;
                    weights[at * vector + column % 4] = weight;
                }
            }
        }
    }

    /// Bytes of the weights of a vector of channels.
    fn weights_step(&self) -> usize {
        self.shape.window.side * SHIFTS * SLOTS * self.lanes * 4
    }

    /// Computes some channels of output row `y`; `row` gives the input rows under it, each with the
    /// four before its first.
    ///
    /// # Safety
    /// Each row that `row` gives is valid as a row of `image` with the slack behind it; the output is
    /// valid for the row's pixels.
    pub(super) unsafe fn run(
        &self,
        y: usize,
        channels: std::ops::Range<usize>,
        row: impl Fn(usize) -> *const u8,
        output: *mut u8,
    ) {
        let DepthwiseShape { window, side, channels: stride, .. } = self.shape;
        let under = self.shape.rows_under(y);
        let skipped = under.start + self.missing - y * window.stride;
        let first = channels.start / self.lanes * self.weights_step();
        let weights = first + skipped * SHIFTS * SLOTS * self.lanes * 4;
        let mut run = FourRun {
            rows: [std::ptr::null(); FOURS_SIDE_MAX],
            row_count: under.len(),
            channels: channels.len(),
            stride,
            weights: self.weights.bytes()[weights..].as_ptr(),
            weights_step: self.weights_step(),
            scale: self.scale.floats()[channels.start..].as_ptr(),
            bias: self.bias.floats()[channels.start..].as_ptr(),
            pixels: 0,
            output,
        };
        let mut x = 0;
        while x < side {
            let left = side - x;
            let mut sizes = self.window.sizes.iter().rev();
            let Some(size) = sizes.find(|size| size.pixels >= left).or(self.window.sizes.first())
            else {
                break;
            };
            // The border is one four wide.
            let four = x * window.stride / 4 + 1;
            let four = four.wrapping_add_signed(first_four(self.missing));
            let start = four * self.image.step() + channels.start * 4;
            for (slot, index) in run.rows.iter_mut().zip(under.clone()) {
                *slot = row(index).wrapping_add(start);
            }
            run.pixels = left.min(size.pixels);
            run.output = output.wrapping_add(x * stride + channels.start);
            // SAFETY: the caller answers for rows and output; a run reads at most the slack beyond
            // a row.
            unsafe { (size.run)(&run) }
            x += run.pixels;
        }
    }
}

/// A depthwise convolution over a value.
pub(super) struct Fours {
    pub(super) depthwise: FourDepthwise,
    pub(super) input: FourPlace,
    pub(super) output: Value,
}

impl Fours {
    pub(super) fn run(&self, context: &Context<'_>) {
        let image = self.input.image;
        let input = context.fours(self.input);
        let output = self.output.bytes.expect("the compiler wants bytes of it");
        let rows = context.member.share(self.depthwise.shape.side);
        let channels = self.depthwise.shape.channels;
        for first in (0..channels).step_by(CHANNELS_AT_ONCE) {
            let part = first..channels.min(first + CHANNELS_AT_ONCE);
            for y in rows.clone() {
                let row = |index| input.wrapping_add(index * image.row_step()).cast_const();
                // SAFETY: input and output were checked; rows of output belong to one member.
                unsafe { self.depthwise.run(y, part.clone(), row, context.line(output, 1, y)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::InstructionSet;
    use super::*;
    use crate::inference::network::{Activation, Padding, Window};

    struct Case {
        side: usize,
        channels: usize,
        window: Window,
    }

    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        for window_side in [3, 5] {
            for stride in [1, 2] {
                for padding in [Padding::Same, Padding::Each(window_side / 2)] {
                    for (side, channels) in [(1, 3), (4, 16), (5, 40), (7, 70), (8, 9), (21, 33)] {
                        let window = Window { side: window_side, stride, padding };
                        cases.push(Case { side, channels, window });
                    }
                }
            }
        }
        cases
    }

    /// Numbers that look random, from 0 to 255.
    fn noise(count: usize, seed: usize) -> Vec<u8> {
        let mut state = seed as u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..count).map(|_| next()).collect()
    }

    /// Weights that are bytes already: the greatest pair of each channel sums to 127.
    fn convolution(case: &Case) -> Convolution {
        let taps = case.window.side * case.window.side;
        let bytes = noise(case.channels * taps, 7).into_iter();
        let mut kernel: Vec<f32> = bytes.map(|byte| f32::from(byte / 8) - 16.0).collect();
        for kernel in kernel.chunks_exact_mut(taps) {
            kernel[..2].copy_from_slice(&[111.0, 16.0]);
        }
        Convolution {
            kernel,
            bias: (0..case.channels).map(|channel| channel as f32 * 100.0).collect(),
            inputs: case.channels,
            outputs: case.channels,
            window: case.window,
            depthwise: true,
            residual: None,
            activation: Activation::Relu,
        }
    }

    /// The definition, over `[y][x][channel]`; `step` is what a byte of the output is worth.
    fn direct(case: &Case, convolution: &Convolution, input: &[u8], step: f32) -> Vec<u8> {
        let Case { side, channels, window } = *case;
        let (missing, _) = window.missing(side);
        let steps = window.steps(side);
        let mut output = Vec::new();
        for at in 0..steps * steps * channels {
            let (y, x, channel) = (at / channels / steps, at / channels % steps, at % channels);
            let mut sum = convolution.bias[channel];
            for tap in 0..window.side * window.side {
                let row = (y * window.stride + tap / window.side).wrapping_sub(missing);
                let column = (x * window.stride + tap % window.side).wrapping_sub(missing);
                if row < side && column < side {
                    let byte = f32::from(input[(row * side + column) * channels + channel]);
                    let taps = window.side * window.side;
                    sum += byte * convolution.kernel[channel * taps + tap];
                }
            }
            output.push((sum / step).round_ties_even().clamp(0.0, 255.0) as u8);
        }
        output
    }

    fn fours(
        case: &Case,
        convolution: &Convolution,
        input: &[u8],
        step: f32,
        kernels: &'static Kernels,
    ) -> Vec<u8> {
        let Case { side, channels, window } = *case;
        let padded = channels.next_multiple_of(kernels.lanes);
        let steps = window.steps(side);
        let shape = DepthwiseShape { window, input_side: side, side: steps, channels: padded };
        let exact = ByteInput {
            quantum: Quantum { steps_per_unit: 1.0, zero: 0.0 },
            means: &vec![0.0; channels],
        };
        let result = Quantum { steps_per_unit: 1.0 / step, zero: 0.0 };
        let packed = FourDepthwise::pack(convolution, shape, &exact, result, kernels);
        let image = packed.image;
        // What lies behind the rows must not matter.
        let mut memory = vec![99u8; image.length(side)];
        memory[..side * image.row_step()].fill(0);
        for (pixel, values) in input.chunks_exact(channels).enumerate() {
            let (y, x) = (pixel / side, pixel % side);
            let four = y * image.row_step() + (x / 4 + 1) * image.step();
            for (channel, &value) in values.iter().enumerate() {
                memory[four + channel * 4 + x % 4] = value;
            }
        }
        let mut output = vec![0u8; steps * steps * padded];
        for y in 0..steps {
            let row = |index| memory[index * image.row_step()..].as_ptr();
            let to = output[y * steps * padded..].as_mut_ptr();
            // SAFETY: the memory has all rows and the slack, the output the row.
            unsafe { packed.run(y, 0..padded, row, to) }
        }
        output.chunks_exact(padded).flat_map(|pixel| pixel[..channels].to_vec()).collect()
    }

    #[test]
    fn every_instruction_set_gives_the_very_bytes_of_the_definition() {
        for case in cases() {
            let convolution = convolution(&case);
            let input = noise(case.side * case.side * case.channels, case.side);
            let step = 150.0;
            let expected = direct(&case, &convolution, &input, step);
            for set in InstructionSet::available() {
                let kernels = set.kernels().expect("the set is available");
                let (missing, _) = case.window.missing(case.side);
                if kernels.four_window(case.window.side, case.window.stride, missing).is_none() {
                    continue;
                }
                let found = fours(&case, &convolution, &input, step, kernels);
                let apart = found.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
                // Multiplying by the scale and dividing by the step round differently.
                assert!(
                    apart <= Some(1) && (case.side == 1 || found.iter().any(|&byte| byte > 0)),
                    "{} pixels, {:?}, {}: {apart:?}",
                    case.side,
                    case.window,
                    set.name()
                );
            }
        }
    }
}
