//! The classifiers that can learn labels, behind one type: what they say of a row is a share for
//! each class.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::error::{LearnError, Result};
use super::forest::{CLASSES_MAX, Forest, ForestParams, check_labels};
use super::logistic::Logistic;
use super::matrix::check_rows;
use super::voters::Voters;

/// A way to learn classes from examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierKind {
    /// Logistic regression of all classes at once.
    Logistic,
    /// A random forest of 200 trees.
    Forest,
    /// The five most similar examples vote.
    Neighbors,
}

impl ClassifierKind {
    /// All of them, the one to prefer among equals first.
    pub const ALL: [Self; 3] = [Self::Logistic, Self::Forest, Self::Neighbors];

    /// Returns its name: `logistic`, `forest` or `neighbors`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Forest => "forest",
            Self::Neighbors => "neighbors",
        }
    }
}

/// A trained classifier. It can be stored; what comes back has been checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Classifier(Stored);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stored {
    Logistic(Logistic),
    Forest(Forest),
    Neighbors(Voters),
}

impl Classifier {
    /// Trains on normalised rows of known class; `labels` are below `classes`. The same input and
    /// seed give the same classifier.
    ///
    /// # Errors
    ///
    /// Those of [`Forest::train`]; [`LearnError::Backend`] where the regression does not settle.
    pub fn train(
        kind: ClassifierKind,
        rows: ArrayView2<'_, f32>,
        labels: &[usize],
        classes: usize,
        seed: u64,
    ) -> Result<Self> {
        check_rows(rows)?;
        check_labels(rows.nrows(), labels, classes)?;
        Ok(Self(match kind {
            ClassifierKind::Logistic => Stored::Logistic(Logistic::train(rows, labels, classes)?),
            ClassifierKind::Neighbors => Stored::Neighbors(Voters::train(rows, labels, classes)),
            ClassifierKind::Forest => {
                let params = ForestParams { seed, ..ForestParams::for_dimension(rows.ncols()) };
                Stored::Forest(Forest::train(rows, labels, classes, &params)?)
            }
        }))
    }

    /// Returns for each row (n x classes) the share that each class has: 0 to 1, adding up to 1.
    /// How far they can be taken for probabilities, [`super::Calibration`] says.
    ///
    /// # Errors
    ///
    /// [`LearnError::DimensionMismatch`], [`LearnError::EmptyInput`],
    /// [`LearnError::ValueOutOfRange`].
    pub fn shares(&self, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check_rows(rows)?;
        let expected = self.dimension();
        if rows.ncols() != expected {
            return Err(LearnError::DimensionMismatch { expected, found: rows.ncols() });
        }
        match &self.0 {
            Stored::Logistic(logistic) => logistic.shares(rows),
            Stored::Neighbors(voters) => voters.shares(rows),
            Stored::Forest(forest) => {
                let found = forest.predict(rows)?;
                let shares = found.into_iter().flat_map(|prediction| prediction.vote_shares);
                Array2::from_shape_vec((rows.nrows(), forest.classes()), shares.collect())
                    .map_err(LearnError::backend)
            }
        }
    }

    /// Returns [`Forest::out_of_bag_accuracy`]; `None` for the other kinds.
    pub fn out_of_bag_accuracy(&self) -> Option<f32> {
        match &self.0 {
            Stored::Forest(forest) => forest.out_of_bag_accuracy(),
            _ => None,
        }
    }

    /// Returns which kind it is.
    pub fn kind(&self) -> ClassifierKind {
        match &self.0 {
            Stored::Logistic(_) => ClassifierKind::Logistic,
            Stored::Forest(_) => ClassifierKind::Forest,
            Stored::Neighbors(_) => ClassifierKind::Neighbors,
        }
    }

    /// Returns the number of columns of the rows that it was trained on.
    pub fn dimension(&self) -> usize {
        match &self.0 {
            Stored::Logistic(logistic) => logistic.dimension(),
            Stored::Forest(forest) => forest.dimension(),
            Stored::Neighbors(voters) => voters.dimension(),
        }
    }

    /// Returns the number of classes.
    pub fn classes(&self) -> usize {
        match &self.0 {
            Stored::Logistic(logistic) => logistic.classes(),
            Stored::Forest(forest) => forest.classes(),
            Stored::Neighbors(voters) => voters.classes(),
        }
    }
}

impl TryFrom<Stored> for Classifier {
    type Error = LearnError;

    fn try_from(stored: Stored) -> Result<Self> {
        let classifier = Self(stored);
        let is_valid = match &classifier.0 {
            Stored::Logistic(logistic) => logistic.is_valid(),
            Stored::Neighbors(voters) => voters.is_valid(),
            Stored::Forest(_) => true,
        };
        let (dimension, classes) = (classifier.dimension(), classifier.classes());
        if is_valid && (2..=CLASSES_MAX).contains(&classes) {
            return Ok(classifier);
        }
        Err(LearnError::MalformedClassifier { dimension, classes })
    }
}

impl From<Classifier> for Stored {
    fn from(classifier: Classifier) -> Self {
        classifier.0
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::super::planted::{planted, random_rows};
    use super::*;

    #[test]
    fn every_kind_learns_planted_classes_and_survives_storage() {
        let (rows, owners) = planted(4, 60, 30, 0.6, 8);
        let (train, test) = (rows.slice(s![..160, ..]), rows.slice(s![160.., ..]));
        for kind in ClassifierKind::ALL {
            let classifier = Classifier::train(kind, train, &owners[..160], 5, 3).unwrap();
            let bytes = postcard::to_stdvec(&classifier).unwrap();
            let stored: Classifier = postcard::from_bytes(&bytes).unwrap();
            assert_eq!((stored.kind(), stored.classes(), stored.dimension()), (kind, 5, 30));
            let shares = stored.shares(test).unwrap();
            assert_eq!(shares, classifier.shares(test).unwrap());
            let mut right = 0;
            for (shares, owner) in shares.outer_iter().zip(&owners[160..]) {
                assert!((shares.sum() - 1.0).abs() < 1e-5, "{}", kind.name());
                assert_eq!(shares[4], 0.0, "a class without examples has no share");
                right += usize::from(shares.iter().all(|share| *share <= shares[*owner]));
            }
            assert!(right >= 76, "{}: {right} of 80", kind.name());
        }
    }

    #[test]
    fn few_examples_and_copies_are_enough_for_every_kind() {
        let rows = random_rows(2, 9, 1);
        for kind in ClassifierKind::ALL {
            let classifier = Classifier::train(kind, rows.view(), &[0, 1], 2, 0).unwrap();
            let shares = classifier.shares(rows.view()).unwrap();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{}", kind.name());
            let copies = Array2::from_elem((4, 3), 0.5);
            let classifier = Classifier::train(kind, copies.view(), &[0, 1, 1, 1], 2, 0).unwrap();
            let shares = classifier.shares(copies.view()).unwrap();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{}", kind.name());
        }
    }

    #[test]
    fn what_cannot_be_learnt_from_is_refused_by_every_kind() {
        let rows = random_rows(3, 4, 1);
        let broken = Array2::from_elem((3, 4), f32::NAN);
        for kind in ClassifierKind::ALL {
            let found = Classifier::train(kind, rows.view(), &[0, 0, 0], 2, 0);
            assert!(matches!(found, Err(LearnError::TooFewClasses { found: 1 })));
            let found = Classifier::train(kind, broken.view(), &[0, 1, 0], 2, 0);
            assert!(matches!(found, Err(LearnError::ValueOutOfRange { row: 0, .. })));
            let classifier = Classifier::train(kind, rows.view(), &[0, 1, 0], 2, 0).unwrap();
            let found = classifier.shares(random_rows(2, 5, 1).view());
            assert!(matches!(found, Err(LearnError::DimensionMismatch { expected: 4, found: 5 })));
        }
    }

    #[test]
    fn damaged_bytes_are_refused_not_trusted() {
        let (rows, owners) = planted(3, 10, 6, 0.5, 1);
        for kind in ClassifierKind::ALL {
            let classifier = Classifier::train(kind, rows.view(), &owners, 3, 0).unwrap();
            let bytes = postcard::to_stdvec(&classifier).unwrap();
            for at in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x81;
                if let Ok(found) = postcard::from_bytes::<Classifier>(&damaged) {
                    let _ = found.shares(random_rows(2, found.dimension().min(99), 1).view());
                }
            }
        }
    }
}
