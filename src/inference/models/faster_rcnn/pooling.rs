//! Patches of one size out of regions of any: RoI Align.
//!
//! He et al., "Mask R-CNN" (arXiv 1703.06870), as torchvision's `MultiScaleRoIAlign` has it: the
//! level by the region's size, two by two samples for each pixel of the patch, no shift by half a
//! pixel.

use rayon::prelude::*;

use super::LEVELS;
use crate::inference::cpu::Grid;
use crate::record::BoundingBox;

/// Pixels of a patch along each axis.
pub(super) const PATCH: usize = 7;

/// Samples of a pixel of a patch along each axis.
const SAMPLES: usize = 2;

/// Pixels of the square for a pixel of the finest map.
const FINEST_STEP: f32 = 4.0;

/// A region whose sides have this length on average is cut out of the map [`HOME_LEVEL`], one twice
/// as large out of the next coarser.
const HOME_SIDE_PX: f32 = 224.0;
const HOME_LEVEL: f32 = 2.0;

/// Cuts a patch of [`PATCH`] x [`PATCH`] pixels, channels last, out of one of the maps for each
/// region.
pub(in crate::inference) fn patches(maps: &[Grid], regions: &[BoundingBox]) -> Vec<Vec<f32>> {
    let patch = |region| {
        let level = level(region);
        patch(&maps[level], region, FINEST_STEP * (1 << level) as f32)
    };
    regions.par_iter().map(patch).collect()
}

/// The map that a region is cut out of.
fn level(region: &BoundingBox) -> usize {
    let side = region.area_px().sqrt();
    // A region a hair below the limit belongs above it.
    let level = (HOME_LEVEL + (side / HOME_SIDE_PX).log2() + 1e-6).floor();
    level.clamp(0.0, (LEVELS - 1) as f32) as usize
}

fn patch(map: &Grid, region: &BoundingBox, step: f32) -> Vec<f32> {
    let axis = |from: f32, to: f32| {
        let (from, to) = (from / step, to / step);
        let pixel = (to - from).max(1.0) / PATCH as f32;
        let sample = move |at: usize, sample: usize| {
            let within = (sample as f32 + 0.5) * pixel / SAMPLES as f32;
            Sample::at(from + at as f32 * pixel + within, map.side)
        };
        [0, 1, 2, 3, 4, 5, 6].map(|at| [sample(at, 0), sample(at, 1)])
    };
    let rows = axis(region.top_px, region.bottom_px);
    let columns = axis(region.left_px, region.right_px);
    let mut values = vec![0.0; PATCH * PATCH * map.channels];
    for (at, pixel) in values.chunks_exact_mut(map.channels).enumerate() {
        for row in &rows[at / PATCH] {
            for column in &columns[at % PATCH] {
                add_sample(map, row, column, pixel);
            }
        }
    }
    values
}

/// A place between two pixels of an axis.
#[derive(Clone, Copy)]
struct Sample {
    first: usize,
    second: usize,
    /// The shares of both: nothing where the place lies far outside.
    shares: [f32; 2],
}

impl Sample {
    fn at(place: f32, side: usize) -> Self {
        if !(-1.0..=side as f32).contains(&place) {
            return Self { first: 0, second: 0, shares: [0.0; 2] };
        }
        let place = place.max(0.0);
        let first = (place as usize).min(side - 1);
        let second = (first + 1).min(side - 1);
        let share = if second == first { 0.0 } else { place - first as f32 };
        Self { first, second, shares: [1.0 - share, share] }
    }
}

/// Adds the mean's part of one sample to a pixel.
fn add_sample(map: &Grid, row: &Sample, column: &Sample, pixel: &mut [f32]) {
    let corners = [(row.first, row.shares[0]), (row.second, row.shares[1])];
    for (y, down) in corners {
        let corners = [(column.first, column.shares[0]), (column.second, column.shares[1])];
        for (x, across) in corners {
            let weight = down * across / (SAMPLES * SAMPLES) as f32;
            let from = &map.values[(y * map.side + x) * map.channels..][..map.channels];
            for (sum, value) in pixel.iter_mut().zip(from) {
                *sum += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_grows_with_the_region() {
        let square = |side: f32| BoundingBox::new(0.0, 0.0, side, side);
        let levels = [1.0, 111.0, 112.0, 223.0, 224.0, 447.0, 448.0, 1300.0];
        assert_eq!(levels.map(|side| level(&square(side))), [0, 0, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn a_patch_of_a_ramp_is_a_ramp_of_the_regions_pixels() {
        let values = (0..100).map(|at| (at % 10) as f32).collect();
        let ramp = Grid { side: 10, channels: 1, values };
        // From 1 to 8 on the map: a pixel of the patch is one of the map, its samples lie at a
        // quarter and three quarters of it.
        let found = patch(&ramp, &BoundingBox::new(4.0, 4.0, 32.0, 32.0), 4.0);
        let expected: Vec<f32> = (0..7).map(|x| x as f32 + 1.5).collect();
        assert_eq!(found, expected.repeat(7));
        // What lies beyond the last pixel repeats it, and further out is nothing.
        let edge = patch(&ramp, &BoundingBox::new(38.0, 0.0, 66.0, 28.0), 4.0);
        assert_eq!(edge[..2], [9.0 * 0.5, 0.0]);
    }
}
