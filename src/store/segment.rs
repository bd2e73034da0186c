//! One file of embeddings: slots of one length, only ever appended to, each with its checksum.
//!
//! ```text
//! 0        8       10      12          16            28       32
//! +--------+-------+-------+-----------+-------------+--------+
//! | magic  | space | zero  | dimension | zero        | CRC-32 |  header
//! +--------+-------+-------+-----------+-------------+--------+
//! | image u64      | components, 16-bit floats       | CRC-32 |  slot 0, slot 1, ...
//! +----------------+---------------------------------+--------+
//! ```
//! Numbers are little-endian. The checksum of a slot covers the space, the
//! image and the components, so that a slot of another file is refused too.
//! What a slot holds counts only once a record of the store refers to it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::manifest::replace_file;
use crate::record::{ImageId, SpaceId};

const MAGIC: [u8; 8] = *b"lookemb1";
const HEADER_BYTES: u64 = 32;
const IMAGE_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 4;
const COMPONENT_BYTES: usize = 2;
/// Far above every network; bounds the memory that a damaged header can ask for.
const DIMENSION_MAX: u32 = 1 << 16;
/// Slots that a scan reads at a time.
const WINDOW_SLOTS: usize = 256;

/// A file of embeddings, open for appending.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    shape: Shape,
    slots: u64,
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) space: SpaceId,
    pub(super) dimension: u32,
}

impl Shape {
    fn payload_bytes(self) -> usize {
        self.dimension as usize * COMPONENT_BYTES
    }

    fn slot_bytes(self) -> usize {
        IMAGE_BYTES + self.payload_bytes() + CHECKSUM_BYTES
    }

    fn offset(self, slot: u64) -> Option<u64> {
        slot.checked_mul(self.slot_bytes() as u64)?.checked_add(HEADER_BYTES)
    }

    fn to_header(self) -> [u8; HEADER_BYTES as usize] {
        let mut header = [0; HEADER_BYTES as usize];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&self.space.0.to_le_bytes());
        header[12..16].copy_from_slice(&self.dimension.to_le_bytes());
        let crc = crc32fast::hash(&header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Reads a header; `None` for bytes that [`Shape::to_header`] does not write.
    pub(super) fn from_header(header: &[u8; HEADER_BYTES as usize]) -> Option<Self> {
        let space = SpaceId(u16::from_le_bytes([header[8], header[9]]));
        let dimension = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let shape = Self { space, dimension };
        let is_sound = (1..=DIMENSION_MAX).contains(&dimension) && shape.to_header() == *header;
        is_sound.then_some(shape)
    }

    fn checksum(self, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.space.0.to_le_bytes());
        hasher.update(body);
        hasher.finalize().to_le_bytes()
    }

    /// The components in a slot; `None` when it is damaged or belongs to another image.
    fn open(self, slot: &[u8], image: ImageId) -> Option<&[u8]> {
        let (body, crc) = slot.split_at_checked(IMAGE_BYTES + self.payload_bytes())?;
        let (owner, payload) = body.split_at_checked(IMAGE_BYTES)?;
        (crc == self.checksum(body) && owner == image.0.to_le_bytes()).then_some(payload)
    }
}

impl Segment {
    /// Makes an empty segment, durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn create(path: &Path, shape: Shape) -> Result<Self, StoreError> {
        replace_file(path, &shape.to_header())?;
        Self::open(path)
    }

    /// Opens a segment; half a slot at its end is what a killed process left, and is written over.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its header is not one; [`StoreError::Io`].
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::io("open", path)(error);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let shape = read_shape(&mut file, path)?;
        let length = file.metadata().map_err(io)?.len();
        let slots = (length - HEADER_BYTES) / shape.slot_bytes() as u64;
        Ok(Self { path: path.to_owned(), file, shape, slots })
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whole slots.
    pub(super) fn slots(&self) -> u64 {
        self.slots
    }

    /// Writes a slot behind the others and gives its number; [`Segment::sync`] makes it durable.
    ///
    /// # Errors
    /// [`StoreError::Dimension`]; [`StoreError::Io`], and then the next slot takes its place.
    pub(super) fn append(&mut self, image: ImageId, payload: &[u8]) -> Result<u64, StoreError> {
        if payload.len() != self.shape.payload_bytes() {
            return Err(StoreError::Dimension {
                expected: self.shape.dimension as usize,
                found: payload.len() / COMPONENT_BYTES,
            });
        }
        let mut slot = Vec::with_capacity(self.shape.slot_bytes());
        slot.extend_from_slice(&image.0.to_le_bytes());
        slot.extend_from_slice(payload);
        let crc = self.shape.checksum(&slot);
        slot.extend_from_slice(&crc);
        let number = self.slots;
        let offset = HEADER_BYTES + number * self.shape.slot_bytes() as u64;
        let write = |file: &mut File| -> std::io::Result<()> {
            file.seek(SeekFrom::Start(offset))?;
            file.write_all(&slot)
        };
        write(&mut self.file).map_err(StoreError::io("write", &self.path))?;
        self.slots += 1;
        Ok(number)
    }

    /// Makes all slots durable.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(StoreError::io("write", &self.path))
    }
}

/// Reads the slots of a segment, those that lie together in one go.
pub(super) struct SlotReader {
    path: PathBuf,
    file: File,
    shape: Shape,
    window: Vec<u8>,
    first: u64,
    ahead: usize,
}

impl SlotReader {
    /// Opens a segment for a scan in about the order of its slots.
    ///
    /// # Errors
    /// As for [`Segment::open`].
    pub(super) fn for_scan(path: &Path) -> Result<Self, StoreError> {
        Self::open(path, WINDOW_SLOTS)
    }

    /// Opens a segment for a single slot.
    ///
    /// # Errors
    /// As for [`Segment::open`].
    pub(super) fn for_one(path: &Path) -> Result<Self, StoreError> {
        Self::open(path, 1)
    }

    fn open(path: &Path, ahead: usize) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let shape = read_shape(&mut file, path)?;
        Ok(Self { path: path.to_owned(), file, shape, window: Vec::new(), first: 0, ahead })
    }

    /// The components of an image; `None` when its slot is damaged or not there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn read(&mut self, slot: u64, image: ImageId) -> Result<Option<&[u8]>, StoreError> {
        let bytes = self.shape.slot_bytes();
        let held = (self.window.len() / bytes) as u64;
        if slot < self.first || slot - self.first >= held {
            self.fill(slot).map_err(StoreError::io("read", &self.path))?;
        }
        let start = (slot - self.first) as usize * bytes;
        let found = self.window.get(start..start + bytes);
        Ok(found.and_then(|found| self.shape.open(found, image)))
    }

    fn fill(&mut self, slot: u64) -> std::io::Result<()> {
        self.first = slot;
        self.window.clear();
        // A number from a damaged record may lie anywhere: then nothing is read.
        let Some(offset) = self.shape.offset(slot).filter(|offset| *offset <= i64::MAX as u64)
        else {
            return Ok(());
        };
        self.file.seek(SeekFrom::Start(offset))?;
        let length = (self.ahead * self.shape.slot_bytes()) as u64;
        Read::by_ref(&mut self.file).take(length).read_to_end(&mut self.window)?;
        Ok(())
    }
}

fn read_shape(file: &mut File, path: &Path) -> Result<Shape, StoreError> {
    let mut header = [0; HEADER_BYTES as usize];
    let read = file.rewind().and_then(|()| file.read_exact(&mut header));
    let damaged = || StoreError::Damaged {
        path: path.to_owned(),
        reason: "it does not begin as a file of embeddings does".to_owned(),
    };
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damaged()),
        read => read.map_err(StoreError::io("read", path))?,
    }
    Shape::from_header(&header).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { space: SpaceId(3), dimension: 2 };

    fn filled(folder: &Path) -> PathBuf {
        let path = folder.join("3");
        let mut segment = Segment::create(&path, SHAPE).unwrap();
        for image in 0..600u64 {
            assert_eq!(segment.append(ImageId(image), &[image as u8; 4]).unwrap(), image);
        }
        segment.sync().unwrap();
        path
    }

    #[test]
    fn slots_come_back_in_any_order_and_after_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        assert_eq!(Segment::open(&path).unwrap().slots(), 600);
        let mut reader = SlotReader::for_scan(&path).unwrap();
        for slot in (0..600).chain([0, 599, 255, 256]) {
            let found = reader.read(slot, ImageId(slot)).unwrap();
            assert_eq!(found, Some(&[slot as u8; 4][..]), "slot {slot}");
        }
        assert_eq!(reader.read(600, ImageId(600)).unwrap(), None);
        assert_eq!(reader.read(u64::MAX, ImageId(1)).unwrap(), None);
        assert_eq!(reader.read(5, ImageId(6)).unwrap(), None, "a slot of another image");
    }

    #[test]
    fn half_a_slot_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 3).unwrap();
        let mut segment = Segment::open(&path).unwrap();
        assert_eq!(segment.append(ImageId(7), &[1; 4]).unwrap(), 599);
        let mut reader = SlotReader::for_one(&path).unwrap();
        assert_eq!(reader.read(599, ImageId(7)).unwrap(), Some(&[1; 4][..]));
    }

    #[test]
    fn every_flipped_bit_of_header_and_slot_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3");
        Segment::create(&path, SHAPE).unwrap().append(ImageId(9), &[5; 4]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bytes).unwrap();
            let read = SlotReader::for_one(&path)
                .map(|mut reader| reader.read(0, ImageId(9)).unwrap().map(<[u8]>::to_vec));
            match read {
                Err(error) => assert!(error.is_damage() && bit < 256, "bit {bit}: {error}"),
                Ok(found) => assert!(found.is_none() && bit >= 256, "bit {bit}"),
            }
        }
    }

    #[test]
    fn a_vector_of_another_dimension_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut segment = Segment::create(&folder.path().join("3"), SHAPE).unwrap();
        let error = segment.append(ImageId(1), &[0; 6]).unwrap_err();
        assert!(matches!(error, StoreError::Dimension { expected: 2, found: 3 }), "{error}");
    }
}
