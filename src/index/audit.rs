//! Verifying a graph against the exact scan: recall of queries, and nodes that do not find
//! themselves.

use std::ops::ControlFlow;

use rayon::prelude::*;

use super::codes::QueryCodes;
use super::{GraphIndex, IndexError, Neighbor, NodeFilter, VectorIndex, VectorSet};

/// How many of the true nearest neighbors an index found over a number of queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecallReport {
    /// Neighbors asked for per query.
    pub k: usize,
    /// Queries asked.
    pub queries: usize,
    /// Neighbors found that are among the true ones, or score as high as the last of these.
    pub hits: usize,
    /// Neighbors there were to find: `k` per query, or all nodes that exist if they are fewer.
    pub wanted: usize,
}

impl RecallReport {
    /// A report on no queries at all.
    pub(super) fn unknown(k: usize) -> Self {
        Self { k, queries: 0, hits: 0, wanted: 0 }
    }

    /// The share of the wanted neighbors that were found, in 0..=1; 1 if there were none.
    pub fn recall(&self) -> f64 {
        if self.wanted == 0 {
            return 1.0;
        }
        self.hits as f64 / self.wanted as f64
    }

    /// The lower end of the 95 % interval of [`RecallReport::recall`].
    pub fn low(&self) -> f64 {
        self.wilson(-1.0)
    }

    /// The upper end of the 95 % interval of [`RecallReport::recall`].
    pub fn high(&self) -> f64 {
        self.wilson(1.0)
    }

    /// An end of the Wilson score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953).
    ///
    /// One trial per query, not `k`: the hits of a query stand or fall together, and counting
    /// each would make the interval too narrow. The share found per query varies less than a
    /// coin with the same mean, so the interval is rather too wide.
    fn wilson(&self, sign: f64) -> f64 {
        if self.queries == 0 {
            return if sign < 0.0 { 0.0 } else { 1.0 };
        }
        const Z: f64 = 1.959_964;
        let (share, trials) = (self.recall(), self.queries as f64);
        let center = share + Z * Z / (2.0 * trials);
        let variance = share * (1.0 - share) / trials + (Z / (2.0 * trials)).powi(2);
        let end = (center + sign * Z * variance.sqrt()) / (1.0 + Z * Z / trials);
        end.clamp(0.0, 1.0)
    }
}

/// Measures what share of the `k` nearest of each query `search` finds, by asking `exact` too.
///
/// A neighbor counts as found if it is one of the true ones, or scores at least as high as the
/// last of them: ties do not count against the search, nor do the last bits of a score. Costs one
/// exact scan per query.
///
/// # Errors
///
/// What `search` gives for the first query that cannot be answered.
pub fn recall(
    search: impl Fn(&[f32]) -> Result<Vec<Neighbor>, IndexError> + Sync,
    exact: &dyn VectorIndex,
    queries: &[&[f32]],
    k: usize,
) -> Result<RecallReport, IndexError> {
    Sample::new(exact, queries.to_vec(), k, None)?.recall(search)
}

/// Queries with the true answers.
pub(super) struct Sample<'a> {
    k: usize,
    queries: Vec<&'a [f32]>,
    answers: Vec<Vec<Neighbor>>,
}

impl<'a> Sample<'a> {
    /// Asks `exact` for the answers among the nodes that pass `filter`.
    pub(super) fn new(
        exact: &dyn VectorIndex,
        queries: Vec<&'a [f32]>,
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Result<Self, IndexError> {
        let answers = queries.par_iter().map(|query| exact.search(query, k, filter));
        let answers = answers.collect::<Result<_, _>>()?;
        Ok(Self { k, queries, answers })
    }

    /// Compares the answers of `search`.
    pub(super) fn recall<E: Send>(
        &self,
        search: impl Fn(&[f32]) -> Result<Vec<Neighbor>, E> + Sync,
    ) -> Result<RecallReport, E> {
        let pairs = self.queries.par_iter().zip(&self.answers);
        let hits = pairs.map(|(query, answer)| Ok(hits(answer, &search(query)?)));
        Ok(RecallReport {
            k: self.k,
            queries: self.queries.len(),
            hits: hits.sum::<Result<_, E>>()?,
            wanted: self.answers.iter().map(Vec::len).sum(),
        })
    }
}

fn hits(answer: &[Neighbor], found: &[Neighbor]) -> usize {
    let Some(last) = answer.last() else { return 0 };
    let is_hit = |neighbor: &&Neighbor| {
        let is_among = answer.iter().any(|wanted| wanted.node == neighbor.node);
        is_among || neighbor.score >= last.score
    };
    found.iter().filter(is_hit).count().min(answer.len())
}

/// The nodes, ascending, that a walk with the serving `ef` does not find when asked for them.
///
/// A node counts as found if it is among the candidates, or if all candidates score as high as
/// itself. Costs one walk per node. `progress` is told the number of nodes done and may stop it.
///
/// # Errors
///
/// [`IndexError::Stopped`] if `progress` breaks.
pub(super) fn find_unreachable(
    graph: &GraphIndex,
    vectors: &VectorSet,
    progress: &dyn Fn(usize) -> ControlFlow<()>,
) -> Result<Vec<u32>, IndexError> {
    let total = graph.len();
    let mut unreachable = Vec::new();
    for start in (0..total).step_by(AUDIT_CHUNK) {
        let nodes = start as u32..total.min(start + AUDIT_CHUNK) as u32;
        let lost = nodes.into_par_iter().filter(|&node| !finds_itself(graph, vectors, node));
        unreachable.extend(lost.collect::<Vec<_>>());
        let done = total.min(start + AUDIT_CHUNK);
        if progress(done).is_break() {
            return Err(IndexError::Stopped { done, total });
        }
    }
    Ok(unreachable)
}

/// Whether a search for a node finds it, or only nodes that are as good.
pub(super) fn finds_itself(graph: &GraphIndex, vectors: &VectorSet, node: u32) -> bool {
    let query = QueryCodes::encode(vectors.row(node));
    let Some(found) = graph.walk_reachable(&query, graph.ef()) else {
        return false;
    };
    let own_score = graph.score(&query, node).score;
    let all_tie = found.iter().all(|neighbor| neighbor.score >= own_score);
    all_tie || found.iter().any(|neighbor| neighbor.node == node)
}

/// Nodes between two calls of the progress callback: a fraction of a second.
const AUDIT_CHUNK: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_matches_the_published_formula() {
        // 90 of 100 successes: 0.8256 to 0.9448, by hand from Wilson's formula.
        let report = RecallReport { k: 1, queries: 100, hits: 90, wanted: 100 };
        assert!((report.low() - 0.8256).abs() < 1.0e-4, "{}", report.low());
        assert!((report.high() - 0.9448).abs() < 1.0e-4, "{}", report.high());
    }

    #[test]
    fn perfect_recall_on_few_queries_is_not_certainty() {
        let report = RecallReport { k: 10, queries: 10, hits: 100, wanted: 100 };
        assert_eq!(report.recall(), 1.0);
        assert!(report.low() < 0.75);
        assert!(report.high() > 0.999_999);
    }

    #[test]
    fn no_queries_say_nothing() {
        let report = RecallReport { k: 10, queries: 0, hits: 0, wanted: 0 };
        assert_eq!((report.low(), report.high()), (0.0, 1.0));
    }

    #[test]
    fn ties_with_the_last_true_neighbor_count_as_found() {
        let neighbor = |node, score| Neighbor { node, score };
        let answer = [neighbor(1, 0.9), neighbor(2, 0.8)];
        assert_eq!(hits(&answer, &[neighbor(1, 0.9), neighbor(7, 0.8)]), 2);
        assert_eq!(hits(&answer, &[neighbor(1, 0.9), neighbor(7, 0.7)]), 1);
        assert_eq!(hits(&[], &[neighbor(1, 0.9)]), 0);
    }
}
