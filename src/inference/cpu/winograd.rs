//! Dense 3 x 3 convolutions at stride 1 as products at points: Winograd's convolution.
//!
//! A tile of 4 x 4 outputs needs a patch of 6 x 6 inputs and, computed directly, 144 products for
//! each pair of channels. Taken as polynomials, patch and kernel can be evaluated at 6 x 6 points
//! (`points`), multiplied there, and the product interpolated: 36 products. At each point that is a
//! matrix product over the channels, for all tiles. See Lavin and Gray, "Fast algorithms for
//! convolutional neural networks" (arXiv 1509.09308).

use super::kernels::{Kernels, TileKernel};
use super::memory::Image;
use super::panels::Panel;
use super::points::{InputPatch, OutputTile, PointWeights, Tiling};
use super::steps::{Context, Place, Value};
use super::tile::{BATCH_MAX, Batch, Extent, FloatTile};

/// Floats of transformed patches that are multiplied at a time: the more, the less often all
/// weights are read; 1 MB is as much as pays (Zen 3 with 512 KB of L2 cache, November 2026).
const GROUP_FLOATS: usize = 256 * 1024;

/// Inputs that are summed before the next tile has its turn, so that this part of the panel stays
/// in the L1 cache.
const DEPTH_MAX: usize = 256;

/// Floats between the points of a patch, so that they do not all meet in the same lines of the L1
/// cache where the channels are a power of two.
const PATCH_GAP: usize = 16;

/// How the tiles of an image are grouped, and what a member keeps of a group.
struct Groups {
    tiling: Tiling,
    /// Tiles along an axis.
    across: usize,
    /// Tiles of a group.
    size: usize,
    count: usize,
    /// Tiles that there is room for: the products end with a whole tile of the kernels.
    room: usize,
    /// Elements from point to point.
    patch_step: usize,
    product_step: usize,
}

impl Groups {
    fn of(tiling: Tiling, image: Image, kernels: &Kernels) -> Self {
        let across = image.side.div_ceil(tiling.side());
        let tiles = across * across;
        let patch_step = image.channels + PATCH_GAP;
        let pixels = |kernel: &TileKernel<FloatTile>| kernel.pixels;
        let most = kernels.float_tiles.iter().map(pixels).max().unwrap_or(1);
        let widest = kernels.float_tiles.last().map_or(1, pixels);
        let fit = GROUP_FLOATS / (tiling.points() * patch_step);
        // As even as can be, and whole tiles of the widest kernel.
        let groups = tiles.div_ceil(fit.clamp(1, BATCH_MAX - 2 * most));
        let size = tiles.div_ceil(groups).next_multiple_of(widest).min(tiles);
        Self {
            tiling,
            across,
            size,
            count: tiles.div_ceil(size),
            room: size + most - 1,
            patch_step,
            product_step: kernels.float_tiles.len() * kernels.lanes,
        }
    }

    /// Elements from tile to tile: patches and products.
    fn tile_steps(&self) -> (usize, usize) {
        (self.tiling.points() * self.patch_step, self.tiling.points() * self.product_step)
    }

    /// The first pixel of a tile.
    fn corner(&self, tile: usize) -> (usize, usize) {
        let side = self.tiling.side();
        (tile / self.across * side, tile % self.across * side)
    }

    /// The tiles of a group.
    fn tiles(&self, group: usize) -> std::ops::Range<usize> {
        group * self.size..((group + 1) * self.size).min(self.across * self.across)
    }
}

/// A dense 3 x 3 convolution at stride 1 over a value.
pub(super) struct Winograd {
    pub(super) weights: PointWeights,
    /// With a border.
    pub(super) input: Place,
    pub(super) output: Value,
    pub(super) residual: Option<Place>,
}

impl Winograd {
    /// Floats of scratch for an input image.
    pub(super) fn scratch(tiling: Tiling, image: Image, kernels: &Kernels) -> usize {
        let groups = Groups::of(tiling, image, kernels);
        let (patch, products) = groups.tile_steps();
        groups.room * (patch + products)
    }

    pub(super) fn run(&self, context: &Context<'_>) {
        let groups = Groups::of(self.weights.tiling, self.input.image, context.kernels);
        let mut batch = Self::places(context, &groups);
        let panels = &self.weights.panels;
        let mut filled = usize::MAX;
        // Shares are neighbors: only a group that lies in two of them is transformed twice.
        for item in context.member.share(groups.count * panels.len()) {
            let (group, panel) = (item / panels.len(), &panels[item % panels.len()]);
            let tiles = groups.tiles(group);
            batch.count = tiles.len();
            if filled != group {
                self.transform_inputs(context, &groups, &batch, tiles.clone());
                filled = group;
            }
            self.multiply(context, &groups, &batch, panel);
            self.transform_outputs(context, &groups, &batch, tiles, panel);
        }
    }

    /// Where patches and products of a group lie in this member's scratch.
    fn places(context: &Context<'_>, groups: &Groups) -> Batch {
        let (patch, product) = groups.tile_steps();
        let patches = context.memory.floats(context.scratch, groups.room * (patch + product));
        let products = patches.wrapping_add(groups.room * patch);
        let mut batch = Batch::empty();
        for tile in 0..groups.room {
            batch.push(
                patches.wrapping_add(tile * patch).cast_const().cast(),
                products.wrapping_add(tile * product),
                std::ptr::null_mut(),
                std::ptr::null(),
            );
        }
        batch
    }

    fn transform_inputs(
        &self,
        context: &Context<'_>,
        groups: &Groups,
        batch: &Batch,
        tiles: std::ops::Range<usize>,
    ) {
        let image = self.input.image;
        assert!(image.border > 0, "a window of 3 x 3 looks beyond the image");
        let input = context.memory.floats(self.input.offset, image.length());
        for (slot, tile) in tiles.enumerate() {
            let (y, x) = groups.corner(tile);
            // The row and the column after the image are zeros, and stand for all beyond them.
            let clipped =
                |start: usize, index: usize| image.border - 1 + (start + index).min(image.side + 1);
            let row = |index| input.wrapping_add(clipped(y, index) * image.row_step());
            let patch = InputPatch {
                rows: std::array::from_fn(|index| row(index).cast_const()),
                columns: std::array::from_fn(|index| clipped(x, index) * image.channels),
                channels: image.channels,
                output: batch.windows[slot].cast_mut().cast(),
                point_step: groups.patch_step,
            };
            // SAFETY: rows and columns are clipped to the image with its border, which was checked;
            // the scratch is this member's own and has room for the patches of a group.
            unsafe { (context.kernels.input_patch[groups.tiling as usize])(&patch) }
        }
    }

    /// Multiplies all patches of a group by one panel, point by point.
    fn multiply(&self, context: &Context<'_>, groups: &Groups, batch: &Batch, panel: &Panel) {
        let weights = &self.weights;
        let kernel = &context.kernels.float_tiles[panel.vectors - 1];
        for point in 0..groups.tiling.points() {
            for input in (0..weights.inputs).step_by(DEPTH_MAX) {
                let depth = DEPTH_MAX.min(weights.inputs - input);
                let first_weight = weights.first_weight(panel, point, input);
                let tile = FloatTile {
                    batch,
                    start: 0,
                    count: batch.count.div_ceil(kernel.pixels),
                    channel: point * groups.product_step,
                    extent: Extent { taps: 1, tap_step: 0, depth },
                    skipped: point * groups.patch_step + input,
                    panel: weights.weights.floats()[first_weight..].as_ptr(),
                    bias: weights.zeros.floats().as_ptr(),
                    first: input == 0,
                    last: false,
                    adds_residual: false,
                    bounds: weights.bounds,
                };
                // SAFETY: patches and products have room for whole tiles of every kernel, and the
                // batch has their pointers; what is beyond its count is never read. The panel has
                // `depth` elements from here on.
                unsafe { (kernel.full)(&tile) }
            }
        }
    }

    fn transform_outputs(
        &self,
        context: &Context<'_>,
        groups: &Groups,
        batch: &Batch,
        tiles: std::ops::Range<usize>,
        panel: &Panel,
    ) {
        let pixel = |place: Place, (y, x): (usize, usize)| {
            let base = context.memory.floats(place.offset, place.image.length());
            base.wrapping_add(place.image.at(y, x) + panel.channel)
        };
        let place = self.output.floats.expect("products of floats give floats");
        let side = groups.tiling.side();
        for (slot, tile) in tiles.enumerate() {
            let corner = groups.corner(tile);
            let tile = OutputTile {
                products: batch.floats[slot],
                point_step: groups.product_step,
                channels: panel.vectors * self.weights.lanes,
                height: side.min(place.image.side - corner.0),
                width: side.min(place.image.side - corner.1),
                bias: self.weights.bias.floats()[panel.channel..].as_ptr(),
                residual: self.residual.map_or(std::ptr::null(), |from| pixel(from, corner)),
                residual_image: self.residual.unwrap_or(place).image,
                output: pixel(place, corner),
                image: place.image,
                bounds: self.weights.bounds,
                finish: self.weights.finish,
            };
            // SAFETY: height and width are clipped to the images, which were checked and have the
            // padded channels; members write other tiles or other channels.
            unsafe { (context.kernels.output_tile[groups.tiling as usize])(&tile) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::InstructionSet;
    use super::super::memory::{Aligned, Memory};
    use super::super::team::Team;
    use super::super::tile::Quantum;
    use super::*;
    use crate::inference::network::{Activation, Convolution, Padding, Window};

    /// Numbers that look random, between -1 and 1.
    struct Noise(u32);

    impl Noise {
        fn next(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
        }

        fn take(&mut self, count: usize) -> Vec<f32> {
            (0..count).map(|_| self.next()).collect()
        }
    }

    struct Case {
        side: usize,
        inputs: usize,
        outputs: usize,
        /// Of the input image.
        border: usize,
        residual: bool,
    }

    /// A convolution with its input and residual, all without padding.
    struct Example {
        convolution: Convolution,
        input: Vec<f32>,
        residual: Option<Vec<f32>>,
        case: Case,
    }

    impl Example {
        fn of(case: Case) -> Self {
            let mut noise = Noise(case.side as u32);
            let pixels = case.side * case.side;
            let window = Window { side: 3, stride: 1, padding: Padding::Each(1) };
            let convolution = Convolution {
                kernel: noise.take(case.outputs * case.inputs * 9),
                bias: noise.take(case.outputs),
                inputs: case.inputs,
                outputs: case.outputs,
                window,
                depthwise: false,
                residual: None,
                activation: Activation::Relu,
            };
            let input =
                noise.take(pixels * case.inputs).iter().map(|value| value.max(0.0)).collect();
            let residual = case.residual.then(|| noise.take(pixels * case.outputs));
            Self { convolution, input, residual, case }
        }

        /// The definition of a convolution, in 64-bit floats.
        fn direct(&self) -> Vec<f64> {
            let Case { side, inputs, outputs, .. } = self.case;
            let mut values = Vec::new();
            for at in 0..side * side * outputs {
                let (y, x, output) = (at / outputs / side, at / outputs % side, at % outputs);
                let mut sum = f64::from(self.convolution.bias[output]);
                for tap in 0..9 {
                    let (row, column) = (y + tap / 3, x + tap % 3);
                    if !(1..=side).contains(&row) || !(1..=side).contains(&column) {
                        continue;
                    }
                    let pixel = &self.input[((row - 1) * side + column - 1) * inputs..][..inputs];
                    for (input, value) in pixel.iter().enumerate() {
                        let weight = self.convolution.kernel[(output * inputs + input) * 9 + tap];
                        sum += f64::from(*value) * f64::from(weight);
                    }
                }
                sum += self.residual.as_ref().map_or(0.0, |residual| f64::from(residual[at]));
                values.push(sum.max(0.0));
            }
            values
        }

        fn winograd(&self, tiling: Tiling, set: InstructionSet, members: usize) -> Vec<f32> {
            let Case { side, inputs, outputs, border, .. } = self.case;
            let kernels = set.kernels().expect("the set is available");
            let place = |offset, channels: usize, border| {
                let channels = channels.next_multiple_of(kernels.lanes);
                Place { offset, image: Image { side, channels, border } }
            };
            let input = place(0, inputs, border);
            let output = place(input.image.length(), outputs, 0);
            let residual = place(output.offset + output.image.length(), outputs, 2);
            let scratch = residual.offset + residual.image.length();
            let member_floats = Winograd::scratch(tiling, input.image, kernels);
            let step = Winograd {
                weights: PointWeights::pack(&self.convolution, tiling, kernels),
                input,
                output: Value {
                    floats: Some(output),
                    bytes: None,
                    fours: None,
                    quantum: Quantum::default(),
                },
                residual: self.residual.as_ref().map(|_| residual),
            };
            let mut arena = Aligned::zeroed(scratch + members * member_floats);
            copy(&mut arena, input, &self.input, inputs);
            if let Some(values) = &self.residual {
                copy(&mut arena, residual, values, outputs);
            }
            // What an earlier step has left behind must not matter.
            arena.floats_mut()[scratch..].fill(f32::NAN);
            let memory = Memory::of(&mut arena);
            Team::run(members, |member| {
                let scratch = scratch + member.index * member_floats;
                step.run(&Context { kernels, memory, pixels: &[], member, scratch });
            });
            let pixel = |index| output.offset + output.image.at(index / side, index % side);
            let pixels = (0..side * side).map(pixel);
            pixels.flat_map(|at| arena.floats()[at..at + outputs].to_vec()).collect()
        }
    }

    fn copy(arena: &mut Aligned, place: Place, values: &[f32], channels: usize) {
        let side = place.image.side;
        for (index, pixel) in values.chunks_exact(channels).enumerate() {
            let at = place.offset + place.image.at(index / side, index % side);
            arena.floats_mut()[at..at + channels].copy_from_slice(pixel);
        }
    }

    /// The greatest difference over the greatest value.
    fn error(found: &[f32], expected: &[f64]) -> f64 {
        assert_eq!(found.len(), expected.len());
        let differences = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
        assert!(found.iter().all(|value| value.is_finite()));
        differences.fold(0.0, f64::max) / expected.iter().fold(0f64, |a, b| a.max(b.abs()))
    }

    /// On all instruction sets, with tiles of either size.
    fn check(case: Case) {
        let example = Example::of(case);
        let expected = example.direct();
        let Case { side, inputs, outputs, .. } = example.case;
        for set in InstructionSet::available() {
            for tiling in [Tiling::Small, Tiling::Large] {
                let alone = example.winograd(tiling, set, 1);
                let error = error(&alone, &expected);
                let case = format!("{side} {inputs} {outputs} {tiling:?} {set:?}");
                assert!(error < 5e-6, "{case}: {error:e}");
                assert_eq!(alone, example.winograd(tiling, set, 3), "{case}");
            }
        }
    }

    #[test]
    fn it_gives_what_the_direct_convolution_gives() {
        for side in 1..=15 {
            for (inputs, outputs) in [(3, 8), (8, 17), (17, 64), (64, 3)] {
                let residual = (side + inputs) % 2 == 0;
                check(Case { side, inputs, outputs, border: 1 + side % 2, residual });
            }
        }
    }

    #[test]
    fn many_groups_and_deep_sums_are_exact_enough() {
        for (side, inputs, outputs) in [(42, 128, 16), (5, 600, 40)] {
            check(Case { side, inputs, outputs, border: 1, residual: true });
        }
    }
}
