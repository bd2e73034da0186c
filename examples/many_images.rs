//! Makes a database of many images that do not exist, to measure what size costs.
//!
//! `cargo run --release --example many_images -- DIRECTORY IMAGES`: seeded random unit vectors of
//! the built-in network's space, in batches as `index` stores them, then what opening, reading all
//! embeddings and closing take.

use std::path::Path;
use std::time::Instant;

use lookalike::inference::{Cnn, Compute, Encoder, Model, Precision};
use lookalike::record::{
    ContentHash, FileStamp, ImageRecord, Location, LocationRecord, LocationState,
};
use lookalike::store::{Store, StoreError};
use lookalike::vector::Embedding;
use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

/// Images in a transaction, as `index` has it.
const BATCH_IMAGES: u64 = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, images] = arguments.as_slice() else {
        return Err("name a directory and a number of images".into());
    };
    let (directory, images) = (Path::new(directory), images.parse()?);
    let start = Instant::now();
    fill(directory, images)?;
    report("filled and closed", start);

    let start = Instant::now();
    let store = Store::open(directory)?;
    report("opened", start);
    println!("{} bytes, {} of them are components", store.size_bytes(), images * 1280 * 2);
    let (space, _) = store.spaces()?.pop().ok_or("no space")?;
    let start = Instant::now();
    let mut read = 0u64;
    for entry in store.embeddings(space) {
        entry?;
        read += 1;
    }
    report(&format!("read {read} embeddings"), start);
    let start = Instant::now();
    println!(
        "{} records",
        store.images().map(|entry| entry.map(drop)).collect::<Result<Vec<_>, _>>()?.len()
    );
    report("read all image records", start);
    let start = Instant::now();
    println!(
        "{} locations",
        store.locations().map(|entry| entry.map(drop)).collect::<Result<Vec<_>, _>>()?.len()
    );
    report("read all locations", start);
    let start = Instant::now();
    drop(store);
    report("closed", start);
    Ok(())
}

fn report(what: &str, start: Instant) {
    println!("{what} in {:.3} s", start.elapsed().as_secs_f64());
}

fn fill(directory: &Path, images: u64) -> Result<(), Box<dyn std::error::Error>> {
    let compute = Compute { precision: Precision::Int8, ..Compute::default() };
    let encoder = Cnn::load(Model::EfficientNetLite0, None, &compute)?;
    let store = Store::create(directory)?;
    let space = store.write(|writer| writer.add_space(encoder.space()))?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for first in (0..images).step_by(BATCH_IMAGES as usize) {
        store.write(|writer| -> Result<(), StoreError> {
            for number in first..images.min(first + BATCH_IMAGES) {
                let id = writer.put_image(&record(number))?;
                let components =
                    (0..encoder.space().dimension).map(|_| random.gen_range(-1.0..1.0));
                let embedding = Embedding::normalize(components.collect())
                    .expect("random components are finite and not all zero");
                writer.put_embedding(space, id, &embedding)?;
                let path = format!("album-{:04}/image-{number:07}.jpg", number / 100);
                let stamp = FileStamp { size_bytes: 4_000_000 + number, modified_ns: 1 };
                let location = Location::from_bytes(path.into_bytes());
                let state = LocationState::Present(id);
                writer.put_location(&location, &LocationRecord { state, stamp })?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn record(number: u64) -> ImageRecord {
    ImageRecord {
        hash: ContentHash::of(&number.to_le_bytes()),
        width_px: 4000,
        height_px: 3000,
        size_bytes: 4_000_000 + number,
        format: "JPEG".to_owned(),
        orientation: 1,
        captured_at: Some("2024-05-06T07:08:09".to_owned()),
        camera: Some("Maker Model".to_owned()),
        classes: Vec::new(),
        position: None,
    }
}
