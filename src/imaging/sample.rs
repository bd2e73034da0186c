//! Small images for the tests of this module: made here, or by hand in `testdata`.

use std::io::Cursor;

use image::{DynamicImage, RgbImage};

use super::ImageFormat;
use crate::pixels::Pixels;

/// The colors of the quarters of the images in `testdata`: above, then below.
pub(super) const QUARTERS: [[u8; 3]; 4] =
    [[220, 30, 30], [30, 200, 30], [30, 30, 220], [230, 220, 40]];

/// The formats that the library can also write.
pub(super) const WRITABLE: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

/// Gives a file of `testdata`.
macro_rules! testdata {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/imaging/testdata/", $name))
            .as_slice()
    };
}
pub(super) use testdata;

/// Gives a smooth image: red grows to the right, green downwards.
pub(super) fn gradient(width_px: u32, height_px: u32) -> RgbImage {
    RgbImage::from_fn(width_px, height_px, |x, y| {
        let part = |position: u32, side: u32| (position * 255 / side.max(2)) as u8;
        image::Rgb([part(x, width_px), part(y, height_px), 90])
    })
}

/// Gives noise with many values at the ends of the range: it compresses badly, and a filter that
/// overshoots is clamped everywhere.
pub(super) fn noise(width_px: u32, height_px: u32) -> RgbImage {
    let mut state = 7_u32;
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        [0, 255, (state >> 16) as u8, (state >> 8) as u8][(state >> 30) as usize]
    };
    RgbImage::from_fn(width_px, height_px, |_, _| image::Rgb([value(), value(), value()]))
}

/// A small linear generator; the seed is printed, so that a failure can be repeated.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

pub(super) fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let format = super::library::library_format(format).unwrap();
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(super) fn pixel(pixels: &Pixels, x: u32, y: u32) -> [u8; 3] {
    let start = (y * pixels.width_px() + x) as usize * 3;
    pixels.rgb()[start..start + 3].try_into().unwrap()
}

/// Gives the pixels in the middle of the quarters, in the order of [`QUARTERS`].
pub(super) fn quarters(pixels: &Pixels) -> [[u8; 3]; 4] {
    let (x, y) = (pixels.width_px() / 4, pixels.height_px() / 4);
    [(x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y)].map(|(x, y)| pixel(pixels, x, y))
}

#[track_caller]
pub(super) fn assert_near(found: &[[u8; 3]], expected: &[[u8; 3]], tolerance: u8) {
    let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= tolerance;
    let all_near = found.as_flattened().iter().zip(expected.as_flattened()).all(near);
    assert!(
        found.len() == expected.len() && all_near,
        "expected {expected:?} within {tolerance}, found {found:?}"
    );
}
