//! Measures of the embeddings themselves.

use super::{Database, ImageRow};
use crate::error::Error;
use crate::learn::{Agreement, Retrieval};
use crate::query::{self, Filter};
use crate::record::{Space, SpaceId};

impl Database {
    /// Lets each image that passes a filter and has a class ask for the others: precision, recall
    /// and average precision over all, and over those of each class.
    ///
    /// # Errors
    /// [`Error::Query`]: [`NoImages`](crate::query::QueryError::NoImages) when none has a class.
    pub fn evaluate_retrieval(
        &self,
        filter: &Filter,
        class_of: &dyn Fn(&ImageRow) -> Option<usize>,
    ) -> Result<(Retrieval, Vec<Retrieval>), Error> {
        let loaded = self.loaded()?;
        let names = self.encoder.class_names();
        Ok(query::evaluate_retrieval(&loaded.corpus, filter, names, class_of)?)
    }

    /// The spaces that the database has embeddings of images or objects in.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn all_spaces(&self) -> Result<Vec<(SpaceId, Space)>, Error> {
        Ok(self.store.spaces()?)
    }

    /// Says whether images that are alike in one space are alike in another.
    ///
    /// # Errors
    /// [`Error::Query`]: [`UnknownSpace`](crate::query::QueryError::UnknownSpace),
    /// [`NoImages`](crate::query::QueryError::NoImages) where none is in both.
    pub fn compare_spaces(
        &self,
        left: SpaceId,
        right: SpaceId,
        seed: u64,
    ) -> Result<Agreement, Error> {
        Ok(query::compare_spaces(&self.store, left, right, seed)?)
    }
}
