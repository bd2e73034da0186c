//! What can be wrong with numbers that are meant to become an embedding.

use thiserror::Error;

/// A vector was refused.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum VectorError {
    /// There are no components at all.
    #[error("a vector needs at least one component, found none")]
    Empty,
    /// A component is NaN or infinite.
    #[error("vector components must be finite numbers, component {component} is {value}")]
    NotFinite {
        /// Position of the first such component.
        component: usize,
        /// What stands there.
        value: f32,
    },
    /// All components are zero, so the vector has no direction.
    #[error("a vector of {dimension} zeros has no direction")]
    ZeroNorm {
        /// Number of components.
        dimension: usize,
    },
    /// Two vectors of different dimension met.
    #[error("expected a vector of dimension {expected}, found {found}")]
    DimensionMismatch {
        /// The dimension that was wanted.
        expected: usize,
        /// The dimension of the vector at hand.
        found: usize,
    },
    /// Stored bytes cannot be a sequence of two-byte numbers.
    #[error("stored embeddings have two bytes per component, found {length_bytes} bytes")]
    OddLength {
        /// Length of the stored value.
        length_bytes: usize,
    },
}
