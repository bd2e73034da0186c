//! The scan of all codes: what few nodes, rare filters and doubtful walks are answered with.
//!
//! It reads a byte for each component of each passing node, in parallel on the current rayon pool,
//! keeps more candidates than are wanted, and ranks these with all bits. The result does not
//! depend on the number of threads.

use rayon::prelude::*;

use super::GraphIndex;
use crate::index::codes::QueryCodes;
use crate::index::neighbor::TopK;
use crate::index::{Neighbor, NodeFilter, VectorIndex};

impl GraphIndex {
    /// The best `k` of the nodes that pass, for a query that has been checked.
    pub(in crate::index) fn scan(
        &self,
        query: &QueryCodes,
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Vec<Neighbor> {
        let codes = self.codes.view();
        let kept = k.saturating_mul(2).saturating_add(SPARE);
        let scan_block = |(mut top, mut nodes, mut dots): Scratch, block: usize| {
            let start = block * BLOCK_ROWS;
            let end = self.len().min(start + BLOCK_ROWS);
            nodes.clear();
            dots.clear();
            match filter {
                None => nodes.extend(start as u32..end as u32),
                Some(filter) => nodes.extend(filter.passing(start, end)),
            }
            self.kernel.dots(&query.high, codes.rows, &nodes, &mut dots);
            for (&node, &dot) in nodes.iter().zip(&dots) {
                let score = dot as f32 * codes.scales[node as usize];
                top.offer(Neighbor { node, score });
            }
            (top, nodes, dots)
        };
        let empty = || (TopK::new(kept), Vec::new(), Vec::new());
        let blocks = self.len().div_ceil(BLOCK_ROWS);
        let parts = (0..blocks).into_par_iter().with_min_len(BLOCKS_PER_TASK);
        let parts = parts.fold(empty, scan_block).map(|(top, ..)| top);
        let mut rough = parts.reduce(|| TopK::new(kept), TopK::merge);
        let mut scratch = Vec::new();
        let mut best = TopK::new(k);
        for neighbor in rough.take_sorted() {
            best.offer(codes.score(self.kernel, query, neighbor.node, &mut scratch));
        }
        best.take_sorted()
    }
}

/// What a thread keeps while it scans: the best so far, the nodes of a block, their products.
type Scratch = (TopK, Vec<u32>, Vec<i32>);

/// Candidates kept beyond twice the wanted number.
const SPARE: usize = 32;

/// Rows scored at a time. A multiple of 64, as filters are read by word.
const BLOCK_ROWS: usize = 256;

/// Blocks that one thread takes at least: 2048 rows are some 0.05 ms of work, well above what
/// handing it to another thread costs.
const BLOCKS_PER_TASK: usize = 8;
