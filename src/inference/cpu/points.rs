//! The transforms of Winograd's convolution: patches and kernels evaluated at points, and back.
//!
//! The paper takes 0, 1, -1, 2, -2 and infinity. With the roots of 1/2 and 2 in place of 1 and 2
//! the numbers differ less in size, which makes the error five times smaller (measured over layers
//! of ResNet-18: 1.2e-6 instead of 6e-6 of the greatest value) at the same cost.

use super::finish::{Curve, Finish, curve};
use super::kernels::Kernels;
use super::lanes::Lanes;
use super::memory::{Aligned, Image};
use super::panels::{Panel, panels_of};
use crate::inference::network::{Convolution, Padding, Window};

/// The points of large tiles are 0, `+-NEAR`, `+-FAR` and infinity; `NEAR * FAR` is 1.
const NEAR: f64 = std::f64::consts::FRAC_1_SQRT_2;
const FAR: f64 = std::f64::consts::SQRT_2;
/// Their squares, `B^T`'s and `A^T`'s other numbers.
const NEAR_2: f64 = 0.5;
const FAR_2: f64 = 2.0;

/// Inputs under the greatest tile along an axis.
pub(super) const PATCH_MAX: usize = 6;

/// How an image is cut into tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tiling {
    /// Tiles of 2 x 2 outputs: 16 products instead of 36.
    Small,
    /// Tiles of 4 x 4 outputs: 36 products instead of 144.
    Large,
}

impl Tiling {
    /// The tiles that make a convolution over an image of `side` pixels faster, if any do.
    ///
    /// Small tiles pay where there would be few large ones: all weights are read for each group, and
    /// at 7 x 7 a group is 16 small tiles or 4 large ones.
    pub(super) fn of(convolution: &Convolution, side: usize) -> Option<Self> {
        let Convolution { inputs, outputs, depthwise, .. } = *convolution;
        let Window { side: window, stride, padding } = convolution.window;
        let same = matches!(padding, Padding::Same | Padding::Each(1));
        let wide = inputs.min(outputs) >= 32;
        match side {
            _ if depthwise || window != 3 || stride != 1 || !same || !wide => None,
            0..7 => None,
            7..12 => Some(Self::Small),
            12.. => Some(Self::Large),
        }
    }

    /// Outputs of a tile along an axis.
    pub(super) fn side(self) -> usize {
        match self {
            Self::Small => 2,
            Self::Large => 4,
        }
    }

    /// Inputs under a tile along an axis, and as many points.
    pub(super) fn patch(self) -> usize {
        self.side() + 2
    }

    /// Points of a tile.
    pub(super) fn points(self) -> usize {
        self.patch() * self.patch()
    }

    /// The finite points, and what `G` multiplies by there.
    fn finite(self) -> &'static [(f64, f64)] {
        const NEAR_SCALE: f64 = 1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2));
        const FAR_SCALE: f64 = 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2));
        match self {
            Self::Small => &[(0.0, 1.0), (1.0, 0.5), (-1.0, 0.5)],
            Self::Large => &[
                (0.0, 1.0),
                (NEAR, NEAR_SCALE),
                (-NEAR, NEAR_SCALE),
                (FAR, FAR_SCALE),
                (-FAR, FAR_SCALE),
            ],
        }
    }

    /// `G g`: three neighbors of a kernel at each point; the rest of the array is not used.
    fn evaluate(self, values: [f64; 3]) -> [f64; PATCH_MAX] {
        let mut at = [0.0; PATCH_MAX];
        for (at, &(point, scale)) in at.iter_mut().zip(self.finite()) {
            *at = (values[0] + point * (values[1] + point * values[2])) * scale;
        }
        at[self.patch() - 1] = values[2];
        at
    }

    /// `G g G^T` of a 3 x 3 kernel `g`: its values at the points, `[y][x]`.
    fn kernel_at_points(self, kernel: &[f32]) -> [[f32; PATCH_MAX]; PATCH_MAX] {
        let row = |y: usize| self.evaluate([0, 1, 2].map(|x| f64::from(kernel[y * 3 + x])));
        let rows = [row(0), row(1), row(2)];
        let mut at = [[0.0; PATCH_MAX]; PATCH_MAX];
        for x in 0..self.patch() {
            let column = self.evaluate([0, 1, 2].map(|y: usize| rows[y][x]));
            for y in 0..self.patch() {
                at[y][x] = column[y] as f32;
            }
        }
        at
    }
}

/// The kernels of a convolution at the points, packed for the matrix products.
pub(super) struct PointWeights {
    pub(super) tiling: Tiling,
    pub(super) panels: Vec<Panel>,
    pub(super) inputs: usize,
    /// For each panel, point and input the vectors of the panel's outputs.
    pub(super) weights: Aligned,
    pub(super) bias: Aligned,
    pub(super) bounds: (f32, f32),
    pub(super) finish: Finish,
    pub(super) lanes: usize,
    /// Where the sums of the products begin.
    pub(super) zeros: Aligned,
}

impl PointWeights {
    pub(super) fn pack(convolution: &Convolution, tiling: Tiling, kernels: &Kernels) -> Self {
        let Convolution { inputs, outputs, .. } = *convolution;
        let lanes = kernels.lanes;
        let padded = outputs.next_multiple_of(lanes);
        let mut bias = Aligned::zeroed(padded);
        bias.floats_mut()[..outputs].copy_from_slice(&convolution.bias);
        let mut packed = Self {
            tiling,
            panels: panels_of(outputs, lanes, kernels.float_tiles.len()),
            inputs,
            weights: Aligned::zeroed(padded * tiling.points() * inputs),
            bias,
            bounds: convolution.activation.bounds(),
            finish: Finish::of(convolution)
                .unwrap_or(Finish { curve: Curve::None, residual: false }),
            lanes,
            zeros: Aligned::zeroed(kernels.float_tiles.len() * lanes),
        };
        for panel in packed.panels.clone() {
            let width = panel.vectors * lanes;
            for input in 0..inputs {
                for output in panel.channel..outputs.min(panel.channel + width) {
                    let kernel = &convolution.kernel[(output * inputs + input) * 9..][..9];
                    let at = tiling.kernel_at_points(kernel);
                    let first = packed.first_weight(&panel, 0, input) + output - panel.channel;
                    for point in 0..tiling.points() {
                        let value = at[point / tiling.patch()][point % tiling.patch()];
                        packed.weights.floats_mut()[first + point * inputs * width] = value;
                    }
                }
            }
        }
        packed
    }

    /// Where the panel's weights for an input at a point begin.
    pub(super) fn first_weight(&self, panel: &Panel, point: usize, input: usize) -> usize {
        let width = panel.vectors * self.lanes;
        panel.channel * self.tiling.points() * self.inputs + (point * self.inputs + input) * width
    }
}

/// A square patch of pixels to be evaluated at the points.
pub(super) struct InputPatch {
    pub(super) rows: [*const f32; PATCH_MAX],
    /// Elements from the start of a row to each pixel.
    pub(super) columns: [usize; PATCH_MAX],
    /// A multiple of the lanes.
    pub(super) channels: usize,
    pub(super) output: *mut f32,
    /// Elements of the output from point to point.
    pub(super) point_step: usize,
}

/// The products of a tile at the points, to be interpolated.
pub(super) struct OutputTile {
    pub(super) products: *const f32,
    /// Elements from point to point.
    pub(super) point_step: usize,
    /// Channels of the panel, a multiple of the lanes.
    pub(super) channels: usize,
    /// Pixels of the tile that exist.
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) bias: *const f32,
    /// Null where nothing is added.
    pub(super) residual: *const f32,
    pub(super) residual_image: Image,
    pub(super) output: *mut f32,
    pub(super) image: Image,
    pub(super) bounds: (f32, f32),
    pub(super) finish: Finish,
}

/// `B^T d`: neighbors of a patch evaluated at the points.
///
/// # Safety
/// The processor has the instruction set `L`.
#[inline(always)]
unsafe fn evaluate<L: Lanes, const PATCH: usize>(d: [L::Floats; PATCH]) -> [L::Floats; PATCH] {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let constant = |value: f64| L::splat(value as f32);
        let mut at = d;
        if PATCH == 4 {
            let minus = L::splat(-1.0);
            at[0] = L::fma(minus, d[2], d[0]);
            at[1] = L::add(d[2], d[1]);
            at[2] = L::fma(minus, d[1], d[2]);
            at[3] = L::fma(minus, d[1], d[3]);
        } else {
            let sum = constant(-NEAR_2 - FAR_2);
            at[0] = L::add(d[0], L::fma(sum, d[2], d[4]));
            at[5] = L::add(d[1], L::fma(sum, d[3], d[5]));
            for (plus, point, other) in [(1, NEAR, -FAR_2), (3, FAR, -NEAR_2)] {
                let even = L::fma(constant(other), d[2], d[4]);
                let odd = L::fma(constant(other), d[1], d[3]);
                at[plus] = L::fma(constant(point), odd, even);
                at[plus + 1] = L::fma(constant(-point), odd, even);
            }
        }
        at
    }
}

/// `A^T m`: neighbors of a tile from the values at the points; the last two are not used.
///
/// # Safety
/// The processor has the instruction set `L`.
#[inline(always)]
unsafe fn interpolate<L: Lanes, const PATCH: usize>(m: [L::Floats; PATCH]) -> [L::Floats; PATCH] {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let constant = |value: f64| L::splat(value as f32);
        let minus = L::splat(-1.0);
        let mut tile = m;
        let sum = L::add(m[1], m[2]);
        let difference = L::fma(minus, m[2], m[1]);
        if PATCH == 4 {
            tile[0] = L::add(m[0], sum);
            tile[1] = L::add(difference, m[3]);
        } else {
            let near = L::mul(constant(NEAR), difference);
            let far_sum = L::add(m[3], m[4]);
            let far = L::mul(constant(FAR), L::fma(minus, m[4], m[3]));
            let (near_2, far_2) = (constant(NEAR_2), constant(FAR_2));
            tile[0] = L::add(m[0], L::add(sum, far_sum));
            tile[1] = L::add(near, far);
            tile[2] = L::fma(near_2, sum, L::mul(far_2, far_sum));
            tile[3] = L::fma(near_2, near, L::fma(far_2, far, m[5]));
        }
        tile
    }
}

/// `B^T d B` of a patch: its channels at the points.
///
/// # Safety
/// The processor has the instruction set `L`; each of `PATCH` x `PATCH` pixels is valid for the
/// channels, the output for the channels at each point.
#[inline(always)]
pub(super) unsafe fn input_patch<L: Lanes, const PATCH: usize>(patch: &InputPatch) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for channel in (0..patch.channels).step_by(L::COUNT) {
            let mut columns = [[L::splat(0.0); PATCH]; PATCH];
            for x in 0..PATCH {
                let mut pixels = [L::splat(0.0); PATCH];
                for y in 0..PATCH {
                    pixels[y] = L::load(patch.rows[y].add(patch.columns[x] + channel));
                }
                columns[x] = evaluate::<L, PATCH>(pixels);
            }
            for y in 0..PATCH {
                let mut row = [L::splat(0.0); PATCH];
                for x in 0..PATCH {
                    row[x] = columns[x][y];
                }
                let row = evaluate::<L, PATCH>(row);
                let output = patch.output.add(y * PATCH * patch.point_step + channel);
                for x in 0..PATCH {
                    L::store(output.add(x * patch.point_step), row[x]);
                }
            }
        }
    }
}

/// `A^T m A` of a tile, then bias, residual and activation.
///
/// # Safety
/// The processor has the instruction set `L`; the products are valid for the channels at each of
/// `PATCH` x `PATCH` points, outputs and residuals for those of the pixels that exist.
#[inline(always)]
pub(super) unsafe fn output_tile<L: Lanes, const PATCH: usize>(tile: &OutputTile) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let (low, high) = (L::splat(tile.bounds.0), L::splat(tile.bounds.1));
        for channel in (0..tile.channels).step_by(L::COUNT) {
            let bias = L::load(tile.bias.add(channel));
            let mut columns = [[L::splat(0.0); PATCH]; PATCH];
            for x in 0..PATCH {
                let mut points = [L::splat(0.0); PATCH];
                for y in 0..PATCH {
                    let point = (y * PATCH + x) * tile.point_step;
                    points[y] = L::load(tile.products.add(point + channel));
                }
                columns[x] = interpolate::<L, PATCH>(points);
            }
            for y in 0..tile.height {
                let mut points = [L::splat(0.0); PATCH];
                for x in 0..PATCH {
                    points[x] = columns[x][y];
                }
                let pixels = interpolate::<L, PATCH>(points);
                let residual = tile.residual.wrapping_add(y * tile.residual_image.row_step());
                let output = tile.output.add(y * tile.image.row_step() + channel);
                for x in 0..tile.width {
                    let mut value = L::add(pixels[x], bias);
                    let at = x * tile.residual_image.channels + channel;
                    let has_residual = !tile.residual.is_null();
                    if has_residual && !tile.finish.residual {
                        value = L::add(value, L::load(residual.add(at)));
                    }
                    value = curve::<L>(tile.finish.curve, L::min(L::max(value, low), high));
                    if has_residual && tile.finish.residual {
                        value = L::add(value, L::load(residual.add(at)));
                    }
                    L::store(output.add(x * tile.image.channels), value);
                }
            }
        }
    }
}
