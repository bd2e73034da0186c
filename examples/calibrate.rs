//! Measures a calibration for 8-bit products on a folder of photos.
//!
//! `cargo run --release --example calibrate -- efficientnet-lite0 fixtures/photos OUT [WEIGHTS]`;
//! without a weights file it takes the weights inside the binary.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lookalike::imaging::{DecodeLimits, decode, squash};
use lookalike::inference::{Calibration, Model};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, folder, out, weights @ ..] = arguments.as_slice() else {
        bail!("usage: calibrate MODEL FOLDER OUT [WEIGHTS]");
    };
    let name = model.to_string_lossy();
    let model = Model::named(&name).with_context(|| format!("no model {name:?}"))?;
    let weights = weights.first().map(std::fs::read).transpose().context("cannot read WEIGHTS")?;
    let walk = ignore::WalkBuilder::new(folder).sort_by_file_path(Path::cmp).build();
    let files = walk.filter_map(|entry| std::fs::read(entry.ok()?.path()).ok());
    let images: Vec<_> = files
        .filter_map(|bytes| decode(&bytes, &DecodeLimits::default()).ok())
        .map(|image| squash(&image.pixels, model.input_side_px()))
        .collect();
    let calibration = Calibration::measure(model, weights.as_deref(), &images)?;
    std::fs::write(out, calibration.as_bytes())?;
    println!("{} photos, {} bytes", images.len(), calibration.as_bytes().len());
    Ok(())
}
