//! Joins planes of brightness and color differences to RGB.

use super::plane::Plane;

/// Converts planes of equal size, one of grey or three of YCbCr as JFIF has it, to RGB.
pub(super) fn to_rgb(planes: &[Plane], width_px: usize, height_px: usize) -> Option<Vec<u8>> {
    let mut rgb = vec![0; width_px * height_px * 3];
    let targets = rgb.chunks_exact_mut(width_px * 3);
    match planes {
        [grey] => {
            for (target, row) in targets.zip(grey.rows(width_px)) {
                for (pixel, value) in target.as_chunks_mut().0.iter_mut().zip(row) {
                    *pixel = [*value; 3];
                }
            }
        }
        [luma, blue, red] => {
            let rows = luma.rows(width_px).zip(blue.rows(width_px)).zip(red.rows(width_px));
            for (target, ((luma, blue), red)) in targets.zip(rows) {
                convert_row(target.as_chunks_mut().0, luma, blue, red);
            }
        }
        _ => return None,
    }
    Some(rgb)
}

fn convert_row(target: &mut [[u8; 3]], luma: &[u8], blue: &[u8], red: &[u8]) {
    for (((pixel, luma), blue), red) in target.iter_mut().zip(luma).zip(blue).zip(red) {
        *pixel = convert(*luma, *blue, *red);
    }
}

/// In fixed point of 14 bits, rounded to the nearest.
#[inline(always)]
fn convert(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const BITS: u32 = 14;
    const fn fixed(factor: f64) -> i32 {
        (factor * (1 << BITS) as f64 + 0.5) as i32
    }
    let luma = (i32::from(luma) << BITS) + (1 << (BITS - 1));
    let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
    let values = [
        luma + fixed(1.402) * red,
        luma - fixed(0.344_136) * blue - fixed(0.714_136) * red,
        luma + fixed(1.772) * blue,
    ];
    values.map(|value| (value >> BITS).clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_is_within_half_a_level_of_its_definition() {
        for luma in (0..=255).step_by(5) {
            for blue in (0..=255).step_by(3) {
                for red in (0..=255).step_by(3) {
                    let (y, b, r) = (f64::from(luma), f64::from(blue), f64::from(red));
                    let (b, r) = (b - 128.0, r - 128.0);
                    let exact = [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b];
                    for (found, exact) in convert(luma, blue, red).iter().zip(exact) {
                        let apart = f64::from(*found) - exact.clamp(0.0, 255.0);
                        assert!(apart.abs() < 0.51, "{luma} {blue} {red}: {apart}");
                    }
                }
            }
        }
    }
}
