//! Arguments of the commands about objects.

use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, parse_share};

#[derive(Debug, Args)]
pub(in crate::cli) struct DetectorArgs {
    /// Do not look for objects
    #[arg(long)]
    pub(in crate::cli) no_detect: bool,
    /// Weights of another detector: YOLOX (ONNX, safetensors) or Faster R-CNN (safetensors)
    /// [default: NanoDet, in the program]
    #[arg(long, value_name = "FILE", conflicts_with = "no_detect")]
    pub(in crate::cli) detector: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DetectArgs {
    /// Image files; `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(in crate::cli) images: Vec<PathBuf>,
    /// Least score of an object, 0 to 1 [default: 0.35, of YOLOX 0.3, of Faster R-CNN 0.05]
    #[arg(long, value_name = "S", value_parser = parse_share)]
    pub(in crate::cli) min_score: Option<f32>,
    /// Greatest overlap of two objects of a class, 0 to 1 [default: 0.5, of YOLOX 0.45]
    #[arg(long, value_name = "IOU", value_parser = parse_share)]
    pub(in crate::cli) max_overlap: Option<f32>,
    /// Let objects of different classes suppress each other too
    #[arg(long)]
    pub(in crate::cli) across_classes: bool,
    /// Objects of an image, at most
    #[arg(long, short = 'k', value_name = "K", default_value_t = 100)]
    pub(in crate::cli) top: usize,
    /// Write the image with the boxes drawn on it, as PNG
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) draw: Option<PathBuf>,
    /// Say how many boxes were proposed, and what became of them
    #[arg(long)]
    pub(in crate::cli) explain: bool,
    /// Weights of another detector: YOLOX (ONNX, safetensors) or Faster R-CNN (safetensors)
    /// [default: NanoDet, in the program]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) detector: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ObjectsArgs {
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArgs,
    /// List the classes that were not found too
    #[arg(long)]
    pub(in crate::cli) all: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalDetectionArgs {
    /// Annotations of people, such as instances_val2017.json
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) coco: PathBuf,
    /// Folder of the images [default: that of the annotations]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) images: Option<PathBuf>,
    /// Weights of another detector: YOLOX (ONNX, safetensors) or Faster R-CNN (safetensors)
    /// [default: NanoDet, in the program]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) detector: Option<PathBuf>,
    /// Overlap from which a box is suppressed by a surer one of its class
    #[arg(long, value_name = "IOU", default_value_t = 0.65, value_parser = parse_share)]
    pub(in crate::cli) max_overlap: f32,
}
