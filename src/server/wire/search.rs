//! Searches in the manner of Qdrant: a query, a filter, a limit.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::filter::Filter;
use super::image::ScoredImage;

/// What to search for, and among what.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": 17, "filter": {"must": [{"key": "class", "match": {"value": "cat"}}]}, "limit": 5}))]
pub(in crate::server) struct SearchRequest {
    pub(in crate::server) query: Query,
    pub(in crate::server) filter: Option<Filter>,
    /// Hits, at most.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    pub(in crate::server) limit: Option<u16>,
    /// Goes on where another answer ended: its `next`.
    pub(in crate::server) cursor: Option<String>,
    /// Lowest score of a hit, -1 to 1.
    #[schema(minimum = -1, maximum = 1)]
    pub(in crate::server) score_threshold: Option<f32>,
    pub(in crate::server) params: Option<Params>,
    /// What the query is compared with; an object or a region with objects, else with images.
    pub(in crate::server) over: Option<Over>,
}

// The fields are those of `SearchRequest` once more: serde does not refuse unknown fields of a type
// that is flattened into another.
/// What goes with an image in a form.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct UploadRequest {
    /// A part of the image.
    pub(in crate::server) region: Option<Region>,
    pub(in crate::server) filter: Option<Filter>,
    /// Hits, at most.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    pub(in crate::server) limit: Option<u16>,
    /// Goes on where another answer ended: its `next`.
    pub(in crate::server) cursor: Option<String>,
    /// Lowest score of a hit, -1 to 1.
    #[schema(minimum = -1, maximum = 1)]
    pub(in crate::server) score_threshold: Option<f32>,
    pub(in crate::server) params: Option<Params>,
    /// What the query is compared with; an object or a region with objects, else with images.
    pub(in crate::server) over: Option<Over>,
}

/// What there is to a search besides the query.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct SearchOptions {
    pub(in crate::server) filter: Option<Filter>,
    pub(in crate::server) limit: Option<u16>,
    pub(in crate::server) cursor: Option<String>,
    pub(in crate::server) score_threshold: Option<f32>,
    pub(in crate::server) params: Option<Params>,
    pub(in crate::server) over: Option<Over>,
}

impl SearchRequest {
    /// Parts it into the query and the rest.
    pub(in crate::server) fn parted(self) -> (Query, SearchOptions) {
        let Self { query, filter, limit, cursor, score_threshold, params, over } = self;
        (query, SearchOptions { filter, limit, cursor, score_threshold, params, over })
    }
}

impl UploadRequest {
    /// Parts it into the region and the rest.
    pub(in crate::server) fn parted(self) -> (Option<Region>, SearchOptions) {
        let Self { region, filter, limit, cursor, score_threshold, params, over } = self;
        (region, SearchOptions { filter, limit, cursor, score_threshold, params, over })
    }
}

/// What is searched for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a query: the number of an image, a vector, {\"image\": N, \"object\": N}, \
                 {\"image\": N, \"region\": {\"left\": .., \"top\": .., \"width\": .., \"height\": ..}} \
                 or {\"recommend\": {\"positive\": [..], \"negative\": [..]}}"
)]
pub(in crate::server) enum Query {
    /// Images like this one.
    Image(u64),
    /// Images like what has this vector, of any length but 0.
    Vector(Vec<f32>),
    Part(PartQuery),
    Recommend(RecommendQuery),
}

/// An image, or something on it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct PartQuery {
    /// The number of the image.
    #[schema(minimum = 1)]
    pub(in crate::server) image: u64,
    /// The number of an object on it, from 1.
    #[schema(minimum = 1)]
    pub(in crate::server) object: Option<u16>,
    /// A part of it.
    pub(in crate::server) region: Option<Region>,
}

/// A rectangle on the upright image, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Region {
    #[schema(example = 120)]
    pub(in crate::server) left: f32,
    #[schema(example = 40)]
    pub(in crate::server) top: f32,
    #[schema(example = 200)]
    pub(in crate::server) width: f32,
    #[schema(example = 300)]
    pub(in crate::server) height: f32,
}

impl Region {
    /// Reads `left,top,width,height`.
    pub(in crate::server) fn parse(text: &str) -> Option<Self> {
        let parts: Option<Vec<f32>> =
            text.split(',').map(|part| part.trim().parse().ok()).collect();
        let [left, top, width, height] = parts?[..] else { return None };
        Some(Self { left, top, width, height })
    }
}

/// More like these, less like those.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct RecommendQuery {
    pub(in crate::server) recommend: Recommend,
}

/// Examples, each an image or a vector.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Recommend {
    /// What hits should resemble.
    #[schema(min_items = 1, max_items = 100)]
    pub(in crate::server) positive: Vec<Example>,
    /// What they should not resemble.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(in crate::server) negative: Vec<Example>,
}

/// The number of an image, or a vector.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected the number of an image or a vector")]
pub(in crate::server) enum Example {
    Image(u64),
    Vector(Vec<f32>),
}

/// How to search.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Params {
    /// Compare with all instead of walking through the graph.
    #[serde(default)]
    pub(in crate::server) exact: bool,
    /// Candidates that a walk through the graph keeps: more find more and take longer.
    #[schema(minimum = 1, maximum = 10000)]
    pub(in crate::server) ef: Option<u16>,
}

/// What a query is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Over {
    Images,
    Objects,
}

/// What goes with an image that is the body itself.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct UploadParams {
    /// Hits, at most.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::server) limit: Option<u16>,
    /// Lowest score of a hit, -1 to 1.
    #[param(minimum = -1, maximum = 1)]
    pub(in crate::server) score_threshold: Option<f32>,
    /// A part of the image: left, top, width, height in pixels.
    #[param(
        example = "120,40,200,300",
        pattern = r"^[0-9]{1,6},[0-9]{1,6},[1-9][0-9]{0,5},[1-9][0-9]{0,5}$"
    )]
    pub(in crate::server) region: Option<String>,
}

/// The fields of a form.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it describes what is read field by field")]
pub(in crate::server) struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// What there is to the search besides, as JSON.
    request: Option<UploadRequest>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct SearchAnswer {
    /// The best first.
    pub(in crate::server) hits: Vec<ScoredImage>,
    /// Where the next answer begins; absent when there are no more hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) next: Option<String>,
}
