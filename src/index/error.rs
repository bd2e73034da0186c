//! What can go wrong when an index is built or asked.

use thiserror::Error;

/// A vector, a query or a parameter was refused, or a build was stopped.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A row or query has another number of components than the index.
    #[error("expected a vector of dimension {expected}, found {found}")]
    DimensionMismatch {
        /// The dimension of the index.
        expected: usize,
        /// The dimension of the vector at hand.
        found: usize,
    },
    /// A component is NaN or infinite.
    #[error("vector components must be finite numbers, component {component} is {value}")]
    NotFinite {
        /// Position of the first such component.
        component: usize,
        /// What stands there.
        value: f32,
    },
    /// A row or query has not length 1, so its dot products would not be cosines.
    #[error("expected a vector of length 1, found length {norm}")]
    NotNormalized {
        /// The length (L2) of the vector at hand.
        norm: f32,
    },
    /// A filter was made for an index of another size.
    #[error("expected a filter over {expected} nodes, found one over {found}")]
    FilterMismatch {
        /// The number of nodes of the index.
        expected: usize,
        /// The number of nodes the filter knows.
        found: usize,
    },
    /// There are more vectors than node numbers.
    #[error("an index holds at most {limit} vectors")]
    TooManyVectors {
        /// The greatest number of vectors.
        limit: usize,
    },
    /// A graph parameter is outside its range.
    #[error("{name} must be in {least}..={greatest}, found {found}")]
    ParameterOutOfRange {
        /// The field of the parameters.
        name: &'static str,
        /// The least value allowed.
        least: usize,
        /// The greatest value allowed.
        greatest: usize,
        /// The value at hand.
        found: usize,
    },
    /// The progress callback asked to stop.
    #[error("building the index was stopped after {done} of {total} vectors")]
    Stopped {
        /// Vectors done in the phase that was stopped.
        done: usize,
        /// Vectors in all.
        total: usize,
    },
}
