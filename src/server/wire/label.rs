//! Labels: given, learned, reviewed.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::image::{ImageSummary, Prediction};
use crate::learn::ClassifierKind;
use crate::query::TrainReport;

/// A label for some images.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"label": "holiday", "images": [17, 18]}))]
pub(in crate::server) struct LabelRequest {
    /// The label; `null` takes labels away.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*$"
    )]
    pub(in crate::server) label: Option<String>,
    /// The numbers of the images.
    #[schema(min_items = 1, max_items = 10000)]
    pub(in crate::server) images: Vec<u64>,
}

/// What images had before.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Labelled {
    /// The labels that the images had before, in order: to take the change back.
    pub(in crate::server) before: Vec<Option<String>>,
}

/// The labels of the user.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Labels {
    pub(in crate::server) labels: Vec<super::facets::Facet>,
}

/// How to train.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct TrainRequest {
    /// What to train; the best of them in cross-validation when absent.
    pub(in crate::server) model: Option<Kind>,
    /// The same labels and seed give the same classifier.
    #[serde(default)]
    #[schema(maximum = 65535)]
    pub(in crate::server) seed: u16,
}

/// A kind of classifier.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Kind {
    Logistic,
    Forest,
    Neighbors,
}

impl Kind {
    pub(in crate::server) fn chosen(self) -> ClassifierKind {
        match self {
            Self::Logistic => ClassifierKind::Logistic,
            Self::Forest => ClassifierKind::Forest,
            Self::Neighbors => ClassifierKind::Neighbors,
        }
    }
}

/// What was trained, and how good it is.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Trained {
    model: Kind,
    /// Images it was trained on.
    examples: usize,
    /// Share of held-out examples that it names right, 0 to 1; absent when there were too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f32>,
    /// The share that the most frequent label alone would get.
    #[serde(skip_serializing_if = "Option::is_none")]
    majority_accuracy: Option<f32>,
}

impl Trained {
    pub(in crate::server) fn of(report: &TrainReport) -> Self {
        let model = match report.classifier {
            ClassifierKind::Logistic => Kind::Logistic,
            ClassifierKind::Forest => Kind::Forest,
            ClassifierKind::Neighbors => Kind::Neighbors,
        };
        Self {
            model,
            examples: report.examples,
            accuracy: report.accuracy,
            majority_accuracy: report.majority_accuracy,
        }
    }
}

/// How many images to propose.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct ReviewParams {
    /// Images, at most; 20 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::server) count: Option<u16>,
}

/// Images whose labels would teach the classifier most.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Review {
    pub(in crate::server) images: Vec<Doubtful>,
}

/// An image with what the classifier says of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Doubtful {
    pub(in crate::server) image: ImageSummary,
    pub(in crate::server) prediction: Prediction,
}

/// How sure labels must be.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct PredictRequest {
    /// Greatest share of wrong labels that is expected, 0 to 1; all images are labelled when absent.
    #[schema(minimum = 0, maximum = 1)]
    pub(in crate::server) error: Option<f32>,
}

/// What was labelled.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Predicted {
    /// Images that the classifier labelled.
    pub(in crate::server) labelled: usize,
    /// Images that it was not sure enough of.
    pub(in crate::server) left: usize,
}
