//! The gallery: pages, styles and scripts that are part of the program.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::app::App;
use super::problem::Problem;

/// A file of the gallery.
struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, bytes: include_bytes!(concat!("gallery/", $name)) }),*]
    };
}

const ASSETS: &[Asset] = assets![
    "api.js",
    "app.js",
    "clusters.js",
    "docs.css",
    "docs.html",
    "docs.js",
    "dom.js",
    "duplicates.js",
    "filters.js",
    "grid.js",
    "icon.svg",
    "index.html",
    "jobs.js",
    "labels.js",
    "login.html",
    "login.js",
    "map.js",
    "photo.js",
    "photos.js",
    "place.js",
    "stage.js",
    "style.css",
    "views.css",
];

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|headers| page("index.html", headers)))
        .route("/login", get(|headers| page("login.html", headers)))
        .route("/docs", get(|headers| page("docs.html", headers)))
        .route(
            "/assets/{name}",
            get(async |Path(name): Path<String>, headers| page_of(&name, &headers)),
        )
}

async fn page(name: &'static str, headers: HeaderMap) -> Response {
    page_of(name, &headers)
}

fn page_of(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::not_found("the gallery has no such file").into_response();
    };
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let tag = format!("\"{}\"", &blake3::hash(asset.bytes).to_hex()[..16]);
    let about = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if is_fresh(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, kind)], asset.bytes).into_response()
}

/// Whether the client has what an entity tag names.
pub(super) fn is_fresh(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag || known == "*"))
}
