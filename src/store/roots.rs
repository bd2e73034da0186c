//! `roots.json`: the folders that were indexed, and the volumes that their images lay on.
//!
//! A file of its own, which older programs leave alone: they neither read nor
//! lose it, so it needs no new version of the format.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::replace_file;
use super::{Store, StoreError};
use crate::record::Location;

const FILE_NAME: &str = "roots.json";

/// The folders that the database is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Roots {
    /// Folders that were indexed; none of them lies in another.
    pub folders: BTreeSet<Location>,
    /// Places at, above or below those folders where another file system was mounted.
    pub volumes: BTreeSet<Location>,
}

impl Roots {
    /// Adds a folder, unless one above it is there; folders below it go.
    ///
    /// Folders are compared by their paths, for which `home` is needed.
    pub fn add(&mut self, folder: &Location, home: &Path) {
        let path = folder.to_path(home);
        if !self.folders.iter().any(|other| path.starts_with(other.to_path(home))) {
            self.folders.retain(|other| !other.to_path(home).starts_with(&path));
            self.folders.insert(folder.clone());
        }
    }
}

impl Store {
    /// The folders that were indexed.
    ///
    /// # Errors
    /// [`StoreError::Roots`] when `roots.json` cannot be understood;
    /// [`StoreError::Io`] when it cannot be read.
    pub fn roots(&self) -> Result<Roots, StoreError> {
        let path = self.roots_path();
        match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| StoreError::Roots { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Roots::default()),
            Err(error) => Err(StoreError::io("read", path)(error)),
        }
    }

    /// Replaces the folders that were indexed, atomically and durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn set_roots(&self, roots: &Roots) -> Result<(), StoreError> {
        let path = self.roots_path();
        let mut text = serde_json::to_vec_pretty(roots)
            .map_err(|source| StoreError::Roots { path: path.clone(), source })?;
        text.push(b'\n');
        replace_file(&path, &text)
    }

    fn roots_path(&self) -> PathBuf {
        self.directory().join(FILE_NAME)
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Written {
    folders: Vec<WrittenPath>,
    #[serde(default)]
    volumes: Vec<WrittenPath>,
}

/// A path as text where it is text, else as its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenPath {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<WrittenPath> for Location {
    fn from(path: WrittenPath) -> Self {
        Self::from_bytes(match path {
            WrittenPath::Text(text) => text.into_bytes(),
            WrittenPath::Bytes(bytes) => bytes,
        })
    }
}

impl From<&Location> for WrittenPath {
    fn from(location: &Location) -> Self {
        match std::str::from_utf8(location.as_bytes()) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(location.as_bytes().to_vec()),
        }
    }
}

impl From<Written> for Roots {
    fn from(written: Written) -> Self {
        let read = |paths: Vec<WrittenPath>| paths.into_iter().map(Location::from).collect();
        Self { folders: read(written.folders), volumes: read(written.volumes) }
    }
}

impl From<Roots> for Written {
    fn from(roots: Roots) -> Self {
        let write = |places: BTreeSet<Location>| places.iter().map(WrittenPath::from).collect();
        Self { folders: write(roots.folders), volumes: write(roots.volumes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(paths: &[&[u8]]) -> BTreeSet<Location> {
        paths.iter().map(|path| Location::from_bytes(path.to_vec())).collect()
    }

    #[test]
    fn roots_are_read_as_they_were_written_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path()).unwrap();
        assert_eq!(store.roots().unwrap(), Roots::default());
        let roots = Roots {
            folders: places(&[b"", b"/media/\xff/photos"]),
            volumes: places(&["/media/\u{fc}".as_bytes()]),
        };
        store.set_roots(&roots).unwrap();
        assert_eq!(store.roots().unwrap(), roots);
        std::fs::write(store.roots_path(), b"{\"folders\": [1").unwrap();
        let error = store.roots().unwrap_err();
        assert!(matches!(error, StoreError::Roots { .. }), "{error}");
    }

    #[test]
    fn of_folders_inside_each_other_the_outer_one_stays() {
        let home = Path::new("/home/me");
        let mut roots = Roots::default();
        let add = |roots: &mut Roots, path: &str| {
            roots.add(&Location::of(Path::new(path), home), home);
        };
        add(&mut roots, "/home/me/a/b");
        add(&mut roots, "/home/me/a/bc");
        add(&mut roots, "/media/usb");
        assert_eq!(roots.folders, places(&[b"/media/usb", b"a/b", b"a/bc"]));
        add(&mut roots, "/home/me/a");
        add(&mut roots, "/media/usb/dcim");
        assert_eq!(roots.folders, places(&[b"/media/usb", b"a"]));
        // The home itself is a relative location, a folder above it is not.
        add(&mut roots, "/home");
        assert_eq!(roots.folders, places(&[b"/home", b"/media/usb"]));
    }
}
