//! Why two images are alike, as a heat map over one of them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::files::picture;
use crate::imaging::{self, DecodeLimits};
use crate::query::explain;
use crate::record::ImageId;
use crate::server::app::App;
use crate::server::extract::{Path, Query};
use crate::server::problem::Problem;
use crate::server::problems::OfFile;

/// The longer side of a heat map.
const SIDE_PX: u32 = 1024;

/// The other image.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct HeatParams {
    /// The number of the image that it is compared with.
    #[param(minimum = 1)]
    with: u64,
}

/// A JPEG of an image with what makes it like another one
///
/// Red is what adds most to their score.
#[utoipa::path(
    get, path = "/v1/images/{id}/heat", tag = "search",
    params(("id" = u64, Path, description = "The number of the image", minimum = 1), HeatParams),
    responses(
        (status = 200, description = "The JPEG", body = Vec<u8>, content_type = "image/jpeg"),
        OfFile,
    ),
)]
pub(in crate::server) async fn heat(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    Query(HeatParams { with }): Query<HeatParams>,
) -> Result<Response, Problem> {
    let jpeg = app.pixels(move |app| {
        let [own, other] = [id, with].map(|id| app.database.image_bytes(ImageId(id)));
        let (own, other, limits) = (own?, other?, DecodeLimits::default());
        let found = explain(app.database.encoder(), [&own, &other], &limits);
        let found = found
            .map_err(crate::Error::from)?
            .ok_or_else(|| Problem::unprocessable("this network has no places to explain by"))?;
        Ok(imaging::thumbnail_of(&found.drawn(0), SIDE_PX))
    });
    Ok(picture(format!("\"heat-{id}-{with}\""), jpeg.await?))
}
