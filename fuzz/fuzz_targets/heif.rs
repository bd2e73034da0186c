//! HEIC and AVIF: the container, and the decoders of HEVC and AV1 in it.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use lookalike::imaging::is_image_start;
use lookalike_fuzz::{decode_checked, judge_panics};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    judge_panics();
    let is_box = bytes.get(4..8) == Some(b"ftyp") && bytes.get(8..12) != Some(b"crx ");
    if !is_box || !is_image_start(bytes) {
        return Corpus::Reject;
    }
    let _ = decode_checked(bytes, 64);
    Corpus::Keep
});
