//! What the server counts, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::app::App;
use super::problem::{Cause, Problem};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    method: String,
    /// The pattern of the route, of which there are few, not the path.
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: String,
}

/// The counters of a server.
pub(super) struct Metrics {
    registry: Registry,
    answers: Family<Answer, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    working: Gauge,
    connections: Gauge<i64, AtomicI64>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let (answers, working, connections) = Default::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let mut registry = Registry::with_prefix("lookalike");
        registry.register("http_answers", "Answers by route and status", Family::clone(&answers));
        registry.register_with_unit(
            "http_answer",
            "Time to the head of an answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register("http_working", "Requests without an answer yet", Gauge::clone(&working));
        let open = Gauge::clone(&connections);
        registry.register("http_connections", "Open connections", open);
        Self { registry, answers, seconds, working, connections }
    }

    /// The gauge of open connections, to be counted up and down.
    pub(super) fn connections(&self) -> Gauge<i64, AtomicI64> {
        self.connections.clone()
    }
}

/// Counts a request when its answer is known, and tells of failures.
pub(super) async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let method = match request.method().as_str() {
        method @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => method,
        // Methods can be made up without end.
        _ => "other",
    };
    let method = method.to_owned();
    let metrics = &app.metrics;
    let start = Instant::now();
    let working = Working::begin(&metrics.working);
    let response = next.run(request).await;
    drop(working);
    let took = start.elapsed();
    metrics.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
    let status = response.status().as_u16();
    if let Some(Cause(cause)) = response.extensions().get() {
        (app.options.on_failure)(&format!("{method} {route}: {cause}"));
    }
    metrics.answers.get_or_create(&Answer { method, route, status }).inc();
    response
}

/// A request that is being worked on; counted down also when its client goes.
struct Working<'a>(&'a Gauge);

impl<'a> Working<'a> {
    fn begin(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Counters for Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "server",
    responses((status = 200, description = "OpenMetrics text", body = String,
        content_type = "application/openmetrics-text")),
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &app.metrics.registry) {
        return Problem::internal(error.to_string()).into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
}
