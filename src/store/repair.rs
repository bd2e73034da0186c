//! Saves what is readable of a damaged database into a fresh store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::record::SpaceId;

use super::keys::{self, Kind};
use super::lock::Lock;
use super::{
    CACHE_BYTES, JournalEntry, LOCK_PATIENCE, Manifest, State, Store, StoreError, codec,
    copy::copy_folder, engine, guard, leftovers, manifest, seal, segment, segments,
};

/// Records copied in one transaction.
const BATCH_RECORDS: usize = 2_000;

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Records that were readable and are in the new store.
    pub records_saved: u64,
    /// Records that were found and did not pass their checksum.
    pub records_damaged: u64,
    /// Entries of the label journal that were applied again.
    pub labels_replayed: u64,
    /// Lines of the journal that did not pass their checksum.
    pub journal_lines_damaged: u64,
    /// Why reading the old store ended early, if it did.
    pub stopped_by: Option<String>,
    /// The damaged store, left where it is.
    pub kept: Option<PathBuf>,
}

/// Builds a new store from whatever is readable of the old one and from the journal.
///
/// The old store is never written to: it is copied, and the copy is opened.
/// It stays beside the new one until the user deletes it. Images whose
/// records are lost come back with the next run of `index`.
///
/// # Errors
/// [`StoreError::NotFound`], [`StoreError::Locked`],
/// [`StoreError::NewerFormat`], [`StoreError::Io`] (a full disk above all).
pub fn repair(directory: &Path) -> Result<RepairReport, StoreError> {
    if !directory.is_dir() {
        return Err(StoreError::NotFound { path: directory.to_owned() });
    }
    let lock = Lock::take(directory, LOCK_PATIENCE)?;
    let source = source_generation(directory)?;
    let mut report = RepairReport::default();
    let salvage = match source {
        Some(generation) => {
            let old = directory.join(format!("store-{generation}"));
            let mut salvage = salvage(&old, directory)?;
            salvage.read_embeddings(&manifest::segments_path(directory, generation));
            salvage.drop_orphans();
            report.kept = Some(old);
            salvage
        }
        None => Salvage::default(),
    };
    report.records_damaged = salvage.damaged;
    report.stopped_by = salvage.stopped_by;

    // Above every number in use, so that no old file is taken for a new one.
    let generation = newest_generation(directory)?.max(source).unwrap_or(0) + 1;
    leftovers::delete_generation(directory, generation)?;
    let mut manifest = Manifest::empty(generation);
    if let Ok(Some(old)) = Manifest::read(directory) {
        manifest.networks = old.networks;
    }
    manifest.repaired_from = source;
    manifest.write(directory)?;
    let store = Store::open_locked(directory, lock)?;
    report.records_saved = refill(&store, &salvage.records)?;
    bring_up_to_date(&store)?;
    let replay = store.journal.replay(0)?;
    report.journal_lines_damaged = replay.damaged_lines as u64;
    report.labels_replayed = replay.entries.len() as u64;
    decide_again(&store, &replay.entries, replay.end)?;
    store.rewrite_journal()?;
    let mut committed = store.committed();
    committed.manifest.repaired_from = None;
    committed.manifest.write(directory)?;
    drop(committed);
    Ok(report)
}

/// The store to read: the manifest's, or the one that a killed repair was reading, else the
/// newest. What that repair had filled is deleted: all of it is still in its source.
fn source_generation(directory: &Path) -> Result<Option<u32>, StoreError> {
    let manifest = match Manifest::read(directory) {
        Err(error @ StoreError::NewerFormat { .. }) => return Err(error),
        manifest => manifest.ok().flatten(),
    };
    if let Some(manifest) = manifest {
        if manifest.repaired_from.is_some() {
            leftovers::delete_generation(directory, manifest.generation)?;
        }
        if manifest.repaired_from.is_none() && manifest.store_path(directory).is_dir() {
            return Ok(Some(manifest.generation));
        }
    }
    newest_generation(directory)
}

/// Records of a damaged store that pass their checksums.
#[derive(Default)]
struct Salvage {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    damaged: u64,
    stopped_by: Option<String>,
}

impl Salvage {
    /// Puts the embeddings in place of the records that refer to them, as the versions before 3
    /// had them. One that does not pass its checksum is a damaged record.
    fn read_embeddings(&mut self, folder: &Path) {
        let mut readers: BTreeMap<SpaceId, Option<segment::SlotReader>> = BTreeMap::new();
        let mut damaged = 0;
        self.records.retain_mut(|(key, payload)| {
            if Kind::of(key) != Some(Kind::Slot) {
                return true;
            }
            let mut read = || {
                let (space, id) = (keys::read_space(key)?, keys::read_image_id(key)?);
                let slot = postcard::from_bytes(payload).ok()?;
                let open = || segment::SlotReader::for_scan(&segments::path_in(folder, space)).ok();
                let reader = readers.entry(space).or_insert_with(open).as_mut()?;
                let components = reader.read(slot, id).ok()??.to_vec();
                Some((keys::embedding(space, id), components))
            };
            let found = read();
            damaged += u64::from(found.is_none());
            found.map(|found| (*key, *payload) = found).is_some()
        });
        self.damaged += damaged;
    }
}

impl Salvage {
    /// Leaves out what belongs to a space whose record is lost: nobody knows any more of which
    /// network it is, and the number of the space may be given to another.
    fn drop_orphans(&mut self) {
        let keys = self.records.iter().map(|(key, _)| key);
        let spaces = keys.filter(|key| Kind::of(key) == Some(Kind::Space));
        let known: BTreeSet<SpaceId> = spaces.filter_map(|key| keys::read_space(key)).collect();
        let before = self.records.len();
        self.records.retain(|(key, _)| {
            let in_space = Kind::of(key).is_some_and(|kind| Kind::IN_SPACES.contains(&kind));
            !in_space || keys::read_space(key).is_some_and(|id| known.contains(&id))
        });
        self.damaged += (before - self.records.len()) as u64;
    }
}

/// The highest store number in the directory, whatever the manifest says.
fn newest_generation(directory: &Path) -> Result<Option<u32>, StoreError> {
    let entries = std::fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("store-")?.parse().ok())
        .max())
}

fn salvage(old: &Path, directory: &Path) -> Result<Salvage, StoreError> {
    let copy = tempfile::tempdir_in(directory).map_err(StoreError::io("create", directory))?;
    let target = copy.path().join("store");
    copy_folder(old, &target)?;
    let limit = guard::limit(seal::size_bytes(&target));
    // Shared with the guard thread, so that what was read before a panic is kept.
    let found = std::sync::Arc::new(std::sync::Mutex::new(Salvage::default()));
    let sink = found.clone();
    let outcome = guard::run(old, limit, move || read_all(&target, &sink));
    let mut salvage = found.lock().map(|mut found| std::mem::take(&mut *found)).unwrap_or_default();
    salvage.stopped_by = outcome.err().map(|error| error.to_string());
    Ok(salvage)
}

fn read_all(path: &Path, sink: &std::sync::Mutex<Salvage>) -> Result<(), StoreError> {
    let db = sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None)
        .open()
        .map_err(|error| super::open_error(path, error))?;
    for entry in db.iter() {
        let (key, value) = entry.map_err(engine("read"))?;
        let payload = codec::open(&key, &value).map(<[u8]>::to_vec);
        let Ok(mut sink) = sink.lock() else { return Ok(()) };
        match payload {
            Ok(payload) if Kind::of(&key).is_some() => sink.records.push((key.to_vec(), payload)),
            _ => sink.damaged += 1,
        }
    }
    Ok(())
}

/// Writes the saved records; the state record is made anew from them.
fn refill(store: &Store, records: &[(Vec<u8>, Vec<u8>)]) -> Result<u64, StoreError> {
    let kept: Vec<_> =
        records.iter().filter(|(key, _)| Kind::of(key) != Some(Kind::State)).collect();
    for batch in kept.chunks(BATCH_RECORDS) {
        store.write(|writer| {
            for (key, payload) in batch {
                match (keys::read_space(key), keys::read_image_id(key)) {
                    (Some(space), Some(id)) if Kind::of(key) == Some(Kind::Embedding) => {
                        writer.put_components(space, id, payload)?;
                    }
                    _ => writer.put_raw(key, payload)?,
                }
                writer.state.take_number(key);
            }
            Ok::<(), StoreError>(())
        })?;
    }
    Ok(kept.len() as u64)
}

/// Runs all migrations: what was saved may be of an older format, and its state record, which
/// says so, may be among what was lost.
fn bring_up_to_date(store: &Store) -> Result<(), StoreError> {
    store.write(|writer| {
        writer.state.format_version = 0;
        Ok::<(), StoreError>(())
    })?;
    store.migrate()
}

fn decide_again(store: &Store, entries: &[JournalEntry], end: u64) -> Result<(), StoreError> {
    store.write(|writer| super::decisions::apply_decisions(writer, entries, end))
}

impl State {
    /// Keeps the next free numbers above every number in use.
    fn take_number(&mut self, key: &[u8]) {
        match Kind::of(key) {
            Some(Kind::Image | Kind::Embedding) => {
                if let Some(id) = keys::read_image_id(key) {
                    self.next_image = self.next_image.max(id.0 + 1);
                }
            }
            Some(Kind::Space) => {
                if let Some(space) = keys::read_space(key) {
                    self.next_space = self.next_space.max(space.0.saturating_add(1));
                }
            }
            _ => {}
        }
    }
}
