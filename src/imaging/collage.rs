//! Many small images on one.

use crate::pixels::Pixels;

/// Side of the largest collage, in pixels.
const SIDE_MAX_PX: u32 = 16_384;

/// A white square to lay images on.
#[derive(Debug)]
pub struct Collage {
    side_px: u32,
    rgb: Vec<u8>,
}

impl Collage {
    /// Makes a white square of this side, 1 to 16,384 px; what lies beyond is brought to the border.
    pub fn new(side_px: u32) -> Self {
        let side_px = side_px.clamp(1, SIDE_MAX_PX);
        Self { side_px, rgb: vec![255; side_px as usize * side_px as usize * 3] }
    }

    /// Lays an image on it with its centre at a place, 0 to 1 across and down; what hangs over the
    /// edge is cut off.
    pub fn lay(&mut self, image: &Pixels, x: f32, y: f32) {
        let side = i64::from(self.side_px);
        let corner = |at: f32, length_px: u32| {
            (f64::from(at) * f64::from(self.side_px)) as i64 - i64::from(length_px) / 2
        };
        let (left, top) = (corner(x, image.width_px()), corner(y, image.height_px()));
        let width = i64::from(image.width_px());
        let from = (-left).clamp(0, width);
        let to = (side - left).clamp(from, width);
        for (row, at) in image.rgb().chunks_exact(width as usize * 3).zip(top..) {
            if !(0..side).contains(&at) || from == to {
                continue;
            }
            let start = ((at * side + left + from) * 3) as usize;
            let part = &row[from as usize * 3..to as usize * 3];
            self.rgb[start..start + part.len()].copy_from_slice(part);
        }
    }

    /// Gives it away.
    pub fn into_pixels(self) -> Pixels {
        Pixels::from_rgb(self.side_px, self.side_px, self.rgb).expect("it was made with this side")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_over_any_edge_is_cut_off() {
        let black = Pixels::from_rgb(4, 4, vec![0; 48]).unwrap();
        let dark = |x: f32, y: f32| {
            let mut collage = Collage::new(10);
            collage.lay(&black, x, y);
            collage.into_pixels().rgb().iter().filter(|level| **level == 0).count() / 3
        };
        assert_eq!(dark(0.5, 0.5), 16);
        assert_eq!(dark(0.0, 0.0), 4);
        assert_eq!(dark(1.0, 0.5), 8);
        assert_eq!(dark(0.5, 1.0), 8);
        assert_eq!(dark(3.0, -3.0), 0);
    }
}
