//! Classes: the 1000 ImageNet names, and how probable they are.

use super::InferenceError;
use crate::record::{ClassId, ClassScore};

const IMAGENET_JSON: &str = include_str!("weights/imagenet-labels.json");

/// Reads the embedded list of ImageNet class names.
///
/// # Errors
/// [`InferenceError::ClassNames`] when the list is not a JSON list of strings.
pub(super) fn imagenet() -> Result<Vec<String>, InferenceError> {
    serde_json::from_str(IMAGENET_JSON).map_err(|source| InferenceError::ClassNames { source })
}

/// The most probable classes, ties by the lower index.
pub(crate) fn top_classes(probabilities: &[f32], count: usize) -> Vec<ClassScore> {
    let mut scores: Vec<ClassScore> = probabilities
        .iter()
        .zip(0..)
        .map(|(&probability, index)| ClassScore { class: ClassId(index), probability })
        .collect();
    scores.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.class.cmp(&b.class)));
    scores.truncate(count);
    scores
}

/// Turns logits into shares that add up to 1.
///
/// Subtracts the maximum first, so that no logit overflows the exponential.
pub(super) fn softmax(logits: &mut [f32]) {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0f32;
    for value in logits.iter_mut() {
        *value = (*value - peak).exp();
        total += *value;
    }
    for value in logits {
        *value /= total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_softmax_of_huge_logits_is_finite_and_sums_to_one() {
        let mut shares = [1000.0, 999.0, -1000.0];
        softmax(&mut shares);
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((shares[0] - 0.7310586).abs() < 1e-5);
    }

    #[test]
    fn there_are_a_thousand_classes() {
        let names = imagenet().expect("the embedded list is valid");
        assert_eq!(names.len(), 1000);
        assert_eq!(names[0], "tench");
    }

    #[test]
    fn the_top_classes_are_sorted_and_ties_go_to_the_lower_index() {
        let found = top_classes(&[0.1, 0.4, 0.1, 0.4], 3);
        let classes: Vec<u16> = found.iter().map(|score| score.class.0).collect();
        assert_eq!(classes, [1, 3, 0]);
    }
}
