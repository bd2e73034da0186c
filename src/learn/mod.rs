//! Learning over embeddings: k-means, DBSCAN, random forest and cross-validation, as pure
//! functions of matrices.

mod bins;
mod choose_eps;
mod choose_k;
mod clustering;
mod crossval;
mod dbscan;
mod error;
mod forest;
mod growth;
mod kmeans;
mod lloyd;
mod matrix;
#[cfg(test)]
mod planted;
mod quantised;
mod radius;
mod seeding;
mod tree;

pub use choose_eps::{EpsChoice, MIN_POINTS_DEFAULT, choose_eps};
pub use choose_k::{KChoice, choose_k};
pub use clustering::{Clustering, medoid, silhouette, spread};
pub use crossval::{CrossValidation, cross_validate, folds};
pub use dbscan::dbscan;
pub use error::{LearnError, Result};
pub use forest::{Forest, ForestParams, Prediction};
pub use kmeans::kmeans;
