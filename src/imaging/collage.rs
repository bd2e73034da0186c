//! Many small images on one.

use image::imageops::overlay;
use image::{Rgb, RgbImage};

use crate::pixels::Pixels;

/// Side of the largest collage, in pixels.
const SIDE_MAX_PX: u32 = 16_384;

/// A white square to lay images on.
#[derive(Debug)]
pub struct Collage {
    canvas: RgbImage,
}

impl Collage {
    /// Makes a white square of this side, 1 to 16,384 px; what lies beyond is brought to the border.
    pub fn new(side_px: u32) -> Self {
        let side_px = side_px.clamp(1, SIDE_MAX_PX);
        Self { canvas: RgbImage::from_pixel(side_px, side_px, Rgb([255; 3])) }
    }

    /// Lays an image on it with its centre at a place, 0 to 1 across and down; what hangs over the
    /// edge is cut off.
    pub fn lay(&mut self, image: Pixels, x: f32, y: f32) {
        let side = f64::from(self.canvas.width());
        let (width_px, height_px) = (image.width_px(), image.height_px());
        let corner =
            |at: f32, length_px: u32| (f64::from(at) * side) as i64 - i64::from(length_px) / 2;
        let (left, top) = (corner(x, width_px), corner(y, height_px));
        let image = RgbImage::from_raw(width_px, height_px, image.into_rgb())
            .expect("Pixels keeps its buffer at the right length");
        overlay(&mut self.canvas, &image, left, top);
    }

    /// Gives it away.
    pub fn into_pixels(self) -> Pixels {
        let side_px = self.canvas.width();
        Pixels::from_rgb(side_px, side_px, self.canvas.into_raw())
            .expect("it was made with this side")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_over_any_edge_is_cut_off() {
        let black = Pixels::from_rgb(4, 4, vec![0; 48]).expect("16 pixels");
        let dark = |x: f32, y: f32| {
            let mut collage = Collage::new(10);
            collage.lay(black.clone(), x, y);
            collage.into_pixels().rgb().iter().filter(|level| **level == 0).count() / 3
        };
        assert_eq!(dark(0.5, 0.5), 16);
        assert_eq!(dark(0.0, 0.0), 4);
        assert_eq!(dark(1.0, 0.5), 8);
        assert_eq!(dark(0.5, 1.0), 8);
        assert_eq!(dark(3.0, -3.0), 0);
    }
}
