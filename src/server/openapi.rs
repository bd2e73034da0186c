//! The description of the API for programs, and the page of it for people.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::routes::{
    clusters, duplicates, explain, files, images, jobs, labels, map, search, server,
};
use super::wire::filter::{Condition, Filter};
use super::{metrics, session};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "lookalike",
        description = "Image similarity search over your own folders.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact()
    ),
    components(schemas(super::problem::Problem, Filter, Condition)),
    tags(
        (name = "images", description = "What is known of images, and their files"),
        (name = "search", description = "Images like something"),
        (name = "clusters", description = "Images that belong together"),
        (name = "duplicates", description = "Images that are the same"),
        (name = "map", description = "Images in the plane"),
        (name = "labels", description = "Names given and learned"),
        (name = "jobs", description = "Indexing"),
        (name = "server", description = "The server itself"),
    )
)]
struct Api;

/// The routes of the API with their description.
pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    let mut api = Api::openapi();
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = api.components.get_or_insert_default();
    components.add_security_scheme("key", scheme);
    // Without a key of its own, a server asks for none.
    let key = SecurityRequirement::new("key", Vec::<String>::new());
    api.security = Some(vec![SecurityRequirement::default(), key]);
    OpenApiRouter::with_openapi(api)
        .routes(routes!(images::list))
        .routes(routes!(images::scroll))
        .routes(routes!(images::shapes))
        .routes(routes!(images::facets))
        .routes(routes!(images::image))
        .routes(routes!(files::thumbnail))
        .routes(routes!(files::preview))
        .routes(routes!(files::file))
        .routes(routes!(explain::heat))
        .routes(routes!(search::search))
        .routes(routes!(search::by_upload))
        .routes(routes!(clusters::cluster))
        .routes(routes!(duplicates::find))
        .routes(routes!(duplicates::distinguish))
        .routes(routes!(duplicates::discard))
        .routes(routes!(map::map))
        .routes(routes!(labels::list, labels::give))
        .routes(routes!(labels::train))
        .routes(routes!(labels::review))
        .routes(routes!(labels::predict))
        .routes(routes!(jobs::list, jobs::begin))
        .routes(routes!(jobs::job, jobs::cancel))
        .routes(routes!(jobs::events))
        .routes(routes!(server::numbers))
        .routes(routes!(server::healthz))
        .routes(routes!(server::readyz))
        .routes(routes!(metrics::show))
        .routes(routes!(session::log_in))
}

/// The description itself.
pub(super) fn page(api: utoipa::openapi::OpenApi) -> Router<Arc<App>> {
    let json: Arc<str> = api.to_json().unwrap_or_default().into();
    let show = move || {
        let json = Arc::clone(&json);
        async move { ([(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response() }
    };
    Router::new().route("/openapi.json", get(show))
}
