//! Image similarity search: an embeddable database of images.
//!
//! A [`Database`] indexes folders of images with a neural network that is part
//! of the library, keeps what it learned in a directory that survives crashes,
//! and answers which images look alike, belong together, or share a label. It
//! runs offline and on the CPU.
//!
//! # Examples
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use lookalike::inference::Cnn;
//! use lookalike::record::ImageId;
//! use lookalike::{Control, Database, IndexOptions, Search};
//!
//! # fn main() -> Result<(), lookalike::Error> {
//! let encoder = Arc::new(Cnn::embedded()?);
//! let database = Database::create(Path::new("/photos/.lookalike"), encoder)?;
//! database.index(&["/photos".into()], &IndexOptions::default(), Control::default())?;
//! for hit in database.search_image(ImageId(1), &Search::default())? {
//!     println!("{:.3} {}", hit.score, hit.locations[0]);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Database`] has an example that runs. How the parts fit together is in
//! `docs/architecture.md`.

pub mod imaging;
pub mod index;
pub mod inference;
pub mod ingest;
pub mod learn;
pub mod objects;
pub mod pixels;
pub mod query;
pub mod record;
pub mod server;
pub mod store;
pub mod thumbs;
pub mod vector;

mod database;
mod error;

pub use database::{
    Database, DuplicateSearch, GRAPH_FROM, Garbage, GraphPolicy, GraphReport, ImageRow, Leak, Root,
    Stats, VerifyReport,
};
pub use error::Error;
pub use ingest::{
    Control, Failure, FileState, FolderWatch, IndexOptions, IngestReport, Offline, Progress, Reach,
    Wake, WalkOptions, WatchError,
};
pub use query::{
    Cluster, ClusterMember, Clusters, Comparison, Duplicate, DuplicateGroup, Duplicates,
    EditCalibration, Filter, Guess, Hit, KeepRules, LabelCount, Method, Search, Suspect, Tier,
    TrainReport,
};
