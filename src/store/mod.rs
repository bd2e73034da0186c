//! The store of record: every image, location, embedding and label, in sled.
//!
//! The only module that knows sled. What it promises is in `docs/format.md`.

mod alike;
mod backup;
mod codec;
mod compact;
mod copy;
mod decisions;
mod error;
mod exchange;
mod export;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guard;
mod import;
mod journal;
mod keys;
mod leftovers;
mod lock;
mod manifest;
#[path = "../../migrations/mod.rs"]
mod migrations;
mod networks;
mod npy;
mod objects;
mod read;
mod repair;
mod request;
mod roots;
mod seal;
mod segment;
mod segments;
mod tables;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use backup::{RestoreReport, backup, restore};
pub use compact::{CompactReport, compact};
pub use error::StoreError;
pub use exchange::{ExchangeReport, ExportFormat};
pub use guard::GUARD_THREAD;
pub use journal::{DistinctEntry, JournalEntry, LabelEntry};
pub use manifest::{Counts, FORMAT_VERSION, Manifest};
pub use networks::{SpaceStats, StoredNetwork, networks, serving_network};
pub use objects::ObjectNumber;
pub use repair::{RepairReport, repair};
pub use roots::Roots;
pub use writer::Writer;

use journal::Journal;
use keys::Kind;
use lock::Lock;
use segments::Segments;

/// sled's page cache. More does not pay: records are read once and in order.
const CACHE_BYTES: u64 = 16 << 20;

/// How long to wait for another process that has the database: most commands
/// take less than a second.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// An open store, held by this process alone.
///
/// Dropping it seals its files; without that (a killed process) the next
/// opening reads and checks every record once.
pub struct Store {
    directory: PathBuf,
    path: PathBuf,
    /// Taken out when the store closes, so that its files are at rest when they are sealed.
    db: Option<sled::Db>,
    segments: Segments,
    journal: Journal,
    committed: Mutex<Committed>,
    _lock: Lock,
}

/// What the last transaction left.
struct Committed {
    state: State,
    manifest: Manifest,
}

/// The state record: part of every transaction, compared with the manifest at opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    format_version: u32,
    sequence: u64,
    next_image: u64,
    next_space: u16,
    /// Length of the journal that the labels in the store reflect.
    journal_bytes: u64,
    counts: Counts,
}

impl State {
    /// The state of a store without records, before the first migration.
    fn initial() -> Self {
        Self {
            format_version: 0,
            sequence: 0,
            next_image: 1,
            next_space: 1,
            journal_bytes: 0,
            counts: Counts::default(),
        }
    }
}

impl Store {
    /// Opens the store of a database directory, making both if they are not there.
    ///
    /// # Errors
    /// As for [`Store::open`], except [`StoreError::NotFound`].
    pub fn create(directory: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        let lock = Lock::take(directory, LOCK_PATIENCE)?;
        match Manifest::read(directory)? {
            Some(manifest) => refuse_half_repaired(directory, &manifest)?,
            None => {
                refuse_orphaned_store(directory)?;
                Manifest::empty(1).write(directory)?;
            }
        }
        Self::open_locked(directory, lock)
    }

    /// Opens the store of an existing database directory.
    ///
    /// Costs one pass over sled's files, not those of the embeddings: 0.2 s for
    /// 100,000 images. After a process was killed, every record and every
    /// embedding is read and checked as well.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Locked`],
    /// [`StoreError::NewerFormat`]; [`StoreError::Damaged`],
    /// [`StoreError::Manifest`], [`StoreError::Value`] or
    /// [`StoreError::TimedOut`] when what was acknowledged is not all there;
    /// [`StoreError::Io`] and [`StoreError::Engine`] when the system fails.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        if !directory.is_dir() {
            return Err(StoreError::NotFound { path: directory.to_owned() });
        }
        let lock = Lock::take(directory, LOCK_PATIENCE)?;
        match Manifest::read(directory)? {
            Some(manifest) => refuse_half_repaired(directory, &manifest)?,
            None => {
                refuse_orphaned_store(directory)?;
                return Err(StoreError::NotFound { path: directory.to_owned() });
            }
        }
        Self::open_locked(directory, lock)
    }

    fn open_locked(directory: &Path, lock: Lock) -> Result<Self, StoreError> {
        let mut manifest = Manifest::read(directory)?
            .ok_or_else(|| StoreError::NotFound { path: directory.to_owned() })?;
        let path = manifest.store_path(directory);
        let sealed = manifest.sealed.take();
        if manifest.sequence > 0 && !path.join("db").exists() {
            return Err(StoreError::Damaged { path, reason: "its files are gone".to_owned() });
        }
        if let Some(seal) = &sealed {
            seal::check(&path, seal)?;
        }
        // sled changes its files by opening them: from here on the seal is void,
        // and on a full disk it is better not to begin.
        manifest.write(directory)?;
        let segments = Segments::open(&manifest.segments_path(directory), &manifest.slots)?;
        let (db, state) = open_engine(&path, sealed.is_none())?;
        hold_to_account(&path, &state, &manifest)?;
        let store = Self {
            directory: directory.to_owned(),
            path,
            db: Some(db),
            segments,
            journal: Journal::open(directory)?,
            committed: Mutex::new(Committed { state, manifest }),
            _lock: lock,
        };
        if sealed.is_none() {
            store.check_embeddings()?;
        }
        store.acknowledge_last()?;
        store.delete_leftovers()?;
        store.delete_orphaned_segments()?;
        store.migrate()?;
        store.catch_up_with_journal()?;
        // A repair reads what is left of the journal before it writes it anew.
        let is_repair = store.committed().manifest.repaired_from.is_some();
        if !is_repair && store.journal_has_lost()? {
            tracing::warn!("the journal was damaged: it is written anew from the store");
            store.rewrite_journal()?;
        }
        Ok(store)
    }

    /// The database directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The manifest after the last transaction.
    pub fn manifest(&self) -> Manifest {
        self.committed().manifest.clone()
    }

    /// Length of the store's files in bytes, those of the embeddings included.
    pub fn size_bytes(&self) -> u64 {
        seal::size_bytes(&self.path) + self.segments.size_bytes()
    }

    /// Runs one transaction: all its changes are on the disk when this returns, or none is.
    ///
    /// # Errors
    /// What `work` gives; [`StoreError::Engine`] or [`StoreError::Io`] when the
    /// changes cannot be written. The store is then as it was before.
    pub fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut committed = self.committed();
        let mut writer = Writer::new(self, committed.state.clone());
        let result = work(&mut writer)?;
        self.commit(writer, &mut committed)?;
        drop(committed);
        self.answer_request();
        Ok(result)
    }

    fn commit(&self, writer: Writer<'_>, committed: &mut Committed) -> Result<(), StoreError> {
        let (changes, mut state, spaces) = writer.finish();
        if changes.is_empty() && state == committed.state {
            return Ok(());
        }
        state.sequence += 1;
        // Before the records that refer to them.
        self.segments.sync(spaces.into_iter())?;
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        let key = keys::state();
        batch.insert(key.as_slice(), codec::encode(&key, &state)?);
        let db = self.db().clone();
        guard::write(&self.path, move || {
            db.apply_batch(batch)?;
            db.flush().map(drop)
        })?;
        committed.state = state;
        self.acknowledge(committed)
    }

    /// Writes down in the manifest what the last transaction left.
    fn acknowledge(&self, Committed { state, manifest }: &mut Committed) -> Result<(), StoreError> {
        manifest.format_version = state.format_version;
        manifest.sequence = state.sequence;
        manifest.counts = state.counts;
        manifest.slots = self.segments.counts();
        manifest.spaces = self.spaces()?.into_iter().map(|(_, space)| space).collect();
        manifest.write(&self.directory)
    }

    /// Does it for a transaction whose process died before it could.
    fn acknowledge_last(&self) -> Result<(), StoreError> {
        let mut committed = self.committed();
        if committed.state.sequence > committed.manifest.sequence {
            self.acknowledge(&mut committed)?;
        }
        Ok(())
    }

    fn migrate(&self) -> Result<(), StoreError> {
        for step in migrations::MIGRATIONS {
            if step.to_version > self.committed().state.format_version {
                tracing::debug!(version = step.to_version, step.title, "migrating the store");
                self.write(|writer| {
                    (step.apply)(writer)?;
                    writer.state.format_version = step.to_version;
                    Ok::<(), StoreError>(())
                })?;
            }
        }
        Ok(())
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("only closing takes the engine out")
    }

    fn committed(&self) -> MutexGuard<'_, Committed> {
        // A panic in a transaction leaves what was committed untouched.
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Flushes, closes sled and seals its files.
    fn close(&mut self) -> Result<(), StoreError> {
        if !self.close_engine()? {
            return Ok(());
        }
        let seal = seal::of(&self.path)?;
        let mut committed = self.committed();
        committed.manifest.sealed = Some(seal);
        committed.manifest.write(&self.directory)
    }

    /// Flushes and closes sled; `false` when it was closed already.
    fn close_engine(&mut self) -> Result<bool, StoreError> {
        let Some(db) = self.db.take() else { return Ok(false) };
        let last = db.clone();
        if let Err(error) = guard::write(&self.path, move || last.flush().map(drop)) {
            // sled flushes once more when it is dropped, and panics if that fails: it is left
            // behind instead.
            std::mem::forget(db);
            return Err(error);
        }
        guard::write(&self.path, move || {
            drop(db);
            Ok(())
        })?;
        Ok(true)
    }

    /// Closes the store, which dropping it does too, and says whether that went well.
    fn finish(mut self) -> Result<(), StoreError> {
        self.close()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Everything acknowledged is on the disk already: without a seal, the
        // next opening merely checks every record.
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the store was not sealed");
        }
    }
}

/// Whether a folder looks like the directory of a database.
#[must_use]
pub fn is_database(folder: &Path) -> bool {
    [manifest::FILE_NAME, lock::FILE_NAME].iter().all(|name| folder.join(name).is_file())
}

/// A store without a manifest is damage, not a new database.
fn refuse_orphaned_store(directory: &Path) -> Result<(), StoreError> {
    let entries = std::fs::read_dir(directory).map_err(StoreError::io("read", directory))?;
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with("store-") {
            let reason = "MANIFEST.json, which says what it holds, is gone".to_owned();
            return Err(StoreError::Damaged { path: entry.path(), reason });
        }
    }
    Ok(())
}

/// A store that a killed repair was filling does not hold all that could be saved.
fn refuse_half_repaired(directory: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    match manifest.repaired_from {
        Some(_) => Err(StoreError::Damaged {
            path: manifest.store_path(directory),
            reason: "its repair was interrupted".to_owned(),
        }),
        None => Ok(()),
    }
}

/// Opens sled behind the guard; with `check_all`, every record is read and counted too.
fn open_engine(path: &Path, check_all: bool) -> Result<(sled::Db, State), StoreError> {
    let limit = guard::limit(seal::size_bytes(path));
    let folder = path.to_owned();
    guard::run(path, limit, move || {
        let db = sled::Config::new()
            .path(&folder)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|error| open_error(&folder, error))?;
        let state = match db.get(keys::state()).map_err(engine("read"))? {
            Some(value) => codec::decode(&keys::state(), &value)?,
            None => State::initial(),
        };
        if check_all {
            let found = count_records(&db)?;
            if found != state.counts {
                return Err(StoreError::Damaged {
                    path: folder,
                    reason: format!("it holds {found}, expected {}", state.counts),
                });
            }
        }
        Ok((db, state))
    })
}

/// sled reports a damaged file as `Corruption`, or as an I/O error of its own making.
fn open_error(path: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if error.raw_os_error().is_some() => {
            StoreError::io("open", path)(error)
        }
        other => StoreError::Damaged { path: path.to_owned(), reason: first_line(&other) },
    }
}

fn first_line(error: &sled::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Reads every record, checks its checksum, and counts.
fn count_records(db: &sled::Db) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    for entry in db.iter() {
        let (key, value) = entry.map_err(engine("read"))?;
        codec::open(&key, &value)?;
        match Kind::of(&key) {
            Some(Kind::Image) => counts.images += 1,
            Some(Kind::Location) => counts.locations += 1,
            Some(Kind::Embedding | Kind::Slot) => counts.embeddings += 1,
            Some(Kind::Label) => counts.labels += 1,
            Some(Kind::Prediction) => counts.predictions += 1,
            Some(_) => {}
            None => return Err(codec::damaged(&key)),
        }
    }
    Ok(counts)
}

/// Compares what the store says of itself with what was acknowledged.
///
/// The store may be one transaction ahead: a process can die between sled's
/// flush and the manifest. It may never be behind.
fn hold_to_account(path: &Path, state: &State, manifest: &Manifest) -> Result<(), StoreError> {
    if state.format_version > FORMAT_VERSION {
        return Err(StoreError::NewerFormat {
            found: state.format_version,
            supported: FORMAT_VERSION,
        });
    }
    let same = state.sequence == manifest.sequence && state.counts == manifest.counts;
    if same || state.sequence > manifest.sequence {
        return Ok(());
    }
    Err(StoreError::Damaged {
        path: path.to_owned(),
        reason: format!(
            "it ends with transaction {} ({}), the manifest acknowledged {} ({})",
            state.sequence, state.counts, manifest.sequence, manifest.counts
        ),
    })
}

fn engine(action: &'static str) -> impl FnOnce(sled::Error) -> StoreError {
    move |source| StoreError::Engine { action, source: Box::new(source) }
}
