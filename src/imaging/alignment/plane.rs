//! A square of grey levels as floats, in several sizes.

use crate::imaging::resize::resized_levels;
use crate::record::Fingerprint;

/// A square of levels, rows top to bottom.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub(super) side: usize,
    pub(super) levels: Vec<f32>,
}

impl Plane {
    pub(super) fn of(fingerprint: &Fingerprint) -> Self {
        let levels = fingerprint.luma().iter().map(|level| f32::from(*level)).collect();
        Self { side: Fingerprint::SIDE_PX, levels }
    }

    pub(super) fn at(&self, x: usize, y: usize) -> f32 {
        self.levels[y * self.side + x]
    }

    /// Smoothed by the binomial filter 1 2 1 along both axes: what sampling between pixels and
    /// another size of the file change most is gone.
    pub(super) fn smoothed(&self) -> Self {
        let side = self.side;
        let blur = |from: &[f32]| {
            let mut turned = vec![0.0; side * side];
            for (y, row) in from.chunks_exact(side).enumerate() {
                for x in 0..side {
                    let (before, after) = (row[x.saturating_sub(1)], row[(x + 1).min(side - 1)]);
                    turned[x * side + y] = (before + 2.0 * row[x] + after) / 4.0;
                }
            }
            turned
        };
        Self { side, levels: blur(&blur(&self.levels)) }
    }

    /// At another size, antialiased.
    pub(super) fn resampled(&self, width: usize, height: usize) -> Vec<f32> {
        resized_levels(&self.levels, self.side, width, height)
    }

    pub(super) fn reduced(&self, side: usize) -> Self {
        Self { side, levels: self.resampled(side, side) }
    }

    /// Turned or mirrored.
    pub(super) fn turned(&self, by: super::Turn) -> Self {
        Self { side: self.side, levels: by.of_square(&self.levels, self.side) }
    }
}
