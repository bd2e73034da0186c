//! Searches: by the graph where there is one, else among all images in memory.

use std::collections::BTreeSet;

use super::Database;
use crate::error::Error;
use crate::query::{self, Condition, Hit, Rows, Search};
use crate::record::ImageId;
use crate::vector::Embedding;

impl Database {
    /// Finds the images most similar to an image of the database, which is itself no hit.
    ///
    /// # Errors
    /// [`Error::UnknownImage`]; [`Error::Query`].
    pub fn search_image(&self, id: ImageId, search: &Search) -> Result<Vec<Hit>, Error> {
        let search = Search { exclude_image: Some(id), ..search.clone() };
        self.search_embedding(&self.embedding(id)?, &search)
    }

    /// The images that meet a condition, for [`Filter::images`](crate::Filter::images). Costs a look
    /// at each image.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn images_where(&self, condition: &Condition) -> Result<BTreeSet<ImageId>, Error> {
        let rows = self.rows()?;
        let found = query::matching(&rows, condition, self.encoder.class_names())?;
        Ok(found.into_iter().map(|row| row.id).collect())
    }

    /// Shows the images that meet a condition, ordered by number, to `visit`, without copying them.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn visit_images(
        &self,
        condition: &Condition,
        visit: &mut dyn FnMut(&super::ImageRow),
    ) -> Result<(), Error> {
        let rows = self.rows()?;
        let found = query::matching(&rows, condition, self.encoder.class_names())?;
        found.into_iter().for_each(visit);
        Ok(())
    }

    /// Finds the images most similar to an embedding of the same space.
    ///
    /// A graph answers from the disk in milliseconds; a filter that lets few images pass has all
    /// of them looked at first, 4 us each. Without a graph, and for an exact search, the first
    /// search loads all embeddings too, 13 us each.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn search_embedding(
        &self,
        embedding: &Embedding,
        search: &Search,
    ) -> Result<Vec<Hit>, Error> {
        let (vector, names) = (embedding.as_slice(), self.encoder.class_names());
        if !search.exact
            && let Some(graph) = self.graph()?.ready()
        {
            let find = |rows: Option<&Rows>| {
                query::search_graph(&self.store, self.space, graph, rows, vector, search, names)
            };
            if let Some(hits) = find(self.rows_if_loaded().as_deref())? {
                return Ok(hits);
            }
            let hits = find(Some(&*self.rows()?))?;
            return Ok(hits.expect("with all rows at hand there is an answer"));
        }
        let loaded = self.loaded()?;
        Ok(query::search(&loaded.corpus, &loaded.exact, vector, search, names)?)
    }
}
