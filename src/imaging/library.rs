//! Reads PNG, WebP, GIF, BMP and TIFF, through crate `image`.

use std::io::{Cursor, ErrorKind};

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader};

use super::{DecodeLimits, ImageFormat, ImageHeader, ImagingError, flatten};
use crate::pixels::Pixels;

/// Reads the header only.
pub(super) fn probe(format: ImageFormat, bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    Ok(open(format, bytes, &DecodeLimits::default())?.1)
}

/// Decodes to RGB, as stored: the orientation is not applied.
pub(super) fn decode(
    format: ImageFormat,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<Pixels, ImagingError> {
    let (mut decoder, header) = open(format, bytes, limits)?;
    limits.check_pixels(&header)?;
    let output_bytes = decoder.total_bytes();
    limits.check_memory(format, output_bytes)?;
    let from_library = |error| error_from(error, format, limits);
    decoder.set_limits(limits.for_library(output_bytes)).map_err(from_library)?;
    let image = DynamicImage::from_decoder(decoder).map_err(from_library)?;
    let rgb = flatten::into_rgb(image);
    Ok(Pixels::from_rgb(header.width_px, header.height_px, rgb)
        .expect("the library checks the size of its output"))
}

/// Gives the ICC profile, as far as the library finds one.
pub(super) fn icc_profile(format: ImageFormat, bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut decoder, _) = open(format, bytes, &DecodeLimits::default()).ok()?;
    decoder.icc_profile().ok().flatten()
}

fn open<'a>(
    format: ImageFormat,
    bytes: &'a [u8],
    limits: &DecodeLimits,
) -> Result<(impl ImageDecoder + 'a, ImageHeader), ImagingError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), library_format(format)?);
    reader.limits(limits.for_library(0));
    let decoder = reader.into_decoder().map_err(|error| error_from(error, format, limits))?;
    let (width_px, height_px) = decoder.dimensions();
    let header = ImageHeader::new(format, width_px, height_px)?;
    Ok((decoder, header))
}

pub(super) fn library_format(format: ImageFormat) -> Result<image::ImageFormat, ImagingError> {
    Ok(match format {
        ImageFormat::Jpeg => image::ImageFormat::Jpeg,
        ImageFormat::Png => image::ImageFormat::Png,
        ImageFormat::WebP => image::ImageFormat::WebP,
        ImageFormat::Gif => image::ImageFormat::Gif,
        ImageFormat::Bmp => image::ImageFormat::Bmp,
        ImageFormat::Tiff => image::ImageFormat::Tiff,
        ImageFormat::Avif | ImageFormat::Heic | ImageFormat::JpegXl | ImageFormat::Raw => {
            return Err(ImagingError::UnsupportedFormat { found: format.name() });
        }
    })
}

fn error_from(error: ImageError, format: ImageFormat, limits: &DecodeLimits) -> ImagingError {
    let memory_bytes_max = limits.memory_bytes_max;
    match error {
        ImageError::Limits(_) => ImagingError::TooMuchMemory { format, memory_bytes_max },
        ImageError::Unsupported(_) => {
            ImagingError::UnsupportedVariant { format, source: error.into() }
        }
        ImageError::IoError(io) if io.kind() == ErrorKind::UnexpectedEof => {
            ImagingError::Truncated { format }
        }
        error => ImagingError::Corrupt { format, source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer, Rgba, RgbaImage};

    use super::super::sample::{
        QUARTERS, WRITABLE, assert_near, encode, gradient, quarters, testdata,
    };
    use super::*;

    fn decode_freely(format: ImageFormat, bytes: &[u8]) -> Result<Pixels, ImagingError> {
        decode(format, bytes, &DecodeLimits::default())
    }

    fn reencoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let bytes = encode(image, format);
        decode_freely(format, &bytes).unwrap().into_rgb()
    }

    #[test]
    fn lossless_formats_give_the_same_bytes_back() {
        let image = gradient(19, 7);
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
            assert_eq!(reencoded(image.clone(), format), *image.as_raw(), "{format}");
        }
    }

    #[test]
    fn files_of_other_programs_give_the_same_image() {
        let files = [
            (ImageFormat::Gif, testdata!("animated.gif"), 0),
            (ImageFormat::WebP, testdata!("animated.webp"), 0),
            (ImageFormat::WebP, testdata!("lossy.webp"), 4),
            (ImageFormat::Tiff, testdata!("lzw.tiff"), 0),
            (ImageFormat::Tiff, testdata!("cmyk.tiff"), 0),
        ];
        for (format, bytes, tolerance) in files {
            let pixels = decode_freely(format, bytes).unwrap();
            assert_near(&quarters(&pixels), &QUARTERS, tolerance);
        }
    }

    #[test]
    fn a_transparent_palette_color_is_white() {
        let expected = [[255; 3], QUARTERS[1], QUARTERS[2], QUARTERS[3]];
        for (format, bytes) in [
            (ImageFormat::Png, testdata!("palette-transparent.png")),
            (ImageFormat::Gif, testdata!("transparent.gif")),
        ] {
            let pixels = decode_freely(format, bytes).unwrap();
            assert_eq!(quarters(&pixels), expected, "{format}");
        }
    }

    #[test]
    fn one_bit_tiffs_are_black_and_white() {
        let (black, white) = ([0; 3], [255; 3]);
        for bytes in [testdata!("bilevel.tiff"), testdata!("bilevel-group4.tiff")] {
            let pixels = decode_freely(ImageFormat::Tiff, bytes).unwrap();
            assert_eq!(quarters(&pixels), [black, white, black, white]);
        }
    }

    #[test]
    fn transparency_is_laid_on_white_in_every_format_that_has_it() {
        let image =
            RgbaImage::from_fn(6, 2, |x, _| Rgba([200, 100, 0, [255, 0][(x % 2) as usize]]));
        let expected = [200, 100, 0, 255, 255, 255].repeat(6);
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Tiff] {
            assert_eq!(reencoded(image.clone(), format), expected, "{format}");
        }
    }

    #[test]
    fn sixteen_bit_and_floating_point_files_become_eight_bit() {
        let values = vec![0_u16, 129, 32896, 65535];
        let grey = DynamicImage::ImageLuma16(ImageBuffer::from_raw(4, 1, values).unwrap());
        let expected = [0, 1, 128, 255].map(|value| [value; 3]);
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            assert_eq!(reencoded(grey.clone(), format), expected.as_flattened());
        }
        let values = vec![65535_u16, 0, 25700];
        let rgb = DynamicImage::ImageRgb16(ImageBuffer::from_raw(1, 1, values).unwrap());
        for format in [ImageFormat::Png, ImageFormat::Tiff] {
            assert_eq!(reencoded(rgb.clone(), format), [255, 0, 100]);
        }
        let values = vec![1.5_f32, 0.5, -1.0];
        let float = DynamicImage::ImageRgb32F(ImageBuffer::from_raw(1, 1, values).unwrap());
        assert_eq!(reencoded(float, ImageFormat::Tiff), [255, 128, 0]);
    }

    #[test]
    fn tiffs_that_the_library_lacks_are_unsupported_variants() {
        for bytes in [testdata!("palette.tiff"), testdata!("float-grey.tiff")] {
            let error = decode_freely(ImageFormat::Tiff, bytes).unwrap_err();
            let expected = matches!(error, ImagingError::UnsupportedVariant { .. });
            assert!(expected, "{error:?}");
        }
    }

    #[test]
    fn a_file_cut_in_half_is_an_error_in_every_format() {
        for format in WRITABLE {
            let bytes = encode(gradient(64, 64), format);
            assert!(decode_freely(format, &bytes[..bytes.len() / 2]).is_err(), "{format}");
        }
        let lossy = testdata!("lossy.webp");
        assert!(decode_freely(ImageFormat::WebP, &lossy[..lossy.len() / 2]).is_err());
    }
}
