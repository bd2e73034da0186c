//! Where a search finds images: all of them in memory, or one after the other in the store.

use std::borrow::Cow;

use super::filter::ResolvedFilter;
use super::{Corpus, QueryError, Row};
use crate::index::{ExactIndex, NodeFilter, VectorIndex};
use crate::record::{ImageId, Location};

/// Images that an index leads to.
pub(super) trait Images {
    /// The images with the `k` vectors nearest to a query; `None` when that many are better found
    /// in another way.
    fn nearest(&self, query: &[f32], k: usize) -> Result<Option<Nearest>, QueryError>;

    /// An image with what is known of it.
    fn row(&self, id: ImageId) -> Result<Option<Cow<'_, Row>>, QueryError>;

    /// The image of a file.
    fn image_at(&self, location: &Location) -> Result<Option<ImageId>, QueryError>;
}

/// What an index found.
pub(super) struct Nearest {
    /// The images with the cosine similarity of each, the best first, ties by number.
    pub(super) images: Vec<(f32, ImageId)>,
    /// Whether there are no others.
    pub(super) is_all: bool,
}

/// The images of a corpus, of which all are compared with the query.
pub(super) struct InMemory<'a> {
    corpus: &'a Corpus,
    index: &'a ExactIndex,
    /// The nodes that may be hits; `None` while nearly all may be.
    nodes: Option<NodeFilter>,
}

impl<'a> InMemory<'a> {
    pub(super) fn new(
        corpus: &'a Corpus,
        index: &'a ExactIndex,
        filter: Option<&ResolvedFilter<'_>>,
    ) -> Self {
        let nodes = filter.map(|filter| {
            let mut nodes = NodeFilter::none(corpus.vectors().len());
            let passing = filter.rows(corpus.known());
            passing.for_each(|row| nodes.insert(corpus.node(row)));
            nodes
        });
        Self { corpus, index, nodes }
    }
}

impl Images for InMemory<'_> {
    fn nearest(&self, query: &[f32], k: usize) -> Result<Option<Nearest>, QueryError> {
        let neighbors = self.index.search(query, k, self.nodes.as_ref())?;
        let members = neighbors.iter().flat_map(|neighbor| {
            self.corpus.members(neighbor.node).map(|row| (neighbor.score, row.id))
        });
        Ok(Some(Nearest { images: members.collect(), is_all: neighbors.len() < k }))
    }

    fn row(&self, id: ImageId) -> Result<Option<Cow<'_, Row>>, QueryError> {
        Ok(self.corpus.row(id).map(Cow::Borrowed))
    }

    fn image_at(&self, location: &Location) -> Result<Option<ImageId>, QueryError> {
        let row = self.corpus.rows().iter().find(|row| row.locations.contains(location));
        Ok(row.map(|row| row.id))
    }
}
