//! What the targets share: small limits, a judgement of panics, a folder for files.

use std::collections::BTreeSet;
use std::panic;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{LazyLock, Mutex, Once};

use lookalike::imaging::{DecodeLimits, DecodedImage, ImagingError, decode_at_least};

/// Limits that no input can make slow to reach.
pub const LIMITS: DecodeLimits =
    DecodeLimits { pixels_max: 1 << 18, memory_bytes_max: 64 << 20 };

/// Forgives panics of the decoders of others, which `imaging` turns into errors, and ends the
/// program at our own.
///
/// Each place of others is named once. What cannot be unwound ends the program as it would there.
pub fn judge_panics() {
    static ONCE: Once = Once::new();
    static PLACES: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let is_ours = !place.contains("/registry/") && !place.contains("/rustc/");
            let is_new = PLACES.lock().is_ok_and(|mut places| places.insert(place));
            if is_ours || is_new {
                eprintln!("{}: {panic}", if is_ours { "panic" } else { "foreign panic" });
            }
            if is_ours {
                process::abort();
            }
        }));
    });
}

/// Reads an image, and checks what is promised of its size.
///
/// # Panics
/// If a promise is broken.
pub fn decode_checked(bytes: &[u8], side_min_px: u32) -> Result<DecodedImage, ImagingError> {
    let decoded = decode_at_least(bytes, &LIMITS, side_min_px)?;
    let full_px = [decoded.width_px, decoded.height_px];
    let read_px = [decoded.pixels.width_px(), decoded.pixels.height_px()];
    let needed_px = side_min_px.min(full_px[0]).min(full_px[1]);
    assert!(read_px[0].min(read_px[1]) >= needed_px, "{read_px:?} of {full_px:?}");
    assert!(read_px[0] <= full_px[0] && read_px[1] <= full_px[1], "{read_px:?} of {full_px:?}");
    Ok(decoded)
}

/// Writes a file that a parser wants to open, in memory where the system has a place for that.
///
/// # Panics
/// If the file cannot be written.
pub fn file_of(name: &str, bytes: &[u8]) -> PathBuf {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let made = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        made.expect("a folder for files")
    });
    let path = FOLDER.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    path
}
