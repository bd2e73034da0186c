//! Arguments of the commands about duplicates.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lookalike::Tier;

use super::FilterArgs;

#[derive(Debug, Args)]
pub(in crate::cli) struct DupesArgs {
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArgs,
    /// The least certain kind to show [default: edited; with --apply: reencoded]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(in crate::cli) up_to: Option<Kind>,
    /// Keep files in this folder before all others; may be given several times, the first above all
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) keep_in: Vec<PathBuf>,
    /// Score from which on other pictures are similar: cosine similarity, -1 to 1
    #[arg(long, value_name = "S", default_value_t = 0.9, value_parser = super::parse_score)]
    pub(in crate::cli) min_score: f32,
    /// Move the files that are not kept to the trash
    #[arg(long)]
    pub(in crate::cli) apply: bool,
    /// Say that two images are not the same, for good; nothing else is done
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["apply", "same"])]
    pub(in crate::cli) not_same: Option<Vec<PathBuf>>,
    /// Take --not-same back
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with = "apply")]
    pub(in crate::cli) same: Option<Vec<PathBuf>>,
    /// Number that draws the photos to learn thresholds from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) seed: u64,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LeakArgs {
    /// Folder of the images that are trained on
    #[arg(value_name = "TRAIN")]
    pub(in crate::cli) train: PathBuf,
    /// Folder of the images that are tested on
    #[arg(value_name = "TEST")]
    pub(in crate::cli) test: PathBuf,
    /// The least certain kind to show
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Edited)]
    pub(in crate::cli) up_to: Kind,
    /// Score from which on other pictures are similar: cosine similarity, -1 to 1
    #[arg(long, value_name = "S", default_value_t = 0.9, value_parser = super::parse_score)]
    pub(in crate::cli) min_score: f32,
    /// Exit with status 2 if anything is found, 0 if not
    #[arg(long)]
    pub(in crate::cli) fail_if_found: bool,
    /// Number that draws the photos to learn thresholds from
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) seed: u64,
}

/// How images are the same, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    /// The same file at several places
    Bytes,
    /// The same pixels, with other data beside them
    Pixels,
    /// The same picture in another format, quality or size
    Reencoded,
    /// The same picture cropped, turned, mirrored, marked or with other tones
    Edited,
    /// Another shot of the same camera within seconds
    Burst,
    /// Another picture that looks like it
    Similar,
}

impl From<Kind> for Tier {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Bytes => Self::SameBytes,
            Kind::Pixels => Self::SamePixels,
            Kind::Reencoded => Self::Reencoded,
            Kind::Edited => Self::Edited,
            Kind::Burst => Self::Burst,
            Kind::Similar => Self::Similar,
        }
    }
}
