//! The images of one space in memory: vectors, and what filters ask about.

use std::collections::HashMap;
use std::sync::Arc;

use crate::index::{VectorSet, VectorSetBuilder};
use crate::record::{ImageId, ImageRecord, Location, LocationState, Prediction, Space, SpaceId};
use crate::store::Store;

use super::{QueryError, shots};

/// The images of one space, ordered by number, with their vectors.
///
/// Images with the very same vector share a *node* of the index: exact copies
/// of a vector would keep a graph from reaching other points.
pub struct Corpus {
    space: Space,
    rows: Vec<Row>,
    /// Rows of each node, the lowest first.
    members: Vec<Vec<u32>>,
    vectors: Arc<VectorSet>,
}

/// One image of a [`Corpus`].
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number in the database.
    pub id: ImageId,
    /// What is known of it.
    pub record: ImageRecord,
    /// Where its files lie; empty when all of them are missing.
    pub locations: Vec<Location>,
    /// The label of the user.
    pub label: Option<String>,
    /// The label of the forest.
    pub prediction: Option<Prediction>,
    /// Its node in the index.
    pub node: u32,
    /// The raw files of the same shot.
    pub raws: Vec<ImageId>,
    /// The image that was developed from this raw file, by the camera or later.
    pub developed: Option<ImageId>,
}

impl Row {
    /// The label that counts: the user's, else the forest's.
    pub fn effective_label(&self) -> Option<&str> {
        let predicted = || self.prediction.as_ref().map(|prediction| prediction.label.as_str());
        self.label.as_deref().or_else(predicted)
    }
}

impl Corpus {
    /// Loads all images that have an embedding in a space.
    ///
    /// Costs one pass over the store; 4 bytes for each dimension of each
    /// distinct vector stay in memory.
    ///
    /// # Errors
    /// [`QueryError::Store`] when a record is damaged; [`QueryError::Index`] when
    /// an embedding is not of the space's dimension.
    pub fn load(store: &Store, space_id: SpaceId, space: &Space) -> Result<Self, QueryError> {
        let mut present: HashMap<ImageId, Vec<Location>> = HashMap::new();
        for entry in store.locations() {
            let (location, record) = entry?;
            if let LocationState::Present(id) = record.state {
                present.entry(id).or_default().push(location);
            }
        }
        let labels: HashMap<_, _> = store.labels().collect::<Result<_, _>>()?;
        let mut predictions: HashMap<_, _> = store.predictions().collect::<Result<_, _>>()?;
        let mut vectors = VectorSetBuilder::new(space.dimension as usize);
        let mut rows = Vec::new();
        let mut records = store.images();
        for entry in store.embeddings(space_id) {
            let (id, embedding) = entry?;
            // Both scans go by image number, so one pass over each is enough.
            let Some(record) = records.find_map(|entry| match entry {
                Ok((other, record)) => (other == id).then_some(Ok(record)),
                Err(error) => Some(Err(error)),
            }) else {
                continue;
            };
            let record = record?;
            rows.push(Row {
                id,
                locations: present.remove(&id).unwrap_or_default(),
                label: labels.get(&record.hash).cloned(),
                prediction: predictions.remove(&id),
                node: vectors.push(embedding.as_slice())?,
                raws: Vec::new(),
                developed: None,
                record,
            });
        }
        shots::pair(&mut rows);
        let vectors = Arc::new(vectors.finish());
        let mut members = vec![Vec::new(); vectors.len()];
        for (row, index) in rows.iter().zip(0..) {
            members[row.node as usize].push(index);
        }
        Ok(Self { space: space.clone(), rows, members, vectors })
    }

    /// What the numbers of the vectors mean.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// All images, ordered by number.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The distinct vectors, one for each node, in the order of first appearance.
    pub fn vectors(&self) -> &Arc<VectorSet> {
        &self.vectors
    }

    /// The vector of an image.
    pub fn vector(&self, row: &Row) -> &[f32] {
        self.vectors.row(row.node)
    }

    /// The images of a node.
    pub fn members(&self, node: u32) -> impl Iterator<Item = &Row> {
        let rows = self.members.get(node as usize).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| self.rows.get(*row as usize))
    }

    /// The image that was developed from a raw file.
    pub(super) fn developed(&self, row: &Row) -> Option<&Row> {
        row.developed.and_then(|id| self.row(id))
    }

    /// Where the raw files of an image's shot lie.
    pub fn raw_locations(&self, row: &Row) -> Vec<Location> {
        let raws = row.raws.iter().filter_map(|id| self.row(*id));
        raws.flat_map(|raw| raw.locations.iter().cloned()).collect()
    }

    /// The image with a number.
    pub fn row(&self, id: ImageId) -> Option<&Row> {
        let index = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        self.rows.get(index)
    }
}
