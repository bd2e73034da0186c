//! More like these, less like those: one query vector from several examples.

use crate::vector::Embedding;

/// The vector that lies where the positive examples are and away from the negative ones: the mean
/// of the first, moved by as much as it differs from the mean of the second.
///
/// This is what Qdrant calls the average vector of a recommendation (`avg(positive) +
/// avg(positive) - avg(negative)`). `None` when there is no positive example, when dimensions
/// differ, or when the examples cancel each other.
///
/// # Examples
/// ```
/// use lookalike::query::recommended;
/// use lookalike::vector::Embedding;
///
/// let right = Embedding::normalize(vec![1.0, 0.0]).expect("of finite length");
/// let up = Embedding::normalize(vec![0.0, 1.0]).expect("of finite length");
/// let between = recommended(&[right.clone(), up.clone()], &[]).expect("one direction");
/// assert!((between.as_slice()[0] - between.as_slice()[1]).abs() < 1e-6);
/// let away = recommended(&[right], &[up]).expect("one direction");
/// assert!(away.as_slice()[1] < 0.0);
/// ```
#[must_use]
pub fn recommended(positive: &[Embedding], negative: &[Embedding]) -> Option<Embedding> {
    let dimension = positive.first()?.dimension();
    if positive.iter().chain(negative).any(|example| example.dimension() != dimension) {
        return None;
    }
    let mut query = mean(positive, dimension);
    if !negative.is_empty() {
        let against = mean(negative, dimension);
        for (value, against) in query.iter_mut().zip(against) {
            *value = 2.0 * *value - against;
        }
    }
    Embedding::normalize(query).ok()
}

fn mean(examples: &[Embedding], dimension: usize) -> Vec<f32> {
    let mut sum = vec![0.0; dimension];
    for example in examples {
        for (sum, value) in sum.iter_mut().zip(example.as_slice()) {
            *sum += value / examples.len() as f32;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(components: &[f32]) -> Embedding {
        Embedding::normalize(components.to_vec()).unwrap()
    }

    #[test]
    fn examples_that_cancel_or_do_not_fit_give_nothing() {
        let (right, left) = (unit(&[1.0, 0.0]), unit(&[-1.0, 0.0]));
        assert_eq!(recommended(&[], std::slice::from_ref(&right)), None);
        assert_eq!(recommended(&[right.clone(), left], &[]), None);
        assert_eq!(recommended(&[right], &[unit(&[1.0, 0.0, 0.0])]), None);
    }

    #[test]
    fn a_negative_example_moves_the_query_by_twice_its_difference() {
        let query = recommended(&[unit(&[1.0, 0.0])], &[unit(&[0.6, 0.8])]).unwrap();
        let expected = unit(&[2.0 - 0.6, -0.8]);
        assert!(query.cosine(&expected).unwrap() > 1.0 - 1e-6);
    }
}
