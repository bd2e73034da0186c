//! Embeds random crops of photos, for measurements that want many real embeddings.
//!
//! `cargo run --release --example crops -- OUT CROPS FOLDER...` writes `vectors.f32`,
//! `queries.f32` and `meta.json` to a folder that is not there yet, as `benches/peers/ann.py` reads
//! them. Crops are a third to all of a side of their photo; those of one photo lie side by side,
//! as bursts do. Every twentieth photo gives queries, of which the vectors have no crop.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ignore::WalkBuilder;
use lookalike::imaging::DecodeLimits;
use lookalike::inference::{Cnn, CnnDetector, Encoder};
use lookalike::objects;
use lookalike::record::BoundingBox;
use lookalike::vector::Embedding;
use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
use rayon::prelude::*;

const QUERIES: usize = 1_000;
const QUERY_PHOTO: usize = 20;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, crops, folders @ ..] = arguments.as_slice() else {
        anyhow::bail!("usage: crops OUT CROPS FOLDER...");
    };
    let (out, crops) = (Path::new(out), crops.parse::<usize>()?);
    std::fs::create_dir(out).with_context(|| format!("cannot create {out:?}"))?;
    let photos = photos(folders);
    let queries = photos.len().div_ceil(QUERY_PHOTO);
    anyhow::ensure!(photos.len() > queries, "no photos in {folders:?}");
    let (encoder, detector) = (Cnn::embedded()?, CnnDetector::embedded()?);
    let embed = |number: usize| {
        let is_query = number.is_multiple_of(QUERY_PHOTO);
        let wanted = match is_query {
            true => QUERIES.div_ceil(queries),
            false => crops.div_ceil(photos.len() - queries),
        };
        let embeddings = embed(&photos[number], number as u64, wanted, &encoder, &detector);
        embeddings.map(|embeddings| (is_query, embeddings))
    };
    let found: Vec<_> = (0..photos.len()).into_par_iter().filter_map(embed).collect();
    for (name, wanted_query) in [("vectors.f32", false), ("queries.f32", true)] {
        let mut file = std::io::BufWriter::new(std::fs::File::create(out.join(name))?);
        let chosen = found.iter().filter(|(is_query, _)| *is_query == wanted_query);
        let mut written = 0;
        for embedding in chosen.flat_map(|(_, embeddings)| embeddings) {
            for component in embedding.as_slice() {
                file.write_all(&component.to_le_bytes())?;
            }
            written += 1;
        }
        file.flush()?;
        println!("{name}: {written}");
    }
    let meta = format!("{{\"dimension\": {}}}", encoder.space().dimension);
    Ok(std::fs::write(out.join("meta.json"), meta)?)
}

fn photos(folders: &[String]) -> Vec<PathBuf> {
    let files = |folder: &String| {
        let walk = WalkBuilder::new(folder).sort_by_file_path(Path::cmp).build();
        walk.filter_map(|entry| Some(entry.ok()?.into_path())).filter(|path| path.is_file())
    };
    folders.iter().flat_map(files).collect()
}

/// Crops of a photo; `None` for a file that is none.
fn embed(
    path: &Path,
    seed: u64,
    count: usize,
    encoder: &Cnn,
    detector: &CnnDetector,
) -> Option<Vec<Embedding>> {
    let bytes = std::fs::read(path).ok()?;
    let image = objects::decode(&bytes, &DecodeLimits::default(), detector, None).ok()?;
    let (width, height) = (image.width_px as f32, image.height_px as f32);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut crop = || {
        let (across, down) = (random.gen_range(0.33..1.0), random.gen_range(0.33..1.0));
        let left = random.gen_range(0.0..1.0 - across) * width;
        let top = random.gen_range(0.0..1.0 - down) * height;
        BoundingBox::new(left, top, left + across * width, top + down * height)
    };
    let boxes: Vec<BoundingBox> = (0..count).map(|_| crop()).collect();
    // Each photo has one thread: a team for each crop would wait for its members all the time.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().ok()?;
    alone.install(|| objects::embed(&image, &boxes, 0.0, encoder).ok())
}
