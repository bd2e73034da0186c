//! A square of grey levels as floats, in several sizes.

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

    /// At another size, each pixel the mean of what it covers.
    pub(super) fn resampled(&self, width: usize, height: usize) -> Vec<f32> {
        let rows = covers(self.side, height);
        let columns = covers(self.side, width);
        let mut narrow = Vec::with_capacity(self.side * width);
        for row in self.levels.chunks_exact(self.side) {
            narrow.extend(
                columns
                    .iter()
                    .map(|cover| cover.iter().map(|(at, share)| row[*at] * share).sum::<f32>()),
            );
        }
        let mut levels = Vec::with_capacity(width * height);
        for cover in &rows {
            for x in 0..width {
                levels.push(cover.iter().map(|(y, share)| narrow[y * width + x] * share).sum());
            }
        }
        levels
    }

    pub(super) fn reduced(&self, side: usize) -> Self {
        Self { side, levels: self.resampled(side, side) }
    }

    /// Turned or mirrored.
    pub(super) fn turned(&self, by: super::Turn) -> Self {
        let last = self.side - 1;
        let mut levels = Vec::with_capacity(self.levels.len());
        for y in 0..self.side {
            for x in 0..self.side {
                let (x, y) = by.source(x, y, last);
                levels.push(self.at(x, y));
            }
        }
        Self { side: self.side, levels }
    }
}

/// For each of `to` pixels, the pixels among `from` that it covers, with their shares.
fn covers(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let step = from as f32 / to as f32;
    let cover = |index: usize| {
        let (start, end) = (index as f32 * step, (index + 1) as f32 * step);
        let first = start as usize;
        let last = (end.ceil() as usize).min(from);
        let share = |at: usize| (end.min(at as f32 + 1.0) - start.max(at as f32)).max(0.0) / step;
        (first..last).map(|at| (at, share(at))).collect()
    };
    (0..to).map(cover).collect()
}
