//! Labels: given by hand, learned from them, and the images that would teach most.

use std::sync::Arc;

use axum::extract::State;

use super::images::limit;
use crate::record::ImageId;
use crate::server::app::App;
use crate::server::extract::{Json, Query};
use crate::server::problem::Problem;
use crate::server::problems::{Asking, Learned, Naming, Plain};
use crate::server::wire::facets::Facet;
use crate::server::wire::image::{ImageSummary, Prediction};
use crate::server::wire::label::{
    Doubtful, LabelRequest, Labelled, Labels, PredictRequest, Predicted, Review, ReviewParams,
    TrainRequest, Trained,
};

/// Letters of a label, at most.
const LABEL_LETTERS_MAX: usize = 200;

/// Images that are labelled at once, at most.
const IMAGES_MAX: usize = 10_000;

/// Images that are proposed when nothing is said.
const REVIEW: u16 = 20;

/// Lists the labels that you gave
#[utoipa::path(
    get, path = "/v1/labels", tag = "labels",
    responses((status = 200, body = Labels), Plain),
)]
pub(in crate::server) async fn list(
    State(app): State<Arc<App>>,
) -> Result<axum::Json<Labels>, Problem> {
    let labels = app.quick(|app| Ok(app.database.labels()?)).await?;
    let facet = |count: crate::LabelCount| Facet { value: count.label, images: count.images };
    Ok(axum::Json(Labels { labels: labels.into_iter().map(facet).collect() }))
}

/// Gives images a label, or takes it away
#[utoipa::path(
    post, path = "/v1/labels", tag = "labels", request_body = LabelRequest,
    responses((status = 200, body = Labelled), Naming),
)]
pub(in crate::server) async fn give(
    State(app): State<Arc<App>>,
    Json(request): Json<LabelRequest>,
) -> Result<axum::Json<Labelled>, Problem> {
    let LabelRequest { label, images } = request;
    if let Some(label) = &label {
        let is_text = !label.trim().is_empty() && !label.chars().any(char::is_control);
        if !is_text || label.chars().count() > LABEL_LETTERS_MAX {
            let detail = format!("a label has 1 to {LABEL_LETTERS_MAX} letters on one line");
            return Err(Problem::unprocessable(detail));
        }
    }
    if images.is_empty() || images.len() > IMAGES_MAX {
        let detail = format!("expected 1 to {IMAGES_MAX} images, found {}", images.len());
        return Err(Problem::unprocessable(detail));
    }
    let labelled = app.quick(move |app| {
        let ids: Vec<ImageId> = images.into_iter().map(ImageId).collect();
        let mut before = Vec::with_capacity(ids.len());
        for id in &ids {
            before.push(app.database.user_label(*id)?);
        }
        app.database.label(label.as_deref(), &ids)?;
        Ok(Labelled { before })
    });
    Ok(axum::Json(labelled.await?))
}

/// Trains a classifier on the labels that you gave
#[utoipa::path(
    post, path = "/v1/labels/train", tag = "labels", request_body = TrainRequest,
    responses((status = 200, body = Trained), Asking),
)]
pub(in crate::server) async fn train(
    State(app): State<Arc<App>>,
    Json(request): Json<TrainRequest>,
) -> Result<axum::Json<Trained>, Problem> {
    let report = app.long(move |app| {
        let kind = request.model.map(|kind| kind.chosen());
        Ok(app.database.train_labels(kind, request.seed.into())?)
    });
    Ok(axum::Json(Trained::of(&report.await?)))
}

/// Proposes images whose labels would teach the classifier most
#[utoipa::path(
    get, path = "/v1/labels/review", tag = "labels", params(ReviewParams),
    responses((status = 200, body = Review), Learned),
)]
pub(in crate::server) async fn review(
    State(app): State<Arc<App>>,
    Query(params): Query<ReviewParams>,
) -> Result<axum::Json<Review>, Problem> {
    let count = limit(params.count, REVIEW, 1000)?;
    let review = app.long(move |app| {
        let mut images = Vec::new();
        for guess in app.database.review_labels(count)? {
            if let Some(row) = app.database.image(guess.id)? {
                let image = ImageSummary::of(&row);
                images.push(Doubtful { image, prediction: Prediction::of(&guess.prediction) });
            }
        }
        Ok(Review { images })
    });
    Ok(axum::Json(review.await?))
}

/// Lets the classifier label all images that you have not labelled
#[utoipa::path(
    post, path = "/v1/labels/predict", tag = "labels", request_body = PredictRequest,
    responses((status = 200, body = Predicted), Asking),
)]
pub(in crate::server) async fn predict(
    State(app): State<Arc<App>>,
    Json(request): Json<PredictRequest>,
) -> Result<axum::Json<Predicted>, Problem> {
    if request.error.is_some_and(|error| !(0.0..=1.0).contains(&error)) {
        return Err(Problem::unprocessable("a share of wrong labels lies between 0 and 1"));
    }
    let predicted = app.long(move |app| {
        let guesses = app.database.predict_labels(request.error)?;
        let labelled = guesses.iter().filter(|guess| guess.is_kept).count();
        Ok(Predicted { labelled, left: guesses.len() - labelled })
    });
    Ok(axum::Json(predicted.await?))
}
