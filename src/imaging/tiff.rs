//! The directories of TIFF, which raw files use too: where previews and profiles lie.
//!
//! Every offset is treated as hostile, and followed a bounded number of times.

use std::collections::VecDeque;

/// Headers of raw files that are TIFFs in all but the number 42: Olympus and Panasonic.
pub(super) const OTHER_MAGIC: [&[u8]; 4] = [b"IIRO", b"IIRS", b"MMOR", b"IIU\0"];

/// Directories that are followed in a file; cameras write fewer than ten.
const DIRECTORIES_MAX: usize = 64;
/// Entries of a directory that are looked at.
const ENTRIES_MAX: usize = 512;
/// Directories that one entry may point to.
const CHILDREN_MAX: usize = 16;

const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const STRIP_LENGTHS: u16 = 279;
const CHILDREN: u16 = 330;
const JPEG_OFFSET: u16 = 513;
const JPEG_LENGTH: u16 = 514;
const ICC_PROFILE: u16 = 34675;
const DNG_VERSION: u16 = 50706;
const NEW_SUBFILE_TYPE: u16 = 254;
/// Panasonic's preview, as the bytes of the entry itself.
const PANASONIC_JPEG: u16 = 46;

/// Tells whether a TIFF holds what a sensor saw: its first image is then a thumbnail at best.
///
/// Canon and Adobe mark their files, Nikon, Sony and others put a thumbnail first, the rest say
/// of an image that its values are those of a colour filter.
pub(super) fn holds_sensor_data(bytes: &[u8]) -> bool {
    const REDUCED_RESOLUTION: u32 = 1;
    const COLOUR_FILTER: u32 = 32803;
    const LINEAR_RAW: u32 = 34892;
    if bytes.get(8..10) == Some(b"CR") {
        return true;
    }
    let directories = directories(bytes);
    let is_marked = directories.first().is_some_and(|first| {
        let kind = first.number(NEW_SUBFILE_TYPE).unwrap_or_default();
        first.entry(DNG_VERSION).is_some() || kind & REDUCED_RESOLUTION != 0
    });
    is_marked
        || directories
            .iter()
            .filter_map(|directory| directory.number(PHOTOMETRIC))
            .any(|kind| kind == COLOUR_FILTER || kind == LINEAR_RAW)
}

/// Gives the ICC profile of the first image.
///
/// The library's own look-up passes over profiles that are marked as bytes of no kind, as the
/// standard of ICC wants them.
pub(super) fn colour_profile(bytes: &[u8]) -> Option<&[u8]> {
    let order = Order::of(bytes)?;
    let (first, _) = Directory::read(bytes, order, order.u32(bytes, 4)?)?;
    first.content(first.entry(ICC_PROFILE)?)
}

/// Gives the places at which directories say that a JPEG lies.
pub(super) fn previews(bytes: &[u8]) -> Vec<&[u8]> {
    const JPEG_KINDS: [u32; 2] = [6, 7];
    let mut places = Vec::new();
    for directory in directories(bytes) {
        let place = |offset: u16, length: u16| {
            let start = usize::try_from(directory.number(offset)?).ok()?;
            bytes.get(start..)?.get(..usize::try_from(directory.number(length)?).ok()?)
        };
        places.extend(place(JPEG_OFFSET, JPEG_LENGTH));
        if directory.number(COMPRESSION).is_some_and(|kind| JPEG_KINDS.contains(&kind)) {
            places.extend(place(STRIP_OFFSETS, STRIP_LENGTHS));
        }
        places.extend(directory.entry(PANASONIC_JPEG).and_then(|entry| directory.content(entry)));
    }
    places
}

/// Tells whether bytes begin like a TIFF, or like a relative of it.
pub(super) fn begins(bytes: &[u8]) -> bool {
    Order::of(bytes).is_some()
}

/// Copies a relative of TIFF so that readers of TIFF take it.
pub(super) fn with_common_number(bytes: &[u8]) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    if let Some(number) = copy.get_mut(2..4) {
        number.copy_from_slice(if bytes.starts_with(b"MM") { b"\0*" } else { b"*\0" });
    }
    copy
}

/// Follows directories from the first one, each at most once.
fn directories(bytes: &[u8]) -> Vec<Directory<'_>> {
    let mut found: Vec<Directory<'_>> = Vec::new();
    let Some(order) = Order::of(bytes) else { return found };
    let mut due: VecDeque<u32> = order.u32(bytes, 4).into_iter().collect();
    while let Some(start) = due.pop_front() {
        let is_new = start > 0 && found.iter().all(|directory| directory.start != start);
        if !is_new || found.len() == DIRECTORIES_MAX {
            continue;
        }
        let Some((directory, next)) = Directory::read(bytes, order, start) else { continue };
        due.extend(directory.children());
        due.extend(next);
        due.truncate(DIRECTORIES_MAX);
        found.push(directory);
    }
    found
}

/// The order of the bytes of a number.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    /// Takes classic TIFF and its relatives; BigTIFF, which no camera writes, is `None`.
    fn of(bytes: &[u8]) -> Option<Self> {
        let classic: [&[u8]; 2] = [b"II*\0", b"MM\0*"];
        let is_known = classic.iter().chain(&OTHER_MAGIC).any(|magic| bytes.starts_with(magic));
        is_known.then_some(if bytes[0] == b'I' { Self::Little } else { Self::Big })
    }

    fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let two = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(two),
            Self::Big => u16::from_be_bytes(two),
        })
    }

    fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let four = *bytes.get(offset..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        })
    }
}

struct Directory<'a> {
    bytes: &'a [u8],
    order: Order,
    start: u32,
    entries: Vec<Entry>,
}

/// One field: what it is, and where its value lies.
#[derive(Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    /// Where the 4 bytes are that are the value, or its offset if it is longer.
    value: usize,
}

impl<'a> Directory<'a> {
    /// Gives the directory and where the next one lies.
    fn read(bytes: &'a [u8], order: Order, start: u32) -> Option<(Self, Option<u32>)> {
        let first = usize::try_from(start).ok()?.checked_add(2)?;
        let count = usize::from(order.u16(bytes, first - 2)?);
        let entry = |index: usize| -> Option<Entry> {
            let at = first.checked_add(index * 12)?;
            Some(Entry {
                tag: order.u16(bytes, at)?,
                kind: order.u16(bytes, at + 2)?,
                count: order.u32(bytes, at + 4)?,
                value: at + 8,
            })
        };
        let entries = (0..count.min(ENTRIES_MAX)).map_while(entry).collect();
        let next = first.checked_add(count * 12).and_then(|end| order.u32(bytes, end));
        Some((Self { bytes, order, start, entries }, next))
    }

    fn entry(&self, tag: u16) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    /// The only number of a field; an image in several strips has no single place.
    fn number(&self, tag: u16) -> Option<u32> {
        let entry = self.entry(tag).filter(|entry| entry.count == 1)?;
        const SHORT: u16 = 3;
        const LONG: u16 = 4;
        const DIRECTORY: u16 = 13;
        match entry.kind {
            SHORT => self.order.u16(self.bytes, entry.value).map(u32::from),
            LONG | DIRECTORY => self.order.u32(self.bytes, entry.value),
            _ => None,
        }
    }

    /// The bytes of a field that is longer than 4 of them.
    fn content(&self, entry: Entry) -> Option<&'a [u8]> {
        let start = usize::try_from(self.order.u32(self.bytes, entry.value)?).ok()?;
        self.bytes.get(start..)?.get(..usize::try_from(entry.count).ok()?)
    }

    fn children(&self) -> Vec<u32> {
        let Some(entry) = self.entry(CHILDREN) else { return Vec::new() };
        if entry.count == 1 {
            return self.number(CHILDREN).into_iter().collect();
        }
        let Some(start) = self.order.u32(self.bytes, entry.value) else { return Vec::new() };
        (0..(entry.count as usize).min(CHILDREN_MAX))
            .map_while(|index| self.order.u32(self.bytes, start as usize + index * 4))
            .collect()
    }
}
