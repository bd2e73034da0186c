//! Groups of images.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::Filter;
use super::image::ImageSummary;

/// Members that a cluster is shown with.
const MEMBERS: u16 = 100;

/// How to group which images.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "kmeans", "k": 8}))]
pub(in crate::server) struct ClusterRequest {
    pub(in crate::server) filter: Option<Filter>,
    pub(in crate::server) method: Option<ClusterMethod>,
    /// Clusters of k-means; chosen from the data when absent.
    #[schema(minimum = 1, maximum = 10000)]
    pub(in crate::server) k: Option<u16>,
    /// Radius of DBSCAN, 0 to 2; chosen from the data when absent.
    #[schema(exclusive_minimum = 0, maximum = 2)]
    pub(in crate::server) eps: Option<f32>,
    /// Images within the radius that make an image a core of DBSCAN.
    #[schema(minimum = 1, maximum = 10000)]
    pub(in crate::server) min_points: Option<u16>,
    /// The same seed gives the same clusters.
    #[serde(default)]
    #[schema(maximum = 65535)]
    pub(in crate::server) seed: u16,
    /// Members that each cluster is shown with, at most.
    #[schema(maximum = 1000, default = 100)]
    pub(in crate::server) members: Option<u16>,
}

impl ClusterRequest {
    pub(in crate::server) fn members(&self) -> usize {
        usize::from(self.members.unwrap_or(MEMBERS))
    }
}

/// How to group.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum ClusterMethod {
    /// Every image belongs to a cluster.
    #[default]
    Kmeans,
    /// Images in thin places belong to none.
    Dbscan,
}

/// Groups of images, the largest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Clusters {
    pub(in crate::server) clusters: Vec<Cluster>,
    /// Images in no cluster.
    pub(in crate::server) noise: usize,
    /// How well the clusters stand apart, -1 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) silhouette: Option<f32>,
}

/// A group of images.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Cluster {
    /// What most of it is, if that is clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) name: Option<String>,
    /// Members in all.
    pub(in crate::server) size: usize,
    /// Mean cosine similarity of the members to the medoid, -1 to 1.
    pub(in crate::server) cohesion: f32,
    /// The members, the closest to the middle first.
    pub(in crate::server) members: Vec<ImageSummary>,
}
