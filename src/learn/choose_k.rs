//! Chooses a number of clusters from how the silhouette goes as it grows.

use ndarray::{ArrayView2, Axis};

use super::clustering::silhouette;
use super::error::Result;
use super::kmeans::{coarse_fit, coarse_rows};
use super::matrix::{check_rows, sample_rows};

/// Rows that are looked at, so that the cost of one try is bounded.
const SAMPLE_ROWS: usize = 4096;
/// From here on a silhouette means clusters that stand apart: L. Kaufman and P. Rousseeuw,
/// "Finding groups in data" (1990), chapter 2, who call 0.26 to 0.5 weak and less no
/// structure.
const APART: f32 = 0.5;
/// Share of the best silhouette that a finer division may cost, where nothing stands apart.
const KEPT_SHARE: f32 = 0.6;

/// A chosen number of clusters, and what it was chosen by.
#[derive(Clone, Debug, PartialEq)]
pub struct KChoice {
    /// The chosen number of clusters; 1 where all rows are alike.
    pub k: usize,
    /// Tried numbers of clusters, ascending, each with the mean silhouette of its division.
    pub curve: Vec<(usize, f32)>,
}

/// Chooses how many clusters to make, among 2, 3, 4 ... 10, 12, 14, 16, 19 ... up to the
/// square root of the rows.
///
/// Where the best mean silhouette is 0.5 or more, clusters stand apart, and the best one
/// wins. Embeddings of ordinary photos form a continuum instead (best silhouette 0.1 to
/// 0.3): there the silhouette falls with the number of clusters, and its best is two heaps
/// that help nobody. Then the finest division wins that keeps 60 % of the best silhouette
/// of 3 or more clusters.
///
/// Works on a sample of at most 4096 rows, so that from there on the cost grows with the
/// square root of the rows only: 372 rows of 1280 columns take 0.2 s, 20,000 take 6 s on two
/// busy cores.
///
/// # Errors
///
/// [`super::LearnError::EmptyInput`], [`super::LearnError::ValueOutOfRange`].
pub fn choose_k(rows: ArrayView2<'_, f32>, seed: u64) -> Result<KChoice> {
    check_rows(rows)?;
    let sample = sample_rows(rows.nrows(), SAMPLE_ROWS, seed);
    let coarse = coarse_rows(rows, &sample, seed);
    let sampled = rows.select(Axis(0), &sample);
    let mut curve = Vec::new();
    for k in candidates(rows.nrows(), sample.len()) {
        let clustering = coarse_fit(coarse.view(), k, seed);
        if clustering.clusters() >= 2 {
            curve.push((k, silhouette(sampled.view(), &clustering)?));
        }
    }
    Ok(KChoice { k: pick(&curve), curve })
}

/// Numbers from 2 to the square root of the rows, each at most a fifth above the last.
fn candidates(rows: usize, sampled: usize) -> Vec<usize> {
    let most = rows.isqrt().max(2).min(sampled);
    let next = |&k: &usize| Some((k + 1).max(k * 6 / 5));
    std::iter::successors(Some(2), next).take_while(|&k| k <= most).collect()
}

/// Applies the rule that [`choose_k`] documents.
fn pick(curve: &[(usize, f32)]) -> usize {
    let by_silhouette =
        |points: &[(usize, f32)]| points.iter().copied().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    let Some(best) = by_silhouette(curve) else {
        return 1;
    };
    let finer: Vec<(usize, f32)> = curve.iter().copied().filter(|&(k, _)| k > 2).collect();
    match by_silhouette(&finer) {
        Some((_, finer_best)) if best.1 < APART => {
            let kept = finer.iter().filter(|point| point.1 >= KEPT_SHARE * finer_best);
            kept.map(|point| point.0).max().unwrap_or(best.0)
        }
        _ => best.0,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn planted_number_of_clusters_is_chosen() {
        for (clusters, each) in [(2, 40), (3, 30), (5, 50), (12, 20)] {
            let (rows, _) = planted(clusters, each, 200, 0.4, 3);
            let choice = choose_k(rows.view(), 1).unwrap();
            assert_eq!(choice.k, clusters, "{:?}", choice.curve);
        }
    }

    #[test]
    fn rule_takes_the_best_where_clusters_stand_apart_and_the_finest_good_one_elsewhere() {
        struct Case {
            what: &'static str,
            curve: &'static [(usize, f32)],
            k: usize,
        }
        for case in [
            Case { what: "nothing to choose from", curve: &[], k: 1 },
            Case { what: "a single try", curve: &[(2, 0.1)], k: 2 },
            Case { what: "apart", curve: &[(2, 0.4), (3, 0.6), (4, 0.5), (5, 0.45)], k: 3 },
            Case { what: "two heaps apart", curve: &[(2, 0.7), (3, 0.4), (4, 0.39)], k: 2 },
            Case {
                what: "two weak heaps",
                curve: &[(2, 0.3), (3, 0.15), (4, 0.16), (5, 0.1), (6, 0.09)],
                k: 5,
            },
            Case { what: "rising", curve: &[(2, 0.1), (3, 0.11), (4, 0.12)], k: 4 },
            Case { what: "a tie goes to the fewest", curve: &[(2, 0.6), (3, 0.6)], k: 2 },
            Case { what: "nothing fits at all", curve: &[(2, -0.1), (3, -0.2), (4, -0.3)], k: 2 },
        ] {
            assert_eq!(pick(case.curve), case.k, "{}", case.what);
        }
    }

    #[test]
    fn candidates_grow_by_a_fifth_up_to_the_square_root() {
        assert_eq!(candidates(400, 400), [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19]);
        assert_eq!(candidates(20_000, 4096).last(), Some(&126));
        assert_eq!(candidates(2, 2), [2]);
        assert_eq!(candidates(1, 1), Vec::<usize>::new());
    }

    #[test]
    fn rows_that_are_all_alike_make_one_cluster() {
        for rows in [1, 2, 9] {
            let choice = choose_k(Array2::<f32>::ones((rows, 3)).view(), 0).unwrap();
            assert_eq!(choice, KChoice { k: 1, curve: Vec::new() });
        }
    }

    #[test]
    fn choice_can_be_made_for_any_few_rows() {
        for rows in 1..12 {
            let choice = choose_k(random_rows(rows, 5, 2).view(), 0).unwrap();
            assert!((1..=rows).contains(&choice.k), "{rows} rows: {choice:?}");
        }
    }
}
