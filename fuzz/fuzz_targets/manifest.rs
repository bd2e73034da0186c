//! `MANIFEST.json`: without a checksum, as the first versions wrote it, so that every field is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::store::{networks, serving_network};
use lookalike_fuzz::{file_of, judge_panics};

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    let path = file_of("MANIFEST.json", bytes);
    let directory = path.parent().expect("a folder");
    if let Ok(Some(chosen)) = serving_network(directory) {
        assert!(networks(directory).expect("what was read before").contains(&chosen));
    }
});
