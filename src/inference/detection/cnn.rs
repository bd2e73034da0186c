//! A convolutional network on the CPU engine as a detector.

use super::{COCO_CLASSES, Detector, Suppressed, Suppression, suppress};
use crate::inference::calibration::Calibration;
use crate::inference::cpu::{Grid, InstructionSet, Plan, Precision};
use crate::inference::engine::Engine;
use crate::inference::models::faster_rcnn::{self, BoxHead, Frame};
use crate::inference::models::{nanodet, yolox};
use crate::inference::network::Network;
use crate::inference::onnx::{self, OnnxConvolutions};
use crate::inference::profile::{self, StepTime};
use crate::inference::summary::{LayerSummary, summarise};
use crate::inference::weights::Weights;
use crate::inference::{Compute, InferenceError};
use crate::pixels::{Fitted, Fitting, Pixels};
use crate::record::Detection;

/// The most threads that work on one image together.
const TEAM_MAX: usize = 4;

/// A network that finds objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DetectorModel {
    /// NanoDet-g, 416 px: inside the binary.
    NanoDetG,
    /// YOLOX-nano, 416 px.
    YoloxNano,
    /// YOLOX-tiny, 416 px.
    YoloxTiny,
    /// YOLOX-s, 640 px.
    YoloxS,
    /// Faster R-CNN with ResNet-50 and a feature pyramid, version 2: up to 1333 x 800 px.
    FasterRcnnResNet50FpnV2,
}

impl DetectorModel {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NanoDetG,
        Self::YoloxNano,
        Self::YoloxTiny,
        Self::YoloxS,
        Self::FasterRcnnResNet50FpnV2,
    ];

    /// The name by which options and reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NanoDetG => "nanodet-g",
            Self::YoloxNano => "yolox-nano",
            Self::YoloxTiny => "yolox-tiny",
            Self::YoloxS => "yolox-s",
            Self::FasterRcnnResNet50FpnV2 => "fasterrcnn-resnet50-fpn-v2",
        }
    }

    pub(in crate::inference) fn rules(self) -> Suppression {
        let (score_min, iou_max) = match self {
            Self::NanoDetG => (0.35, 0.5),
            Self::YoloxNano | Self::YoloxTiny | Self::YoloxS => (0.3, 0.45),
            Self::FasterRcnnResNet50FpnV2 => (0.05, 0.5),
        };
        Suppression { score_min, iou_max, class_wise: true, count_max: 100 }
    }

    fn fitting(self) -> Fitting {
        match self {
            Self::NanoDetG => Fitting::Squashed,
            Self::YoloxNano | Self::YoloxTiny | Self::YoloxS => Fitting::TopLeft { level: 114 },
            Self::FasterRcnnResNet50FpnV2 => Frame::TRAINED.fitting(),
        }
    }
}

/// A convolutional network on the CPU engine as a [`Detector`].
///
/// It knows the 80 classes of COCO. In floats, boxes and scores are those of the networks' own
/// programs to 1 pixel and 0.01.
///
/// # Examples
/// ```
/// use lookalike::imaging::fit;
/// use lookalike::inference::{CnnDetector, Detector};
/// use lookalike::pixels::Pixels;
///
/// let detector = CnnDetector::embedded()?;
/// let grey = Pixels::from_rgb(640, 480, vec![127; 640 * 480 * 3]).unwrap();
/// let input = fit(&grey, (640, 480), detector.input_side_px(), detector.fitting());
/// let found = detector.detect(&input, &detector.rules())?;
/// assert!(found.objects.is_empty());
/// # Ok::<(), lookalike::inference::InferenceError>(())
/// ```
pub struct CnnDetector {
    model: DetectorModel,
    identity: String,
    class_names: Vec<String>,
    layers: Vec<LayerSummary>,
    engine: Engine,
    /// What looks again at each region that the network proposes.
    head: Option<BoxHead>,
}

impl CnnDetector {
    /// Loads NanoDet-g from the weights inside the binary, with products of 8-bit integers: about
    /// half the time of floats, and nearly the same objects (`docs/benchmarks.md` has the figures).
    ///
    /// # Errors
    /// None in practice: the embedded file is covered by the tests.
    pub fn embedded() -> Result<Self, InferenceError> {
        Self::embedded_as(&Compute { precision: Precision::Int8, ..Compute::default() })
    }

    /// As [`CnnDetector::embedded`], run as somebody wants it.
    ///
    /// # Errors
    /// [`InferenceError::InstructionSet`] when this processor lacks it; when `compute` brings a
    /// calibration of its own, those of a calibration that belongs to another network.
    pub fn embedded_as(compute: &Compute) -> Result<Self, InferenceError> {
        let mut compute = compute.clone();
        compute.calibration.get_or_insert_with(Calibration::of_embedded_detector);
        Self::load(nanodet::WEIGHTS, &compute)
    }

    /// Loads a network from the bytes of a file, and finds out which one it is: NanoDet-g from
    /// safetensors, YOLOX (nano, tiny or s) from ONNX or from safetensors with PyTorch's names,
    /// Faster R-CNN from safetensors with torchvision's names.
    ///
    /// # Errors
    /// [`InferenceError::Weights`] or [`InferenceError::Onnx`] when the bytes are no such file;
    /// [`InferenceError::UnknownDetector`], [`InferenceError::MissingTensor`],
    /// [`InferenceError::TensorShape`] or [`InferenceError::TensorType`] when they belong to
    /// another network; [`InferenceError::InstructionSet`] when this processor lacks it;
    /// [`InferenceError::Calibration`] when [`Precision::Int8`] has no calibration, and as for
    /// weights when it belongs to another network.
    pub fn load(bytes: &[u8], compute: &Compute) -> Result<Self, InferenceError> {
        let set = compute.instruction_set;
        if !InstructionSet::available().contains(&set) {
            return Err(InferenceError::InstructionSet { name: set.name() });
        }
        let Defined { model, network, head, digest } = define(bytes)?;
        let side = network.input.side_px;
        let fitted = match model.fitting() {
            Fitting::Squashed => "squashed",
            Fitting::TopLeft { .. } => "in the corner, grey",
            Fitting::Framed { .. } => "in the corner, 800 px or 1333, mean",
        };
        let name = model.name();
        let mut identity = format!("{name} {digest} at {side} x {side}, {fitted}, bilinear");
        let mut observed = Vec::new();
        if compute.precision == Precision::Int8 {
            let calibration = compute.calibration.as_ref().ok_or(InferenceError::Calibration)?;
            let digest;
            (observed, digest) = calibration.read(&network)?;
            identity.push_str(", 8-bit products by ");
            identity.push_str(&digest[..16]);
        }
        let plan = Plan::new(&network, set, compute.precision, &observed);
        Ok(Self {
            model,
            identity,
            class_names: COCO_CLASSES.iter().map(|class| class.name.to_owned()).collect(),
            layers: summarise(&network),
            engine: Engine::new(plan),
            head,
        })
    }

    /// The boxes that a run proposes, and how many it does not even propose since they are less
    /// sure than `score_min`.
    fn propose(
        &self,
        grids: &[Grid],
        input: &Fitted,
        score_min: f32,
    ) -> Result<(Vec<Detection>, usize), InferenceError> {
        match (&self.head, self.model) {
            (Some(head), _) => head.detect(grids, input, score_min),
            (None, DetectorModel::NanoDetG) => Ok(nanodet::propose(grids, input, score_min)),
            (None, _) => Ok(yolox::propose(grids, input, score_min)),
        }
    }

    /// The layers in the order in which they run.
    #[must_use]
    pub fn layers(&self) -> &[LayerSummary] {
        &self.layers
    }

    /// Times the steps of a run on one thread; the image is run once to warm up, and once to
    /// measure.
    ///
    /// # Errors
    /// [`InferenceError::InputSize`] when the image has another size than the network takes.
    pub fn profile(&self, image: &Pixels) -> Result<Vec<StepTime>, InferenceError> {
        self.check_size(image)?;
        Ok(profile::steps(self.engine.plan(), &self.layers, image, self.layers.len()))
    }

    fn check_size(&self, image: &Pixels) -> Result<(), InferenceError> {
        let (width_px, height_px) = (image.width_px(), image.height_px());
        let expected = self.input_side_px();
        match (width_px, height_px) == (expected, expected) {
            true => Ok(()),
            false => Err(InferenceError::InputSize { expected, width_px, height_px }),
        }
    }

    /// Which network it is.
    #[must_use]
    pub fn model(&self) -> DetectorModel {
        self.model
    }
}

/// What a file holds.
pub(in crate::inference) struct Defined {
    model: DetectorModel,
    pub(in crate::inference) network: Network,
    head: Option<BoxHead>,
    /// The first digits of the file's digest.
    digest: String,
}

/// Reads the network out of a file of either kind.
pub(in crate::inference) fn define(bytes: &[u8]) -> Result<Defined, InferenceError> {
    if onnx::is_onnx(bytes) {
        let mut convolutions = OnnxConvolutions::parse(bytes)?;
        let variant = yolox::variant(convolutions.first_outputs())?;
        let network = yolox::define(variant, &mut convolutions)?;
        convolutions.finish()?;
        let digest = blake3::hash(bytes).to_hex()[..16].to_owned();
        return Ok(Defined { model: variant.model, network, head: None, digest });
    }
    let weights = Weights::parse(bytes)?;
    let digest = weights.digest()[..16].to_owned();
    if weights.shape(faster_rcnn::STEM).is_some() {
        let network = faster_rcnn::define(&weights, Frame::TRAINED)?;
        let head = Some(BoxHead::load(&weights)?);
        return Ok(Defined {
            model: DetectorModel::FasterRcnnResNet50FpnV2,
            network,
            head,
            digest,
        });
    }
    let (model, network) = match weights.shape(yolox::STEM) {
        Some(shape) => {
            let variant = yolox::variant(shape.first().copied())?;
            (variant.model, yolox::define(variant, &mut &weights)?)
        }
        None => (DetectorModel::NanoDetG, nanodet::define(&weights)?),
    };
    Ok(Defined { model, network, head: None, digest })
}

impl Detector for CnnDetector {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn input_side_px(&self) -> u32 {
        self.engine.plan().input_side() as u32
    }

    fn fitting(&self) -> Fitting {
        self.model.fitting()
    }

    fn rules(&self) -> Suppression {
        self.model.rules()
    }

    fn detect(&self, input: &Fitted, rules: &Suppression) -> Result<Suppressed, InferenceError> {
        self.check_size(&input.pixels)?;
        let threads = rayon::current_num_threads().min(TEAM_MAX);
        let grids = self.engine.run_all(input.pixels.rgb(), threads);
        let (mut proposals, left_out) = self.propose(&grids, input, rules.score_min)?;
        for proposal in &mut proposals {
            proposal.bounds = proposal.bounds.clipped(input.width_px, input.height_px);
        }
        let mut found = suppress(&proposals, rules);
        found.counts.proposed += left_out;
        found.counts.unsure += left_out;
        Ok(found)
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }
}
