//! Images that are the same, and what the user says of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter::Filter;
use super::image::ImageSummary;

/// Which duplicates to look for among which images.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"up_to": "edited"}))]
pub(in crate::server) struct DuplicatesRequest {
    pub(in crate::server) filter: Option<Filter>,
    /// The least certain kind; `edited` when absent.
    pub(in crate::server) up_to: Option<Tier>,
    /// Cosine similarity from which on other pictures are `similar`, -1 to 1; 0.9 when absent.
    #[schema(minimum = -1, maximum = 1)]
    pub(in crate::server) similar_min: Option<f32>,
    /// Draws the photos that thresholds are learned from.
    #[serde(default)]
    #[schema(maximum = 65535)]
    pub(in crate::server) seed: u16,
}

/// How two images are the same, the most certain first.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::server) enum Tier {
    /// The same file, byte by byte, at several places.
    SameBytes,
    /// The same pixels in another file.
    SamePixels,
    /// The same picture in another format, quality or size.
    Reencoded,
    /// The same picture cropped, turned, mirrored, marked or with other tones.
    Edited,
    /// Another shot of the same camera within seconds.
    Burst,
    /// Another picture that looks like it.
    Similar,
}

impl From<Tier> for crate::query::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::SameBytes => Self::SameBytes,
            Tier::SamePixels => Self::SamePixels,
            Tier::Reencoded => Self::Reencoded,
            Tier::Edited => Self::Edited,
            Tier::Burst => Self::Burst,
            Tier::Similar => Self::Similar,
        }
    }
}

impl From<crate::query::Tier> for Tier {
    fn from(tier: crate::query::Tier) -> Self {
        match tier {
            crate::query::Tier::SameBytes => Self::SameBytes,
            crate::query::Tier::SamePixels => Self::SamePixels,
            crate::query::Tier::Reencoded => Self::Reencoded,
            crate::query::Tier::Edited => Self::Edited,
            crate::query::Tier::Burst => Self::Burst,
            crate::query::Tier::Similar => Self::Similar,
        }
    }
}

/// Groups of files that are the same, the most certain first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Duplicates {
    pub(in crate::server) groups: Vec<DuplicateGroup>,
    /// Images that could not be compared before they are indexed again.
    pub(in crate::server) without_fingerprint: u64,
}

/// Files that are the same in some way.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct DuplicateGroup {
    /// The least certain kind among them.
    pub(in crate::server) tier: Tier,
    /// The file that is suggested to be kept.
    pub(in crate::server) keep: DuplicateFile,
    /// The others, the most certain first.
    pub(in crate::server) others: Vec<Duplicate>,
}

/// A file of a group: its image, with the path of this file.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct DuplicateFile {
    #[serde(flatten)]
    pub(in crate::server) image: ImageSummary,
    /// Length of the file.
    pub(in crate::server) size_bytes: u64,
    /// Format of the file.
    #[schema(example = "JPEG")]
    pub(in crate::server) format: String,
}

/// A file that is the same as the one to keep.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Duplicate {
    #[serde(flatten)]
    pub(in crate::server) file: DuplicateFile,
    pub(in crate::server) tier: Tier,
    /// In what way, in words.
    #[schema(example = "turned, cropped to 81 %")]
    pub(in crate::server) how: String,
    /// Cosine similarity of the embeddings, where they are among each other's nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) score: Option<f32>,
    /// Why the other one is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) reason: Option<&'static str>,
}

/// What the user says of two images.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"images": [17, 18], "distinct": true}))]
pub(in crate::server) struct DistinctRequest {
    /// The numbers of the two images.
    pub(in crate::server) images: [u64; 2],
    /// Whether they are not the same, whatever they look like; `false` takes that back.
    pub(in crate::server) distinct: bool,
}

/// Files that go to the trash, and the one that is kept for them.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"keep": {"id": 17, "path": "a.jpg"}, "discard": [{"id": 18, "path": "b.jpg"}]}))]
pub(in crate::server) struct DiscardRequest {
    pub(in crate::server) keep: FileName,
    #[schema(min_items = 1, max_items = 1000)]
    pub(in crate::server) discard: Vec<FileName>,
}

/// A file of an image, as lists show it.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct FileName {
    pub(in crate::server) id: u64,
    pub(in crate::server) path: String,
}

/// What became of the files.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::server) struct Discarded {
    /// Files that lie in the trash now.
    pub(in crate::server) moved: usize,
    /// Files that are where they were.
    pub(in crate::server) stayed: Vec<Stayed>,
}

/// A file that was not moved.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Stayed {
    pub(in crate::server) path: String,
    pub(in crate::server) reason: &'static str,
}
