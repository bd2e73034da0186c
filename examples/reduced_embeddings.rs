//! Measures how far embeddings of images that were reduced while they were read lie from those of
//! whole images.
//!
//! `cargo run --release --example reduced_embeddings -- FOLDER`: for JPEGs that are reduced at all,
//! with the shorter side needed and with twice as much.

use std::path::Path;

use ignore::WalkBuilder;
use lookalike::imaging::{DecodeLimits, decode_at_least, is_image_start, side_needed_px, squash};
use lookalike::inference::{Calibration, Cnn, Compute, Encoder, InstructionSet, Model, Precision};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder of photos")?;
    let compute = Compute {
        instruction_set: InstructionSet::detect(),
        precision: Precision::Float32,
        calibration: None::<Calibration>,
    };
    let encoder = Cnn::load(Model::EfficientNetLite0, None, &compute)?;
    let side = encoder.input_side_px();
    let mut files: Vec<_> = WalkBuilder::new(Path::new(&folder))
        .build()
        .filter_map(|entry| std::fs::read(entry.ok()?.path()).ok())
        .filter(|bytes| is_image_start(bytes))
        .collect();
    files.sort();
    for times in [1, 2] {
        let mut cosines = Vec::new();
        for bytes in &files {
            let limits = DecodeLimits::default();
            let reduced = decode_at_least(bytes, &limits, times * side_needed_px(side))?;
            if reduced.pixels.width_px() == reduced.width_px {
                continue;
            }
            let whole = decode_at_least(bytes, &limits, u32::MAX)?;
            let inputs = [squash(&reduced.pixels, side), squash(&whole.pixels, side)];
            let embeddings = encoder.embed(&inputs)?;
            cosines.push(f64::from(embeddings[0].cosine(&embeddings[1])?));
        }
        if cosines.is_empty() {
            println!("{times} x: no image is reduced");
            continue;
        }
        cosines.sort_by(f64::total_cmp);
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let least = cosines[0];
        println!("{times} x: {} images, mean {mean:.4}, least {least:.4}", cosines.len());
    }
    Ok(())
}
