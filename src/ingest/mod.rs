//! Indexing: from folders of files to records in the store.
//!
//! Files are found in a fixed order, read, decoded and embedded on all cores, and
//! committed in the order in which they were found. An index that was killed and
//! resumed therefore ends with the very numbers of one that was not.

mod commit;
mod error;
mod large;
mod missing;
mod permits;
mod pipeline;
mod reach;
mod read;
mod report;
mod scan;
mod volumes;
mod watch;
mod work;

use std::path::Path;
use std::time::Duration;

pub use error::IngestError;
pub use pipeline::run;
pub use reach::{FileState, Offline, Reach};
pub use report::{Failure, IngestReport, Progress};
pub use watch::{FolderWatch, Wake, WatchError};

use crate::imaging::DecodeLimits;
use crate::inference::{Detector, Encoder};
use crate::record::{ImageId, SpaceId};
use crate::store::{Store, StoreError};
use crate::thumbs::Thumbnails;

/// What an indexing run works on.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Where records go.
    pub store: &'a Store,
    /// The folder that the paths of the store are relative to.
    pub home: &'a Path,
    /// What embeds the images.
    pub encoder: &'a dyn Encoder,
    /// The encoder's space in this store.
    pub space: SpaceId,
    /// Whether another space serves: of images that are known already only the embedding is added,
    /// so that their classes stay those of the network that serves.
    pub beside: bool,
    /// What looks for objects, and the space of objects; none are looked for when absent.
    pub detector: Option<(&'a dyn Detector, SpaceId)>,
    /// Where thumbnails go.
    pub thumbs: &'a Thumbnails,
}

impl Target<'_> {
    /// Whether all is known of an image that this run would find out.
    fn is_complete(&self, id: ImageId) -> Result<bool, StoreError> {
        Ok(self.lacks(id)?.is_none())
    }

    /// What this run has to find out of an image that the store knows.
    fn lacks(&self, id: ImageId) -> Result<Lacking, StoreError> {
        Ok(Lacking {
            embedding: !self.store.has_embedding(self.space, id)?,
            fingerprint: !self.store.has_fingerprint(id)?,
            objects: match self.detector {
                Some((_, space)) => !self.store.has_detections(space, id)?,
                None => false,
            },
        })
    }
}

/// What is not known yet of an image.
#[derive(Clone, Copy, Debug)]
struct Lacking {
    embedding: bool,
    fingerprint: bool,
    objects: bool,
}

impl Lacking {
    fn is_none(self) -> bool {
        !(self.embedding || self.fingerprint || self.objects)
    }
}

/// How to index.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Images that are decoded and embedded at a time; at least 1.
    pub threads: usize,
    /// What a single image may cost.
    pub limits: DecodeLimits,
    /// Which files are looked at.
    pub walk: WalkOptions,
    /// Leave files for a later run that were changed within this time: somebody
    /// may still be writing them. None are left when absent.
    pub unsettled_for: Option<Duration>,
    /// Keep a thumbnail of each image that is read; one that cannot be written is made when it is
    /// needed.
    pub thumbnails: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            limits: DecodeLimits::default(),
            walk: WalkOptions::default(),
            unsettled_for: None,
            thumbnails: true,
        }
    }
}

/// Which files below a folder are looked at.
#[derive(Clone, Debug, Default)]
pub struct WalkOptions {
    /// Look into hidden files and folders.
    pub hidden: bool,
    /// Follow symbolic links.
    pub follow_links: bool,
    /// Do not read `.gitignore`, `.ignore` and `.lookalikeignore`.
    pub no_ignore: bool,
    /// Leave out what matches one of these globs.
    pub exclude: Vec<String>,
    /// Folders below the given one to descend; no limit when absent.
    pub depth_max: Option<usize>,
}

/// How a run talks to its caller while it works.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Asked between files; `true` ends the run, keeping what was done.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Told after each file.
    pub on_progress: &'a (dyn Fn(&Progress) + Sync),
}

impl Default for Control<'_> {
    fn default() -> Self {
        Self { cancelled: &|| false, on_progress: &|_| () }
    }
}
