//! Weights from a generator of whole numbers that the scripts in `fixtures/reference` have as well.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// The bytes of a safetensors file with the weights of a network, of which `ranges` has a line for
/// each tensor: network, name, shape, lowest value, span of values.
pub fn weights(ranges: &str, network: &str) -> Vec<u8> {
    let own = ranges.lines().filter(|line| line.split(' ').next() == Some(network));
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = own.map(tensor).collect();
    assert!(!tensors.is_empty(), "{network} has no tensors");
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
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
pub fn seed_of(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One number of a stream: a counter through murmur3's finaliser.
pub fn number(seed: u32, index: u32) -> u32 {
    let mut x = index.wrapping_mul(0x9E37_79B9).wrapping_add(seed);
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}
