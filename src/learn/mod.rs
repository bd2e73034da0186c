//! Learning over embeddings: k-means, DBSCAN, classifiers with calibrated confidence and
//! cross-validation, as pure functions of matrices.

mod agreement;
mod bins;
mod calibration;
mod chance;
mod choose_eps;
mod choose_k;
mod classifier;
mod clustering;
mod crossval;
mod dbscan;
mod error;
mod forest;
#[cfg(test)]
mod golden;
mod growth;
mod hdbscan;
mod kmeans;
mod lloyd;
mod logistic;
mod matrix;
#[cfg(test)]
mod planted;
mod projection;
mod quantised;
mod radius;
mod retrieval;
mod seeding;
mod selection;
mod tree;
mod voters;

pub use agreement::{Agreement, JOINT_BINS, agreement};
pub use calibration::{Calibration, Judged, ReliabilityBin, calibration_error, reliability};
pub use chance::Chance;
pub use choose_eps::{EpsChoice, MIN_POINTS_DEFAULT, choose_eps};
pub use choose_k::{KChoice, choose_k};
pub use classifier::{Classifier, ClassifierKind};
pub use clustering::{Clustering, medoid, silhouette, spread};
pub use crossval::{CrossValidation, cross_validate, folds, greatest};
pub use dbscan::dbscan;
pub use error::{LearnError, Result};
pub use forest::{Forest, ForestParams, Prediction};
pub use hdbscan::{MIN_CLUSTER_SIZE_DEFAULT, hdbscan};
pub use kmeans::kmeans;
pub use projection::{RowNeighbors, TSNE_NEIGHBORS, pca, tsne};
pub use retrieval::{Retrieval, retrieval};
pub use selection::select;
