//! Copying all records into a fresh store: what compaction and backup have in common.

use std::path::Path;

use super::keys::Kind;
use super::manifest::sync_folder;
use super::{State, Store, StoreError, codec, engine};
use crate::record::ImageId;

/// Records copied in one transaction.
const BATCH_RECORDS: usize = 2_000;

/// Hears how many records were copied, and of how many about.
pub(super) type OnCopied<'a> = &'a dyn Fn(u64, u64);

impl Store {
    /// Copies all records into a store without any; of each embedding only the newest.
    ///
    /// The copy is of one moment: transactions wait until it is done.
    ///
    /// # Errors
    /// [`StoreError::Value`] and [`StoreError::Damaged`] when this store is not whole;
    /// [`StoreError::Io`] when the other cannot be written.
    pub(super) fn copy_into(
        &self,
        target: &Store,
        on_copied: OnCopied<'_>,
    ) -> Result<u64, StoreError> {
        let committed = self.committed();
        let expected = self.db().len() as u64;
        let mut batch = Batch { target, records: Vec::new(), copied: 0, expected, on_copied };
        for entry in self.db().iter() {
            let (key, value) = entry.map_err(engine("read"))?;
            if !matches!(Kind::of(&key), Some(Kind::State | Kind::Slot)) {
                let payload = codec::open(&key, &value)?.to_vec();
                batch.add(Copied::Record(key.to_vec(), payload))?;
            }
        }
        for (space, _) in self.spaces()? {
            for entry in self.components_from(space, ImageId(0)) {
                let (id, components) = entry?;
                batch.add(Copied::Embedding(space, id, components))?;
            }
        }
        batch.store()?;
        let copied = batch.copied;
        target.committed().manifest.networks = committed.manifest.networks.clone();
        target.write(|writer| {
            let counts = writer.state.counts;
            if counts != committed.state.counts {
                let reason = format!("it holds {counts}, expected {}", committed.state.counts);
                return Err(StoreError::Damaged { path: self.path.clone(), reason });
            }
            writer.state = State { counts, ..committed.state.clone() };
            Ok(())
        })?;
        Ok(copied)
    }
}

enum Copied {
    Record(Vec<u8>, Vec<u8>),
    Embedding(crate::record::SpaceId, ImageId, Vec<u8>),
}

/// Records on their way.
struct Batch<'a> {
    target: &'a Store,
    records: Vec<Copied>,
    copied: u64,
    expected: u64,
    on_copied: OnCopied<'a>,
}

impl Batch<'_> {
    fn add(&mut self, record: Copied) -> Result<(), StoreError> {
        self.records.push(record);
        if self.records.len() >= BATCH_RECORDS { self.store() } else { Ok(()) }
    }

    fn store(&mut self) -> Result<(), StoreError> {
        let records = std::mem::take(&mut self.records);
        self.copied += records.len() as u64;
        self.target.write(|writer| {
            records.into_iter().try_for_each(|record| match record {
                Copied::Record(key, payload) => writer.put_raw(&key, &payload),
                Copied::Embedding(space, id, payload) => writer.put_components(space, id, &payload),
            })
        })?;
        (self.on_copied)(self.copied, self.expected.max(self.copied));
        Ok(())
    }
}

/// Copies a folder with all that is in it, durably.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::create_dir_all(to).map_err(StoreError::io("create", to))?;
    for entry in std::fs::read_dir(from).map_err(StoreError::io("read", from))? {
        let entry = entry.map_err(StoreError::io("read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            copy_file(&source, &target)?;
        }
    }
    sync_folder(to).map_err(StoreError::io("write", to))
}

/// Copies a file durably.
///
/// # Errors
/// [`StoreError::Io`].
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::copy(from, to).map_err(StoreError::io("copy", from))?;
    let sync = || std::fs::File::options().write(true).open(to)?.sync_all();
    sync().map_err(StoreError::io("write", to))
}
