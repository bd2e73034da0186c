//! YOLOX nano, tiny and s: a CSP backbone, a path aggregation network, decoupled heads.
//!
//! Ge et al., "YOLOX: Exceeding YOLO series in 2021" (arXiv 2107.08430); layers are named and
//! ordered as in github.com/Megvii-BaseDetection/YOLOX.

use super::candidates::{best_class, cell_box, sigmoid};
use crate::inference::InferenceError;
use crate::inference::cpu::Grid;
use crate::inference::detection::{COCO_CLASSES, DetectorModel};
use crate::inference::network::{
    Activation, Convolution, Input, Layer, Network, Operation, Padding, Residual, Resize, Sampling,
    ValueId, Window,
};
use crate::inference::weights::Weights;
use crate::pixels::Fitted;
use crate::record::Detection;

const CLASSES: usize = COCO_CLASSES.len();

/// The authors' `BatchNorm2d` adds this to the variance.
const EPSILON: f32 = 1e-3;

/// The first kernel in files with PyTorch's names, which tells the variants apart.
pub(in crate::inference) const STEM: &str = "backbone.backbone.stem.conv.conv.weight";

/// What makes a member of the family.
#[derive(Clone, Copy)]
pub(in crate::inference) struct Variant {
    pub(in crate::inference) model: DetectorModel,
    side_px: usize,
    /// Channels of the first convolution.
    width: usize,
    /// Whether a 3 x 3 convolution is a depthwise one and a pointwise one.
    depthwise: bool,
}

const VARIANTS: [Variant; 3] = [
    Variant { model: DetectorModel::YoloxNano, side_px: 416, width: 16, depthwise: true },
    Variant { model: DetectorModel::YoloxTiny, side_px: 416, width: 24, depthwise: false },
    Variant { model: DetectorModel::YoloxS, side_px: 640, width: 32, depthwise: false },
];

/// The variant whose first convolution has so many channels.
///
/// # Errors
/// [`InferenceError::UnknownDetector`] when none has.
pub(in crate::inference) fn variant(width: Option<usize>) -> Result<Variant, InferenceError> {
    let found = VARIANTS.iter().find(|variant| Some(variant.width) == width);
    found.copied().ok_or(InferenceError::UnknownDetector)
}

/// A convolution as a network asks for it.
pub(in crate::inference) struct Wanted<'a> {
    /// In files with PyTorch's names.
    pub(in crate::inference) name: &'a str,
    /// `[out, in of a group, side, side]`.
    pub(in crate::inference) shape: [usize; 4],
    /// Whether batch norm follows it; files in which that is folded have a bias instead.
    pub(in crate::inference) has_norm: bool,
}

/// Gives kernel and bias of one convolution after the other, in the order in which they run.
pub(in crate::inference) trait Convolutions {
    /// The next convolution, batch norm folded.
    ///
    /// # Errors
    /// When the file has another one, or none.
    fn take(&mut self, wanted: &Wanted<'_>) -> Result<(Vec<f32>, Vec<f32>), InferenceError>;
}

/// By name.
impl Convolutions for &Weights<'_> {
    fn take(&mut self, wanted: &Wanted<'_>) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let Wanted { name, shape, has_norm } = *wanted;
        let outputs = shape[0];
        if !has_norm {
            let kernel = self.values(&format!("{name}.weight"), &shape)?;
            return Ok((kernel, self.values(&format!("{name}.bias"), &[outputs])?));
        }
        let [kernel, norm] = ["conv", "bn"].map(|part| format!("{name}.{part}"));
        super::folded(self, (&kernel, &norm), shape, EPSILON)
    }
}

/// Reads the network out of a file. For each of the strides 8, 16 and 32 it has two outputs: the
/// logits of the classes; then the box and the logit of there being an object.
///
/// # Errors
/// Those of the file.
pub(in crate::inference) fn define(
    variant: Variant,
    convolutions: &mut dyn Convolutions,
) -> Result<Network, InferenceError> {
    let mut builder = Builder {
        convolutions,
        layers: Vec::new(),
        input_side: variant.side_px,
        depthwise: variant.depthwise,
    };
    let levels = builder.backbone(variant.width)?;
    let levels = builder.aggregate(levels, variant.width)?;
    let mut outputs = Vec::new();
    for (level, (value, channels)) in levels.into_iter().enumerate() {
        outputs.extend(builder.head(level, value, [channels, 4 * variant.width])?);
    }
    let input = Input { side_px: variant.side_px, mean: [0.0; 3], scale: [1.0; 3] };
    Ok(Network { input, layers: builder.layers, outputs })
}

/// A value and its channels.
type Wide = (ValueId, usize);

struct Builder<'a> {
    convolutions: &'a mut dyn Convolutions,
    layers: Vec<Layer>,
    input_side: usize,
    depthwise: bool,
}

impl Builder<'_> {
    /// The last three stages.
    fn backbone(&mut self, width: usize) -> Result<[Wide; 3], InferenceError> {
        let mut value = self.stem(width)?;
        let mut levels = [(value, width); 3];
        for (stage, repeats) in [1, 3, 3, 1].into_iter().enumerate() {
            let name = format!("backbone.backbone.dark{}", stage + 2);
            let outputs = width << (stage + 1);
            value = self.three(&format!("{name}.0"), value, [outputs / 2, outputs], 2, None)?;
            let mut layer = 1;
            if stage == 3 {
                value = self.pyramid(&format!("{name}.1"), value, outputs)?;
                layer = 2;
            }
            let (name, shortcut) = (format!("{name}.{layer}"), stage < 3);
            value = self.split(&name, value, [outputs, outputs], repeats, shortcut)?;
            levels.rotate_left(1);
            levels[2] = (value, outputs);
        }
        Ok(levels)
    }

    /// The first convolution, over quarters of the image put side by side: the same as one with a
    /// window twice as large over the image.
    fn stem(&mut self, width: usize) -> Result<ValueId, InferenceError> {
        let name = "backbone.backbone.stem.conv";
        let wanted = Wanted { name, shape: [width, 12, 3, 3], has_norm: true };
        let (file, bias) = self.convolutions.take(&wanted)?;
        let mut kernel = vec![0.0; file.len()];
        for (at, &weight) in file.iter().enumerate() {
            let (output, input) = (at / 108, at / 9 % 12);
            let (row, column) = (at / 3 % 3, at % 3);
            // Quarters go down first; blue comes first in each.
            let (quarter, channel) = (input / 3, 2 - input % 3);
            let (y, x) = (2 * row + quarter % 2, 2 * column + quarter / 2);
            kernel[(output * 3 + channel) * 36 + y * 6 + x] = weight;
        }
        let window = Window { side: 6, stride: 2, padding: Padding::Each(2) };
        Ok(self.push_convolution(
            name,
            0,
            Convolution {
                kernel,
                bias,
                inputs: 3,
                outputs: width,
                window,
                depthwise: false,
                residual: None,
                activation: Activation::Silu,
            },
        ))
    }

    /// Passes what the stages see down to the finest and up again.
    fn aggregate(
        &mut self,
        [fine, middle, coarse]: [Wide; 3],
        width: usize,
    ) -> Result<[Wide; 3], InferenceError> {
        let [small, medium, large] = [4 * width, 8 * width, 16 * width];
        let down = self.one("backbone.lateral_conv0", coarse.0, [large, medium])?;
        let joined = self.enlarge(down);
        let joined = self.push("concat", joined, Operation::Concat(vec![middle.0]));
        let middle = self.split("backbone.C3_p4", joined, [2 * medium, medium], 1, false)?;
        let further = self.one("backbone.reduce_conv1", middle, [medium, small])?;
        let joined = self.enlarge(further);
        let joined = self.push("concat", joined, Operation::Concat(vec![fine.0]));
        let fine = self.split("backbone.C3_p3", joined, [2 * small, small], 1, false)?;
        let up = self.three("backbone.bu_conv2", fine, [small, small], 2, None)?;
        let joined = self.push("concat", up, Operation::Concat(vec![further]));
        let middle = self.split("backbone.C3_n3", joined, [2 * small, medium], 1, false)?;
        let up = self.three("backbone.bu_conv1", middle, [medium, medium], 2, None)?;
        let joined = self.push("concat", up, Operation::Concat(vec![down]));
        let coarse = self.split("backbone.C3_n4", joined, [2 * medium, large], 1, false)?;
        Ok([(fine, small), (middle, medium), (coarse, large)])
    }

    /// A head: its two outputs.
    fn head(
        &mut self,
        level: usize,
        value: ValueId,
        [channels, width]: [usize; 2],
    ) -> Result<[ValueId; 2], InferenceError> {
        let stem = self.one(&format!("head.stems.{level}"), value, [channels, width])?;
        let branch = |builder: &mut Self, kind: &str| {
            let mut value = stem;
            for layer in 0..2 {
                let name = format!("head.{kind}_convs.{level}.{layer}");
                value = builder.three(&name, value, [width, width], 1, None)?;
            }
            Ok::<_, InferenceError>(value)
        };
        let classes = branch(self, "cls")?;
        let name = format!("head.cls_preds.{level}");
        let (kernel, bias) = self.prediction(&name, width, CLASSES)?;
        let classes = self.push_prediction(&name, classes, width, (kernel, bias));
        let boxes = branch(self, "reg")?;
        let name = format!("head.reg_preds.{level}");
        // Both look at the same value: they are one convolution.
        let (mut kernel, mut bias) = self.prediction(&name, width, 4)?;
        let object = self.prediction(&format!("head.obj_preds.{level}"), width, 1)?;
        kernel.extend(object.0);
        bias.extend(object.1);
        Ok([classes, self.push_prediction(&name, boxes, width, (kernel, bias))])
    }

    fn prediction(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let shape = [outputs, inputs, 1, 1];
        self.convolutions.take(&Wanted { name, shape, has_norm: false })
    }

    fn push_prediction(
        &mut self,
        name: &str,
        input: ValueId,
        inputs: usize,
        (kernel, bias): (Vec<f32>, Vec<f32>),
    ) -> ValueId {
        let convolution = Convolution {
            outputs: bias.len(),
            kernel,
            bias,
            inputs,
            window: Window { side: 1, stride: 1, padding: Padding::Each(0) },
            depthwise: false,
            residual: None,
            activation: Activation::Identity,
        };
        self.push_convolution(name, input, convolution)
    }

    /// Two halves of the channels, one of them filtered `repeats` times, put together again.
    fn split(
        &mut self,
        name: &str,
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        repeats: usize,
        shortcut: bool,
    ) -> Result<ValueId, InferenceError> {
        let half = outputs / 2;
        let mut value = self.one(&format!("{name}.conv1"), input, [inputs, half])?;
        let beside = self.one(&format!("{name}.conv2"), input, [inputs, half])?;
        for repeat in 0..repeats {
            let residual = shortcut.then_some(Residual { value, last: true });
            let name = format!("{name}.m.{repeat}");
            let narrow = self.one(&format!("{name}.conv1"), value, [half, half])?;
            value = self.three(&format!("{name}.conv2"), narrow, [half, half], 1, residual)?;
        }
        let joined = self.push("concat", value, Operation::Concat(vec![beside]));
        self.one(&format!("{name}.conv3"), joined, [outputs, outputs])
    }

    /// The greatest values around each position, over 5, 9 and 13 pixels, put beside it.
    fn pyramid(
        &mut self,
        name: &str,
        input: ValueId,
        channels: usize,
    ) -> Result<ValueId, InferenceError> {
        let value = self.one(&format!("{name}.conv1"), input, [channels, channels / 2])?;
        let five = Window { side: 5, stride: 1, padding: Padding::Each(2) };
        let mut pools = Vec::new();
        let mut pooled = value;
        for _ in 0..3 {
            // The greatest of greatest: windows of 5, 9 and 13 pixels.
            pooled = self.push("pool", pooled, Operation::MaxPool(five));
            pools.push(pooled);
        }
        let joined = self.push("concat", value, Operation::Concat(pools));
        self.one(&format!("{name}.conv2"), joined, [2 * channels, channels])
    }

    fn enlarge(&mut self, input: ValueId) -> ValueId {
        let side = 2 * self.side_of(input);
        self.push("resize", input, Operation::Resize(Resize { side, sampling: Sampling::Nearest }))
    }

    /// The side of a value, from the strides and sizes on the way to it.
    fn side_of(&self, value: ValueId) -> usize {
        let Some(layer) = value.checked_sub(1) else { return self.input_side };
        let layer = &self.layers[layer];
        match &layer.operation {
            Operation::Resize(resize) => resize.side,
            Operation::Convolution(convolution) => {
                convolution.window.steps(self.side_of(layer.input))
            }
            _ => self.side_of(layer.input),
        }
    }

    /// A pointwise convolution.
    fn one(
        &mut self,
        name: &str,
        input: ValueId,
        channels: [usize; 2],
    ) -> Result<ValueId, InferenceError> {
        self.convolution(name, input, channels, (1, 1), None)
    }

    /// A convolution of 3 x 3, or what stands for it in the smallest variant.
    fn three(
        &mut self,
        name: &str,
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        stride: usize,
        residual: Option<Residual>,
    ) -> Result<ValueId, InferenceError> {
        if !self.depthwise {
            return self.convolution(name, input, [inputs, outputs], (3, stride), residual);
        }
        let dense = format!("{name}.pconv");
        let name = format!("{name}.dconv");
        let wanted = Wanted { name: &name, shape: [inputs, 1, 3, 3], has_norm: true };
        let (kernel, bias) = self.convolutions.take(&wanted)?;
        let depthwise = Convolution {
            kernel,
            bias,
            inputs,
            outputs: inputs,
            window: Window { side: 3, stride, padding: Padding::Each(1) },
            depthwise: true,
            residual: None,
            activation: Activation::Silu,
        };
        let value = self.push_convolution(&name, input, depthwise);
        self.convolution(&dense, value, [inputs, outputs], (1, 1), residual)
    }

    fn convolution(
        &mut self,
        name: &str,
        input: ValueId,
        [inputs, outputs]: [usize; 2],
        (side, stride): (usize, usize),
        residual: Option<Residual>,
    ) -> Result<ValueId, InferenceError> {
        let shape = [outputs, inputs, side, side];
        let (kernel, bias) = self.convolutions.take(&Wanted { name, shape, has_norm: true })?;
        let convolution = Convolution {
            kernel,
            bias,
            inputs,
            outputs,
            window: Window { side, stride, padding: Padding::Each(side / 2) },
            depthwise: false,
            residual,
            activation: Activation::Silu,
        };
        Ok(self.push_convolution(name, input, convolution))
    }

    fn push_convolution(
        &mut self,
        name: &str,
        input: ValueId,
        convolution: Convolution,
    ) -> ValueId {
        let operation = Operation::Convolution(convolution);
        self.layers.push(Layer { name: name.to_owned(), input, operation });
        self.layers.len()
    }

    fn push(&mut self, name: &str, input: ValueId, operation: Operation) -> ValueId {
        let name = format!("{name}.{}", self.layers.len());
        self.layers.push(Layer { name, input, operation });
        self.layers.len()
    }
}

/// The boxes that the heads propose, and the number of cells that are less sure than `score_min`.
pub(in crate::inference) fn propose(
    grids: &[Grid],
    input: &Fitted,
    score_min: f32,
) -> (Vec<Detection>, usize) {
    let (mut proposals, mut left_out) = (Vec::new(), 0);
    for level in grids.chunks_exact(2) {
        let (classes, boxes) = (&level[0], &level[1]);
        let stride = input.pixels.width_px() as f32 / boxes.side as f32;
        let cells = boxes.values.chunks_exact(boxes.channels);
        let cells = cells.zip(classes.values.chunks_exact(classes.channels)).enumerate();
        for (cell, (values, logits)) in cells {
            let [x, y, width, height, object] = *values else { continue };
            let object = sigmoid(object);
            if object < score_min {
                left_out += 1;
                continue;
            }
            let (class, logit) = best_class(logits);
            let (x, y) = (x + (cell % boxes.side) as f32, y + (cell / boxes.side) as f32);
            let (width, height) = (width.exp() * stride / 2.0, height.exp() * stride / 2.0);
            let (x, y) = (x * stride, y * stride);
            let bounds = cell_box(input, [x - width, y - height, x + width, y + height]);
            proposals.push(Detection { class, score: object * sigmoid(logit), bounds });
        }
    }
    (proposals, left_out)
}
