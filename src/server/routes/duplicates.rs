//! Images that are the same: found, told apart, moved to the trash.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::images::condition;
use crate::database::DuplicateSearch;
use crate::error::Error;
use crate::query::Filter;
use crate::record::{ImageId, Location};
use crate::server::app::App;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::problems::{Asking, Naming};
use crate::server::wire::duplicates::{
    DiscardRequest, Discarded, DistinctRequest, Duplicate, DuplicateFile, DuplicateGroup,
    Duplicates, DuplicatesRequest, FileName, Stayed,
};
use crate::server::wire::image::ImageSummary;

/// Files that go to the trash at once, at most.
const DISCARD_MAX: usize = 1000;

/// Finds images that are the same
///
/// Thresholds are learned from edits made of some of the images: seconds, and more for many images.
/// One such request is worked on at a time. Nothing is touched.
#[utoipa::path(
    post, path = "/v1/duplicates", tag = "duplicates", request_body = DuplicatesRequest,
    responses((status = 200, body = Duplicates), Asking),
)]
pub(in crate::server) async fn find(
    State(app): State<Arc<App>>,
    Json(request): Json<DuplicatesRequest>,
) -> Result<axum::Json<Duplicates>, Problem> {
    let defaults = DuplicateSearch::default();
    let similar_min = request.similar_min.unwrap_or(defaults.similar_min);
    if !(-1.0..=1.0).contains(&similar_min) {
        return Err(Problem::unprocessable("similar_min lies between -1 and 1"));
    }
    let found = app.long(move |app| {
        let condition = condition(app, request.filter.as_ref())?;
        let images = match condition.is_always() {
            true => None,
            false => Some(Arc::new(app.database.images_where(&condition)?)),
        };
        let search = DuplicateSearch {
            filter: Filter { images, ..Filter::default() },
            up_to: request.up_to.map_or(defaults.up_to, Into::into),
            similar_min,
            seed: request.seed.into(),
            ..defaults
        };
        let (found, _) = app.database.duplicates(&search, &|_, _| ())?;
        let groups = found.groups.iter().map(|group| shown(app, group));
        Ok(Duplicates {
            groups: groups.collect::<Result<_, Problem>>()?,
            without_fingerprint: found.without_fingerprint,
        })
    });
    Ok(axum::Json(found.await?))
}

fn shown(app: &App, group: &crate::query::DuplicateGroup) -> Result<DuplicateGroup, Problem> {
    let other = |other: &crate::query::Duplicate| -> Result<Duplicate, Problem> {
        Ok(Duplicate {
            file: file(app, other.id, &other.location)?,
            tier: other.tier.into(),
            how: other.tier.described(other.alignment),
            score: other.score,
            reason: other.reason,
        })
    };
    Ok(DuplicateGroup {
        tier: group.tier.into(),
        keep: file(app, group.keep.0, &group.keep.1)?,
        others: group.others.iter().map(other).collect::<Result<_, Problem>>()?,
    })
}

fn file(app: &App, id: ImageId, location: &Location) -> Result<DuplicateFile, Problem> {
    let row = app.database.image(id)?.ok_or(Error::UnknownImage { id })?;
    let image = ImageSummary::at(&row, Some(location));
    Ok(DuplicateFile { image, size_bytes: row.record.size_bytes, format: row.record.format })
}

/// Says that two images are not the same, or takes that back
///
/// It holds for their contents, wherever they are moved.
#[utoipa::path(
    post, path = "/v1/duplicates/distinct", tag = "duplicates", request_body = DistinctRequest,
    responses((status = 204, description = "It is remembered"), Naming),
)]
pub(in crate::server) async fn distinguish(
    State(app): State<Arc<App>>,
    Json(DistinctRequest { images, distinct }): Json<DistinctRequest>,
) -> Result<StatusCode, Problem> {
    if images[0] == images[1] {
        return Err(Problem::unprocessable("an image is the same as itself"));
    }
    app.quick(move |app| Ok(app.database.set_distinct(images.map(ImageId), distinct)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves files to the trash of the system, while another is kept
///
/// Each file is read first, and the one that is kept too: what does not hold its image any more
/// stays where it is, and so does all else if that is the one to keep.
#[utoipa::path(
    post, path = "/v1/duplicates/discard", tag = "duplicates", request_body = DiscardRequest,
    responses((status = 200, body = Discarded), Naming),
)]
pub(in crate::server) async fn discard(
    State(app): State<Arc<App>>,
    Json(DiscardRequest { keep, discard }): Json<DiscardRequest>,
) -> Result<axum::Json<Discarded>, Problem> {
    if discard.is_empty() || discard.len() > DISCARD_MAX {
        let detail = format!("expected 1 to {DISCARD_MAX} files, found {}", discard.len());
        return Err(Problem::unprocessable(detail));
    }
    let discarded = app.long(move |app| {
        let kept = named(app, &keep)?;
        let files = discard.iter().map(|name| named(app, name)).collect::<Result<Vec<_>, _>>()?;
        let mut discarded = Discarded::default();
        for (id, location) in &files {
            match app.database.discard((*id, location), (kept.0, &kept.1)) {
                Ok(()) => discarded.moved += 1,
                Err(error) => {
                    let reason = reason(error)?;
                    discarded.stayed.push(Stayed { path: location.to_string(), reason });
                }
            }
        }
        Ok(discarded)
    });
    Ok(axum::Json(discarded.await?))
}

/// The file of an image that a client means: only those that the database knows.
fn named(app: &App, name: &FileName) -> Result<(ImageId, Location), Problem> {
    let id = ImageId(name.id);
    let row = app.database.image(id)?.ok_or(Error::UnknownImage { id })?;
    let location = row.locations.into_iter().find(|location| location.to_string() == name.path);
    let location =
        location.ok_or_else(|| Problem::not_found(format!("image {id} has no such file")))?;
    Ok((id, location))
}

/// Why a file stayed, without a path of this machine.
fn reason(error: Error) -> Result<&'static str, Problem> {
    match error {
        Error::Changed { .. } => Ok("it, or the file to keep, has changed since it was indexed"),
        Error::File { .. } => Ok("it, or the file to keep, cannot be read now"),
        Error::SameFile { .. } => Ok("it is another name of the file to keep"),
        Error::Trash { .. } => Ok("the system does not move it to the trash"),
        error => Err(error.into()),
    }
}
