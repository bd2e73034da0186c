//! Small pictures of images, for pages that people look at.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::resize::shrunk;
use super::{DecodeLimits, ImagingError, decode_at_least};
use crate::pixels::Pixels;

/// Good enough for small pictures, at 3 to 8 kB each.
const QUALITY: u8 = 80;

/// Reads an image and returns a JPEG of it, upright and at most `side_px` (at least 1) on either side.
///
/// # Errors
/// As [`decode_at_least`].
pub fn thumbnail(
    bytes: &[u8],
    side_px: u32,
    limits: &DecodeLimits,
) -> Result<Vec<u8>, ImagingError> {
    Ok(thumbnail_of(&decode_at_least(bytes, limits, side_px)?.pixels, side_px))
}

/// Returns a JPEG of an image, at most `side_px` (at least 1) on either side and never enlarged.
#[must_use]
pub fn thumbnail_of(image: &Pixels, side_px: u32) -> Vec<u8> {
    encode_jpeg(&shrunk(image, side_px), QUALITY)
        .expect("writing RGB of a small size to memory as JPEG has no reason to fail")
}

/// Writes an image as JPEG of a quality from 1 to 100; `None` when a side is longer than JPEG takes.
pub(super) fn encode_jpeg(pixels: &Pixels, quality: u8) -> Option<Vec<u8>> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, quality);
    let (width_px, height_px) = (pixels.width_px(), pixels.height_px());
    let written = encoder.write_image(pixels.rgb(), width_px, height_px, ExtendedColorType::Rgb8);
    written.is_ok().then_some(jpeg)
}

#[cfg(test)]
mod tests {
    use super::super::{decode, encode_png};
    use super::*;

    #[test]
    fn long_images_keep_their_shape_and_small_ones_their_size() {
        struct Case {
            size_px: (u32, u32),
            small_px: (u32, u32),
        }
        for Case { size_px: (width_px, height_px), small_px } in [
            Case { size_px: (400, 100), small_px: (80, 20) },
            Case { size_px: (100, 400), small_px: (20, 80) },
            Case { size_px: (3000, 1), small_px: (80, 1) },
            Case { size_px: (30, 20), small_px: (30, 20) },
        ] {
            let rgb = vec![90; (width_px * height_px * 3) as usize];
            let pixels = Pixels::from_rgb(width_px, height_px, rgb).unwrap();
            let jpeg = thumbnail(&encode_png(&pixels), 80, &DecodeLimits::default()).unwrap();
            let back = decode(&jpeg, &DecodeLimits::default()).unwrap();
            assert_eq!((back.width_px, back.height_px), small_px);
            assert!(back.pixels.rgb().iter().all(|value| value.abs_diff(90) < 3));
        }
        assert!(thumbnail(b"no image", 80, &DecodeLimits::default()).is_err());
    }
}
