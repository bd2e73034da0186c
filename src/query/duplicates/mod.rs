//! Duplicates: which images are copies or edits of the same picture, and which of them to keep.
//!
//! Embeddings and perceptual hashes name pairs that may match; their small copies are then laid
//! over each other, which decides. Every member of a group was compared with its hub, so
//! that no chain of small differences joins images that have nothing in common.

mod calibrate;
mod candidates;
mod compare;
mod groups;
mod keep;
mod pairs;

use serde::Serialize;

pub use calibrate::{EditCalibration, EditRecall, Sample, Thresholds};
pub use groups::{Duplicate, DuplicateGroup, Duplicates, group};
pub use keep::KeepRules;
pub use pairs::{NearestImages, Pair, Pairs, find_pairs};

/// How two images are the same, the most certain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The same file, byte by byte, at several places.
    SameBytes,
    /// The same pixels in another file: only what stands beside them differs.
    SamePixels,
    /// The same picture, written in another format, quality or size.
    Reencoded,
    /// The same picture cropped, turned, mirrored, marked or with other tones.
    Edited,
    /// Another shot of the same camera within seconds.
    Burst,
    /// Another picture that looks like it.
    Similar,
}

impl Tier {
    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::SameBytes => "same bytes",
            Self::SamePixels => "same pixels",
            Self::Reencoded => "re-encoded or resized",
            Self::Edited => "edited",
            Self::Burst => "burst",
            Self::Similar => "similar",
        }
    }
}
