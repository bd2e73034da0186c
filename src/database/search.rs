//! Searches: in the store by the graph where that serves, else among the images in memory.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::Database;
use super::graph::GraphState;
use crate::error::Error;
use crate::query::{self, Hit, Search, StoredGraph};
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

    /// Finds the images most similar to an embedding of the same space.
    ///
    /// Without a graph, the first search loads all images: 2 s for 100,000. With one, it reads
    /// what it finds, unless a filter lets few images pass.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn search_embedding(
        &self,
        embedding: &Embedding,
        search: &Search,
    ) -> Result<Vec<Hit>, Error> {
        let (vector, class_names) = (embedding.as_slice(), self.encoder.class_names());
        let is_loaded = self.loaded_slot().is_some();
        if !is_loaded
            && !search.exact
            && let Some(graph) = self.stored_graph()?
            && let Some(hits) =
                query::search_stored(&self.store, self.space, &graph, vector, search, class_names)?
        {
            return Ok(hits);
        }
        let loaded = self.loaded()?;
        let index = loaded.index(search.exact);
        Ok(query::search(&loaded.corpus, index, vector, search, class_names)?)
    }

    /// The graph over the stored embeddings, if there is one that can be used.
    pub(super) fn stored_graph(&self) -> Result<Option<Arc<StoredGraph>>, Error> {
        let mut slot = self.stored_graph_slot();
        if slot.is_none() {
            let space = self.encoder.space();
            let Ok(Some(file)) = GraphState::read(&self.graph_path(), space) else {
                return Ok(None);
            };
            *slot = Some(Arc::new(StoredGraph::load(file, &self.store, self.space, space)?));
        }
        Ok(slot.clone())
    }

    pub(super) fn forget_stored_graph(&self) {
        *self.stored_graph_slot() = None;
    }

    fn stored_graph_slot(&self) -> MutexGuard<'_, Option<Arc<StoredGraph>>> {
        // The slot is replaced as a whole, as that of the loaded images is.
        self.stored_graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
