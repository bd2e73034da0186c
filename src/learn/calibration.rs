//! Confidence that means something: shares of held-out rows stretched so that of what is said with
//! 80 % four in five are right.

use ndarray::{Array1, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

/// Share below which a class counts as this: votes can be zero, probabilities cannot.
const SHARE_MIN: f32 = 1e-3;
/// Bins of the reliability diagram.
const BINS: usize = 10;
/// Range of the temperature, as its logarithm.
const LOG_TEMPERATURE_MAX: f32 = 3.0;

/// How shares become probabilities: each is raised to the power `1 / temperature`, and they are made
/// to add up to 1 again.
///
/// C. Guo and others, "On calibration of modern neural networks" (2017). It changes no order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    temperature: f32,
}

impl Default for Calibration {
    /// Takes the shares for probabilities.
    fn default() -> Self {
        Self { temperature: 1.0 }
    }
}

impl Calibration {
    /// Finds the temperature under which the true classes of some rows (n x classes) are most
    /// likely. The rows must not have been trained on. No rows give the default.
    pub fn fit(shares: ArrayView2<'_, f32>, labels: &[usize]) -> Self {
        if labels.is_empty() {
            return Self::default();
        }
        let surprise = |log_temperature: f32| -> f64 {
            let calibration = Self { temperature: log_temperature.exp() };
            let rows = shares.outer_iter().zip(labels);
            let probability = |(shares, &label): (ArrayView1<'_, f32>, &usize)| {
                calibration.probabilities(shares).get(label).copied().unwrap_or(0.0)
            };
            rows.map(|row| -f64::from(probability(row).max(f32::MIN_POSITIVE)).ln()).sum()
        };
        // The surprise has one minimum; a third less of the range in each step.
        let (mut low, mut high) = (-LOG_TEMPERATURE_MAX, LOG_TEMPERATURE_MAX);
        while high - low > 1e-3 {
            let third = (high - low) / 3.0;
            if surprise(low + third) <= surprise(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        Self { temperature: f32::midpoint(low, high).exp() }
    }

    /// Returns the probability of each class from its share.
    pub fn probabilities(&self, shares: ArrayView1<'_, f32>) -> Array1<f32> {
        let logs = shares.mapv(|share| share.max(SHARE_MIN).ln() / self.temperature);
        let most = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut powers = logs.mapv(|log| (log - most).exp());
        let sum = powers.sum();
        powers /= sum;
        powers
    }

    /// Returns the temperature: above 1 where the shares were too sure, below 1 where they were not
    /// sure enough.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }
}

/// What was said of a row that was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Probability of the class that was named, 0 to 1.
    pub confidence: f32,
    /// Whether it is the true one.
    pub is_right: bool,
}

/// Rows that were said with about the same confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// Rows.
    pub rows: usize,
    /// Mean confidence.
    pub confidence: f32,
    /// Share of them that was right.
    pub accuracy: f32,
}

/// Returns the bins of a reliability diagram: confidence in ten steps from 0 to 1, empty ones left
/// out.
pub fn reliability(judged: &[Judged]) -> Vec<ReliabilityBin> {
    let mut bins = vec![(0_usize, 0.0_f64, 0_usize); BINS];
    for row in judged {
        let bin = ((row.confidence * BINS as f32) as usize).min(BINS - 1);
        bins[bin].0 += 1;
        bins[bin].1 += f64::from(row.confidence);
        bins[bin].2 += usize::from(row.is_right);
    }
    let filled = bins.into_iter().filter(|bin| bin.0 > 0);
    filled
        .map(|(rows, confidence, right)| ReliabilityBin {
            rows,
            confidence: (confidence / rows as f64) as f32,
            accuracy: right as f32 / rows as f32,
        })
        .collect()
}

/// Returns the expected calibration error: the mean over the rows of how far confidence and accuracy
/// of their bin are apart, 0 to 1; `None` without rows.
///
/// M. Naeini and others, "Obtaining well calibrated probabilities using Bayesian binning" (2015).
/// With few rows it is not zero even for perfect confidence: about .03 with 400.
pub fn calibration_error(judged: &[Judged]) -> Option<f32> {
    let bins = reliability(judged);
    let error = |bin: &ReliabilityBin| bin.rows as f32 * (bin.confidence - bin.accuracy).abs();
    (!judged.is_empty()).then(|| bins.iter().map(error).sum::<f32>() / judged.len() as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use rand::Rng;

    use super::super::matrix::stream;
    use super::*;

    #[test]
    fn shares_that_were_squared_or_rooted_are_brought_back() {
        let mut random = stream(1, 1);
        for power in [0.4_f32, 1.0, 3.0] {
            let (mut shares, mut labels) = (Array2::zeros((4000, 3)), Vec::new());
            for mut row in shares.outer_iter_mut() {
                let true_shares = [0, 1, 2].map(|_| random.gen_range(0.05..1.0_f32));
                let sum: f32 = true_shares.iter().sum();
                let mut left = random.gen_range(0.0..sum);
                let mut label = 2;
                for (class, share) in true_shares.iter().enumerate() {
                    if left < *share {
                        label = class;
                        break;
                    }
                    left -= share;
                }
                labels.push(label);
                let powers = true_shares.map(|share| (share / sum).powf(power));
                row.assign(&(Array1::from(powers.to_vec()) / powers.iter().sum::<f32>()));
            }
            let found = Calibration::fit(shares.view(), &labels).temperature();
            assert!((found / power - 1.0).abs() < 0.1, "{power}: {found}");
        }
    }

    #[test]
    fn probabilities_keep_their_order_and_add_up() {
        let calibration = Calibration { temperature: 2.5 };
        let found = calibration.probabilities(array![0.0, 0.7, 0.3].view());
        assert!((found.sum() - 1.0).abs() < 1e-6);
        assert!(found[0] > 0.0 && found[1] > found[2] && found[2] > found[0], "{found}");
    }

    #[test]
    fn error_of_two_bins_worked_by_hand() {
        let judged = |confidence, is_right| Judged { confidence, is_right };
        let rows = [judged(0.95, true), judged(0.95, false), judged(0.55, true), judged(1.0, true)];
        // 0.9 to 1: mean 0.9667, right 2 of 3; 0.5 to 0.6: 0.55, right.
        let expected = (3.0 * (0.966_667 - 0.666_667) + 0.45) / 4.0;
        let found = calibration_error(&rows).unwrap();
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        assert_eq!(reliability(&rows).len(), 2);
        assert_eq!(calibration_error(&[]), None);
    }
}
