//! Duplicates go to the trash, each after a last look at it and at the file that is kept.

use std::path::{Path, PathBuf};

use super::Database;
use crate::error::Error;
use crate::record::{ContentHash, ImageId, Location, LocationRecord, LocationState};

impl Database {
    /// Moves a file of an image to the trash of the system, while another file is kept, and notes
    /// that it is gone.
    ///
    /// Reads both files whole.
    ///
    /// # Errors
    /// [`Error::Changed`] when either file does not hold its image any more, [`Error::SameFile`]
    /// when both are names of one file, [`Error::File`], [`Error::Trash`]: nothing was moved then;
    /// [`Error::Store`]: it was, and the next [`Database::index`] will note it.
    pub fn discard(
        &self,
        (id, location): (ImageId, &Location),
        kept: (ImageId, &Location),
    ) -> Result<(), Error> {
        let kept = self.last_look(kept.0, kept.1)?;
        let path = self.last_look(id, location)?;
        // A link to the kept file would leave nothing.
        if same_file::is_same_file(&path, &kept).unwrap_or(true) {
            return Err(Error::SameFile { path });
        }
        trash::delete(&path).map_err(|source| Error::Trash { path, source })?;
        self.forget_file(location)
    }

    /// The path of a file that holds an image now.
    fn last_look(&self, id: ImageId, location: &Location) -> Result<PathBuf, Error> {
        let path = location.to_path(&self.home);
        let hash = self.store.image(id)?.ok_or(Error::UnknownImage { id })?.hash;
        let is_known = self.store.locations_of(id)?.contains(location);
        if is_known && read(&path)? == hash { Ok(path) } else { Err(Error::Changed { path }) }
    }

    /// Notes that a file is gone, as the next run of [`Database::index`] would.
    fn forget_file(&self, location: &Location) -> Result<(), Error> {
        let Some(record) = self.store.location(location)? else { return Ok(()) };
        self.forget_loaded();
        Ok(self.store.write(|writer| match record.state {
            LocationState::Present(id) if self.store.locations_of(id)?.len() == 1 => {
                let state = LocationState::Missing(id);
                writer.put_location(location, &LocationRecord { state, ..record })
            }
            _ => writer.remove_location(location),
        })?)
    }
}

fn read(path: &Path) -> Result<ContentHash, Error> {
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(ContentHash::of(&bytes))
}
