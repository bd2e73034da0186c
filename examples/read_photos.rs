//! Times how long photos take from the bytes of their files to the square that a network takes.
//!
//! `cargo run --release --example read_photos -- FOLDER [SECONDS] [SIDE_MIN]`: ms an image on one
//! thread, the median of rounds over up to 40 files, whole and reduced in turn.

use std::path::Path;
use std::time::{Duration, Instant};

use lookalike::imaging::{DecodeLimits, decode_at_least, side_needed_px, squash};

const FILES_MAX: usize = 40;
const SIDE_PX: u32 = 224;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder of photos")?;
    let seconds = arguments.next().map_or(Ok(5.0), |text| text.parse())?;
    let side_min = arguments.next().map_or(Ok(side_needed_px(SIDE_PX)), |text| text.parse())?;
    let files = read(Path::new(&folder))?;
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("{} files of {:.2} MB", files.len(), bytes as f64 / 1e6 / files.len() as f64);
    let mut ways = [
        ("whole, squashed", u32::MAX, true, Vec::new()),
        ("reduced", side_min, false, Vec::new()),
        ("reduced, squashed", side_min, true, Vec::new()),
    ];
    let start = Instant::now();
    while ways[0].3.len() < 2 || start.elapsed().as_secs_f64() < seconds {
        for (_, side_min, squashed, times) in &mut ways {
            times.push(round(&files, *side_min, *squashed)?);
        }
    }
    for (name, _, _, mut times) in ways {
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64() * 1e3 / files.len() as f64;
        println!("{name:<18} {median:>7.2} ms");
    }
    Ok(())
}

fn read(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().take(FILES_MAX).map(std::fs::read).collect()
}

fn round(
    files: &[Vec<u8>],
    side_min: u32,
    squashed: bool,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let start = Instant::now();
    for bytes in files {
        let image = decode_at_least(bytes, &DecodeLimits::default(), side_min)?;
        if squashed {
            std::hint::black_box(squash(&image.pixels, SIDE_PX));
        }
    }
    Ok(start.elapsed())
}
