//! `MANIFEST.json`: what was acknowledged, kept outside the store to hold it to account.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::networks::Networks;
use super::segments::SlotCounts;
use crate::record::Space;

/// The newest format that this program reads and the one that it writes.
pub const FORMAT_VERSION: u32 = 5;

pub(super) const FILE_NAME: &str = "MANIFEST.json";

/// The content of `MANIFEST.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the directory and of the records.
    pub format_version: u32,
    /// Program that wrote the manifest last.
    pub written_by: String,
    /// Number in the name of the store's folder; a repair makes a new one.
    pub generation: u32,
    /// Number of the last acknowledged transaction.
    pub sequence: u64,
    /// Records after that transaction.
    pub counts: Counts,
    /// The spaces that have embeddings.
    pub spaces: Vec<Space>,
    /// Embeddings in the file of each space, by its number, the replaced and removed ones too.
    #[serde(default)]
    pub(super) slots: SlotCounts,
    /// Which network serves, and where the weights of each lie.
    #[serde(flatten)]
    pub(super) networks: Networks,
    /// The generation that a repair reads while it fills this one; set only
    /// while it does, and after it was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) repaired_from: Option<u32>,
    /// A generation that nobody needs any more, or not yet: a compaction was killed. It is deleted
    /// at opening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) abandoned: Option<u32>,
    /// The store's files as the last process left them. Absent while a process
    /// has the store open, and after one was killed.
    #[serde(default)]
    pub(super) sealed: Option<Seal>,
}

/// How many records of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Distinct images.
    pub images: u64,
    /// Places at which a file was seen, the missing and failed ones too.
    pub locations: u64,
    /// Embeddings of all spaces.
    pub embeddings: u64,
    /// Labels given by the user.
    pub labels: u64,
    /// Labels given by the forest.
    pub predictions: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} images, {} locations, {} embeddings, {} labels, {} predictions",
            self.images, self.locations, self.embeddings, self.labels, self.predictions
        )
    }
}

/// Length and digest of each file of a closed store, by its path below the store.
pub(super) type Seal = BTreeMap<String, FileSeal>;

/// Length and digest of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSeal {
    /// Length of the file.
    pub size_bytes: u64,
    /// BLAKE3 of the file in hexadecimal.
    pub blake3: String,
}

impl Manifest {
    /// The manifest of a database without any record.
    pub(super) fn empty(generation: u32) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            written_by: concat!("lookalike ", env!("CARGO_PKG_VERSION")).to_owned(),
            generation,
            sequence: 0,
            counts: Counts::default(),
            spaces: Vec::new(),
            slots: SlotCounts::new(),
            networks: Networks::default(),
            repaired_from: None,
            abandoned: None,
            sealed: None,
        }
    }

    /// Reads the manifest of a database directory; `None` when there is no such file.
    ///
    /// # Errors
    /// [`StoreError::Manifest`] when it cannot be understood,
    /// [`StoreError::NewerFormat`] when a newer program wrote it.
    pub(super) fn read(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.join(FILE_NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", path)(error)),
        };
        let damaged = |source| StoreError::Manifest { path: path.clone(), source };
        // The version is read alone first: a newer manifest may have other fields. What is newer
        // and has a checksum that fits was not made so by damage.
        let VersionOnly { format_version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if format_version > FORMAT_VERSION {
            check(&bytes).map_err(damaged)?;
            return Err(StoreError::NewerFormat {
                found: format_version,
                supported: FORMAT_VERSION,
            });
        }
        check(&bytes).map_err(damaged)?;
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Replaces the manifest of a database directory, atomically and durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn write(&self, directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(FILE_NAME);
        let text = self.to_text();
        replace_file(
            &path,
            &text.map_err(|source| StoreError::Manifest { path: path.clone(), source })?,
        )
    }

    fn to_text(&self) -> serde_json::Result<Vec<u8>> {
        let mut fields = serde_json::to_value(self)?;
        fields[CHECKSUM] = checksum(&fields).into();
        let mut text = serde_json::to_vec_pretty(&fields)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The folder of the store in a database directory.
    pub(super) fn store_path(&self, directory: &Path) -> PathBuf {
        store_path(directory, self.generation)
    }

    /// The folder of the embeddings in a database directory.
    pub(super) fn segments_path(&self, directory: &Path) -> PathBuf {
        segments_path(directory, self.generation)
    }
}

/// The folder of a generation's store in a database directory.
pub(super) fn store_path(directory: &Path, generation: u32) -> PathBuf {
    directory.join(format!("store-{generation}"))
}

/// The folder of a generation's embeddings in a database directory.
pub(super) fn segments_path(directory: &Path, generation: u32) -> PathBuf {
    directory.join(format!("embeddings-{generation}"))
}

/// The field that holds the checksum of all others.
const CHECKSUM: &str = "checksum";

/// CRC-32 of the fields as compact JSON, ordered by name.
fn checksum(fields: &serde_json::Value) -> String {
    format!("{:08x}", crc32fast::hash(fields.to_string().as_bytes()))
}

/// Refuses a manifest whose checksum does not fit; those of versions before 4 have none.
fn check(bytes: &[u8]) -> serde_json::Result<()> {
    let mut fields: serde_json::Value = serde_json::from_slice(bytes)?;
    let written = fields.as_object_mut().and_then(|fields| fields.remove(CHECKSUM));
    match written {
        Some(written) if written != checksum(&fields) => {
            Err(serde::de::Error::custom("its checksum does not fit"))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    format_version: u32,
}

/// Writes a file so that a reader sees the old or the new bytes, also after a crash.
///
/// # Errors
/// [`StoreError::Io`]; the old file is then untouched.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        sync_folder(folder)
    };
    write().map_err(StoreError::io("write", path))
}

/// Makes a rename in this folder durable.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), None);
        let mut manifest = Manifest::empty(3);
        manifest.sealed = Some(Seal::from([(
            "db".to_owned(),
            FileSeal { size_bytes: 5, blake3: "00".to_owned() },
        )]));
        manifest.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), Some(manifest));
    }

    #[test]
    fn a_changed_number_is_damage_and_no_newer_format() {
        let folder = tempfile::tempdir().unwrap();
        Manifest::empty(3).write(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        let version = format!("_version\": {FORMAT_VERSION}");
        for (old, new) in
            [("\"generation\": 3", "\"generation\": 2"), (version.as_str(), "_version\": 99")]
        {
            assert!(text.contains(old), "{text}");
            std::fs::write(&path, text.replace(old, new)).unwrap();
            let error = Manifest::read(folder.path()).unwrap_err();
            assert!(matches!(error, StoreError::Manifest { .. }), "{error}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_even_if_its_other_fields_are_unknown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), r#"{"format_version": 99}"#).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 99, .. }), "{error}");
    }

    #[test]
    fn a_cut_manifest_is_reported_as_damaged() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), r#"{"format_vers"#).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Manifest { .. }), "{error}");
    }
}
