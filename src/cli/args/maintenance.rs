//! Arguments of the commands that look after a database and its folders.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(in crate::cli) struct RootsArgs {
    /// Forget this folder, which will not come back
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) forget: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GcArgs {
    /// Only show what would be removed from the database; so without --apply
    #[arg(long, conflicts_with = "apply")]
    pub(in crate::cli) dry_run: bool,
    /// Remove it; no file is touched
    #[arg(long)]
    pub(in crate::cli) apply: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    /// Images that query the index to measure its recall
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(in crate::cli) queries: usize,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupArgs {
    /// Folder to make; it is a database directory itself
    #[arg(value_name = "DIR")]
    pub(in crate::cli) target: PathBuf,
    /// How long to wait for a process that has the database and writes nothing, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(in crate::cli) wait: u64,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArgs {
    /// Folder that `lookalike backup` made
    #[arg(value_name = "DIR")]
    pub(in crate::cli) backup: PathBuf,
    /// Remove the database that is there, once the backup has proved whole
    #[arg(long)]
    pub(in crate::cli) replace: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// Folder to make; with --format coco a file
    #[arg(value_name = "TARGET")]
    pub(in crate::cli) target: PathBuf,
    /// What is written
    #[arg(long, value_enum, default_value_t = ExportKind::Jsonl, value_name = "FORMAT")]
    pub(in crate::cli) format: ExportKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportKind {
    /// Everything, a line for each image with its embeddings
    Jsonl,
    /// The same, the embeddings in arrays for numpy, 16-bit floats
    Npy,
    /// Tables of images and of objects with their embeddings; `import` does not read them
    Parquet,
    /// The objects, as annotations of COCO: one JSON file of images, objects and classes
    Coco,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// Folder that `lookalike export` made
    #[arg(value_name = "DIR")]
    pub(in crate::cli) source: PathBuf,
}
