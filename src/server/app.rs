//! The server put together: what handlers share, the routes, and what lies around all of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::guard::{self, Names};
use super::jobs::Jobs;
use super::lanes::{Lane, Lanes};
use super::metrics::{self, Metrics};
use super::problem::{Problem, chain};
use super::session::Key;
use super::upload::Room;
use super::{ServerOptions, assets, openapi};
use crate::database::Database;
use crate::query::{Condition, Search};

/// What handlers share.
pub(super) struct App {
    pub(super) database: Database,
    pub(super) options: ServerOptions,
    pub(super) names: Names,
    pub(super) key: Option<Key>,
    pub(super) metrics: Metrics,
    pub(super) jobs: Jobs,
    pub(super) uploads: Room,
    pub(super) ready: AtomicBool,
    lanes: Lanes,
    stop: watch::Sender<bool>,
}

impl App {
    pub(super) fn new(
        database: Database,
        options: ServerOptions,
        address: SocketAddr,
    ) -> Arc<Self> {
        Arc::new(Self {
            names: Names::new(address, &options.host_names),
            key: options.api_key.as_deref().map(Key::new),
            metrics: Metrics::new(),
            jobs: Jobs::default(),
            uploads: Room::default(),
            ready: AtomicBool::new(false),
            lanes: Lanes::new(),
            stop: watch::Sender::new(false),
            database,
            options,
        })
    }

    /// Looks something up, or searches.
    ///
    /// # Errors
    /// That of the work; as for [`Lane::run`].
    pub(super) async fn quick<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on(&self.lanes.quick, work).await
    }

    /// Decodes or embeds one image, on one thread.
    ///
    /// # Errors
    /// As for [`App::quick`].
    pub(super) async fn pixels<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on(&self.lanes.pixels, |app| super::lanes::alone(|| work(app))?).await
    }

    /// Computes over all images, on all cores, one such at a time.
    ///
    /// # Errors
    /// As for [`App::quick`].
    pub(super) async fn long<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.on(&self.lanes.long, work).await
    }

    async fn on<T: Send + 'static>(
        self: &Arc<Self>,
        lane: &Lane,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        lane.run(move || work(&app)).await?
    }

    /// Loads what searches need, so that the first one need not; begins to index where that was
    /// wanted.
    pub(super) fn warm_up(self: &Arc<Self>) {
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut first = None;
            let visited = app.database.visit_images(&Condition::default(), &mut |row| {
                first = first.or(Some(row.id));
            });
            let searched = visited.and_then(|()| match first {
                Some(id) => app.database.search_image(id, &Search::default()).map(drop),
                None => Ok(()),
            });
            if let Err(error) = searched {
                (app.options.on_failure)(&chain(&error));
            }
            app.ready.store(true, Ordering::Release);
            if app.options.index_now {
                // No job can be running yet.
                let _ = app.jobs.begin(&app);
            }
        });
    }

    /// Ends streams and jobs.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Whether the server was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends when the server is told to stop.
    pub(super) fn stopping(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // The sender lives as long as the server.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Waits until the jobs have kept what they did.
    pub(super) async fn wait_for_jobs(&self) {
        self.jobs.wait().await;
    }
}

/// All routes, with what lies around them.
pub(super) fn router(app: &Arc<App>) -> Router {
    let (routes, api) = openapi::routes().split_for_parts();
    let state = || Arc::clone(app);
    Router::new()
        .merge(routes)
        .merge(openapi::page(api))
        .merge(assets::routes())
        .fallback(async || Problem::not_found("there is nothing at this path: see /docs"))
        .method_not_allowed_fallback(async || {
            let detail = "this path does not take this method: see /docs";
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
        })
        .layer(DefaultBodyLimit::max(app.options.limits.json_bytes))
        .layer(middleware::from_fn_with_state(state(), in_time))
        .layer(middleware::from_fn_with_state(state(), guard::check))
        .layer(middleware::from_fn(secured))
        .layer(middleware::from_fn_with_state(state(), metrics::count))
        .with_state(state())
}

/// Gives up on an answer that takes too long.
async fn in_time(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(app.options.limits.answer, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = "the answer took too long: ask for less, or ask again";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-slow", detail);
            problem.with_header(header::RETRY_AFTER, "10").into_response()
        }
    }
}

/// What browsers are told about every answer.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
         connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

async fn secured(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
