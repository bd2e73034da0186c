//! Measures a calibration for 8-bit products on a folder of photos.
//!
//! `cargo run --release --example calibrate -- efficientnet-lite0 fixtures/photos OUT [WEIGHTS]`;
//! without a weights file it takes the weights inside the binary. For a detector the model is `detector`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lookalike::imaging::{DecodeLimits, decode, fit, squash};
use lookalike::inference::{Calibration, CnnDetector, Compute, Detector, Model};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, folder, out, weights @ ..] = arguments.as_slice() else {
        bail!("usage: calibrate MODEL FOLDER OUT [WEIGHTS]");
    };
    let name = model.to_string_lossy();
    let weights = weights.first().map(std::fs::read).transpose().context("cannot read WEIGHTS")?;
    let weights = weights.as_deref();
    // The detector in floats says how an image becomes its input.
    let detector = match (name == "detector", weights) {
        (false, _) => None,
        (true, None) => Some(CnnDetector::embedded_as(&Compute::default())?),
        (true, Some(weights)) => Some(CnnDetector::load(weights, &Compute::default())?),
    };
    let model = match detector {
        Some(_) => None,
        None => Some(Model::named(&name).with_context(|| format!("no model {name:?}"))?),
    };
    let walk = ignore::WalkBuilder::new(folder).sort_by_file_path(Path::cmp).build();
    let files = walk.filter_map(|entry| std::fs::read(entry.ok()?.path()).ok());
    let images: Vec<_> = files
        .filter_map(|bytes| decode(&bytes, &DecodeLimits::default()).ok())
        .map(|image| match (&detector, model) {
            (Some(detector), _) => {
                let size = (image.width_px, image.height_px);
                let side = detector.input_side_px();
                fit(&image.pixels, size, side, detector.fitting()).pixels
            }
            (None, model) => squash(&image.pixels, model.map_or(0, Model::input_side_px)),
        })
        .collect();
    let calibration = match model {
        Some(model) => Calibration::measure(model, weights, &images)?,
        None => Calibration::measure_detector(weights, &images)?,
    };
    std::fs::write(out, calibration.as_bytes())?;
    println!("{} photos, {} bytes", images.len(), calibration.as_bytes().len());
    Ok(())
}
