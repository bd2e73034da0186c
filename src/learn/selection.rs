//! Which predictions can be kept at a wanted error, and which a person should look at.

use super::calibration::Judged;

/// Returns for each new row whether its prediction is kept, so that of those that are kept no more
/// than a share `error` is wrong in expectation.
///
/// Conformal selection: each row gets the p-value `(1 + wrong held-out rows that were at least as
/// sure) / (1 + held-out rows)`, and the procedure of Benjamini and Hochberg keeps as many as it can.
/// Y. Jin and E. Candes, "Selection by prediction with conformal p-values" (2023): the bound holds
/// whatever the classifier, where held-out and new rows are drawn alike. Held-out rows of
/// cross-validation are judged by classifiers of four fifths of the examples, which makes it a
/// little careful. Nothing is kept where fewer than about `1 / error` rows were held out. Costs
/// O(n log n).
pub fn select(held_out: &[Judged], confidences: &[f32], error: f32) -> Vec<bool> {
    let wrong = held_out.iter().filter(|row| !row.is_right);
    let mut wrong: Vec<f32> = wrong.map(|row| row.confidence).collect();
    wrong.sort_unstable_by(f32::total_cmp);
    let p_value = |confidence: f32| {
        let surer = wrong.len() - wrong.partition_point(|other| *other < confidence);
        (1 + surer) as f64 / (1 + held_out.len()) as f64
    };
    let p_values: Vec<f64> = confidences.iter().map(|&confidence| p_value(confidence)).collect();
    let mut ascending = p_values.clone();
    ascending.sort_unstable_by(f64::total_cmp);
    let allowed = |rank: usize| f64::from(error) * (rank + 1) as f64 / confidences.len() as f64;
    let last = (0..ascending.len()).rev().find(|&rank| ascending[rank] <= allowed(rank));
    let limit = last.map(|rank| ascending[rank]);
    p_values.iter().map(|p| limit.is_some_and(|limit| *p <= limit)).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::super::matrix::stream;
    use super::*;

    fn judged(confidence: f32, is_right: bool) -> Judged {
        Judged { confidence, is_right }
    }

    #[test]
    fn selection_worked_by_hand() {
        // Nine held out, wrong at 0.5 and 0.7. P-values: 0.1 above 0.7, 0.2 up to it, 0.3 up to 0.5.
        let mut held_out: Vec<Judged> =
            (0..7).map(|at| judged(0.3 + 0.1 * at as f32, true)).collect();
        held_out.extend([judged(0.5, false), judged(0.7, false)]);
        let confidences = [0.9, 0.6, 0.4, 0.8];
        // At 0.2: ranks allow 0.05, 0.1, 0.15, 0.2; the two surest have 0.1 at rank 2.
        assert_eq!(select(&held_out, &confidences, 0.2), [true, false, false, true]);
        assert_eq!(select(&held_out, &confidences, 0.19), [false; 4]);
        assert_eq!(select(&held_out, &confidences, 0.3), [true; 4]);
    }

    #[test]
    fn nothing_is_kept_without_held_out_rows_and_nothing_comes_of_nothing() {
        assert_eq!(select(&[], &[1.0, 0.9], 0.5), [false, false]);
        assert_eq!(select(&[judged(1.0, true)], &[], 0.5), Vec::<bool>::new());
    }

    #[test]
    fn share_of_wrong_ones_among_the_kept_stays_below_the_wanted_error() {
        // Confidence says nothing exact: right with its square.
        let mut random = stream(5, 5);
        let (mut wrong_share, mut kept_share) = (0.0, 0.0);
        for _ in 0..200 {
            let mut draw = |count: usize| -> Vec<Judged> {
                let confidence = (0..count).map(|_| random.gen_range(0.0..1.0_f32));
                let all: Vec<f32> = confidence.collect();
                all.iter()
                    .map(|&c| judged(c, random.gen_range(0.0..1.0) < c.sqrt().sqrt()))
                    .collect()
            };
            let (held_out, new) = (draw(150), draw(150));
            let confidences: Vec<f32> = new.iter().map(|row| row.confidence).collect();
            let kept = select(&held_out, &confidences, 0.1);
            let kept: Vec<&Judged> =
                new.iter().zip(kept).filter(|(_, kept)| *kept).map(|(row, _)| row).collect();
            let wrong = kept.iter().filter(|row| !row.is_right).count();
            wrong_share += wrong as f64 / kept.len().max(1) as f64 / 200.0;
            kept_share += kept.len() as f64 / 150.0 / 200.0;
        }
        assert!(wrong_share <= 0.105, "{wrong_share}");
        assert!(kept_share > 0.3, "{kept_share}");
    }
}
