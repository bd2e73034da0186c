//! Brings what decoders give (grey, 16 bits, floating point, transparent) to 8-bit RGB.

use image::DynamicImage;

/// Gives the RGB bytes of an image; transparent parts show a white ground.
///
/// White, because logos, drawings and product photos, the images that have transparency, are
/// made to be seen on it. 16-bit values are rounded to 8 bits, floating point ones are clamped
/// to 0..=1 and scaled. An image that is 8-bit RGB already is not copied.
pub(super) fn into_rgb(image: DynamicImage) -> Vec<u8> {
    if image.color().has_alpha() {
        over_white(image.into_rgba8().as_raw())
    } else {
        image.into_rgb8().into_raw()
    }
}

/// Gives the RGB bytes of RGBA ones, laid on white.
pub(super) fn over_white(rgba: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgba.as_chunks::<4>();
    let mut rgb = Vec::with_capacity(pixels.len() * 3);
    for [red, green, blue, alpha] in pixels {
        rgb.extend([red, green, blue].map(|value| blend_with_white(*value, *alpha)));
    }
    rgb
}

fn blend_with_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    let sum = value * alpha + 255 * (255 - alpha);
    // Rounds; the quotient of at most 255 * 255 by 255 fits a byte.
    ((sum + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};

    #[test]
    fn transparent_is_white_and_opaque_is_unchanged() {
        let image = ImageBuffer::from_raw(3, 1, vec![9, 8, 7, 0, 9, 8, 7, 255, 0, 101, 255, 128]);
        let image: ImageBuffer<Rgba<u8>, Vec<u8>> = image.unwrap();
        let rgb = into_rgb(DynamicImage::ImageRgba8(image));
        assert_eq!(rgb, [255, 255, 255, 9, 8, 7, 127, 178, 255]);
    }

    #[test]
    fn grey_with_alpha_becomes_rgb_on_white() {
        let image: ImageBuffer<LumaA<u8>, Vec<u8>> =
            ImageBuffer::from_raw(2, 1, vec![40, 255, 40, 0]).unwrap();
        let rgb = into_rgb(DynamicImage::ImageLumaA8(image));
        assert_eq!(rgb, [40, 40, 40, 255, 255, 255]);
    }

    #[test]
    fn sixteen_bits_are_rounded_to_eight() {
        // 257 steps of 16 bits make one step of 8: 128 rounds down, 129 rounds up.
        let image: ImageBuffer<Luma<u16>, Vec<u16>> =
            ImageBuffer::from_raw(4, 1, vec![0, 128, 129, 65535]).unwrap();
        let rgb = into_rgb(DynamicImage::ImageLuma16(image));
        assert_eq!(rgb, [0, 0, 0, 0, 0, 0, 1, 1, 1, 255, 255, 255]);
    }

    #[test]
    fn floating_point_is_clamped() {
        let values = vec![-1.0, 0.5, 2.0, f32::NAN, f32::INFINITY, 1.0];
        let image: ImageBuffer<Rgb<f32>, Vec<f32>> = ImageBuffer::from_raw(2, 1, values).unwrap();
        let rgb = into_rgb(DynamicImage::ImageRgb32F(image));
        assert_eq!(rgb[..3], [0, 128, 255]);
        assert_eq!(rgb[4..], [255, 255]);
    }

    #[test]
    fn rgb_is_not_copied() {
        let rgb = vec![1, 2, 3];
        let address = rgb.as_ptr();
        let image = ImageBuffer::from_raw(1, 1, rgb).unwrap();
        let flattened = into_rgb(DynamicImage::ImageRgb8(image));
        assert_eq!(flattened.as_ptr(), address);
    }
}
