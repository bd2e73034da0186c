//! Faster R-CNN with a ResNet-50 and a feature pyramid, the second version of torchvision
//! (`fasterrcnn_resnet50_fpn_v2`): a network that proposes regions, and a head that looks at each.
//!
//! Ren et al., "Faster R-CNN: Towards real-time object detection with region proposal networks"
//! (arXiv 1506.01497); Lin et al., "Feature pyramid networks for object detection" (arXiv
//! 1612.03144); Li et al., "Benchmarking detection transfer learning with vision transformers"
//! (arXiv 2111.11429), whose changes make the second version. Tensors are named as in torchvision.
//!
//! All up to the proposals is one [`Network`] for the CPU engine. The head looks at a thousand
//! patches of 7 x 7 pixels, of which the engine would read all the weights for each; there they are
//! products of matrices over many patches, by candle.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the tests of the public interface share it")]
#[path = "../../../../tests/common/generator.rs"]
mod generator;
mod head;
mod pooling;
mod regions;

pub(in crate::inference) use head::BoxHead;

use super::resnet::{self, EPSILON, Stages};
use crate::inference::InferenceError;
use crate::inference::network::{
    Activation, Convolution, Layer, Network, Operation, Padding, Residual, Resize, Sampling,
    ValueId, Window,
};
use crate::inference::weights::Weights;
use crate::pixels::Fitting;

/// The kernel that only files of this network have.
pub(in crate::inference) const STEM: &str = "backbone.body.conv1.weight";

/// Channels of the pyramid.
const WIDTH: usize = 256;

/// Levels with a map that regions are cut out of; one more proposes regions.
const LEVELS: usize = 4;

/// Shapes of anchors at each place.
const SHAPES: usize = 3;

/// ImageNet's mean, to the nearest level: what lies beside the image is nearly nothing (a 60th of
/// the deviation at most, where torchvision has 0).
const BESIDE: [u8; 3] = [124, 116, 104];

/// How large an image enters the network.
#[derive(Clone, Copy)]
pub(in crate::inference) struct Frame {
    /// Pixels of the shorter side, unless the longer one would be too long.
    pub(in crate::inference) short_px: usize,
    /// Pixels of the longer side at most.
    pub(in crate::inference) long_px: usize,
}

impl Frame {
    /// What torchvision trained with.
    pub(in crate::inference) const TRAINED: Self = Self { short_px: 800, long_px: 1333 };

    /// The side of the square: the longest that an image can be, so that the pyramid fits.
    fn side_px(self) -> usize {
        self.long_px.next_multiple_of(32)
    }

    pub(in crate::inference) fn fitting(self) -> Fitting {
        let (short_px, long_px) = (self.short_px as u32, self.long_px as u32);
        Fitting::Framed { short_px, long_px, color: BESIDE }
    }
}

/// Reads the network up to the proposals out of a file. It has an output for each of the four maps,
/// fine to coarse, and one for each of five levels: three logits of there being an object, then four
/// numbers for each of the three boxes.
///
/// # Errors
/// As for [`Weights::values`].
pub(in crate::inference) fn define(
    weights: &Weights<'_>,
    frame: Frame,
) -> Result<Network, InferenceError> {
    let Stages { layers, ends } = resnet::stages(resnet::RESNET50, weights, "backbone.body.")?;
    let input = resnet::input(frame.side_px());
    let mut network = Network { input, layers, outputs: Vec::new() };
    let mut builder = Builder { weights, network: &mut network };
    let maps = builder.pyramid(ends)?;
    let coarsest = Window { side: 1, stride: 2, padding: Padding::Each(0) };
    let top = builder.push("pool", maps[LEVELS - 1], Operation::MaxPool(coarsest));
    let mut outputs = maps.to_vec();
    for (level, map) in maps.into_iter().chain([top]).enumerate() {
        outputs.push(builder.proposals(level, map)?);
    }
    network.outputs = outputs;
    Ok(network)
}

struct Builder<'a, 'b> {
    weights: &'a Weights<'b>,
    network: &'a mut Network,
}

impl Builder<'_, '_> {
    /// The maps, fine to coarse: each a convolution over a stage and all coarser ones.
    fn pyramid(
        &mut self,
        ends: [(ValueId, usize); LEVELS],
    ) -> Result<[ValueId; LEVELS], InferenceError> {
        let mut maps = [0; LEVELS];
        let mut above = None;
        for (level, (end, channels)) in ends.into_iter().enumerate().rev() {
            let enlarged = above.map(|value| self.enlarge(value, end));
            let name = format!("backbone.fpn.inner_blocks.{level}");
            let inner = self.normed(&name, end, [channels, 1], enlarged)?;
            above = Some(inner);
            let name = format!("backbone.fpn.layer_blocks.{level}");
            maps[level] = self.normed(&name, inner, [WIDTH, 3], None)?;
        }
        Ok(maps)
    }

    /// A value at the side of another one.
    fn enlarge(&mut self, value: ValueId, like: ValueId) -> ValueId {
        let side = self.network.shapes()[like].side;
        self.push("resize", value, Operation::Resize(Resize { side, sampling: Sampling::Nearest }))
    }

    /// What is proposed on a level; all levels are looked at with the same weights.
    fn proposals(&mut self, level: usize, map: ValueId) -> Result<ValueId, InferenceError> {
        let mut value = map;
        for layer in 0..2 {
            let name = format!("rpn.head.conv.{layer}.0");
            let (kernel, bias) = self.biased(&name, [WIDTH, WIDTH, 3, 3])?;
            let layer = convolution(kernel, bias, [WIDTH, 3], Activation::Relu, None);
            value = self.push(&name, value, layer);
        }
        // Both look at the same value: they are one convolution.
        let (mut kernel, mut bias) = self.biased("rpn.head.cls_logits", [SHAPES, WIDTH, 1, 1])?;
        let boxes = self.biased("rpn.head.bbox_pred", [4 * SHAPES, WIDTH, 1, 1])?;
        kernel.extend(boxes.0);
        bias.extend(boxes.1);
        let layer = convolution(kernel, bias, [WIDTH, 1], Activation::Identity, None);
        Ok(self.push(&format!("rpn.head.bbox_pred.{level}"), value, layer))
    }

    /// A convolution with batch norm and without activation.
    fn normed(
        &mut self,
        name: &str,
        input: ValueId,
        [inputs, side]: [usize; 2],
        residual: Option<ValueId>,
    ) -> Result<ValueId, InferenceError> {
        let names = [0, 1].map(|part| format!("{name}.{part}"));
        let shape = [WIDTH, inputs, side, side];
        let (kernel, bias) = super::folded(self.weights, (&names[0], &names[1]), shape, EPSILON)?;
        let layer = convolution(kernel, bias, [inputs, side], Activation::Identity, residual);
        Ok(self.push(&names[0], input, layer))
    }

    fn biased(
        &self,
        name: &str,
        shape: [usize; 4],
    ) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let kernel = self.weights.values(&format!("{name}.weight"), &shape)?;
        Ok((kernel, self.weights.values(&format!("{name}.bias"), &shape[..1])?))
    }

    fn push(&mut self, name: &str, input: ValueId, operation: Operation) -> ValueId {
        let layers = &mut self.network.layers;
        let name = format!("{name}.{}", layers.len());
        layers.push(Layer { name, input, operation });
        layers.len()
    }
}

fn convolution(
    kernel: Vec<f32>,
    bias: Vec<f32>,
    [inputs, side]: [usize; 2],
    activation: Activation,
    residual: Option<ValueId>,
) -> Operation {
    Operation::Convolution(Convolution {
        outputs: bias.len(),
        kernel,
        bias,
        inputs,
        window: Window { side, stride: 1, padding: Padding::Each(side / 2) },
        depthwise: false,
        residual: residual.map(|value| Residual { value, last: false }),
        activation,
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use safetensors::SafeTensors;

    use super::regions::Extent;
    use super::*;
    use crate::imaging::{DecodeLimits, decode};
    use crate::inference::cpu::{Grid, InstructionSet, Plan, Precision};
    use crate::inference::detection::{COCO_CLASSES, DetectorModel, suppress};
    use crate::pixels::{Fitted, Pixels};
    use crate::record::BoundingBox;

    /// The part of the photo that is looked at, and where it begins.
    const SIZE: (u32, u32) = (160, 128);
    const CORNER: (usize, usize) = (120, 70);

    /// What another order of summation may cost in parts of the greatest value: the reference sums
    /// in 64-bit floats.
    const GAP_MAX: f32 = 1e-4;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/faster_rcnn")
    }

    fn weights() -> Vec<u8> {
        let ranges = std::fs::read_to_string(folder().join("tensors.txt")).unwrap();
        generator::weights(&ranges, DetectorModel::FasterRcnnResNet50FpnV2.name())
    }

    /// What `make_golden.py` wrote.
    struct Golden(Vec<u8>);

    impl Golden {
        fn rows(&self, name: &str) -> Vec<Vec<f32>> {
            let file = SafeTensors::deserialize(&self.0).unwrap();
            let tensor = file.tensor(name).unwrap();
            let bytes = tensor.data().chunks_exact(4);
            let values: Vec<f32> =
                bytes.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
            let width = tensor.shape().last().copied().unwrap();
            values.chunks_exact(width).map(<[f32]>::to_vec).collect()
        }

        fn values(&self, name: &str) -> Vec<f32> {
            self.rows(name).concat()
        }
    }

    fn input() -> Fitted {
        let photo = folder().join("../../photos/animals/chelsea_cat.png");
        let photo = std::fs::read(photo).unwrap();
        let photo = decode(&photo, &DecodeLimits::default()).unwrap().pixels;
        let side = SIZE.0 as usize;
        let mut rgb = BESIDE.repeat(side * side);
        for y in 0..SIZE.1 as usize {
            let from = ((CORNER.1 + y) * photo.width_px() as usize + CORNER.0) * 3;
            rgb[y * side * 3..][..side * 3].copy_from_slice(&photo.rgb()[from..][..side * 3]);
        }
        let pixels = Pixels::from_rgb(SIZE.0, SIZE.0, rgb).unwrap();
        let (scale_across, scale_down) = (1.0, 1.0);
        Fitted { pixels, width_px: SIZE.0, height_px: SIZE.1, scale_across, scale_down }
    }

    fn samples(values: &[f32], count: usize) -> Vec<f32> {
        values.iter().copied().step_by((values.len() / count).max(1)).take(count).collect()
    }

    fn assert_near(name: &str, found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len(), "{name}");
        let greatest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
        let gaps = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
        let gap = gaps.fold(0.0, f32::max) / greatest;
        println!("{name}: {gap:.1e} of {greatest}");
        assert!(gap <= GAP_MAX, "{name}: {gap} of {greatest}");
    }

    fn edges(bounds: &BoundingBox) -> [f32; 4] {
        [bounds.left_px, bounds.top_px, bounds.right_px, bounds.bottom_px]
    }

    fn are_near(found: &[f32], expected: &[f32], gap_max: f32) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= gap_max)
    }

    #[test]
    fn every_stage_gives_what_torchvision_gives() {
        let golden = Golden(std::fs::read(folder().join("golden.safetensors")).unwrap());
        let (bytes, input) = (weights(), input());
        let weights = Weights::parse(&bytes).unwrap();
        let frame = Frame { short_px: SIZE.1 as usize, long_px: SIZE.0 as usize };
        let network = define(&weights, frame).unwrap();
        let set = InstructionSet::detect();
        let plan = Plan::new(&network, set, Precision::Float32, &[]);
        let grids = plan.run_all(input.pixels.rgb(), &mut plan.workspace(1));
        for (level, map) in grids[..LEVELS].iter().enumerate() {
            let name = format!("map.{level}");
            assert_near(&name, &samples(&map.values, 500), &golden.values(&name));
        }
        for (level, grid) in grids[LEVELS..].iter().enumerate() {
            let name = format!("level.{level}");
            assert_near(&name, &samples(&grid.values, 500), &golden.values(&name));
        }
        let expected = golden.rows("regions");
        let regions: Vec<BoundingBox> =
            expected.iter().map(|row| BoundingBox::new(row[0], row[1], row[2], row[3])).collect();
        assert_proposes(&grids, &regions);

        let head = BoxHead::load(&weights).unwrap();
        let patches = pooling::patches(&grids[..LEVELS], &regions);
        assert_near("patches", &samples(&patches.concat(), 2000), &golden.values("patches"));
        let (shares, numbers) = head.look(&patches[..24]).unwrap();
        let mut expected = golden.rows("classes");
        expected.iter_mut().for_each(|logits| crate::inference::classes::softmax(logits));
        assert_near("classes", &shares.concat(), &expected.concat());
        assert_near("boxes", &numbers.concat(), &golden.values("boxes"));
        assert_finds(&head, &grids, &input, &golden.rows("objects"));
    }

    fn assert_proposes(grids: &[Grid], expected: &[BoundingBox]) {
        let extent = Extent { width_px: SIZE.0, height_px: SIZE.1 };
        let found = regions::propose(&grids[LEVELS..], SIZE.0 as usize, extent);
        let is_found = |region: &&BoundingBox| {
            found.iter().any(|other| are_near(&edges(&other.bounds), &edges(region), 0.01))
        };
        let alike = expected.iter().filter(is_found).count();
        println!("{} regions, {alike} of {} of the reference", found.len(), expected.len());
        assert_eq!(found.len(), expected.len());
        // Two that overlap by .7 but for the last digits, or have the same score, may change.
        assert!(alike * 100 >= expected.len() * 99, "{alike} of {} regions", expected.len());
    }

    fn assert_finds(head: &BoxHead, grids: &[Grid], input: &Fitted, expected: &[Vec<f32>]) {
        let rules = DetectorModel::FasterRcnnResNet50FpnV2.rules();
        let (proposals, left_out) = head.detect(grids, input, rules.score_min).unwrap();
        let found = suppress(&proposals, &rules).objects;
        assert_eq!(proposals.len() + left_out, 1000 * COCO_CLASSES.len());
        assert!(found.len() >= 50, "{} objects", found.len());
        let is_found = |row: &&Vec<f32>| {
            found.iter().any(|object| {
                let class = COCO_CLASSES[usize::from(object.class.0)];
                f32::from(class.category as u16) == row[0]
                    && (object.score - row[1]).abs() <= 1e-4
                    && are_near(&edges(&object.bounds), &row[2..], 0.05)
            })
        };
        let alike = expected.iter().filter(is_found).count();
        println!("{} objects, {alike} of {} of the reference", found.len(), expected.len());
        assert!(alike * 100 >= expected.len() * 97, "{alike} of {} objects", expected.len());
    }
}
