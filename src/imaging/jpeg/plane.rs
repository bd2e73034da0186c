//! The samples of one component at the reduced size, and what brings blocks into them.

use super::fold::{Fold, Inverse};
use super::frame::{Component, Grid};

/// Samples of one component, 0 to 255, with those of the blocks that fill up the last MCUs.
pub(super) struct Plane {
    samples: Vec<u8>,
    stride: usize,
    block: Grid,
    fold: Fold,
    inverse: Inverse,
    write: Write,
}

type Write = fn(&Inverse, &[f32; 64], &mut [u8], usize);

impl Plane {
    /// A grey plane for a component each of whose blocks gives `block` samples, made of the
    /// coefficients up to `last_kept`.
    ///
    /// Gives `None` for other sides of blocks than 1, 2, 4 and 8.
    pub(super) fn new(
        component: &Component,
        block: Grid,
        quantization: &[u16; 64],
        last_kept: usize,
    ) -> Option<Self> {
        let stride = component.padded_blocks.columns * block.columns;
        Some(Self {
            samples: vec![128; component.padded_blocks.cells() * block.cells()],
            stride,
            block,
            fold: Fold::new(block, quantization, last_kept),
            inverse: Inverse::new(block),
            write: writer(block)?,
        })
    }

    pub(super) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Gives an empty reduced block: as much of it as is used.
    #[inline(always)]
    pub(super) fn clear(&self, coefficients: &mut [f32; 64]) {
        coefficients[..self.block.cells()].fill(0.0);
    }

    /// Transforms the reduced block in `column` and `row` of the blocks, and keeps its samples.
    #[inline(always)]
    pub(super) fn put(&mut self, column: usize, row: usize, coefficients: &[f32; 64]) {
        let start = row * self.block.rows * self.stride + column * self.block.columns;
        (self.write)(&self.inverse, coefficients, &mut self.samples[start..], self.stride);
    }

    /// Gives the first `width_px` samples of each row.
    pub(super) fn rows(&self, width_px: usize) -> impl Iterator<Item = &[u8]> {
        self.samples.chunks_exact(self.stride).map(move |row| &row[..width_px])
    }
}

fn write<const COLUMNS: usize, const ROWS: usize>(
    inverse: &Inverse,
    coefficients: &[f32; 64],
    target: &mut [u8],
    stride: usize,
) {
    let samples = inverse.samples::<COLUMNS, ROWS>(coefficients);
    for (row, part) in samples.iter().zip(target.chunks_mut(stride)) {
        part[..COLUMNS].copy_from_slice(row);
    }
}

fn writer(block: Grid) -> Option<Write> {
    Some(match (block.columns, block.rows) {
        (1, 1) => write::<1, 1>,
        (1, 2) => write::<1, 2>,
        (1, 4) => write::<1, 4>,
        (1, 8) => write::<1, 8>,
        (2, 1) => write::<2, 1>,
        (2, 2) => write::<2, 2>,
        (2, 4) => write::<2, 4>,
        (2, 8) => write::<2, 8>,
        (4, 1) => write::<4, 1>,
        (4, 2) => write::<4, 2>,
        (4, 4) => write::<4, 4>,
        (4, 8) => write::<4, 8>,
        (8, 1) => write::<8, 1>,
        (8, 2) => write::<8, 2>,
        (8, 4) => write::<8, 4>,
        (8, 8) => write::<8, 8>,
        _ => return None,
    })
}
