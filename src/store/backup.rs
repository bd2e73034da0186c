//! Backup: a whole database directory of one moment, and putting it back.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::copy::{copy_file, copy_folder};
use super::lock::Lock;
use super::manifest::sync_folder;
use super::{Counts, LOCK_PATIENCE, Manifest, Store, StoreError, request, seal};

/// How a folder begins that is filled beside the one whose place it will take. What lies in it
/// after a restore was killed is the replaced database, or a copy of the backup.
const ASIDE: &str = ".lookalike-aside-";

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Records that the database has now.
    pub records: Counts,
    /// Number of the last transaction.
    pub sequence: u64,
}

/// Copies the database of a directory to a folder that is not there yet. The target is absolute.
///
/// While another process has the database, that one copies it after its next transaction; `on_wait`
/// hears who it is. Waits for that up to `patience`, and in any case as long as any command does.
///
/// # Errors
/// As for [`Store::open`] and [`Store::backup`]; [`StoreError::Copy`] when the other process failed.
pub fn backup(
    directory: &Path,
    target: &Path,
    patience: Duration,
    on_copied: &dyn Fn(u64, u64),
    on_wait: &dyn Fn(&str),
) -> Result<u64, StoreError> {
    refuse_occupied(target, "name a folder that is not there yet")?;
    let start = Instant::now();
    loop {
        match Store::open(directory) {
            Err(StoreError::Locked { holder, .. }) if start.elapsed() < patience => {
                on_wait(&holder);
                let left = patience.saturating_sub(start.elapsed());
                if let Some(copied) = request::ask(directory, target, left)? {
                    return Ok(copied);
                }
            }
            opened => return opened?.backup(target, on_copied),
        }
    }
}

impl Store {
    /// Copies all records, the journal and the list of folders to a folder that is not there yet,
    /// and gives the number of records.
    ///
    /// The copy is of one moment, compact, and a database directory itself. Other threads may
    /// read meanwhile; transactions wait. It is there as a whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Occupied`]; [`StoreError::Value`] when a record is damaged;
    /// [`StoreError::Io`], a full disk above all.
    pub fn backup(&self, target: &Path, on_copied: &dyn Fn(u64, u64)) -> Result<u64, StoreError> {
        refuse_occupied(target, "name a folder that is not there yet")?;
        let folder = parent(target);
        std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        let aside = aside(folder)?;
        let copy = Store::create(aside.path())?;
        let copied = self.copy_into(&copy, on_copied)?;
        for name in ["roots.json", "journal/labels.jsonl"] {
            let (from, to) = (self.directory().join(name), aside.path().join(name));
            if from.exists() {
                copy_file(&from, &to)?;
            }
        }
        copy.finish()?;
        move_to(aside, target)?;
        Ok(copied)
    }
}

/// Puts a backup in the place of a database directory, after every record of it was checked.
///
/// The backup is only read. With `replace`, a database that is there is removed once the backup
/// has proved whole.
///
/// # Errors
/// [`StoreError::Occupied`] without `replace`; [`StoreError::NotFound`] when the folder holds no
/// backup; as for [`Store::open`] when it is damaged, and then nothing was changed.
pub fn restore(
    backup: &Path,
    directory: &Path,
    replace: bool,
) -> Result<RestoreReport, StoreError> {
    let manifest =
        Manifest::read(backup)?.ok_or_else(|| StoreError::NotFound { path: backup.to_owned() })?;
    if !replace {
        refuse_occupied(directory, "--replace puts the backup in its place")?;
    }
    if let Some(seal) = &manifest.sealed {
        seal::check(&manifest.store_path(backup), seal)?;
    }
    let folder = parent(directory);
    std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    let aside = aside(folder)?;
    copy_folder(backup, aside.path())?;
    let store = Store::open(aside.path())?;
    let records = store.count_records()?;
    let sequence = store.manifest().sequence;
    store.finish()?;
    if !directory.exists() {
        move_to(aside, directory)?;
        return Ok(RestoreReport { records, sequence });
    }
    let lock = Lock::take(directory, LOCK_PATIENCE)?;
    let replaced = tempfile::Builder::new()
        .prefix(ASIDE)
        .tempdir_in(folder)
        .map_err(StoreError::io("create", folder))?;
    let old = replaced.path().join("database");
    std::fs::rename(directory, &old).map_err(StoreError::io("rename", directory))?;
    if let Err(error) = move_to(aside, directory) {
        // Back with the old one: what follows is the message of why the new one cannot be there.
        std::fs::rename(&old, directory).map_err(StoreError::io("rename", &old))?;
        return Err(error);
    }
    drop(lock);
    Ok(RestoreReport { records, sequence })
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

fn aside(folder: &Path) -> Result<tempfile::TempDir, StoreError> {
    let aside = tempfile::Builder::new().prefix(ASIDE).tempdir_in(folder);
    aside.map_err(StoreError::io("create", folder))
}

/// Renames what was filled aside.
fn move_to(aside: tempfile::TempDir, target: &Path) -> Result<(), StoreError> {
    let from: PathBuf = aside.keep();
    // An empty folder may be there; a folder with something in it makes the rename fail.
    std::fs::rename(&from, target).map_err(StoreError::io("rename", &from))?;
    let folder = parent(target);
    sync_folder(folder).map_err(StoreError::io("write", folder))
}

/// Refuses a path where anything is but an empty folder.
///
/// # Errors
/// [`StoreError::Occupied`].
pub(super) fn refuse_occupied(path: &Path, way_out: &'static str) -> Result<(), StoreError> {
    let is_free = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if is_free { Ok(()) } else { Err(StoreError::Occupied { path: path.to_owned(), way_out }) }
}
