//! Finding the nearest rows of a set of vectors: an exact scan, and a graph that is faster.
//!
//! This layer knows nothing of images or databases. It deals in *nodes*: the dense numbers
//! `0..len` of the distinct rows of a [`VectorSet`]. Whoever owns images keeps the map from nodes
//! to them, outside.
//!
//! [`ExactIndex`] is the default and the oracle; [`GraphIndex`] is derived from the same vectors,
//! can be thrown away at any time and is verified against the scan when it is built.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use lookalike::index::{ExactIndex, VectorIndex, VectorSetBuilder};
//!
//! let mut builder = VectorSetBuilder::new(2);
//! builder.push(&[1.0, 0.0])?;
//! let second = builder.push(&[0.6, 0.8])?;
//! let index = ExactIndex::new(Arc::new(builder.finish()));
//! let nearest = index.search(&[0.0, 1.0], 1, None)?;
//! assert_eq!(nearest[0].node, second);
//! assert_eq!(nearest[0].score, 0.8);
//! # Ok::<(), lookalike::index::IndexError>(())
//! ```

mod array;
mod audit;
mod build;
mod codes;
mod error;
mod exact;
mod filter;
#[cfg(test)]
mod fixture;
mod graph;
mod members;
mod neighbor;
mod relink;
mod snapshot;
mod vectors;

pub use audit::{RecallReport, recall};
pub use build::{BuildPhase, BuildProgress, GraphBuilder, GraphParameters, build_graph};
pub use error::IndexError;
pub use exact::ExactIndex;
pub use filter::NodeFilter;
pub use graph::{GraphIndex, LinksDefect};
pub use members::Members;
pub use neighbor::Neighbor;
pub use snapshot::{GraphFile, SnapshotError, SnapshotSection, load_graph, save_graph};
pub use vectors::{VectorSet, VectorSetBuilder};

/// Answers which nodes score highest with a query.
pub trait VectorIndex: Send + Sync {
    /// The number of nodes.
    fn len(&self) -> usize;

    /// Whether there are no nodes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of components of each vector.
    fn dimension(&self) -> usize;

    /// The `k` nodes that score highest with `query` among those that pass `filter`.
    ///
    /// The score is the dot product, which is the cosine similarity because both sides have
    /// length 1; rounding may carry it past 1 by about 1e-6. The best comes first, ties by node.
    /// There are `min(k, passing nodes)` of them: an index may miss the true neighbors, but it
    /// never answers short. `k = 0` gives none.
    ///
    /// # Errors
    ///
    /// [`IndexError::DimensionMismatch`], [`IndexError::NotFinite`] and
    /// [`IndexError::NotNormalized`] for a query that cannot be scored, and
    /// [`IndexError::FilterMismatch`] for a filter over another number of nodes.
    fn search(
        &self,
        query: &[f32],
        k: usize,
        filter: Option<&NodeFilter>,
    ) -> Result<Vec<Neighbor>, IndexError>;
}
