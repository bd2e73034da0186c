//! Keys: one byte for the kind, then fixed-width big-endian numbers, then free bytes.
//!
//! Big-endian, so that the order of the keys is the order of the numbers.

use crate::record::{ContentHash, ImageId, Location, SpaceId};

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The one state record.
    State = b'0',
    /// Space number -> what its numbers mean.
    Space = b's',
    /// Image number -> image record.
    Image = b'i',
    /// Content hash -> image number.
    Hash = b'h',
    /// Path -> location record.
    Location = b'l',
    /// Image number, path -> nothing: the locations of an image.
    ImageLocation = b'p',
    /// Space number, image number -> embedding in 16-bit floats; until version 3.
    Embedding = b'e',
    /// Space number, image number -> slot of the embedding in its segment.
    Slot = b'v',
    /// Content hash -> the user's label, which outlives the image's record.
    Label = b'u',
    /// Image number -> the forest's label.
    Prediction = b'g',
    /// The one trained forest.
    Forest = b'f',
    /// Space number, image number -> what was detected.
    Detections = b'd',
    /// Space number, image number, object number -> embedding in 16-bit floats.
    Object = b'o',
    /// Image number -> what is kept of its pixels.
    Fingerprint = b'q',
    /// Two content hashes, the lower first -> nothing: the user says that they are not the same.
    Distinct = b'n',
}

impl Kind {
    pub(super) const ALL: [Self; 15] = [
        Self::State,
        Self::Space,
        Self::Image,
        Self::Hash,
        Self::Location,
        Self::ImageLocation,
        Self::Embedding,
        Self::Slot,
        Self::Label,
        Self::Prediction,
        Self::Forest,
        Self::Detections,
        Self::Object,
        Self::Fingerprint,
        Self::Distinct,
    ];

    /// The kinds whose keys begin with the number of a space, but for the space itself.
    pub(super) const IN_SPACES: [Self; 4] =
        [Self::Embedding, Self::Slot, Self::Detections, Self::Object];

    /// The kind of a key, `None` for a key that no version wrote.
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| key.first() == Some(&(*kind as u8)))
    }

    /// The kind of a key in words.
    pub(super) fn name_of(key: &[u8]) -> &'static str {
        match Self::of(key) {
            Some(Self::State) => "state",
            Some(Self::Space) => "space",
            Some(Self::Image) => "image",
            Some(Self::Hash) => "hash",
            Some(Self::Location) => "location",
            Some(Self::ImageLocation) => "image location",
            Some(Self::Embedding | Self::Slot) => "embedding",
            Some(Self::Label) => "label",
            Some(Self::Prediction) => "prediction",
            Some(Self::Forest) => "forest",
            Some(Self::Detections) => "detections",
            Some(Self::Object) => "object",
            Some(Self::Fingerprint) => "fingerprint",
            Some(Self::Distinct) => "decision",
            None => "unknown",
        }
    }

    /// The prefix that all keys of this kind share.
    pub(super) fn prefix(self) -> [u8; 1] {
        [self as u8]
    }
}

pub(super) fn state() -> Vec<u8> {
    vec![Kind::State as u8]
}

pub(super) fn forest() -> Vec<u8> {
    vec![Kind::Forest as u8]
}

pub(super) fn space(id: SpaceId) -> Vec<u8> {
    key(Kind::Space, &[&id.0.to_be_bytes()])
}

pub(super) fn image(id: ImageId) -> Vec<u8> {
    key(Kind::Image, &[&id.0.to_be_bytes()])
}

pub(super) fn hash(hash: &ContentHash) -> Vec<u8> {
    key(Kind::Hash, &[&hash.0])
}

pub(super) fn location(location: &Location) -> Vec<u8> {
    key(Kind::Location, &[location.as_bytes()])
}

pub(super) fn image_location(id: ImageId, location: &Location) -> Vec<u8> {
    key(Kind::ImageLocation, &[&id.0.to_be_bytes(), location.as_bytes()])
}

pub(super) fn image_locations(id: ImageId) -> Vec<u8> {
    key(Kind::ImageLocation, &[&id.0.to_be_bytes()])
}

pub(super) fn embedding(space: SpaceId, id: ImageId) -> Vec<u8> {
    key(Kind::Embedding, &[&space.0.to_be_bytes(), &id.0.to_be_bytes()])
}

pub(super) fn slot(space: SpaceId, id: ImageId) -> Vec<u8> {
    key(Kind::Slot, &[&space.0.to_be_bytes(), &id.0.to_be_bytes()])
}

pub(super) fn label(hash: &ContentHash) -> Vec<u8> {
    key(Kind::Label, &[&hash.0])
}

pub(super) fn prediction(id: ImageId) -> Vec<u8> {
    key(Kind::Prediction, &[&id.0.to_be_bytes()])
}

pub(super) fn detections(space: SpaceId, id: ImageId) -> Vec<u8> {
    key(Kind::Detections, &[&space.0.to_be_bytes(), &id.0.to_be_bytes()])
}

pub(super) fn detections_of(space: SpaceId) -> Vec<u8> {
    key(Kind::Detections, &[&space.0.to_be_bytes()])
}

pub(super) fn object(space: SpaceId, id: ImageId, number: u16) -> Vec<u8> {
    let parts = (space.0.to_be_bytes(), id.0.to_be_bytes(), number.to_be_bytes());
    key(Kind::Object, &[&parts.0, &parts.1, &parts.2])
}

pub(super) fn objects_of(space: SpaceId) -> Vec<u8> {
    key(Kind::Object, &[&space.0.to_be_bytes()])
}

pub(super) fn fingerprint(id: ImageId) -> Vec<u8> {
    key(Kind::Fingerprint, &[&id.0.to_be_bytes()])
}

pub(super) fn distinct([a, b]: [&ContentHash; 2]) -> Vec<u8> {
    key(Kind::Distinct, &[&a.min(b).0, &a.max(b).0])
}

/// Reads the two content hashes out of a key of kind [`Kind::Distinct`].
pub(super) fn read_distinct(key: &[u8]) -> Option<[ContentHash; 2]> {
    let (first, second) = key.get(1..)?.split_at_checked(32)?;
    Some([ContentHash(first.try_into().ok()?), ContentHash(second.try_into().ok()?)])
}

/// Reads image and number out of a key of kind [`Kind::Object`].
pub(super) fn read_object(key: &[u8]) -> Option<(ImageId, u16)> {
    let (rest, number) = key.split_last_chunk::<2>()?;
    Some((read_image_id(rest)?, u16::from_be_bytes(*number)))
}

/// Reads the location out of a key of kind [`Kind::Location`].
pub(super) fn read_location(key: &[u8]) -> Option<Location> {
    Some(Location::from_bytes(key.get(1..)?.to_vec()))
}

/// Reads the location out of a key of kind [`Kind::ImageLocation`].
pub(super) fn read_image_location(key: &[u8]) -> Option<Location> {
    Some(Location::from_bytes(key.get(9..)?.to_vec()))
}

/// Reads the content hash out of a key of kind [`Kind::Hash`] or [`Kind::Label`].
pub(super) fn read_hash(key: &[u8]) -> Option<ContentHash> {
    Some(ContentHash(key.get(1..)?.try_into().ok()?))
}

/// Reads the space number out of a key of kind [`Kind::Space`], [`Kind::Embedding`] or
/// [`Kind::Slot`].
pub(super) fn read_space(key: &[u8]) -> Option<SpaceId> {
    Some(SpaceId(u16::from_be_bytes(key.get(1..3)?.try_into().ok()?)))
}

/// Reads the image number that ends a key.
pub(super) fn read_image_id(key: &[u8]) -> Option<ImageId> {
    let tail = key.get(key.len().checked_sub(8)?..)?;
    Some(ImageId(u64::from_be_bytes(tail.try_into().ok()?)))
}

fn key(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![kind as u8];
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_back_from_both_of_its_keys() {
        let place = Location::from_bytes(b"cats/\xff.jpg".to_vec());
        assert_eq!(read_location(&location(&place)), Some(place.clone()));
        let key = image_location(ImageId(3), &place);
        assert_eq!(read_image_location(&key), Some(place));
        assert!(key.starts_with(&image_locations(ImageId(3))));
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        assert!(image(ImageId(255)) < image(ImageId(256)));
        assert_eq!(read_image_id(&image(ImageId(256))), Some(ImageId(256)));
        assert_eq!(read_image_id(&embedding(SpaceId(1), ImageId(9))), Some(ImageId(9)));
    }
}
