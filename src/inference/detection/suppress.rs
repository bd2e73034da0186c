//! Post-processing: from the many boxes that a detector proposes to the objects.

use serde::Serialize;

use crate::record::Detection;

/// What is kept of a detector's proposals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suppression {
    /// Least score of an object, 0 to 1.
    pub score_min: f32,
    /// Greatest overlap (intersection over union, 0 to 1) of two objects.
    pub iou_max: f32,
    /// Whether only objects of one class suppress each other.
    pub class_wise: bool,
    /// Objects of an image, at most; the surest are kept.
    pub count_max: usize,
}

/// The objects of an image, and what became of the other proposals.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// The objects, the surest first.
    pub objects: Vec<Detection>,
    /// How many proposals came how far.
    pub counts: SuppressionCounts,
}

/// How many proposals came how far: each is in exactly one of the last four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SuppressionCounts {
    /// Boxes that the detector proposed.
    pub proposed: usize,
    /// Below the least score, or with a score that is no number.
    pub unsure: usize,
    /// Boxes that hold nothing, or whose edges are no numbers.
    pub degenerate: usize,
    /// Boxes that overlap a surer object, and those after the last object that was allowed.
    pub suppressed: usize,
    /// Objects.
    pub kept: usize,
}

/// Keeps the surest of each group of overlapping proposals: greedy non-maximum suppression.
///
/// Proposals are taken from the surest to the least sure, equally sure ones in the order in which
/// they were given; each is kept unless it overlaps one that is kept by more than `iou_max`.
/// Costs `proposals * count_max` overlaps at most.
///
/// # Examples
/// ```
/// use lookalike::inference::{Suppression, suppress};
/// use lookalike::record::{BoundingBox, ClassId, Detection};
///
/// let dog = |score, left| Detection {
///     class: ClassId(16),
///     score,
///     bounds: BoundingBox::new(left, 0.0, left + 10.0, 10.0),
/// };
/// let rules = Suppression { score_min: 0.3, iou_max: 0.5, class_wise: true, count_max: 100 };
/// let found = suppress(&[dog(0.6, 1.0), dog(0.9, 0.0), dog(0.8, 20.0), dog(0.1, 50.0)], &rules);
/// let scores: Vec<f32> = found.objects.iter().map(|object| object.score).collect();
/// assert_eq!(scores, [0.9, 0.8]);
/// assert_eq!((found.counts.unsure, found.counts.suppressed), (1, 1));
/// ```
#[must_use]
pub fn suppress(proposals: &[Detection], rules: &Suppression) -> Suppressed {
    let mut counts = SuppressionCounts { proposed: proposals.len(), ..Default::default() };
    let mut order = Vec::new();
    for proposal in proposals {
        if proposal.score.is_nan() || proposal.score < rules.score_min {
            counts.unsure += 1;
        } else if !proposal.bounds.is_proper() {
            counts.degenerate += 1;
        } else {
            order.push(proposal);
        }
    }
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut objects: Vec<Detection> = Vec::new();
    for proposal in order {
        if objects.len() == rules.count_max {
            break;
        }
        let overlaps = |object: &Detection| {
            (!rules.class_wise || object.class == proposal.class)
                && object.bounds.iou(&proposal.bounds) > rules.iou_max
        };
        if !objects.iter().any(overlaps) {
            objects.push(*proposal);
        }
    }
    counts.kept = objects.len();
    counts.suppressed = counts.proposed - counts.unsure - counts.degenerate - counts.kept;
    Suppressed { objects, counts }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BoundingBox, ClassId};

    /// The definition: a proposal is an object unless an object before it overlaps it.
    fn slow(proposals: &[Detection], rules: &Suppression) -> Vec<Detection> {
        let mut left: Vec<(usize, Detection)> = proposals.iter().copied().enumerate().collect();
        left.retain(|(_, proposal)| proposal.score >= rules.score_min);
        left.retain(|(_, proposal)| proposal.bounds.is_proper());
        let mut objects = Vec::new();
        while objects.len() < rules.count_max {
            let mut best: Option<(usize, Detection)> = None;
            for (index, proposal) in &left {
                if best.is_none_or(|(_, best)| proposal.score > best.score) {
                    best = Some((*index, *proposal));
                }
            }
            let Some((_, object)) = best else { break };
            objects.push(object);
            left.retain(|(index, other)| {
                let same = !rules.class_wise || other.class == object.class;
                Some(*index) != best.map(|(index, _)| index)
                    && !(same && object.bounds.iou(&other.bounds) > rules.iou_max)
            });
        }
        objects
    }

    fn proposals() -> impl Strategy<Value = Vec<Detection>> {
        let score = prop_oneof![
            (0u8..12).prop_map(|score| f32::from(score) / 10.0),
            Just(f32::NAN),
            Just(f32::INFINITY),
        ];
        let edge = || prop_oneof![9 => (0i8..20).prop_map(f32::from), 1 => Just(f32::NAN)];
        let one = (0u16..3, score, (edge(), edge(), edge(), edge())).prop_map(
            |(class, score, (left, top, width, height))| Detection {
                class: ClassId(class),
                score,
                bounds: BoundingBox::new(left, top, left + width, top + height),
            },
        );
        proptest::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn it_keeps_what_the_definition_keeps(
            proposals in proposals(),
            class_wise: bool,
            count_max in 0usize..12,
        ) {
            let rules = Suppression { score_min: 0.3, iou_max: 0.4, class_wise, count_max };
            let found = suppress(&proposals, &rules);
            prop_assert_eq!(&found.objects, &slow(&proposals, &rules));
            let SuppressionCounts { proposed, unsure, degenerate, suppressed, kept } = found.counts;
            prop_assert_eq!(proposed, unsure + degenerate + suppressed + kept);
            prop_assert_eq!(kept, found.objects.len());
        }
    }

    #[test]
    fn of_equally_sure_proposals_the_first_is_kept() {
        let at = |left: f32| Detection {
            class: ClassId(0),
            score: 0.5,
            bounds: BoundingBox::new(left, 0.0, left + 10.0, 10.0),
        };
        let rules = Suppression { score_min: 0.5, iou_max: 0.5, class_wise: true, count_max: 9 };
        let found = suppress(&[at(1.0), at(0.0), at(2.0)], &rules);
        assert_eq!(found.objects, [at(1.0)]);
    }
}
