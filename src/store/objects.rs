//! Objects in the store: what was detected on an image, and the embedding of each object.

use super::keys::{self, Kind};
use super::{Store, StoreError, Writer, codec, engine};
use crate::record::{Detection, ImageId, SpaceId};
use crate::vector::Embedding;

/// The number of an object on its image, from 0, the surest first.
pub type ObjectNumber = u16;

impl Store {
    /// What was detected on an image for a space of objects, the surest first; `None` when nobody
    /// has looked yet.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn detections(
        &self,
        space: SpaceId,
        id: ImageId,
    ) -> Result<Option<Vec<Detection>>, StoreError> {
        self.get(&keys::detections(space, id))
    }

    /// Whether an image has been looked at for a space of objects.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn has_detections(&self, space: SpaceId, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::detections(space, id))
    }

    /// The detections of all images of a space in the order of the image numbers.
    pub fn all_detections(
        &self,
        space: SpaceId,
    ) -> impl Iterator<Item = Result<(ImageId, Vec<Detection>), StoreError>> {
        self.scan(keys::detections_of(space), |key, value| {
            Some((keys::read_image_id(key)?, codec::decode(key, value)))
        })
    }

    /// The embedding of an object.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn object_embedding(
        &self,
        space: SpaceId,
        id: ImageId,
        number: ObjectNumber,
    ) -> Result<Option<Embedding>, StoreError> {
        let key = keys::object(space, id, number);
        match self.db().get(&key).map_err(engine("read"))? {
            Some(value) => read_embedding(&key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// The embeddings of all objects of a space, by image and number.
    pub fn object_embeddings(
        &self,
        space: SpaceId,
    ) -> impl Iterator<Item = Result<((ImageId, ObjectNumber), Embedding), StoreError>> {
        self.scan(keys::objects_of(space), |key, value| {
            Some((keys::read_object(key)?, read_embedding(key, value)))
        })
    }
}

impl Writer<'_> {
    /// Whether an image has been looked at for a space of objects.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn has_detections(&self, space: SpaceId, id: ImageId) -> Result<bool, StoreError> {
        self.contains(&keys::detections(space, id))
    }

    /// Stores what was detected on an image, with an embedding for each object, in place of what
    /// was stored before.
    ///
    /// # Panics
    /// When there are not as many embeddings as detections, or more than 65,535.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub fn put_objects(
        &mut self,
        space: SpaceId,
        id: ImageId,
        detections: &[Detection],
        embeddings: &[Embedding],
    ) -> Result<(), StoreError> {
        assert_eq!(detections.len(), embeddings.len(), "each object has an embedding");
        assert!(u16::try_from(detections.len()).is_ok(), "objects have 16-bit numbers");
        let components: Vec<_> = embeddings.iter().map(Embedding::to_f16_bytes).collect();
        self.put_found(space, id, detections, &components)
    }

    /// As [`Writer::put_objects`], of as many embeddings in their stored form.
    pub(super) fn put_found(
        &mut self,
        space: SpaceId,
        id: ImageId,
        detections: &[Detection],
        components: &[Vec<u8>],
    ) -> Result<(), StoreError> {
        self.remove_objects(space, id)?;
        self.put(keys::detections(space, id), &detections)?;
        for (components, number) in components.iter().zip(0..) {
            self.put_raw(&keys::object(space, id, number), components)?;
        }
        Ok(())
    }

    /// Removes what was detected on an image.
    ///
    /// # Errors
    /// As for [`Writer::image_id`].
    pub(super) fn remove_objects(&mut self, space: SpaceId, id: ImageId) -> Result<(), StoreError> {
        let key = keys::detections(space, id);
        let Some(detections) = self.get::<Vec<Detection>>(&key)? else { return Ok(()) };
        for (_, number) in detections.iter().zip(0..) {
            self.put_bytes(keys::object(space, id, number), None)?;
        }
        self.put_bytes(key, None)
    }
}

fn read_embedding(key: &[u8], value: &[u8]) -> Result<Embedding, StoreError> {
    debug_assert_eq!(Kind::of(key), Some(Kind::Object));
    let payload = codec::open(key, value)?;
    Embedding::from_f16_bytes(payload).map_err(|_| codec::damaged(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BoundingBox, ClassId, ContentHash, ImageRecord};

    fn detection(left_px: f32) -> Detection {
        let bounds = BoundingBox::new(left_px, 0.0, left_px + 1.0, 1.0);
        Detection { class: ClassId(7), score: 0.5, bounds }
    }

    fn embedding(at: usize) -> Embedding {
        let mut values = vec![0.0; 4];
        values[at] = 1.0;
        Embedding::normalize(values).unwrap()
    }

    #[test]
    fn objects_are_replaced_as_a_whole_and_go_with_their_image() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path()).unwrap();
        let (space, id, other) = (SpaceId(1), ImageId(1), ImageId(2));
        let hash = ContentHash::of(b"image");
        let record = ImageRecord {
            hash,
            width_px: 9,
            height_px: 9,
            size_bytes: 1,
            format: "PNG".to_owned(),
            orientation: 1,
            captured_at: None,
            camera: None,
            classes: Vec::new(),
            position: None,
        };
        let named = crate::record::Space {
            name: "object".to_owned(),
            model: "m".to_owned(),
            weights_digest: String::new(),
            preprocessing: String::new(),
            dimension: 4,
        };
        let three = [0.0, 1.0, 2.0].map(detection);
        let embeddings = [0, 1, 2].map(embedding);
        store
            .write(|writer| {
                assert_eq!(writer.add_space(&named)?, space);
                assert_eq!(writer.put_image(&record)?, id);
                writer.put_objects(space, id, &three, &embeddings)?;
                writer.put_objects(space, other, &[], &[])
            })
            .unwrap();
        assert_eq!(store.detections(space, id).unwrap().unwrap(), three);
        assert_eq!(store.detections(space, other).unwrap().unwrap(), []);
        assert_eq!(store.detections(space, ImageId(3)).unwrap(), None);
        store
            .write(|writer| writer.put_objects(space, id, &three[..1], &embeddings[1..2]))
            .unwrap();
        let all: Vec<_> = store.object_embeddings(space).map(Result::unwrap).collect();
        assert_eq!(all, [((id, 0), embeddings[1].clone())]);
        store.write(|writer| writer.remove_image(id, &hash)).unwrap();
        assert_eq!(store.object_embeddings(space).count(), 0);
        assert!(!store.has_detections(space, id).unwrap());
        assert!(store.has_detections(space, other).unwrap());
    }
}
