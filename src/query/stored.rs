//! Images that stay in the store: a search reads those that it meets, and no others.

use std::borrow::Cow;
use std::sync::Arc;

use super::images::{Images, Nearest};
use super::{QueryError, Row, shots};
use crate::index::{ExactIndex, GraphFile, VectorIndex, VectorSetBuilder};
use crate::record::{ImageId, Location, LocationState, Space, SpaceId};
use crate::store::Store;
use crate::vector;

/// A graph over the embeddings of a space, with what came after it was built.
///
/// Images that went since are still in it: whoever asks finds no record of them.
pub struct StoredGraph {
    file: Arc<GraphFile>,
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
        file: Arc<GraphFile>,
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

    /// Whether a new graph pays, when so many images have an embedding.
    pub fn is_worn(&self, embedded: usize) -> bool {
        let known: usize = self.newer_members.iter().map(Vec::len).sum();
        let gone = (self.file.members.len() + known).saturating_sub(embedded);
        self.file.is_worn_by(self.newer.len(), gone)
    }
}

/// The images of a store, behind a graph.
pub(super) struct InStore<'a> {
    pub(super) store: &'a Store,
    pub(super) space: SpaceId,
    pub(super) graph: &'a StoredGraph,
}

/// Images that a search reads one by one, at most: reading all of them at once, in order, costs
/// less than reading a hundredth of them in any order.
const IMAGES_MAX: usize = 1_000;

impl Images for InStore<'_> {
    fn nearest(&self, query: &[f32], k: usize) -> Result<Option<Nearest>, QueryError> {
        if k > IMAGES_MAX {
            return Ok(None);
        }
        let StoredGraph { file, newer, newer_members } = self.graph;
        let linked = file.graph.search(query, k, None)?;
        let newest = newer.search(query, k, None)?;
        let mut is_all = linked.len() < k && newest.len() < k;
        let linked = linked.iter().flat_map(|neighbor| {
            let keys = file.members.keys(neighbor.node).iter();
            keys.map(|key| (neighbor.score, ImageId(*key)))
        });
        let newest = newest.iter().flat_map(|neighbor| {
            let members = newer_members.get(neighbor.node as usize).into_iter().flatten();
            members.map(|id| (neighbor.score, *id))
        });
        let mut images: Vec<(f32, ImageId)> = linked.chain(newest).collect();
        // Each side gave its best: together they hold the best of all, and as many again.
        images.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        is_all &= images.len() <= k;
        images.truncate(k);
        let mut scored = Vec::with_capacity(images.len());
        for (_, id) in images {
            // The graph knows the vectors a little less exactly than the store does.
            if let Some(embedding) = self.store.embedding(self.space, id)? {
                scored.push((vector::dot(query, embedding.as_slice()), id));
            }
        }
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(Some(Nearest { images: scored, is_all }))
    }

    fn row(&self, id: ImageId) -> Result<Option<Cow<'_, Row>>, QueryError> {
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
            node: 0,
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
