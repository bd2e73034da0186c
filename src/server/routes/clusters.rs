//! Groups of images.

use std::sync::Arc;

use axum::extract::State;

use super::images::{condition, summaries};
use crate::query::{Filter, Method};
use crate::record::ImageId;
use crate::server::app::App;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::problems::Asking;
use crate::server::wire::cluster::{Cluster, ClusterMethod, ClusterRequest, Clusters};

/// Members that a cluster is shown with, at most.
const MEMBERS_MAX: usize = 1000;

/// Groups images that belong together
///
/// Seconds for 10,000 images; one such request is worked on at a time.
#[utoipa::path(
    post, path = "/v1/clusters", tag = "clusters", request_body = ClusterRequest,
    responses((status = 200, body = Clusters), Asking),
)]
pub(in crate::server) async fn cluster(
    State(app): State<Arc<App>>,
    Json(request): Json<ClusterRequest>,
) -> Result<axum::Json<Clusters>, Problem> {
    let in_range = |value: Option<u16>, name: &str| match value {
        Some(0 | 10_001..) => Err(Problem::unprocessable(format!("{name} is 1 to 10000"))),
        value => Ok(value.map(usize::from)),
    };
    let (k, min_points) = (in_range(request.k, "k")?, in_range(request.min_points, "min_points")?);
    let method = match request.method.unwrap_or_default() {
        ClusterMethod::Kmeans => Method::KMeans { k },
        ClusterMethod::Dbscan => Method::Dbscan { eps: request.eps, min_points },
    };
    let members_max = request.members();
    if members_max > MEMBERS_MAX {
        let detail = format!("expected at most {MEMBERS_MAX} members, found {members_max}");
        return Err(Problem::unprocessable(detail));
    }
    let found = app.long(move |app| {
        let condition = condition(app, request.filter.as_ref())?;
        let images = match condition.is_always() {
            true => None,
            false => Some(Arc::new(app.database.images_where(&condition)?)),
        };
        let filter = Filter { images, ..Filter::default() };
        let found = app.database.cluster(&filter, method, request.seed.into())?;
        let mut clusters = Vec::with_capacity(found.clusters.len());
        for cluster in &found.clusters {
            let members = cluster.members.iter().take(members_max);
            let ids: Vec<ImageId> = members.map(|member| member.id).collect();
            clusters.push(Cluster {
                name: cluster.name.clone(),
                size: cluster.members.len(),
                cohesion: cluster.cohesion,
                members: summaries(app, &ids)?,
            });
        }
        Ok(Clusters { clusters, noise: found.noise.len(), silhouette: found.silhouette })
    });
    Ok(axum::Json(found.await?))
}
