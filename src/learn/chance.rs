//! How often unrelated images score as high as a hit: what a score is worth.

use serde::{Deserialize, Serialize};

use crate::vector;

/// The scores of pairs drawn at random from a collection.
///
/// Some of these pairs belong together, so that chance is overrated rather than underrated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Pairs that were drawn.
    pairs: usize,
    /// Scores that 0, 1/256, 2/256 ... of the pairs do not reach, ascending.
    quantiles: Vec<f32>,
    /// The score that one pair in a hundred reaches, where the tail begins.
    tail_start: f32,
    /// Mean of what the scores of unrelated pairs in the tail have more.
    tail_mean: f32,
}

/// Steps between the quantiles.
const STEPS: usize = 256;
/// Share of the pairs in the tail.
const TAIL: f64 = 0.01;
/// Scores above this one are those of copies.
const COPY: f32 = 0.9995;

impl Chance {
    /// Compares all rows of a sample, unit vectors of shape `[images, dimension]`, with each other;
    /// `None` for fewer than 30 images that are not copies of each other.
    ///
    /// Beyond the sampled scores the tail is taken as exponential, as in the method of peaks over
    /// threshold (Pickands, *Statistical inference using extreme order statistics*, Annals of
    /// Statistics 1975). Costs a comparison for each pair.
    pub fn of(sample: &[&[f32]]) -> Option<Self> {
        let mut scores = Vec::with_capacity(sample.len() * sample.len() / 2);
        for (number, row) in sample.iter().enumerate() {
            let others = sample[..number].iter().map(|other| vector::dot(row, other));
            scores.extend(others.filter(|score| *score < COPY));
        }
        if scores.len() < 30 * 29 / 2 {
            return None;
        }
        scores.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| scores[((scores.len() - 1) as f64 * share) as usize];
        let quantiles = (0..=STEPS).map(|step| at(step as f64 / STEPS as f64)).collect();
        let tail_start = at(1.0 - TAIL);
        // From the median, which the duplicates of a collection, far out in the tail, hardly move.
        let tail_mean = ((at(1.0 - TAIL / 2.0) - tail_start) / std::f32::consts::LN_2).max(1e-4);
        Some(Self { pairs: scores.len(), quantiles, tail_start, tail_mean })
    }

    /// The share of unrelated pairs that score as high, 0 to 1.
    pub fn of_score(&self, score: f32) -> f64 {
        if score >= self.tail_start {
            return TAIL * (-f64::from(score - self.tail_start) / f64::from(self.tail_mean)).exp();
        }
        let reached = self.quantiles.partition_point(|quantile| *quantile <= score);
        let Some(low) = reached.checked_sub(1).and_then(|at| self.quantiles.get(at)) else {
            return 1.0;
        };
        let high = self.quantiles.get(reached).unwrap_or(low);
        let between = if high > low { (score - low) / (high - low) } else { 0.0 };
        let below = ((reached - 1) as f64 + f64::from(between)) / STEPS as f64;
        (1.0 - below).clamp(TAIL, 1.0)
    }

    /// The score that a share of the unrelated pairs, 0 to .01, reaches.
    pub fn score_of(&self, share: f64) -> f32 {
        let share = share.clamp(1e-12, TAIL);
        let score = f64::from(self.tail_start) - f64::from(self.tail_mean) * (share / TAIL).ln();
        (score as f32).min(1.0)
    }

    /// Whether it was read back as it was written.
    pub fn is_sound(&self) -> bool {
        self.quantiles.len() == STEPS + 1
            && self.quantiles.iter().all(|score| score.is_finite())
            && self.tail_start.is_finite()
            && self.tail_mean > 0.0
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn sample(count: usize) -> Vec<Vec<f32>> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let unit = |random: &mut Xoshiro256PlusPlus| {
            let row: Vec<f32> = (0..16).map(|_| random.gen_range(-1.0..1.0)).collect();
            let length = vector::dot(&row, &row).sqrt();
            row.into_iter().map(|value| value / length).collect()
        };
        (0..count).map(|_| unit(&mut random)).collect()
    }

    #[test]
    fn shares_are_those_that_other_pairs_of_the_same_kind_have() {
        let rows = sample(1000);
        let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let chance = Chance::of(&slices[..400]).unwrap();
        let others = &slices[400..];
        for score in [-0.5, 0.0, 0.3, 0.6, 0.7] {
            let (mut reached, mut all) = (0, 0);
            for (number, row) in others.iter().enumerate() {
                for other in &others[..number] {
                    reached += usize::from(vector::dot(row, other) >= score);
                    all += 1;
                }
            }
            let share = reached as f64 / f64::from(all);
            let said = chance.of_score(score);
            // Beyond the sample the tail of these scores, which end at 1, is thinner than it is taken.
            let most = if score > 0.6 { 2.5 } else { 1.3 };
            assert!((0.7..most).contains(&(said / share)), "{score}: said {said}, found {share}");
        }
        assert!((chance.of_score(chance.score_of(0.001)) - 0.001).abs() < 1e-5);
        assert_eq!(chance.of_score(-1.0), 1.0);
    }

    #[test]
    fn copies_and_few_images_say_nothing() {
        let row = vec![1.0, 0.0];
        let copies: Vec<&[f32]> = vec![&row; 100];
        assert_eq!(Chance::of(&copies), None);
        let rows = sample(20);
        let slices: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        assert_eq!(Chance::of(&slices), None);
    }
}
