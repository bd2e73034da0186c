//! Images that stay in the store: a search reads those that it meets, and no others.

use std::borrow::Cow;

use super::filter::ResolvedFilter;
use super::images::{Images, Nearest};
use super::{QueryError, Row, Rows, shots};
use crate::index::{ExactIndex, GraphFile, IndexError, NodeFilter, VectorIndex, VectorSetBuilder};
use crate::record::{ImageId, Location, LocationState, Space, SpaceId};
use crate::store::Store;
use crate::vector;

/// A graph over the embeddings of a space, with what came after it was built.
///
/// Images that went since are still in it: whoever asks finds no record of them.
pub struct StoredGraph {
    file: GraphFile,
    newer: ExactIndex,
    /// The images of each vector that the graph lacks.
    newer_members: Vec<Vec<ImageId>>,
}

impl StoredGraph {
    /// Reads the embeddings that a graph lacks. The others are not read.
    ///
    /// # Errors
    /// As for [`Corpus::load`](super::Corpus::load).
    pub fn load(
        file: GraphFile,
        store: &Store,
        space_id: SpaceId,
        space: &Space,
    ) -> Result<Self, QueryError> {
        let mut vectors = VectorSetBuilder::new(space.dimension as usize);
        let mut newer_members: Vec<Vec<ImageId>> = Vec::new();
        let mut add = |id, components: &[f32]| -> Result<(), QueryError> {
            let node = vectors.push(components)? as usize;
            if node == newer_members.len() {
                newer_members.push(Vec::new());
            }
            newer_members[node].push(id);
            Ok(())
        };
        for id in file.members.absent().iter().map(|id| ImageId(*id)) {
            if let Some(embedding) = store.embedding(space_id, id)? {
                add(id, embedding.as_slice())?;
            }
        }
        let first = ImageId(file.members.last().saturating_add(1));
        for entry in store.embeddings_from(space_id, first) {
            let (id, embedding) = entry?;
            add(id, embedding.as_slice())?;
        }
        let newer = ExactIndex::new(vectors.finish().into());
        Ok(Self { file, newer, newer_members })
    }

    /// The graph.
    pub fn file(&self) -> &GraphFile {
        &self.file
    }

    /// The number of distinct vectors that the graph lacks: each search scans them.
    pub fn newer_len(&self) -> usize {
        self.newer.len()
    }

    /// The number of images in the graph that have no embedding any more, when so many have one.
    fn gone(&self, embedded: usize) -> usize {
        let known: usize = self.newer_members.iter().map(Vec::len).sum();
        (self.file.members.len() + known).saturating_sub(embedded)
    }

    /// Whether a new graph would link the same images, when so many have an embedding.
    pub fn is_current(&self, embedded: usize) -> bool {
        self.newer.is_empty() && self.gone(embedded) == 0
    }

    /// Whether a new graph pays, when so many images have an embedding: the scan beside this one
    /// takes longer than the walk, or walks spend a fourth of their way on images that are gone.
    pub fn is_worn(&self, embedded: usize) -> bool {
        wears(self.file.graph.len(), self.newer.len(), self.gone(embedded))
    }

    /// The `k` vectors nearest to a query with the images of each, the best first; and whether
    /// there are no others. Scores are off by 1e-4 at most. `ef` as for
    /// [`GraphIndex::search_keeping`](crate::index::GraphIndex::search_keeping).
    ///
    /// # Errors
    /// As for [`VectorIndex::search`].
    pub fn nearest(
        &self,
        query: &[f32],
        k: usize,
        ef: Option<usize>,
        passing: Option<&Passing>,
    ) -> Result<(Vec<Sharers>, bool), IndexError> {
        let linked = passing.map(|passing| &passing.linked);
        let linked = self.file.graph.search_keeping(query, k, ef, linked)?;
        let newest = self.newer.search(query, k, passing.map(|passing| &passing.newer))?;
        let is_all = linked.len() < k && newest.len() < k && linked.len() + newest.len() <= k;
        let linked = linked.iter().map(|neighbor| {
            let keys = self.file.members.keys(neighbor.node).iter();
            (neighbor.score, keys.map(|key| ImageId(*key)).collect())
        });
        let newest = newest.iter().map(|neighbor| {
            let members = self.newer_members.get(neighbor.node as usize);
            (neighbor.score, members.cloned().unwrap_or_default())
        });
        let mut found: Vec<Sharers> = linked.chain(newest).collect();
        // Each side gave its best: the best of all are among them, and as many that are not.
        found.sort_unstable_by(best_first);
        found.truncate(k);
        Ok((found, is_all))
    }

    /// The vectors of the images that pass a filter.
    fn passing(&self, rows: &Rows, filter: &ResolvedFilter<'_>) -> Passing {
        let ids: Vec<ImageId> = filter.rows(rows).map(|row| row.id).collect();
        let passes = |id: ImageId| ids.binary_search(&id).is_ok();
        let is_linked = |node| self.file.members.keys(node).iter().any(|key| passes(ImageId(*key)));
        let is_newer = |node: u32| self.newer_members[node as usize].iter().any(|id| passes(*id));
        Passing {
            linked: NodeFilter::from_predicate(self.file.graph.len(), is_linked),
            newer: NodeFilter::from_predicate(self.newer.len(), is_newer),
        }
    }
}

/// A score, and the images that share the vector with this score, ascending.
pub type Sharers = (f32, Vec<ImageId>);

/// Which vectors of a [`StoredGraph`] may be found.
pub struct Passing {
    linked: NodeFilter,
    newer: NodeFilter,
}

/// Whether so many vectors that came or went wear out a graph of `len`.
fn wears(len: usize, came: usize, went: usize) -> bool {
    came > NEWER_MAX.max(len / NEWER_PART) || went > len / 4
}

/// Newer vectors that are scanned beside any graph: by estimate about as long as a few walks.
const NEWER_MAX: usize = 2_000;

/// Beside a large graph, this part of it may be newer: building takes minutes there.
const NEWER_PART: usize = 20;

fn best_first(a: &Sharers, b: &Sharers) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

/// The images of a store, behind a graph.
pub(super) struct InStore<'a> {
    store: &'a Store,
    space: SpaceId,
    graph: &'a StoredGraph,
    rows: Option<&'a Rows>,
    passing: Option<Passing>,
    ef: Option<usize>,
}

/// Images that a search reads one by one, at most: reading all of them at once, in order, costs
/// less than reading a hundredth of them in any order.
const IMAGES_MAX: usize = 1_000;

impl<'a> InStore<'a> {
    pub(super) fn new(
        store: &'a Store,
        space: SpaceId,
        graph: &'a StoredGraph,
        rows: Option<&'a Rows>,
        filter: Option<&ResolvedFilter<'_>>,
    ) -> Self {
        let passing = rows.zip(filter).map(|(rows, filter)| graph.passing(rows, filter));
        Self { store, space, graph, rows, passing, ef: None }
    }

    /// Lets walks keep another number of candidates than the graph was tuned to.
    pub(super) fn keeping(self, ef: Option<usize>) -> Self {
        Self { ef, ..self }
    }
}

impl Images for InStore<'_> {
    fn nearest(&self, query: &[f32], k: usize) -> Result<Option<Nearest>, QueryError> {
        if self.rows.is_none() && k > IMAGES_MAX {
            return Ok(None);
        }
        let (mut found, is_all) = self.graph.nearest(query, k, self.ef, self.passing.as_ref())?;
        for (score, images) in &mut found {
            // The graph knows the vectors a little less exactly than the store does.
            for id in images {
                if let Some(embedding) = self.store.embedding(self.space, *id)? {
                    *score = vector::dot(query, embedding.as_slice());
                    break;
                }
            }
        }
        found.sort_unstable_by(best_first);
        let images = found
            .into_iter()
            .flat_map(|(score, images)| images.into_iter().map(move |id| (score, id)));
        Ok(Some(Nearest { images: images.collect(), is_all }))
    }

    fn row(&self, id: ImageId) -> Result<Option<Cow<'_, Row>>, QueryError> {
        if let Some(rows) = self.rows {
            return Ok(rows.row(id).map(Cow::Borrowed));
        }
        let Some(mut row) = self.row_alone(id)? else { return Ok(None) };
        if shots::is_raw(&row.record) {
            row.developed = self.developed(&row)?;
        } else {
            for raw in self.same_shot(&row)?.iter().filter(|other| shots::is_raw(&other.record)) {
                if self.developed(raw)? == Some(id) {
                    row.raws.push(raw.id);
                }
            }
        }
        Ok(Some(Cow::Owned(row)))
    }

    fn image_at(&self, location: &Location) -> Result<Option<ImageId>, QueryError> {
        Ok(match self.store.location(location)?.map(|record| record.state) {
            Some(LocationState::Present(id)) => Some(id),
            _ => None,
        })
    }
}

impl InStore<'_> {
    /// An image without its shot.
    fn row_alone(&self, id: ImageId) -> Result<Option<Row>, QueryError> {
        let Some(record) = self.store.image(id)? else { return Ok(None) };
        if !self.store.has_embedding(self.space, id)? {
            return Ok(None);
        }
        let mut locations = Vec::new();
        for location in self.store.locations_of(id)? {
            if self.image_at(&location)? == Some(id) {
                locations.push(location);
            }
        }
        Ok(Some(Row {
            id,
            locations,
            label: self.store.label_of(&record.hash)?,
            prediction: self.store.prediction(id)?,
            raws: Vec::new(),
            developed: None,
            record,
        }))
    }

    /// The first image that was developed from a raw file.
    fn developed(&self, raw: &Row) -> Result<Option<ImageId>, QueryError> {
        let others = self.same_shot(raw)?;
        Ok(others.iter().find(|other| !shots::is_raw(&other.record)).map(|other| other.id))
    }

    /// The other images of a shot, ordered by number.
    fn same_shot(&self, row: &Row) -> Result<Vec<Row>, QueryError> {
        let mut ids = Vec::new();
        if row.record.captured_at.is_some() {
            for location in &row.locations {
                let (folder, name) = shots::stem(location);
                for (other, record) in self.store.locations_alike(folder, name)? {
                    match record.state {
                        LocationState::Present(id)
                            if id != row.id && shots::is_same_stem(location, &other) =>
                        {
                            ids.push(id);
                        }
                        _ => {}
                    }
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let mut others = Vec::new();
        for id in ids {
            others.extend(
                self.row_alone(id)?
                    .filter(|other| other.record.captured_at == row.record.captured_at),
            );
        }
        Ok(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_wears_out_by_what_came_and_by_what_went() {
        assert!(!wears(10_000, 2_000, 2_500));
        assert!(wears(10_000, 2_001, 0) && wears(10_000, 0, 2_501));
        assert!(!wears(100_000, 5_000, 0) && wears(100_000, 5_001, 0));
    }
}
