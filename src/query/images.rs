//! Where a search finds images: all of them in memory, or one after the other in the store.

use std::borrow::Cow;

use super::filter::ResolvedFilter;
use super::{Corpus, QueryError, Row};
use crate::index::{NodeFilter, VectorIndex};
use crate::record::{ImageId, Location};
use crate::vector;

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
    /// The images with the cosine similarity of each, the best first.
    pub(super) images: Vec<(f32, ImageId)>,
    /// Whether there are no others.
    pub(super) is_all: bool,
}

/// The images of a corpus, behind an index over its vectors.
pub(super) struct InMemory<'a> {
    corpus: &'a Corpus,
    index: &'a dyn VectorIndex,
    /// The nodes that may be hits; `None` while nearly all may be.
    nodes: Option<NodeFilter>,
}

impl<'a> InMemory<'a> {
    pub(super) fn new(
        corpus: &'a Corpus,
        index: &'a dyn VectorIndex,
        filter: Option<&ResolvedFilter<'_>>,
    ) -> Self {
        Self { corpus, index, nodes: filter.map(|filter| filter.nodes(corpus)) }
    }
}

impl Images for InMemory<'_> {
    fn nearest(&self, query: &[f32], k: usize) -> Result<Option<Nearest>, QueryError> {
        let mut neighbors = self.index.search(query, k, self.nodes.as_ref())?;
        // A graph knows the vectors a little less exactly than the corpus does.
        for neighbor in &mut neighbors {
            neighbor.score = vector::dot(query, self.corpus.vectors().row(neighbor.node));
        }
        neighbors.sort_unstable();
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
