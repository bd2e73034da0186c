//! The library without the program: encoders of the caller's, and long random lives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{ColourGrid, Random, age, folder_with};
use lookalike::inference::{Cnn, Encoder};
use lookalike::record::ContentHash;
use lookalike::{Control, Database, Filter, IndexOptions, IngestReport, Search};

fn index(database: &Database, folder: &Path) -> IngestReport {
    let folders = [folder.canonicalize().unwrap()];
    database.index(&folders, &IndexOptions::default(), Control::default()).unwrap()
}

#[test]
fn scores_are_the_cosines_of_the_embeddings_of_the_callers_encoder() {
    let folder = folder_with(&["tools", "fish", "animals"]);
    let database = Database::create(&folder.path().join("db"), ColourGrid::new()).unwrap();
    let report = index(&database, folder.path());
    assert_eq!(report.added, 14);
    let images = database.images(&Filter::default()).unwrap();
    let query = database.embedding(images[0].id).unwrap();
    let hits = database.search_image(images[0].id, &Search::default()).unwrap();
    assert_eq!(hits.len(), 10);
    for hit in hits {
        let other = database.embedding(hit.id).unwrap();
        let cosine: f32 = query.as_slice().iter().zip(other.as_slice()).map(|(a, b)| a * b).sum();
        assert!((hit.score - cosine).abs() < 1e-5, "{} {cosine}", hit.score);
    }
}

#[test]
fn another_encoder_is_another_space_beside_the_first() {
    let folder = folder_with(&["tools", "fish"]);
    let directory = folder.path().join("db");
    let hits = |database: &Database| {
        let id = database.images(&Filter::default()).unwrap()[0].id;
        database.search_image(id, &Search::default()).unwrap()
    };
    let first = Database::create(&directory, ColourGrid::new()).unwrap();
    assert_eq!(index(&first, folder.path()).embedded, 4);
    let before = hits(&first);
    drop(first);

    let network: Arc<dyn Encoder> = Arc::new(Cnn::embedded().unwrap());
    let second = Database::open(&directory, network).unwrap();
    assert!(second.images(&Filter::default()).unwrap().is_empty(), "nothing is embedded yet");
    assert!(!second.verify(10).unwrap().problems.is_empty(), "verify says what is missing");
    let report = index(&second, folder.path());
    assert_eq!((report.embedded, report.added), (4, 0), "{report:?}");
    assert_eq!(second.verify(10).unwrap().problems, [""; 0]);
    drop(second);

    let first = Database::open(&directory, ColourGrid::new()).unwrap();
    assert_eq!(index(&first, folder.path()).embedded, 0);
    assert_eq!(hits(&first), before);
}

/// A folder of tiny images, and the map that says what must be known of it.
struct Life {
    folder: tempfile::TempDir,
    expected: BTreeMap<PathBuf, ContentHash>,
    random: Random,
    next: u32,
}

impl Life {
    fn random_path(&mut self) -> Option<PathBuf> {
        let count = self.expected.len() as u64;
        let index = (count > 0).then(|| self.random.below(count))? as usize;
        self.expected.keys().nth(index).cloned()
    }

    fn new_path(&mut self) -> PathBuf {
        self.next += 1;
        let folder = self.folder.path().join(format!("folder {}", self.random.below(3)));
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(format!("{}.png", self.next))
    }

    /// Writes an image of random colours.
    fn paint(&mut self, path: &Path) {
        let mut image = image::RgbImage::new(8, 8);
        for pixel in image.pixels_mut() {
            *pixel = image::Rgb([0; 3].map(|_: u8| self.random.below(256) as u8));
        }
        image.save(path).unwrap();
        age(path);
        let hash = ContentHash::of(&std::fs::read(path).unwrap());
        self.expected.insert(path.to_owned(), hash);
    }

    fn step(&mut self) {
        match (self.random.below(6), self.random_path()) {
            (0, Some(path)) => {
                std::fs::remove_file(&path).unwrap();
                self.expected.remove(&path);
            }
            (1, Some(path)) => {
                let target = self.new_path();
                std::fs::rename(&path, &target).unwrap();
                let hash = self.expected.remove(&path).unwrap();
                self.expected.insert(target, hash);
            }
            (2, Some(path)) => {
                let target = self.new_path();
                std::fs::copy(&path, &target).unwrap();
                age(&target);
                self.expected.insert(target, self.expected[&path]);
            }
            (3, Some(path)) => self.paint(&path),
            _ => {
                let path = self.new_path();
                self.paint(&path);
            }
        }
    }

    fn check(&self, database: &Database) {
        let images = database.images(&Filter::default()).unwrap();
        let found: BTreeMap<PathBuf, ContentHash> = images
            .iter()
            .flat_map(|image| {
                let home = database.home();
                image.locations.iter().map(move |at| (at.to_path(home), image.record.hash))
            })
            .collect();
        assert_eq!(found, self.expected);
        for image in &images {
            let embedding = database.embedding(image.id).unwrap();
            let hits = database.search_embedding(&embedding, &Search::default()).unwrap();
            assert_eq!(hits[0].id, image.id, "an image is its own nearest neighbor");
            assert_eq!(hits.len(), images.len().min(10));
        }
        assert_eq!(database.verify(100).unwrap().problems, [""; 0]);
    }
}

#[test]
fn a_long_life_of_changes_leaves_what_a_plain_map_says() {
    let seed = 99;
    println!("seed {seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut life = Life { folder, expected: BTreeMap::new(), random: Random(seed), next: 0 };
    let folder = life.folder.path().canonicalize().unwrap();
    let directory = folder.join(".lookalike");
    let mut database = Database::create(&directory, ColourGrid::new()).unwrap();
    for round in 0..40 {
        for _ in 0..=life.random.below(5) {
            life.step();
        }
        if life.expected.is_empty() {
            continue;
        }
        let report = index(&database, &folder);
        assert_eq!(report.failed, [], "round {round}");
        life.check(&database);
        if life.random.below(4) == 0 {
            drop(database);
            database = Database::open(&directory, ColourGrid::new()).unwrap();
        }
    }
    assert!(life.next > 30);
}
