//! Damages real files, and compares what the two ways of reading say of them.

use super::super::sample::Random;
use super::{DecodeLimits, decode, decode_at_least, scaled};

/// Real photos, small enough to be read a thousand times.
fn photos() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
    let mut folders = vec![folder];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jpg") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut files: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    files.sort_by_key(Vec::len);
    files.truncate(20);
    files
}

/// Flips bits, overwrites, cuts out, doubles and cuts off, in the headers as often as in the data.
fn damage(file: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..=random.below(3) {
        let end = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(700) };
        let start = random.below(end);
        let length = random.below(40).min(bytes.len() - start);
        match random.below(6) {
            0 | 1 => bytes[start] ^= 1 << random.below(8),
            2 => bytes[start..start + length].fill([0, 0xFF][random.below(2)]),
            3 => drop(bytes.drain(start..start + length)),
            4 => {
                let part = bytes[start..start + length].to_vec();
                bytes.splice(start..start, part);
            }
            _ => bytes.truncate(bytes.len() - random.below(bytes.len() / 4)),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn a_thousand_damaged_photos_are_read_or_reported() {
    let seed = 20_261_125;
    println!("seed {seed}");
    let mut random = Random(seed);
    let limits = DecodeLimits { pixels_max: 4_000_000, memory_bytes_max: 64 << 20 };
    let photos = photos();
    assert!(photos.len() >= 10);
    let (mut read, mut reported) = (0, 0);
    for round in 0..1000 {
        let bytes = damage(&photos[round % photos.len()], &mut random);
        let side_min = [30, 60, 120, 250][random.below(4)];
        match decode_at_least(&bytes, &limits, side_min) {
            Ok((pixels, header)) => {
                assert!(pixels.width_px() <= header.width_px);
                read += 1;
            }
            Err(_) => reported += 1,
        }
    }
    println!("{read} read, {reported} reported");
    assert!(read > 100 && reported > 100, "{read} read, {reported} reported");
}

/// Whatever the reduced reader takes of a sequential file is sound for the strict library, too.
#[test]
fn damage_that_the_library_finds_is_found() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = Random(seed);
    let limits = DecodeLimits { pixels_max: 4_000_000, memory_bytes_max: 64 << 20 };
    let photos = photos();
    let mut taken = 0;
    for round in 0..300 {
        let bytes = damage(&photos[round % photos.len()], &mut random);
        let is_progressive = bytes.windows(2).any(|two| two == [0xFF, 0xC2]);
        if is_progressive || scaled::decode(&bytes, &limits, 60).is_none() {
            continue;
        }
        taken += 1;
        if let Err(error) = decode(&bytes, &limits) {
            panic!("round {round}: taken, but {error:?}");
        }
    }
    assert!(taken > 30, "{taken}");
}
