//! Why a question has no answer.

use crate::index::IndexError;
use crate::learn::LearnError;
use crate::store::StoreError;

/// An error of a query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// No class of the network has this name.
    #[error("no class of the network is called {name:?}{}", suggestion(.similar))]
    UnknownClass {
        /// The name that was asked for.
        name: String,
        /// Classes with a similar name.
        similar: Vec<String>,
    },
    /// No image has this label.
    #[error("no image is labelled {name:?}{}", suggestion(.similar))]
    UnknownLabel {
        /// The label that was asked for.
        name: String,
        /// Labels that there are.
        similar: Vec<String>,
    },
    /// No space has this number.
    #[error("the database has no space {number}: `lookalike eval compare` lists them")]
    UnknownSpace {
        /// The number that was asked for.
        number: u64,
    },
    /// There is nothing to work on.
    #[error("the database holds no images: `lookalike index FOLDER` adds some")]
    NoImages,
    /// There are no labelled images to learn from.
    #[error(
        "{found} labels on indexed images, at least two labels are needed: \
         `lookalike label add LABEL IMAGE...` gives one"
    )]
    TooFewLabels {
        /// Distinct labels on indexed images.
        found: usize,
    },
    /// Another thread changed the store while it was read.
    #[error("the database changed while it was read: try again")]
    Changed,
    /// A label is on one image only, so that nothing can be held out to judge by.
    #[error(
        "the label {label:?} is on one image only (copies count as one): label more images of it"
    )]
    TooFewExamples {
        /// The label.
        label: String,
    },
    /// Nothing has been trained.
    #[error("nothing has been trained: `lookalike label train` trains a classifier")]
    NoForest,
    /// The stored classifier was not judged on held-out examples.
    #[error(
        "some label is on one image only, so how often labels are wrong is not known: label more \
         images and `lookalike label train` again"
    )]
    NotValidated,
    /// The stored classifier belongs to other embeddings, is damaged, or of an older version.
    #[error(
        "the stored classifier does not fit: {reason}; `lookalike label train` trains a new one"
    )]
    ForestMismatch {
        /// What does not fit.
        reason: String,
    },
    /// The vector index refused.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The learner refused.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn suggestion(similar: &[String]) -> String {
    if similar.is_empty() {
        return String::new();
    }
    format!("; there are: {}", similar.join(", "))
}
