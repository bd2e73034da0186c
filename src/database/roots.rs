//! The folders that a database is about, and which of them can be reached.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Database;
use crate::error::Error;
use crate::ingest::{Offline, Reach};
use crate::record::{Location, LocationState};
use crate::store::StoreError;

/// Locations forgotten in one transaction.
const BATCH_LOCATIONS: usize = 2_000;

/// A folder that was indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Root {
    /// The folder.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Files in it that hold an image, as far as is known.
    pub files: u64,
    /// Why it cannot be reached; absent when it can be.
    pub offline: Option<Offline>,
}

impl Database {
    /// The folders that were indexed, ordered by path.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn roots(&self) -> Result<Vec<Root>, Error> {
        let reach = self.reach()?;
        let folders = self.store.roots()?.folders;
        let mut roots: Vec<Root> = folders
            .iter()
            .map(|folder| folder.to_path(&self.home))
            .map(|path| Root { files: 0, offline: reach.offline(&path), path })
            .collect();
        for entry in self.store.locations() {
            let (location, record) = entry?;
            if matches!(record.state, LocationState::Present(_)) {
                let path = location.to_path(&self.home);
                let root = roots.iter_mut().find(|root| path.starts_with(&root.path));
                root.into_iter().for_each(|root| root.files += 1);
            }
        }
        roots.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(roots)
    }

    /// Looks which of the folders and volumes cannot be reached now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn reach(&self) -> Result<Reach, Error> {
        Ok(Reach::now(&self.store.roots()?, &self.home, self.directory()))
    }

    /// The places at, above or below the roots where a file system was mounted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn volumes(&self) -> Result<Vec<PathBuf>, Error> {
        let roots = self.store.roots()?;
        Ok(roots.volumes.iter().map(|volume| volume.to_path(&self.home)).collect())
    }

    /// Forgets a root and where images lay in it, and gives the number of files.
    ///
    /// For folders that will not come back. What is known of the images stays
    /// until [`Database::remove_garbage`]; nothing happens to files.
    ///
    /// # Errors
    /// [`Error::UnknownRoot`]; [`Error::Store`].
    pub fn forget_root(&self, folder: &Path) -> Result<u64, Error> {
        let mut roots = self.store.roots()?;
        if !roots.folders.remove(&self.locate(folder)) {
            return Err(Error::UnknownRoot { path: folder.to_owned() });
        }
        let mut gone: Vec<Location> = Vec::new();
        for entry in self.store.locations() {
            let (location, _) = entry?;
            if location.to_path(&self.home).starts_with(folder) {
                gone.push(location);
            }
        }
        self.forget_loaded();
        for batch in gone.chunks(BATCH_LOCATIONS) {
            self.store.write(|writer| -> Result<(), StoreError> {
                batch.iter().try_for_each(|location| writer.remove_location(location))
            })?;
        }
        let left: Vec<PathBuf> =
            roots.folders.iter().map(|folder| folder.to_path(&self.home)).collect();
        roots.volumes.retain(|volume| {
            let volume = volume.to_path(&self.home);
            left.iter().any(|root| root.starts_with(&volume) || volume.starts_with(root))
        });
        // Last, so that a killed run can be run again.
        self.store.set_roots(&roots)?;
        Ok(gone.len() as u64)
    }
}

fn as_text<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}
