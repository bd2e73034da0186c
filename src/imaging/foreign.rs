//! Puts a name to files that cannot be decoded, so that the report says more than "unknown".

use super::ImagingError;

/// Puts a name to bytes that are no supported format, so that the report is of use.
pub(super) fn describe(bytes: &[u8]) -> ImagingError {
    for Signature { offset, magic, kind } in SIGNATURES {
        if bytes.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            return match *kind {
                Kind::Image(found) => ImagingError::UnsupportedFormat { found },
                Kind::Other(found) => ImagingError::NotAnImage { found },
            };
        }
    }
    describe_plain(bytes)
}

/// A magic number at an offset, and what a file is that has it.
struct Signature {
    offset: usize,
    magic: &'static [u8],
    kind: Kind,
}

enum Kind {
    Image(&'static str),
    Other(&'static str),
}

const fn image(offset: usize, magic: &'static [u8], name: &'static str) -> Signature {
    let kind = Kind::Image(name);
    Signature { offset, magic, kind }
}

const fn other(offset: usize, magic: &'static [u8], name: &'static str) -> Signature {
    let kind = Kind::Other(name);
    Signature { offset, magic, kind }
}

/// The first match counts, so the general follow the special.
const SIGNATURES: &[Signature] = &[
    image(4, b"ftypmif1", "HEIF"),
    image(4, b"ftypmsf1", "HEIF"),
    other(4, b"ftypqt  ", "a QuickTime video"),
    other(4, b"ftyp", "an MP4 video"),
    other(4, b"moov", "a QuickTime video"),
    other(4, b"mdat", "a QuickTime video"),
    image(0, b"\0\0\0\x0CjP  ", "JPEG 2000"),
    image(0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    image(0, b"8BPS", "Photoshop (PSD)"),
    image(0, b"gimp xcf", "GIMP (XCF)"),
    image(0, b"\x76\x2F\x31\x01", "OpenEXR"),
    image(0, b"#?RADIANCE", "Radiance HDR"),
    image(0, b"DDS ", "DDS"),
    image(0, b"qoif", "QOI"),
    image(0, b"\0\0\x01\0", "ICO"),
    image(0, b"P5\n", "PGM"),
    image(0, b"P6\n", "PPM"),
    other(0, b"%PDF", "a PDF document"),
    other(0, b"%!PS", "a PostScript document"),
    other(0, b"\x1A\x45\xDF\xA3", "a Matroska or WebM video"),
    other(8, b"AVI ", "an AVI video"),
    other(8, b"WAVE", "a WAV sound"),
    other(0, b"\0\0\x01\xBA", "an MPEG video"),
    other(0, b"FLV\x01", "a Flash video"),
    other(0, b"ID3", "an MP3 sound"),
    other(0, b"PK\x03\x04", "a ZIP archive"),
    other(0, b"\x1F\x8B", "a gzip archive"),
    other(0, b"Rar!", "a RAR archive"),
    other(0, b"7z\xBC\xAF", "a 7-Zip archive"),
    other(0, b"SQLite format 3\0", "an SQLite database"),
    other(0, b"\x7FELF", "a program"),
    other(0, b"\0\x05\x16\x07", "a macOS resource file"),
    other(0, b"version https://git-lfs", "a Git LFS pointer without its content"),
];

/// How much of a file without a magic number is looked at.
const TEXT_SAMPLE_BYTES: usize = 1024;

fn describe_plain(bytes: &[u8]) -> ImagingError {
    let sample = &bytes[..bytes.len().min(TEXT_SAMPLE_BYTES)];
    if bytes.iter().all(|byte| *byte == 0) {
        // A failed copy often leaves a file of the right length, full of zeros.
        return ImagingError::NotAnImage { found: "only zero bytes" };
    }
    match text_start(sample) {
        Some(text) if text.contains("<svg") => ImagingError::UnsupportedFormat { found: "SVG" },
        Some(text) if text.contains("<html") || text.contains("<!doctype html") => {
            ImagingError::NotAnImage { found: "a web page" }
        }
        Some(_) => ImagingError::NotAnImage { found: "text" },
        None => ImagingError::UnknownFormat { first_bytes: sample[..sample.len().min(8)].to_vec() },
    }
}

/// Gives the sample in lower case if it reads as UTF-8 text; its last character may be cut.
fn text_start(sample: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(sample) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&sample[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_binary = |c: char| c.is_control() && !c.is_whitespace();
    (!text.is_empty() && !text.contains(is_binary)).then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files_are_called_by_their_names() {
        let cases: [(&[u8], &str); 9] = [
            (b"\0\0\0\x18ftypmif1\0\0\0\0mif1jpeg", "HEIF is not"),
            (b"\0\0\0\x14ftypisom\0\0\x02\0", "found an MP4 video"),
            (b"%PDF-1.7\n", "found a PDF document"),
            (b"<?xml version=\"1.0\"?>\n<svg width=\"1\">", "SVG is not"),
            (b"<!DOCTYPE html>\n<html>", "found a web page"),
            (b"PK\x03\x04", "found a ZIP archive"),
            (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            (b"just a note to myself\n", "found text"),
            (&[0; 64], "found only zero bytes"),
        ];
        for (bytes, expected) in cases {
            let message = describe(bytes).to_string();
            assert!(message.contains(expected), "{message:?} lacks {expected:?}");
        }
    }

    #[test]
    fn text_cut_inside_a_character_is_still_text() {
        let mut text = "a".repeat(TEXT_SAMPLE_BYTES - 1);
        text.push('\u{e9}');
        assert!(matches!(describe(text.as_bytes()), ImagingError::NotAnImage { found: "text" }));
    }

    #[test]
    fn unknown_bytes_come_back_in_the_error() {
        let bytes = [0x13, 0x37, 0, 1, 2, 3, 4, 5, 6];
        let ImagingError::UnknownFormat { first_bytes } = describe(&bytes) else {
            panic!("these bytes belong to no format");
        };
        assert_eq!(first_bytes, bytes[..8]);
    }
}
