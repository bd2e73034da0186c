//! Questions over stored embeddings: neighbors, clusters, labels.
//!
//! Most of it works on a [`Corpus`], the images of one space in memory with their vectors, or on
//! [`Rows`], the same without. A search that a graph serves reads only what it finds:
//! [`search_graph`].

mod capture;
mod clusters;
mod condition;
mod corpus;
mod duplicates;
mod error;
mod evaluation;
mod examples;
mod explain;
mod filter;
mod given;
mod has;
mod images;
mod label_checks;
mod labels;
mod map;
mod neighbors;
mod objects;
mod oddities;
mod recommend;
mod rows;
mod shots;
mod stored;

pub use capture::{Capture, Moment, Near};
pub use clusters::{Cluster, ClusterMember, Clusters, Method, cluster};
pub use condition::{Condition, matching};
pub use corpus::Corpus;
pub use duplicates::{
    Duplicate, DuplicateGroup, Duplicates, EditCalibration, EditRecall, KeepRules, NearestImages,
    Pair, Pairs, Sample, Thresholds, Tier, find_pairs, group,
};
pub use error::QueryError;
pub use evaluation::{compare_spaces, evaluate_retrieval};
pub use explain::{Explanation, explain};
pub use filter::{Filter, list};
pub use given::{GivenError, classify_file, embed_file, embed_region};
pub use has::{Has, HasError};
pub use label_checks::{Comparison, Suspect, compare_labels, review_labels, suspect_labels};
pub use labels::{Guess, LabelCount, TrainReport, count_labels, predict_labels, train_labels};
pub use map::{Layout, MapPoint, map};
pub use neighbors::{Hit, MatchedObject, Search, search, search_graph};
pub use objects::{ClassCount, Objects, search_objects};
pub use oddities::{ImageIssue, Issue, Outlier, issues, outliers};
pub use recommend::recommended;
pub use rows::{Row, Rows};
pub use stored::{Passing, Sharers, StoredGraph};
