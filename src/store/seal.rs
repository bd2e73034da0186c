//! The seal of a closed store: its files as they were left, so that any change is seen
//! before sled reads them.
//!
//! sled opens a log whose tail is cut off as an empty database, without an
//! error. A digest of every file costs one pass over them at memory speed and
//! rules that out.

use std::io::Read;
use std::path::Path;

use super::StoreError;
use super::manifest::{FileSeal, Seal};

/// Digests every file below a store's folder.
///
/// # Errors
/// [`StoreError::Io`] when a file cannot be read.
pub(super) fn of(store: &Path) -> Result<Seal, StoreError> {
    let mut seal = Seal::new();
    visit(store, "", &mut seal)?;
    Ok(seal)
}

/// Compares a store's folder with its seal.
///
/// # Errors
/// [`StoreError::Damaged`] names the first file that differs.
pub(super) fn check(store: &Path, expected: &Seal) -> Result<(), StoreError> {
    let found = of(store)?;
    let damaged = |reason| StoreError::Damaged { path: store.to_owned(), reason };
    for (name, file) in expected {
        match found.get(name) {
            None => return Err(damaged(format!("its file {name:?} is gone"))),
            Some(other) if other.size_bytes != file.size_bytes => {
                return Err(damaged(format!(
                    "its file {name:?} has {} bytes, {} were written",
                    other.size_bytes, file.size_bytes
                )));
            }
            Some(other) if other != file => {
                return Err(damaged(format!("its file {name:?} was changed since it was closed")));
            }
            Some(_) => {}
        }
    }
    match found.keys().find(|name| !expected.contains_key(*name)) {
        Some(name) => Err(damaged(format!("the file {name:?} does not belong to it"))),
        None => Ok(()),
    }
}

/// Total length of the files of a store, for time limits. Unreadable ones count 0.
pub(super) fn size_bytes(store: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(store) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn visit(folder: &Path, prefix: &str, seal: &mut Seal) -> Result<(), StoreError> {
    let read = |error| StoreError::io("read", folder)(error);
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            visit(&path, &format!("{name}/"), seal)?;
        } else {
            seal.insert(name, digest(&path).map_err(StoreError::io("read", path))?);
        }
    }
    Ok(())
}

/// Bytes that are read before they are digested on all cores.
const CHUNK_BYTES: usize = 4 << 20;

fn digest(path: &Path) -> std::io::Result<FileSeal> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::fs::File::open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES.min(file.metadata()?.len() as usize + 1)];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => _ = hasher.update_rayon(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(FileSeal { size_bytes: hasher.count(), blake3: hasher.finalize().to_hex().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_cut_lost_or_added_file_breaks_the_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("blobs")).unwrap();
        std::fs::write(path("db"), b"12345").unwrap();
        std::fs::write(path("blobs/1"), b"abc").unwrap();
        let seal = of(folder.path()).unwrap();
        assert_eq!(seal.len(), 2);
        assert_eq!(size_bytes(folder.path()), 8);
        check(folder.path(), &seal).unwrap();

        let broken = |expected: &str| {
            let error = check(folder.path(), &seal).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        };
        std::fs::write(path("db"), b"12355").unwrap();
        broken("was changed");
        std::fs::write(path("db"), b"1235").unwrap();
        broken("4 bytes, 5 were written");
        std::fs::remove_file(path("db")).unwrap();
        broken("is gone");
        std::fs::write(path("db"), b"12345").unwrap();
        std::fs::write(path("blobs/2"), b"").unwrap();
        broken("does not belong");
    }
}
