//! Turns an image upright as its EXIF orientation says.

use crate::pixels::Pixels;

/// Applies an EXIF orientation, 1 to 8; any other number leaves the image as it is.
///
/// 1 is upright, 2 mirrored, 3 upside down, 4 upside down and mirrored; 5 to 8 lie on a side, so
/// width and height change places. 1 costs nothing, the others one copy.
#[must_use]
pub fn orient(pixels: Pixels, orientation: u8) -> Pixels {
    let (width, height) = (pixels.width_px() as usize, pixels.height_px() as usize);
    let Some(walk) = Walk::new(orientation, width, height) else {
        return pixels;
    };
    let (width_px, height_px) = match orientation {
        5.. => (pixels.height_px(), pixels.width_px()),
        _ => (pixels.width_px(), pixels.height_px()),
    };
    let mut rgb = vec![0; pixels.rgb().len()];
    let source = pixels.rgb().as_chunks::<3>().0;
    walk.copy(source, rgb.as_chunks_mut::<3>().0, width_px as usize);
    Pixels::from_rgb(width_px, height_px, rgb).expect("a turned image has as many pixels as before")
}

/// Applies an EXIF orientation to a square of values, row by row.
///
/// # Panics
/// When there are not `side * side` of them.
pub(super) fn orient_square<T: Copy>(square: &[T], side: usize, orientation: u8) -> Vec<T> {
    assert_eq!(square.len(), side * side, "a square has as many rows as columns");
    let mut turned = square.to_vec();
    if let Some(walk) = Walk::new(orientation, side, side) {
        walk.copy(square, &mut turned, side);
    }
    turned
}

/// Where the source pixels of a turned image lie: the first one, and how many pixels further
/// (or back) the source is for one step right and one step down.
struct Walk {
    first: usize,
    right: isize,
    down: isize,
}

impl Walk {
    /// Gives `None` if there is nothing to do. The sides are those of the source.
    fn new(orientation: u8, width: usize, height: usize) -> Option<Self> {
        let row = width as isize;
        let last_in_row = width - 1;
        let last_row = (height - 1) * width;
        let (first, right, down) = match orientation {
            2 => (last_in_row, -1, row),
            3 => (last_row + last_in_row, -1, -row),
            4 => (last_row, 1, -row),
            5 => (0, row, 1),
            6 => (last_row, -row, 1),
            7 => (last_row + last_in_row, -row, -1),
            8 => (last_in_row, row, -1),
            _ => return None,
        };
        Some(Self { first, right, down })
    }

    /// Copies tile by tile: a whole row of a turned image would touch every row of the source,
    /// each in another cache line, and lose it before its next pixel is due.
    fn copy<T: Copy>(&self, source: &[T], target: &mut [T], width: usize) {
        const TILE: usize = 32;
        let height = target.len() / width;
        for top in (0..height).step_by(TILE) {
            for left in (0..width).step_by(TILE) {
                let columns = left..width.min(left + TILE);
                for y in top..height.min(top + TILE) {
                    let row = &mut target[y * width..][columns.clone()];
                    self.copy_part(source, row, left, y);
                }
            }
        }
    }

    fn copy_part<T: Copy>(&self, source: &[T], part: &mut [T], x: usize, y: usize) {
        let offset = x as isize * self.right + y as isize * self.down;
        let mut position = self.first.wrapping_add_signed(offset);
        for pixel in part {
            *pixel = source[position];
            position = position.wrapping_add_signed(self.right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3 x 2 image whose pixels are called 1 2 3 / 4 5 6.
    fn stored() -> Pixels {
        Pixels::from_rgb(3, 2, (1..=6).flat_map(|name| [name; 3]).collect()).unwrap()
    }

    fn names(pixels: &Pixels) -> Vec<u8> {
        pixels.rgb().iter().copied().step_by(3).collect()
    }

    #[test]
    fn each_orientation_moves_each_pixel_to_its_place() {
        let cases: [(u8, u32, [u8; 6]); 10] = [
            (0, 3, [1, 2, 3, 4, 5, 6]),
            (1, 3, [1, 2, 3, 4, 5, 6]),
            (2, 3, [3, 2, 1, 6, 5, 4]),
            (3, 3, [6, 5, 4, 3, 2, 1]),
            (4, 3, [4, 5, 6, 1, 2, 3]),
            (5, 2, [1, 4, 2, 5, 3, 6]),
            (6, 2, [4, 1, 5, 2, 6, 3]),
            (7, 2, [6, 3, 5, 2, 4, 1]),
            (8, 2, [3, 6, 2, 5, 1, 4]),
            (9, 3, [1, 2, 3, 4, 5, 6]),
        ];
        for (orientation, width_px, expected) in cases {
            let turned = orient(stored(), orientation);
            assert_eq!(names(&turned), expected, "orientation {orientation}");
            assert_eq!(turned.width_px(), width_px, "orientation {orientation}");
        }
    }

    #[test]
    fn turning_back_restores_images_larger_than_a_tile() {
        let rgb = (0..70 * 33 * 3).map(|index| (index % 251) as u8).collect();
        let image = Pixels::from_rgb(70, 33, rgb).unwrap();
        let inverse = [(2, 2), (3, 3), (4, 4), (5, 5), (6, 8), (7, 7), (8, 6)];
        for (there, back) in inverse {
            assert_eq!(orient(orient(image.clone(), there), back), image, "{there}");
        }
    }

    #[test]
    fn upright_images_are_not_copied() {
        let image = stored();
        let address = image.rgb().as_ptr();
        assert_eq!(orient(image, 1).rgb().as_ptr(), address);
    }
}
