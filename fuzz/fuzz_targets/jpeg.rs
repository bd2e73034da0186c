//! JPEG: whole, and reduced to every scale.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use lookalike_fuzz::{decode_checked, judge_panics};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    judge_panics();
    if !bytes.starts_with(b"\xFF\xD8\xFF") {
        return Corpus::Reject;
    }
    let Ok(whole) = decode_checked(bytes, u32::MAX) else {
        // What the library refuses may still be read reduced: parts of it are passed over.
        let _ = decode_checked(bytes, 1);
        return Corpus::Keep;
    };
    let shorter_px = whole.width_px.min(whole.height_px);
    for divisor in [8, 4, 2] {
        let reduced = decode_checked(bytes, (shorter_px / divisor).max(1));
        assert!(reduced.is_ok(), "the whole image was read, and 1/{divisor} of it was not");
    }
    Corpus::Keep
});
