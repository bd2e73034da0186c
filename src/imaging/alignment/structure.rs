//! How far two aligned squares show the same thing, place by place.

/// Side of the windows in which levels are correlated.
const WINDOW: usize = 8;
/// Distance from one window to the next.
const STRIDE: usize = 4;
/// Standard deviation of levels, below which a window shows noise.
const NOISE: f32 = 2.0;
/// The share of the detail that may disagree: a mark put over the image, a part painted over.
const DISAGREEING: f32 = 0.35;
/// Windows with detail that a comparison takes, at least.
const WINDOWS_MIN: usize = 6;

/// The structure term of SSIM (Wang et al., *Image quality assessment: from error visibility to
/// structural similarity*, IEEE TIP 2004) in each window, and of those the value that all but
/// [`DISAGREEING`] of the detail reaches. -1 to 1; `None` when too little is to be seen.
///
/// Detail counts by its contrast in the image that has less of it: where one is flat, as by
/// clipping, the other says nothing. `NaN` marks pixels that only one of the two has.
pub(super) fn agreement(whole: &[f32], part: &[f32], gain: f32, side: usize) -> Option<f32> {
    let mut found: Vec<(f32, f32)> = Vec::new();
    for top in (0..=side - WINDOW).step_by(STRIDE) {
        for left in (0..=side - WINDOW).step_by(STRIDE) {
            let Some(moments) = moments(whole, part, side, left, top) else { continue };
            let [deviation_whole, deviation_part, covariance] = moments;
            let least = (gain * deviation_whole).min(deviation_part);
            if least < NOISE {
                continue;
            }
            let structure = covariance / (deviation_whole * deviation_part);
            found.push((structure, least - NOISE));
        }
    }
    if found.len() < WINDOWS_MIN {
        return None;
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: f32 = found.iter().map(|(_, weight)| weight).sum();
    let mut passed = 0.0;
    for (structure, weight) in &found {
        passed += weight;
        if passed >= DISAGREEING * total {
            return Some(*structure);
        }
    }
    None
}

/// Standard deviations and covariance of a window; `None` when a pixel is missing.
fn moments(a: &[f32], b: &[f32], side: usize, left: usize, top: usize) -> Option<[f32; 3]> {
    let mut sums = [0.0_f32; 5];
    for y in top..top + WINDOW {
        let row = y * side + left;
        for (a, b) in a[row..row + WINDOW].iter().zip(&b[row..row + WINDOW]) {
            for (sum, term) in sums.iter_mut().zip([*a, *b, a * a, b * b, a * b]) {
                *sum += term;
            }
        }
    }
    let count = (WINDOW * WINDOW) as f32;
    let [a, b, aa, bb, ab] = sums.map(|sum| sum / count);
    let deviation = |square: f32, mean: f32| (square - mean * mean).max(0.0).sqrt();
    let moments = [deviation(aa, a), deviation(bb, b), ab - a * b];
    moments.iter().all(|value| value.is_finite()).then_some(moments)
}
