//! The smaller files of a database, one chosen by the first byte: journal, list of folders, file of
//! embeddings, line and array of an export.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::store::fuzzing;
use lookalike_fuzz::{file_of, judge_panics};

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 7 {
        0 => fuzzing::read_journal(bytes),
        1 => fuzzing::read_journal(&sealed_lines(bytes)),
        2 => fuzzing::read_roots(bytes),
        3 => fuzzing::read_line(bytes),
        4 => fuzzing::read_array(bytes),
        5 => fuzzing::read_segment(&file_of("segment", bytes), 1),
        _ => fuzzing::read_segment(&file_of("segment", &sealed_slots(bytes)), 1),
    }
});

/// Gives each line the checksum that fits it.
fn sealed_lines(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.flat_map(|line| [format!("{:08x} ", crc32fast::hash(line)).as_bytes(), line, b"\n"].concat()).collect()
}

/// A file of embeddings of a few components whose header and slots have the checksums that fit.
fn sealed_slots(bytes: &[u8]) -> Vec<u8> {
    let Some((dimension, bytes)) = bytes.split_first() else { return Vec::new() };
    let dimension = u32::from(dimension % 16) + 1;
    let mut file = b"lookemb1".to_vec();
    file.extend([3, 0, 0, 0]);
    file.extend(dimension.to_le_bytes());
    file.extend([0; 12]);
    file.extend(crc32fast::hash(&file).to_le_bytes());
    for components in bytes.chunks(2 * dimension as usize) {
        let slot = [&1u64.to_le_bytes(), components].concat();
        let checksum = crc32fast::hash(&[&[3, 0], &slot[..]].concat());
        file.extend(slot);
        file.extend(checksum.to_le_bytes());
    }
    file
}
