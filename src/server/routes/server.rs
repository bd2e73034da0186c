//! Whether the server works, and what it holds.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;

use crate::server::app::App;
use crate::server::problem::Problem;
use crate::server::problems::Plain;
use crate::server::wire::facets::Numbers;

/// Whether the process answers
#[utoipa::path(
    get, path = "/healthz", tag = "server",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
pub(in crate::server) async fn healthz() -> &'static str {
    "ok"
}

/// Whether searches are quick
///
/// Right after the start, embeddings are still being loaded.
#[utoipa::path(
    get, path = "/readyz", tag = "server",
    responses(
        (status = 200, description = "They are", body = String, content_type = "text/plain"),
        Plain,
    ),
)]
pub(in crate::server) async fn readyz(
    State(app): State<Arc<App>>,
) -> Result<&'static str, Problem> {
    if app.ready.load(Ordering::Acquire) && !app.is_stopping() {
        return Ok("ready");
    }
    let detail = "embeddings are being loaded";
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail))
}

/// What the database holds
#[utoipa::path(
    get, path = "/v1/stats", tag = "server",
    responses(
        (status = 200, body = Numbers),
        Plain,
    ),
)]
pub(in crate::server) async fn numbers(
    State(app): State<Arc<App>>,
) -> Result<axum::Json<Numbers>, Problem> {
    let stats = app.quick(|app| Ok(app.database.stats()?)).await?;
    Ok(axum::Json(Numbers::of(stats)))
}
