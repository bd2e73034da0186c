//! What a database holds, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Database;
use crate::error::Error;
use crate::record::{Location, LocationState, Space};
use crate::store::FORMAT_VERSION;

/// What a database holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Distinct images that have a file.
    pub images: u64,
    /// Distinct images whose files are all missing.
    pub images_missing: u64,
    /// Files that hold an image.
    pub files: u64,
    /// Those of them whose folder or volume cannot be reached now.
    pub files_offline: u64,
    /// Files that could not be read.
    pub files_failed: u64,
    /// Images by file format.
    pub formats: BTreeMap<String, u64>,
    /// Total size of the images' files, each content once.
    pub image_bytes: u64,
    /// Images labelled by the user.
    pub labelled: u64,
    /// Images labelled by the trained classifier.
    pub predicted: u64,
    /// Images on which somebody has looked for objects.
    pub images_searched_for_objects: u64,
    /// Objects on them.
    pub objects: u64,
    /// What the embeddings are.
    pub space: Space,
    /// Images with an embedding in this space.
    pub embeddings: u64,
    /// `exact` or `graph`: how a search goes.
    pub vector_index: String,
    /// Length of the store's files.
    pub store_bytes: u64,
    /// Version of the directory's format.
    pub format_version: u32,
    /// Transactions so far.
    pub sequence: u64,
}

impl Database {
    /// Counts what the database holds.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn stats(&self) -> Result<Stats, Error> {
        let rows = self.rows()?;
        let rows = rows.as_slice();
        let present = rows.iter().filter(|row| !row.locations.is_empty());
        let mut formats = BTreeMap::new();
        for row in present.clone() {
            *formats.entry(row.record.format.clone()).or_default() += 1;
        }
        let mut files_failed = 0;
        for entry in self.store.locations() {
            let (_, record) = entry?;
            files_failed += u64::from(matches!(record.state, LocationState::Failed { .. }));
        }
        let reach = self.reach()?;
        let is_offline =
            |location: &&Location| reach.offline(&location.to_path(&self.home)).is_some();
        let files_offline = rows.iter().flat_map(|row| &row.locations).filter(is_offline).count();
        let images = present.clone().count() as u64;
        let found = self.object_counts()?;
        Ok(Stats {
            images,
            images_missing: rows.len() as u64 - images,
            files: rows.iter().map(|row| row.locations.len() as u64).sum(),
            files_offline: files_offline as u64,
            files_failed,
            formats,
            image_bytes: present.map(|row| row.record.size_bytes).sum(),
            labelled: rows.iter().filter(|row| row.label.is_some()).count() as u64,
            predicted: rows.iter().filter(|row| row.prediction.is_some()).count() as u64,
            images_searched_for_objects: found.images,
            objects: found.objects,
            space: self.encoder.space().clone(),
            embeddings: rows.len() as u64,
            vector_index: match self.graph()?.ready() {
                Some(_) => "graph".to_owned(),
                None => "exact".to_owned(),
            },
            store_bytes: self.store.size_bytes(),
            format_version: FORMAT_VERSION,
            sequence: self.store.manifest().sequence,
        })
    }
}
