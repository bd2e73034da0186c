//! Moves a window until the levels agree: Gauss-Newton on the squared differences, with a gain and
//! an offset of the levels (Baker and Matthews, *Lucas-Kanade 20 Years On*, IJCV 2004), pixels that
//! disagree much counting less (Cauchy weights).

use faer::linalg::solvers::Solve;
use faer::{Col, Mat, Side};

use super::plane::Plane;
use crate::record::Fingerprint;

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

    /// Where the columns and the rows of a square lie between those of the other.
    fn axes(&self, side: usize) -> [Axis; 2] {
        [Axis::of(self.scale_x, self.shift_x, side), Axis::of(self.scale_y, self.shift_y, side)]
    }
}

/// Where the pixels along one axis of a square lie between those of another.
struct Axis {
    /// The pixel before.
    cells: Vec<usize>,
    /// The part of the way to the next.
    parts: Vec<f32>,
    /// Whether it lies on the other at all: not more than half a pixel outside.
    is_inside: Vec<bool>,
}

impl Axis {
    fn of(scale: f32, shift: f32, side: usize) -> Self {
        let last = side as f32 - 1.0;
        // The centre of a pixel lies half a pixel inside.
        let place = |at: usize| scale * (at as f32 + 0.5) + shift * side as f32 - 0.5;
        let is_inside = (0..side).map(|at| (-0.5..=last + 0.5).contains(&place(at))).collect();
        let within = |at: usize| place(at).clamp(0.0, last);
        let cells: Vec<usize> = (0..side).map(|at| (within(at) as usize).min(side - 2)).collect();
        let parts = cells.iter().enumerate().map(|(at, cell)| within(at) - *cell as f32).collect();
        Self { cells, parts, is_inside }
    }
}

/// The levels of `whole` under the pixels of a square of the same side; NaN beyond its border.
pub(super) fn sample(whole: &Plane, map: &Map) -> Vec<f32> {
    let [columns, rows] = map.axes(whole.side);
    let mut levels = Vec::with_capacity(whole.levels.len());
    for y in 0..whole.side {
        for x in 0..whole.side {
            let is_inside = columns.is_inside[x] && rows.is_inside[y];
            let [level, _, _] = bilinear(whole, &columns, &rows, x, y);
            levels.push(if is_inside { level } else { f32::NAN });
        }
    }
    levels
}

/// Level and its slope along both axes where a pixel lies.
fn bilinear(plane: &Plane, columns: &Axis, rows: &Axis, x: usize, y: usize) -> [f32; 3] {
    let (left, top) = (columns.cells[x], rows.cells[y]);
    let (across, down) = (columns.parts[x], rows.parts[y]);
    let [a, b] = [plane.at(left, top), plane.at(left + 1, top)];
    let [c, d] = [plane.at(left, top + 1), plane.at(left + 1, top + 1)];
    let (above, below) = (a + (b - a) * across, c + (d - c) * across);
    let slope_x = (b - a) * (1.0 - down) + (d - c) * down;
    [above + (below - above) * down, slope_x, below - above]
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

/// Pixels of a row that are summed up side by side.
const LANES: usize = 8;
const _: () =
    assert!(Fingerprint::SIDE_PX.is_multiple_of(2 * LANES), "rows are whole lanes, halved too");

fn normal_equations(
    whole: &Plane,
    part: &Plane,
    map: &Map,
    tone: Tone,
    spread: f32,
) -> Option<(Normal, [f64; UNKNOWNS], f32)> {
    let side = whole.side;
    let [columns, rows] = map.axes(side);
    let width = WIDTH * spread.max(DIFFERENCE_MIN);
    let mut normal = [[[0.0_f32; LANES]; UNKNOWNS]; UNKNOWNS];
    let mut right = [[0.0_f32; LANES]; UNKNOWNS];
    let (mut error, mut count) = (0.0, 0.0);
    let centre = |at: usize| (at as f32 + 0.5) / side as f32;
    for y in (0..side).filter(|y| rows.is_inside[*y]) {
        for first in (0..side).step_by(LANES) {
            let mut jacobian = [[0.0; LANES]; UNKNOWNS];
            let (mut differences, mut weights) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                let x = first + lane;
                let [level, slope_x, slope_y] = bilinear(whole, &columns, &rows, x, y);
                let difference = part.at(x, y) - (tone.gain * level + tone.offset);
                let (slope_x, slope_y) = (slope_x * tone.gain, slope_y * tone.gain);
                jacobian[0][lane] = slope_x * centre(x);
                jacobian[1][lane] = slope_x;
                jacobian[2][lane] = slope_y * centre(y);
                jacobian[3][lane] = slope_y;
                jacobian[4][lane] = level;
                jacobian[5][lane] = 1.0;
                let counts = if columns.is_inside[x] { 1.0 } else { 0.0 };
                differences[lane] = difference;
                weights[lane] = counts / (1.0 + (difference / width).powi(2));
                error += counts * difference.abs();
                count += counts;
            }
            for i in 0..UNKNOWNS {
                let weighted: [f32; LANES] =
                    std::array::from_fn(|lane| weights[lane] * jacobian[i][lane]);
                for lane in 0..LANES {
                    right[i][lane] += weighted[lane] * differences[lane];
                }
                for j in 0..=i {
                    for lane in 0..LANES {
                        normal[i][j][lane] += weighted[lane] * jacobian[j][lane];
                    }
                }
            }
        }
    }
    // A fifth of the square, or it is no window of the other.
    let enough = count as usize * 5 >= side * side;
    let sum = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum();
    let normal = normal.map(|row| row.map(sum));
    enough.then(|| (normal, right.map(sum), error / count))
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
