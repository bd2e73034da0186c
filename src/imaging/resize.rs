//! Brings images to the squares that networks take, with the filters of Pillow.
//!
//! The weights of the networks were found with Pillow; embeddings stay comparable only while
//! the pixels are the same.

use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::pixels::{Fitted, Fitting, Pixels};

/// Gives how many pixels the shorter side of an image should have before [`squash`] to `side_px`:
/// more than `side_px` by so much that the filter has pixels to choose from everywhere.
#[must_use]
pub fn side_needed_px(side_px: u32) -> u32 {
    side_px.saturating_add(32)
}

/// Resizes the whole image to a square of `side_px`, at least 1, whatever its shape.
///
/// # Panics
/// When `side_px` is 0.
#[must_use]
pub fn squash(pixels: &Pixels, side_px: u32) -> Pixels {
    resize(&view(pixels), side_px, side_px)
}

/// Resizes an image to any size, at least one pixel.
pub(super) fn resized(pixels: &Pixels, width_px: u32, height_px: u32) -> Pixels {
    resize(&view(pixels), width_px, height_px)
}

/// Resizes an image so that no side is longer than `side_px`, at least 1, at its own shape; a
/// smaller one stays as it is.
pub(super) fn shrunk(pixels: &Pixels, side_px: u32) -> Pixels {
    let (width_px, height_px) = (pixels.width_px(), pixels.height_px());
    let shrink = f64::from(side_px.max(1)) / f64::from(width_px.max(height_px));
    if shrink >= 1.0 {
        return pixels.clone();
    }
    let inside = |length_px: u32| ((f64::from(length_px) * shrink).round() as u32).max(1);
    resized(pixels, inside(width_px), inside(height_px))
}

/// Resizes a square of levels, row by row, to any size, at least one pixel.
pub(super) fn resized_levels(levels: &[f32], side: usize, width: usize, height: usize) -> Vec<f32> {
    let side_px = side as u32;
    let source = ImageRef::new(side_px, side_px, bytemuck::cast_slice(levels), PixelType::F32)
        .expect("a square has as many rows as columns");
    let mut target = Image::new(width as u32, height as u32, PixelType::F32);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &options)
        .expect("both are floats and the whole source is used");
    // The buffer of bytes need not lie where floats can.
    let (fours, _) = target.buffer().as_chunks::<4>();
    fours.iter().map(|four| f32::from_ne_bytes(*four)).collect()
}

/// Brings a whole image of `width_px` x `height_px`, of which `pixels` may be a reduced copy, to the
/// square that a detector takes, with the filter of Pillow's `BILINEAR`.
///
/// # Panics
/// When `side_px` is 0.
#[must_use]
pub fn fit(
    pixels: &Pixels,
    (width_px, height_px): (u32, u32),
    side_px: u32,
    fitting: Fitting,
) -> Fitted {
    let bilinear = FilterType::Bilinear;
    let side = f64::from(side_px);
    let (width, height) = (f64::from(width_px), f64::from(height_px));
    let (pixels, scale_across, scale_down) = match fitting {
        Fitting::Squashed => {
            let pixels = resize_by(&view(pixels), side_px, side_px, bilinear);
            (pixels, width / side, height / side)
        }
        Fitting::TopLeft { level } => {
            let shrink = (side / width).min(side / height);
            // Rounded down, as the detectors' own programs do.
            let inside = |length: f64| ((length * shrink) as u32).clamp(1, side_px);
            let (across_px, down_px) = (inside(width), inside(height));
            let small = resize_by(&view(pixels), across_px, down_px, bilinear);
            (on_square(&small, side_px, [level; 3]), 1.0 / shrink, 1.0 / shrink)
        }
        Fitting::Framed { short_px, long_px, color } => {
            let (short, long) = (width.min(height), width.max(height));
            let scale = (f64::from(short_px) / short).min(f64::from(long_px) / long);
            // Rounded down, as torchvision does.
            let inside = |length: f64| ((length * scale) as u32).clamp(1, side_px);
            let (across_px, down_px) = (inside(width), inside(height));
            let image = resize_by(&view(pixels), across_px, down_px, bilinear);
            let scales = (width / f64::from(across_px), height / f64::from(down_px));
            (on_square(&image, side_px, color), scales.0, scales.1)
        }
    };
    let (scale_across, scale_down) = (scale_across as f32, scale_down as f32);
    Fitted { pixels, width_px, height_px, scale_across, scale_down }
}

/// Puts an image into the upper left corner of a square.
fn on_square(image: &Pixels, side_px: u32, color: [u8; 3]) -> Pixels {
    let row_bytes = side_px as usize * 3;
    let mut rgb = color.repeat(side_px as usize * side_px as usize);
    let rows = image.rgb().chunks_exact(image.width_px() as usize * 3);
    for (to, from) in rgb.chunks_exact_mut(row_bytes).zip(rows) {
        to[..from.len()].copy_from_slice(from);
    }
    from_buffer(side_px, side_px, rgb)
}

/// Cuts a part out of an image, given in parts of its width and height, and squashes it to a
/// square of `side_px`.
///
/// The part is widened to whole pixels, at least one; what lies beyond the image is left out.
///
/// # Panics
/// When `side_px` is 0.
#[must_use]
pub fn cut_out(pixels: &Pixels, part: [f32; 4], side_px: u32) -> Pixels {
    let [left, top, right, bottom] = part;
    let span = |from: f32, to: f32, length: u32| {
        let at = |share: f32| f64::from(share.clamp(0.0, 1.0)) * f64::from(length);
        let first = (at(from).floor() as u32).min(length - 1);
        let end = (at(to).ceil() as u32).clamp(first + 1, length);
        (first, end - first)
    };
    let (left_px, width_px) = span(left, right, pixels.width_px());
    let (top_px, height_px) = span(top, bottom, pixels.height_px());
    let whole = view(pixels);
    let cut = CroppedImage::new(&whole, left_px, top_px, width_px, height_px)
        .expect("the part is clipped to the image");
    resize(&cut, side_px, side_px)
}

/// Resizes along the rows first and along the columns second, as Pillow does.
///
/// Left to itself the library begins with the columns. Both passes round and clamp to 8 bits, and
/// the cubic overshoots at edges, so the order shows: against Pillow 11.3 on 215 WebP images,
/// differences of up to 23 levels in its order, of up to 2 in this one (at most 1 value in 30,000 above 1).
/// Pillow 13 begins with the columns where an image shrinks much more in height than in width;
/// the networks were trained before that, so it is not followed.
fn resize(source: &impl IntoImageView, width_px: u32, height_px: u32) -> Pixels {
    // Pillow's BICUBIC is the cubic with a = -0.5, which is called after Catmull and Rom here.
    resize_by(source, width_px, height_px, FilterType::CatmullRom)
}

fn resize_by(
    source: &impl IntoImageView,
    width_px: u32,
    height_px: u32,
    filter: FilterType,
) -> Pixels {
    let narrowed = resample(source, width_px, source.height(), filter);
    let resized = resample(&narrowed, width_px, height_px, filter);
    from_buffer(width_px, height_px, resized.into_vec())
}

fn resample(
    source: &impl IntoImageView,
    width_px: u32,
    height_px: u32,
    filter: FilterType,
) -> Image<'static> {
    assert!(width_px > 0 && height_px > 0, "an image has at least one pixel");
    let mut target = Image::new(width_px, height_px, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new()
        .resize(source, &mut target, &options)
        .expect("both images are RGB and the whole source is used");
    target
}

fn view(pixels: &Pixels) -> ImageRef<'_> {
    ImageRef::new(pixels.width_px(), pixels.height_px(), pixels.rgb(), PixelType::U8x3)
        .expect("Pixels keeps its buffer at the right length")
}

fn from_buffer(width_px: u32, height_px: u32, rgb: Vec<u8>) -> Pixels {
    Pixels::from_rgb(width_px, height_px, rgb).expect("the buffer was made for this size")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{gradient, noise};
    use super::*;

    fn image(width_px: u32, height_px: u32) -> Pixels {
        from_buffer(width_px, height_px, gradient(width_px, height_px).into_raw())
    }

    /// Weights of the cubic with a = -0.5, widened to the scale when an image shrinks.
    fn weights(length: usize, target: usize, position: usize) -> Vec<f64> {
        let scale = length as f64 / target as f64;
        let centre = (position as f64 + 0.5) * scale;
        let cubic = |x: f64| match x.abs() {
            x if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            x if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            _ => 0.0,
        };
        let weight = |index: usize| cubic((index as f64 + 0.5 - centre) / scale.max(1.0));
        let weights: Vec<f64> = (0..length).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// The slow twin: one channel of one pixel, rows first, each pass rounded to 8 bits.
    fn slow_value(source: &Pixels, side: usize, at: (usize, usize), channel: usize) -> u8 {
        let (width, height) = (source.width_px() as usize, source.height_px() as usize);
        let round = |value: f64| (value + 0.5).floor().clamp(0.0, 255.0);
        let across = weights(width, side, at.0);
        let row_value = |y: usize| {
            let value = |x: usize| f64::from(source.rgb()[(y * width + x) * 3 + channel]);
            round((0..width).map(|x| across[x] * value(x)).sum())
        };
        let down = weights(height, side, at.1);
        round((0..height).map(|y| down[y] * row_value(y)).sum()) as u8
    }

    fn noisy(width_px: u32, height_px: u32) -> Pixels {
        from_buffer(width_px, height_px, noise(width_px, height_px).into_raw())
    }

    #[test]
    fn squash_agrees_with_its_slow_twin() {
        let mut apart = 0;
        for (width_px, height_px) in [(37, 53), (53, 37), (9, 40), (40, 9), (16, 16), (1, 30)] {
            let source = noisy(width_px, height_px);
            let fast = squash(&source, 16);
            for index in 0..16 * 16 * 3 {
                let at = (index / 3 % 16, index / 48);
                let slow = slow_value(&source, 16, at, index % 3);
                let difference = slow.abs_diff(fast.rgb()[index]);
                // Fixed point against floating point, twice: seldom 2.
                assert!(difference <= 2, "{width_px} x {height_px}, {at:?}");
                apart += usize::from(difference > 1);
            }
        }
        assert!(apart <= 5, "{apart} of 4608 values differ by more than 1");
    }

    #[test]
    fn a_fitted_image_keeps_its_shape_in_the_corner_or_fills_the_square() {
        let source = from_buffer(30, 60, [13, 200, 255].repeat(1800));
        let corner = fit(&source, (300, 600), 40, Fitting::TopLeft { level: 114 });
        let at = |x: usize, y: usize| &corner.pixels.rgb()[(y * 40 + x) * 3..][..3];
        assert_eq!((at(0, 0), at(19, 39)), (&[13, 200, 255][..], &[13, 200, 255][..]));
        assert_eq!((at(20, 0), at(39, 39)), (&[114; 3][..], &[114; 3][..]));
        assert_eq!((corner.scale_across, corner.scale_down), (15.0, 15.0));
        let filled = fit(&source, (300, 600), 40, Fitting::Squashed);
        assert_eq!(filled.pixels.rgb(), [13, 200, 255].repeat(1600));
        assert_eq!((filled.scale_across, filled.scale_down), (7.5, 15.0));
        let framed = Fitting::Framed { short_px: 15, long_px: 30, color: [1, 2, 3] };
        let framed = fit(&source, (300, 600), 40, framed);
        let at = |x: usize, y: usize| &framed.pixels.rgb()[(y * 40 + x) * 3..][..3];
        assert_eq!((at(14, 29), at(15, 0), at(0, 30)), (at(0, 0), &[1, 2, 3][..], at(39, 39)));
        assert_eq!((framed.scale_across, framed.scale_down), (20.0, 20.0));
        let frame = Fitting::Framed { short_px: 800, long_px: 1333, color: [0; 3] };
        let (photo, size) = (image(64, 48), (640, 480));
        let wide = fit(&photo, size, 1344, frame);
        assert_eq!((wide.scale_across, wide.scale_down), (640.0 / 1066.0, 480.0 / 800.0));
        for (width_px, height_px) in [(1, 9000), (9000, 1)] {
            let thin = image(width_px, height_px);
            let square = fit(&thin, (width_px, height_px), 40, frame);
            assert_eq!((square.pixels.width_px(), square.pixels.height_px()), (40, 40));
            let square = fit(&thin, (width_px, height_px), 40, Fitting::TopLeft { level: 0 });
            assert_eq!((square.pixels.width_px(), square.pixels.height_px()), (40, 40));
        }
    }

    #[test]
    fn what_is_cut_out_is_that_part_and_at_least_a_pixel() {
        let source = noisy(20, 10);
        let rows = source.rgb().chunks_exact(60).skip(5).take(5);
        let quarter = from_buffer(10, 5, rows.flat_map(|row| &row[30..60]).copied().collect());
        assert_eq!(cut_out(&source, [0.5, 0.5, 1.0, 7.0], 16), squash(&quarter, 16));
        for part in [[0.99, 0.99, 0.99, 0.99], [2.0, 2.0, 3.0, 3.0], [f32::NAN; 4]] {
            assert_eq!(cut_out(&source, part, 16).width_px(), 16, "{part:?}");
        }
    }

    #[test]
    fn extreme_shapes_become_squares() {
        for (width_px, height_px) in [(1, 1), (1, 9000), (9000, 1), (2, 3), (224, 224)] {
            let source = image(width_px, height_px);
            let square = squash(&source, 224);
            assert_eq!((square.width_px(), square.height_px()), (224, 224));
        }
    }

    #[test]
    fn one_color_stays_that_color() {
        let source = from_buffer(30, 50, [13, 200, 255].repeat(1500));
        assert_eq!(squash(&source, 40).rgb(), [13, 200, 255].repeat(1600));
    }
}
