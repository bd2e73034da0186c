//! Errors as problem documents (RFC 9457): what went wrong, and what to do.

use std::error::Error as _;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::index::IndexError;
use crate::query::{GivenError, QueryError};

/// What went wrong, as RFC 9457 has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// A name of the kind of problem that programs can compare: `urn:lookalike:unknown-image`.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The status code of the answer.
    status: u16,
    /// What happened this time.
    detail: String,
    /// What only the log of the server says.
    #[serde(skip)]
    cause: Option<String>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What an extension of the response says to the middleware that logs.
#[derive(Clone)]
pub(super) struct Cause(pub(super) String);

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:lookalike:{kind}"),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into(),
            cause: None,
            headers: Vec::new(),
        }
    }

    /// The request has values that cannot be.
    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// Too much is going on; the client may ask again.
    pub(super) fn busy() -> Self {
        let detail = "too many requests are being worked on: ask again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            .with_header(header::RETRY_AFTER, "1")
    }

    /// The body did not arrive in time.
    pub(super) fn slow_body() -> Self {
        let detail = "the body of the request took too long to arrive";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow-body", detail)
    }

    /// A fault of the server: the client hears that, the log hears what.
    pub(super) fn internal(cause: impl Into<String>) -> Self {
        let detail = "the server failed at this request; its log says why";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failure", detail);
        Self { cause: Some(cause.into()), ..problem }
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (headers, cause) = (self.headers.clone(), self.cause.clone());
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response.headers_mut().extend(headers);
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

impl From<Error> for Problem {
    /// Sorts the errors of the library; what names paths of this machine is not passed on.
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match &error {
            Error::UnknownImage { .. } => Self::new(StatusCode::NOT_FOUND, "unknown-image", text),
            Error::UnknownObject { .. } => Self::new(StatusCode::NOT_FOUND, "unknown-object", text),
            Error::NoFile { .. } => Self::new(StatusCode::GONE, "no-file", text),
            Error::File { .. } => {
                let detail = "the file cannot be read now: its drive may be unplugged";
                Self {
                    cause: Some(chain(&error)),
                    ..Self::new(StatusCode::GONE, "no-file", detail)
                }
            }
            Error::NoObjects | Error::NotEmbedded { .. } => {
                Self::new(StatusCode::CONFLICT, "not-known-yet", text)
            }
            Error::Given(GivenError::Image(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unreadable-image", chain(&error))
            }
            Error::Index(IndexError::DimensionMismatch { .. }) => Self::unprocessable(text),
            Error::Query(query) => Self::of_query(query, text, &error),
            _ => Self::internal(chain(&error)),
        }
    }
}

impl Problem {
    fn of_query(query: &QueryError, text: String, error: &Error) -> Self {
        match query {
            QueryError::UnknownClass { .. } | QueryError::UnknownLabel { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-name", text)
            }
            QueryError::Index(_) | QueryError::Learn(_) => Self::unprocessable(text),
            QueryError::NoImages
            | QueryError::TooFewLabels { .. }
            | QueryError::TooFewExamples { .. }
            | QueryError::NoForest
            | QueryError::NotValidated
            | QueryError::ForestMismatch { .. } => {
                Self::new(StatusCode::CONFLICT, "not-known-yet", text)
            }
            QueryError::Changed => Self::busy(),
            _ => Self::internal(chain(error)),
        }
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // A transparent error says what its cause says.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
