//! What is drawn on images for people: boxes with their names, heat maps; and PNG files of it.

use std::io::Cursor;

use font8x8::legacy::BASIC_LEGACY;
use image::{ImageFormat as LibraryFormat, RgbImage};

use crate::pixels::Pixels;
use crate::record::BoundingBox;

/// Colors that are easy to tell apart, for classes in turn.
const COLORS: [[u8; 3]; 10] = [
    [230, 25, 75],
    [60, 180, 75],
    [0, 130, 200],
    [245, 130, 48],
    [145, 30, 180],
    [0, 128, 128],
    [240, 50, 230],
    [128, 96, 0],
    [128, 0, 0],
    [0, 0, 128],
];

/// Pixels of a letter's square in the font.
const LETTER_PX: usize = 8;

/// Draws a box, clipped to the image, and a line of text at its upper left corner.
///
/// Lines and letters grow with the image. `color` picks one of ten colors in turn.
pub fn draw_box(pixels: &mut Pixels, bounds: &BoundingBox, text: &str, color: usize) {
    let (width_px, height_px) = (pixels.width_px(), pixels.height_px());
    let scale = (width_px.min(height_px) as usize / 300).max(1);
    let color = COLORS[color % COLORS.len()];
    let mut canvas = Canvas { pixels, width: width_px as usize, height: height_px as usize };
    let inside = bounds.clipped(width_px, height_px);
    let edge = |value: f32| value.round() as usize;
    let (left, top) = (edge(inside.left_px), edge(inside.top_px));
    let (right, bottom) = (edge(inside.right_px), edge(inside.bottom_px));
    let line = 2 * scale;
    canvas.fill([left, top, right, (top + line).min(bottom)], color);
    canvas.fill([left, bottom.saturating_sub(line).max(top), right, bottom], color);
    canvas.fill([left, top, (left + line).min(right), bottom], color);
    canvas.fill([right.saturating_sub(line).max(left), top, right, bottom], color);
    canvas.label((left, top), text, scale, color);
}

/// Lays a heat map over an image: `values` of `side` x `side` positions, from 0 to `greatest`.
///
/// What is cold darkens and loses its color; what is hot turns red.
pub fn draw_heat(pixels: &mut Pixels, side: usize, values: &[f32], greatest: f32) {
    let (width, height) = (pixels.width_px() as usize, pixels.height_px() as usize);
    let at = |y: usize, x: usize| {
        let value = values.get(y * side + x).copied().unwrap_or(0.0);
        (value / greatest.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0)
    };
    // The position before a pixel, the one after it, and the share of the second.
    let between = |index: usize, length: usize| {
        let place = (index as f32 + 0.5) / length as f32 * side as f32 - 0.5;
        let place = place.clamp(0.0, (side - 1) as f32);
        (place as usize, (place as usize + 1).min(side - 1), place.fract())
    };
    for y in 0..height {
        let (top, bottom, low) = between(y, height);
        for x in 0..width {
            let (left, right, far) = between(x, width);
            let above = at(top, left) * (1.0 - far) + at(top, right) * far;
            let below = at(bottom, left) * (1.0 - far) + at(bottom, right) * far;
            let heat = above * (1.0 - low) + below * low;
            let start = (y * width + x) * 3;
            let rgb = &mut pixels.rgb_mut()[start..start + 3];
            let grey = rgb.iter().map(|value| f32::from(*value)).sum::<f32>() / 3.0;
            let [red, green, blue] = warm(heat);
            for (value, color) in rgb.iter_mut().zip([red, green, blue]) {
                *value = (0.45 * grey + 0.55 * color) as u8;
            }
        }
    }
}

/// From dark blue over green and yellow to red.
fn warm(heat: f32) -> [f32; 3] {
    let ramp = |centre: f32| (1.5 - (4.0 * heat - centre).abs()).clamp(0.0, 1.0) * 255.0;
    [ramp(3.0), ramp(2.0), ramp(1.0)]
}

/// Puts two images side by side, the second brought to the height of the first, with a white gap.
#[must_use]
pub fn beside(left: &Pixels, right: &Pixels) -> Pixels {
    const GAP_PX: u32 = 8;
    let height_px = left.height_px();
    let across = u64::from(right.width_px()) * u64::from(height_px);
    let across_px = (across / u64::from(right.height_px())).clamp(1, 8192) as u32;
    let right = super::resize::resized(right, across_px, height_px);
    let width_px = left.width_px() + GAP_PX + across_px;
    let row_bytes = |image: &Pixels| image.width_px() as usize * 3;
    let mut rgb = Vec::with_capacity(width_px as usize * height_px as usize * 3);
    let rows = left.rgb().chunks_exact(row_bytes(left));
    for (one, other) in rows.zip(right.rgb().chunks_exact(row_bytes(&right))) {
        rgb.extend_from_slice(one);
        rgb.extend_from_slice(&[255; GAP_PX as usize * 3]);
        rgb.extend_from_slice(other);
    }
    Pixels::from_rgb(width_px, height_px, rgb).expect("three bytes for each pixel")
}

/// Writes an image as a PNG file.
#[must_use]
pub fn encode_png(pixels: &Pixels) -> Vec<u8> {
    let image = RgbImage::from_raw(pixels.width_px(), pixels.height_px(), pixels.rgb().to_vec())
        .expect("Pixels keeps its buffer at the right length");
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, LibraryFormat::Png)
        .expect("writing RGB to memory as PNG has no reason to fail");
    bytes.into_inner()
}

struct Canvas<'a> {
    pixels: &'a mut Pixels,
    width: usize,
    height: usize,
}

impl Canvas<'_> {
    /// Fills from left and top to before right and bottom, as far as that lies on the image.
    fn fill(&mut self, [left, top, right, bottom]: [usize; 4], color: [u8; 3]) {
        let (right, bottom) = (right.min(self.width), bottom.min(self.height));
        for y in top..bottom {
            for x in left..right {
                let start = (y * self.width + x) * 3;
                self.pixels.rgb_mut()[start..start + 3].copy_from_slice(&color);
            }
        }
    }

    /// White letters on a bar that stays on the image.
    fn label(&mut self, (left, top): (usize, usize), text: &str, scale: usize, color: [u8; 3]) {
        let letters: Vec<[u8; 8]> =
            text.chars().filter_map(|letter| BASIC_LEGACY.get(letter as usize).copied()).collect();
        let size = LETTER_PX * scale;
        let (width, height) = (letters.len() * size + 2 * scale, size + 2 * scale);
        let left = left.min(self.width.saturating_sub(width));
        let top = top.min(self.height.saturating_sub(height));
        self.fill([left, top, left + width, top + height], color);
        for (at, letter) in letters.iter().enumerate() {
            for (row, bits) in letter.iter().enumerate() {
                for column in (0..LETTER_PX).filter(|column| bits >> column & 1 == 1) {
                    let x = left + scale + at * size + column * scale;
                    let y = top + scale + row * scale;
                    self.fill([x, y, x + scale, y + scale], [255; 3]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::pixel;
    use super::super::{DecodeLimits, decode};
    use super::*;

    fn black(width_px: u32, height_px: u32) -> Pixels {
        Pixels::from_rgb(width_px, height_px, vec![0; (width_px * height_px * 3) as usize]).unwrap()
    }

    #[test]
    fn a_box_has_edges_in_its_color_and_keeps_what_lies_within() {
        let mut pixels = black(100, 80);
        draw_box(&mut pixels, &BoundingBox::new(20.0, 30.0, 90.0, 70.0), "", 1);
        for (x, y) in [(20, 50), (89, 50), (50, 69), (20, 30), (89, 69)] {
            assert_eq!(pixel(&pixels, x, y), COLORS[1], "{x} {y}");
        }
        for (x, y) in [(19, 50), (50, 50), (90, 50), (50, 70), (50, 66)] {
            assert_eq!(pixel(&pixels, x, y), [0; 3], "{x} {y}");
        }
    }

    #[test]
    fn odd_boxes_and_texts_stay_on_the_image() {
        for bounds in [
            BoundingBox::new(-50.0, -50.0, 500.0, 500.0),
            BoundingBox::new(99.0, 79.0, 99.5, 79.5),
            BoundingBox::new(70.0, 60.0, 20.0, 10.0),
            BoundingBox::new(f32::NAN, 0.0, f32::INFINITY, 9.0),
        ] {
            for text in ["1 dog 0.93", "a text that is longer than the image is wide", "\u{1F600}"]
            {
                let mut pixels = black(100, 80);
                draw_box(&mut pixels, &bounds, text, 99);
                assert_eq!(pixels.rgb().len(), 100 * 80 * 3);
            }
        }
        draw_box(&mut black(1, 1), &BoundingBox::new(0.0, 0.0, 1.0, 1.0), "dog", 0);
    }

    #[test]
    fn heat_is_red_where_it_is_greatest_and_blue_where_there_is_none() {
        let mut pixels = black(80, 40);
        draw_heat(&mut pixels, 2, &[0.0, 0.5, 0.0, 0.0], 0.5);
        let (hot, cold) = (pixel(&pixels, 79, 0), pixel(&pixels, 0, 39));
        assert!(hot[0] > hot[1] && hot[0] > hot[2], "{hot:?}");
        assert!(cold[2] > cold[0] && cold[2] > cold[1], "{cold:?}");
        let pair = beside(&pixels, &black(10, 20));
        assert_eq!((pair.width_px(), pair.height_px()), (80 + 8 + 20, 40));
        assert_eq!(pixel(&pair, 79, 0), hot);
        assert_eq!(pixel(&pair, 84, 20), [255; 3]);
        draw_heat(&mut pixels, 1, &[f32::NAN], 0.0);
    }

    #[test]
    fn a_png_is_read_back_as_it_was() {
        let mut pixels = black(30, 20);
        draw_box(&mut pixels, &BoundingBox::new(2.0, 2.0, 20.0, 18.0), "x", 3);
        let file = encode_png(&pixels);
        assert_eq!(decode(&file, &DecodeLimits::default()).unwrap().pixels, pixels);
    }
}
