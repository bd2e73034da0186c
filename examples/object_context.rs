//! Measures how much of its surroundings an object should be embedded with: for crops of the surest
//! object of each photo, shifted and scaled, how often the photo itself has the nearest object.
//!
//! `cargo run --release --example object_context -- FOLDER...`

use std::path::PathBuf;

use ignore::WalkBuilder;
use lookalike::imaging::{DecodeLimits, DecodedImage, squash};
use lookalike::inference::{Cnn, CnnDetector, Detector, Encoder};
use lookalike::objects;
use lookalike::pixels::Pixels;
use lookalike::record::BoundingBox;
use lookalike::vector::Embedding;
use rayon::prelude::*;

const MARGINS: [f32; 5] = [0.0, 0.1, 0.25, 0.5, 1.0];

/// Crops of each photo.
const CROPS: usize = 3;

/// The objects of a photo at each margin, and the crops that are searched for.
struct Photo {
    objects: Vec<Vec<Embedding>>,
    /// Cut out of the photo with the margin.
    crops: Vec<Vec<Embedding>>,
    /// Files of their own, without surroundings, at half the size.
    files: Vec<Embedding>,
}

fn main() -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    anyhow::ensure!(!folders.is_empty(), "give folders of photos");
    let (encoder, detector) = (Cnn::embedded()?, CnnDetector::embedded()?);
    let paths: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| WalkBuilder::new(folder).sort_by_file_path(std::path::Path::cmp).build())
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| {
            path.is_file() && !path.components().any(|part| part.as_os_str() == "near_duplicates")
        })
        .collect();
    // One after the other: the networks themselves use all cores for an image.
    let photos: Vec<Photo> = paths
        .iter()
        .enumerate()
        .filter_map(|(seed, path)| photo(path, seed as u64, &encoder, &detector))
        .collect();
    println!("{} photos with objects, {CROPS} crops of each", photos.len());
    for (at, margin) in MARGINS.iter().enumerate() {
        let crops = share_found(&photos, at, |photo| &photo.crops[at]);
        let files = share_found(&photos, at, |photo| &photo.files);
        println!(
            "margin {margin:.2}: crops of the photo {crops:.3}, files of their own {files:.3}"
        );
    }
    Ok(())
}

fn photo(path: &PathBuf, seed: u64, encoder: &Cnn, detector: &CnnDetector) -> Option<Photo> {
    let bytes = std::fs::read(path).ok()?;
    let image = objects::decode(&bytes, &DecodeLimits::default(), detector, None).ok()?;
    let found = objects::detect(&image, detector, &detector.rules()).ok()?.objects;
    let boxes: Vec<BoundingBox> = found.iter().map(|object| object.bounds).collect();
    let surest = boxes.first()?;
    let mut random = Random(seed.wrapping_mul(77).wrapping_add(5));
    let crops: Vec<BoundingBox> = (0..CROPS)
        .map(|_| shaken(surest, &mut random).clipped(image.width_px, image.height_px))
        .collect();
    let embed = |boxes: &[BoundingBox], margin| objects::embed(&image, boxes, margin, encoder).ok();
    let at = |boxes: &[BoundingBox]| {
        MARGINS.iter().map(|margin| embed(boxes, *margin)).collect::<Option<Vec<_>>>()
    };
    let files = crops.iter().map(|crop| encoder.embed(&[file(&image, crop, encoder)]).ok()?.pop());
    Some(Photo { objects: at(&boxes)?, crops: at(&crops)?, files: files.collect::<Option<_>>()? })
}

/// The box moved by up to 15 % of its size and made 0.8 to 1.25 times as large.
fn shaken(bounds: &BoundingBox, random: &mut Random) -> BoundingBox {
    let scale = 0.8 + 0.45 * random.next();
    let (width, height) = (bounds.width_px() * scale, bounds.height_px() * scale);
    let across = (random.next() - 0.5) * 0.3 * bounds.width_px();
    let down = (random.next() - 0.5) * 0.3 * bounds.height_px();
    let x = (bounds.left_px + bounds.right_px) / 2.0 + across;
    let y = (bounds.top_px + bounds.bottom_px) / 2.0 + down;
    BoundingBox::new(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
}

/// The crop as somebody would save it: half as large, nothing around it.
fn file(image: &DecodedImage, crop: &BoundingBox, encoder: &Cnn) -> Pixels {
    let side = (crop.width_px().max(crop.height_px()) / 2.0).max(1.0) as u32;
    let (width, height) = (image.width_px as f32, image.height_px as f32);
    let part = [
        crop.left_px / width,
        crop.top_px / height,
        crop.right_px / width,
        crop.bottom_px / height,
    ];
    let small = lookalike::imaging::cut_out(&image.pixels, part, side);
    squash(&small, encoder.input_side_px())
}

fn share_found<'a>(
    photos: &'a [Photo],
    margin: usize,
    queries: impl Fn(&'a Photo) -> &'a Vec<Embedding> + Sync,
) -> f64 {
    let best = |photo: &Photo, query: &Embedding| {
        let scores =
            photo.objects[margin].iter().map(|object| object.cosine(query).unwrap_or(-1.0));
        scores.fold(f32::NEG_INFINITY, f32::max)
    };
    let found: usize = photos
        .par_iter()
        .map(|photo| {
            let is_nearest = |query: &&Embedding| {
                let own = best(photo, query);
                photos.iter().filter(|other| best(other, query) > own).count() == 0
            };
            queries(photo).iter().filter(is_nearest).count()
        })
        .sum();
    found as f64 / (photos.len() * CROPS) as f64
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }
}
