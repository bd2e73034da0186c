//! What the tests share: folders of real photos, the program, an encoder that is quick.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

pub mod generator;
pub mod http;
pub mod roots;
pub mod seeded;
pub mod watching;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use lookalike::inference::{Encoder, InferenceError};
use lookalike::pixels::Pixels;
use lookalike::record::{ContentHash, Space};
use lookalike::vector::Embedding;
use serde_json::Value;
use tempfile::TempDir;

/// Folder of the photos that belong to the repository.
pub fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos")
}

/// Folder of what other programs computed, for comparison.
pub fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference")
}

/// A fresh folder with copies of all photos of some fixture folders.
///
/// Their times lie in the past, as those of real photos do.
pub fn folder_with(groups: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for group in groups {
        copy_folder(&photos().join(group), &folder.path().join(group));
    }
    folder
}

/// Copies the files of a folder, all of them an hour old.
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
            age(&target);
        }
    }
}

/// Sets the modification time of a file to an hour ago.
pub fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    file.set_modified(std::time::SystemTime::now() - hour).unwrap();
}

/// The program, ready to run in a folder without any setting of the tester's.
pub fn lookalike(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookalike"));
    command.current_dir(folder).env_remove("LOOKALIKE_DB");
    command.env_remove("LOOKALIKE_PRECISION").env_remove("LOOKALIKE_CPU");
    command.env("XDG_DATA_HOME", folder.join(".xdg-data"));
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    lookalike(folder).args(arguments).output().unwrap()
}

/// Runs the program, which must succeed, and gives its standard output.
pub fn run_ok(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}{said}", stderr(&output));
    said
}

/// Runs the program with `--json`, which must succeed, and gives its lines.
pub fn run_json(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let mut all = arguments.to_vec();
    all.push("--json");
    json_lines(&run_ok(folder, &all))
}

/// Parses one JSON value a line.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the program said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Everything that the database of a folder holds, embeddings and numbers included.
pub fn content(folder: &Path) -> String {
    let images = run_ok(folder, &["list", "--json", "--embeddings"]);
    let failed = run(folder, &["list", "--json", "--failed"]);
    images + &String::from_utf8(failed.stdout).unwrap()
}

/// Writes a small image of random colours, and gives its hash.
pub fn paint(path: &Path, random: &mut Random) -> String {
    let mut image = image::RgbImage::new(8, 8);
    for pixel in image.pixels_mut() {
        *pixel = image::Rgb([0; 3].map(|_: u8| random.below(256) as u8));
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
    ContentHash::of(&std::fs::read(path).unwrap()).to_string()
}

/// A small generator for choosing places and moments; the seed is printed by the test.
pub struct Random(pub u64);

impl Random {
    /// The next number below `end` (splitmix64).
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// An encoder that reduces an image to a grid of mean colours: deterministic,
/// quick, and alike for images that look alike.
pub struct ColourGrid {
    space: Space,
    classes: Vec<String>,
}

impl ColourGrid {
    const CELLS: u32 = 4;
    const SIDE_PX: u32 = 16;

    pub fn new() -> Arc<Self> {
        Self::named("colour-grid")
    }

    /// The same under another name, whose space is another one.
    pub fn named(model: &str) -> Arc<Self> {
        let cells = Self::CELLS * Self::CELLS;
        Arc::new(Self {
            space: Space {
                name: "content".to_owned(),
                model: model.to_owned(),
                weights_digest: "none".to_owned(),
                preprocessing: "whole image squashed to 16 x 16".to_owned(),
                dimension: cells * 3,
            },
            classes: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        })
    }

    fn cells(pixels: &Pixels) -> Vec<f32> {
        let (side, cell) = (Self::SIDE_PX as usize, (Self::SIDE_PX / Self::CELLS) as usize);
        let mut sums = vec![1f32; (Self::CELLS * Self::CELLS * 3) as usize];
        for (index, rgb) in pixels.rgb().chunks_exact(3).enumerate() {
            let (x, y) = (index % side / cell, index / side / cell);
            for (channel, value) in rgb.iter().enumerate() {
                sums[(y * Self::CELLS as usize + x) * 3 + channel] += f32::from(*value);
            }
        }
        sums
    }
}

impl Encoder for ColourGrid {
    fn space(&self) -> &Space {
        &self.space
    }

    fn input_side_px(&self) -> u32 {
        Self::SIDE_PX
    }

    fn embed(&self, inputs: &[Pixels]) -> Result<Vec<Embedding>, InferenceError> {
        inputs
            .iter()
            .map(|input| {
                Embedding::normalize(Self::cells(input))
                    .map_err(|source| InferenceError::Output { source })
            })
            .collect()
    }

    fn embed_and_classify(
        &self,
        inputs: &[Pixels],
    ) -> Result<Vec<(Embedding, Vec<f32>)>, InferenceError> {
        let shares = inputs.iter().map(|input| {
            let cells = Self::cells(input);
            let total: f32 = cells.iter().sum();
            let share = |channel| cells.iter().skip(channel).step_by(3).sum::<f32>() / total;
            vec![share(0), share(1), share(2)]
        });
        Ok(self.embed(inputs)?.into_iter().zip(shares).collect())
    }

    fn class_names(&self) -> &[String] {
        &self.classes
    }
}
