//! Images: lists, layouts, what to filter by, and all that is known of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;

use crate::database::ImageRow;
use crate::query::Condition;
use crate::record::ImageId;
use crate::server::app::App;
use crate::server::extract::{Json, Path, Query};
use crate::server::problem::Problem;
use crate::server::problems::{Asking, OfOne, Plain, WithParameters};
use crate::server::wire::facets::{Facet, Facets};
use crate::server::wire::filter::Filter;
use crate::server::wire::image::{ImageDetail, ImageSummary};
use crate::server::wire::page::{
    Order, Page, PageParams, Place, ScrollRequest, Shapes, ShapesRequest,
};

/// Images of a page when nothing is said.
const PAGE: u16 = 100;

/// Images of a page, at most.
const PAGE_MAX: u16 = 1000;

/// Values of a facet, at most.
const VALUES_MAX: usize = 200;

/// Lists images
#[utoipa::path(
    get, path = "/v1/images", tag = "images", params(PageParams),
    responses(
        (status = 200, body = Page),
        WithParameters,
    ),
)]
pub(in crate::server) async fn list(
    State(app): State<Arc<App>>,
    Query(params): Query<PageParams>,
) -> Result<axum::Json<Page>, Problem> {
    let PageParams { limit, cursor, order } = params;
    page(app, ScrollRequest { filter: None, limit, cursor, order }).await
}

/// Lists the images that pass a filter
#[utoipa::path(
    post, path = "/v1/images/scroll", tag = "images", request_body = ScrollRequest,
    responses(
        (status = 200, body = Page),
        Asking,
    ),
)]
pub(in crate::server) async fn scroll(
    State(app): State<Arc<App>>,
    Json(request): Json<ScrollRequest>,
) -> Result<axum::Json<Page>, Problem> {
    page(app, request).await
}

/// Lists all images that pass a filter, with what a layout needs
#[utoipa::path(
    post, path = "/v1/images/shapes", tag = "images", request_body = ShapesRequest,
    responses(
        (status = 200, body = Shapes),
        Asking,
    ),
)]
pub(in crate::server) async fn shapes(
    State(app): State<Arc<App>>,
    Json(request): Json<ShapesRequest>,
) -> Result<axum::Json<Shapes>, Problem> {
    let shapes = app.quick(move |app| {
        let condition = condition(app, request.filter.as_ref())?;
        let order = request.order.unwrap_or_default();
        let mut found = Vec::new();
        app.database.visit_images(&condition, &mut |row| {
            found.push((order.place(row), row.id.0, ratio(row)));
        })?;
        if order != Order::Id {
            found.sort_unstable();
        }
        let mut shapes = Shapes::default();
        for (_, id, ratio) in found {
            shapes.ids.push(id);
            shapes.ratios.push(ratio);
        }
        Ok(shapes)
    });
    Ok(axum::Json(shapes.await?))
}

/// Width through height in hundredths; what is thinner than a tenth is shown as that.
pub(super) fn ratio(row: &ImageRow) -> u32 {
    let (width, height) = (u64::from(row.record.width_px), u64::from(row.record.height_px.max(1)));
    u32::try_from(width * 100 / height).unwrap_or(u32::MAX).clamp(10, 1000)
}

/// The condition that a filter stands for.
///
/// # Errors
/// As for [`Filter::resolve`].
pub(super) fn condition(app: &App, filter: Option<&Filter>) -> Result<Condition, Problem> {
    filter.map_or_else(|| Ok(Condition::default()), |filter| filter.resolve(&app.database))
}

/// Checks a number of wanted things.
///
/// # Errors
/// When it is 0 or too large.
pub(super) fn limit(wanted: Option<u16>, default: u16, most: u16) -> Result<usize, Problem> {
    match wanted.unwrap_or(default) {
        limit if limit > 0 && limit <= most => Ok(limit.into()),
        limit => Err(Problem::unprocessable(format!("expected 1 to {most}, found {limit}"))),
    }
}

async fn page(app: Arc<App>, request: ScrollRequest) -> Result<axum::Json<Page>, Problem> {
    let limit = limit(request.limit, PAGE, PAGE_MAX)?;
    let after = request.cursor.as_deref().map(|cursor| {
        Place::parse(cursor).ok_or_else(|| Problem::unprocessable("expected a cursor of an answer"))
    });
    let after = after.transpose()?;
    let page = app.quick(move |app| {
        let condition = condition(app, request.filter.as_ref())?;
        let order = request.order.unwrap_or_default();
        let mut places = Vec::new();
        app.database.visit_images(&condition, &mut |row| {
            let place = order.place(row);
            if after.as_ref().is_none_or(|after| place > *after) {
                places.push((place, row.id));
            }
        })?;
        let has_more = places.len() > limit;
        if has_more {
            places.select_nth_unstable(limit);
            places.truncate(limit);
        }
        places.sort_unstable();
        let next = places.last().filter(|_| has_more).map(|(place, _)| place.cursor());
        let ids: Vec<ImageId> = places.into_iter().map(|(_, id)| id).collect();
        Ok(Page { images: summaries(app, &ids)?, next })
    });
    Ok(axum::Json(page.await?))
}

/// Some images as lists show them; those that have gone meanwhile are left out.
pub(super) fn summaries(app: &App, ids: &[ImageId]) -> Result<Vec<ImageSummary>, Problem> {
    let mut images = Vec::with_capacity(ids.len());
    for id in ids {
        images.extend(app.database.image(*id)?.as_ref().map(ImageSummary::of));
    }
    Ok(images)
}

/// Shows what is known of an image
#[utoipa::path(
    get, path = "/v1/images/{id}", tag = "images",
    params(("id" = u64, Path, description = "The number of the image", minimum = 1)),
    responses(
        (status = 200, body = ImageDetail),
        OfOne,
    ),
)]
pub(in crate::server) async fn image(
    State(app): State<Arc<App>>,
    Path(id): Path<u64>,
) -> Result<axum::Json<ImageDetail>, Problem> {
    let detail = app.quick(move |app| {
        let id = ImageId(id);
        let row = app.database.image(id)?.ok_or(crate::Error::UnknownImage { id })?;
        Ok(ImageDetail::of(&app.database, &row, &app.database.reach()?)?)
    });
    Ok(axum::Json(detail.await?))
}

/// Lists what images can be filtered by
#[utoipa::path(
    get, path = "/v1/facets", tag = "images",
    responses(
        (status = 200, body = Facets),
        Plain,
    ),
)]
pub(in crate::server) async fn facets(
    State(app): State<Arc<App>>,
) -> Result<axum::Json<Facets>, Problem> {
    Ok(axum::Json(app.quick(count_facets).await?))
}

fn count_facets(app: &App) -> Result<Facets, Problem> {
    let names = app.database.encoder().class_names();
    let mut images = 0;
    let [mut classes, mut labels, mut folders, mut months]: [BTreeMap<String, usize>; 4] =
        Default::default();
    app.database.visit_images(&Condition::default(), &mut |row| {
        images += 1;
        let class =
            row.record.classes.first().and_then(|class| names.get(usize::from(class.class.0)));
        // Names of classes list their synonyms; the first says enough.
        let class = class.and_then(|name| name.split(',').next());
        let month = row.record.captured_at.as_deref().and_then(|time| time.get(..7));
        for (counts, value) in
            [(&mut classes, class), (&mut labels, row.effective_label()), (&mut months, month)]
        {
            if let Some(value) = value {
                *counts.entry(value.to_owned()).or_default() += 1;
            }
        }
        if let Some(path) = row.locations.first().map(ToString::to_string) {
            for (slash, _) in path.match_indices('/').filter(|(slash, _)| *slash > 0) {
                *folders.entry(path[..slash].to_owned()).or_default() += 1;
            }
        }
    })?;
    Ok(Facets {
        images,
        classes: most_frequent(classes),
        labels: most_frequent(labels),
        objects: objects(app)?,
        folders: most_frequent(folders),
        months: most_frequent(months),
    })
}

fn objects(app: &App) -> Result<Vec<Facet>, Problem> {
    let names = app.database.object_class_names();
    let counts = match app.database.object_classes(&crate::query::Filter::default()) {
        Err(crate::Error::NoObjects) => return Ok(Vec::new()),
        counts => counts?,
    };
    let count = |count: crate::query::ClassCount| {
        Some((names.get(usize::from(count.class.0))?.clone(), count.images))
    };
    Ok(most_frequent(counts.into_iter().filter_map(count).collect()))
}

fn most_frequent(counts: BTreeMap<String, usize>) -> Vec<Facet> {
    let facet = |(value, images)| Facet { value, images };
    let mut facets: Vec<Facet> = counts.into_iter().map(facet).collect();
    facets.sort_by_key(|facet| std::cmp::Reverse(facet.images));
    facets.truncate(VALUES_MAX);
    facets
}
