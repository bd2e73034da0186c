//! Moves a window until the levels agree: Gauss-Newton on the squared differences, with a gain and
//! an offset of the levels (Baker and Matthews, *Lucas-Kanade 20 Years On*, IJCV 2004), pixels that
//! disagree much counting less (Cauchy weights).

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Side};

use super::plane::Plane;

/// Where the pixels of one square lie on another: along each axis `scale * at + shift`, in parts of
/// the side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) scale_x: f32,
    pub(super) scale_y: f32,
    pub(super) shift_x: f32,
    pub(super) shift_y: f32,
}

/// How levels of one square become those of the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tone {
    pub(super) gain: f32,
    pub(super) offset: f32,
}

impl Map {
    pub(super) const WHOLE: Self = Self::window(1.0, 1.0, 0.0, 0.0);

    pub(super) const fn window(scale_x: f32, scale_y: f32, shift_x: f32, shift_y: f32) -> Self {
        Self { scale_x, scale_y, shift_x, shift_y }
    }

    /// The farthest that a corner lies from the same corner under another map.
    pub(super) fn distance(&self, other: &Self) -> f32 {
        let axis = |scale: f32, shift: f32| shift.abs().max((scale + shift).abs());
        axis(self.scale_x - other.scale_x, self.shift_x - other.shift_x)
            .max(axis(self.scale_y - other.scale_y, self.shift_y - other.shift_y))
    }

    /// The pixel of a square of `side` where the pixel `x`, `y` of the other lies.
    fn apply(&self, side: f32, x: usize, y: usize) -> (f32, f32) {
        // The centre of a pixel lies half a pixel inside.
        let place =
            |scale: f32, shift: f32, at: usize| scale * (at as f32 + 0.5) + shift * side - 0.5;
        (place(self.scale_x, self.shift_x, x), place(self.scale_y, self.shift_y, y))
    }
}

/// The levels of `whole` under the pixels of a square of the same side; NaN beyond its border.
pub(super) fn sample(whole: &Plane, map: &Map) -> Vec<f32> {
    let mut levels = Vec::with_capacity(whole.levels.len());
    for y in 0..whole.side {
        for x in 0..whole.side {
            let (x, y) = map.apply(whole.side as f32, x, y);
            levels.push(bilinear(whole, x, y).map_or(f32::NAN, |[level, _, _]| level));
        }
    }
    levels
}

/// Level and its slope along both axes at a place; `None` more than half a pixel outside.
fn bilinear(plane: &Plane, x: f32, y: f32) -> Option<[f32; 3]> {
    let last = plane.side as f32 - 1.0;
    if !(-0.5..=last + 0.5).contains(&x) || !(-0.5..=last + 0.5).contains(&y) {
        return None;
    }
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let cell = |at: f32| (at as usize).min(plane.side - 2);
    let (left, top) = (cell(x), cell(y));
    let (across, down) = (x - left as f32, y - top as f32);
    let [a, b] = [plane.at(left, top), plane.at(left + 1, top)];
    let [c, d] = [plane.at(left, top + 1), plane.at(left + 1, top + 1)];
    let (above, below) = (a + (b - a) * across, c + (d - c) * across);
    let slope_x = (b - a) * (1.0 - down) + (d - c) * down;
    Some([above + (below - above) * down, slope_x, below - above])
}

/// Unknowns: two scales, two shifts, gain, offset.
const UNKNOWNS: usize = 6;

/// Moves a map by some steps; gives the last, with the tone that goes with it. `None` when the
/// levels do not say where to go, or send it away.
pub(super) fn refine(
    whole: &Plane,
    part: &Plane,
    mut map: Map,
    mut tone: Tone,
    steps: usize,
) -> Option<(Map, Tone)> {
    let mut spread = f32::INFINITY;
    for _ in 0..steps {
        let (normal, right, error) = normal_equations(whole, part, &map, tone, spread)?;
        let step = solve(normal, right)?;
        spread = error;
        let side = whole.side as f32;
        map.scale_x += step[0] / side;
        map.shift_x += step[1] / side;
        map.scale_y += step[2] / side;
        map.shift_y += step[3] / side;
        tone.gain += step[4];
        tone.offset += step[5];
        let is_sound = |scale: f32| (SCALE_MIN..SCALE_MAX).contains(&scale);
        if !is_sound(map.scale_x) || !is_sound(map.scale_y) || tone.gain <= 0.1 {
            return None;
        }
    }
    Some((map, tone))
}

/// Windows that are smaller or larger than these parts of a side are not followed.
const SCALE_MIN: f32 = 0.5;
const SCALE_MAX: f32 = 1.15;
/// Least weight of a pixel is `1 / (1 + (difference / (WIDTH * mean difference))^2)`.
const WIDTH: f32 = 2.0;
/// Differences as small as this one, in levels, are those of rounding.
const DIFFERENCE_MIN: f32 = 1.0;

type Normal = [[f64; UNKNOWNS]; UNKNOWNS];

fn normal_equations(
    whole: &Plane,
    part: &Plane,
    map: &Map,
    tone: Tone,
    spread: f32,
) -> Option<(Normal, [f64; UNKNOWNS], f32)> {
    let side = whole.side;
    let width = WIDTH * spread.max(DIFFERENCE_MIN);
    let (mut normal, mut right) = ([[0.0; UNKNOWNS]; UNKNOWNS], [0.0; UNKNOWNS]);
    let (mut error, mut count) = (0.0, 0_u32);
    for y in 0..side {
        // Sums in single precision along a row, where they are short.
        let (mut row, mut row_right) = ([[0.0_f32; UNKNOWNS]; UNKNOWNS], [0.0_f32; UNKNOWNS]);
        for x in 0..side {
            let (place_x, place_y) = map.apply(side as f32, x, y);
            let Some([level, slope_x, slope_y]) = bilinear(whole, place_x, place_y) else {
                continue;
            };
            let difference = part.at(x, y) - (tone.gain * level + tone.offset);
            let weight = 1.0 / (1.0 + (difference / width).powi(2));
            let (slope_x, slope_y) = (slope_x * tone.gain, slope_y * tone.gain);
            let centre = |at: usize| (at as f32 + 0.5) / side as f32;
            let jacobian = [slope_x * centre(x), slope_x, slope_y * centre(y), slope_y, level, 1.0];
            for i in 0..UNKNOWNS {
                let weighted = weight * jacobian[i];
                row_right[i] += weighted * difference;
                for j in 0..=i {
                    row[i][j] += weighted * jacobian[j];
                }
            }
            error += difference.abs();
            count += 1;
        }
        for i in 0..UNKNOWNS {
            right[i] += f64::from(row_right[i]);
            for j in 0..=i {
                normal[i][j] += f64::from(row[i][j]);
            }
        }
    }
    // A fifth of the square, or it is no window of the other.
    let enough = count as usize * 5 >= side * side;
    enough.then(|| (normal, right, error / count as f32))
}

/// Solves by Cholesky's decomposition of the lower triangle; `None` when it is singular.
fn solve(normal: Normal, right: [f64; UNKNOWNS]) -> Option<[f32; UNKNOWNS]> {
    // A hair on the diagonal keeps a flat direction from going anywhere.
    let damped = |i: usize, j: usize| match i == j {
        true => normal[i][i] * (1.0 + 1e-6) + 1e-9,
        false => normal[i][j],
    };
    let matrix = Mat::from_fn(UNKNOWNS, UNKNOWNS, damped);
    let right = Col::from_fn(UNKNOWNS, |i| right[i]);
    let solved = matrix.llt(Side::Lower).ok()?.solve(right);
    let step = std::array::from_fn(|i| solved[i] as f32);
    step.iter().all(|value: &f32| value.is_finite()).then_some(step)
}
