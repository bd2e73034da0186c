//! What a detector finds on an image: a class, how sure it is, and where.

use serde::{Deserialize, Serialize};

use super::ClassId;

/// An upright rectangle on an image, in pixels of the whole, upright image.
///
/// The left edge of the leftmost pixel is 0; right and bottom are where the rectangle ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub left_px: f32,
    /// Upper edge.
    pub top_px: f32,
    /// Right edge.
    pub right_px: f32,
    /// Lower edge.
    pub bottom_px: f32,
}

impl BoundingBox {
    /// Makes a box of its edges.
    #[must_use]
    pub fn new(left_px: f32, top_px: f32, right_px: f32, bottom_px: f32) -> Self {
        Self { left_px, top_px, right_px, bottom_px }
    }

    /// The width, negative when the edges are the wrong way round.
    #[must_use]
    pub fn width_px(&self) -> f32 {
        self.right_px - self.left_px
    }

    /// The height, negative when the edges are the wrong way round.
    #[must_use]
    pub fn height_px(&self) -> f32 {
        self.bottom_px - self.top_px
    }

    /// The area in square pixels; 0 for a box that holds nothing.
    #[must_use]
    pub fn area_px(&self) -> f32 {
        self.width_px().max(0.0) * self.height_px().max(0.0)
    }

    /// Whether all edges are numbers and the box holds something.
    #[must_use]
    pub fn is_proper(&self) -> bool {
        let edges = [self.left_px, self.top_px, self.right_px, self.bottom_px];
        edges.iter().all(|edge| edge.is_finite()) && self.area_px() > 0.0
    }

    /// The area that two boxes share, in parts of the area that they cover together: 0 to 1.
    ///
    /// Boxes that hold nothing, or whose edges are no numbers, share nothing.
    ///
    /// # Examples
    /// ```
    /// use lookalike::record::BoundingBox;
    ///
    /// let left = BoundingBox::new(0.0, 0.0, 2.0, 1.0);
    /// let right = BoundingBox::new(1.0, 0.0, 3.0, 1.0);
    /// assert!((left.iou(&right) - 1.0 / 3.0).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        if !self.is_proper() || !other.is_proper() {
            return 0.0;
        }
        let shared = Self {
            left_px: self.left_px.max(other.left_px),
            top_px: self.top_px.max(other.top_px),
            right_px: self.right_px.min(other.right_px),
            bottom_px: self.bottom_px.min(other.bottom_px),
        }
        .area_px();
        shared / (self.area_px() + other.area_px() - shared)
    }

    /// The part that lies on an image.
    #[must_use]
    pub fn clipped(&self, width_px: u32, height_px: u32) -> Self {
        let (width_px, height_px) = (width_px as f32, height_px as f32);
        Self {
            left_px: self.left_px.clamp(0.0, width_px),
            top_px: self.top_px.clamp(0.0, height_px),
            right_px: self.right_px.clamp(0.0, width_px),
            bottom_px: self.bottom_px.clamp(0.0, height_px),
        }
    }

    /// The box with a margin of `share` of its width on the left and on the right, and of its
    /// height above and below.
    #[must_use]
    pub fn with_margin(&self, share: f32) -> Self {
        let (across_px, down_px) = (self.width_px() * share, self.height_px() * share);
        Self {
            left_px: self.left_px - across_px,
            top_px: self.top_px - down_px,
            right_px: self.right_px + across_px,
            bottom_px: self.bottom_px + down_px,
        }
    }
}

/// An object that a detector found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Index into the detector's class names.
    pub class: ClassId,
    /// How sure the detector is, 0 to 1.
    pub score: f32,
    /// Where it is.
    pub bounds: BoundingBox,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts unit squares: exact for whole edges.
    fn slow_iou(a: &BoundingBox, b: &BoundingBox) -> f32 {
        let holds = |of: &BoundingBox, x: i32, y: i32| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            of.left_px < x && x < of.right_px && of.top_px < y && y < of.bottom_px
        };
        let squares = (-12..12).flat_map(|y| (-12..12).map(move |x| (x, y)));
        let (mut both, mut any) = (0, 0);
        for (x, y) in squares {
            let (in_a, in_b) = (holds(a, x, y), holds(b, x, y));
            both += i32::from(in_a && in_b);
            any += i32::from(in_a || in_b);
        }
        if both == 0 { 0.0 } else { both as f32 / any as f32 }
    }

    fn boxes() -> impl Strategy<Value = BoundingBox> {
        (-12i32..12, -12i32..12, -12i32..12, -12i32..12).prop_map(|(left, top, right, bottom)| {
            BoundingBox::new(left as f32, top as f32, right as f32, bottom as f32)
        })
    }

    proptest! {
        #[test]
        fn the_overlap_is_that_of_counted_squares(a in boxes(), b in boxes()) {
            let (found, expected) = (a.iou(&b), slow_iou(&a, &b));
            prop_assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            prop_assert_eq!(found, b.iou(&a));
        }
    }

    #[test]
    fn boxes_that_hold_nothing_share_nothing_and_are_not_proper() {
        let whole = BoundingBox::new(0.0, 0.0, 4.0, 4.0);
        let line = BoundingBox::new(1.0, 1.0, 1.0, 3.0);
        let turned = BoundingBox::new(3.0, 3.0, 1.0, 1.0);
        let nowhere = BoundingBox::new(f32::NAN, 0.0, 1.0, 1.0);
        for odd in [line, turned, nowhere] {
            assert_eq!(whole.iou(&odd), 0.0, "{odd:?}");
            assert!(!odd.is_proper(), "{odd:?}");
        }
        assert!(whole.is_proper());
        assert_eq!(whole.iou(&whole), 1.0);
    }
}
