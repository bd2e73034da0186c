//! Weights of a dense convolution packed into panels, and the product of a batch of windows with
//! them.

use std::borrow::Cow;

use super::kernels::{Kernels, TileKernel};
use super::lanes::BYTE_WEIGHT_MAX;
use super::memory::Aligned;
use super::tile::{Batch, ByteTile, Extent, FloatTile, Quantum};

/// Elements of the window that are summed before the next tile has its turn, so that this part of
/// the panel stays in the L1 cache: 256 x 24 floats are 24 KB.
const DEPTH_MAX: usize = 256;

const ROUNDER: f32 = 12_582_912.0;

/// A run of neighboring output channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) vectors: usize,
    /// The first channel.
    pub(super) channel: usize,
}

/// Splits `channels` output channels into panels, the wider the better.
pub(super) fn panels_of<T>(channels: usize, lanes: usize, tiles: &[TileKernel<T>]) -> Vec<Panel> {
    let mut left = channels.div_ceil(lanes);
    let mut panels = Vec::new();
    let mut channel = 0;
    while left > 0 {
        let widest = tiles.len();
        // A panel of one vector is the slowest: two of middle width come first.
        let vectors = if left == widest + 1 { left.div_ceil(2) } else { left.min(widest) };
        panels.push(Panel { vectors, channel });
        channel += vectors * lanes;
        left -= vectors;
    }
    panels
}

/// The weights of a convolution in the order in which a window lies in memory.
pub(super) struct DenseWeights<'a> {
    pub(super) channels: usize,
    pub(super) extent: Extent,
    /// `[channel][tap][element]`; elements that only pad weigh nothing.
    pub(super) weights: Cow<'a, [f32]>,
    pub(super) bias: &'a [f32],
    pub(super) bounds: (f32, f32),
}

/// Packed weights as floats.
pub(super) struct FloatPanels {
    panels: Vec<Panel>,
    extent: Extent,
    /// For each panel, tap and element the vectors of its channels.
    weights: Aligned,
    bias: Aligned,
    bounds: (f32, f32),
    lanes: usize,
}

impl FloatPanels {
    pub(super) fn pack(dense: &DenseWeights<'_>, kernels: &Kernels) -> Self {
        let lanes = kernels.lanes;
        let panels = panels_of(dense.channels, lanes, kernels.float_tiles);
        let Extent { taps, depth, .. } = dense.extent;
        let padded = dense.channels.next_multiple_of(lanes);
        let mut packed = Aligned::zeroed(padded * taps * depth);
        let elements = taps * depth;
        let target = packed.floats_mut();
        for panel in &panels {
            let width = panel.vectors * lanes;
            let start = panel.channel * elements;
            let end = dense.channels.min(panel.channel + width);
            for (lane, channel) in (panel.channel..end).enumerate() {
                let row = &dense.weights[channel * elements..(channel + 1) * elements];
                let column = target[start + lane..].iter_mut().step_by(width);
                for (to, &weight) in column.zip(row) {
                    *to = weight;
                }
            }
        }
        Self {
            panels,
            extent: dense.extent,
            weights: packed,
            bias: padded_floats(dense.bias, padded),
            bounds: dense.bounds,
            lanes,
        }
    }

    /// Parts of the window that are summed one after the other.
    fn depth_blocks(&self) -> impl Iterator<Item = DepthBlock> + '_ {
        let Extent { taps, depth, .. } = self.extent;
        let taps_at_once = (DEPTH_MAX / depth).clamp(1, taps);
        let depth_at_once = depth.div_ceil(depth.div_ceil(DEPTH_MAX));
        (0..taps).step_by(taps_at_once).flat_map(move |tap| {
            (0..depth).step_by(depth_at_once).map(move |element| DepthBlock {
                tap,
                taps: taps_at_once.min(taps - tap),
                element,
                depth: depth_at_once.min(depth - element),
            })
        })
    }

    /// Runs of output channels that can be computed one without the other.
    pub(super) fn panel_count(&self) -> usize {
        self.panels.len()
    }

    /// Multiplies the windows of `batch` with some of the panels.
    ///
    /// # Safety
    /// As for [`Product::multiply`].
    pub(super) unsafe fn multiply(
        &self,
        kernels: &Kernels,
        batch: &Batch,
        panels: std::ops::Range<usize>,
    ) {
        for panel in &self.panels[panels] {
            let kernel = &kernels.float_tiles[panel.vectors - 1];
            let whole = batch.count / kernel.pixels;
            for block in self.depth_blocks() {
                let tile = FloatTile { count: whole, ..self.tile(panel, &block, batch) };
                // SAFETY: the tiles' pixels are in the batch, for which the caller answers.
                unsafe { (kernel.full)(&tile) }
            }
            if batch.count == whole * kernel.pixels {
                continue;
            }
            // The rest by a tile that ends with the batch. It begins its sums anew, so that pixels
            // which it has in common with the tile before get the same result again.
            let (start, count, run) = if whole > 0 {
                (batch.count - kernel.pixels, 1, kernel.full)
            } else {
                (0, batch.count, kernel.single)
            };
            for block in self.depth_blocks() {
                let tile = FloatTile { start, count, ..self.tile(panel, &block, batch) };
                // SAFETY: as above.
                unsafe { run(&tile) }
            }
        }
    }

    /// The work of a tile at the start of the batch.
    fn tile(&self, panel: &Panel, block: &DepthBlock, batch: &Batch) -> FloatTile {
        let extent = &self.extent;
        let before = block.tap * extent.depth + block.element;
        let weights =
            panel.channel * extent.taps * extent.depth + before * panel.vectors * self.lanes;
        FloatTile {
            batch,
            start: 0,
            count: 1,
            channel: panel.channel,
            extent: Extent { taps: block.taps, tap_step: extent.tap_step, depth: block.depth },
            skipped: block.tap * extent.tap_step + block.element,
            panel: self.weights.floats()[weights..].as_ptr(),
            bias: self.bias.floats()[panel.channel..].as_ptr(),
            first: before == 0,
            last: block.tap + block.taps == extent.taps
                && block.element + block.depth == extent.depth,
            bounds: self.bounds,
        }
    }
}

/// A dense convolution in one of the precisions.
pub(super) enum Product {
    Floats(FloatPanels),
    Bytes(BytePanels),
}

impl Product {
    /// Bytes of an element of the input.
    pub(super) fn element_bytes(&self) -> usize {
        match self {
            Self::Floats(_) => 4,
            Self::Bytes(_) => 1,
        }
    }

    /// Runs of output channels that can be computed one without the other.
    pub(super) fn panel_count(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.panel_count(),
            Self::Bytes(bytes) => bytes.panels.len(),
        }
    }

    /// Multiplies the windows of `batch` with some of the panels.
    ///
    /// # Safety
    /// `kernels` is the table that the weights were packed for. The windows of the batch are valid
    /// for the shape, outputs and residuals for all channels (padded to whole vectors); no two
    /// pixels share an output. A product of floats wants an output of floats.
    pub(super) unsafe fn multiply(
        &self,
        kernels: &Kernels,
        batch: &Batch,
        panels: std::ops::Range<usize>,
        quantum: Quantum,
    ) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Self::Floats(floats) => floats.multiply(kernels, batch, panels),
                Self::Bytes(bytes) => bytes.multiply(kernels, batch, panels, quantum),
            }
        }
    }
}

/// A part of the window: some rows, or some elements of one row.
#[derive(Clone, Copy)]
struct DepthBlock {
    tap: usize,
    taps: usize,
    element: usize,
    depth: usize,
}

/// Packed weights as signed bytes, one scale for each output channel.
pub(super) struct BytePanels {
    pub(super) panels: Vec<Panel>,
    extent: Extent,
    /// For each panel, tap and four elements the vectors of its channels, four bytes a channel.
    weights: Aligned,
    scale: Aligned,
    bias: Aligned,
    bounds: (f32, f32),
    lanes: usize,
}

/// The input of a product of bytes.
pub(super) struct ByteInput<'a> {
    pub(super) quantum: Quantum,
    /// What each element of the window is on average.
    pub(super) means: &'a [f32],
}

impl BytePanels {
    /// Quantises and packs weights.
    ///
    /// Rounding the weights would shift the outputs; the shift at the input's means is taken back
    /// in the bias. See Nagel et al., "Data-free quantization through weight equalization and bias
    /// correction" (arXiv 1906.04721), section 4.2.
    pub(super) fn pack(dense: &DenseWeights<'_>, input: &ByteInput<'_>, kernels: &Kernels) -> Self {
        let lanes = kernels.lanes;
        let panels = panels_of(dense.channels, lanes, kernels.byte_tiles);
        let Extent { taps, depth, .. } = dense.extent;
        assert!(depth % 4 == 0, "bytes are multiplied by fours");
        let padded = dense.channels.next_multiple_of(lanes);
        let mut packed = Self {
            panels,
            extent: dense.extent,
            weights: Aligned::zeroed((padded * taps * depth).div_ceil(4)),
            scale: Aligned::zeroed(padded),
            bias: padded_floats(dense.bias, padded),
            bounds: dense.bounds,
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
        // Of floats without their sign, the greatest has the greatest bits.
        let greatest =
            f32::from_bits(row.iter().map(|weight| weight.abs().to_bits()).max().unwrap_or(0));
        let step = if greatest > 0.0 { greatest / f32::from(BYTE_WEIGHT_MAX) } else { 1.0 };
        let steps_per_unit = 1.0 / step;
        let width = panel.vectors * self.lanes * 4;
        let target = &mut self.weights.bytes_mut()[panel.channel * elements + lane * 4..];
        // Sums of four lanes each, which the compiler turns into vectors.
        let (mut totals, mut shifts) = ([0f32; 4], [0f32; 4]);
        let fours = row.chunks_exact(4).zip(input.means.chunks_exact(4));
        for (index, (weights, means)) in fours.enumerate() {
            let bytes = &mut target[index * width..][..4];
            for lane in 0..4 {
                // Adding and taking away 1.5 * 2^23 rounds to the nearest integer without a call.
                let rounded = weights[lane] * steps_per_unit + ROUNDER - ROUNDER;
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

    /// Multiplies the windows of `batch` with some of the panels.
    ///
    /// # Safety
    /// As for [`Product::multiply`].
    unsafe fn multiply(
        &self,
        kernels: &Kernels,
        batch: &Batch,
        panels: std::ops::Range<usize>,
        quantum: Quantum,
    ) {
        for panel in &self.panels[panels] {
            let kernel = &kernels.byte_tiles[panel.vectors - 1];
            let whole = batch.count / kernel.pixels;
            let weights = panel.channel * self.extent.taps * self.extent.depth;
            let mut tile = ByteTile {
                batch,
                start: 0,
                count: whole,
                channel: panel.channel,
                extent: self.extent,
                panel: self.weights.bytes()[weights..].as_ptr(),
                scale: self.scale.floats()[panel.channel..].as_ptr(),
                bias: self.bias.floats()[panel.channel..].as_ptr(),
                bounds: self.bounds,
                quantum,
            };
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
}

fn padded_floats(values: &[f32], length: usize) -> Aligned {
    let mut padded = Aligned::zeroed(length);
    padded.floats_mut()[..values.len()].copy_from_slice(values);
    padded
}
