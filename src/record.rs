//! The nouns of the database: identities, records, and where an image lies.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod detection;
mod fingerprint;
mod position;

pub use detection::{BoundingBox, Detection};
pub use fingerprint::{Fingerprint, Quality};
pub use position::Position;

/// The number of an image in one database, given in the order of arrival from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub u64);

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The BLAKE3 digest of a file's bytes: what an image *is*, wherever it lies.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes the bytes of a file.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Reads 64 hexadecimal digits; `None` for anything else.
    pub fn from_hex(hex: &str) -> Option<Self> {
        blake3::Hash::from_hex(hex).ok().map(|hash| Self(*hash.as_bytes()))
    }
}

/// 64 hexadecimal digits where people read it, 32 bytes elsewhere.
impl Serialize for ContentHash {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return Deserialize::deserialize(from).map(Self);
        }
        let hex = String::deserialize(from)?;
        Self::from_hex(&hex).ok_or_else(|| serde::de::Error::custom("expected 64 hex digits"))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// The path of a file, as raw bytes with `/` between its parts.
///
/// Below the *home* of a database (the folder that holds its directory) a path
/// is relative to it, so that the whole folder can be moved; elsewhere it is
/// absolute. Bytes, because a file name need not be UTF-8 and must still
/// round-trip.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location(Vec<u8>);

impl Location {
    /// Takes bytes that [`Location::as_bytes`] gave.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Gives the location of an absolute path in a database with this home.
    pub fn of(path: &Path, home: &Path) -> Self {
        Self(platform::to_bytes(path.strip_prefix(home).unwrap_or(path)))
    }

    /// Gives the absolute path in a database with this home.
    pub fn to_path(&self, home: &Path) -> PathBuf {
        // The home itself is the empty location; joining it would end the path with `/`.
        if self.0.is_empty() { home.to_owned() } else { home.join(platform::to_path(&self.0)) }
    }

    /// Gives the raw bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this location is `folder` or lies below it.
    ///
    /// Everything relative lies below the empty location, which is the home.
    pub fn is_under(&self, folder: &Location) -> bool {
        if folder.0.is_empty() {
            return !platform::to_path(&self.0).is_absolute();
        }
        match self.0.strip_prefix(folder.0.as_slice()) {
            Some(rest) => rest.is_empty() || rest[0] == b'/' || folder.0.ends_with(b"/"),
            None => false,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(unix)]
mod platform {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    pub(super) fn to_bytes(path: &Path) -> Vec<u8> {
        path.as_os_str().as_bytes().to_vec()
    }

    pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
        PathBuf::from(OsStr::from_bytes(bytes))
    }
}

#[cfg(not(unix))]
mod platform {
    use std::path::{Path, PathBuf};

    // A name with an unpaired surrogate is kept in its replaced form, which
    // cannot be opened and therefore ends in the report as unreadable.
    pub(super) fn to_bytes(path: &Path) -> Vec<u8> {
        path.to_string_lossy().replace('\\', "/").into_bytes()
    }

    pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
        PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// What the last run of `index` knows of one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationRecord {
    /// What was found there.
    pub state: LocationState,
    /// The stamp of the file when it was read.
    pub stamp: FileStamp,
}

/// What was found at a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocationState {
    /// The file holds this image.
    Present(ImageId),
    /// The file is gone; it held this image.
    Missing(ImageId),
    /// The file looks like an image and cannot be read.
    Failed {
        /// Why, as one sentence.
        reason: String,
        /// The version of the image reader that failed: a newer one tries again.
        reader_version: u32,
    },
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// Length of the file.
    pub size_bytes: u64,
    /// Modification time since the Unix epoch; 0 when it is not to be trusted.
    pub modified_ns: i64,
}

/// What is known of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// The identity of the content.
    pub hash: ContentHash,
    /// Width after orientation.
    pub width_px: u32,
    /// Height after orientation.
    pub height_px: u32,
    /// Length of the file.
    pub size_bytes: u64,
    /// Name of the container format, such as `JPEG`.
    pub format: String,
    /// EXIF orientation that was applied, 1 to 8; 1 for formats that turn their image themselves.
    pub orientation: u8,
    /// Capture time as the camera wrote it, local time without a zone.
    pub captured_at: Option<String>,
    /// Camera make and model.
    pub camera: Option<String>,
    /// The likeliest classes of the encoder, most probable first.
    pub classes: Vec<ClassScore>,
    /// Where the photo was taken, if the camera wrote it down.
    pub position: Option<Position>,
}

/// A class of an encoder with its probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Index into the encoder's class names.
    pub class: ClassId,
    /// Softmax probability, 0 to 1.
    pub probability: f32,
}

/// The index of a class in the encoder's list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassId(pub u16);

/// A label that a classifier gave to an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The most probable label.
    pub label: String,
    /// How probable it is that it is right, 0 to 1, as cross-validation of the examples says.
    #[serde(alias = "vote_share")]
    pub confidence: f32,
}

/// Everything that decides what the numbers of an embedding mean.
///
/// Embeddings of different spaces are never compared: a new model, new weights
/// or another preprocessing is a new space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Purpose of the embeddings, such as `content`.
    pub name: String,
    /// Network, such as `efficientnet-lite0`.
    pub model: String,
    /// BLAKE3 digest of the weights file, in hexadecimal.
    pub weights_digest: String,
    /// How a decoded image becomes the network's input.
    pub preprocessing: String,
    /// Length of an embedding.
    pub dimension: u32,
}

impl Space {
    /// Whether its embeddings are of whole images.
    pub fn is_content(&self) -> bool {
        self.name == "content"
    }

    /// A digest over all fields: two spaces are the same if it is the same.
    pub fn digest(&self) -> [u8; 32] {
        let fields = [&self.name, &self.model, &self.weights_digest, &self.preprocessing];
        let mut hasher = blake3::Hasher::new();
        for field in fields {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        hasher.update(&self.dimension.to_le_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// The number of a space in one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpaceId(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_with_the_same_prefix_is_not_under_a_folder() {
        let home = Path::new("/home/me/photos");
        let location = |text: &str| Location::of(&home.join(text), home);
        assert!(location("cats/a.jpg").is_under(&location("cats")));
        assert!(location("cats").is_under(&location("cats")));
        assert!(location("cats/a.jpg").is_under(&Location::of(home, home)));
        assert!(!location("cats2/a.jpg").is_under(&location("cats")));
        assert!(!location("a.jpg").is_under(&location("cats")));
    }

    #[cfg(unix)]
    #[test]
    fn only_paths_below_the_home_are_relative() {
        let home = Path::new("/home/me/photos");
        let inside = Location::of(Path::new("/home/me/photos/cats/a.jpg"), home);
        let outside = Location::of(Path::new("/media/usb/b.jpg"), home);
        assert_eq!(inside.as_bytes(), b"cats/a.jpg");
        assert_eq!(outside.as_bytes(), b"/media/usb/b.jpg");
        assert_eq!(inside.to_path(Path::new("/moved")), Path::new("/moved/cats/a.jpg"));
        assert_eq!(outside.to_path(Path::new("/moved")), Path::new("/media/usb/b.jpg"));
        assert!(!outside.is_under(&Location::of(home, home)));
        assert!(outside.is_under(&Location::of(Path::new("/"), home)));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_survives_the_round_trip() {
        let home = Path::new("/home/me");
        let location = Location::from_bytes(b"holiday/\xff\xfe.jpg".to_vec());
        assert_eq!(Location::of(&location.to_path(home), home), location);
    }

    #[test]
    fn a_content_hash_reads_its_own_text() {
        let hash = ContentHash::of(b"image");
        assert_eq!(ContentHash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(ContentHash::from_hex("12"), None);
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"{hash}\""));
        assert_eq!(serde_json::from_str::<ContentHash>(&json).unwrap(), hash);
        let bytes = postcard::to_stdvec(&hash).unwrap();
        assert_eq!(bytes, hash.0);
        assert_eq!(postcard::from_bytes::<ContentHash>(&bytes).unwrap(), hash);
    }

    #[test]
    fn every_field_of_a_space_changes_its_digest() {
        let base = Space {
            name: "content".into(),
            model: "net".into(),
            weights_digest: "00".into(),
            preprocessing: "squash".into(),
            dimension: 8,
        };
        let changed = [
            Space { name: "object".into(), ..base.clone() },
            Space { model: "net2".into(), ..base.clone() },
            Space { weights_digest: "01".into(), ..base.clone() },
            Space { preprocessing: "pad".into(), ..base.clone() },
            Space { dimension: 9, ..base.clone() },
            // The same bytes, cut between the fields at another place.
            Space { name: "contentn".into(), model: "et".into(), ..base.clone() },
        ];
        for other in changed {
            assert_ne!(other.digest(), base.digest(), "{other:?}");
        }
    }
}
