//! EXIF: of a file of any format, and of the bytes taken for the fields themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::imaging::read_exif;
use lookalike_fuzz::judge_panics;

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    for summary in [read_exif(bytes), read_exif(&in_jpeg(bytes))] {
        assert!(summary.orientation.is_none_or(|orientation| (1..=8).contains(&orientation)));
        if let Some(at) = summary.captured_at {
            assert!((1..=9999).contains(&at.year) && (1..=12).contains(&at.month), "{at}");
        }
        if let Some(position) = summary.position {
            assert!(position.latitude.abs() <= 90.0 && position.longitude.abs() <= 180.0);
        }
    }
});

/// Puts fields into the segment of a JPEG that holds them.
fn in_jpeg(fields: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"Exif\0\0";
    let fields = &fields[..fields.len().min(65_000)];
    let length = (2 + PREFIX.len() + fields.len()) as u16;
    [b"\xFF\xD8\xFF\xE1", &length.to_be_bytes()[..], PREFIX, fields, b"\xFF\xD9"].concat()
}
