//! Labels: given by the user, learned, compared and checked.

use super::Database;
use crate::error::Error;
use crate::learn::ClassifierKind;
use crate::query::{self, Comparison, Guess, LabelCount, Suspect, TrainReport};
use crate::record::ImageId;
use crate::store::{JournalEntry, LabelEntry};

impl Database {
    /// Gives images a label, or takes it away, durably.
    ///
    /// # Errors
    /// [`Error::UnknownImage`], and then no label is changed.
    pub fn label(&self, label: Option<&str>, images: &[ImageId]) -> Result<(), Error> {
        let mut entries = Vec::new();
        for &id in images {
            let record = self.store.image(id)?.ok_or(Error::UnknownImage { id })?;
            let label = label.map(str::to_owned);
            entries.push(JournalEntry::Label(LabelEntry { image: record.hash, label }));
        }
        self.forget_loaded();
        Ok(self.store.decide(&entries)?)
    }

    /// The label that the user gave an image.
    ///
    /// # Errors
    /// [`Error::UnknownImage`].
    pub fn user_label(&self, id: ImageId) -> Result<Option<String>, Error> {
        let record = self.store.image(id)?.ok_or(Error::UnknownImage { id })?;
        Ok(self.store.label_of(&record.hash)?)
    }

    /// The labels of the user with their numbers of indexed images, ordered by name.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn labels(&self) -> Result<Vec<LabelCount>, Error> {
        Ok(query::count_labels(self.rows()?.as_slice()))
    }

    /// Trains a classifier on the labelled images and stores it: of the given kind, else of the one
    /// that is best in cross-validation.
    ///
    /// # Errors
    /// [`Error::Query`]: [`TooFewLabels`](crate::query::QueryError::TooFewLabels) above all.
    pub fn train_labels(
        &self,
        kind: Option<ClassifierKind>,
        seed: u64,
    ) -> Result<TrainReport, Error> {
        Ok(query::train_labels(&self.loaded()?.corpus, &self.store, kind, seed)?)
    }

    /// Labels all images that the user has not labelled, and stores the labels; with `error`, 0 to
    /// 1, only those of which in expectation no greater share is wrong.
    ///
    /// # Errors
    /// [`Error::Query`]: [`NoForest`](crate::query::QueryError::NoForest),
    /// [`ForestMismatch`](crate::query::QueryError::ForestMismatch),
    /// [`NotValidated`](crate::query::QueryError::NotValidated).
    pub fn predict_labels(&self, error: Option<f32>) -> Result<Vec<Guess>, Error> {
        let guesses = query::predict_labels(&self.loaded()?.corpus, &self.store, error)?;
        self.forget_loaded();
        Ok(guesses)
    }

    /// Cross-validates every kind of classifier on the labelled images.
    ///
    /// # Errors
    /// [`Error::Query`]: [`TooFewLabels`](crate::query::QueryError::TooFewLabels),
    /// [`TooFewExamples`](crate::query::QueryError::TooFewExamples).
    pub fn compare_labels(&self, seed: u64) -> Result<Vec<Comparison>, Error> {
        Ok(query::compare_labels(&self.loaded()?.corpus, seed)?)
    }

    /// Finds labels of the user that are probably mistakes, the surest first.
    ///
    /// # Errors
    /// As [`Database::compare_labels`].
    pub fn suspect_labels(&self, seed: u64) -> Result<Vec<Suspect>, Error> {
        Ok(query::suspect_labels(&self.loaded()?.corpus, seed)?)
    }

    /// Proposes up to `count` images whose labels would teach the classifier most.
    ///
    /// # Errors
    /// [`Error::Query`]: [`NoForest`](crate::query::QueryError::NoForest),
    /// [`ForestMismatch`](crate::query::QueryError::ForestMismatch).
    pub fn review_labels(&self, count: usize) -> Result<Vec<Guess>, Error> {
        Ok(query::review_labels(&self.loaded()?.corpus, &self.store, count)?)
    }
}
