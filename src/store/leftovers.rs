//! What killed processes leave in the database directory, and who clears it away.

use std::path::Path;

use super::{Store, StoreError, manifest};

/// How everything begins that is filled aside and then renamed.
pub(super) const ASIDE: &str = ".tmp";

impl Store {
    /// Deletes what was filled aside and never renamed, and the generation that the manifest
    /// gives up. The lock is held, so nobody is filling anything now.
    pub(super) fn delete_leftovers(&self) -> Result<(), StoreError> {
        let directory = self.directory();
        let entries = std::fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                delete(&entry.path())?;
            }
        }
        let mut committed = self.committed();
        let Some(abandoned) = committed.manifest.abandoned.take() else { return Ok(()) };
        if abandoned != committed.manifest.generation {
            delete_generation(directory, abandoned)?;
        }
        committed.manifest.write(directory)
    }
}

/// Deletes the files of a generation.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn delete_generation(directory: &Path, generation: u32) -> Result<(), StoreError> {
    delete(&manifest::store_path(directory, generation))?;
    delete(&manifest::segments_path(directory, generation))
}

/// Deletes a file or a folder with all that is in it; one that is not there is deleted already.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn delete(path: &Path) -> Result<(), StoreError> {
    let deleted =
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match deleted {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("delete", path)(error))
        }
        _ => Ok(()),
    }
}
