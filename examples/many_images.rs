//! Makes a database of many images that do not exist, to measure what size costs.
//!
//! `cargo run --release --example many_images -- DIRECTORY IMAGES`: seeded unit vectors of the
//! built-in network's space, those of an album around a center of its own, in batches as `index`
//! stores them, then what opening, reading everything, a graph, and a first search take. A
//! directory that is there already is measured as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lookalike::inference::{Cnn, Compute, Encoder, InferenceError, Model, Precision};
use lookalike::record::{
    ContentHash, FileStamp, ImageId, ImageRecord, Location, LocationRecord, LocationState,
};
use lookalike::store::{Store, StoreError};
use lookalike::vector::Embedding;
use lookalike::{Database, GraphPolicy, Search};
use rand::Rng;
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

/// Images in a transaction, as `index` has it.
const BATCH_IMAGES: u64 = 16;

/// Images in a folder: photos of one occasion, which resemble each other.
const ALBUM_IMAGES: u64 = 100;

/// Part of the album's center in a vector; the rest is the image's own.
const ALBUM_SHARE: f32 = 0.7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, images] = arguments.as_slice() else {
        return Err("name a directory and a number of images".into());
    };
    let (directory, images) = (Path::new(directory), images.parse()?);
    let start = Instant::now();
    if !directory.exists() {
        fill(directory, images)?;
        report("filled and closed", start);
    }

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
    search(directory)
}

/// Builds the graph, then searches as a process does that was just started.
fn search(directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let encoder: Arc<dyn Encoder> = Arc::new(encoder()?);
    let database = Database::open(directory, Arc::clone(&encoder))?;
    let start = Instant::now();
    if let Some(graph) = database.update_graph(GraphPolicy::Auto, &|| false, &|_, _, _| ())? {
        report(&graph.to_string(), start);
    }
    drop(database);
    for exact in [false, true] {
        let start = Instant::now();
        let database = Database::open(directory, Arc::clone(&encoder))?;
        report("opened", start);
        for search in ["first", "second"] {
            let start = Instant::now();
            let options = Search { exact, ..Search::default() };
            let hits = database.search_image(ImageId(5), &options)?;
            report(&format!("{search} search, exact: {exact}, {} hits", hits.len()), start);
        }
        let start = Instant::now();
        drop(database);
        report("closed", start);
    }
    Ok(())
}

fn encoder() -> Result<Cnn, InferenceError> {
    let compute = Compute { precision: Precision::Int8, ..Compute::default() };
    Cnn::load(Model::EfficientNetLite0, None, &compute)
}

fn report(what: &str, start: Instant) {
    println!("{what} in {:.3} s", start.elapsed().as_secs_f64());
}

fn fill(directory: &Path, images: u64) -> Result<(), Box<dyn std::error::Error>> {
    let encoder = encoder()?;
    let store = Store::create(directory)?;
    let space = store.write(|writer| writer.add_space(encoder.space()))?;
    for first in (0..images).step_by(BATCH_IMAGES as usize) {
        store.write(|writer| -> Result<(), StoreError> {
            for number in first..images.min(first + BATCH_IMAGES) {
                let id = writer.put_image(&record(number))?;
                let embedding = embedding(number, encoder.space().dimension as usize);
                writer.put_embedding(space, id, &embedding)?;
                let album = number / ALBUM_IMAGES;
                let path = format!("album-{album:04}/image-{number:07}.jpg");
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

fn embedding(number: u64, dimension: usize) -> Embedding {
    let album = components(number / ALBUM_IMAGES, dimension);
    let own = components(u64::MAX - number, dimension);
    let mixed = album.zip(own).map(|(album, own)| ALBUM_SHARE * album + (1.0 - ALBUM_SHARE) * own);
    Embedding::normalize(mixed.collect()).expect("random components are finite and not all zero")
}

fn components(seed: u64, dimension: usize) -> impl Iterator<Item = f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..dimension).map(move |_| random.gen_range(-1.0..1.0))
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
