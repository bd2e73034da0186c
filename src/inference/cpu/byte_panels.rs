//! Weights of a dense convolution as signed bytes packed into panels, and the product of a batch
//! of windows of bytes with them.

use super::byte_tile::ByteTile;
use super::finish::Curve;
use super::kernels::Kernels;
use super::lanes::BYTE_PAIR_MAX;
use super::memory::Aligned;
use super::panels::{DenseWeights, Panel, padded_floats, panels_of};
use super::tile::{Batch, Extent, Quantum};
use crate::inference::network::LEAK;

/// The input of a product of bytes.
pub(super) struct ByteInput<'a> {
    pub(super) quantum: Quantum,
    /// What each element of the window is on average.
    pub(super) means: &'a [f32],
}

/// What a product of bytes gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ByteOutput {
    /// Whether floats are wanted, or a residual is to be added.
    pub(super) floats: bool,
    /// Whether its bytes lie by fours.
    pub(super) fours: bool,
    pub(super) quantum: Quantum,
}

/// Packed weights as signed bytes or words, one scale for each output channel.
pub(super) struct BytePanels {
    pub(super) panels: Vec<Panel>,
    /// In bytes.
    extent: Extent,
    /// Whether two words stand in the place of four bytes.
    words: bool,
    /// For each panel, tap and four elements the vectors of its channels, four bytes a channel.
    weights: Aligned,
    scale: Aligned,
    bias: Aligned,
    bounds: (f32, f32),
    leak: Option<f32>,
    output: ByteOutput,
    lanes: usize,
}

impl BytePanels {
    /// Quantises and packs weights.
    ///
    /// Rounding the weights would shift the outputs; the shift at the input's means is taken back
    /// in the bias. See Nagel et al., "Data-free quantization through weight equalization and bias
    /// correction" (arXiv 1906.04721), section 4.2.
    pub(super) fn pack(
        dense: &DenseWeights<'_>,
        input: &ByteInput<'_>,
        output: ByteOutput,
        kernels: &Kernels,
    ) -> Self {
        let lanes = kernels.lanes;
        let widest = if output.fours { kernels.four_tiles.len() } else { kernels.byte_tiles.len() };
        let panels = panels_of(dense.channels, lanes, widest);
        let Extent { taps, depth, .. } = dense.extent;
        assert!(depth % 4 == 0, "bytes are multiplied by fours");
        let padded = dense.channels.next_multiple_of(lanes);
        let mut packed = Self {
            panels,
            extent: dense.extent,
            words: false,
            weights: Aligned::zeroed((padded * taps * depth).div_ceil(4)),
            scale: Aligned::zeroed(padded),
            bias: padded_floats(dense.bias, padded),
            bounds: dense.bounds,
            leak: leak(dense),
            output,
            lanes,
        };
        for panel in packed.panels.clone() {
            for lane in 0..panel.vectors * lanes {
                let channel = panel.channel + lane;
                if channel < dense.channels {
                    packed.pack_channel(dense, input, &panel, lane);
                }
            }
        }
        if !output.floats {
            output.quantum.count_in_steps(packed.scale.floats_mut(), packed.bias.floats_mut());
        }
        packed
    }

    fn pack_channel(
        &mut self,
        dense: &DenseWeights<'_>,
        input: &ByteInput<'_>,
        panel: &Panel,
        lane: usize,
    ) {
        let elements = self.extent.taps * self.extent.depth;
        let channel = panel.channel + lane;
        let row = &dense.weights[channel * elements..(channel + 1) * elements];
        let step = byte_step(row.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        let steps_per_unit = 1.0 / step;
        let width = panel.vectors * self.lanes * 4;
        let target = &mut self.weights.bytes_mut()[panel.channel * elements + lane * 4..];
        // Sums of four lanes each, which the compiler turns into vectors.
        let (mut totals, mut shifts) = ([0f32; 4], [0f32; 4]);
        let fours = row.chunks_exact(4).zip(input.means.chunks_exact(4));
        for (index, (weights, means)) in fours.enumerate() {
            let bytes = &mut target[index * width..][..4];
            for lane in 0..4 {
                let rounded = round(weights[lane] * steps_per_unit);
                bytes[lane] = rounded as i8;
                totals[lane] += rounded;
                shifts[lane] += (weights[lane] - rounded * step) * means[lane];
            }
        }
        let (total, shift): (f32, f32) = (totals.iter().sum(), shifts.iter().sum());
        // The input's zero adds `zero * total` to every sum.
        let scale = step / input.quantum.steps_per_unit;
        self.scale.floats_mut()[channel] = scale;
        self.bias.floats_mut()[channel] += shift - input.quantum.zero * total * scale;
    }

    /// Rounds weights to words and packs them, for inputs of words up to `input_max` in absolute
    /// value, of which each counts `input_step`. The output is floats, or bytes of `quantum`.
    ///
    /// The sums fit 32 bits whatever the input; rounding costs about as much as floats of 12 bits.
    pub(super) fn pack_words(
        dense: &DenseWeights<'_>,
        (input_max, input_step): (f32, f32),
        quantum: Quantum,
        kernels: &Kernels,
    ) -> Self {
        let lanes = kernels.lanes;
        let Extent { taps, tap_step, depth } = dense.extent;
        assert!(depth % 2 == 0, "words are multiplied by twos");
        let elements = taps * depth;
        let padded = dense.channels.next_multiple_of(lanes);
        let mut packed = Self {
            panels: panels_of(dense.channels, lanes, kernels.word_tiles.len()),
            extent: Extent { taps, tap_step: tap_step * 2, depth: depth * 2 },
            words: true,
            weights: Aligned::zeroed((padded * elements).div_ceil(2)),
            scale: Aligned::zeroed(padded),
            bias: padded_floats(dense.bias, padded),
            bounds: dense.bounds,
            leak: leak(dense),
            output: ByteOutput { floats: true, fours: false, quantum },
            lanes,
        };
        let weight_max = (i32::MAX as f32 / (input_max * elements as f32)).floor().min(32767.0);
        for panel in packed.panels.clone() {
            let end = dense.channels.min(panel.channel + panel.vectors * lanes);
            for (lane, channel) in (panel.channel..end).enumerate() {
                let row = &dense.weights[channel * elements..(channel + 1) * elements];
                let greatest = row.iter().fold(0f32, |greatest, weight| greatest.max(weight.abs()));
                let step = if greatest > 0.0 { greatest / weight_max } else { 1.0 };
                packed.scale.floats_mut()[channel] = step * input_step;
                let width = panel.vectors * lanes * 4;
                let start = panel.channel * elements * 2 + lane * 4;
                let target = &mut packed.weights.bytes_mut()[start..];
                for (index, weights) in row.chunks_exact(2).enumerate() {
                    for (half, weight) in weights.iter().enumerate() {
                        let word = (round(weight / step) as i16).to_ne_bytes();
                        target[index * width + half * 2] = word[0] as i8;
                        target[index * width + half * 2 + 1] = word[1] as i8;
                    }
                }
            }
        }
        packed
    }

    /// Multiplies the windows of `batch` with some of the panels.
    ///
    /// # Safety
    /// As for [`Product::multiply`](super::panels::Product::multiply).
    pub(super) unsafe fn multiply(
        &self,
        kernels: &Kernels,
        batch: &Batch,
        panels: std::ops::Range<usize>,
    ) {
        for panel in &self.panels[panels] {
            if self.output.fours {
                // SAFETY: passed on.
                unsafe { self.multiply_fours(kernels, batch, panel) }
                continue;
            }
            let tiles = if self.words { kernels.word_tiles } else { kernels.byte_tiles };
            let kernel = &tiles[panel.vectors - 1];
            let whole = batch.count / kernel.pixels;
            let mut tile = ByteTile { count: whole, ..self.tile(panel, batch) };
            // SAFETY: the tiles' pixels are in the batch, for which the caller answers; so are
            // those of the tile that ends with the batch and repeats what it has in common.
            unsafe {
                (kernel.full)(&tile);
                if batch.count > whole * kernel.pixels {
                    (tile.start, tile.count) =
                        if whole > 0 { (batch.count - kernel.pixels, 1) } else { (0, batch.count) };
                    if whole > 0 { (kernel.full)(&tile) } else { (kernel.single)(&tile) }
                }
            }
        }
    }

    /// Multiplies row by row, since a row of the output begins with a new four.
    ///
    /// # Safety
    /// As for [`Product::multiply`](super::panels::Product::multiply).
    unsafe fn multiply_fours(&self, kernels: &Kernels, batch: &Batch, panel: &Panel) {
        let sizes = kernels.four_tiles[panel.vectors - 1];
        let most = &sizes[0];
        for row in (0..batch.count).step_by(batch.width) {
            let whole = batch.width / most.pixels;
            let rest = batch.width - whole * most.pixels;
            let mut tile = self.tile(panel, batch);
            (tile.start, tile.count, tile.wanted) = (row, whole, most.pixels);
            // SAFETY: the tiles' pixels are in the batch, for which the caller answers.
            unsafe { (most.run)(&tile) }
            let fitting = sizes.iter().rev().find(|size| size.pixels >= rest);
            if let (Some(size), 1..) = (fitting, rest) {
                (tile.start, tile.count, tile.wanted) = (row + whole * most.pixels, 1, rest);
                // SAFETY: as above; the kernel repeats the last pixel of the batch beyond its end.
                unsafe { (size.run)(&tile) }
            }
        }
    }

    /// The work of a tile at the start of the batch.
    fn tile(&self, panel: &Panel, batch: &Batch) -> ByteTile {
        let weights = panel.channel * self.extent.taps * self.extent.depth;
        ByteTile {
            batch,
            start: 0,
            count: 1,
            wanted: 1,
            channel: panel.channel,
            extent: self.extent,
            panel: self.weights.bytes()[weights..].as_ptr(),
            scale: self.scale.floats()[panel.channel..].as_ptr(),
            bias: self.bias.floats()[panel.channel..].as_ptr(),
            floats: self.output.floats,
            bounds: self.bounds,
            leak: self.leak,
            quantum: self.output.quantum,
        }
    }
}

/// What the activation leaves of negative numbers, of those that these kernels know.
fn leak(dense: &DenseWeights<'_>) -> Option<f32> {
    dense.finish.is_some_and(|finish| finish.curve == Curve::Leaky).then_some(LEAK)
}

/// What a step of bytes is worth, so that the greatest sum of two neighbors of one sign is
/// [`BYTE_PAIR_MAX`].
pub(super) fn byte_step(neighbors: impl Iterator<Item = (f32, f32)>) -> f32 {
    // Sums of positive and of negative neighbors have no sign: the greatest has the greatest bits.
    let sums = neighbors.map(|(a, b)| {
        let (positive, negative) = (a.max(0.0) + b.max(0.0), (-a).max(0.0) + (-b).max(0.0));
        positive.max(negative).to_bits()
    });
    let greatest = f32::from_bits(sums.max().unwrap_or(0));
    if greatest > 0.0 { greatest / BYTE_PAIR_MAX } else { 1.0 }
}

/// Rounds a value of less than 2^22 to the nearest integer, without a call: adding 1.5 * 2^23 leaves
/// no bits for the fraction.
pub(super) fn round(value: f32) -> f32 {
    const ROUNDER: f32 = 12_582_912.0;
    value + ROUNDER - ROUNDER
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::finish::Finish;
    use super::super::kernels::InstructionSet;
    use super::*;

    const PIXELS: usize = 21;
    const WIDTH: usize = 7;

    /// Numbers that look random, from -127 to 128.
    fn noise(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as f32 - 127.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Weights that are bytes already: the greatest pair of each channel sums to 127.
    fn dense(channels: usize, depth: usize, bias: &[f32]) -> DenseWeights<'_> {
        let mut weights: Vec<f32> =
            noise(channels * depth, 3).iter().map(|value| (value / 8.0).round()).collect();
        for row in weights.chunks_exact_mut(depth) {
            row[..2].copy_from_slice(&[111.0, 16.0]);
        }
        DenseWeights {
            channels,
            extent: Extent { taps: 1, tap_step: 0, depth },
            weights: Cow::Owned(weights),
            bias,
            bounds: (0.0, f32::INFINITY),
            finish: None,
        }
    }

    /// What a pixel gives for a channel, by plain arithmetic.
    fn direct(dense: &DenseWeights<'_>, window: &[f32], channel: usize) -> f32 {
        let depth = dense.extent.depth;
        let row = &dense.weights[channel * depth..(channel + 1) * depth];
        let sum: f32 = row.iter().zip(window).map(|(weight, value)| weight * value).sum();
        let value = sum + dense.bias[channel];
        if dense.finish.is_some() { value.max(value * LEAK) } else { value.max(0.0) }
    }

    #[test]
    fn bytes_and_bytes_by_fours_are_those_of_the_definition_on_every_instruction_set() {
        for (channels, depth) in [(3, 4), (16, 20), (40, 24), (70, 132)] {
            let bias = noise(channels, 5);
            let clamped = dense(channels, depth, &bias);
            let leaky = DenseWeights {
                finish: Some(Finish { curve: Curve::Leaky, residual: false }),
                bounds: (f32::NEG_INFINITY, f32::INFINITY),
                ..dense(channels, depth, &bias)
            };
            let inputs: Vec<u8> =
                noise(PIXELS * depth, 9).iter().map(|value| (value + 127.0) as u8).collect();
            let steps_per_unit = 1.0 / (depth as f32 * 6.0);
            let exact = ByteInput {
                quantum: Quantum { steps_per_unit: 1.0, zero: 0.0 },
                means: &vec![0.0; depth],
            };
            let cases = [(&clamped, false, 0.0), (&clamped, true, 0.0), (&leaky, false, 90.0)];
            let sets = InstructionSet::available().into_iter();
            for (set, (dense, fours, zero)) in
                sets.flat_map(|set| cases.into_iter().map(move |case| (set, case)))
            {
                let quantum = Quantum { steps_per_unit, zero };
                let kernels = set.kernels().expect("the set is available");
                let output = ByteOutput { floats: false, fours, quantum };
                let panels = BytePanels::pack(dense, &exact, output, kernels);
                let padded = channels.next_multiple_of(kernels.lanes);
                let rows = PIXELS / WIDTH;
                let mut bytes = vec![99u8; rows * WIDTH.next_multiple_of(4) * padded];
                // Where the bytes of a pixel begin, and those of its channels.
                let place = |pixel: usize, channel: usize| {
                    let (y, x) = (pixel / WIDTH, pixel % WIDTH);
                    match fours {
                        true => ((y * 2 + x / 4) * padded + channel) * 4 + x % 4,
                        false => pixel * padded + channel,
                    }
                };
                let mut batch = Batch { width: WIDTH, ..Batch::empty() };
                for pixel in 0..PIXELS {
                    let to = bytes[place(pixel - if fours { pixel % WIDTH % 4 } else { 0 }, 0)..]
                        .as_mut_ptr();
                    let window = inputs[pixel * depth..].as_ptr();
                    batch.push(window, std::ptr::null_mut(), to, std::ptr::null());
                }
                // SAFETY: windows have `depth` bytes, and there is room for the padded channels of
                // all pixels.
                unsafe { panels.multiply(kernels, &batch, 0..panels.panels.len()) }
                for at in 0..PIXELS * channels {
                    let (pixel, channel) = (at / channels, at % channels);
                    let window: Vec<f32> =
                        inputs[pixel * depth..][..depth].iter().map(|&byte| byte.into()).collect();
                    let value = direct(dense, &window, channel) * steps_per_unit;
                    let expected = (value + zero).round_ties_even().clamp(0.0, 255.0);
                    let found = f32::from(bytes[place(pixel, channel)]);
                    assert!(
                        (found - expected).abs() <= 1.0,
                        "{} {channels} {depth} {pixel} {channel}: {found} {expected}",
                        set.name()
                    );
                }
                if fours {
                    // The eighth column fills the second four.
                    let eighth = (1..rows).map(|row| (row * 2 + 1) * padded * 4 + 3);
                    assert!(eighth.clone().all(|at| bytes[at] == 0), "{}", set.name());
                }
            }
        }
    }

    #[test]
    fn words_are_as_exact_as_floats_of_ten_bits_and_never_overflow() {
        for (channels, depth) in [(3, 10), (32, 30), (70, 154)] {
            let bias = noise(channels, 5);
            let dense = dense(channels, depth, &bias);
            let input_max = 16_320.0;
            let inputs: Vec<i16> = noise(PIXELS * depth, 9)
                .iter()
                .map(|value| (value * 128.0).clamp(-input_max, input_max) as i16)
                .collect();
            for set in InstructionSet::available() {
                let kernels = set.kernels().expect("the set is available");
                let panels =
                    BytePanels::pack_words(&dense, (input_max, 1.0), Quantum::default(), kernels);
                let padded = channels.next_multiple_of(kernels.lanes);
                let mut floats = vec![0f32; PIXELS * padded];
                let mut batch = Batch::empty();
                for pixel in 0..PIXELS {
                    let to = floats[pixel * padded..].as_mut_ptr();
                    let window = inputs[pixel * depth..].as_ptr().cast();
                    batch.push(window, to, std::ptr::null_mut(), std::ptr::null());
                }
                // SAFETY: windows have `depth` words, and there is room for the padded channels of
                // all pixels.
                unsafe { panels.multiply(kernels, &batch, 0..panels.panels.len()) }
                let scale = input_max * 127.0 * (depth as f32).sqrt();
                for at in 0..PIXELS * channels {
                    let (pixel, channel) = (at / channels, at % channels);
                    let window: Vec<f32> =
                        inputs[pixel * depth..][..depth].iter().map(|&word| word.into()).collect();
                    let gap = floats[pixel * padded + channel] - direct(&dense, &window, channel);
                    assert!(gap.abs() < scale * 1e-3, "{} {depth}: {gap}", set.name());
                }
            }
        }
    }
}
