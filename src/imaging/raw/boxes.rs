//! The boxes of Canon's CR3: previews, and the directories of its EXIF fields.

/// The kind of the first box, and the brand that it names.
pub(super) const MAGIC: &[u8] = b"ftypcrx ";

/// Depth to which boxes are opened, and how many in all.
const DEPTH_MAX: usize = 8;
const BOXES_MAX: usize = 1024;

/// Boxes that hold boxes.
const CONTAINERS: [&[u8; 4]; 5] = [b"moov", b"trak", b"mdia", b"minf", b"stbl"];

/// Canon's own boxes hold boxes too: behind an identity of 16 bytes, and 8 more in the second.
const CANON_FIELDS: &[u8] = b"\x85\xC0\xB6\x87\x82\x0F\x11\xE0\x81\x11\xF4\xCE\x46\x2B\x6A\x48";
const CANON_PREVIEW: &[u8] = b"\xEA\xF4\x2B\x5E\x1C\x98\x4B\x88\xB9\xFB\xB7\xDC\x40\x6E\x4D\x16";

/// The TIFF structures that hold the EXIF fields of a CR3, one for each directory.
pub(in super::super) struct FieldBlocks<'a> {
    /// Orientation and camera.
    pub(in super::super) main: Option<&'a [u8]>,
    /// Times and exposure.
    pub(in super::super) exif: Option<&'a [u8]>,
    /// Where the camera was.
    pub(in super::super) gps: Option<&'a [u8]>,
}

/// Finds the EXIF fields of a CR3; `None` for any other file.
pub(in super::super) fn field_blocks(bytes: &[u8]) -> Option<FieldBlocks<'_>> {
    if bytes.get(4..12) != Some(MAGIC) {
        return None;
    }
    let boxes = all(bytes);
    let content =
        |kind: &[u8; 4]| boxes.iter().find(|found| found.kind == *kind).map(|found| found.content);
    Some(FieldBlocks { main: content(b"CMT1"), exif: content(b"CMT2"), gps: content(b"CMT4") })
}

/// Gives the places at which tracks and Canon's own boxes hold a JPEG.
pub(super) fn previews(bytes: &[u8]) -> Vec<&[u8]> {
    let boxes = all(bytes);
    let mut places = Vec::new();
    let mut length = None;
    for Part { kind, content } in boxes {
        match &kind {
            b"PRVW" | b"THMB" => {
                // The numbers in front of the image differ between models.
                let head = &content[..content.len().min(64)];
                let start = head.windows(3).position(|three| three == b"\xFF\xD8\xFF");
                places.extend(start.map(|start| &content[start..]));
            }
            // A table of the lengths of samples, then one of the places of chunks. A photo is one
            // sample in one chunk.
            b"stsz" => length = sample_length(content),
            b"co64" => places.extend(chunk(bytes, u64_at(content, 8), length.take())),
            b"stco" => {
                places.extend(chunk(bytes, u32_at(content, 8).map(u64::from), length.take()));
            }
            _ => {}
        }
    }
    places
}

/// The length that all samples have, or else that of the first.
fn sample_length(content: &[u8]) -> Option<u32> {
    u32_at(content, 4).filter(|length| *length > 0).or_else(|| u32_at(content, 12))
}

fn chunk(bytes: &[u8], offset: Option<u64>, length: Option<u32>) -> Option<&[u8]> {
    bytes.get(usize::try_from(offset?).ok()?..)?.get(..usize::try_from(length?).ok()?)
}

/// A box: what it is, and what it holds.
struct Part<'a> {
    kind: [u8; 4],
    content: &'a [u8],
}

/// All boxes in the order of the file, those inside others behind them.
fn all(bytes: &[u8]) -> Vec<Part<'_>> {
    let mut found = Vec::new();
    open(bytes, 0, &mut found);
    found
}

fn open<'a>(mut bytes: &'a [u8], depth: usize, found: &mut Vec<Part<'a>>) {
    while let Some((kind, content, rest)) = first(bytes) {
        if found.len() == BOXES_MAX {
            return;
        }
        found.push(Part { kind, content });
        if depth < DEPTH_MAX
            && let Some(inside) = inside(kind, content)
        {
            open(inside, depth + 1, found);
        }
        bytes = rest;
    }
}

/// The boxes within a box.
fn inside(kind: [u8; 4], content: &[u8]) -> Option<&[u8]> {
    if CONTAINERS.contains(&&kind) {
        return Some(content);
    }
    if kind != *b"uuid" {
        return None;
    }
    let fields = content.strip_prefix(CANON_FIELDS);
    fields.or_else(|| content.strip_prefix(CANON_PREVIEW)?.get(8..))
}

/// Kind and content of the first box, and what follows it. The last one may have no length.
fn first(bytes: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let kind = *bytes.get(4..)?.first_chunk()?;
    let (head, length) = match u32_at(bytes, 0)? {
        0 => (8, bytes.len()),
        1 => (16, usize::try_from(u64_at(bytes, 8)?).ok()?),
        length => (8, usize::try_from(length).ok()?),
    };
    Some((kind, bytes.get(head..length)?, bytes.get(length..)?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(offset..)?.first_chunk()?))
}
