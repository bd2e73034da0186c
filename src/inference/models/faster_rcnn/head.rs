//! The second part: a head that says what each proposed region is, and where exactly.

use candle_core::{Device, Tensor};

use super::pooling::{PATCH, patches};
use super::regions::{Extent, moved, propose};
use super::{LEVELS, WIDTH};
use crate::inference::cpu::Grid;
use crate::inference::detection::COCO_CLASSES;
use crate::inference::models::candidates::cell_box;
use crate::inference::models::folded;
use crate::inference::models::resnet::EPSILON;
use crate::inference::weights::Weights;
use crate::inference::{InferenceError, classes};
use crate::pixels::Fitted;
use crate::record::{BoundingBox, ClassId, Detection};

/// What the head tells apart: nothing, and the categories of COCO, of which eleven have no images.
const CLASSES: usize = 91;

/// Numbers that describe a region before it is named.
const HIDDEN: usize = 1024;

/// Regions that are looked at together: the windows of a convolution over them take 58 MB.
const BATCH: usize = 128;

/// Sides that an object has at least, in pixels of the square.
const SIDE_MIN_PX: f32 = 1e-2;

/// What the head's numbers are divided by, for shifts and for sizes.
const SHIFT_AND_SIZE: (f32, f32) = (10.0, 5.0);

/// The weights of the head.
pub(in crate::inference) struct BoxHead {
    /// Kernels `[256, 256, 3, 3]` and biases `[1, 256, 1, 1]`.
    convolutions: Vec<(Tensor, Tensor)>,
    /// `[12544, 1024]`, and so on: ready to be multiplied by from the right.
    hidden: (Tensor, Tensor),
    classes: (Tensor, Tensor),
    boxes: (Tensor, Tensor),
}

impl BoxHead {
    /// Reads the head out of a file.
    ///
    /// # Errors
    /// As for [`Weights::values`].
    pub(in crate::inference) fn load(weights: &Weights<'_>) -> Result<Self, InferenceError> {
        let convolution = |layer: usize| {
            let names = [0, 1].map(|part| format!("roi_heads.box_head.{layer}.{part}"));
            let shape = [WIDTH, WIDTH, 3, 3];
            let (kernel, bias) = folded(weights, (&names[0], &names[1]), shape, EPSILON)?;
            let kernel = Tensor::from_vec(kernel, &shape, &Device::Cpu)?;
            Ok((kernel, Tensor::from_vec(bias, (1, WIDTH, 1, 1), &Device::Cpu)?))
        };
        let linear = |name: &str, inputs: usize, outputs: usize| {
            let name = format!("roi_heads.{name}");
            let matrix = weights.values(&format!("{name}.weight"), &[outputs, inputs])?;
            let matrix = Tensor::from_vec(matrix, (outputs, inputs), &Device::Cpu)?;
            let bias = weights.values(&format!("{name}.bias"), &[outputs])?;
            Ok::<_, InferenceError>((matrix.t()?, Tensor::from_vec(bias, outputs, &Device::Cpu)?))
        };
        Ok(Self {
            convolutions: (0..4).map(convolution).collect::<Result<_, InferenceError>>()?,
            hidden: linear("box_head.5", WIDTH * PATCH * PATCH, HIDDEN)?,
            classes: linear("box_predictor.cls_score", HIDDEN, CLASSES)?,
            boxes: linear("box_predictor.bbox_pred", HIDDEN, 4 * CLASSES)?,
        })
    }

    /// The objects that the regions hold, and how many pairs of region and class are less sure than
    /// `score_min`.
    ///
    /// # Errors
    /// [`InferenceError::Tensor`] when candle fails.
    pub(in crate::inference) fn detect(
        &self,
        grids: &[Grid],
        input: &Fitted,
        score_min: f32,
    ) -> Result<(Vec<Detection>, usize), InferenceError> {
        let (maps, levels) = grids.split_at(LEVELS);
        let extent = Extent {
            width_px: (input.width_px as f32 / input.scale_across).round() as u32,
            height_px: (input.height_px as f32 / input.scale_down).round() as u32,
        };
        let proposed = propose(levels, input.pixels.width_px() as usize, extent);
        let regions: Vec<BoundingBox> = proposed.iter().map(|proposal| proposal.bounds).collect();
        let (mut objects, mut left_out) = (Vec::new(), 0);
        for regions in regions.chunks(BATCH) {
            let (shares, numbers) = self.look(&patches(maps, regions))?;
            for (at, region) in regions.iter().enumerate() {
                let (shares, numbers) = (&shares[at], &numbers[at]);
                for (class, coco) in COCO_CLASSES.iter().enumerate() {
                    let category = coco.category as usize;
                    let score = shares[category];
                    if score.is_nan() || score < score_min {
                        left_out += 1;
                        continue;
                    }
                    let four = [0, 1, 2, 3].map(|edge| numbers[4 * category + edge]);
                    let bounds = moved(region, four, SHIFT_AND_SIZE);
                    let bounds = bounds.clipped(extent.width_px, extent.height_px);
                    if bounds.width_px().min(bounds.height_px()) < SIDE_MIN_PX {
                        left_out += 1;
                        continue;
                    }
                    let bounds = on_image(&bounds, input);
                    objects.push(Detection { class: ClassId(class as u16), score, bounds });
                }
            }
        }
        Ok((objects, left_out))
    }

    /// For each patch the shares of the classes, and four numbers for each of them.
    pub(super) fn look(
        &self,
        patches: &[Vec<f32>],
    ) -> Result<(Vec<Vec<f32>>, Vec<Vec<f32>>), InferenceError> {
        let shape = (patches.len(), PATCH, PATCH, WIDTH);
        let patches = Tensor::from_vec(patches.concat(), shape, &Device::Cpu)?;
        let mut value = patches.permute((0, 3, 1, 2))?.contiguous()?;
        for (kernel, bias) in &self.convolutions {
            value = value.conv2d(kernel, 1, 1, 1, 1)?.broadcast_add(bias)?.relu()?;
        }
        let apply = |value: &Tensor, (matrix, bias): &(Tensor, Tensor)| {
            value.matmul(matrix)?.broadcast_add(bias)
        };
        let hidden = apply(&value.flatten_from(1)?, &self.hidden)?.relu()?;
        let mut shares: Vec<Vec<f32>> = apply(&hidden, &self.classes)?.to_vec2()?;
        shares.iter_mut().for_each(|logits| classes::softmax(logits));
        Ok((shares, apply(&hidden, &self.boxes)?.to_vec2()?))
    }
}

fn on_image(bounds: &BoundingBox, input: &Fitted) -> BoundingBox {
    let BoundingBox { left_px, top_px, right_px, bottom_px } = *bounds;
    cell_box(input, [left_px, top_px, right_px, bottom_px])
}
