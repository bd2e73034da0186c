//! Reads from EXIF what this program uses: orientation, time of capture, camera, position.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use exif::{Context, Exif, Field, In, Reader, Tag, Value};

use super::{ImageFormat, format, heif, jpeg, jpeg_xl, raw};
use crate::record::Position;

/// Holds what EXIF says of an image; whatever is missing or malformed is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExifSummary {
    /// How the stored rows must be turned, 1 (upright) to 8.
    pub orientation: Option<u8>,
    /// When the image was captured.
    pub captured_at: Option<CaptureTime>,
    /// The maker of the camera, trimmed.
    pub camera_make: Option<String>,
    /// The model of the camera, trimmed.
    pub camera_model: Option<String>,
    /// Where the camera was; `None` also for 0, 0, which devices write that do not know.
    pub position: Option<Position>,
}

/// A moment by the clock of the camera, which often does not know its time zone.
///
/// Sorts by the clock, whatever the zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CaptureTime {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60, for leap seconds.
    pub second: u8,
    /// Minutes that the clock was ahead of UTC, if the camera wrote it down.
    pub utc_offset_minutes: Option<i16>,
}

/// In the manner of ISO 8601: `2026-05-17T14:03:00`, with the offset if it is known.
impl fmt::Display for CaptureTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match self.utc_offset_minutes {
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
            None => Ok(()),
        }
    }
}

/// Reads the EXIF of an image of any format that has it; never fails, and gives an empty summary
/// for everything else.
///
/// Costs a walk over the header; for TIFF and raw files, whose EXIF may lie anywhere, a copy of
/// the bytes.
#[must_use]
pub fn read_exif(bytes: &[u8]) -> ExifSummary {
    // The parsers are foreign code over hostile bytes; a panic in them must not lose the image.
    let summary = catch_unwind(AssertUnwindSafe(|| match raw::field_blocks(bytes) {
        Some(blocks) => Some(summarise_blocks(&blocks)),
        None => summarise(exif_block(bytes)?),
    }));
    summary.ok().flatten().unwrap_or_default()
}

/// Finds the TIFF structure that holds the EXIF fields.
///
/// The library's own search reads a JPEG without EXIF to its end, and stumbles over the prefix
/// that many writers put into WebP.
fn exif_block(bytes: &[u8]) -> Option<Vec<u8>> {
    match format::detect(bytes).ok()? {
        ImageFormat::Jpeg => jpeg::exif_segment(bytes).map(<[u8]>::to_vec),
        ImageFormat::Png => png_chunk(bytes, b"eXIf").map(<[u8]>::to_vec),
        ImageFormat::WebP => {
            let chunk = riff_chunk(bytes, b"EXIF")?;
            Some(chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk).to_vec())
        }
        ImageFormat::Tiff => Some(bytes.to_vec()),
        ImageFormat::Avif | ImageFormat::Heic => heif::exif(bytes),
        ImageFormat::JpegXl => jpeg_xl::exif(bytes),
        ImageFormat::Raw => raw::exif(bytes),
        ImageFormat::Gif | ImageFormat::Bmp => None,
    }
}

/// A PNG is 8 bytes, then chunks of: length (big-endian), name, content, checksum.
fn png_chunk<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let content = rest.get(8..)?.get(..length)?;
        if rest.get(4..8) == Some(wanted) {
            return Some(content);
        }
        rest = rest.get(12 + length..)?;
    }
}

/// A WebP is 12 bytes, then chunks of: name, length (little-endian), content, padded to even.
fn riff_chunk<'a>(bytes: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(12..)?;
    loop {
        let length = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?) as usize;
        let content = rest.get(8..)?.get(..length)?;
        if rest.starts_with(wanted) {
            return Some(content);
        }
        rest = rest.get(8 + length + length % 2..)?;
    }
}

fn summarise(block: Vec<u8>) -> Option<ExifSummary> {
    let exif = Reader::new()
        .continue_on_error(true)
        .read_raw(block)
        .or_else(|error| error.distill_partial_result(|_| ()))
        .ok()?;
    Some(ExifSummary {
        orientation: orientation(&exif),
        captured_at: captured_at(&exif),
        camera_make: text(&exif, Tag::Make),
        camera_model: text(&exif, Tag::Model),
        position: position(&exif),
    })
}

/// Joins what the separate directories of a file say.
fn summarise_blocks(blocks: &raw::FieldBlocks<'_>) -> ExifSummary {
    let read = |block: Option<&[u8]>| block.and_then(|block| summarise(block.to_vec()));
    let main = read(blocks.main).unwrap_or_default();
    ExifSummary {
        captured_at: read(blocks.exif).and_then(|summary| summary.captured_at),
        position: read(blocks.gps).and_then(|summary| summary.position),
        ..main
    }
}

/// Finds a field in its own directory, or in the first one: files that keep each directory apart
/// make each the first of its block.
fn field(exif: &Exif, tag: Tag) -> Option<&Field> {
    let in_first = Tag(Context::Tiff, tag.number());
    exif.get_field(tag, In::PRIMARY).or_else(|| exif.get_field(in_first, In::PRIMARY))
}

fn orientation(exif: &Exif) -> Option<u8> {
    let value = field(exif, Tag::Orientation)?.value.get_uint(0)?;
    let value = u8::try_from(value).ok()?;
    (1..=8).contains(&value).then_some(value)
}

fn captured_at(exif: &Exif) -> Option<CaptureTime> {
    let time = exif::DateTime::from_ascii(ascii(exif, Tag::DateTimeOriginal)?).ok()?;
    // Cameras whose clock was never set write zeros.
    let is_date = time.year > 0 && (1..=12).contains(&time.month) && (1..=31).contains(&time.day);
    let is_time = time.hour < 24 && time.minute < 60 && time.second <= 60;
    (is_date && is_time).then(|| CaptureTime {
        year: time.year,
        month: time.month,
        day: time.day,
        hour: time.hour,
        minute: time.minute,
        second: time.second,
        utc_offset_minutes: utc_offset_minutes(exif, time),
    })
}

fn utc_offset_minutes(exif: &Exif, mut time: exif::DateTime) -> Option<i16> {
    time.parse_offset(ascii(exif, Tag::OffsetTimeOriginal)?).ok()?;
    time.offset
}

fn position(exif: &Exif) -> Option<Position> {
    let latitude = angle(exif, Tag::GPSLatitude, Tag::GPSLatitudeRef, b"S")?;
    let longitude = angle(exif, Tag::GPSLongitude, Tag::GPSLongitudeRef, b"W")?;
    Position::new(latitude, longitude).filter(|_| latitude != 0.0 || longitude != 0.0)
}

/// Degrees, minutes and seconds as one number, negative on the side that `negative` names.
fn angle(exif: &Exif, value: Tag, side: Tag, negative: &[u8]) -> Option<f64> {
    let Value::Rational(parts) = &field(exif, value)?.value else { return None };
    let [degrees, minutes, seconds] = parts.get(..3)? else { return None };
    // 0 / 0, which devices write that know no seconds, is not a number, and counts as 0.
    let number = |part: &exif::Rational| if part.denom == 0 { 0.0 } else { part.to_f64() };
    if degrees.denom == 0 {
        return None;
    }
    let angle = number(degrees) + number(minutes) / 60.0 + number(seconds) / 3600.0;
    let is_negative = ascii(exif, side).is_some_and(|side| side.eq_ignore_ascii_case(negative));
    Some(if is_negative { -angle } else { angle })
}

fn text(exif: &Exif, tag: Tag) -> Option<String> {
    let text = String::from_utf8_lossy(ascii(exif, tag)?);
    // Some cameras pad the field with zeros or blanks.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

fn ascii(exif: &Exif, tag: Tag) -> Option<&[u8]> {
    match &field(exif, tag)?.value {
        Value::Ascii(parts) => parts.first().map(Vec::as_slice),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{WRITABLE, encode, gradient, testdata};
    use super::*;

    #[test]
    fn all_fields_are_read_from_jpeg_png_and_webp() {
        let expected = ExifSummary {
            orientation: Some(6),
            captured_at: Some(CaptureTime {
                year: 2024,
                month: 5,
                day: 6,
                hour: 7,
                minute: 8,
                second: 9,
                utc_offset_minutes: Some(-210),
            }),
            camera_make: Some("Acme".to_owned()),
            camera_model: Some("Model 1".to_owned()),
            position: None,
        };
        assert_eq!(read_exif(testdata!("exif-6.jpg")), expected);
        assert_eq!(read_exif(testdata!("exif-6.png")), expected);
        assert_eq!(read_exif(testdata!("exif-6.webp")), expected);
    }

    #[test]
    fn the_fields_of_a_tiff_are_its_own() {
        let summary = read_exif(testdata!("exif-6.tiff"));
        assert_eq!(summary.orientation, Some(6));
        assert_eq!(summary.camera_model.as_deref(), Some("Model 1"));
    }

    /// Gives a WebP that has only an EXIF chunk, of this content.
    fn webp_with(exif: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WEBPODD \x01\0\0\0x\0EXIF".to_vec();
        bytes.extend((exif.len() as u32).to_le_bytes());
        bytes.extend(exif);
        bytes
    }

    /// Gives an EXIF structure of one field in the first directory.
    fn exif_with(tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value);
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn the_jpeg_prefix_inside_webp_is_forgiven() {
        let exif = exif_with(0x112, 3, 1, [8, 0, 0, 0]);
        let prefixed = [b"Exif\0\0".as_slice(), &exif].concat();
        for content in [exif, prefixed] {
            assert_eq!(read_exif(&webp_with(&content)).orientation, Some(8));
        }
    }

    #[test]
    fn an_orientation_that_does_not_exist_is_none() {
        for wrong in [0, 9, 255] {
            let exif = exif_with(0x112, 3, 1, [wrong, 0, 0, 0]);
            assert_eq!(read_exif(&webp_with(&exif)), ExifSummary::default());
        }
    }

    #[test]
    fn fields_before_a_broken_directory_end_are_kept() {
        let mut exif = exif_with(0x112, 3, 1, [3, 0, 0, 0]);
        exif.truncate(exif.len() - 4);
        exif[8] = 2;
        assert_eq!(read_exif(&webp_with(&exif)).orientation, Some(3));
    }

    #[test]
    fn a_clock_that_was_never_set_gives_no_time() {
        let mut jpeg = testdata!("exif-6.jpg").to_vec();
        let time = b"2024:05:06 07:08:09";
        let start = jpeg.windows(19).position(|part| part == time).unwrap();
        for unset in [b"0000:00:00 00:00:00", b"    :  :     :  :  ", b"2024:13:06 07:08:09"] {
            jpeg[start..start + 19].copy_from_slice(unset);
            let summary = read_exif(&jpeg);
            assert_eq!(summary.captured_at, None);
            assert_eq!(summary.orientation, Some(6));
        }
    }

    #[test]
    fn files_without_exif_give_an_empty_summary() {
        for format in WRITABLE {
            let bytes = encode(gradient(8, 8), format);
            assert_eq!(read_exif(&bytes), ExifSummary::default(), "{format}");
        }
        assert_eq!(read_exif(b""), ExifSummary::default());
        assert_eq!(read_exif(b"a text"), ExifSummary::default());
    }

    #[test]
    fn chunk_lengths_beyond_the_end_are_survived() {
        for length in [u32::MAX, u32::MAX - 8, 1 << 31, 5] {
            let mut webp = webp_with(b"");
            webp[16..20].copy_from_slice(&length.to_le_bytes());
            assert_eq!(exif_block(&webp), None);
            let mut png = testdata!("exif-6.png").to_vec();
            png[8..12].copy_from_slice(&length.to_be_bytes());
            assert_eq!(exif_block(&png), None);
        }
    }
}
