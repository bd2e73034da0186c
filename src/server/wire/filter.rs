//! Filters in the manner of Qdrant: `must`, `should`, `must_not`, of conditions on fields.

use std::sync::Arc;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::database::Database;
use crate::query::{self, Capture, Has, Moment, Near};
use crate::record::{ImageId, Location, Position};
use crate::server::problem::Problem;

/// Conditions on one image, at most: each costs a look at all images.
const CONDITIONS_MAX: usize = 64;

/// Which images are asked about: all of `must`, one of `should` where there are any, none of
/// `must_not`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(no_recursion)]
pub(in crate::server) struct Filter {
    #[serde(default)]
    #[schema(max_items = 64)]
    must: Vec<Condition>,
    #[serde(default)]
    #[schema(max_items = 64)]
    should: Vec<Condition>,
    #[serde(default)]
    #[schema(max_items = 64)]
    must_not: Vec<Condition>,
}

/// A condition on one field, on the number, or a filter in the filter.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "expected a condition: {\"key\": KEY, \"match\": {\"value\": TEXT}}, \
                 {\"key\": \"captured_at\", \"range\": {\"gte\": DATE, \"lt\": DATE}}, \
                 {\"key\": \"position\", \"geo_radius\": {\"center\": {\"lat\": .., \"lon\": ..}, \
                 \"radius\": METRES}}, {\"has_id\": [..]}, or a filter; KEY is class, label, object \
                 or folder"
)]
pub(in crate::server) enum Condition {
    Match(MatchCondition),
    Captured(CapturedCondition),
    Near(NearCondition),
    HasId(HasIdCondition),
    /// A filter in the filter.
    #[schema(no_recursion)]
    Nested(Box<Filter>),
}

/// The field has this value, or one of these.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct MatchCondition {
    key: MatchKey,
    r#match: Match,
}

/// A field that has values.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum MatchKey {
    /// What the network sees: words of the name of a class, such as `cat`.
    Class,
    /// The label of the user, else of the classifier.
    Label,
    /// Objects on the image: `dog`, `person>=2`, `dog&bicycle`.
    Object,
    /// A folder that a file of the image lies in or below.
    Folder,
}

/// A value, or several of which one is enough.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected {\"value\": TEXT} or {\"any\": [TEXT, ...]}")]
pub(in crate::server) enum Match {
    Value(MatchValue),
    Any(MatchAny),
}

/// One value.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct MatchValue {
    #[schema(example = "cat", max_length = 1000)]
    value: String,
}

/// Several values of which one is enough.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct MatchAny {
    #[schema(max_items = 64)]
    any: Vec<String>,
}

/// It was captured in a time; an image that does not know does not pass.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct CapturedCondition {
    #[schema(inline)]
    #[allow(dead_code, reason = "its one value tells this condition from the others")]
    key: CapturedKey,
    range: Range,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum CapturedKey {
    CapturedAt,
}

/// From a date on, and before another: `2024`, `2024-06`, `2024-06-01` or `2024-06-01T14:30`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Range {
    /// On this date or later.
    #[schema(
        example = "2024-06",
        pattern = r"^[1-9][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?)?)?$"
    )]
    gte: Option<String>,
    /// Before this date.
    #[schema(
        example = "2025",
        pattern = r"^[1-9][0-9]{3}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)?)?)?$"
    )]
    lt: Option<String>,
}

/// It was captured in a circle on Earth; an image that does not know does not pass.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct NearCondition {
    #[schema(inline)]
    #[allow(dead_code, reason = "its one value tells this condition from the others")]
    key: PositionKey,
    geo_radius: GeoRadius,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum PositionKey {
    Position,
}

/// A circle.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct GeoRadius {
    center: Center,
    /// In metres.
    #[schema(minimum = 0, example = 5000)]
    radius: f64,
}

/// A place in degrees.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Center {
    #[schema(minimum = -90, maximum = 90, example = 48.86)]
    lat: f64,
    #[schema(minimum = -180, maximum = 180, example = 2.35)]
    lon: f64,
}

/// It has one of these numbers.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct HasIdCondition {
    #[schema(max_items = 10000)]
    has_id: Vec<u64>,
}

impl Filter {
    /// Turns it into a condition of the library.
    ///
    /// # Errors
    /// A value that cannot be: an object that the detector does not know, a date that is none.
    pub(in crate::server) fn resolve(
        &self,
        database: &Database,
    ) -> Result<query::Condition, Problem> {
        if self.count() > CONDITIONS_MAX {
            let detail = format!("a filter may have {CONDITIONS_MAX} conditions at most");
            return Err(Problem::unprocessable(detail));
        }
        self.condition(database)
    }

    fn count(&self) -> usize {
        let parts = self.must.iter().chain(&self.should).chain(&self.must_not);
        let counts = parts.map(|part| match part {
            Condition::Nested(filter) => 1 + filter.count(),
            _ => 1,
        });
        counts.sum()
    }

    fn condition(&self, database: &Database) -> Result<query::Condition, Problem> {
        let all = |parts: &[Condition]| -> Result<Vec<query::Condition>, Problem> {
            parts.iter().map(|part| part.resolve(database)).collect()
        };
        let mut parts = all(&self.must)?;
        if !self.should.is_empty() {
            parts.push(query::Condition::Any(all(&self.should)?));
        }
        let not = |part| query::Condition::Not(Box::new(part));
        parts.extend(all(&self.must_not)?.into_iter().map(not));
        Ok(query::Condition::All(parts))
    }
}

impl Condition {
    fn resolve(&self, database: &Database) -> Result<query::Condition, Problem> {
        let filter = match self {
            Self::Nested(filter) => return filter.condition(database),
            Self::Match(MatchCondition { key, r#match: Match::Value(one) }) => {
                value(database, *key, &one.value)?
            }
            Self::Match(MatchCondition { key, r#match: Match::Any(several) }) => {
                let meets =
                    |text: &String| Ok(query::Condition::Meets(value(database, *key, text)?));
                let any = several.any.iter().map(meets).collect::<Result<_, Problem>>()?;
                return Ok(query::Condition::Any(any));
            }
            Self::Captured(CapturedCondition { range, .. }) => query::Filter {
                capture: Capture {
                    after: moment(range.gte.as_deref())?,
                    before: moment(range.lt.as_deref())?,
                    near: None,
                },
                ..query::Filter::default()
            },
            Self::Near(NearCondition { geo_radius, .. }) => near(geo_radius)?,
            Self::HasId(HasIdCondition { has_id }) => {
                let ids = has_id.iter().map(|id| ImageId(*id)).collect();
                query::Filter { images: Some(Arc::new(ids)), ..query::Filter::default() }
            }
        };
        Ok(query::Condition::Meets(filter))
    }
}

fn value(database: &Database, key: MatchKey, text: &str) -> Result<query::Filter, Problem> {
    let none = query::Filter::default();
    Ok(match key {
        MatchKey::Class => query::Filter { class: Some(text.to_owned()), ..none },
        MatchKey::Label => query::Filter { label: Some(text.to_owned()), ..none },
        MatchKey::Folder => {
            let folder = Location::from_bytes(text.trim_end_matches('/').into());
            query::Filter { under: Some(folder), ..none }
        }
        MatchKey::Object => {
            let has = Has::parse(text, &database.object_class_names());
            let has = has.map_err(|error| Problem::unprocessable(error.to_string()))?;
            query::Filter { images: Some(Arc::new(database.images_with(&has)?)), ..none }
        }
    })
}

fn moment(text: Option<&str>) -> Result<Option<Moment>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let moment = Moment::parse(text).ok_or_else(|| {
        let detail = format!("expected a date such as 2024-06 or 2024-06-01T14:30, found {text:?}");
        Problem::unprocessable(detail)
    })?;
    Ok(Some(moment))
}

fn near(circle: &GeoRadius) -> Result<query::Filter, Problem> {
    let centre = Position::new(circle.center.lat, circle.center.lon);
    let centre = centre.filter(|_| circle.radius >= 0.0).ok_or_else(|| {
        Problem::unprocessable(
            "expected degrees (-90 to 90, -180 to 180) and a radius of 0 or more",
        )
    })?;
    let near = Some(Near { centre, radius_km: circle.radius / 1000.0 });
    let capture = Capture { near, ..Capture::default() };
    Ok(query::Filter { capture, ..query::Filter::default() })
}
