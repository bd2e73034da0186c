//! Weights of a dense convolution packed into panels, and the product of a batch of windows with
//! them.

use std::borrow::Cow;

use super::byte_panels::BytePanels;
use super::finish::{Finish, FinishRuns};
use super::kernels::Kernels;
use super::memory::Aligned;
use super::tile::{Batch, Extent, FloatTile};

/// Elements of the window that are summed before the next tile has its turn, so that this part of
/// the panel stays in the L1 cache: 256 x 24 floats are 24 KB.
const DEPTH_MAX: usize = 256;

/// A run of neighboring output channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) vectors: usize,
    /// The first channel.
    pub(super) channel: usize,
}

/// Splits `channels` output channels into panels of up to `widest` vectors, the wider the better.
pub(super) fn panels_of(channels: usize, lanes: usize, widest: usize) -> Vec<Panel> {
    let mut left = channels.div_ceil(lanes);
    let mut panels = Vec::new();
    let mut channel = 0;
    while left > 0 {
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
    /// What the kernels leave to do.
    pub(super) finish: Option<Finish>,
}

/// Packed weights as floats.
pub(super) struct FloatPanels {
    panels: Vec<Panel>,
    extent: Extent,
    /// For each panel, tap and element the vectors of its channels.
    weights: Aligned,
    bias: Aligned,
    bounds: (f32, f32),
    finish: Option<Finish>,
    lanes: usize,
}

impl FloatPanels {
    pub(super) fn pack(dense: &DenseWeights<'_>, kernels: &Kernels) -> Self {
        let lanes = kernels.lanes;
        let panels = panels_of(dense.channels, lanes, kernels.float_tiles.len());
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
            finish: dense.finish,
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
                // SAFETY: as above.
                unsafe { self.finish(kernels, batch, panel) }
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
            // SAFETY: as above.
            unsafe { self.finish(kernels, batch, panel) }
        }
    }

    /// Does what the kernels leave to do, for the channels of a panel.
    ///
    /// # Safety
    /// As for [`Product::multiply`].
    unsafe fn finish(&self, kernels: &Kernels, batch: &Batch, panel: &Panel) {
        let Some(finish) = self.finish else { return };
        let runs = FinishRuns {
            values: batch.floats.as_ptr(),
            residuals: batch.residual.as_ptr(),
            count: batch.count,
            skipped: panel.channel,
            length: panel.vectors * self.lanes,
            finish,
        };
        // SAFETY: passed on.
        unsafe { (kernels.finish_runs)(&runs) }
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
            adds_residual: self.finish.is_none_or(|finish| !finish.residual),
        }
    }
}

/// A dense convolution in one of the precisions.
pub(super) enum Product {
    Floats(FloatPanels),
    Bytes(BytePanels),
}

impl Product {
    /// Bytes of an element of the input, unless that is words.
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
    ) {
        // SAFETY: passed on.
        unsafe {
            match self {
                Self::Floats(floats) => floats.multiply(kernels, batch, panels),
                Self::Bytes(bytes) => bytes.multiply(kernels, batch, panels),
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

pub(super) fn padded_floats(values: &[f32], length: usize) -> Aligned {
    let mut padded = Aligned::zeroed(length);
    padded.floats_mut()[..values.len()].copy_from_slice(values);
    padded
}
