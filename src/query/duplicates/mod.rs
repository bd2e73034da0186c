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

use crate::imaging::{Alignment, Turn};

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

    /// In what way two images are the same, in words: what was done to an edited one, if that was
    /// found out.
    pub fn described(self, alignment: Option<Alignment>) -> String {
        let Some(alignment) = alignment.filter(|_| self == Self::Edited) else {
            return self.name().to_owned();
        };
        let mut words = Vec::new();
        words.extend(match alignment.turn {
            Turn::None => None,
            Turn::Mirrored | Turn::Flipped => Some("mirrored".to_owned()),
            Turn::HalfTurn => Some("upside down".to_owned()),
            Turn::Clockwise | Turn::Counterclockwise => Some("turned".to_owned()),
            Turn::Transposed | Turn::Transversed => Some("turned and mirrored".to_owned()),
        });
        if alignment.share < 0.97 {
            words.push(format!("cropped to {:.0} %", alignment.share * 100.0));
        }
        if words.is_empty() {
            words.push("marked or with other tones".to_owned());
        }
        words.join(", ")
    }
}
