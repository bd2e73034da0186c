//! Looks for one square in every window of another, coarsely.

use super::plane::Plane;
use super::refine::Map;

/// Side of the squares that are compared.
const SIDE: usize = 16;
/// The smallest window, of [`SIDE`]: three fifths of the width, or of the height, are left.
const WINDOW_MIN: usize = 10;

/// A window with the correlation found in it, -1 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) correlation: f32,
    pub(super) map: Map,
}

/// Ready for comparisons as the one that may be a part, or as the one that may hold it.
pub(super) struct Coarse {
    whole: Plane,
    /// The square squeezed to each size of a window, without its mean and of length 1.
    squeezed: Vec<Vec<f32>>,
}

impl Coarse {
    pub(super) fn of(plane: &Plane) -> Self {
        let sizes = WINDOW_MIN..=SIDE;
        let squeezed = sizes.clone().flat_map(|height| {
            sizes.clone().map(move |width| normalized(plane.resampled(width, height)))
        });
        Self { whole: plane.reduced(SIDE), squeezed: squeezed.collect() }
    }

    fn squeezed(&self, width: usize, height: usize) -> &[f32] {
        let sizes = SIDE - WINDOW_MIN + 1;
        &self.squeezed[(height - WINDOW_MIN) * sizes + width - WINDOW_MIN]
    }
}

/// The windows of `whole` in which `part` correlates best, the best first, no two of them close to
/// each other; `count` at most.
pub(super) fn find(whole: &Coarse, part: &Coarse, count: usize) -> Vec<Candidate> {
    let mut found = Vec::new();
    for height in WINDOW_MIN..=SIDE {
        for width in WINDOW_MIN..=SIDE {
            let template = part.squeezed(width, height);
            for top in 0..=SIDE - height {
                for left in 0..=SIDE - width {
                    let correlation = correlate(&whole.whole, template, width, left, top);
                    let scale = |length: usize| length as f32 / SIDE as f32;
                    let map = Map::window(scale(width), scale(height), scale(left), scale(top));
                    found.push(Candidate { correlation, map });
                }
            }
        }
    }
    found.sort_unstable_by(|a, b| b.correlation.total_cmp(&a.correlation));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in found {
        if kept.len() == count {
            break;
        }
        // One pixel of the coarse squares: the same hill, which is climbed later.
        let apart = 1.5 / SIDE as f32;
        if kept.iter().all(|other| other.map.distance(&candidate.map) > apart) {
            kept.push(candidate);
        }
    }
    kept
}

/// The correlation of a normalised template with the window that has its corner here.
fn correlate(whole: &Plane, template: &[f32], width: usize, left: usize, top: usize) -> f32 {
    let (mut sum, mut squares, mut product) = (0.0, 0.0, 0.0);
    for (row, y) in template.chunks_exact(width).zip(top..) {
        let start = y * whole.side + left;
        for (value, weight) in whole.levels[start..start + width].iter().zip(row) {
            sum += value;
            squares += value * value;
            product += value * weight;
        }
    }
    // The template has no mean, so that of the window does not matter to the product.
    let variance = squares - sum * sum / template.len() as f32;
    product / variance.max(FLAT * template.len() as f32).sqrt()
}

/// Variance of levels below which a square is flat: less than one level of difference.
const FLAT: f32 = 0.5;

/// Without its mean and of length 1; of a flat square nearly nothing is left.
fn normalized(mut levels: Vec<f32>) -> Vec<f32> {
    let count = levels.len() as f32;
    let mean = levels.iter().sum::<f32>() / count;
    let variance: f32 = levels.iter().map(|level| (level - mean).powi(2)).sum();
    let length = variance.max(FLAT * count).sqrt();
    levels.iter_mut().for_each(|level| *level = (*level - mean) / length);
    levels
}
