//! What `export` writes and `import` reads: one JSON object a line, and arrays for numpy.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::roots::WrittenPath;
use crate::record::{
    ContentHash, Detection, FileStamp, Fingerprint, ImageRecord, Prediction, Quality, Space,
    SpaceId,
};

/// How the components of embeddings are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// As numbers in the line of their image.
    Jsonl,
    /// As rows of `embeddings-<space>.npy`, 16-bit floats.
    Npy,
    /// As lists of 32-bit floats in tables of images and of objects, which `import` does not read.
    Parquet,
}

/// What was exported or imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExchangeReport {
    /// Images.
    pub images: u64,
    /// Embeddings of whole images, of all spaces.
    pub embeddings: u64,
    /// Objects, each with its embedding.
    pub objects: u64,
    /// Labels of the user.
    pub labels: u64,
}

/// One line of `images.jsonl`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// Before the images that have embeddings or objects in it.
    Space { number: u16, space: Space },
    /// An image with all that is known of it.
    Image(Box<ImageLine>),
    /// A file that could not be read.
    Failed { path: WrittenPath, reason: String, reader_version: u32, stamp: FileStamp },
    /// Two images that the user said are not the same.
    Distinct { not_same: [ContentHash; 2] },
    /// A label for content that is not here (any more).
    Label { image: ContentHash, label: String },
}

#[derive(Serialize, Deserialize)]
pub(super) struct ImageLine {
    pub(super) image: ImageRecord,
    pub(super) places: Vec<Place>,
    pub(super) label: Option<String>,
    pub(super) prediction: Option<Prediction>,
    pub(super) embeddings: Vec<EmbeddingLine>,
    /// Absent in what older programs wrote: `index` finds it out again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<FingerprintLine>,
    /// One for each space of objects in which the image has been looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) objects: Vec<ObjectsLine>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FingerprintLine {
    /// The levels of the small copy, as base64.
    luma: String,
    quality: Quality,
}

impl FingerprintLine {
    pub(super) fn of(fingerprint: &Fingerprint) -> Self {
        Self { luma: BASE64.encode(fingerprint.luma()), quality: fingerprint.quality }
    }

    /// `None` when it is none.
    pub(super) fn read(&self) -> Option<Fingerprint> {
        Fingerprint::new(BASE64.decode(&self.luma).ok()?, self.quality)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) path: WrittenPath,
    pub(super) missing: bool,
    pub(super) stamp: FileStamp,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EmbeddingLine {
    /// As a line before this one numbers it.
    pub(super) space: u16,
    #[serde(flatten)]
    pub(super) components: Components,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ObjectsLine {
    /// As a line before this one numbers it.
    pub(super) space: u16,
    /// The surest first; empty where nothing was found.
    pub(super) found: Vec<ObjectLine>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ObjectLine {
    #[serde(flatten)]
    pub(super) detection: Detection,
    #[serde(flatten)]
    pub(super) components: Components,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Components {
    Values(Vec<f32>),
    Row(u64),
}

pub(super) fn lines_path(folder: &Path) -> PathBuf {
    folder.join("images.jsonl")
}

pub(super) fn array_path(folder: &Path, space: SpaceId) -> PathBuf {
    folder.join(format!("embeddings-{}.npy", space.0))
}
