//! `journal/labels.jsonl`: a second copy of what the user said (labels, and which images are not the same), which no program can recompute.
//!
//! One line for each entry: the CRC-32 of the entry's JSON in eight hexadecimal
//! digits, a space, the JSON. A line is appended and synced before the store
//! takes the entry, so the journal is never behind.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::manifest::replace_file;
use crate::record::ContentHash;

/// One decision of the user. Images are named by content, which outlives every store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum JournalEntry {
    /// A label.
    Label(LabelEntry),
    /// Whether two images are the same.
    Distinct(DistinctEntry),
}

/// Two images that are not the same, whatever they look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DistinctEntry {
    /// The two, in either order.
    pub not_same: [ContentHash; 2],
    /// False when this was taken back.
    pub holds: bool,
}

/// A label that the user gave, or took away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelEntry {
    /// The image.
    pub image: ContentHash,
    /// The label; absent when it was taken away.
    pub label: Option<String>,
}

/// The journal of one database directory.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
}

/// The entries from some offset on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replay {
    /// The entries that pass their checksum, oldest first.
    pub(super) entries: Vec<JournalEntry>,
    /// Lines that do not.
    pub(super) damaged_lines: usize,
    /// Offset after the last whole line.
    pub(super) end: u64,
}

impl Journal {
    /// Opens the journal of a database directory, making its folder if need be.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let folder = directory.join("journal");
        std::fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        Ok(Self { path: folder.join("labels.jsonl") })
    }

    /// Appends entries durably and gives the offset after them.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn append(&self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        self.try_append(entries).map_err(StoreError::io("write", &self.path))
    }

    fn try_append(&self, entries: &[JournalEntry]) -> std::io::Result<u64> {
        let mut file = self.file()?;
        // A killed writer may have left half a line, which no reader took: it goes.
        let end = whole_lines(&mut file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let text = to_lines(entries)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(end + text.len() as u64)
    }

    /// Puts entries in place of all that there are, durably and at once; gives the offset after them.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn replace(&self, entries: &[JournalEntry]) -> Result<u64, StoreError> {
        let text = to_lines(entries).map_err(StoreError::io("write", &self.path))?;
        replace_file(&self.path, text.as_bytes())?;
        Ok(text.len() as u64)
    }

    /// Reads the entries from a byte offset on.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn replay(&self, from: u64) -> Result<Replay, StoreError> {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = self.file()?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(StoreError::io("read", &self.path))?;
        Ok(parse(&bytes, from))
    }

    fn file(&self) -> std::io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)
    }
}

fn to_lines(entries: &[JournalEntry]) -> std::io::Result<String> {
    let mut text = String::new();
    for entry in entries {
        let json = serde_json::to_string(entry)?;
        text.push_str(&format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())));
    }
    Ok(text)
}

fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1))
}

pub(super) fn parse(bytes: &[u8], from: u64) -> Replay {
    let mut replay = Replay { end: from, ..Replay::default() };
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else { break };
        replay.end += line.len() as u64 + 1;
        match parse_line(line) {
            Some(entry) => replay.entries.push(entry),
            None => replay.damaged_lines += 1,
        }
    }
    replay
}

fn parse_line(line: &[u8]) -> Option<JournalEntry> {
    let text = std::str::from_utf8(line).ok()?;
    let (crc, json) = text.split_once(' ')?;
    let expected = u32::from_str_radix(crc, 16).ok()?;
    if crc32fast::hash(json.as_bytes()) != expected {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(image: &str, label: Option<&str>) -> JournalEntry {
        let image = ContentHash::of(image.as_bytes());
        JournalEntry::Label(LabelEntry { image, label: label.map(str::to_owned) })
    }

    #[test]
    fn entries_come_back_in_order_and_from_an_offset() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let middle = journal.append(&[entry("a", Some("cat"))]).unwrap();
        let end = journal.append(&[entry("b", Some("Hund \u{1f415}")), entry("a", None)]).unwrap();
        let all = journal.replay(0).unwrap();
        assert_eq!(all.entries.len(), 3);
        assert_eq!(all.end, end);
        assert_eq!(journal.replay(middle).unwrap().entries, all.entries[1..]);
    }

    #[test]
    fn half_a_line_is_dropped_and_a_damaged_line_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        journal.append(&[entry("a", Some("cat")), entry("b", Some("dog"))]).unwrap();
        let mut bytes = std::fs::read(&journal.path).unwrap();
        // Still valid JSON: only the checksum can tell.
        let cat = bytes.windows(3).position(|three| three == b"cat").unwrap();
        bytes[cat] = b'b';
        bytes.extend_from_slice(b"0000 {\"ima");
        std::fs::write(&journal.path, &bytes).unwrap();
        let replay = journal.replay(0).unwrap();
        assert_eq!(replay.entries, [entry("b", Some("dog"))]);
        assert_eq!(replay.damaged_lines, 1);
        journal.append(&[entry("c", Some("cow"))]).unwrap();
        assert_eq!(journal.replay(0).unwrap().entries.len(), 2);
    }

    #[test]
    fn decisions_of_both_kinds_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let pair = ["a", "b"].map(|name| ContentHash::of(name.as_bytes()));
        let distinct = |holds| JournalEntry::Distinct(DistinctEntry { not_same: pair, holds });
        let entries = [distinct(true), entry("a", None), distinct(false)];
        journal.append(&entries).unwrap();
        assert_eq!(journal.replay(0).unwrap().entries, entries);
    }
}
