//! Compaction: all records into a fresh generation, which then takes the place of the old.

use std::path::Path;

use serde::Serialize;

use super::copy::OnCopied;
use super::leftovers::{ASIDE, delete_generation};
use super::manifest::{segments_path, store_path, sync_folder};
use super::{Store, StoreError};

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// Length of the store's files before.
    pub bytes_before: u64,
    /// Length of the store's files after.
    pub bytes_after: u64,
    /// Records in the new generation.
    pub records: u64,
    /// Number of the new generation.
    pub generation: u32,
}

/// Writes a fresh generation of the store that has no room taken by what was replaced or removed.
///
/// Needs room for both generations until it is done. Killed at any moment, it leaves the old
/// generation or the new one, both whole; what it filled is deleted at the next opening.
/// `on_copied` hears how many records were copied, and of how many.
///
/// # Errors
/// As for [`Store::open`]; [`StoreError::Value`] when a record is damaged;
/// [`StoreError::Io`], a full disk above all. The old generation is then untouched.
pub fn compact(
    directory: &Path,
    on_copied: &dyn Fn(u64, u64),
) -> Result<CompactReport, StoreError> {
    Store::open(directory)?.compact(on_copied)
}

impl Store {
    fn compact(mut self, on_copied: OnCopied<'_>) -> Result<CompactReport, StoreError> {
        let directory = self.directory.clone();
        let bytes_before = self.size_bytes();
        let aside = tempfile::Builder::new()
            .prefix(ASIDE)
            .tempdir_in(&directory)
            .map_err(StoreError::io("create", &directory))?;
        let fresh = Store::create(aside.path())?;
        let records = self.copy_into(&fresh, on_copied)?;
        let bytes_after = fresh.size_bytes();
        fresh.finish()?;
        let fresh = super::Manifest::read(aside.path())?
            .ok_or_else(|| StoreError::NotFound { path: aside.path().to_owned() })?;

        // Closed without a seal: should the last step fail, the old generation is read and
        // checked at the next opening.
        self.close_engine()?;
        let old = self.manifest();
        let generation = old.generation + 1;
        delete_generation(&directory, generation)?;
        let mut manifest = old.clone();
        manifest.abandoned = Some(generation);
        manifest.write(&directory)?;
        rename(&fresh.store_path(aside.path()), &store_path(&directory, generation))?;
        let embeddings = fresh.segments_path(aside.path());
        if embeddings.is_dir() {
            rename(&embeddings, &segments_path(&directory, generation))?;
        }
        sync_folder(&directory).map_err(StoreError::io("write", &directory))?;

        manifest = super::Manifest { generation, abandoned: Some(old.generation), ..fresh };
        manifest.write(&directory)?;
        delete_generation(&directory, old.generation)?;
        manifest.abandoned = None;
        manifest.write(&directory)?;
        Ok(CompactReport { bytes_before, bytes_after, records, generation })
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::rename(from, to).map_err(StoreError::io("rename", from))
}
