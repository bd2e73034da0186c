//! Embeddings, unit vectors that stand for images, and the arithmetic on them.
//!
//! Every vector here has length 1 (L2), so the cosine similarity of two of them is their dot
//! product. [`Embedding`] upholds that; [`Kernel`] is the fast dot product under it.

mod embedding;
mod error;
mod kernels;

pub use embedding::Embedding;
pub use error::VectorError;
pub(crate) use kernels::prefetch;
pub use kernels::{ByteKernel, ByteRows, Kernel, ROW_BYTES_MAX, ROW_UNIT, dot, dot_rows};
