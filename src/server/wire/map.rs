//! The collection in the plane.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How to lay out the map.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct MapParams {
    /// `tsne` up to 10,000 images and `pca` beyond when absent.
    #[param(inline)]
    pub(in crate::server) layout: Option<Layout>,
}

/// A way to lay out images.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Layout {
    /// By the two principal components: at once, the large differences only.
    Pca,
    /// By t-SNE: neighbors stay neighbors.
    Tsne,
}

impl From<Layout> for crate::query::Layout {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Pca => Self::Pca,
            Layout::Tsne => Self::Tsne,
        }
    }
}

impl From<crate::query::Layout> for Layout {
    fn from(layout: crate::query::Layout) -> Self {
        match layout {
            crate::query::Layout::Pca => Self::Pca,
            crate::query::Layout::Tsne => Self::Tsne,
        }
    }
}

/// All images in the plane, those that are alike close together; one entry of each list for each
/// image, in the order of their numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Map {
    pub(in crate::server) layout: Layout,
    /// The numbers.
    pub(in crate::server) ids: Vec<u64>,
    /// From the left edge to the right, 0 to 1.
    pub(in crate::server) x: Vec<f32>,
    /// From the upper edge to the lower, 0 to 1.
    pub(in crate::server) y: Vec<f32>,
    /// Width through height, in hundredths.
    pub(in crate::server) ratios: Vec<u32>,
    /// The label of each, as its place in `names`.
    pub(in crate::server) labels: Vec<Option<u32>>,
    /// The labels that there are, of the user or of the classifier.
    pub(in crate::server) names: Vec<String>,
}
