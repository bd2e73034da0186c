//! A backup that the process does which has the database: asked for by a file, done between two
//! transactions.
//!
//! Whoever asks puts `backup-request.json` into the database directory and keeps it young; the
//! process that has the database looks for it after a transaction, takes it away, copies, and leaves
//! `backup-answer.json`. Neither waits for a process that is not there any more: a request that nobody
//! keeps young is dropped, and who asks gets the lock when its holder has ended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::leftovers::delete;
use super::lock::Lock;
use super::manifest::replace_file;
use super::roots::WrittenPath;
use super::{Store, StoreError};
use crate::record::Location;

/// How often who asks looks again, and keeps its request young.
const PAUSE: Duration = Duration::from_millis(200);
/// From this age on nobody waits for the answer.
const STALE_AFTER: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize)]
struct Request {
    /// Absolute.
    target: WrittenPath,
    /// Of whoever asks; the answer is for it alone.
    process: u32,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    process: u32,
    /// Records of the copy, or why there is none.
    copied: Result<u64, String>,
}

/// Asks the process that has the database for a copy of it; `None` when that process ended before,
/// and the lock can be had.
///
/// `target` is absolute. Waits up to `patience` for a transaction to end, and then as long as the
/// copy takes.
///
/// # Errors
/// [`StoreError::Locked`] when the patience is over; [`StoreError::Copy`] with what the other process
/// said; [`StoreError::Io`].
pub(super) fn ask(
    directory: &Path,
    target: &Path,
    patience: Duration,
) -> Result<Option<u64>, StoreError> {
    let process = std::process::id();
    let path = request_path(directory);
    let request = Request { target: (&Location::of(target, Path::new(""))).into(), process };
    let start = Instant::now();
    // One after the other, where several ask.
    while age_of(&path).is_some_and(|age| age < STALE_AFTER) && start.elapsed() < patience {
        std::thread::sleep(PAUSE);
    }
    delete(&answer_path(directory))?;
    write(&path, &request)?;
    let mut is_asking = true;
    loop {
        std::thread::sleep(PAUSE);
        if let Some(answer) = read::<Answer>(&answer_path(directory))
            && answer.process == process
        {
            delete(&answer_path(directory))?;
            return answer.copied.map(Some).map_err(|reason| StoreError::Copy { reason });
        }
        is_asking &= read::<Request>(&path).is_some_and(|found| found.process == process);
        match Lock::take(directory, Duration::ZERO) {
            Ok(lock) => {
                delete(&path)?;
                drop(lock);
                return Ok(None);
            }
            Err(error @ StoreError::Locked { .. }) if is_asking && start.elapsed() > patience => {
                delete(&path)?;
                return Err(error);
            }
            Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error),
        }
        if is_asking {
            let _ = std::fs::File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()));
        }
    }
}

impl Store {
    /// Makes the copy that another process has asked for, if one has.
    ///
    /// Nothing that goes wrong concerns the caller, who has written a transaction: it is in the answer.
    pub(super) fn answer_request(&self) {
        let path = request_path(&self.directory);
        let Some(age) = age_of(&path) else { return };
        // What a repair has filled so far is no copy of the database.
        if self.committed().manifest.repaired_from.is_some() {
            return;
        }
        let request = read::<Request>(&path);
        // Taken before it is done, so that it is done once.
        if std::fs::remove_file(&path).is_err() || age > STALE_AFTER {
            return;
        }
        let Some(Request { target, process }) = request else { return };
        let target = Location::from(target).to_path(Path::new(""));
        tracing::debug!(process, ?target, "copying the database for another process");
        let copied = self.backup(&target, &|_, _| ()).map_err(|error| full_text(&error));
        if let Err(error) = write(&answer_path(&self.directory), &Answer { process, copied }) {
            tracing::warn!(%error, "the answer to a request for a backup was not written");
        }
    }
}

/// Time since a file was written; `None` when it is not there. A time that lies ahead is now.
fn age_of(path: &Path) -> Option<Duration> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    Some(modified.elapsed().unwrap_or_default())
}

fn request_path(directory: &Path) -> PathBuf {
    directory.join("backup-request.json")
}

fn answer_path(directory: &Path) -> PathBuf {
    directory.join("backup-answer.json")
}

fn write(path: &Path, message: &impl Serialize) -> Result<(), StoreError> {
    let text = serde_json::to_vec(message)
        .map_err(|error| StoreError::io("write", path)(std::io::Error::other(error)))?;
    replace_file(path, &text)
}

/// `None` for a file that is not there, or that no process of ours wrote.
fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// An error with its causes, as one sentence.
fn full_text(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
