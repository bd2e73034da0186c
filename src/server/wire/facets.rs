//! What there is to filter by, and what the database holds.

use serde::Serialize;
use utoipa::ToSchema;

use crate::database::Stats;

/// A value with the number of images that have it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Facet {
    pub(in crate::server) value: String,
    pub(in crate::server) images: usize,
}

/// What images can be filtered by; of each kind the most frequent, up to 200.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::server) struct Facets {
    /// Images in all.
    pub(in crate::server) images: usize,
    /// The likeliest class of each image.
    pub(in crate::server) classes: Vec<Facet>,
    /// Labels, the user's and the classifier's.
    pub(in crate::server) labels: Vec<Facet>,
    /// Classes of objects.
    pub(in crate::server) objects: Vec<Facet>,
    /// Folders, with all that lie in them or below.
    pub(in crate::server) folders: Vec<Facet>,
    /// Months of capture: `2024-06`.
    pub(in crate::server) months: Vec<Facet>,
}

/// What the database holds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Numbers {
    /// Distinct images that have a file.
    images: u64,
    /// Distinct images whose files are all missing.
    images_missing: u64,
    /// Files that hold an image.
    files: u64,
    /// Those of them whose drive cannot be reached now.
    files_offline: u64,
    /// Files that could not be read.
    files_failed: u64,
    /// Images labelled by the user.
    labelled: u64,
    /// Images labelled by the classifier.
    predicted: u64,
    /// Objects that were found.
    objects: u64,
    /// The network whose embeddings serve.
    #[schema(example = "efficientnet-lite0")]
    model: String,
    /// Length of an embedding.
    #[schema(example = 1280)]
    dimension: u32,
    /// `exact` or `graph`: how a search goes.
    #[schema(example = "graph")]
    vector_index: String,
    /// Version of the program.
    version: &'static str,
}

impl Numbers {
    pub(in crate::server) fn of(stats: Stats) -> Self {
        Self {
            images: stats.images,
            images_missing: stats.images_missing,
            files: stats.files,
            files_offline: stats.files_offline,
            files_failed: stats.files_failed,
            labelled: stats.labelled,
            predicted: stats.predicted,
            objects: stats.objects,
            model: stats.space.model,
            dimension: stats.space.dimension,
            vector_index: stats.vector_index,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
