//! A transaction: changes are gathered, then applied all or not at all.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::{self, Kind};
use super::{State, Store, StoreError, codec};
use crate::record::{
    ContentHash, Fingerprint, ImageId, ImageRecord, Location, LocationRecord, LocationState,
    Prediction, Space, SpaceId,
};
use crate::vector::Embedding;

/// Gathers the changes of one transaction over the store.
///
/// Reads through a writer see its own changes.
pub struct Writer<'a> {
    store: &'a Store,
    changes: Changes,
    /// Spaces that embeddings were written to, which are to be synced.
    spaces: BTreeSet<SpaceId>,
    pub(super) state: State,
}

/// What a transaction changes.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl<'a> Writer<'a> {
    pub(super) fn new(store: &'a Store, state: State) -> Self {
        Self { store, changes: Changes::new(), spaces: BTreeSet::new(), state }
    }

    /// Gives the changes, the state that they lead to, and the spaces with new embeddings.
    pub(super) fn finish(self) -> (Changes, State, BTreeSet<SpaceId>) {
        (self.changes, self.state, self.spaces)
    }

    /// The number of the image with this content, if the store knows it.
    ///
    /// # Errors
    /// [`StoreError::Value`] for a damaged record, as for all reads here.
    pub fn image_id(&self, hash: &ContentHash) -> Result<Option<ImageId>, StoreError> {
        self.get(&keys::hash(hash))
    }

    /// Adds an image, or replaces the record of the image with the same content.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_image(&mut self, record: &ImageRecord) -> Result<ImageId, StoreError> {
        let id = match self.image_id(&record.hash)? {
            Some(id) => id,
            None => {
                let id = ImageId(self.state.next_image);
                self.state.next_image += 1;
                self.put(keys::hash(&record.hash), &id)?;
                id
            }
        };
        self.put(keys::image(id), record)?;
        Ok(id)
    }

    /// Whether an image has an embedding in a space.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn has_embedding(&self, space: SpaceId, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::slot(space, id))
    }

    /// Stores the embedding of an image in a space.
    ///
    /// # Errors
    /// [`StoreError::Dimension`]; [`StoreError::Io`]; as for [`Writer::image_id`].
    pub fn put_embedding(
        &mut self,
        space: SpaceId,
        id: ImageId,
        embedding: &Embedding,
    ) -> Result<(), StoreError> {
        self.put_components(space, id, &embedding.to_f16_bytes())
    }

    /// Stores an embedding in its stored form; its record refers to the slot it was written to.
    pub(super) fn put_components(
        &mut self,
        space: SpaceId,
        id: ImageId,
        components: &[u8],
    ) -> Result<(), StoreError> {
        let slot = self.store.segments.append(space, id, components)?;
        self.spaces.insert(space);
        self.put(keys::slot(space, id), &slot)
    }

    /// Stores what was found at a location.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_location(
        &mut self,
        location: &Location,
        record: &LocationRecord,
    ) -> Result<(), StoreError> {
        self.remove_location(location)?;
        if let Some(id) = image_of(&record.state) {
            let key = keys::image_location(id, location);
            let value = codec::seal(&key, &[]);
            self.put_bytes(key, Some(value))?;
        }
        self.put(keys::location(location), record)
    }

    /// Forgets a location; its image stays.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn remove_location(&mut self, location: &Location) -> Result<(), StoreError> {
        let key = keys::location(location);
        let Some(old) = self.get::<LocationRecord>(&key)? else { return Ok(()) };
        if let Some(id) = image_of(&old.state) {
            self.put_bytes(keys::image_location(id, location), None)?;
        }
        self.put_bytes(key, None)
    }

    /// Removes an image with its embeddings in all spaces, its objects and the forest's label.
    ///
    /// The user's label stays. The caller removes the locations.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn remove_image(&mut self, id: ImageId, hash: &ContentHash) -> Result<(), StoreError> {
        for (space, _) in self.store.spaces()? {
            self.put_bytes(keys::slot(space, id), None)?;
            self.remove_objects(space, id)?;
        }
        self.put_bytes(keys::prediction(id), None)?;
        self.put_bytes(keys::fingerprint(id), None)?;
        self.put_bytes(keys::image(id), None)?;
        self.put_bytes(keys::hash(hash), None)
    }

    /// Gives an image a label of the user, or takes it away.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn put_label(
        &mut self,
        hash: &ContentHash,
        label: Option<&str>,
    ) -> Result<(), StoreError> {
        match label {
            Some(label) => self.put(keys::label(hash), &label),
            None => self.put_bytes(keys::label(hash), None),
        }
    }

    /// Gives an image a label of the forest, or takes it away.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_prediction(
        &mut self,
        id: ImageId,
        prediction: Option<&Prediction>,
    ) -> Result<(), StoreError> {
        match prediction {
            Some(prediction) => self.put(keys::prediction(id), prediction),
            None => self.put_bytes(keys::prediction(id), None),
        }
    }

    /// Whether the fingerprint of an image is known.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn has_fingerprint(&self, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::fingerprint(id))
    }

    /// Stores what is kept of the pixels of an image.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_fingerprint(
        &mut self,
        id: ImageId,
        fingerprint: &Fingerprint,
    ) -> Result<(), StoreError> {
        self.put(keys::fingerprint(id), fingerprint)
    }

    /// Stores that two images are not the same, or that this was taken back.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn put_distinct(
        &mut self,
        images: [&ContentHash; 2],
        are_distinct: bool,
    ) -> Result<(), StoreError> {
        let key = keys::distinct(images);
        let value = are_distinct.then(|| codec::seal(&key, &[]));
        self.put_bytes(key, value)
    }

    /// Stores the trained forest, opaque to the store.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_forest(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let key = keys::forest();
        let value = codec::seal(&key, bytes);
        self.put_bytes(key, Some(value))
    }

    /// Adds a space and gives its number.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn add_space(&mut self, space: &Space) -> Result<SpaceId, StoreError> {
        let id = SpaceId(self.state.next_space);
        self.state.next_space += 1;
        self.put(keys::space(id), space)?;
        Ok(id)
    }

    /// Keys and payloads of all records of a kind, as they were before this transaction.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn payloads(&self, kind: Kind) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.store.payloads(kind).collect()
    }

    /// Keys of all records of a kind, as they were before this transaction.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn keys(&self, kind: Kind) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.keys(kind).collect()
    }

    /// The payload of a record, as it was before this transaction.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.payload(key)
    }

    /// Takes a record away.
    pub(super) fn remove(&mut self, key: Vec<u8>) -> Result<(), StoreError> {
        self.put_bytes(key, None)
    }

    /// Puts a value of any kind as it is; `repair` and migrations write records with it.
    pub(super) fn put_raw(&mut self, key: &[u8], payload: &[u8]) -> Result<(), StoreError> {
        let value = codec::seal(key, payload);
        self.put_bytes(key.to_vec(), Some(value))
    }

    pub(super) fn put<T: Serialize>(&mut self, key: Vec<u8>, record: &T) -> Result<(), StoreError> {
        let value = codec::encode(&key, record)?;
        self.put_bytes(key, Some(value))
    }

    pub(super) fn put_bytes(
        &mut self,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let before = self.contains(&key)?;
        if let Some(count) = self.state.count_mut(&key) {
            match (before, value.is_some()) {
                (false, true) => *count += 1,
                (true, false) => *count -= 1,
                _ => {}
            }
        }
        self.changes.insert(key, value);
        Ok(())
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.is_some()),
            None => self.store.contains(key),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        match self.changes.get(key) {
            Some(Some(value)) => codec::decode(key, value).map(Some),
            Some(None) => Ok(None),
            None => self.store.get(key),
        }
    }
}

impl State {
    /// The counter of the kind that a key belongs to.
    fn count_mut(&mut self, key: &[u8]) -> Option<&mut u64> {
        match Kind::of(key) {
            Some(Kind::Image) => Some(&mut self.counts.images),
            Some(Kind::Location) => Some(&mut self.counts.locations),
            Some(Kind::Embedding | Kind::Slot) => Some(&mut self.counts.embeddings),
            Some(Kind::Label) => Some(&mut self.counts.labels),
            Some(Kind::Prediction) => Some(&mut self.counts.predictions),
            _ => None,
        }
    }
}

fn image_of(state: &LocationState) -> Option<ImageId> {
    match state {
        LocationState::Present(id) | LocationState::Missing(id) => Some(*id),
        LocationState::Failed { .. } => None,
    }
}
