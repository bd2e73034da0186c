//! What is really gone: images without any file, which only this database still knows.

use std::collections::{HashMap, HashSet};

use super::Database;
use crate::error::Error;
use crate::ingest::FileState;
use crate::record::{ContentHash, ImageId, Location, LocationState};
use crate::store::StoreError;

/// Images removed in one transaction.
const BATCH_IMAGES: usize = 500;

/// An image that has no file any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Its number.
    pub id: ImageId,
    /// Its content.
    pub hash: ContentHash,
    /// Length that its files had.
    pub size_bytes: u64,
    /// Where its files were missing at the last index; empty when they got another content.
    pub missing: Vec<Location>,
    /// The label that you gave it, which is kept.
    pub label: Option<String>,
}

impl Database {
    /// Finds the images that are really gone, ordered by number.
    ///
    /// Those are the ones with no known file left: each was missing at the last
    /// index of a folder that can be reached now, and is not there now either.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn garbage(&self) -> Result<Vec<Garbage>, Error> {
        let roots: Vec<_> =
            self.roots()?.into_iter().filter(|root| root.offline.is_none()).collect();
        let reach = self.reach()?;
        let mut kept = HashSet::new();
        let mut missing: HashMap<ImageId, Vec<Location>> = HashMap::new();
        for entry in self.store.locations() {
            let (location, record) = entry?;
            match record.state {
                LocationState::Present(id) => {
                    kept.insert(id);
                }
                LocationState::Missing(id) => {
                    let path = location.to_path(&self.home);
                    let known = roots.iter().any(|root| path.starts_with(&root.path));
                    if known && reach.file(&path) == FileState::Gone {
                        missing.entry(id).or_default().push(location);
                    } else {
                        kept.insert(id);
                    }
                }
                LocationState::Failed { .. } => {}
            }
        }
        let mut garbage = Vec::new();
        for entry in self.store.images() {
            let (id, record) = entry?;
            if !kept.contains(&id) {
                garbage.push(Garbage {
                    id,
                    hash: record.hash,
                    size_bytes: record.size_bytes,
                    missing: missing.remove(&id).unwrap_or_default(),
                    label: self.store.label_of(&record.hash)?,
                });
            }
        }
        Ok(garbage)
    }

    /// Removes what the database knows of images, but for your labels.
    ///
    /// Labels belong to content and come back with it. The thumbnails go too. The vector graph does not
    /// fit any more then; the next [`Database::update_graph`] builds it again.
    ///
    /// # Errors
    /// [`Error::Store`]; the images of finished batches are then gone.
    pub fn remove_garbage(&self, garbage: &[Garbage]) -> Result<(), Error> {
        self.forget_loaded();
        for batch in garbage.chunks(BATCH_IMAGES) {
            self.store.write(|writer| {
                for image in batch {
                    for location in &image.missing {
                        writer.remove_location(location)?;
                    }
                    writer.remove_image(image.id, &image.hash)?;
                }
                Ok::<(), StoreError>(())
            })?;
            batch.iter().for_each(|image| self.thumbs.remove(&image.hash));
        }
        Ok(())
    }
}
