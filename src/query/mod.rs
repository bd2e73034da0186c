//! Questions over stored embeddings: neighbors, clusters, labels.
//!
//! Nearly everything here works on a [`Corpus`], the images of one space loaded into memory. A
//! search that a graph serves reads only what it finds: [`search_stored`].

mod capture;
mod clusters;
mod corpus;
mod error;
mod filter;
mod given;
mod has;
mod images;
mod labels;
mod neighbors;
mod objects;
mod shots;
mod stored;

pub use capture::{Capture, Moment, Near};
pub use clusters::{Cluster, ClusterMember, Clusters, Method, cluster};
pub use corpus::{Corpus, Row};
pub use error::QueryError;
pub use filter::{Filter, list};
pub use given::{GivenError, classify_file, embed_file};
pub use has::{Has, HasError};
pub use labels::{LabelCount, TrainReport, count_labels, predict_labels, train_labels};
pub use neighbors::{Hit, MatchedObject, Search, search, search_stored};
pub use objects::{ClassCount, Objects, search_objects};
pub use stored::StoredGraph;
