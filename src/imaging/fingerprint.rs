//! Makes the fingerprint of a decoded image.

use super::resize::{resized, shrunk};
use crate::pixels::Pixels;
use crate::record::{Fingerprint, Quality};

/// Longer side of the copy on which quality is measured, so that a photo and its reduced copy
/// are measured alike.
const MEASURED_PX: u32 = 256;
/// Levels up to this one are black, or nearly; and as far from white they are white.
const NEARLY: usize = 8;

/// Makes the fingerprint of an upright image, in about the time that it takes to resize it.
#[must_use]
pub fn fingerprint(pixels: &Pixels) -> Fingerprint {
    let side = Fingerprint::SIDE_PX as u32;
    let luma = luma(&resized(pixels, side, side));
    Fingerprint::new(luma, quality(pixels)).expect("it was resized to this side")
}

fn quality(pixels: &Pixels) -> Quality {
    let measured = shrunk(pixels, MEASURED_PX);
    let levels = luma(&measured);
    let mut histogram = [0_u32; 256];
    for level in &levels {
        histogram[usize::from(*level)] += 1;
    }
    let count = levels.len() as f64;
    let share = |counts: &[u32]| counts.iter().sum::<u32>() as f64 / count;
    let moment = |power: i32| -> f64 {
        let terms = histogram.iter().enumerate();
        terms.map(|(level, count)| f64::from(*count) * (level as f64 / 255.0).powi(power)).sum()
    };
    let mean = moment(1) / count;
    let variance = (moment(2) / count - mean * mean).max(0.0);
    let entropy: f64 = histogram
        .iter()
        .filter(|count| **count > 0)
        .map(|tone| f64::from(*tone) / count)
        .map(|share| -share * share.log2())
        .sum();
    let detail = detail(&levels, measured.width_px() as usize);
    Quality {
        // A variance below that of rounding is no detail.
        sharpness: if variance < 1e-5 { 0.0 } else { (detail / variance) as f32 },
        brightness: mean as f32,
        contrast: variance.sqrt() as f32,
        dark_share: share(&histogram[..=NEARLY]) as f32,
        bright_share: share(&histogram[255 - NEARLY..]) as f32,
        entropy_bits: entropy as f32,
    }
}

/// The mean square of the Laplacian inside an image, in units of the squared range of levels
/// (Pech-Pacheco et al., *Diatom autofocusing in brightfield microscopy*, ICPR 2000, take its
/// variance; its mean is 0 but for the border).
fn detail(levels: &[u8], width: usize) -> f64 {
    let rows: Vec<&[u8]> = levels.chunks_exact(width).collect();
    let (mut sum, mut count) = (0.0, 0_u32);
    for three in rows.windows(3) {
        for x in 1..width.saturating_sub(1) {
            let at = |row: usize, x: usize| f64::from(three[row][x]) / 255.0;
            let around = at(0, x) + at(2, x) + at(1, x - 1) + at(1, x + 1);
            sum += (around - 4.0 * at(1, x)).powi(2);
            count += 1;
        }
    }
    sum / f64::from(count.max(1))
}

fn luma(pixels: &Pixels) -> Vec<u8> {
    let (triples, _) = pixels.rgb().as_chunks::<3>();
    let luma = |rgb: &[u8; 3]| {
        let [r, g, b] = rgb.map(u32::from);
        // Rec. 601 in 16 bits, rounded.
        ((19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16) as u8
    };
    triples.iter().map(luma).collect()
}
