//! What can be typed of `lookalike cluster`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::FilterArgs;

#[derive(Debug, Args)]
pub(in crate::cli) struct ClusterArgs {
    /// How to group
    #[arg(long, value_enum, default_value_t = ClusterMethod::Kmeans, value_name = "METHOD")]
    pub(in crate::cli) method: ClusterMethod,
    /// Clusters of k-means [default: chosen by silhouette]
    #[arg(long, short, value_name = "N")]
    pub(in crate::cli) k: Option<usize>,
    /// Radius of DBSCAN as distance of unit vectors, 0 to 2 [default: knee of the k-distances]
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    pub(in crate::cli) eps: Option<f32>,
    /// Images within the radius that make a core of DBSCAN [default: 3]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) min_points: Option<usize>,
    /// Images that make a cluster of HDBSCAN [default: 5]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) min_cluster_size: Option<usize>,
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArgs,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) seed: u64,
    /// Write a page with pictures of all clusters, which any browser shows
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) html: Option<PathBuf>,
    /// Members shown of each cluster, the most typical ones and then the oddest one; all of them with
    /// --json
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(in crate::cli) show: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ClusterMethod {
    /// Every image belongs to a cluster
    Kmeans,
    /// Images in thin places belong to none
    Dbscan,
    /// The same, for clusters of different density; no radius to choose
    Hdbscan,
}
