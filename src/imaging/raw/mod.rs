//! Reads camera raw files: the largest JPEG preview inside, which the camera developed itself.
//!
//! Three kinds of container hold previews: TIFF directories (CR2, NEF, ARW, DNG, ORF, RW2, PEF,
//! SRW and relatives), the boxes of MP4 (CR3) and a table of Fujifilm's (RAF). Where none of them
//! names a preview (Olympus keeps it in its maker's notes, Minolta in a block of its own), the
//! file is searched for one. Every offset is treated as hostile: looked up within the bytes, and
//! followed a bounded number of times.

mod boxes;
mod search;

pub(super) use boxes::{FieldBlocks, field_blocks};

use super::{DecodeLimits, ImageFormat, ImageHeader, ImagingError, jpeg, tiff};
use crate::pixels::Pixels;

/// Longer side of the smallest preview that is taken for the photo: the first digital cameras
/// wrote thumbnails of 160 x 120 alone, and those are not the photo.
const SIDE_PX_MIN: u32 = 256;

/// First bytes of Fujifilm's files.
const FUJI_MAGIC: &[u8] = b"FUJIFILMCCD-RAW";

/// First bytes of the kinds whose previews are searched for.
const OTHER_MAGIC: [&[u8]; 2] = [b"\0MRM", b"FOVb"];

/// Tells whether bytes that are no plain TIFF begin like a camera raw file.
pub(super) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(FUJI_MAGIC)
        || bytes.get(4..12) == Some(boxes::MAGIC)
        || tiff::OTHER_MAGIC.iter().chain(&OTHER_MAGIC).any(|magic| bytes.starts_with(magic))
}

/// Reads the header of the preview.
pub(super) fn probe(bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    Ok(ImageHeader { format: ImageFormat::Raw, ..largest(bytes)?.header })
}

/// Decodes the preview, as stored: the orientation is not applied. The rest is as for
/// [`jpeg::decode_at_least`].
pub(super) fn decode_at_least(
    bytes: &[u8],
    limits: &DecodeLimits,
    side_min_px: u32,
) -> Result<(Pixels, ImageHeader), ImagingError> {
    jpeg::decode_at_least(largest(bytes)?.bytes, limits, side_min_px)
}

/// Gives the JPEG file inside that is taken for the photo.
pub(super) fn preview(bytes: &[u8]) -> Option<&[u8]> {
    largest(bytes).ok().map(|preview| preview.bytes)
}

/// Gives the TIFF structure of the EXIF fields: the file itself, or that of its preview.
pub(super) fn exif(bytes: &[u8]) -> Option<Vec<u8>> {
    if tiff::begins(bytes) {
        return Some(tiff::with_common_number(bytes));
    }
    jpeg::exif_segment(preview(bytes)?).map(<[u8]>::to_vec)
}

/// A JPEG file inside a raw file.
struct Preview<'a> {
    bytes: &'a [u8],
    header: ImageHeader,
}

impl<'a> Preview<'a> {
    /// Takes bytes that hold a JPEG that can be decoded; the sensor's own data are often coded
    /// as lossless JPEG, and are none.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let header_bytes = &bytes[..bytes.len().min(HEADER_BYTES_MAX)];
        let starts = header_bytes.starts_with(b"\xFF\xD8\xFF");
        let header = if starts { jpeg::probe(header_bytes).ok()? } else { return None };
        Some(Self { bytes, header })
    }
}

/// Bytes in which the header of a preview must end: profiles and notes fit many times over.
const HEADER_BYTES_MAX: usize = 1 << 20;

fn largest(bytes: &[u8]) -> Result<Preview<'_>, ImagingError> {
    let named = named(bytes).into_iter().filter_map(Preview::read).max_by_key(size);
    let found = match named {
        Some(preview) if is_large(&preview) => Some(preview),
        small => search::previews(bytes).into_iter().chain(small).max_by_key(size),
    };
    let side_px_min = SIDE_PX_MIN;
    match found {
        Some(preview) if is_large(&preview) => Ok(preview),
        Some(Preview { header, .. }) => {
            let found_px = Some((header.width_px, header.height_px));
            Err(ImagingError::NoPreview { side_px_min, found_px })
        }
        None => Err(ImagingError::NoPreview { side_px_min, found_px: None }),
    }
}

fn size(preview: &Preview<'_>) -> u64 {
    preview.header.pixels()
}

fn is_large(preview: &Preview<'_>) -> bool {
    preview.header.width_px.max(preview.header.height_px) >= SIDE_PX_MIN
}

/// The places at which the container says that a JPEG lies.
fn named(bytes: &[u8]) -> Vec<&[u8]> {
    if bytes.starts_with(FUJI_MAGIC) {
        return fuji_preview(bytes).into_iter().collect();
    }
    if bytes.get(4..12) == Some(boxes::MAGIC) {
        return boxes::previews(bytes);
    }
    tiff::previews(bytes)
}

/// Offset and length of Fujifilm's preview are the first two numbers of the table at byte 84.
fn fuji_preview(bytes: &[u8]) -> Option<&[u8]> {
    let number = |offset: usize| -> Option<usize> {
        let four = bytes.get(offset..)?.first_chunk()?;
        usize::try_from(u32::from_be_bytes(*four)).ok()
    };
    bytes.get(number(84)?..)?.get(..number(88)?)
}
