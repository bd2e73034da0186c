//! Which images a query is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Capture, QueryError, Row, Rows};
use crate::record::{ClassId, ImageId, Location};

/// A class counts for an image from this probability on: below it, the
/// network's list of five is mostly noise.
const CLASS_PROBABILITY_MIN: f32 = 0.05;

/// Names that an error suggests, at most.
const SUGGESTIONS_MAX: usize = 8;

/// Conditions that an image must meet, all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// It has a file in this folder or below.
    pub under: Option<Location>,
    /// One of its classes (with at least 5 %) has this word or these words in its name.
    pub class: Option<String>,
    /// It has this label, the user's or else the forest's.
    pub label: Option<String>,
    /// It was captured then and there.
    pub capture: Capture,
    /// It is one of these: those on which certain objects were found.
    pub images: Option<Arc<BTreeSet<ImageId>>>,
}

impl Filter {
    /// Resolves the name of the class against what the network knows.
    ///
    /// # Errors
    /// [`QueryError::UnknownClass`]: a name that nothing can match is a mistake, not an empty
    /// result.
    pub(super) fn resolve(&self, class_names: &[String]) -> Result<ResolvedFilter<'_>, QueryError> {
        let classes = match &self.class {
            Some(name) => Some(matching_classes(name, class_names)?),
            None => None,
        };
        Ok(ResolvedFilter { filter: self, classes })
    }

    /// Resolves all names, with the label that some image must have.
    ///
    /// # Errors
    /// [`QueryError::UnknownClass`], [`QueryError::UnknownLabel`].
    pub(super) fn resolve_in(
        &self,
        rows: &Rows,
        class_names: &[String],
    ) -> Result<ResolvedFilter<'_>, QueryError> {
        if let Some(name) = &self.label {
            check_label(name, rows)?;
        }
        self.resolve(class_names)
    }
}

/// The images that pass a filter and still have a file, ordered by number; of a shot
/// in several files, the developed image.
///
/// # Errors
/// [`QueryError::UnknownClass`], [`QueryError::UnknownLabel`].
pub fn list(rows: &Rows, filter: &Filter, class_names: &[String]) -> Result<Vec<Row>, QueryError> {
    let filter = filter.resolve_in(rows, class_names)?;
    Ok(filter.rows(rows).cloned().collect())
}

/// A filter whose names are known to exist.
pub(super) struct ResolvedFilter<'a> {
    filter: &'a Filter,
    classes: Option<Vec<ClassId>>,
}

impl ResolvedFilter<'_> {
    /// Whether an image that still has a file meets the conditions, and is the face of its shot.
    ///
    /// A raw file whose `developed` image passes too is shown with that, not beside it.
    pub(super) fn passes(&self, row: &Row, developed: Option<&Row>) -> bool {
        self.meets_conditions(row) && !developed.is_some_and(|row| self.meets_conditions(row))
    }

    /// The images that pass.
    pub(super) fn rows<'r>(&'r self, rows: &'r Rows) -> impl Iterator<Item = &'r Row> {
        rows.as_slice().iter().filter(|row| self.passes(row, rows.developed(row)))
    }

    /// Whether an image that still has a file meets the conditions.
    pub(super) fn meets_conditions(&self, row: &Row) -> bool {
        self.locations(row).next().is_some()
            && self.has_class(row)
            && self.has_label(row)
            && self.filter.capture.passes(&row.record)
            && self.filter.images.as_ref().is_none_or(|images| images.contains(&row.id))
    }

    /// The image's files that meet the condition on the folder.
    pub(super) fn locations<'r>(&self, row: &'r Row) -> impl Iterator<Item = &'r Location> {
        let under = self.filter.under.as_ref();
        row.locations
            .iter()
            .filter(move |location| under.is_none_or(|folder| location.is_under(folder)))
    }

    fn has_class(&self, row: &Row) -> bool {
        let Some(wanted) = &self.classes else { return true };
        let mut classes = row.record.classes.iter();
        classes.any(|score| {
            score.probability >= CLASS_PROBABILITY_MIN && wanted.contains(&score.class)
        })
    }

    fn has_label(&self, row: &Row) -> bool {
        match &self.filter.label {
            Some(label) => row.effective_label() == Some(label),
            None => true,
        }
    }
}

/// Classes whose name holds `name` as whole words, in any case.
fn matching_classes(name: &str, class_names: &[String]) -> Result<Vec<ClassId>, QueryError> {
    let wanted = words(name);
    let is_match = |class: &String| {
        let found = words(class);
        !wanted.is_empty() && found.windows(wanted.len()).any(|window| window == wanted)
    };
    let classes: Vec<ClassId> = class_names
        .iter()
        .zip(0..)
        .filter(|(class, _)| is_match(class))
        .map(|(_, index)| ClassId(index))
        .collect();
    if !classes.is_empty() {
        return Ok(classes);
    }
    let lower = name.to_lowercase();
    let similar = class_names.iter().filter(|class| class.to_lowercase().contains(&lower));
    Err(QueryError::UnknownClass {
        name: name.to_owned(),
        similar: similar.take(SUGGESTIONS_MAX).cloned().collect(),
    })
}

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn check_label(name: &str, rows: &Rows) -> Result<(), QueryError> {
    let mut labels: Vec<&str> = rows.as_slice().iter().filter_map(Row::effective_label).collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.contains(&name) {
        return Ok(());
    }
    let similar = labels.into_iter().take(SUGGESTIONS_MAX).map(str::to_owned).collect();
    Err(QueryError::UnknownLabel { name: name.to_owned(), similar })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["tiger cat", "Egyptian cat", "catamaran", "soft-coated wheaten terrier"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn a_class_is_found_by_its_words_in_any_case() {
        let ids = |name| -> Vec<u16> {
            matching_classes(name, &names()).unwrap().iter().map(|class| class.0).collect()
        };
        assert_eq!(ids("cat"), [0, 1]);
        assert_eq!(ids("Tiger Cat"), [0]);
        assert_eq!(ids("coated wheaten"), [3]);
    }

    #[test]
    fn an_unknown_class_is_an_error_with_similar_names() {
        let error = matching_classes("catama", &names()).unwrap_err();
        let QueryError::UnknownClass { similar, .. } = error else { panic!("{error}") };
        assert_eq!(similar, ["catamaran"]);
        assert!(matching_classes("", &names()).is_err());
    }
}
