//! Records of the store, with a checksum that fits: the first byte is the length of the key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::store::fuzzing;
use lookalike_fuzz::judge_panics;

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    let Some((length, bytes)) = bytes.split_first() else { return };
    let (key, payload) = bytes.split_at(usize::from(*length).min(bytes.len()));
    fuzzing::read_record(key, payload);
});
