//! Finds out from its first bytes what a file is; the extension is never asked.

use std::fmt;

use super::{ImagingError, foreign, raw, tiff};

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
    /// AVIF; of a sequence the still image.
    Avif,
    /// HEIC, as phones write it; of several images the main one.
    Heic,
    /// JPEG XL; of an animation the first frame.
    JpegXl,
    /// Camera raw of any maker: the largest JPEG preview inside.
    Raw,
}

impl ImageFormat {
    /// Lists every format, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Jpeg,
        Self::Png,
        Self::WebP,
        Self::Gif,
        Self::Bmp,
        Self::Tiff,
        Self::Avif,
        Self::Heic,
        Self::JpegXl,
        Self::Raw,
    ];

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
            Self::Avif => "AVIF",
            Self::Heic => "HEIC",
            Self::JpegXl => "JPEG XL",
            Self::Raw => "camera raw",
        }
    }

    /// Whether the file says by other means than EXIF how the image is turned.
    pub(super) fn is_decoded_upright(self) -> bool {
        matches!(self, Self::Avif | Self::Heic | Self::JpegXl)
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
        Some(ImageFormat::Tiff) if tiff::holds_sensor_data(bytes) => Ok(ImageFormat::Raw),
        Some(format) => Ok(format),
        None => Err(foreign::describe(bytes)),
    }
}

/// Tells whether a file that starts with these bytes is in one of the formats that can be read.
///
/// 64 bytes are enough.
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
    } else if starts(b"\xFF\x0A") || starts(b"\0\0\0\x0CJXL \r\n") {
        Some(ImageFormat::JpegXl)
    } else if raw::has_magic(bytes) {
        Some(ImageFormat::Raw)
    } else {
        high_efficiency(bytes)
    }
}

/// HEIC and AVIF begin with a box that names what a file is, and what else it may be taken for.
fn high_efficiency(bytes: &[u8]) -> Option<ImageFormat> {
    const AVIF: [&[u8]; 2] = [b"avif", b"avis"];
    const HEIC: [&[u8]; 6] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"];
    const ANY: [&[u8]; 3] = [b"mif1", b"msf1", b"miaf"];
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let main = bytes.get(8..12)?;
    let is_one_of = |brands: &[&[u8]]| {
        brands.contains(&main)
            || (ANY.contains(&main)
                && brands.iter().any(|brand| has_compatible_brand(bytes, brand)))
    };
    if is_one_of(&AVIF) {
        Some(ImageFormat::Avif)
    } else if is_one_of(&HEIC) {
        Some(ImageFormat::Heic)
    } else {
        None
    }
}

fn has_compatible_brand(bytes: &[u8], brand: &[u8]) -> bool {
    let box_length = bytes.first_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let box_end = bytes.len().min(box_length.min(256) as usize);
    let brands = bytes.get(16..box_end).unwrap_or_default();
    brands.chunks_exact(4).any(|found| found == brand)
}

const TIFF_MAGIC: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];

/// `BM` alone also begins many a text; the length of the second header is one of a few.
fn has_bitmap_header(bytes: &[u8]) -> bool {
    let length = bytes.get(14..18).map(|four| [four[0], four[1], four[2], four[3]]);
    let known = [12, 16, 40, 52, 56, 64, 108, 124];
    length.is_some_and(|length| known.contains(&u32::from_le_bytes(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_known_by_its_first_bytes() {
        let cases: [(&[u8], ImageFormat); 17] = [
            (b"\xFF\xD8\xFF\xE0", ImageFormat::Jpeg),
            (b"\x89PNG\r\n\x1A\n", ImageFormat::Png),
            (b"RIFF\x24\0\0\0WEBPVP8 ", ImageFormat::WebP),
            (b"GIF89a", ImageFormat::Gif),
            (b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", ImageFormat::Bmp),
            (b"II*\0\x08\0\0\0", ImageFormat::Tiff),
            (b"MM\0*\0\0\0\x08", ImageFormat::Tiff),
            (b"II+\0\x08\0\0\0", ImageFormat::Tiff),
            (b"\0\0\0\x1Cftypavif\0\0\0\0", ImageFormat::Avif),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", ImageFormat::Avif),
            (b"\0\0\0\x18ftypheic\0\0\0\0", ImageFormat::Heic),
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", ImageFormat::Heic),
            (b"\xFF\x0A\xFA\x7F", ImageFormat::JpegXl),
            (b"\0\0\0\x0CJXL \r\n\x87\n", ImageFormat::JpegXl),
            (b"\0\0\0\x18ftypcrx \0\0\0\x01", ImageFormat::Raw),
            (b"FUJIFILMCCD-RAW 0201", ImageFormat::Raw),
            (b"IIRO\x08\0\0\0", ImageFormat::Raw),
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
        const COLOUR_FILTER: u32 = 32803;
        let raw = [
            tiff_with(254, 1),
            tiff_with(50706, 0x0401),
            tiff_with(262, COLOUR_FILTER),
            b"II*\0\x10\0\0\0CR\x02\0".to_vec(),
        ];
        for bytes in raw {
            assert_eq!(detect(&bytes).unwrap(), ImageFormat::Raw);
        }
        assert_eq!(detect(&tiff_with(254, 0)).unwrap(), ImageFormat::Tiff);
    }

    #[test]
    fn a_directory_beyond_the_end_is_no_camera_raw() {
        let bytes = b"MM\0*\xFF\xFF\xFF\xFF";
        assert_eq!(detect(bytes).unwrap(), ImageFormat::Tiff);
    }
}
