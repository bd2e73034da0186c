//! The collection in the plane.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;

use super::images::ratio;
use crate::server::app::App;
use crate::server::extract::Query;
use crate::server::problem::Problem;
use crate::server::problems::WithParameters;
use crate::server::wire::map::{Map, MapParams};

/// Lays out all images in the plane
///
/// It is kept until images come or go; laying out anew by t-SNE takes seconds for thousands of
/// images. One such request is worked on at a time.
#[utoipa::path(
    get, path = "/v1/map", tag = "map", params(MapParams),
    responses((status = 200, body = Map), WithParameters),
)]
pub(in crate::server) async fn map(
    State(app): State<Arc<App>>,
    Query(params): Query<MapParams>,
) -> Result<axum::Json<Map>, Problem> {
    let map = app.long(move |app| {
        let (layout, points) = app.database.map(params.layout.map(Into::into))?;
        let mut map = Map {
            layout: layout.into(),
            ids: Vec::with_capacity(points.len()),
            x: Vec::with_capacity(points.len()),
            y: Vec::with_capacity(points.len()),
            ratios: Vec::with_capacity(points.len()),
            labels: Vec::with_capacity(points.len()),
            names: Vec::new(),
        };
        let mut known: HashMap<String, u32> = HashMap::new();
        for point in points {
            // An image that has gone meanwhile is left out.
            let Some(row) = app.database.image(point.id)? else { continue };
            let label = row.effective_label().map(|name| {
                *known.entry(name.to_owned()).or_insert_with(|| {
                    map.names.push(name.to_owned());
                    map.names.len() as u32 - 1
                })
            });
            map.ids.push(point.id.0);
            map.x.push(point.x);
            map.y.push(point.y);
            map.ratios.push(ratio(&row));
            map.labels.push(label);
        }
        Ok(map)
    });
    Ok(axum::Json(map.await?))
}
