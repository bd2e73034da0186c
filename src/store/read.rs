//! Reading the store: single records, and scans that stop at the first damage.

use serde::de::DeserializeOwned;

use super::keys::{self, Kind};
use super::{Counts, Store, StoreError, codec, count_records, engine};
use crate::record::{
    ContentHash, ImageId, ImageRecord, Location, LocationRecord, Prediction, Space, SpaceId,
};
use crate::vector::Embedding;

impl Store {
    /// The record of an image.
    ///
    /// # Errors
    /// [`StoreError::Value`] for a damaged record, [`StoreError::Engine`] when
    /// sled fails; so for all reads here.
    pub fn image(&self, id: ImageId) -> Result<Option<ImageRecord>, StoreError> {
        self.get(&keys::image(id))
    }

    /// The image with this content.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn image_id(&self, hash: &ContentHash) -> Result<Option<ImageId>, StoreError> {
        self.get(&keys::hash(hash))
    }

    /// All images in the order of their numbers.
    pub fn images(&self) -> impl Iterator<Item = Result<(ImageId, ImageRecord), StoreError>> {
        self.scan(Kind::Image.prefix().to_vec(), |key, value| {
            Some((keys::read_image_id(key)?, codec::decode(key, value)))
        })
    }

    /// What is known of a location.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn location(&self, location: &Location) -> Result<Option<LocationRecord>, StoreError> {
        self.get(&keys::location(location))
    }

    /// All locations, ordered by path.
    pub fn locations(
        &self,
    ) -> impl Iterator<Item = Result<(Location, LocationRecord), StoreError>> {
        self.scan(Kind::Location.prefix().to_vec(), |key, value| {
            Some((keys::read_location(key)?, codec::decode(key, value)))
        })
    }

    /// All locations that hold or held an image, ordered by path.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn locations_of(&self, id: ImageId) -> Result<Vec<Location>, StoreError> {
        self.scan(keys::image_locations(id), |key, value| {
            let location = keys::read_image_location(key)?;
            Some((location, codec::open(key, value).map(|_| ())))
        })
        .map(|entry| entry.map(|(location, ())| location))
        .collect()
    }

    /// The embedding of an image in a space.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn embedding(&self, space: SpaceId, id: ImageId) -> Result<Option<Embedding>, StoreError> {
        let key = keys::embedding(space, id);
        match self.db().get(&key).map_err(engine("read"))? {
            Some(value) => read_embedding(&key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// Whether an image has an embedding in a space.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn has_embedding(&self, space: SpaceId, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::embedding(space, id))
    }

    /// All embeddings of a space in the order of the image numbers.
    pub fn embeddings(
        &self,
        space: SpaceId,
    ) -> impl Iterator<Item = Result<(ImageId, Embedding), StoreError>> {
        self.scan(keys::embeddings(space), |key, value| {
            Some((keys::read_image_id(key)?, read_embedding(key, value)))
        })
    }

    /// The label that the user gave an image.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn label_of(&self, hash: &ContentHash) -> Result<Option<String>, StoreError> {
        self.get(&keys::label(hash))
    }

    /// All labels of the user, by content; the image itself may not be known (any more).
    pub fn labels(&self) -> impl Iterator<Item = Result<(ContentHash, String), StoreError>> {
        self.scan(Kind::Label.prefix().to_vec(), |key, value| {
            Some((keys::read_hash(key)?, codec::decode(key, value)))
        })
    }

    /// All labels of the forest in the order of the image numbers.
    pub fn predictions(&self) -> impl Iterator<Item = Result<(ImageId, Prediction), StoreError>> {
        self.scan(Kind::Prediction.prefix().to_vec(), |key, value| {
            Some((keys::read_image_id(key)?, codec::decode(key, value)))
        })
    }

    /// The trained forest as it was stored.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn forest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let key = keys::forest();
        match self.db().get(&key).map_err(engine("read"))? {
            Some(value) => Ok(Some(codec::open(&key, &value)?.to_vec())),
            None => Ok(None),
        }
    }

    /// All spaces.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn spaces(&self) -> Result<Vec<(SpaceId, Space)>, StoreError> {
        self.scan(Kind::Space.prefix().to_vec(), |key, value| {
            let id = u16::from_be_bytes(key.get(1..3)?.try_into().ok()?);
            Some((SpaceId(id), codec::decode(key, value)))
        })
        .collect()
    }

    /// Reads every record, checks its checksum, and counts them by kind.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn count_records(&self) -> Result<Counts, StoreError> {
        count_records(self.db())
    }

    /// Keys and payloads of all records of a kind.
    pub(super) fn payloads(
        &self,
        kind: Kind,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), StoreError>> {
        self.scan(kind.prefix().to_vec(), |key, value| {
            Some((key.to_vec(), codec::open(key, value).map(<[u8]>::to_vec)))
        })
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.db().contains_key(key).map_err(engine("read"))
    }

    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        match self.db().get(key).map_err(engine("read"))? {
            Some(value) => codec::decode(key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// Walks the records under a prefix.
    ///
    /// `read` gives the parts of a record, or `None` when the key is malformed.
    /// sled's iterator can go on giving errors for ever: this one ends with the first.
    pub(super) fn scan<'a, K: 'a, V: 'a>(
        &'a self,
        prefix: Vec<u8>,
        read: impl Fn(&[u8], &[u8]) -> Option<(K, Result<V, StoreError>)> + 'a,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + 'a {
        let mut entries = Some(self.db().scan_prefix(prefix));
        std::iter::from_fn(move || {
            let entry = entries.as_mut()?.next()?;
            let record = entry.map_err(engine("read")).and_then(|(key, value)| {
                let (name, record) = read(&key, &value).ok_or_else(|| codec::damaged(&key))?;
                Ok((name, record?))
            });
            if record.is_err() {
                entries = None;
            }
            Some(record)
        })
    }
}

fn read_embedding(key: &[u8], value: &[u8]) -> Result<Embedding, StoreError> {
    let payload = codec::open(key, value)?;
    Embedding::from_f16_bytes(payload).map_err(|_| codec::damaged(key))
}
