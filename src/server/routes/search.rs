//! Searches: by a stored image, a part of it, a vector, examples, or an uploaded file.

use std::sync::Arc;

use axum::extract::State;

use super::images::{condition, limit};
use crate::imaging::DecodeLimits;
use crate::objects;
use crate::query::{self, GivenError, embed_file, embed_region, recommended};
use crate::record::{BoundingBox, ImageId};
use crate::server::app::App;
use crate::server::extract::{Json, Query};
use crate::server::problem::Problem;
use crate::server::problems::Searching;
use crate::server::upload::Upload;
use crate::server::wire::image::ScoredImage;
use crate::server::wire::search::{
    Example, Over, PartQuery, Query as Asked, Recommend, Region, SearchAnswer, SearchOptions,
    SearchRequest, UploadForm, UploadParams, UploadRequest,
};
use crate::vector::Embedding;

/// Hits when nothing is said.
const HITS: u16 = 10;

/// Hits of one answer, at most.
const HITS_MAX: u16 = 1000;

/// How deep cursors lead: each answer finds again what came before it.
const DEPTH_MAX: usize = 10_000;

/// Searches for images
///
/// By the number of an image, a vector, an object or a region of an image, or several examples.
#[utoipa::path(
    post, path = "/v1/search", tag = "search", request_body = SearchRequest,
    responses((status = 200, body = SearchAnswer), Searching),
)]
pub(in crate::server) async fn search(
    State(app): State<Arc<App>>,
    Json(request): Json<SearchRequest>,
) -> Result<axum::Json<SearchAnswer>, Problem> {
    let (asked, options) = request.parted();
    // Only a region has to be decoded.
    let asked = match asked {
        Asked::Part(PartQuery { image, object: None, region: Some(region) }) => {
            let embedding = app.pixels(move |app| {
                let bytes = app.database.image_bytes(ImageId(image))?;
                of_region(app, &bytes, region, &DecodeLimits::default())
            });
            Sought { embedding: embedding.await?, own: vec![ImageId(image)], is_part: true }
        }
        asked => app.quick(move |app| stored(app, asked)).await?,
    };
    answer(app, asked, options).await
}

/// Searches for images like an uploaded file
///
/// The body is the file itself (`image/*`), or a form with the fields `image` and `request`.
#[utoipa::path(
    post, path = "/v1/search/upload", tag = "search", params(UploadParams),
    request_body(content(
        (Vec<u8> = "image/*"), (Vec<u8> = "application/octet-stream"), (UploadForm = "multipart/form-data"),
    )),
    responses((status = 200, body = SearchAnswer), Searching),
)]
pub(in crate::server) async fn by_upload(
    State(app): State<Arc<App>>,
    Query(params): Query<UploadParams>,
    upload: Upload,
) -> Result<axum::Json<SearchAnswer>, Problem> {
    let request = match &upload.request {
        Some(text) => serde_json::from_str::<UploadRequest>(text)
            .map_err(|error| Problem::unprocessable(format!("`request`: {error}")))?,
        None => UploadRequest::default(),
    };
    let (region, mut options) = request.parted();
    options.limit = options.limit.or(params.limit);
    options.score_threshold = options.score_threshold.or(params.score_threshold);
    let region = match (region, &params.region) {
        (None, Some(text)) => Some(Region::parse(text).ok_or_else(|| {
            Problem::unprocessable("expected a region: left,top,width,height in pixels")
        })?),
        (region, _) => region,
    };
    check(&options)?;
    let is_part = region.is_some();
    let embedding = app.pixels(move |app| {
        let limits = DecodeLimits {
            pixels_max: app.options.limits.upload_pixels,
            ..DecodeLimits::default()
        };
        match region {
            Some(region) => of_region(app, &upload.bytes, region, &limits),
            None => {
                let embedding = embed_file(app.database.encoder(), &upload.bytes, &limits);
                Ok(embedding.map_err(crate::Error::from)?)
            }
        }
    });
    let sought = Sought { embedding: embedding.await?, own: Vec::new(), is_part };
    answer(app, sought, options).await
}

/// A query that has become a vector.
struct Sought {
    embedding: Embedding,
    /// The images that it was made of, which are no hits.
    own: Vec<ImageId>,
    /// Whether it is of something on an image, which objects are compared with.
    is_part: bool,
}

fn stored(app: &App, asked: Asked) -> Result<Sought, Problem> {
    let whole = |embedding, own| Sought { embedding, own, is_part: false };
    let of_image = |id: u64| Ok::<_, Problem>(app.database.embedding(ImageId(id))?);
    Ok(match asked {
        Asked::Image(id) | Asked::Part(PartQuery { image: id, object: None, region: None }) => {
            whole(of_image(id)?, vec![ImageId(id)])
        }
        Asked::Vector(components) => whole(vector(app, components)?, Vec::new()),
        Asked::Part(PartQuery { image, object: Some(number), region: None }) => {
            let number = number
                .checked_sub(1)
                .ok_or_else(|| Problem::unprocessable("objects are numbered from 1"))?;
            // A number that no image has is told from one that no object has.
            app.database.record(ImageId(image))?;
            let embedding = app.database.object_embedding(ImageId(image), number)?;
            Sought { embedding, own: vec![ImageId(image)], is_part: true }
        }
        Asked::Part(_) => {
            return Err(Problem::unprocessable("give an object or a region, not both"));
        }
        Asked::Recommend(query) => {
            let Recommend { positive, negative } = query.recommend;
            if positive.is_empty() || positive.len() + negative.len() > 200 {
                let detail = "give at least one positive example, and 200 examples at most";
                return Err(Problem::unprocessable(detail));
            }
            let mut own = Vec::new();
            let mut embeddings = |examples: Vec<Example>| -> Result<Vec<Embedding>, Problem> {
                let examples = examples.into_iter().map(|example| match example {
                    Example::Image(id) => {
                        own.push(ImageId(id));
                        of_image(id)
                    }
                    Example::Vector(components) => vector(app, components),
                });
                examples.collect()
            };
            let (positive, negative) = (embeddings(positive)?, embeddings(negative)?);
            let embedding = recommended(&positive, &negative).ok_or_else(|| {
                Problem::unprocessable("the examples cancel each other: give others")
            })?;
            whole(embedding, own)
        }
    })
}

fn vector(app: &App, components: Vec<f32>) -> Result<Embedding, Problem> {
    let (expected, found) = (app.database.encoder().space().dimension as usize, components.len());
    if found != expected {
        let detail = format!("expected a vector of dimension {expected}, found {found}");
        return Err(Problem::unprocessable(detail));
    }
    Embedding::normalize(components).map_err(|error| Problem::unprocessable(error.to_string()))
}

fn of_region(
    app: &App,
    bytes: &[u8],
    region: Region,
    limits: &DecodeLimits,
) -> Result<Embedding, Problem> {
    let Region { left, top, width, height } = region;
    let bounds = BoundingBox::new(left, top, left + width, top + height);
    let found = embed_region(app.database.encoder(), bytes, &bounds, objects::MARGIN, limits);
    found.map_err(|error| match error {
        GivenError::Beside => Problem::unprocessable(error.to_string()),
        error => crate::Error::from(error).into(),
    })
}

/// Where an answer begins, and how many hits it has.
fn check(options: &SearchOptions) -> Result<(usize, usize), Problem> {
    let limit = limit(options.limit, HITS, HITS_MAX)?;
    let skip: usize = match &options.cursor {
        None => 0,
        Some(cursor) => {
            cursor.parse().map_err(|_| Problem::unprocessable("expected a cursor of an answer"))?
        }
    };
    if skip > DEPTH_MAX - limit.min(DEPTH_MAX) {
        let detail = format!("an answer leads {DEPTH_MAX} hits deep at most: filter instead");
        return Err(Problem::unprocessable(detail));
    }
    if options.score_threshold.is_some_and(|least| !(-1.0..=1.0).contains(&least)) {
        return Err(Problem::unprocessable("a score lies between -1 and 1"));
    }
    let ef = options.params.and_then(|params| params.ef);
    if ef.is_some_and(|ef| ef == 0 || usize::from(ef) > DEPTH_MAX) {
        return Err(Problem::unprocessable(format!("ef is 1 to {DEPTH_MAX}")));
    }
    Ok((skip, limit))
}

async fn answer(
    app: Arc<App>,
    sought: Sought,
    options: SearchOptions,
) -> Result<axum::Json<SearchAnswer>, Problem> {
    let (skip, limit) = check(&options)?;
    let answer = app.quick(move |app| {
        let condition = condition(app, options.filter.as_ref())?;
        let images = match condition.is_always() {
            true => None,
            false => Some(Arc::new(app.database.images_where(&condition)?)),
        };
        let params = options.params.unwrap_or_default();
        let mut search = query::Search {
            // One more tells whether there are more.
            top: skip + limit + 1 + sought.own.len(),
            score_min: options.score_threshold.unwrap_or(-1.0),
            filter: query::Filter { images, ..query::Filter::default() },
            exact: params.exact,
            ef: params.ef.map(usize::from),
            ..query::Search::default()
        };
        if let [own] = sought.own[..] {
            search.exclude_image = Some(own);
        }
        let over_objects = match options.over {
            Some(over) => over == Over::Objects,
            None => sought.is_part,
        };
        let mut hits = match over_objects {
            true => app.database.search_objects(&sought.embedding, &search)?,
            false => app.database.search_embedding(&sought.embedding, &search)?,
        };
        hits.retain(|hit| !sought.own.contains(&hit.id));
        let has_more = hits.len() > skip + limit;
        let names = app.database.object_class_names();
        let mut found = Vec::with_capacity(limit);
        for hit in hits.iter().skip(skip).take(limit) {
            if let Some(row) = app.database.image(hit.id)? {
                found.push(ScoredImage::of(hit, &row, &names));
            }
        }
        Ok(SearchAnswer { hits: found, next: has_more.then(|| (skip + limit).to_string()) })
    });
    Ok(axum::Json(answer.await?))
}
