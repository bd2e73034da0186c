//! The files of embeddings of one generation of the store, one for each space.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::segment::{Segment, Shape, SlotReader};
use crate::record::{ImageId, SpaceId};

/// Slots of each space's file that were acknowledged, by the number of the space.
pub(super) type SlotCounts = BTreeMap<u16, u64>;

/// All segments of a store.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    open: Mutex<BTreeMap<SpaceId, Segment>>,
}

impl Segments {
    /// Opens the segments in a folder, which need not be there.
    ///
    /// Costs one small read for each space; slots are checked when they are read.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a file is gone, shorter than what was
    /// acknowledged, or not what its name says; [`StoreError::Io`].
    pub(super) fn open(folder: &Path, acknowledged: &SlotCounts) -> Result<Self, StoreError> {
        let mut open = BTreeMap::new();
        for (&number, &slots) in acknowledged {
            let (space, path) = (SpaceId(number), path_in(folder, SpaceId(number)));
            let damaged = |reason| StoreError::Damaged { path: path.clone(), reason };
            if !path.exists() {
                return Err(damaged("it is gone".to_owned()));
            }
            let segment = Segment::open(&path)?;
            if segment.shape().space != space {
                let found = segment.shape().space.0;
                return Err(damaged(format!("it holds the embeddings of space {found}")));
            }
            if segment.slots() < slots {
                let found = segment.slots();
                return Err(damaged(format!("it holds {found} embeddings, {slots} were written")));
            }
            open.insert(space, segment);
        }
        Ok(Self { folder: folder.to_owned(), open: Mutex::new(open) })
    }

    /// Writes an embedding and gives its slot.
    ///
    /// # Errors
    /// [`StoreError::Dimension`]; [`StoreError::Io`].
    pub(super) fn append(
        &self,
        space: SpaceId,
        image: ImageId,
        payload: &[u8],
    ) -> Result<u64, StoreError> {
        let mut open = self.lock();
        if let Some(segment) = open.get_mut(&space) {
            return segment.append(image, payload);
        }
        let create = StoreError::io("create", &self.folder);
        std::fs::create_dir_all(&self.folder).map_err(create)?;
        let path = path_in(&self.folder, space);
        // One that nothing was acknowledged of is what a killed process left.
        let shape = Shape { space, dimension: (payload.len() / 2) as u32 };
        let mut segment = match Segment::open(&path) {
            Ok(segment) if segment.shape() == shape => segment,
            _ => Segment::create(&path, shape)?,
        };
        let slot = segment.append(image, payload);
        open.insert(space, segment);
        slot
    }

    /// Makes everything durable that was written to some spaces.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn sync(&self, spaces: impl Iterator<Item = SpaceId>) -> Result<(), StoreError> {
        let open = self.lock();
        for space in spaces {
            if let Some(segment) = open.get(&space) {
                segment.sync()?;
            }
        }
        Ok(())
    }

    /// Closes the files of all other spaces than these, and gives the paths of all that are there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn forget_all_but(
        &self,
        known: &BTreeSet<SpaceId>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        self.lock().retain(|space, _| known.contains(space));
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(StoreError::io("read", &self.folder))?,
        };
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok().map(SpaceId);
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths.filter(|path| number(path).is_some_and(|id| !known.contains(&id))).collect())
    }

    /// How many slots each space has.
    pub(super) fn counts(&self) -> SlotCounts {
        self.lock().iter().map(|(space, segment)| (space.0, segment.slots())).collect()
    }

    /// Opens a space for a scan.
    ///
    /// # Errors
    /// As for [`Segments::open`].
    pub(super) fn reader(&self, space: SpaceId) -> Result<SlotReader, StoreError> {
        SlotReader::for_scan(&path_in(&self.folder, space))
    }

    /// The components of one image; `None` when its slot is damaged.
    ///
    /// # Errors
    /// As for [`Segments::open`].
    pub(super) fn read(
        &self,
        space: SpaceId,
        slot: u64,
        image: ImageId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut reader = SlotReader::for_one(&path_in(&self.folder, space))?;
        Ok(reader.read(slot, image)?.map(<[u8]>::to_vec))
    }

    /// Length of the files in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        super::seal::size_bytes(&self.folder)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SpaceId, Segment>> {
        // A panic while appending leaves at most a slot that nothing refers to.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file of a space in a generation's folder.
pub(super) fn path_in(folder: &Path, space: SpaceId) -> PathBuf {
    folder.join(space.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_cut_or_swapped_file_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let segments = Segments::open(folder.path(), &SlotCounts::new()).unwrap();
        for space in [1, 2] {
            for image in 0..3 {
                segments.append(SpaceId(space), ImageId(image), &[0; 8]).unwrap();
            }
        }
        let counts = segments.counts();
        assert_eq!(counts, SlotCounts::from([(1, 3), (2, 3)]));
        let broken = |expected: &str| {
            let error = Segments::open(folder.path(), &counts).unwrap_err();
            assert!(error.is_damage() && error.to_string().contains(expected), "{error}");
        };
        let file = |name: &str| folder.path().join(name);
        std::fs::rename(file("1"), file("3")).unwrap();
        broken("is gone");
        std::fs::copy(file("2"), file("1")).unwrap();
        broken("of space 2");
        let bytes = std::fs::read(file("3")).unwrap();
        std::fs::write(file("1"), &bytes[..bytes.len() - 1]).unwrap();
        broken("holds 2 embeddings, 3 were");
        std::fs::write(file("1"), bytes).unwrap();
        Segments::open(folder.path(), &counts).unwrap();
    }
}
