//! The exact scan: scores every row that passes. The default index, and the oracle of the graph.

use std::sync::Arc;

use rayon::prelude::*;

use super::neighbor::TopK;
use super::{IndexError, Neighbor, NodeFilter, VectorIndex, VectorSet};
use crate::vector::Kernel;

/// An index that scores every vector. It needs no building and no memory beside the vectors.
///
/// A search reads `4 * dimension` bytes per passing node, in parallel on the current rayon pool.
/// For a given kernel the result is the same for any number of threads.
#[derive(Debug, Clone)]
pub struct ExactIndex {
    vectors: Arc<VectorSet>,
    kernel: Kernel,
}

impl ExactIndex {
    /// An index over `vectors`. O(1).
    pub fn new(vectors: Arc<VectorSet>) -> Self {
        let kernel = Kernel::detect();
        Self { vectors, kernel }
    }

    /// The vectors that are scanned.
    pub fn vectors(&self) -> &Arc<VectorSet> {
        &self.vectors
    }

    /// Refuses a query or a filter that does not fit these vectors.
    pub(super) fn check(
        &self,
        query: &[f32],
        filter: Option<&NodeFilter>,
    ) -> Result<(), IndexError> {
        let expected = self.len();
        match filter.map(NodeFilter::len) {
            Some(found) if found != expected => Err(IndexError::FilterMismatch { expected, found }),
            _ => self.vectors.check(query),
        }
    }

    /// The search itself, for a query and a filter that have been checked.
    pub(super) fn scan(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Vec<Neighbor> {
        let blocks = self.len().div_ceil(BLOCK_ROWS);
        let scan_block = |mut top: TopK, block: usize| {
            let start = block * BLOCK_ROWS;
            let end = self.len().min(start + BLOCK_ROWS);
            match filter {
                None => self.scan_rows(query, start, end, &mut top),
                Some(filter) => self.scan_nodes(query, filter.passing(start, end), &mut top),
            }
            top
        };
        let parts = (0..blocks).into_par_iter().with_min_len(BLOCKS_PER_TASK);
        let parts = parts.fold(|| TopK::new(k), scan_block);
        parts.reduce(|| TopK::new(k), TopK::merge).take_sorted()
    }

    fn scan_rows(&self, query: &[f32], start: usize, end: usize, top: &mut TopK) {
        let mut scores = [0.0; BLOCK_ROWS];
        let scores = &mut scores[..end - start];
        let rows = self.vectors.rows(start, end);
        self.kernel.dot_rows(rows, self.dimension(), query, scores);
        for (node, &score) in (start as u32..).zip(scores.iter()) {
            top.offer(Neighbor { node, score });
        }
    }

    /// Scores `nodes` one by one.
    pub(super) fn scan_nodes(
        &self,
        query: &[f32],
        nodes: impl Iterator<Item = u32>,
        top: &mut TopK,
    ) {
        for node in nodes {
            let score = self.kernel.dot(self.vectors.row(node), query);
            top.offer(Neighbor { node, score });
        }
    }
}

impl VectorIndex for ExactIndex {
    fn len(&self) -> usize {
        self.vectors.len()
    }

    fn dimension(&self) -> usize {
        self.vectors.dimension()
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Result<Vec<Neighbor>, IndexError> {
        self.check(query, filter)?;
        if k == 0 {
            return Ok(Vec::new());
        }
        Ok(self.scan(query, k, filter))
    }
}

/// Rows scored at a time: their scores stay in L1. A multiple of 64, as filters are read by word.
const BLOCK_ROWS: usize = 64;

/// Blocks that one thread takes at least: 512 rows of 1280 components are 0.1 ms of work, well
/// above what handing it to another thread costs.
const BLOCKS_PER_TASK: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// Scores everything, sorts everything.
    fn naive(vectors: &VectorSet, query: &[f32], k: usize, filter: &NodeFilter) -> Vec<Neighbor> {
        let nodes = (0..vectors.len() as u32).filter(|&node| filter.contains(node));
        let mut all: Vec<_> = nodes
            .map(|node| {
                let score = Kernel::detect().dot(vectors.row(node), query);
                Neighbor { node, score }
            })
            .collect();
        all.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
        all.truncate(k);
        all
    }

    #[test]
    fn scan_equals_sorting_everything_for_any_size_k_and_filter() {
        for len in [0, 1, 63, 64, 65, 700, 2000] {
            let vectors = Arc::new(fixture::clusters(len.max(1), len, 33, 0.5, 1));
            let index = ExactIndex::new(Arc::clone(&vectors));
            let query = fixture::unit(33, 99);
            for (k, step) in [(1, 1), (10, 1), (10, 7), (5, 1000), (5000, 3)] {
                let filter = NodeFilter::from_predicate(len, |node| node % step == 0);
                let expected = naive(&vectors, &query, k, &filter);
                assert_eq!(index.search(&query, k, Some(&filter)), Ok(expected.clone()));
                if step == 1 {
                    assert_eq!(index.search(&query, k, None), Ok(expected));
                }
            }
        }
    }

    #[test]
    fn result_does_not_depend_on_the_number_of_threads() {
        // Few distinct scores, so that ties are everywhere.
        let mut builder = crate::index::VectorSetBuilder::new(64);
        for node in 0..4000 {
            builder.push(&fixture::sparse_unit(64, node)).expect("a unit vector");
        }
        let index = ExactIndex::new(Arc::new(builder.finish()));
        let query = fixture::sparse_unit(64, 17);
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = |threads| pool(threads).expect("a pool").install(|| index.scan(&query, 50, None));
        let alone = run(1);
        assert!(alone.windows(2).any(|pair| pair[0].score == pair[1].score));
        for threads in [2, 3, 8] {
            assert_eq!(run(threads), alone);
        }
    }

    #[test]
    fn k_zero_gives_none_and_k_beyond_the_end_gives_all() {
        let index = ExactIndex::new(Arc::new(fixture::clusters(5, 5, 8, 0.1, 2)));
        let query = fixture::unit(8, 3);
        assert_eq!(index.search(&query, 0, None), Ok(vec![]));
        assert_eq!(index.search(&query, 9, None).map(|found| found.len()), Ok(5));
    }

    #[test]
    fn queries_that_cannot_be_scored_are_errors() {
        let index = ExactIndex::new(Arc::new(fixture::clusters(5, 5, 2, 0.1, 2)));
        let nan = index.search(&[f32::NAN, 1.0], 1, None);
        assert!(matches!(nan, Err(IndexError::NotFinite { component: 0, .. })));
        let expected = IndexError::DimensionMismatch { expected: 2, found: 1 };
        assert_eq!(index.search(&[1.0], 1, None), Err(expected));
        let expected = IndexError::NotNormalized { norm: 2.0 };
        assert_eq!(index.search(&[0.0, 2.0], 1, None), Err(expected));
        let expected = IndexError::FilterMismatch { expected: 5, found: 4 };
        let filter = NodeFilter::none(4);
        assert_eq!(index.search(&[0.0, 1.0], 1, Some(&filter)), Err(expected));
    }
}
