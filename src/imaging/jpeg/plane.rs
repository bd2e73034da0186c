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

type Write = fn(&Inverse, usize, &[f32; 64], &mut [u8], usize);

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
            write: writer(block.columns)?,
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

    /// Tells whether blocks give one sample, which their first coefficient alone makes.
    #[inline(always)]
    pub(super) fn is_average(&self) -> bool {
        self.fold.last == 0
    }

    /// Keeps the sample of a block of which only the first coefficient counts.
    #[inline(always)]
    pub(super) fn put_average(&mut self, column: usize, row: usize, first: i16) {
        let sample = f32::from(first) * self.fold.targets[0].weight + 128.5;
        if self.block.cells() == 1 {
            self.samples[row * self.stride + column] = sample as u8;
            return;
        }
        let mut coefficients = [0.0; 64];
        coefficients[0] = f32::from(first) * self.fold.targets[0].weight;
        self.put(column, row, &coefficients);
    }

    /// Transforms the reduced block in `column` and `row` of the blocks, and keeps its samples.
    #[inline(always)]
    pub(super) fn put(&mut self, column: usize, row: usize, coefficients: &[f32; 64]) {
        let start = row * self.block.rows * self.stride + column * self.block.columns;
        let target = &mut self.samples[start..];
        (self.write)(&self.inverse, self.block.rows, coefficients, target, self.stride);
    }

    /// Gives the first `width_px` samples of each row.
    pub(super) fn rows(&self, width_px: usize) -> impl Iterator<Item = &[u8]> {
        self.samples.chunks_exact(self.stride).map(move |row| &row[..width_px])
    }
}

fn write<const COLUMNS: usize>(
    inverse: &Inverse,
    rows: usize,
    coefficients: &[f32; 64],
    target: &mut [u8],
    stride: usize,
) {
    inverse.samples::<COLUMNS>(rows, coefficients, |y, samples| {
        target[y * stride..][..COLUMNS].copy_from_slice(&samples);
    });
}

fn writer(columns: usize) -> Option<Write> {
    Some(match columns {
        1 => write::<1>,
        2 => write::<2>,
        4 => write::<4>,
        8 => write::<8>,
        _ => return None,
    })
}
