//! What is known of the images of a space, without their vectors.

use std::collections::HashMap;

use super::{QueryError, shots};
use crate::record::{ImageId, ImageRecord, Location, LocationState, Prediction, SpaceId};
use crate::store::Store;

/// The images that have an embedding in a space, ordered by number.
pub struct Rows {
    rows: Vec<Row>,
}

/// One image with what is known of it.
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
    /// The label that the trained classifier gave.
    pub prediction: Option<Prediction>,
    /// The raw files of the same shot.
    pub raws: Vec<ImageId>,
    /// The image that was developed from this raw file, by the camera or later.
    pub developed: Option<ImageId>,
}

impl Row {
    /// The label that counts: the user's, else the classifier's.
    pub fn effective_label(&self) -> Option<&str> {
        let predicted = || self.prediction.as_ref().map(|prediction| prediction.label.as_str());
        self.label.as_deref().or_else(predicted)
    }
}

impl Rows {
    /// Loads what is known of all images that have an embedding in a space: about 4 us each.
    ///
    /// # Errors
    /// [`QueryError::Store`] when a record is damaged.
    pub fn load(store: &Store, space: SpaceId) -> Result<Self, QueryError> {
        let mut present: HashMap<ImageId, Vec<Location>> = HashMap::new();
        for entry in store.locations() {
            let (location, record) = entry?;
            if let LocationState::Present(id) = record.state {
                present.entry(id).or_default().push(location);
            }
        }
        let labels: HashMap<_, _> = store.labels().collect::<Result<_, _>>()?;
        let mut predictions: HashMap<_, _> = store.predictions().collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        let mut records = store.images();
        for id in store.embedded_images(space) {
            let id = id?;
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
                raws: Vec::new(),
                developed: None,
                record,
            });
        }
        shots::pair(&mut rows);
        Ok(Self { rows })
    }

    /// All images, ordered by number.
    pub fn as_slice(&self) -> &[Row] {
        &self.rows
    }

    /// The image with a number.
    pub fn row(&self, id: ImageId) -> Option<&Row> {
        self.rows.get(self.position(id)?)
    }

    pub(super) fn position(&self, id: ImageId) -> Option<usize> {
        self.rows.binary_search_by_key(&id, |row| row.id).ok()
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
}
