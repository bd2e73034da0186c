//! Anchors, boxes relative to others, and the regions that the first part proposes.

use super::SHAPES;
use crate::inference::cpu::Grid;
use crate::inference::detection::{Suppression, suppress};
use crate::inference::models::candidates::sigmoid;
use crate::record::{BoundingBox, ClassId, Detection};

/// Sides of the squares that have the areas of a level's anchors, fine to coarse.
const ANCHOR_SIDES_PX: [f32; 5] = [32.0, 64.0, 128.0, 256.0, 512.0];

/// Heights of anchors in parts of their widths.
const ANCHOR_RATIOS: [f32; SHAPES] = [0.5, 1.0, 2.0];

/// Boxes of a level that take part in the suppression, the surest.
const LEVEL_MAX: usize = 1000;

/// Of all levels, a thousand regions at most, of which no two of one level overlap by more.
const RULES: Suppression =
    Suppression { score_min: 0.0, iou_max: 0.7, class_wise: true, count_max: 1000 };

/// Sides that a region has at least, in pixels of the square.
const SIDE_MIN_PX: f32 = 1e-3;

/// A box grows to this many times its reference at most, as a logarithm: 1000 / 16.
const GROWTH_MAX: f32 = 4.135_166_6;

/// The extent of the image on the square, from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inference) struct Extent {
    pub(in crate::inference) width_px: u32,
    pub(in crate::inference) height_px: u32,
}

/// The box that four numbers describe relative to another: the shift of its centre in parts of the
/// reference's sides, and the logarithms of how many times as large it is.
///
/// The numbers are divided by `weights` first, for shifts and for sizes.
pub(super) fn moved(
    reference: &BoundingBox,
    numbers: [f32; 4],
    (shift, size): (f32, f32),
) -> BoundingBox {
    let (width, height) = (reference.width_px(), reference.height_px());
    let [across, down, wider, higher] = numbers;
    let x = reference.left_px + 0.5 * width + across / shift * width;
    let y = reference.top_px + 0.5 * height + down / shift * height;
    let width = (wider / size).min(GROWTH_MAX).exp() * width / 2.0;
    let height = (higher / size).min(GROWTH_MAX).exp() * height / 2.0;
    BoundingBox::new(x - width, y - height, x + width, y + height)
}

/// The regions that the outputs of five levels propose, the surest first; their class is the level.
pub(in crate::inference) fn propose(
    levels: &[Grid],
    side_px: usize,
    extent: Extent,
) -> Vec<Detection> {
    let mut proposals = Vec::new();
    for (level, grid) in levels.iter().enumerate() {
        // Of equal logits the first comes first.
        let mut order: Vec<(usize, f32)> = logits(grid).enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        order.truncate(LEVEL_MAX);
        let anchors = anchors(level);
        let step = (side_px / grid.side) as f32;
        for (index, logit) in order {
            let (cell, shape) = (index / SHAPES, index % SHAPES);
            let (x, y) = ((cell % grid.side) as f32 * step, (cell / grid.side) as f32 * step);
            let BoundingBox { left_px, top_px, right_px, bottom_px } = anchors[shape];
            let anchor = BoundingBox::new(left_px + x, top_px + y, right_px + x, bottom_px + y);
            let first = cell * grid.channels + SHAPES + 4 * shape;
            let numbers = [0, 1, 2, 3].map(|at| grid.values[first + at]);
            let bounds = moved(&anchor, numbers, (1.0, 1.0));
            let bounds = bounds.clipped(extent.width_px, extent.height_px);
            if bounds.width_px().min(bounds.height_px()) >= SIDE_MIN_PX {
                let class = ClassId(level as u16);
                proposals.push(Detection { class, score: sigmoid(logit), bounds });
            }
        }
    }
    suppress(&proposals, &RULES).objects
}

/// The logits of a level in the order of places and, at each, of shapes.
fn logits(grid: &Grid) -> impl Iterator<Item = f32> {
    grid.values.chunks_exact(grid.channels).flat_map(|cell| cell[..SHAPES].iter().copied())
}

/// The anchors of a level around the first place, their edges in whole pixels.
fn anchors(level: usize) -> [BoundingBox; SHAPES] {
    ANCHOR_RATIOS.map(|ratio| {
        let height = ratio.sqrt();
        let side = ANCHOR_SIDES_PX[level];
        let half = |length: f32| (length * side / 2.0).round_ties_even();
        let (width, height) = (half(1.0 / height), half(height));
        BoundingBox::new(-width, -height, width, height)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_torchvision() {
        let edges = |bounds: BoundingBox| [bounds.right_px, bounds.bottom_px];
        assert_eq!(anchors(0).map(edges), [[23.0, 11.0], [16.0, 16.0], [11.0, 23.0]]);
        assert_eq!(anchors(4).map(edges), [[362.0, 181.0], [256.0, 256.0], [181.0, 362.0]]);
    }

    #[test]
    fn a_box_without_numbers_is_its_reference_and_growth_has_an_end() {
        let reference = BoundingBox::new(10.0, 20.0, 30.0, 60.0);
        assert_eq!(moved(&reference, [0.0; 4], (1.0, 1.0)), reference);
        let right = moved(&reference, [5.0, 0.0, 0.0, 0.0], (10.0, 5.0));
        assert_eq!(right, BoundingBox::new(20.0, 20.0, 40.0, 60.0));
        let huge = moved(&reference, [0.0, 0.0, 99.0, 0.0], (1.0, 1.0));
        assert!((huge.width_px() - 20.0 * 62.5).abs() < 1e-2, "{huge:?}");
    }

    #[test]
    fn a_level_of_no_numbers_proposes_nothing() {
        let grid = Grid { side: 2, channels: 15, values: vec![f32::NAN; 60] };
        let extent = Extent { width_px: 64, height_px: 64 };
        assert!(propose(&[grid], 64, extent).is_empty());
    }
}
