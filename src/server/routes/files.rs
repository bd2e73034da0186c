//! The files of images: small, of middle size, and as they are. By number only, never by path.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tower_http::services::ServeFile;
use utoipa::IntoParams;

use crate::imaging::{DecodeLimits, is_image_start};
use crate::record::{ContentHash, ImageId};
use crate::server::app::App;
use crate::server::assets::is_fresh;
use crate::server::extract::{Path, Query};
use crate::server::problem::Problem;
use crate::server::problems::OfFile;

/// The longer side of a preview when nothing is said.
const PREVIEW_SIDE_PX: u16 = 1600;

/// Bytes from which the format of a file is told.
const START_BYTES: usize = 64;

/// A JPEG of an image, 256 px on the longer side
#[utoipa::path(
    get, path = "/v1/images/{id}/thumbnail", tag = "images",
    params(("id" = u64, Path, description = "The number of the image", minimum = 1)),
    responses(
        (status = 200, description = "The JPEG", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 304, description = "You have it: If-None-Match names its ETag"),
        OfFile,
    ),
)]
pub(in crate::server) async fn thumbnail(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ImageId(id);
    let (hash, kept) = app
        .quick(move |app| {
            let hash = app.database.record(id)?.hash;
            let tag = tag(&hash, "256");
            if is_fresh(&headers, &tag) {
                return Ok((hash, Some(not_modified(tag))));
            }
            Ok((hash, app.database.kept_thumbnail(&hash).map(|jpeg| picture(tag, jpeg))))
        })
        .await?;
    if let Some(response) = kept {
        return Ok(response);
    }
    let jpeg = app.pixels(move |app| Ok(app.database.thumbnail(id)?)).await?;
    Ok(picture(tag(&hash, "256"), jpeg))
}

/// How large a preview is.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct PreviewParams {
    /// The longer side in pixels, at most; 1600 when absent.
    #[param(minimum = 16, maximum = 4096)]
    side: Option<u16>,
}

/// A JPEG of an image that browsers can show, whatever its format
#[utoipa::path(
    get, path = "/v1/images/{id}/preview", tag = "images",
    params(("id" = u64, Path, description = "The number of the image", minimum = 1), PreviewParams),
    responses(
        (status = 200, description = "The JPEG", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 304, description = "You have it: If-None-Match names its ETag"),
        OfFile,
    ),
)]
pub(in crate::server) async fn preview(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    Query(params): Query<PreviewParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = ImageId(id);
    let side = params.side.unwrap_or(PREVIEW_SIDE_PX);
    if !(16..=4096).contains(&side) {
        return Err(Problem::unprocessable(format!("expected a side of 16 to 4096, found {side}")));
    }
    let hash = app.quick(move |app| Ok(app.database.record(id)?.hash)).await?;
    let tag = tag(&hash, &side.to_string());
    if is_fresh(&headers, &tag) {
        return Ok(not_modified(tag));
    }
    let reduce =
        move |app: &App| Ok(app.database.reduced(id, side.into(), &DecodeLimits::default())?);
    Ok(picture(tag, app.pixels(reduce).await?))
}

/// The file of an image as it is
///
/// `Range` is understood.
#[utoipa::path(
    get, path = "/v1/images/{id}/file", tag = "images",
    params(("id" = u64, Path, description = "The number of the image", minimum = 1)),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "image/*"),
        (status = 206, description = "The part that Range names", body = Vec<u8>, content_type = "image/*"),
        (status = 304, description = "You have it: If-None-Match names its ETag"),
        (status = 416, description = "It has no such part"),
        OfFile,
    ),
)]
pub(in crate::server) async fn file(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
    request: Request,
) -> Result<Response, Problem> {
    let id = ImageId(id);
    let (record, path) = app
        .quick(move |app| {
            let (record, path) = (app.database.record(id)?, app.database.image_file(id)?);
            if !begins_as_image(&path) {
                return Err(crate::Error::NoFile { id }.into());
            }
            Ok((record, path))
        })
        .await?;
    let tag = tag(&record.hash, "file");
    if is_fresh(request.headers(), &tag) {
        return Ok(not_modified(tag));
    }
    let kind = media_type(&record.format).parse().map_err(|_| {
        Problem::internal(format!("{} is no format with a media type", record.format))
    })?;
    let mut parts = Request::new(Body::empty());
    // The tag decides; what the file's time says is not asked for.
    if let Some(range) = request.headers().get(header::RANGE) {
        parts.headers_mut().insert(header::RANGE, range.clone());
    }
    *parts.method_mut() = request.method().clone();
    let served = ServeFile::new_with_mime(&path, &kind).try_call(parts).await;
    let mut response = match served {
        Ok(served) => served.map(Body::new),
        Err(error) => return Err(Problem::internal(error.to_string())),
    };
    if response.status() == StatusCode::NOT_FOUND {
        return Err(crate::Error::NoFile { id }.into());
    }
    let headers = response.headers_mut();
    headers.remove(header::LAST_MODIFIED);
    headers.extend(about(tag));
    // A file of the user's is never run as a page of this server.
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Whether a file can be read and begins as images do: something else may lie in its place now.
fn begins_as_image(path: &std::path::Path) -> bool {
    use std::io::Read;
    let mut start = [0; START_BYTES];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|length| is_image_start(&start[..length]))
}

fn media_type(format: &str) -> &'static str {
    match format {
        "JPEG" => "image/jpeg",
        "PNG" => "image/png",
        "WebP" => "image/webp",
        "GIF" => "image/gif",
        "BMP" => "image/bmp",
        "TIFF" => "image/tiff",
        "AVIF" => "image/avif",
        "HEIC" => "image/heic",
        "JPEG XL" => "image/jxl",
        _ => "image/x-raw",
    }
}

fn tag(hash: &ContentHash, kind: &str) -> String {
    format!("\"{}-{kind}\"", &hash.to_string()[..32])
}

/// An image is its content, but its number may be that of another in another database: a browser
/// asks each time, and gets its answer without the bytes.
fn about(tag: String) -> [(HeaderName, HeaderValue); 2] {
    let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    [(header::ETAG, tag), (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"))]
}

fn not_modified(tag: String) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    response.headers_mut().extend(about(tag));
    response
}

pub(super) fn picture(tag: String, jpeg: Vec<u8>) -> Response {
    let mut response = jpeg.into_response();
    response.headers_mut().extend(about(tag));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
    response
}
