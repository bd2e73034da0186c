//! The one error of the library, around those of its parts.

use std::path::PathBuf;

use crate::index::{IndexError, SnapshotError};
use crate::inference::InferenceError;
use crate::ingest::IngestError;
use crate::query::{GivenError, QueryError};
use crate::record::ImageId;
use crate::store::StoreError;

/// Anything that can go wrong in a [`Database`](crate::Database).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not in the database.
    #[error("{path:?} is not in the database: `lookalike index` its folder first")]
    NotIndexed {
        /// The file.
        path: PathBuf,
    },
    /// There is no image with this number.
    #[error("there is no image {id} in the database: `lookalike list` shows the numbers")]
    UnknownImage {
        /// The number.
        id: ImageId,
    },
    /// No file of an image is there as it was indexed.
    #[error("no file of image {id} is there as it was indexed: `lookalike index` looks again")]
    NoFile {
        /// The number.
        id: ImageId,
    },
    /// A file does not hold the image any more that was indexed.
    #[error("{path:?} has changed since it was indexed: `lookalike index` looks again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Two paths lead to one file, by a link.
    #[error("{path:?} is another name of the file that is kept")]
    SameFile {
        /// One of the paths.
        path: PathBuf,
    },
    /// The system does not move a file to its trash.
    #[error("cannot move {path:?} to the trash")]
    Trash {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: trash::Error,
    },
    /// A file that was given, or one of the database, cannot be used as an image.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// An image has no embedding by the network that is asked.
    #[error("image {id} is not embedded by {model} yet: `lookalike index` adds what is missing")]
    NotEmbedded {
        /// The image.
        id: ImageId,
        /// The network.
        model: String,
    },
    /// A network cannot serve without embeddings.
    #[error("no image is embedded by {model} yet: `lookalike index --model {model}` does that")]
    NotFilled {
        /// The network.
        model: String,
    },
    /// The embeddings of the network that serves are not removed.
    #[error("{model} serves the searches: `lookalike models use NAME` lets another do so first")]
    Serves {
        /// The network.
        model: String,
    },
    /// Nobody has looked for objects on the images.
    #[error("no objects are known: `lookalike index` looks for them, unless --no-detect is given")]
    NoObjects,
    /// An image has no object with this number.
    #[error("there is no object {number} on the image, which has {count}")]
    UnknownObject {
        /// The number, from 1.
        number: usize,
        /// Objects of the image.
        count: usize,
    },
    /// A folder is none of the roots.
    #[error("{path:?} is no folder that was indexed: `lookalike roots` lists them")]
    UnknownRoot {
        /// The folder.
        path: PathBuf,
    },
    /// The vector graph cannot be written.
    #[error("cannot write the vector graph")]
    Snapshot(#[source] SnapshotError),
    /// Building the vector graph failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Indexing failed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A network failed.
    #[error(transparent)]
    Inference(#[from] InferenceError),
}
