//! `LOCK`: one process at a time has the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::StoreError;

pub(super) const FILE_NAME: &str = "LOCK";
const RETRY: Duration = Duration::from_millis(50);

/// The held lock; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a database directory, waiting up to `patience` for its holder.
    ///
    /// # Errors
    /// [`StoreError::Locked`] with what the holder wrote of itself;
    /// [`StoreError::Io`] when the file cannot be made.
    pub(super) fn take(directory: &Path, patience: Duration) -> Result<Self, StoreError> {
        let path = directory.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open", &path))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                    std::thread::sleep(RETRY);
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = describe_holder(&mut file);
                    return Err(StoreError::Locked { path: directory.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::io("lock", path)(error));
                }
            }
        }
        sign(&mut file).map_err(StoreError::io("write", path))?;
        Ok(Self { _file: file })
    }
}

/// Writes who holds the lock, for the message that another process prints.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}", std::process::id())
}

fn describe_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), holder) if !holder.is_empty() => holder.to_owned(),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_holder_and_the_first_release_frees_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::take(folder.path(), Duration::ZERO).unwrap();
        let error = Lock::take(folder.path(), Duration::from_millis(60)).unwrap_err();
        let StoreError::Locked { holder, .. } = error else { panic!("{error}") };
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(first);
        Lock::take(folder.path(), Duration::ZERO).unwrap();
    }
}
