//! How many edits of photos are recognised at no false match among the photos: by the fingerprints
//! of `dupes`, by embeddings alone, and by the perceptual hashes of the crate `image_hasher`, which
//! czkawka uses. For `benches/peers/dupes.py`.
//!
//! `duplicates FOLDER` takes `FOLDER/originals` and beside it a folder for each edit, with files of
//! the same names. Prints a JSON object: method -> edit -> share that scores above every pair of
//! originals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image_hasher::{HashAlg, HasherConfig, ImageHash};
use lookalike::imaging::{self, DecodeLimits, Prepared, Turn, align, align_whole};
use lookalike::inference::{Cnn, Encoder};
use lookalike::pixels::Pixels;
use lookalike::record::Fingerprint;
use lookalike::vector;
use rayon::prelude::*;

/// Scores of two images, one for each freedom that a method has; the higher the more alike.
type Scores = Vec<f32>;

fn main() -> anyhow::Result<()> {
    let Some(root) = std::env::args_os().nth(1).map(PathBuf::from) else {
        anyhow::bail!("usage: duplicates FOLDER");
    };
    let originals = images(&root.join("originals"))?;
    let mut edits = BTreeMap::new();
    for path in sorted(&root)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "originals" {
            edits.insert(name, images(&path)?);
        }
    }
    let encoder = Cnn::embedded()?;
    let mut table = BTreeMap::new();
    table.insert("lookalike", recall(&originals, &edits, print, layered));
    let embed = |pixels: &Pixels| encoded(&encoder, pixels);
    let cosine = |a: &Vec<f32>, b: &Vec<f32>| vec![vector::dot(a, b)];
    table.insert("embedding alone", recall(&originals, &edits, embed, cosine));
    for (name, algorithm, dct) in [
        ("image_hasher Mean", HashAlg::Mean, false),
        ("image_hasher Median", HashAlg::Median, false),
        ("image_hasher Gradient", HashAlg::Gradient, false),
        ("image_hasher DoubleGradient", HashAlg::DoubleGradient, false),
        ("image_hasher Blockhash", HashAlg::Blockhash, false),
        ("image_hasher DCT Mean", HashAlg::Mean, true),
    ] {
        let mut config = HasherConfig::new().hash_alg(algorithm).hash_size(16, 16);
        if dct {
            config = config.preproc_dct();
        }
        let hasher = config.to_hasher();
        let hash = |pixels: &Pixels| {
            let (width, height) = (pixels.width_px(), pixels.height_px());
            let image = image::RgbImage::from_raw(width, height, pixels.rgb().to_vec());
            hasher.hash_image(&image.expect("three bytes for each pixel"))
        };
        let distance = |a: &ImageHash, b: &ImageHash| vec![-(a.dist(b) as f32)];
        table.insert(name, recall(&originals, &edits, hash, distance));
    }
    println!("{}", serde_json::to_string(&table)?);
    Ok(())
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn images(folder: &Path) -> anyhow::Result<Vec<Pixels>> {
    let read = |path: &PathBuf| {
        let bytes = std::fs::read(path)?;
        Ok(imaging::decode_at_least(&bytes, &DecodeLimits::default(), 256)?.pixels)
    };
    sorted(folder)?.par_iter().map(read).collect()
}

fn encoded(encoder: &Cnn, pixels: &Pixels) -> Vec<f32> {
    let input = imaging::squash(pixels, encoder.input_side_px());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.expect("one thread is to be had");
    let embedded = pool.install(|| encoder.embed(&[input])).expect("the network runs");
    embedded[0].as_slice().to_vec()
}

/// What `dupes` keeps of an image, and how it lies in all eight ways.
fn print(pixels: &Pixels) -> Fingerprint {
    imaging::fingerprint(pixels)
}

/// Agreement as a whole, turned, and of a part.
fn layered(a: &Fingerprint, b: &Fingerprint) -> Scores {
    let first = Prepared::new(a);
    let second = Prepared::new(b);
    let turned = Turn::ALL[1..]
        .iter()
        .filter_map(|turn| Some(align_whole(&first, &Prepared::turned(b, *turn), -1.0)?.agreement));
    let ways = [
        align_whole(&first, &second, -1.0).map(|found| found.agreement),
        turned.max_by(f32::total_cmp),
        align(&first, &second, -1.0).map(|found| found.agreement),
    ];
    ways.map(|found| found.unwrap_or(-1.0)).to_vec()
}

/// The share of each kind of edit that scores above all pairs of originals in one of the ways.
fn recall<T: Send + Sync>(
    originals: &[Pixels],
    edits: &BTreeMap<String, Vec<Pixels>>,
    describe: impl Fn(&Pixels) -> T + Sync,
    score: impl Fn(&T, &T) -> Scores + Sync,
) -> BTreeMap<String, f64> {
    let start = Instant::now();
    let described: Vec<T> = originals.par_iter().map(&describe).collect();
    let pairs: Vec<Scores> = (0..described.len())
        .into_par_iter()
        .flat_map_iter(|at| described[..at].iter().map(move |other| (at, other)))
        .map(|(at, other)| score(&described[at], other))
        .collect();
    let ways = pairs.first().map_or(1, Vec::len);
    let highest: Scores = (0..ways)
        .map(|way| pairs.iter().map(|scores| scores[way]).fold(f32::NEG_INFINITY, f32::max))
        .collect();
    let share = |edited: &Vec<Pixels>| {
        let is_found = |(original, edited): (&T, &Pixels)| {
            let scores = score(original, &describe(edited));
            scores.iter().zip(&highest).any(|(score, highest)| score > highest)
        };
        let found = described.par_iter().zip(edited).filter(|pair| is_found(*pair)).count();
        found as f64 / described.len() as f64
    };
    let mut shares: BTreeMap<String, f64> =
        edits.iter().map(|(name, edited)| (name.clone(), share(edited))).collect();
    for (way, highest) in highest.iter().enumerate() {
        shares.insert(format!("threshold {way}"), f64::from(*highest));
    }
    shares.insert("seconds".to_owned(), start.elapsed().as_secs_f64());
    shares
}
