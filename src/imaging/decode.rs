//! Decodes a file of any supported format, within limits, to upright RGB pixels.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::colour::{self, Profile};
use super::{
    DecodeLimits, ExifSummary, ImageFormat, ImagingError, format, heif, jpeg, jpeg_xl, library,
    orient, profile, raw, read_exif,
};
use crate::pixels::Pixels;

/// Holds a decoded image and what its file said of it.
#[derive(Clone, Debug)]
pub struct DecodedImage {
    /// The image: upright, 8-bit sRGB, on white where it was transparent.
    pub pixels: Pixels,
    /// The format of the file.
    pub format: ImageFormat,
    /// Width of the full image, upright.
    pub width_px: u32,
    /// Height of the full image, upright.
    pub height_px: u32,
    /// The EXIF orientation that was applied, 1 to 8; 1 also when the file named none, and for
    /// formats that turn their image themselves (AVIF, HEIC, JPEG XL).
    pub orientation: u8,
    /// What the EXIF of the file said; empty when it has none.
    pub exif: ExifSummary,
}

/// Holds what the header of a file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// The format of the file.
    pub format: ImageFormat,
    /// Width as stored, before the orientation is applied; at least 1.
    pub width_px: u32,
    /// Height as stored, before the orientation is applied; at least 1.
    pub height_px: u32,
}

/// Decodes an image from the bytes of its file.
///
/// The format is found by content. Of an animation or of several pages the first is taken.
///
/// # Errors
/// [`ImagingError::Empty`], [`NotAnImage`](ImagingError::NotAnImage),
/// [`UnsupportedFormat`](ImagingError::UnsupportedFormat) and
/// [`UnknownFormat`](ImagingError::UnknownFormat) when the bytes are something else;
/// [`NoPixels`](ImagingError::NoPixels), [`TooManyPixels`](ImagingError::TooManyPixels) and
/// [`TooMuchMemory`](ImagingError::TooMuchMemory) for the size in the header;
/// [`UnsupportedVariant`](ImagingError::UnsupportedVariant) for rare variants;
/// [`NoPreview`](ImagingError::NoPreview) for a camera raw without one;
/// [`Truncated`](ImagingError::Truncated) and [`Corrupt`](ImagingError::Corrupt) for bad data.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<DecodedImage, ImagingError> {
    decode_at_least(bytes, limits, u32::MAX)
}

/// Decodes an image to pixels of which the shorter side has at least `side_min_px`, or to all its
/// pixels where it has fewer.
///
/// A JPEG is reduced to 1/8, 1/4 or 1/2 of its size, the smallest that suffices, by the average of
/// the pixels that become one, and takes a fraction of the time. Other formats come in full.
/// [`DecodedImage::width_px`] and `height_px` are those of the full image either way.
///
/// # Errors
/// As [`decode`]. The data of a progressive JPEG that the reduced image does not need are not
/// checked, but for their end.
pub fn decode_at_least(
    bytes: &[u8],
    limits: &DecodeLimits,
    side_min_px: u32,
) -> Result<DecodedImage, ImagingError> {
    let format = format::detect(bytes)?;
    let (stored, full_px) = guarded(format, || {
        let whole = |pixels: Pixels| {
            let full_px = (pixels.width_px(), pixels.height_px());
            (pixels, full_px)
        };
        match format {
            ImageFormat::Jpeg => jpeg::decode_at_least(bytes, limits, side_min_px)
                .map(|(pixels, header)| (pixels, (header.width_px, header.height_px))),
            ImageFormat::Raw => raw::decode_at_least(bytes, limits, side_min_px)
                .map(|(pixels, header)| (pixels, (header.width_px, header.height_px))),
            ImageFormat::Avif | ImageFormat::Heic => heif::decode(format, bytes, limits).map(whole),
            ImageFormat::JpegXl => jpeg_xl::decode(bytes, limits).map(whole),
            _ => library::decode(format, bytes, limits).map(whole),
        }
    })?;
    // A profile that its reader stumbles over is no worse than none.
    let profile = guarded(format, || Ok(profile::embedded(format, bytes)));
    let stored = match profile {
        Ok(Some(icc)) => colour::to_srgb(stored, &Profile::Icc(&icc)),
        _ => stored,
    };
    let exif = read_exif(bytes);
    let orientation = if format.is_decoded_upright() { 1 } else { exif.orientation.unwrap_or(1) };
    let (width_px, height_px) = match orientation {
        5..=8 => (full_px.1, full_px.0),
        _ => full_px,
    };
    let pixels = orient(stored, orientation);
    Ok(DecodedImage { pixels, format, width_px, height_px, orientation, exif })
}

/// Reads only the header of an image.
///
/// # Errors
/// As [`decode`], as far as the header tells; there are no limits to exceed.
pub fn probe(bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    let format = format::detect(bytes)?;
    guarded(format, || match format {
        ImageFormat::Jpeg => jpeg::probe(bytes),
        ImageFormat::Avif | ImageFormat::Heic => heif::probe(format, bytes),
        ImageFormat::JpegXl => jpeg_xl::probe(bytes),
        ImageFormat::Raw => raw::probe(bytes),
        _ => library::probe(format, bytes),
    })
}

impl ImageHeader {
    /// Checks that there is at least one pixel.
    pub(super) fn new(
        format: ImageFormat,
        width_px: u32,
        height_px: u32,
    ) -> Result<Self, ImagingError> {
        if width_px == 0 || height_px == 0 {
            return Err(ImagingError::NoPixels { format, width_px, height_px });
        }
        Ok(Self { format, width_px, height_px })
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width_px) * u64::from(self.height_px)
    }
}

/// Runs a decoder so that a panic inside it comes back as an error.
///
/// Decoders index and calculate over hostile bytes, and have panicked before; one such file
/// must not end a run over thousands. Nothing that the closure touched is used after a panic,
/// hence the assertion. The message still goes to stderr, by the panic hook of the program.
/// A build with `panic = "abort"` would lose this protection.
fn guarded<T>(
    format: ImageFormat,
    decoder: impl FnOnce() -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|panic| {
        Err(ImagingError::Corrupt { format, source: panic_message(&*panic).into() })
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the decoder panicked: {}", message.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{
        QUARTERS, Random, WRITABLE, assert_near, encode, gradient, quarters, testdata,
    };
    use super::*;

    fn decode_freely(bytes: &[u8]) -> Result<DecodedImage, ImagingError> {
        decode(bytes, &DecodeLimits::default())
    }

    #[test]
    fn every_format_round_trips_and_is_named() {
        let image = gradient(40, 24);
        for format in WRITABLE {
            let bytes = encode(image.clone(), format);
            let header = probe(&bytes).unwrap();
            assert_eq!((header.width_px, header.height_px), (40, 24));
            let decoded = decode_freely(&bytes).unwrap();
            assert_eq!((header.format, decoded.format), (format, format));
            assert_eq!((decoded.width_px, decoded.height_px), (40, 24));
            assert_eq!(decoded.orientation, 1);
            // JPEG is lossy and GIF has 256 colors.
            let apart = |(a, b): (&u8, &u8)| a.abs_diff(*b);
            let values = decoded.pixels.rgb().iter().zip(image.as_raw());
            let furthest = values.map(apart).max().unwrap();
            assert!(furthest < 48, "{format}: {furthest}");
        }
    }

    #[test]
    fn orientation_six_is_turned_in_every_format_that_has_exif() {
        // Stored lying on its left side: what is upper left upright is lower left as stored.
        let upright = [2, 0, 3, 1].map(|quarter| QUARTERS[quarter]);
        for bytes in [
            testdata!("exif-6.jpg"),
            testdata!("exif-6.png"),
            testdata!("exif-6.webp"),
            testdata!("exif-6.tiff"),
        ] {
            let header = probe(bytes).unwrap();
            assert_eq!((header.width_px, header.height_px), (16, 8));
            let decoded = decode_freely(bytes).unwrap();
            assert_eq!((decoded.width_px, decoded.height_px), (8, 16));
            assert_eq!(decoded.orientation, 6);
            assert_near(&quarters(&decoded.pixels), &upright, 6);
        }
    }

    #[test]
    fn every_orientation_of_a_jpeg_brings_the_right_colors_to_the_corners() {
        let stored = testdata!("exif-6.jpg");
        let entry = b"\x01\x12\0\x03\0\0\0\x01\0\x06";
        let value = stored.windows(10).position(|part| part == entry).unwrap() + 9;
        let upright = [
            [0, 1, 2, 3],
            [1, 0, 3, 2],
            [3, 2, 1, 0],
            [2, 3, 0, 1],
            [0, 2, 1, 3],
            [2, 0, 3, 1],
            [3, 1, 2, 0],
            [1, 3, 0, 2],
        ];
        for (orientation, corners) in (1..).zip(upright) {
            let mut bytes = stored.to_vec();
            bytes[value] = orientation;
            let decoded = decode_freely(&bytes).unwrap();
            assert_eq!(decoded.orientation, orientation);
            let expected = corners.map(|quarter| QUARTERS[quarter]);
            assert_near(&quarters(&decoded.pixels), &expected, 6);
        }
    }

    #[test]
    fn malformed_exif_does_not_lose_the_image() {
        let mut bytes = testdata!("exif-6.jpg").to_vec();
        let start = bytes.windows(6).position(|part| part == b"Exif\0\0").unwrap() + 6;
        bytes[start..start + 60].fill(0xFF);
        assert_eq!(decode_freely(&bytes).unwrap().orientation, 1);
    }

    #[test]
    fn an_empty_file_and_a_text_are_told_apart() {
        assert!(matches!(decode_freely(b""), Err(ImagingError::Empty)));
        assert!(matches!(
            decode_freely(b"holiday.jpg was deleted\n"),
            Err(ImagingError::NotAnImage { found: "text" })
        ));
        assert!(matches!(probe(b"%PDF-1.4"), Err(ImagingError::NotAnImage { .. })));
    }

    #[test]
    fn a_panic_of_a_decoder_is_an_error() {
        let error = guarded(ImageFormat::Gif, || -> Result<(), ImagingError> {
            panic!("index out of bounds (this panic is part of a test)");
        })
        .unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.starts_with("the decoder panicked: index out"), "{source}");
    }

    fn small_files() -> Vec<Vec<u8>> {
        let mut files: Vec<Vec<u8>> = [
            testdata!("progressive.jpg"),
            testdata!("baseline-420.jpg"),
            testdata!("cmyk.jpg"),
            testdata!("ycck.jpg"),
            testdata!("exif-6.jpg"),
            testdata!("exif-6.png"),
            testdata!("exif-6.webp"),
            testdata!("exif-6.tiff"),
            testdata!("palette-transparent.png"),
            testdata!("animated.gif"),
            testdata!("animated.webp"),
            testdata!("lossy.webp"),
            testdata!("bilevel-group4.tiff"),
            testdata!("cmyk.tiff"),
        ]
        .map(<[u8]>::to_vec)
        .to_vec();
        files.extend(WRITABLE.map(|format| encode(gradient(9, 6), format)));
        files
    }

    /// A panic inside a decoder would come back as `Corrupt`; what must not happen is one
    /// outside of the guard, an endless loop, or an allocation without bound.
    #[test]
    fn damaged_files_of_every_format_never_panic() {
        let seed = 20_261_123;
        println!("seed {seed}");
        let mut random = Random(seed);
        let limits = DecodeLimits { pixels_max: 1_000_000, memory_bytes_max: 64 << 20 };
        for file in small_files() {
            for _ in 0..60 {
                let mut bytes = file.clone();
                for _ in 0..=random.below(4) {
                    let position = random.below(bytes.len());
                    bytes[position] ^= 1 << random.below(8);
                }
                if random.below(3) == 0 {
                    bytes.truncate(random.below(bytes.len() + 1));
                }
                if let Ok(decoded) = decode(&bytes, &limits) {
                    assert!(header_pixels(&decoded) <= limits.pixels_max);
                }
                let _ = probe(&bytes);
                let _ = read_exif(&bytes);
            }
        }
    }

    fn header_pixels(decoded: &DecodedImage) -> u64 {
        u64::from(decoded.width_px) * u64::from(decoded.height_px)
    }
}
