//! Uploaded files: received within bounds on size, time, and the memory of all of them together.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{StatusCode, header};
use futures_util::TryStreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::extract::check_length;
use super::problem::Problem;

/// Bytes of all uploads that are held at a time.
const ROOM_BYTES: usize = 256 << 20;

/// The memory that uploads share.
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM_BYTES)))
    }
}

impl Room {
    /// Takes room for some bytes, at once or not at all.
    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let wanted = u32::try_from(bytes).map_err(|_| Problem::busy())?;
        Arc::clone(&self.0).try_acquire_many_owned(wanted).map_err(|_| Problem::busy())
    }
}

/// An uploaded file: the body itself, or the field `image` of a form.
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    /// The field `request` of a form.
    pub(super) request: Option<String>,
    room: Option<OwnedSemaphorePermit>,
}

impl FromRequest<Arc<App>> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let limits = &app.options.limits;
        check_length(request.headers(), limits.upload_bytes + limits.json_bytes)?;
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let received = async {
            if kind.starts_with("multipart/form-data") {
                Self::of_form(request, app).await
            } else if kind.starts_with("image/") || kind == "application/octet-stream" {
                Self::of_body(request.into_body(), app).await
            } else {
                let detail =
                    "send the bytes of an image as image/*, or a form with a field `image`";
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no-image", detail))
            }
        };
        let received = tokio::time::timeout(limits.transfer, received).await;
        received.map_err(|_| Problem::slow_body())?
    }
}

impl Upload {
    fn new() -> Self {
        Self { bytes: Vec::new(), request: None, room: None }
    }

    fn push(&mut self, chunk: &Bytes, app: &App) -> Result<(), Problem> {
        if self.bytes.len() + chunk.len() > app.options.limits.upload_bytes {
            let most = app.options.limits.upload_bytes >> 20;
            let detail = format!("an uploaded file may have {most} MiB at most");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
        }
        let room = app.uploads.take(chunk.len())?;
        match &mut self.room {
            Some(taken) => taken.merge(room),
            None => self.room = Some(room),
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn of_body(body: Body, app: &App) -> Result<Self, Problem> {
        let mut upload = Self::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|_| broken())? {
            upload.push(&chunk, app)?;
        }
        Ok(upload)
    }

    async fn of_form(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let mut request = request;
        // `push` has bounds of its own; this one holds for the whole form.
        let limits = &app.options.limits;
        DefaultBodyLimit::max(limits.upload_bytes + limits.json_bytes).apply(&mut request);
        let mut form = Multipart::from_request(request, app)
            .await
            .map_err(|error| no_form(error.body_text()))?;
        let mut upload = Self::new();
        let mut has_image = false;
        loop {
            let field = form.next_field().await.map_err(|error| refused(&error))?;
            let Some(mut field) = field else { break };
            match field.name() {
                Some("image") => {
                    has_image = true;
                    while let Some(chunk) = field.chunk().await.map_err(|error| refused(&error))? {
                        upload.push(&chunk, app)?;
                    }
                }
                Some("request") => upload.request = Some(short_text(field, app).await?),
                other => {
                    let detail = format!("expected the fields image and request, found {other:?}");
                    return Err(no_form(detail));
                }
            }
        }
        if !has_image {
            return Err(no_form("the form has no field `image`".to_owned()));
        }
        Ok(upload)
    }
}

fn no_form(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "no-form", detail)
}

fn refused(error: &MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.body_text())
        }
        _ => no_form(error.body_text()),
    }
}

fn broken() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "broken-body", "the body of the request broke off")
}

async fn short_text(mut field: Field<'_>, app: &App) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| refused(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > app.options.limits.json_bytes {
            let detail = "the field `request` is too large";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::unprocessable("`request` is not UTF-8"))
}
