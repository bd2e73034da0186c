//! Indexing, with progress as it goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use crate::server::app::App;
use crate::server::extract::{Json, Path};
use crate::server::jobs::Entry;
use crate::server::problem::Problem;
use crate::server::problems::{Asking, OfOne, Plain};
use crate::server::wire::job::{Job, JobKind, JobRequest, Jobs};

/// Between two events of a job, at least.
const PAUSE: Duration = Duration::from_millis(100);

/// Lists the jobs since the server was started
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs",
    responses((status = 200, body = Jobs), Plain),
)]
pub(in crate::server) async fn list(State(app): State<Arc<App>>) -> axum::Json<Jobs> {
    axum::Json(Jobs { jobs: app.jobs.all() })
}

/// Begins to index the known folders
#[utoipa::path(
    post, path = "/v1/jobs", tag = "jobs", request_body = JobRequest,
    responses((status = 202, description = "It has begun", body = Job), Asking),
)]
pub(in crate::server) async fn begin(
    State(app): State<Arc<App>>,
    Json(request): Json<JobRequest>,
) -> Result<(StatusCode, axum::Json<Job>), Problem> {
    match request.kind {
        JobKind::Index => Ok((StatusCode::ACCEPTED, axum::Json(app.jobs.begin(&app)?))),
    }
}

/// Shows how far a job is
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = u64, Path, description = "The number of the job", minimum = 1)),
    responses((status = 200, body = Job), OfOne),
)]
pub(in crate::server) async fn job(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
) -> Result<axum::Json<Job>, Problem> {
    Ok(axum::Json(find(&app, id)?.now()))
}

/// Stops a job; what it has done is kept
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = u64, Path, description = "The number of the job", minimum = 1)),
    responses((status = 202, description = "It will end soon", body = Job), OfOne),
)]
pub(in crate::server) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
) -> Result<(StatusCode, axum::Json<Job>), Problem> {
    let entry = find(&app, id)?;
    entry.cancel();
    Ok((StatusCode::ACCEPTED, axum::Json(entry.now())))
}

/// Tells how far a job is, whenever that changes, until it ends
///
/// Server-sent events with the name `job`, each with a job as JSON.
#[utoipa::path(
    get, path = "/v1/jobs/{id}/events", tag = "jobs",
    params(("id" = u64, Path, description = "The number of the job", minimum = 1)),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        OfOne,
    ),
)]
pub(in crate::server) async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Problem> {
    let entry = find(&app, id)?;
    let mut job = entry.subscribe();
    // The first event comes at once.
    job.mark_changed();
    let stop: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(app.stopping());
    let stream = unfold(Some((job, stop)), |state| async move {
        let (mut job, mut stop) = state?;
        let event = next(&mut job, &mut stop).await?;
        let state = (!event.1).then_some((job, stop));
        Some((Ok(event.0), state))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// The next event, and whether it is the last; `None` when the server stops.
async fn next(
    job: &mut watch::Receiver<Job>,
    stop: &mut (impl Future<Output = ()> + Unpin),
) -> Option<(Event, bool)> {
    tokio::select! {
        changed = job.changed() => changed.ok()?,
        () = stop => return None,
    }
    let now = job.borrow_and_update().clone();
    if !now.state.has_ended() {
        tokio::time::sleep(PAUSE).await;
    }
    let event = Event::default().event("job").json_data(&now).ok()?;
    Some((event, now.state.has_ended()))
}

fn find(app: &App, id: u64) -> Result<Arc<Entry>, Problem> {
    app.jobs.get(id).ok_or_else(|| Problem::not_found(format!("there is no job {id}")))
}
