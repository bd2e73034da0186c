//! The parsers of the store's own files, open to the fuzzer alone: it is built with `--cfg fuzzing`.
//!
//! Each panics where a parser breaks its promise.

use std::path::Path;

use super::exchange::Line;
use super::keys::{self, Kind};
use super::segment::{Segment, SlotReader};
use super::{Roots, State, codec, journal, npy};
use crate::record::{Detection, ImageId, ImageRecord, LocationRecord, Prediction, Space};
use crate::vector::Embedding;

/// Reads bytes as the journal of labels.
pub fn read_journal(bytes: &[u8]) {
    let replay = journal::parse(bytes, 7);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(replay.entries.len() + replay.damaged_lines, lines);
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
    assert_eq!(replay.end, 7 + whole);
}

/// Reads bytes as `roots.json`; what is read is written and read again.
pub fn read_roots(bytes: &[u8]) {
    let Ok(roots) = serde_json::from_slice::<Roots>(bytes) else { return };
    let written = serde_json::to_vec(&roots).expect("roots can be written");
    assert_eq!(serde_json::from_slice::<Roots>(&written).expect("what was written"), roots);
}

/// Reads a line of an export.
pub fn read_line(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Line>(bytes);
}

/// Reads bytes as an array of numpy.
pub fn read_array(mut bytes: &[u8]) {
    let _ = npy::read_header(&mut bytes);
}

/// Reads a file as embeddings of one space: whole slots, and some that are not there.
pub fn read_segment(path: &Path, image: u64) {
    let Ok(segment) = Segment::open(path) else { return };
    let mut reader = SlotReader::for_scan(path).expect("its header was read before");
    for slot in (0..segment.slots().min(64)).chain([segment.slots(), u64::MAX, u64::MAX / 2]) {
        if let Ok(Some(components)) = reader.read(slot, ImageId(image)) {
            assert!(slot < segment.slots());
            let _ = Embedding::from_f16_bytes(components);
        }
    }
}

/// Reads a record whose checksum fits. Key and payload are free.
pub fn read_record(key: &[u8], payload: &[u8]) {
    let value = codec::seal(key, payload);
    assert_eq!(codec::open(key, &value).expect("a sealed value"), payload);
    let _ = (keys::read_image_id(key), keys::read_location(key), keys::read_hash(key));
    let _ = (keys::read_space(key), keys::read_image_location(key), keys::read_object(key));
    match Kind::of(key) {
        Some(Kind::State) => again::<State>(key, &value),
        Some(Kind::Space) => again::<Space>(key, &value),
        Some(Kind::Image) => again::<ImageRecord>(key, &value),
        Some(Kind::Hash) => again::<ImageId>(key, &value),
        Some(Kind::Location) => again::<LocationRecord>(key, &value),
        Some(Kind::Slot) => again::<u64>(key, &value),
        Some(Kind::Label) => again::<String>(key, &value),
        Some(Kind::Prediction) => again::<Prediction>(key, &value),
        Some(Kind::Detections) => again::<Vec<Detection>>(key, &value),
        Some(Kind::Embedding | Kind::Object) => {
            let _ = Embedding::from_f16_bytes(payload);
        }
        _ => {}
    }
}

/// What can be read can be written and read again.
fn again<T: serde::Serialize + serde::de::DeserializeOwned>(key: &[u8], value: &[u8]) {
    if let Ok(record) = codec::decode::<T>(key, value) {
        let written = codec::encode(key, &record).expect("what was read can be written");
        codec::decode::<T>(key, &written).expect("what was written can be read");
    }
}
