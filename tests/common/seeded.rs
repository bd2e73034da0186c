//! Weights and images from a generator that `fixtures/reference/seeded/make_golden.py` has as well.

use std::path::PathBuf;

use lookalike::inference::Model;
use lookalike::pixels::Pixels;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// Folder of the ranges of the weights and of the outputs that torch gave.
pub fn folder() -> PathBuf {
    super::reference().join("seeded")
}

/// The bytes of a safetensors file with the seeded weights of a network.
///
/// Names, shapes and ranges come from a file, so that they are those of torchvision.
pub fn weights(model: Model) -> Vec<u8> {
    let ranges = std::fs::read_to_string(folder().join("tensors.txt")).unwrap();
    let own = ranges.lines().filter(|line| line.split(' ').next() == Some(model.name()));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = own.map(tensor).collect();
    assert!(!tensors.is_empty(), "{} has no tensors", model.name());
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// The seeded image of a network: three slanted waves with noise on them.
pub fn image(model: Model) -> Pixels {
    let side = model.input_side_px();
    let seed = seed_of(&format!("{} image", model.name()));
    let byte = |index: u32| {
        let (channel, x, y) = (index % 3, index / 3 % side, index / 3 / side);
        let wave = ((x * (2 + channel) + y * (5 - channel)) % 510).abs_diff(255);
        ((wave * 3 + (number(seed, index) >> 24)) / 4) as u8
    };
    Pixels::from_rgb(side, side, (0..side * side * 3).map(byte).collect()).unwrap()
}

/// Name, shape and little-endian floats of the tensor that a line describes.
fn tensor(line: &str) -> (String, Vec<usize>, Vec<u8>) {
    let [network, name, shape, low, span] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line:?} has not five fields");
    };
    let shape: Vec<usize> = shape.split('x').map(|side| side.parse().unwrap()).collect();
    let (low, span): (f32, f32) = (low.parse().unwrap(), span.parse().unwrap());
    let seed = seed_of(&format!("{network} {name}"));
    let count = shape.iter().product::<usize>() as u32;
    // The factor and the cut to 24 bits are exact; the product and the sum round as numpy's do.
    let unit = |index| (number(seed, index) >> 8) as f32 * (1.0 / 16_777_216.0);
    let bytes = (0..count).flat_map(|index| (low + unit(index) * span).to_le_bytes()).collect();
    (name.to_owned(), shape, bytes)
}

/// FNV-1a of 32 bits.
fn seed_of(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One number of a stream: a counter through murmur3's finaliser.
fn number(seed: u32, index: u32) -> u32 {
    let mut x = index.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}
