//! How well rows of one class find each other: precision, recall and average precision,
//! leave-one-out.

use ndarray::{ArrayView2, s};
use rayon::prelude::*;
use serde::Serialize;

use super::error::Result;
use super::matrix::{blocks, check_length, check_rows};

/// Rank up to which recall is counted.
const RECALL_RANK: usize = 10;

/// Means over some queries, each 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Retrieval {
    /// Rows that asked: those whose class has another row.
    pub queries: usize,
    /// Share of the first neighbors that are of the class of the row that asked.
    pub precision_at_1: f64,
    /// Share of the first five, always divided by five.
    pub precision_at_5: f64,
    /// Share of the first ten, always divided by ten.
    pub precision_at_10: f64,
    /// Share of the other rows of the class that are among the first ten.
    pub recall_at_10: f64,
    /// Mean average precision over the whole ranking.
    pub mean_average_precision: f64,
}

/// Lets each row ask for all others, most similar first, and says how many of its class it finds:
/// over all queries, and over those of each class.
///
/// Rows are normalised; `classes` are below `class_count`. Among equals the earlier row comes first.
/// The average precision of a query is the mean, over the rows of its class, of the precision at
/// their ranks: E. Voorhees and D. Harman, "TREC" (2005). Costs O(n^2 (d + log n)) in parallel.
///
/// # Errors
///
/// [`super::LearnError::LengthMismatch`], [`super::LearnError::EmptyInput`],
/// [`super::LearnError::ValueOutOfRange`].
pub fn retrieval(
    rows: ArrayView2<'_, f32>,
    classes: &[usize],
    class_count: usize,
) -> Result<(Retrieval, Vec<Retrieval>)> {
    check_rows(rows)?;
    check_length("classes", rows.nrows(), classes.len())?;
    let mut sizes = vec![0; class_count];
    for &class in classes {
        sizes[class] += 1;
    }
    let asked: Vec<Option<Retrieval>> = blocks(rows.nrows())
        .flat_map_iter(|block| {
            let cosines = rows.slice(s![block.clone(), ..]).dot(&rows.t());
            let answers = block.zip(cosines.outer_iter()).map(|(row, cosines)| {
                (sizes[classes[row]] > 1).then(|| ask(row, cosines, classes))
            });
            answers.collect::<Vec<_>>()
        })
        .collect();
    let mut all = Retrieval::default();
    let mut per_class = vec![Retrieval::default(); class_count];
    for (answer, &class) in asked.iter().zip(classes) {
        if let Some(answer) = answer {
            all.add(answer);
            per_class[class].add(answer);
        }
    }
    per_class.iter_mut().chain([&mut all]).for_each(Retrieval::divide);
    Ok((all, per_class))
}

fn ask(row: usize, cosines: ndarray::ArrayView1<'_, f32>, classes: &[usize]) -> Retrieval {
    let mut order: Vec<usize> = (0..classes.len()).filter(|&other| other != row).collect();
    order.sort_unstable_by(|&a, &b| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b)));
    let is_right = |other: &usize| classes[*other] == classes[row];
    let right_among =
        |rank: usize| order.iter().take(rank).filter(|at| is_right(at)).count() as f64;
    let (mut found, mut precisions) = (0.0, 0.0);
    for (rank, _) in order.iter().enumerate().filter(|(_, other)| is_right(other)) {
        found += 1.0;
        precisions += found / (rank + 1) as f64;
    }
    Retrieval {
        queries: 1,
        precision_at_1: right_among(1),
        precision_at_5: right_among(5) / 5.0,
        precision_at_10: right_among(10) / 10.0,
        recall_at_10: right_among(RECALL_RANK) / found,
        mean_average_precision: precisions / found,
    }
}

impl Retrieval {
    fn means(&mut self) -> [&mut f64; 5] {
        [
            &mut self.precision_at_1,
            &mut self.precision_at_5,
            &mut self.precision_at_10,
            &mut self.recall_at_10,
            &mut self.mean_average_precision,
        ]
    }

    fn add(&mut self, other: &Self) {
        self.queries += other.queries;
        let mut other = other.clone();
        for (sum, value) in self.means().into_iter().zip(other.means()) {
            *sum += *value;
        }
    }

    fn divide(&mut self) {
        let queries = self.queries.max(1) as f64;
        self.means().into_iter().for_each(|mean| *mean /= queries);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::super::error::LearnError;
    use super::*;

    #[test]
    fn four_rows_worked_by_hand() {
        let at = |degrees: f32| [degrees.to_radians().cos(), degrees.to_radians().sin()];
        let rows: Vec<[f32; 2]> = [0.0, 30.0, 40.0, 100.0].map(at).to_vec();
        let rows = Array2::from(rows);
        let (all, per_class) = retrieval(rows.view(), &[0, 1, 0, 2], 3).unwrap();
        // Row 0 asks: 1 (wrong), 2 (right). Row 2 asks: 1 (wrong), 0 (right). Others are alone.
        assert_eq!(all.queries, 2);
        assert_eq!((all.precision_at_1, all.precision_at_5), (0.0, 0.2));
        assert_eq!((all.recall_at_10, all.mean_average_precision), (1.0, 0.5));
        assert_eq!(per_class[0], all);
        assert_eq!((per_class[1].queries, per_class[1].recall_at_10), (0, 0.0));
    }

    #[test]
    fn classes_apart_are_perfect_and_bad_input_is_refused() {
        let rows = array![[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]];
        let (all, _) = retrieval(rows.view(), &[0, 0, 1, 1], 2).unwrap();
        assert_eq!((all.precision_at_1, all.mean_average_precision), (1.0, 1.0));
        let found = retrieval(rows.view(), &[0, 0], 2);
        assert!(matches!(found, Err(LearnError::LengthMismatch { expected: 4, found: 2, .. })));
    }
}
