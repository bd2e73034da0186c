//! Weights and images from a generator that `fixtures/reference/seeded/make_golden.py` has as well.

use std::path::PathBuf;

use lookalike::inference::Model;
use lookalike::pixels::Pixels;

use super::generator::{self, number, seed_of};

/// Folder of the ranges of the weights and of the outputs that torch gave.
pub fn folder() -> PathBuf {
    super::reference().join("seeded")
}

/// The bytes of a safetensors file with the seeded weights of a network.
///
/// Names, shapes and ranges come from a file, so that they are those of torchvision.
pub fn weights(model: Model) -> Vec<u8> {
    let ranges = std::fs::read_to_string(folder().join("tensors.txt")).unwrap();
    generator::weights(&ranges, model.name())
}

/// The seeded image of an encoder, of the size that it takes.
pub fn image(model: Model) -> Pixels {
    image_of(model.name(), model.input_side_px())
}

/// The seeded image of a network: three slanted waves with noise on them.
pub fn image_of(network: &str, side: u32) -> Pixels {
    let seed = seed_of(&format!("{network} image"));
    let byte = |index: u32| {
        let (channel, x, y) = (index % 3, index / 3 % side, index / 3 / side);
        let wave = ((x * (2 + channel) + y * (5 - channel)) % 510).abs_diff(255);
        ((wave * 3 + (number(seed, index) >> 24)) / 4) as u8
    };
    Pixels::from_rgb(side, side, (0..side * side * 3).map(byte).collect()).unwrap()
}
