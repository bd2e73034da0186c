//! What ends an indexing run. A file that cannot be read does not: it is in the report.

use std::path::PathBuf;

use crate::inference::InferenceError;
use crate::store::StoreError;

/// An error that ends an indexing run; what was committed before is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// A folder that was to be indexed cannot be read.
    #[error("cannot read the folder {path:?}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file was given where a folder is needed.
    #[error("{path:?} is a file: give the folder that it lies in")]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A pattern of files to leave out cannot be understood.
    #[error("the pattern {pattern:?} is no valid glob")]
    Glob {
        /// The pattern.
        pattern: String,
        /// Why it is none.
        source: ignore::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}
