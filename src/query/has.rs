//! Which objects an image must have: `dog`, `person>=2`, `dog&bicycle`.

use std::fmt;

use crate::record::{ClassId, Detection};

/// A condition on the objects of an image: terms that must all hold.
///
/// # Examples
/// ```
/// use lookalike::query::Has;
///
/// let names = ["person".to_owned(), "dog".to_owned()];
/// assert!(Has::parse("person >= 2 & dog", &names).is_ok());
/// assert!(Has::parse("dragon", &names).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Has {
    terms: Vec<Term>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Term {
    class: ClassId,
    comparison: Comparison,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    More,
    Fewer,
    Exactly,
}

/// The longer first, since one begins as the other.
const COMPARISONS: [(&str, Comparison); 5] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::More),
    ("<", Comparison::Fewer),
    ("=", Comparison::Exactly),
];

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HasError {
    /// A class that the detector does not know.
    #[error("the detector knows no {name:?}{}", similar_names(.similar))]
    UnknownClass {
        /// The name that was asked for.
        name: String,
        /// Classes with a similar name.
        similar: Vec<String>,
    },
    /// What follows a comparison is no number.
    #[error("expected a whole number after {comparison:?} in {term:?}")]
    NoNumber {
        /// The term.
        term: String,
        /// The comparison.
        comparison: &'static str,
    },
}

impl Has {
    /// Reads a condition: names of classes, each with a comparison (`>=`, `<=`, `>`, `<`, `=`) and a
    /// number or without, joined by `&`.
    ///
    /// # Errors
    /// [`HasError`].
    pub fn parse(text: &str, class_names: &[String]) -> Result<Self, HasError> {
        let terms = text.split('&').map(|term| Term::parse(term.trim(), class_names));
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }

    /// Whether the objects of an image meet the condition.
    #[must_use]
    pub fn holds(&self, objects: &[Detection]) -> bool {
        self.terms.iter().all(|term| {
            let found = objects.iter().filter(|object| object.class == term.class).count();
            match term.comparison {
                Comparison::AtLeast => found >= term.count,
                Comparison::AtMost => found <= term.count,
                Comparison::More => found > term.count,
                Comparison::Fewer => found < term.count,
                Comparison::Exactly => found == term.count,
            }
        })
    }
}

impl Term {
    fn parse(text: &str, class_names: &[String]) -> Result<Self, HasError> {
        let found = COMPARISONS.iter().find_map(|(sign, comparison)| {
            let (name, number) = text.split_once(sign)?;
            Some((name, *sign, *comparison, number))
        });
        let (name, comparison, count) = match found {
            None => (text, Comparison::AtLeast, 1),
            Some((name, sign, comparison, number)) => {
                let count = number
                    .trim()
                    .parse()
                    .map_err(|_| HasError::NoNumber { term: text.to_owned(), comparison: sign })?;
                (name, comparison, count)
            }
        };
        let name = name.trim().to_lowercase();
        let class = class_names.iter().zip(0..).find(|(class, _)| **class == name);
        match class {
            Some((_, index)) => Ok(Self { class: ClassId(index), comparison, count }),
            None => Err(unknown(&name, class_names)),
        }
    }
}

fn unknown(name: &str, class_names: &[String]) -> HasError {
    let begins = name.chars().take(3).collect::<String>();
    let similar = class_names.iter().filter(|class| {
        let words = || class.split(' ');
        !name.is_empty() && words().any(|word| word.starts_with(&begins) || name.contains(word))
    });
    HasError::UnknownClass { name: name.to_owned(), similar: similar.cloned().collect() }
}

fn similar_names(similar: &[String]) -> impl fmt::Display {
    if similar.is_empty() {
        return "; `lookalike objects --all` lists what it knows".to_owned();
    }
    format!("; it knows {}", similar.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::BoundingBox;

    fn names() -> Vec<String> {
        ["person", "bicycle", "dog", "hot dog"].map(str::to_owned).to_vec()
    }

    fn objects(classes: &[u16]) -> Vec<Detection> {
        let bounds = BoundingBox::new(0.0, 0.0, 1.0, 1.0);
        let object = |&class| Detection { class: ClassId(class), score: 0.5, bounds };
        classes.iter().map(object).collect()
    }

    #[test]
    fn terms_count_objects_of_their_class_and_all_must_hold() {
        struct Case {
            text: &'static str,
            objects: &'static [u16],
            expected: bool,
        }
        let cases = [
            Case { text: "dog", objects: &[2], expected: true },
            Case { text: "Dog", objects: &[3], expected: false },
            Case { text: "hot dog", objects: &[3], expected: true },
            Case { text: "person>=2", objects: &[0, 2], expected: false },
            Case { text: "person >= 2", objects: &[0, 2, 0], expected: true },
            Case { text: "person=0", objects: &[], expected: true },
            Case { text: "person<2 & dog>1", objects: &[0, 2, 2], expected: true },
            Case { text: "dog&bicycle", objects: &[2], expected: false },
            Case { text: "dog&bicycle", objects: &[1, 2], expected: true },
            Case { text: "dog<=1", objects: &[2, 2], expected: false },
        ];
        for Case { text, objects: classes, expected } in cases {
            let has = Has::parse(text, &names()).unwrap();
            assert_eq!(has.holds(&objects(classes)), expected, "{text} of {classes:?}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_a_hint() {
        let error = Has::parse("dogs", &names()).unwrap_err();
        assert_eq!(error.to_string(), "the detector knows no \"dogs\"; it knows dog, hot dog");
        for text in ["", "dog&", "&", ">=2", "dog>=", "dog>=two", "dog>=-1", "dog==1"] {
            assert!(Has::parse(text, &names()).is_err(), "{text}");
        }
    }
}
