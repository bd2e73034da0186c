//! Thumbnails on the disk: small JPEGs named by the content of their image.
//!
//! They can be deleted at any moment, all or some: whoever needs one makes it again.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use crate::record::ContentHash;

/// The longer side of a thumbnail.
pub const THUMBNAIL_SIDE_PX: u32 = 256;

/// What the files of a cache take at most: about 250,000 thumbnails.
const BYTES_MAX: u64 = 2 << 30;

/// The thumbnails of one database.
pub struct Thumbnails {
    folder: PathBuf,
    bytes_max: u64,
    /// Bytes of all files, counted when the first one is written.
    bytes: OnceLock<Mutex<u64>>,
}

impl Thumbnails {
    /// Takes a folder, which need not be there.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, bytes_max: BYTES_MAX, bytes: OnceLock::new() }
    }

    /// Bounds the bytes of all files.
    #[must_use]
    pub fn with_bytes_max(self, bytes_max: u64) -> Self {
        Self { bytes_max, ..self }
    }

    /// The JPEG of an image; `None` when there is none, or it cannot be read.
    #[must_use]
    pub fn get(&self, hash: &ContentHash) -> Option<Vec<u8>> {
        let bytes = fs::read(self.path(hash)).ok()?;
        // What a full disk or a failing one left behind is made again.
        (bytes.starts_with(b"\xFF\xD8") && bytes.ends_with(b"\xFF\xD9")).then_some(bytes)
    }

    /// Keeps the JPEG of an image. When that makes too many, those written first go.
    ///
    /// # Errors
    /// When it cannot be written; nothing is lost but time then.
    pub fn put(&self, hash: &ContentHash, jpeg: &[u8]) -> io::Result<()> {
        let path = self.path(hash);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let bytes = self.bytes.get_or_init(|| Mutex::new(size_bytes(&self.folder)));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(jpeg)?;
        file.persist(&path)?;
        let mut bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *bytes += jpeg.len() as u64;
        if *bytes > self.bytes_max {
            *bytes = self.trim();
        }
        Ok(())
    }

    /// Removes the thumbnail of an image, if there is one.
    pub fn remove(&self, hash: &ContentHash) {
        // One that cannot be removed is only a file too many.
        let _ = fs::remove_file(self.path(hash));
    }

    /// Deletes the oldest files until nine tenths of the bound are left, and gives what is left.
    fn trim(&self) -> u64 {
        let mut files = files(&self.folder);
        files.sort_by_key(|file| file.written);
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        for file in &files {
            if bytes <= self.bytes_max / 10 * 9 {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                bytes -= file.bytes;
            }
        }
        bytes
    }

    /// 256 folders share the files, for file systems that are slow with many in one.
    fn path(&self, hash: &ContentHash) -> PathBuf {
        let name = hash.to_string();
        self.folder.join(&name[..2]).join(format!("{}.jpg", &name[2..]))
    }
}

struct File {
    path: PathBuf,
    bytes: u64,
    written: SystemTime,
}

fn files(folder: &Path) -> Vec<File> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let parts = entries(folder).flat_map(|part| entries(&part.path()).collect::<Vec<_>>());
    let files = parts.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        let written = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        about.is_file().then(|| File { path: entry.path(), bytes: about.len(), written })
    });
    files.collect()
}

fn size_bytes(folder: &Path) -> u64 {
    files(folder).iter().map(|file| file.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(bytes: usize) -> Vec<u8> {
        let mut jpeg = vec![0; bytes];
        jpeg[..2].copy_from_slice(b"\xFF\xD8");
        jpeg[bytes - 2..].copy_from_slice(b"\xFF\xD9");
        jpeg
    }

    fn hash(number: u64) -> ContentHash {
        ContentHash::of(&number.to_le_bytes())
    }

    #[test]
    fn what_was_kept_comes_back_and_what_was_cut_off_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let thumbs = Thumbnails::new(folder.path().join("thumbs"));
        assert_eq!(thumbs.get(&hash(1)), None);
        thumbs.put(&hash(1), &jpeg(100)).unwrap();
        assert_eq!(thumbs.get(&hash(1)), Some(jpeg(100)));
        assert_eq!(thumbs.get(&hash(2)), None);
        fs::write(thumbs.path(&hash(1)), &jpeg(100)[..60]).unwrap();
        assert_eq!(thumbs.get(&hash(1)), None);
        thumbs.put(&hash(1), &jpeg(100)).unwrap();
        thumbs.remove(&hash(1));
        assert_eq!(thumbs.get(&hash(1)), None);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_also_those_of_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Thumbnails::new(folder.path().to_owned()).with_bytes_max(1000);
        let thumbs = open();
        for number in 0..10 {
            thumbs.put(&hash(number), &jpeg(100)).unwrap();
            let file = fs::File::options().write(true).open(thumbs.path(&hash(number))).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number);
            file.set_modified(time).unwrap();
        }
        assert_eq!(size_bytes(folder.path()), 1000);
        open().put(&hash(10), &jpeg(100)).unwrap();
        assert_eq!(size_bytes(folder.path()), 900);
        let left: Vec<u64> =
            (0..11).filter(|number| thumbs.get(&hash(*number)).is_some()).collect();
        assert_eq!(left, (2..11).collect::<Vec<_>>());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_and_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let thumbs = Thumbnails::new(file.path().join("thumbs"));
        assert!(thumbs.put(&hash(1), &jpeg(100)).is_err());
        assert_eq!(thumbs.get(&hash(1)), None);
    }
}
