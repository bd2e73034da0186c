//! The graph index: a frozen graph over quantised vectors, walked by our own searcher.
//!
//! Building is in `build`, its verification in `audit`, the file form in `snapshot`. This file
//! decides how to answer a search: by a walk where that is cheaper, by a scan of all codes
//! otherwise. Neither needs the vectors themselves.

mod construct;
mod links;
mod pool;
mod scan;
mod walk;
mod weave;

use std::sync::{Mutex, PoisonError};

use super::codes::{self, Codes, QueryCodes};
use super::neighbor::TopK;
use super::vectors::check_unit;
use super::{GraphParameters, IndexError, Neighbor, NodeFilter, RecallReport, VectorIndex};
use crate::vector::ByteKernel;
pub(super) use construct::{Construction, LEVELS_MAX};
pub use links::LinksDefect;
pub(super) use links::{Adjacency, Links, UpperLevel};
pub(super) use pool::Candidate;
use walk::{Reach, Scorer, Walker};
pub(super) use weave::Weave;

/// Links nodes one after the other, and gives the finished links.
pub(super) trait Builder {
    /// Inserts `nodes`, in parallel on the current rayon pool.
    fn insert(&mut self, nodes: &[u32]);

    /// Copies the links into flat arrays. Nodes not inserted yet have none and are never found.
    fn freeze(&self) -> Links;
}

/// An approximate index: a walk scores a few hundred to thousands of vectors instead of all.
///
/// It holds the vectors in twelve bits a component. At 512 components a score is off by 2e-5
/// mostly and 9e-5 at most (10,000 pairs; the test is in `codes`), and by less with more.
/// Every node finds itself, because those that a walk cannot reach are linked again or listed
/// when the graph is built, and those listed are scanned in each search. For other queries
/// [`GraphIndex::recall`] says how many of the ten nearest a walk found. A given graph answers a
/// query always the same way, on every processor.
#[derive(Debug)]
pub struct GraphIndex {
    codes: Codes,
    kernel: ByteKernel,
    links: Links,
    tuning: Tuning,
    /// The memory of walks that are not under way; as many as ever ran at the same time.
    walkers: Mutex<Vec<Walker>>,
}

/// What was chosen and measured when a graph was built.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tuning {
    pub(super) parameters: GraphParameters,
    pub(super) ef: usize,
    pub(super) recall: RecallReport,
    /// Nodes that a walk does not find, ascending.
    pub(super) unreachable: Vec<u32>,
}

impl Tuning {
    /// Before anything was measured.
    pub(super) fn unknown(parameters: GraphParameters, ef: usize) -> Self {
        let (recall, unreachable) = (RecallReport::unknown(0), Vec::new());
        Self { parameters, ef, recall, unreachable }
    }
}

impl GraphIndex {
    pub(super) fn new(codes: Codes, links: Links, tuning: Tuning) -> Self {
        let (kernel, walkers) = (ByteKernel::detect(), Mutex::default());
        Self { codes, kernel, links, tuning, walkers }
    }

    /// The same graph with other nodes to scan in each search, ascending.
    pub(super) fn with_unreachable(mut self, nodes: Vec<u32>) -> Self {
        self.tuning.unreachable = nodes;
        self
    }

    /// How the graph was built.
    pub fn parameters(&self) -> &GraphParameters {
        &self.tuning.parameters
    }

    /// The number of candidates a walk keeps, chosen at build so that
    /// [`GraphIndex::recall`] reaches what was wanted.
    pub fn ef(&self) -> usize {
        self.tuning.ef
    }

    /// The share of the ten nearest found, measured at build on vectors held out of the graph.
    pub fn recall(&self) -> &RecallReport {
        &self.tuning.recall
    }

    /// The nodes that each search scans because walks do not find them, ascending.
    pub fn unreachable(&self) -> &[u32] {
        &self.tuning.unreachable
    }

    /// The same graph with another number of candidates to keep, at least 1.
    ///
    /// More find more and take longer, about in proportion.
    pub fn with_ef(mut self, ef: usize) -> Self {
        self.tuning.ef = ef.max(1);
        self
    }

    pub(super) fn codes(&self) -> &Codes {
        &self.codes
    }

    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    /// Finds the `k` nearest as [`VectorIndex::search`] does, by a walk that keeps `ef` candidates
    /// (at least `k`) in place of the tuned number.
    ///
    /// # Errors
    /// As for [`VectorIndex::search`].
    pub fn search_keeping(
        &self,
        query: &[f32],
        k: usize,
        ef: Option<usize>,
        filter: Option<&NodeFilter>,
    ) -> Result<Vec<Neighbor>, IndexError> {
        let expected = self.len();
        if let Some(found) = filter.map(NodeFilter::len).filter(|&found| found != expected) {
            return Err(IndexError::FilterMismatch { expected, found });
        }
        check_unit(self.dimension(), query)?;
        let passing = filter.map_or(self.len(), NodeFilter::count);
        let k = k.min(passing);
        if k == 0 {
            return Ok(Vec::new());
        }
        let query = QueryCodes::encode(query);
        let ef = ef.map_or_else(|| self.ef_for(k), |ef| ef.max(k));
        let walked =
            if self.scan_is_cheaper(passing, ef) { None } else { self.walk(&query, k, ef, filter) };
        Ok(walked.unwrap_or_else(|| self.scan(&query, k, filter)))
    }

    pub(super) fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// Walks the graph and scans the unreachable nodes, for a query that has been checked.
    ///
    /// `None` if the walk scored more nodes than the scan would, or found fewer than `k`.
    pub(super) fn walk(
        &self,
        query: &QueryCodes,
        k: usize,
        ef: usize,
        filter: Option<&NodeFilter>,
    ) -> Option<Vec<Neighbor>> {
        let unreachable = &self.tuning.unreachable;
        let reached = |found: &[Candidate]| {
            if unreachable.is_empty() {
                return self.rank(query, k, found);
            }
            let is_reached =
                |candidate: &&Candidate| unreachable.binary_search(&candidate.node()).is_err();
            let found: Vec<_> = found.iter().filter(is_reached).copied().collect();
            self.rank(query, k, &found)
        };
        let mut top = self.walk_coarse(query, ef, filter, reached)?;
        let passes = |node: &u32| filter.is_none_or(|filter| filter.contains(*node));
        for node in unreachable.iter().copied().filter(passes) {
            top.offer(self.score(query, node));
        }
        let found = top.take_sorted();
        (found.len() == k).then_some(found)
    }

    /// The nodes that a walk finds, best first.
    pub(super) fn walk_reachable(&self, query: &QueryCodes, ef: usize) -> Option<Vec<Neighbor>> {
        self.walk_coarse(query, ef, None, |found| self.rank(query, ef, found).take_sorted())
    }

    /// What a walk finds: up to `ef` nodes, best first by their coarse codes.
    ///
    /// `None` if the walk scored more nodes than the scan would.
    fn walk_coarse<T>(
        &self,
        query: &QueryCodes,
        ef: usize,
        filter: Option<&NodeFilter>,
        read: impl FnOnce(&[Candidate]) -> T,
    ) -> Option<T> {
        let scorer = Scorer { codes: self.codes.view(), kernel: self.kernel, query: &query.high };
        let scored_max = filter.map_or(self.len(), NodeFilter::count).max(ef);
        let reach = Reach { ef, scored_max };
        let links = &self.links;
        let mut walker = self.lock_walkers().pop().unwrap_or_default();
        let start = walker.descend(links, scorer, links.entry, 0);
        let found = match filter {
            None => walker.walk_base(links, scorer, start, reach, |_| true),
            Some(filter) => {
                walker.walk_base(links, scorer, start, reach, |node| filter.contains(node))
            }
        };
        let found = found.map(read);
        self.lock_walkers().push(walker);
        found
    }

    /// The best `k` of what a walk found, ranked with all bits.
    fn rank(&self, query: &QueryCodes, k: usize, found: &[Candidate]) -> TopK {
        let codes = self.codes.view();
        let mut top = TopK::new(k);
        // What lies further below the k-th than both can be off by is not worth ranking.
        let last = found.get(k.saturating_sub(1)).map_or(f32::NEG_INFINITY, |last| last.score());
        let doubt = codes::doubt(query, codes, found);
        let mut scratch = Vec::new();
        for candidate in found.iter().take_while(|candidate| candidate.score() >= last - doubt) {
            top.offer(codes.score(self.kernel, query, candidate.node(), &mut scratch));
        }
        top
    }

    /// The score of one node.
    pub(super) fn score(&self, query: &QueryCodes, node: u32) -> Neighbor {
        self.codes.view().score(self.kernel, query, node, &mut Vec::new())
    }

    /// The candidates to keep for `k` results. The tuned number holds for ten of them; for 100,
    /// this found 99.8 % where `max(ef, k)` found 99.3 % (5,000 x 1280, `ef` 48).
    fn ef_for(&self, k: usize) -> usize {
        self.tuning.ef.max(k.saturating_add(self.tuning.ef / 2))
    }

    /// Whether scoring the passing nodes costs less than a walk that keeps `ef` of them.
    ///
    /// A walk takes as long as scanning `ef` times [`ROWS_PER_CANDIDATE`] rows, and longer the
    /// rarer passing nodes are among those it meets.
    fn scan_is_cheaper(&self, passing: usize, ef: usize) -> bool {
        let (passing, len) = (passing as u128, self.len() as u128);
        passing * passing <= (ROWS_PER_CANDIDATE * ef) as u128 * len
    }

    fn lock_walkers(&self) -> std::sync::MutexGuard<'_, Vec<Walker>> {
        // A walker is pushed or popped whole, so a panic elsewhere leaves the list sound.
        self.walkers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VectorIndex for GraphIndex {
    fn len(&self) -> usize {
        self.codes.len()
    }

    fn dimension(&self) -> usize {
        self.codes.dimension()
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Result<Vec<Neighbor>, IndexError> {
        self.search_keeping(query, k, None, filter)
    }
}

/// Rows that are scanned in the time that a walk takes per candidate it keeps.
///
/// Measured at 100,000 x 512 with `ef` 48 on EPYC (2 cores, AVX-512), 2026-11: where 1 in 8 and 1
/// in 16 pass, a walk takes .12 and .23 ms; where 1 in 32 and 1 in 64 pass, a scan takes .16 and
/// .12, and a walk gives up. So the two meet between 1 in 16 and 1 in 32.
const ROWS_PER_CANDIDATE: usize = 5;

#[cfg(test)]
mod tests;
