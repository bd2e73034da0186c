//! Reads one file: its start first, which tells what the rest will cost, then all of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::scan::stamp_of;
use crate::imaging::{self, ImageFormat};
use crate::record::{ContentHash, FileStamp};

/// Files above this length are not read: no format that we decode needs it.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// Enough for the header of nearly every photo, behind its EXIF and thumbnail.
const START_BYTES: u64 = 256 << 10;

/// Bytes read at a time; each piece is hashed while it is still in the cache.
const PIECE_BYTES: u64 = 256 << 10;

/// A file written this shortly before it was read may be written again within
/// the same tick of the file system's clock, and would then look unchanged.
const TICK: Duration = Duration::from_millis(20);

/// An open file of which the start is in memory.
pub(super) struct OpenedFile {
    file: File,
    modified: Option<SystemTime>,
    stamp: FileStamp,
    bytes: Vec<u8>,
    hasher: blake3::Hasher,
}

/// A whole file.
pub(super) struct ReadFile {
    pub(super) bytes: Vec<u8>,
    pub(super) hash: ContentHash,
    /// Never equal to a real stamp when the file may have changed since: the
    /// next run then reads it again.
    pub(super) stamp: FileStamp,
    /// Whether it changed while it was read, so that these bytes are no image
    /// that anybody made.
    pub(super) changed: bool,
}

impl OpenedFile {
    /// Opens a file and reads its start.
    ///
    /// # Errors
    /// Those of the system; a file that is too large to be a photo.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.len() > FILE_BYTES_MAX {
            let size_mb = metadata.len() / 1_000_000;
            return Err(std::io::Error::other(format!(
                "the file of {size_mb} MB is too large to read"
            )));
        }
        let mut opened = Self {
            file,
            modified: metadata.modified().ok(),
            stamp: stamp_of(&metadata),
            bytes: Vec::new(),
            hasher: blake3::Hasher::new(),
        };
        opened.read_piece(START_BYTES)?;
        Ok(opened)
    }

    /// About the memory that reading and decoding the file takes.
    ///
    /// A guess where the header does not lie in the start, as in some TIFF.
    pub(super) fn cost_bytes(&self) -> u64 {
        let decoded = match imaging::probe(&self.bytes) {
            Ok(header) => {
                let pixels = u64::from(header.width_px) * u64::from(header.height_px);
                // Two upright copies in 8 bits while an image is turned, or one and the
                // coefficients of a progressive JPEG; 16 bits with transparency in others.
                let per_pixel = if header.format == ImageFormat::Jpeg { 6 } else { 8 };
                pixels.saturating_mul(per_pixel)
            }
            Err(_) => 4 * self.stamp.size_bytes,
        };
        // The JPEG reader makes a copy of the file.
        decoded.saturating_add(2 * self.stamp.size_bytes)
    }

    /// Reads the rest, hashing as it comes.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn read(mut self) -> std::io::Result<ReadFile> {
        // No further than the length at opening, which is what memory was set aside for.
        while (self.bytes.len() as u64) < self.stamp.size_bytes {
            let left = self.stamp.size_bytes - self.bytes.len() as u64;
            if self.read_piece(left.min(PIECE_BYTES))? == 0 {
                break;
            }
        }
        let after = stamp_of(&self.file.metadata()?);
        let changed = after != self.stamp || self.bytes.len() as u64 != self.stamp.size_bytes;
        let age = self.modified.and_then(|time| SystemTime::now().duration_since(time).ok());
        let mut stamp = self.stamp;
        if changed || age.is_none_or(|age| age <= TICK) {
            stamp.modified_ns = 0;
        }
        let hash = ContentHash(*self.hasher.finalize().as_bytes());
        Ok(ReadFile { bytes: self.bytes, hash, stamp, changed })
    }

    fn read_piece(&mut self, length: u64) -> std::io::Result<usize> {
        let start = self.bytes.len();
        let count = Read::by_ref(&mut self.file).take(length).read_to_end(&mut self.bytes)?;
        self.hasher.update(&self.bytes[start..]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_just_now_gets_a_stamp_that_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(OpenedFile::open(&path).unwrap().read().unwrap().stamp.modified_ns, 0);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
        let read = OpenedFile::open(&path).unwrap().read().unwrap();
        assert_ne!(read.stamp.modified_ns, 0);
        assert_eq!((read.stamp.size_bytes, read.bytes.as_slice()), (3, &b"abc"[..]));
        assert!(!read.changed);
    }

    #[test]
    fn a_file_of_several_pieces_is_hashed_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        let bytes: Vec<u8> = (0..START_BYTES + 2 * PIECE_BYTES + 7).map(|n| n as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let read = OpenedFile::open(&path).unwrap().read().unwrap();
        assert_eq!(read.hash, ContentHash::of(&bytes));
        assert_eq!(read.bytes, bytes);
    }

    #[test]
    fn a_file_that_grows_or_shrinks_while_it_is_read_is_noticed() {
        for length in [5, START_BYTES + 100] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.jpg");
            std::fs::write(&path, vec![1; START_BYTES as usize + 50]).unwrap();
            let opened = OpenedFile::open(&path).unwrap();
            File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
            let read = opened.read().unwrap();
            assert!(read.changed, "{length}");
            assert_eq!(read.stamp.modified_ns, 0);
            assert!(read.bytes.len() as u64 <= START_BYTES + 50);
        }
    }

    #[test]
    fn the_cost_is_known_from_the_start_of_the_file() {
        let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
        for (photo, per_pixel) in [("landmarks/roman_colosseum.jpg", 6), ("fish/goldfish.webp", 8)]
        {
            let path = photos.join(photo);
            let bytes = std::fs::read(&path).unwrap();
            let header = imaging::probe(&bytes).unwrap();
            let pixels = u64::from(header.width_px) * u64::from(header.height_px);
            let cost = OpenedFile::open(&path).unwrap().cost_bytes();
            assert_eq!(cost, pixels * per_pixel + 2 * bytes.len() as u64);
        }
    }
}
