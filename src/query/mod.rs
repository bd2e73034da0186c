//! Questions over stored embeddings: neighbors, clusters, labels.
//!
//! Everything here works on a [`Corpus`], the images of one space loaded into memory.

mod capture;
mod clusters;
mod corpus;
mod error;
mod filter;
mod given;
mod has;
mod labels;
mod neighbors;
mod objects;
mod shots;

pub use capture::{Capture, Moment, Near};
pub use clusters::{Cluster, ClusterMember, Clusters, Method, cluster};
pub use corpus::{Corpus, Row};
pub use error::QueryError;
pub use filter::{Filter, list};
pub use given::{GivenError, classify_file, embed_file};
pub use has::{Has, HasError};
pub use labels::{LabelCount, TrainReport, count_labels, predict_labels, train_labels};
pub use neighbors::{Hit, MatchedObject, Search, search};
pub use objects::{ClassCount, Objects, search_objects};
