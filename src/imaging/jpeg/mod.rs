//! Reads JPEG: strictly in the pixel data, leniently in the header.
//!
//! `zune-jpeg` 0.5 in its lenient mode, the only one that crate `image` offers, fills what is
//! missing of a cut file with mid grey and reports success; half a photo would be indexed as
//! half a grey wall. Three things together find the damage:
//! - the strict mode reports invalid codes and data that end early;
//! - the end marker is required, for lost data are often replaced by zeros, which are valid codes;
//! - the decoder is shown an invalid code in front of the end marker, which it would otherwise
//!   take for an endless run of zeros.
//!
//! What follows the end marker is ignored: motion photos, gain maps and second views lie there.

mod bits;
mod color;
#[cfg(test)]
mod damage_tests;
mod entropy;
mod fold;
mod frame;
mod huffman;
mod layout;
#[cfg(test)]
mod pixel_tests;
mod plane;
mod progressive;
mod scale;
mod scaled;
mod segments;
mod sequential;
mod tables;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use segments::{END_OF_IMAGE, START_OF_SCAN, Segment, Segments};

use super::{DecodeLimits, ImageFormat, ImageHeader, ImagingError};
use crate::pixels::Pixels;

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// Reads the header only: up to the start of the pixel data.
pub(super) fn probe(bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    Ok(open(bytes)?.1)
}

/// Decodes to RGB, as stored: the orientation is not applied.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Pixels, ImagingError> {
    let (decoder, header) = open(bytes)?;
    limits.check_pixels(&header)?;
    let components = decoder.info().map_or(4, |info| u64::from(info.components));
    // Progressive files hold all coefficients, 2 bytes each, beside the RGB output.
    limits.check_memory(ImageFormat::Jpeg, header.pixels() * (3 + 2 * components))?;
    let fenced = fenced(bytes).ok_or(ImagingError::Truncated { format: ImageFormat::Jpeg })?;
    let (mut decoder, _) = open(&fenced)?;
    decoder.set_options(options().set_strict_mode(true));
    let rgb = decoder.decode().map_err(error_from)?;
    Pixels::from_rgb(header.width_px, header.height_px, rgb)
        .ok_or_else(|| corrupt("the decoder gave a buffer of another size"))
}

/// Decodes to RGB, as stored, at a reduced size if its shorter side keeps `side_min_px`; gives the
/// sides of the full image as well.
pub(super) fn decode_at_least(
    bytes: &[u8],
    limits: &DecodeLimits,
    side_min_px: u32,
) -> Result<(Pixels, ImageHeader), ImagingError> {
    let (decoder, header) = open(bytes)?;
    limits.check_pixels(&header)?;
    // The library decides what the components mean, so that both ways agree.
    if let Some(ColorSpace::YCbCr | ColorSpace::Luma) = decoder.input_colorspace()
        && let Some(pixels) = scaled::decode(bytes, limits, side_min_px)
    {
        return Ok((pixels, header));
    }
    Ok((decode(bytes, limits)?, header))
}

/// Gives the TIFF structure of the EXIF segment, without its prefix.
pub(super) fn exif_segment(bytes: &[u8]) -> Option<&[u8]> {
    application_data(bytes, 1).find_map(|payload| payload.strip_prefix(b"Exif\0\0"))
}

/// Gives the payloads of one kind of application segment, 0 to 15, in front of the pixel data.
pub(super) fn application_data(bytes: &[u8], kind: u8) -> impl Iterator<Item = &[u8]> {
    const APP0: u8 = 0xE0;
    Segments::new(bytes)
        .take_while(|segment| segment.marker != START_OF_SCAN)
        .filter(move |segment| segment.marker == APP0 + kind)
        .map(|segment| segment.payload)
}

fn open(bytes: &[u8]) -> Result<(Decoder<'_>, ImageHeader), ImagingError> {
    check_coding(bytes)?;
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
    decoder.decode_headers().map_err(error_from)?;
    if let Some(ColorSpace::MultiBand(_)) = decoder.input_colorspace() {
        return Err(unsupported("an unusual number of color components"));
    }
    let side = |side_px: usize| u32::try_from(side_px).unwrap_or(u32::MAX);
    let (width_px, height_px) = decoder.dimensions().unwrap_or_default();
    let header = ImageHeader::new(ImageFormat::Jpeg, side(width_px), side(height_px))?;
    Ok((decoder, header))
}

/// The library's own limits on the sides would refuse wide panoramas; ours count pixels.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB)
}

/// Finds kinds of coding that the library takes for damage.
fn check_coding(bytes: &[u8]) -> Result<(), ImagingError> {
    let header = Segments::new(bytes).take_while(|segment| segment.marker != START_OF_SCAN);
    for Segment { marker, payload, .. } in header {
        match marker {
            0xC0..=0xC2 if payload.first().is_some_and(|bits| *bits != 8) => {
                return Err(unsupported("other than 8 bits a color"));
            }
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(unsupported("lossless, hierarchical or arithmetic coding"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Copies the image with an invalid code in front of its end marker; `None` if that is missing.
///
/// No Huffman code of JPEG consists of ones alone, and the last byte of valid data is filled up
/// with ones, so a decoder that has all its data never gets to see the fence as a code.
fn fenced(bytes: &[u8]) -> Option<Vec<u8>> {
    const ONES: [u8; 16] = [0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0];
    let end = Segments::new(bytes).find(|segment| segment.marker == END_OF_IMAGE)?;
    Some([&bytes[..end.start], &ONES, &[0xFF, END_OF_IMAGE]].concat())
}

fn error_from(error: DecodeErrors) -> ImagingError {
    match error {
        DecodeErrors::Unsupported(_) => unsupported(error),
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            ImagingError::Truncated { format: ImageFormat::Jpeg }
        }
        error => corrupt(error),
    }
}

fn corrupt(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImagingError {
    ImagingError::Corrupt { format: ImageFormat::Jpeg, source: source.into() }
}

fn unsupported(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ImagingError {
    ImagingError::UnsupportedVariant { format: ImageFormat::Jpeg, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{
        QUARTERS, assert_near, encode, gradient, noise, pixel, quarters, testdata,
    };
    use super::*;

    fn decode_freely(bytes: &[u8]) -> Result<Pixels, ImagingError> {
        decode(bytes, &DecodeLimits::default())
    }

    fn sample() -> Vec<u8> {
        encode(gradient(96, 80), ImageFormat::Jpeg)
    }

    #[test]
    fn every_kind_of_color_coding_gives_the_same_image() {
        let kinds = [
            (testdata!("progressive.jpg"), 1),
            (testdata!("baseline-420.jpg"), 12),
            (testdata!("rgb-components.jpg"), 1),
            (testdata!("cmyk.jpg"), 1),
        ];
        for (bytes, tolerance) in kinds {
            assert_near(&quarters(&decode_freely(bytes).unwrap()), &QUARTERS, tolerance);
        }
    }

    #[test]
    fn grey_becomes_rgb() {
        let grey = [[87; 3], [130; 3], [52; 3], [202; 3]];
        let pixels = decode_freely(testdata!("grey.jpg")).unwrap();
        assert_near(&quarters(&pixels), &grey, 2);
    }

    #[test]
    fn black_ink_of_an_adobe_ycck_file_darkens() {
        // The upper half of each quarter has 55/255 of black ink, the lower half none.
        let pixels = decode_freely(testdata!("ycck.jpg")).unwrap();
        assert_near(&[pixel(&pixels, 2, 6)], &QUARTERS[..1], 3);
        assert_near(&[pixel(&pixels, 2, 2)], &[[173, 24, 24]], 3);
    }

    /// The lenient mode of the decoder accepts nearly all of these, with grey where data lack.
    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        for bytes in [sample(), testdata!("progressive.jpg").to_vec()] {
            for length in 3..bytes.len() {
                let error = decode_freely(&bytes[..length]);
                assert!(error.is_err(), "{length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn a_file_whose_end_became_zeros_is_truncated() {
        // Noise has more bytes in a block than a block of zeros takes up, so the zeros suffice.
        let mut bytes = encode(noise(96, 80), ImageFormat::Jpeg);
        let half = bytes.len() / 2;
        bytes[half..].fill(0);
        let format = ImageFormat::Jpeg;
        let error = decode_freely(&bytes).unwrap_err();
        assert!(matches!(error, ImagingError::Truncated { format: found } if found == format));
    }

    #[test]
    fn a_file_that_lost_its_middle_is_an_error() {
        let bytes = sample();
        let scan = bytes.windows(2).position(|two| two == [0xFF, START_OF_SCAN]).unwrap();
        let lost = [&bytes[..scan + 60], &bytes[bytes.len() - 2..]].concat();
        assert!(fenced(&lost).is_some());
        assert!(decode_freely(&lost).is_err());
    }

    #[test]
    fn what_follows_the_end_marker_is_ignored() {
        let bytes = sample();
        let image = decode_freely(&bytes).unwrap();
        let video = b"\0\0\0\x18ftypmp42\0\0\0\0";
        let second_image_cut = &bytes[..bytes.len() / 2];
        for tail in [video.as_slice(), second_image_cut, &[0; 4096]] {
            let longer = [&bytes, tail].concat();
            assert_eq!(decode_freely(&longer).unwrap(), image);
        }
    }

    #[test]
    fn the_end_marker_of_a_thumbnail_does_not_count() {
        let bytes = sample();
        let thumbnail = b"\xFF\xE1\0\x08\xFF\xD8\xFF\xD9\0\0";
        let cut = [&bytes[..2], thumbnail, &bytes[2..bytes.len() - 2]].concat();
        assert!(fenced(&cut).is_none());
    }

    #[test]
    fn stray_bytes_between_segments_are_forgiven() {
        let bytes = sample();
        let strayed = [&bytes[..20], &[0; 9], &bytes[20..]].concat();
        assert_eq!(decode_freely(&strayed).unwrap(), decode_freely(&bytes).unwrap());
    }

    #[test]
    fn arithmetic_coding_is_an_unsupported_variant() {
        let mut bytes = sample();
        let frame = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        bytes[frame + 1] = 0xC9;
        let error = decode_freely(&bytes).unwrap_err();
        assert!(matches!(error, ImagingError::UnsupportedVariant { .. }), "{error:?}");
    }
}
