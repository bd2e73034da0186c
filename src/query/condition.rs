//! Conditions joined by *and*, *or* and *not*: which images a program asks about.

use super::filter::ResolvedFilter;
use super::{Filter, QueryError, Row, Rows};

/// A condition that an image meets or does not meet.
///
/// # Examples
/// ```
/// use lookalike::Filter;
/// use lookalike::query::Condition;
///
/// let dogs = Filter { class: Some("beagle".into()), ..Filter::default() };
/// let named = Filter { label: Some("holiday".into()), ..Filter::default() };
/// let other = Condition::Not(Box::new(Condition::Meets(named)));
/// let condition = Condition::All(vec![Condition::Meets(dogs), other]);
/// assert!(!condition.is_always());
/// assert!(Condition::default().is_always());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It meets all parts of a filter.
    Meets(Filter),
    /// It meets all of these: each image does where there is none.
    All(Vec<Condition>),
    /// It meets one of these at least: no image does where there is none.
    Any(Vec<Condition>),
    /// It does not meet this.
    Not(Box<Condition>),
}

impl Default for Condition {
    /// What every image meets.
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

impl Condition {
    /// Whether every image meets it, as far as its form tells.
    #[must_use]
    pub fn is_always(&self) -> bool {
        match self {
            Self::Meets(filter) => *filter == Filter::default(),
            Self::All(parts) => parts.iter().all(Self::is_always),
            Self::Any(_) | Self::Not(_) => false,
        }
    }

    fn resolve(&self, rows: &Rows, class_names: &[String]) -> Result<Resolved<'_>, QueryError> {
        Ok(match self {
            Self::Meets(filter) => Resolved::Meets(filter.resolve_in(rows, class_names)?),
            Self::All(parts) => Resolved::All(resolve_all(parts, rows, class_names)?),
            Self::Any(parts) => Resolved::Any(resolve_all(parts, rows, class_names)?),
            Self::Not(part) => Resolved::Not(Box::new(part.resolve(rows, class_names)?)),
        })
    }
}

fn resolve_all<'a>(
    parts: &'a [Condition],
    rows: &Rows,
    class_names: &[String],
) -> Result<Vec<Resolved<'a>>, QueryError> {
    parts.iter().map(|part| part.resolve(rows, class_names)).collect()
}

/// A condition whose names are known to exist.
enum Resolved<'a> {
    Meets(ResolvedFilter<'a>),
    All(Vec<Resolved<'a>>),
    Any(Vec<Resolved<'a>>),
    Not(Box<Resolved<'a>>),
}

impl Resolved<'_> {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::Meets(filter) => filter.meets_conditions(row),
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Not(part) => !part.holds(row),
        }
    }
}

/// The images that meet a condition and still have a file, ordered by number; of a shot in several
/// files, the developed image. Costs a look at each image.
///
/// # Errors
/// [`QueryError::UnknownClass`], [`QueryError::UnknownLabel`].
pub fn matching<'r>(
    rows: &'r Rows,
    condition: &Condition,
    class_names: &[String],
) -> Result<Vec<&'r Row>, QueryError> {
    let resolved = condition.resolve(rows, class_names)?;
    let holds = |row: &Row| !row.locations.is_empty() && resolved.holds(row);
    let passes = |row: &&Row| holds(row) && !rows.developed(row).is_some_and(holds);
    Ok(rows.as_slice().iter().filter(passes).collect())
}
