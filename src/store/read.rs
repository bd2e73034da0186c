//! Reading the store: single records, and scans that stop at the first damage.

use serde::de::DeserializeOwned;

use super::keys::{self, Kind};
use super::{Counts, Store, StoreError, codec, count_records, engine};
use crate::record::{
    ContentHash, Fingerprint, ImageId, ImageRecord, Location, LocationRecord, Prediction, Space,
    SpaceId,
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
        let components = self.components(space, id)?;
        components.map(|found| to_embedding(&keys::slot(space, id), &found)).transpose()
    }

    /// The stored form of the embedding of an image in a space.
    pub(super) fn components(
        &self,
        space: SpaceId,
        id: ImageId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let key = keys::slot(space, id);
        let Some(slot) = self.get(&key)? else { return Ok(None) };
        let found = self.segments.read(space, slot, id)?;
        found.ok_or_else(|| codec::damaged(&key)).map(Some)
    }

    /// Whether an image has an embedding in a space.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn has_embedding(&self, space: SpaceId, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::slot(space, id))
    }

    /// All embeddings of a space in the order of the image numbers.
    pub fn embeddings(
        &self,
        space: SpaceId,
    ) -> impl Iterator<Item = Result<(ImageId, Embedding), StoreError>> {
        self.embeddings_from(space, ImageId(0))
    }

    /// The embeddings of a space from an image number on, in the order of the numbers.
    ///
    /// Costs nothing for the images before it. Numbers are given in the order
    /// of arrival and never again, so these are the embeddings of all images
    /// that came since; one that an earlier image got later is not among them.
    pub fn embeddings_from(
        &self,
        space: SpaceId,
        first: ImageId,
    ) -> impl Iterator<Item = Result<(ImageId, Embedding), StoreError>> {
        self.components_from(space, first).map(move |entry| {
            let (id, components) = entry?;
            Ok((id, to_embedding(&keys::slot(space, id), &components)?))
        })
    }

    /// The numbers of the images that have an embedding in a space, in their order.
    pub fn embedded_images(
        &self,
        space: SpaceId,
    ) -> impl Iterator<Item = Result<ImageId, StoreError>> {
        self.slots_from(space, ImageId(0)).map(|entry| entry.map(|(id, _)| id))
    }

    fn slots_from(
        &self,
        space: SpaceId,
        first: ImageId,
    ) -> impl Iterator<Item = Result<(ImageId, u64), StoreError>> {
        let end = keys::slot(space, ImageId(u64::MAX));
        self.walk(self.db().range(keys::slot(space, first)..=end), |key, value| {
            Some((keys::read_image_id(key)?, codec::decode(key, value)))
        })
    }

    /// The stored form of the embeddings of a space from an image number on.
    pub(super) fn components_from(
        &self,
        space: SpaceId,
        first: ImageId,
    ) -> impl Iterator<Item = Result<(ImageId, Vec<u8>), StoreError>> {
        let mut reader = None;
        let mut slots = Some(self.slots_from(space, first));
        std::iter::from_fn(move || {
            let entry = slots.as_mut()?.next()?.and_then(|(id, slot)| {
                let reader = match &mut reader {
                    Some(reader) => reader,
                    None => reader.insert(self.segments.reader(space)?),
                };
                let components = reader.read(slot, id)?.map(<[u8]>::to_vec);
                let damaged = || codec::damaged(&keys::slot(space, id));
                Ok((id, components.ok_or_else(damaged)?))
            });
            if entry.is_err() {
                slots = None;
            }
            Some(entry)
        })
    }

    /// Reads every embedding and checks its checksum.
    pub(super) fn check_embeddings(&self) -> Result<(), StoreError> {
        for (space, _) in self.spaces()? {
            for entry in self.components_from(space, ImageId(0)) {
                entry?;
            }
        }
        Ok(())
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

    /// The label that the forest gave an image.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn prediction(&self, id: ImageId) -> Result<Option<Prediction>, StoreError> {
        self.get(&keys::prediction(id))
    }

    /// The trained forest as it was stored.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn forest(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.payload(&keys::forest())
    }

    /// Whether the fingerprint of an image is known.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn has_fingerprint(&self, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::fingerprint(id))
    }

    /// What is kept of the pixels of an image.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn fingerprint(&self, id: ImageId) -> Result<Option<Fingerprint>, StoreError> {
        let key = keys::fingerprint(id);
        let found: Option<Fingerprint> = self.get(&key)?;
        found.map(|found| whole(&key, found)).transpose()
    }

    /// The fingerprints of all images in the order of their numbers.
    pub fn fingerprints(&self) -> impl Iterator<Item = Result<(ImageId, Fingerprint), StoreError>> {
        self.scan(Kind::Fingerprint.prefix().to_vec(), |key, value| {
            let found = codec::decode(key, value).and_then(|found| whole(key, found));
            Some((keys::read_image_id(key)?, found))
        })
    }

    /// The pairs of contents that the user said are not the same, the lower hash first.
    pub fn distinct(&self) -> impl Iterator<Item = Result<[ContentHash; 2], StoreError>> {
        self.scan(Kind::Distinct.prefix().to_vec(), |key, value| {
            Some((keys::read_distinct(key)?, codec::open(key, value).map(|_| ())))
        })
        .map(|entry| entry.map(|(images, ())| images))
    }

    /// All spaces.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn spaces(&self) -> Result<Vec<(SpaceId, Space)>, StoreError> {
        self.scan(Kind::Space.prefix().to_vec(), |key, value| {
            Some((keys::read_space(key)?, codec::decode(key, value)))
        })
        .collect()
    }

    /// Reads every record and every embedding, checks their checksums, and counts them by kind.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn count_records(&self) -> Result<Counts, StoreError> {
        self.check_embeddings()?;
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

    /// Keys of all records of a kind.
    pub(super) fn keys(&self, kind: Kind) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> {
        self.scan(kind.prefix().to_vec(), |key, _| Some((key.to_vec(), Ok(()))))
            .map(|entry| entry.map(|(key, ())| key))
    }

    /// The payload of a record.
    pub(super) fn payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.db().get(key).map_err(engine("read"))? {
            Some(value) => Ok(Some(codec::open(key, &value)?.to_vec())),
            None => Ok(None),
        }
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

    /// Walks the records under a prefix; see [`Store::walk`].
    pub(super) fn scan<'a, K: 'a, V: 'a>(
        &'a self,
        prefix: Vec<u8>,
        read: impl Fn(&[u8], &[u8]) -> Option<(K, Result<V, StoreError>)> + 'a,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + 'a {
        self.walk(self.db().scan_prefix(prefix), read)
    }

    /// Walks some records.
    ///
    /// `read` gives the parts of a record, or `None` when the key is malformed.
    /// sled's iterator can go on giving errors for ever: this one ends with the first.
    fn walk<'a, K: 'a, V: 'a>(
        &'a self,
        entries: sled::Iter,
        read: impl Fn(&[u8], &[u8]) -> Option<(K, Result<V, StoreError>)> + 'a,
    ) -> impl Iterator<Item = Result<(K, V), StoreError>> + 'a {
        let mut entries = Some(entries);
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

fn whole(key: &[u8], found: Fingerprint) -> Result<Fingerprint, StoreError> {
    if found.is_whole() { Ok(found) } else { Err(codec::damaged(key)) }
}

fn to_embedding(key: &[u8], components: &[u8]) -> Result<Embedding, StoreError> {
    Embedding::from_f16_bytes(components).map_err(|_| codec::damaged(key))
}
