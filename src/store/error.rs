//! What can go wrong with the database directory and the store in it.

use std::path::PathBuf;
use std::time::Duration;

/// An error of the store of record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder of the database directory cannot be read or written.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table of an export cannot be written.
    #[error("cannot write the table {path:?}")]
    Table {
        /// The file.
        path: PathBuf,
        /// What its writer said.
        source: Box<parquet::errors::ParquetError>,
    },
    /// Another process holds the database.
    #[error("the database {path:?} is in use by {holder}: wait for it to end, or end it")]
    Locked {
        /// The database directory.
        path: PathBuf,
        /// The other process, as it describes itself.
        holder: String,
    },
    /// There is no database at this path.
    #[error("there is no database at {path:?}: `lookalike index FOLDER` makes one")]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The database was written by a newer version.
    #[error(
        "the database has format version {found}, this program reads up to {supported}: \
         use a newer lookalike"
    )]
    NewerFormat {
        /// Version in the manifest.
        found: u32,
        /// Newest version that this program knows.
        supported: u32,
    },
    /// `MANIFEST.json` is there and cannot be understood.
    #[error("the manifest {path:?} is damaged: `lookalike repair` rebuilds it")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why it cannot be understood.
        source: serde_json::Error,
    },
    /// The list of indexed folders is there and cannot be understood.
    #[error(
        "the list of indexed folders {path:?} is damaged: delete it, then `lookalike index DIR` \
         each of them again"
    )]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why it cannot be understood.
        source: serde_json::Error,
    },
    /// The network that was chosen to serve has no embeddings in the database any more.
    #[error(
        "the embeddings that were chosen to serve (space {}) are not in the database any more: \
         `lookalike models use NAME` chooses others", .digest.get(..12).unwrap_or(digest)
    )]
    UnknownServing {
        /// Digest of the space, as the manifest has it.
        digest: String,
    },
    /// The store is not what was acknowledged.
    #[error(
        "the store {path:?} is damaged: {reason}; no data was changed: `lookalike repair` saves \
         what is readable, then `lookalike index` reads the rest again from the images"
    )]
    Damaged {
        /// Folder of the store.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// sled gave up.
    #[error("the store cannot be {action}")]
    Engine {
        /// What was tried, such as `written`.
        action: &'static str,
        /// What sled said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value does not pass its checksum or its reader.
    #[error(
        "the {record} record {key} of the store is damaged: `lookalike repair` saves what is \
         readable"
    )]
    Value {
        /// Kind of the record.
        record: &'static str,
        /// Its key in hexadecimal.
        key: String,
    },
    /// A record cannot be written in its binary form.
    #[error("a {record} record cannot be encoded")]
    Encode {
        /// Kind of the record.
        record: &'static str,
        /// What the encoder said.
        source: postcard::Error,
    },
    /// The process that has the database could not copy it.
    #[error("the process that has the database could not copy it: {reason}")]
    Copy {
        /// What it said.
        reason: String,
    },
    /// Something lies where a backup or a restored database is to go.
    #[error("{path:?} holds something already: {way_out}")]
    Occupied {
        /// The folder.
        path: PathBuf,
        /// What the user can do.
        way_out: &'static str,
    },
    /// A file of an import cannot be understood.
    #[error("cannot import line {line} of {path:?}: {reason}")]
    Import {
        /// The file.
        path: PathBuf,
        /// Line of `images.jsonl`, from 1.
        line: u64,
        /// What was expected and what was found.
        reason: String,
    },
    /// An embedding does not have the dimension of its space.
    #[error("an embedding has {found} components, its space has {expected}")]
    Dimension {
        /// Components of the space's embeddings.
        expected: usize,
        /// Components of this one.
        found: usize,
    },
    /// An operation on the store neither ended nor failed.
    #[error(
        "the store {path:?} did not answer within {} s: it is probably damaged; \
         `lookalike repair` saves what is readable", .limit.as_secs()
    )]
    TimedOut {
        /// Folder of the store.
        path: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
}

impl StoreError {
    /// Wraps a system error with what was tried and where.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the data itself is damaged, so that a repair is in place.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Manifest { .. }
                | Self::Damaged { .. }
                | Self::Value { .. }
                | Self::TimedOut { .. }
        )
    }
}
