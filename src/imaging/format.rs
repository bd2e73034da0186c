//! Finds out from its first bytes what a file is; the extension is never asked.

use std::fmt;

use super::{ImagingError, foreign};

/// Names a format that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG; of an animated one the default image.
    Png,
    /// WebP, lossy or lossless; of an animated one the first frame.
    WebP,
    /// GIF; of an animated one the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF and BigTIFF; of several pages the first.
    Tiff,
}

impl ImageFormat {
    /// Lists every format, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Jpeg, Self::Png, Self::WebP, Self::Gif, Self::Bmp, Self::Tiff];

    /// Gives the usual name: `"JPEG"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Recognises a format that can be decoded, or says what the bytes are instead.
pub(super) fn detect(bytes: &[u8]) -> Result<ImageFormat, ImagingError> {
    if bytes.is_empty() {
        return Err(ImagingError::Empty);
    }
    match supported(bytes) {
        // Many camera raw files are TIFFs whose first image is a thumbnail: decoding that one
        // would index 160 x 120 pixels in place of the photo.
        Some(ImageFormat::Tiff) if is_camera_raw(bytes) => {
            Err(ImagingError::UnsupportedFormat { found: "camera raw" })
        }
        Some(format) => Ok(format),
        None => Err(foreign::describe(bytes)),
    }
}

/// Tells whether a file that starts with these bytes is in one of the formats that can be read.
///
/// 18 bytes are enough.
#[must_use]
pub fn is_image_start(bytes: &[u8]) -> bool {
    supported(bytes).is_some()
}

fn supported(bytes: &[u8]) -> Option<ImageFormat> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\xFF\xD8\xFF") {
        Some(ImageFormat::Jpeg)
    } else if starts(b"\x89PNG\r\n\x1A\n") {
        Some(ImageFormat::Png)
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::WebP)
    } else if starts(b"GIF87a") || starts(b"GIF89a") {
        Some(ImageFormat::Gif)
    } else if starts(b"BM") && has_bitmap_header(bytes) {
        Some(ImageFormat::Bmp)
    } else if TIFF_MAGIC.iter().any(|magic| starts(magic)) {
        Some(ImageFormat::Tiff)
    } else {
        None
    }
}

const TIFF_MAGIC: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];

/// `BM` alone also begins many a text; the length of the second header is one of a few.
fn has_bitmap_header(bytes: &[u8]) -> bool {
    let length = bytes.get(14..18).map(|four| [four[0], four[1], four[2], four[3]]);
    let known = [12, 16, 40, 52, 56, 64, 108, 124];
    length.is_some_and(|length| known.contains(&u32::from_le_bytes(length)))
}

/// Canon and Adobe mark their raw files; Nikon, Sony and others put a thumbnail first.
fn is_camera_raw(bytes: &[u8]) -> bool {
    const NEW_SUBFILE_TYPE: u16 = 254;
    const DNG_VERSION: u16 = 50706;
    const REDUCED_RESOLUTION: u32 = 1;
    bytes.get(8..10) == Some(b"CR")
        || first_directory_value(bytes, DNG_VERSION).is_some()
        || first_directory_value(bytes, NEW_SUBFILE_TYPE)
            .is_some_and(|kind| kind & REDUCED_RESOLUTION != 0)
}

/// Reads the 4 value bytes of a tag in the first directory of a classic TIFF, as one number.
fn first_directory_value(bytes: &[u8], tag: u16) -> Option<u32> {
    let little_endian = bytes.starts_with(b"II*\0");
    let number = |offset: usize, length: usize| -> Option<u32> {
        let field = bytes.get(offset..offset.checked_add(length)?)?;
        let append = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(if little_endian {
            field.iter().rev().fold(0, append)
        } else {
            field.iter().fold(0, append)
        })
    };
    let directory = usize::try_from(number(4, 4)?).ok()?;
    let entries = usize::try_from(number(directory, 2)?).ok()?;
    let entry = (0..entries)
        .map_while(|index| directory.checked_add(2 + index * 12))
        .find(|entry| number(*entry, 2) == Some(u32::from(tag)))?;
    number(entry.checked_add(8)?, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_known_by_its_first_bytes() {
        let cases: [(&[u8], ImageFormat); 8] = [
            (b"\xFF\xD8\xFF\xE0", ImageFormat::Jpeg),
            (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
            (b"RIFF\x24\0\0\0WEBPVP8 ", ImageFormat::WebP),
            (b"GIF89a", ImageFormat::Gif),
            (b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", ImageFormat::Bmp),
            (b"II*\0\x08\0\0\0", ImageFormat::Tiff),
            (b"MM\0*\0\0\0\x08", ImageFormat::Tiff),
            (b"II+\0\x08\0\0\0", ImageFormat::Tiff),
        ];
        for (bytes, expected) in cases {
            assert_eq!(detect(bytes).unwrap(), expected);
        }
    }

    #[test]
    fn text_that_begins_with_bm_is_no_bitmap() {
        assert!(matches!(
            detect(b"BMW drivers and how they park"),
            Err(ImagingError::NotAnImage { found: "text" })
        ));
    }

    /// Builds a TIFF header and a first directory of one entry: a tag and its 4 value bytes.
    fn tiff_with(tag: u16, value: u32) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0".to_vec();
        bytes.extend(tag.to_le_bytes());
        bytes.extend(b"\x04\0\x01\0\0\0");
        bytes.extend(value.to_le_bytes());
        bytes
    }

    #[test]
    fn a_tiff_that_begins_with_a_thumbnail_is_camera_raw() {
        let raw =
            [tiff_with(254, 1), tiff_with(50706, 0x0401), b"II*\0\x10\0\0\0CR\x02\0".to_vec()];
        for bytes in raw {
            let error = detect(&bytes).unwrap_err().to_string();
            assert!(error.starts_with("camera raw is not supported"), "{error}");
        }
        assert_eq!(detect(&tiff_with(254, 0)).unwrap(), ImageFormat::Tiff);
    }

    #[test]
    fn a_directory_beyond_the_end_is_no_camera_raw() {
        let bytes = b"MM\0*\xFF\xFF\xFF\xFF";
        assert_eq!(detect(bytes).unwrap(), ImageFormat::Tiff);
    }
}
