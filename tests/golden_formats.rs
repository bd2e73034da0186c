//! Files of every format, made and read by other programs: the same size, colours and fields.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::Random;
use lookalike::imaging::{DecodeLimits, DecodedImage, ImageFormat, decode, probe, read_exif};
use serde::Deserialize;

/// What another program found in a file.
#[derive(Deserialize)]
struct Expected {
    format: String,
    width: u32,
    height: u32,
    orientation: u8,
    quarters: [[u8; 3]; 4],
    tolerance: u8,
    exif: Fields,
}

/// What exiftool read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fields {
    orientation: Option<u8>,
    make: Option<String>,
    model: Option<String>,
    date_time_original: Option<String>,
    #[serde(rename = "GPSLatitude")]
    latitude: Option<f64>,
    #[serde(rename = "GPSLongitude")]
    longitude: Option<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats")
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn decoded(name: &str) -> DecodedImage {
    decode(&read(name), &DecodeLimits::default()).unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        panic!("{name}: {error} {cause:?}")
    })
}

/// The colours in the middle of the quarters, upper row first.
fn quarters(image: &DecodedImage) -> [[u8; 3]; 4] {
    let (width, height) = (image.pixels.width_px() as usize, image.pixels.height_px() as usize);
    [(1, 1), (3, 1), (1, 3), (3, 3)].map(|(x, y)| {
        let start = (y * height / 4 * width + x * width / 4) * 3;
        image.pixels.rgb()[start..start + 3].try_into().unwrap()
    })
}

#[test]
fn sizes_and_colours_are_those_of_other_decoders() {
    let expected = expected();
    for (name, expected) in &expected {
        let image = decoded(name);
        assert_eq!(image.format.name(), expected.format, "{name}");
        assert_eq!((image.width_px, image.height_px), (expected.width, expected.height), "{name}");
        assert_eq!(image.orientation, expected.orientation, "{name}");
        let found = quarters(&image);
        let pairs = found.as_flattened().iter().zip(expected.quarters.as_flattened());
        let furthest = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(
            furthest <= expected.tolerance,
            "{name}: {furthest} levels between {found:?} and {:?}",
            expected.quarters
        );
    }
    assert!(expected.len() >= 50, "{} files", expected.len());
}

#[test]
fn fields_are_those_that_exiftool_reads() {
    for (name, Expected { exif: expected, .. }) in expected() {
        let found = decoded(&name).exif;
        assert_eq!(found.orientation, expected.orientation, "{name}");
        assert_eq!(found.camera_make, expected.make, "{name}");
        assert_eq!(found.camera_model, expected.model, "{name}");
        // exiftool writes 2024:05:06 07:08:09.
        let time = expected.date_time_original.map(|time| {
            let (date, clock) = time.split_once(' ').unwrap();
            format!("{}T{clock}", date.replace(':', "-"))
        });
        assert_eq!(found.captured_at.map(|time| time.to_string()), time, "{name}");
        let place = expected.latitude.zip(expected.longitude);
        assert_eq!(found.position.is_some(), place.is_some(), "{name}");
        if let (Some(found), Some((latitude, longitude))) = (found.position, place) {
            assert!((found.latitude - latitude).abs() < 1e-6, "{name}: {found:?}");
            assert!((found.longitude - longitude).abs() < 1e-6, "{name}: {found:?}");
        }
    }
}

#[test]
fn every_format_has_a_file() {
    let has_file =
        |format: ImageFormat| expected().values().any(|file| file.format == format.name());
    // GIF and BMP have neither profiles nor fields; other tests read theirs.
    let rest = [ImageFormat::Gif, ImageFormat::Bmp];
    for format in ImageFormat::ALL.into_iter().filter(|format| !rest.contains(format)) {
        assert!(has_file(format), "{format}");
    }
}

#[test]
fn headers_alone_tell_the_stored_size() {
    for (name, expected) in expected() {
        let header = probe(&read(&name)).unwrap();
        assert_eq!(header.format.name(), expected.format, "{name}");
        let is_cropped = name == "cropped.avif";
        let mut stored = [header.width_px, header.height_px];
        let mut upright = [expected.width, expected.height];
        // Which of the sides is the width depends on the turn.
        stored.sort_unstable();
        upright.sort_unstable();
        assert_eq!(stored == upright, !is_cropped, "{name}: {stored:?} {upright:?}");
    }
}

/// Damage done to each file here; a longer run sets `LOOKALIKE_DAMAGE_CASES`.
const DAMAGE_CASES: u64 = 40;

/// A file that is damaged may be read or reported; it must not panic outside of the guard around
/// the decoders, hang, or take memory without bound. Damage goes into the first bytes more often:
/// there are the offsets that lead to previews and fields.
#[test]
fn damaged_files_of_every_format_are_read_or_reported() {
    let seed = std::env::var("LOOKALIKE_DAMAGE_SEED").map_or(7, |seed| seed.parse().unwrap());
    let cases = std::env::var("LOOKALIKE_DAMAGE_CASES")
        .map_or(DAMAGE_CASES, |cases| cases.parse().unwrap());
    println!("seed {seed}, {cases} cases for each file");
    let mut random = Random(seed);
    let limits = DecodeLimits { pixels_max: 4_000_000, memory_bytes_max: 256 << 20 };
    let (mut read, mut slowest) = (0, (Duration::ZERO, String::new()));
    let mut reported = BTreeMap::<String, u64>::new();
    for name in expected().into_keys() {
        let original = std::fs::read(folder().join(&name)).unwrap();
        for _ in 0..cases {
            let bytes = damaged(&original, &mut random);
            let start = Instant::now();
            let _ = probe(&bytes);
            let _ = read_exif(&bytes);
            match decode(&bytes, &limits) {
                Ok(image) => {
                    assert!(u64::from(image.width_px) * u64::from(image.height_px) <= 4_000_000);
                    read += 1;
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    let panicked = cause.is_some_and(|cause| cause.contains("panicked"));
                    let kind = format!("{error:?}");
                    let kind = kind.split([' ', '(']).next().unwrap();
                    let kind = if panicked { "panicked within the guard" } else { kind };
                    *reported.entry(kind.to_owned()).or_default() += 1;
                }
            }
            if start.elapsed() > slowest.0 {
                slowest = (start.elapsed(), name.clone());
            }
        }
    }
    println!("{read} read, {reported:?} reported, slowest {slowest:?}");
    assert!(slowest.0 < Duration::from_secs(60), "{slowest:?}");
    assert!(read > 0 && reported.len() > 3, "{read} {reported:?}");
}

fn damaged(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(6) {
        let end = if random.below(2) == 0 { bytes.len() as u64 } else { 512 };
        let position = random.below(end.min(bytes.len() as u64)) as usize;
        match random.below(4) {
            0 => bytes[position] ^= 1 << random.below(8),
            1 => bytes[position] = [0, 1, 0x7F, 0x80, 0xFF][random.below(5) as usize],
            // A number of four bytes at the ends of its range, or somewhere in the file.
            2 => {
                let number = [0, 1, u32::MAX, 1 << 31, random.below(original.len() as u64) as u32];
                let number = number[random.below(5) as usize];
                let number =
                    if random.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let length = bytes.len().min(position + 4) - position;
                bytes[position..][..length].copy_from_slice(&number[..length]);
            }
            // A part of the file at another place.
            _ => {
                let length = (random.below(32) as usize).min(bytes.len() - position);
                let from = random.below((bytes.len() - length + 1) as u64) as usize;
                bytes.copy_within(from..from + length, position);
            }
        }
    }
    if random.below(4) == 0 {
        bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
    }
    bytes
}
