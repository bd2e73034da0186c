//! What can be typed of `lookalike eval`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::EvalDetectionArgs;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(in crate::cli) struct EvalArgs {
    /// Folder whose sub-folders are the classes; indexed first if need be
    #[arg(value_name = "DIR", required = true)]
    pub(in crate::cli) folder: Option<PathBuf>,
    #[command(subcommand)]
    pub(in crate::cli) what: Option<EvalCommand>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum EvalCommand {
    /// Measure a detector: average precision as COCO defines it
    Detection(EvalDetectionArgs),
    /// Measure retrieval: precision, recall and average precision of neighbors
    Retrieval(EvalRetrievalArgs),
    /// Compare two spaces: are images alike under one network also alike under the other?
    Compare(EvalCompareArgs),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalRetrievalArgs {
    /// Folder whose sub-folders are the classes; indexed first if need be
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) labels_from_folders: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalCompareArgs {
    /// Number of a space, or its network [default: list the spaces]
    #[arg(value_name = "SPACE_A", requires = "right")]
    pub(in crate::cli) left: Option<String>,
    /// Another
    #[arg(value_name = "SPACE_B")]
    pub(in crate::cli) right: Option<String>,
    /// Write a picture: all pairs of images by their similarity in both spaces, as SVG
    #[arg(long, short, value_name = "FILE", requires = "right")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Seed of the sample that is compared where there are more than 4096 images
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) seed: u64,
}
