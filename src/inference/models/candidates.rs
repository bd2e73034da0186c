//! What the heads of all detectors have in common: scores of cells, and boxes in image pixels.

use crate::pixels::Fitted;
use crate::record::{BoundingBox, ClassId};

/// The class with the greatest logit and that logit; minus infinity when none is a number.
pub(super) fn best_class(logits: &[f32]) -> (ClassId, f32) {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let index = logits.iter().position(|&logit| logit == greatest).unwrap_or(0);
    (ClassId(index as u16), greatest)
}

pub(super) fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// A little less than the logit of a score, so that rounding hides no score at the limit.
pub(super) fn logit(score: f32) -> f32 {
    (score / (1.0 - score)).ln() - 1e-3
}

/// A box on the square input as one on the image.
pub(super) fn cell_box(input: &Fitted, [left, top, right, bottom]: [f32; 4]) -> BoundingBox {
    let (across, down) = (input.scale_across, input.scale_down);
    BoundingBox::new(left * across, top * down, right * across, bottom * down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_no_class_and_ties_go_to_the_first() {
        assert_eq!(best_class(&[f32::NAN, 1.0, 1.0]), (ClassId(1), 1.0));
        assert_eq!(best_class(&[f32::NAN; 2]).1, f32::NEG_INFINITY);
    }

    #[test]
    fn no_score_at_the_limit_is_left_out() {
        for score in [0.0, 0.01, 0.3, 0.35, 0.99, 1.0] {
            assert!(sigmoid(logit(score)) <= score, "{score}");
        }
    }
}
