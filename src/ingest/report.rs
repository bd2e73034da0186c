//! What an indexing run did, and how far it is.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

/// What an indexing run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IngestReport {
    /// Files with content that the database did not know.
    pub added: u64,
    /// Known files whose content is another now.
    pub changed: u64,
    /// Known files that were not read again.
    pub unchanged: u64,
    /// Files that were missing and are there again; they are among the unchanged.
    pub returned: u64,
    /// Files with known content whose old place is gone.
    pub moved: u64,
    /// Further files with content that is there already.
    pub copied: u64,
    /// Files that were there before and are gone; what is known of them is kept.
    pub missing: u64,
    /// Files that were being written, left for a later run.
    pub unsettled: u64,
    /// Images that went through the network.
    pub embedded: u64,
    /// Objects found on those images; none when they were not looked for.
    pub objects: u64,
    /// Files that look like images and cannot be read.
    pub failed: Vec<Failure>,
    /// Files without the name or the start of an image.
    pub other_files: u64,
    /// Symbolic links that were not followed.
    pub links_skipped: u64,
    /// Folders and volumes that cannot be reached, or hold no image any more though
    /// some in them are known: nothing in them counts as missing.
    #[serde(serialize_with = "as_texts")]
    pub offline: Vec<PathBuf>,
    /// Whether the run was ended early by its caller.
    pub interrupted: bool,
    /// Wall time in seconds.
    #[serde(rename = "seconds", serialize_with = "as_seconds")]
    pub elapsed: Duration,
}

/// A file that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file or folder.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Why, in one sentence.
    pub reason: String,
}

/// How far an indexing run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether all files have been found, so that `queued` is final.
    pub scanned: bool,
    /// Files found that need reading.
    pub queued: u64,
    /// Files read and committed or about to be.
    pub done: u64,
    /// Files that did not need reading.
    pub unchanged: u64,
    /// Files that cannot be read.
    pub failed: u64,
}

fn as_seconds<S: serde::Serializer>(elapsed: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn as_text<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

fn as_texts<S: serde::Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
    // serde refuses a path that is not UTF-8, and with it the whole report.
    to.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
