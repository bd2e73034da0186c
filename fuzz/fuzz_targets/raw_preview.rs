//! Camera raw: the search for the preview in every kind of container, and the preview itself.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use lookalike::imaging::{ImageFormat, probe};
use lookalike_fuzz::{decode_checked, judge_panics};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    judge_panics();
    match probe(bytes) {
        Ok(header) if header.format != ImageFormat::Raw => Corpus::Reject,
        Ok(_) => {
            let _ = decode_checked(bytes, 64);
            Corpus::Keep
        }
        Err(_) => Corpus::Keep,
    }
});
