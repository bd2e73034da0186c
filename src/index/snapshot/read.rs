//! Reading a graph file that may be damaged, foreign, or made to mislead.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::SnapshotError;
use super::header::{Header, PRELUDE_BYTES, announced_bytes, header_bytes};
use crate::index::graph::{Adjacency, Links, LinksDefect, Tuning, UpperLevel};
use crate::index::{ExactIndex, GraphIndex, VectorIndex, VectorSet};

/// Reads the graph over `vectors` from `path`.
///
/// Checks every byte: lengths before anything is allocated, checksums, and that the content is a
/// graph over these vectors, so that a search in it can neither fail nor run forever. Reads the
/// file once, and all vectors once for their digest if it is not known yet.
///
/// # Errors
///
/// [`SnapshotError::Read`] if the file cannot be read, and the other variants if it is not whole,
/// not a graph, or not the graph of these vectors. Building the graph again puts all of them right.
pub fn load_graph(path: &Path, vectors: Arc<VectorSet>) -> Result<GraphIndex, SnapshotError> {
    let unreadable = |source| SnapshotError::Read { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let file_bytes = file.metadata().map_err(unreadable)?.len();
    let mut read = |length| {
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).map(|()| bytes).map_err(unreadable)
    };
    read_graph(&mut read, file_bytes, vectors)
}

/// Reads a graph through `read`, which gives the next so many bytes, of `file_bytes` in all.
fn read_graph(
    read: &mut dyn FnMut(usize) -> Result<Vec<u8>, SnapshotError>,
    file_bytes: u64,
    vectors: Arc<VectorSet>,
) -> Result<GraphIndex, SnapshotError> {
    let header = read_header(read, file_bytes)?;
    header.check(file_bytes, &vectors)?;
    let exact = ExactIndex::new(vectors);
    if header.digest != exact.vectors().digest() {
        return Err(SnapshotError::OtherVectors);
    }
    let mut arrays = Vec::new();
    for ((section, count), &checksum) in header.sections().zip(&header.checksums) {
        let bytes = read(4 * count)?;
        if crc32fast::hash(&bytes) != checksum {
            return Err(SnapshotError::DamagedSection { section });
        }
        arrays.push(numbers(&bytes));
    }
    Ok(assemble(exact, header, arrays.into_iter())?)
}

fn read_header(
    read: &mut dyn FnMut(usize) -> Result<Vec<u8>, SnapshotError>,
    file_bytes: u64,
) -> Result<Header, SnapshotError> {
    let too_short =
        |expected| SnapshotError::WrongLength { expected: expected as u64, found: file_bytes };
    if file_bytes < header_bytes(1) as u64 {
        return Err(too_short(header_bytes(1)));
    }
    let mut bytes = read(PRELUDE_BYTES)?;
    let prelude = bytes.first_chunk().ok_or(too_short(PRELUDE_BYTES))?;
    let length = announced_bytes(prelude)?;
    if file_bytes < length as u64 {
        return Err(too_short(length));
    }
    bytes.extend(read(length - PRELUDE_BYTES)?);
    Header::decode(&bytes)
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|&word| u32::from_le_bytes(word)).collect()
}

/// Puts the arrays, which come in file order, into their places and checks that they fit.
fn assemble(
    exact: ExactIndex,
    header: Header,
    mut arrays: impl Iterator<Item = Vec<u32>>,
) -> Result<GraphIndex, LinksDefect> {
    let mut next = || arrays.next().unwrap_or_default();
    let unreachable = next();
    let mut links = Links {
        entry: header.entry,
        base: Adjacency { offsets: next(), neighbors: next() },
        upper: Vec::new(),
    };
    for _ in 1..header.levels.len() {
        links.upper.push(UpperLevel {
            nodes: next(),
            links: Adjacency { offsets: next(), neighbors: next() },
        });
    }
    links.check(exact.len())?;
    let exists = unreachable.last().is_none_or(|&last| (last as usize) < exact.len());
    if !exists || !unreachable.is_sorted_by(|a, b| a < b) {
        return Err(LinksDefect::Unreachable);
    }
    let tuning = Tuning {
        parameters: header.parameters,
        ef: header.ef as usize,
        recall: header.recall,
        unreachable,
    };
    Ok(GraphIndex::new(exact, links, tuning))
}

#[cfg(test)]
mod tests {
    use super::super::{SnapshotSection, save_graph};
    use super::*;
    use crate::index::{GraphParameters, fixture};

    fn vectors(seed: u64) -> Arc<VectorSet> {
        Arc::new(fixture::clusters(20, 60, 8, 0.5, seed))
    }

    /// A graph of several levels, with a list of unreachable nodes.
    fn graph() -> GraphIndex {
        let parameters = GraphParameters { links_max: 4, ef_construction: 20, seed: 7 };
        let graph = fixture::graph(fixture::clusters(20, 60, 8, 0.5, 1), parameters);
        assert!(graph.links().upper.len() >= 2, "the tests want levels");
        graph.with_unreachable(vec![3, 30])
    }

    fn snapshot() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        save_graph(&graph(), &path).expect("saved");
        let bytes = std::fs::read(path).expect("read back");
        (folder, bytes)
    }

    /// Loads from memory and asserts that nothing beyond the end is asked for.
    fn load(bytes: &[u8]) -> Result<GraphIndex, SnapshotError> {
        let mut rest = bytes;
        let mut read = |length| {
            let (taken, left) = rest.split_at_checked(length).expect("no read past the end");
            rest = left;
            Ok(taken.to_vec())
        };
        read_graph(&mut read, bytes.len() as u64, vectors(1))
    }

    /// Writes a number into the snapshot and makes the checksums match again.
    fn forge(bytes: &[u8], offset: usize, number: u32) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let header = Header::decode(&bytes[..length_field(&bytes)]).expect("sound before");
        bytes[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
        let levels = header.levels.len();
        let mut start = header_bytes(levels);
        for (index, (_, count)) in header.sections().enumerate() {
            let checksum = crc32fast::hash(&bytes[start..start + 4 * count]);
            let place = 104 + 8 * levels + 4 * index;
            bytes[place..place + 4].copy_from_slice(&checksum.to_le_bytes());
            start += 4 * count;
        }
        let end = header_bytes(levels) - 4;
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn length_field(bytes: &[u8]) -> usize {
        u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize
    }

    /// Where a section starts.
    fn section_start(bytes: &[u8], wanted: SnapshotSection) -> usize {
        let header = Header::decode(&bytes[..length_field(bytes)]).expect("sound");
        let before = header.sections().take_while(|(section, _)| *section != wanted);
        length_field(bytes) + before.map(|(_, count)| 4 * count).sum::<usize>()
    }

    #[test]
    fn saved_graph_comes_back_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        let saved = graph();
        save_graph(&saved, &path).expect("saved");
        save_graph(&saved, &path).expect("saved over itself");
        let loaded = load_graph(&path, vectors(1)).expect("loaded");
        assert_eq!(loaded.links(), saved.links());
        assert_eq!(loaded.tuning(), saved.tuning());
        let query = fixture::unit(8, 5);
        assert_eq!(loaded.search(&query, 5, None), saved.search(&query, 5, None));
        let files = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 1, "no temporary file is left behind");
    }

    #[test]
    fn every_flipped_byte_is_an_error() {
        let (_folder, bytes) = snapshot();
        assert!(load(&bytes).is_ok());
        for position in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                assert!(load(&damaged).is_err(), "byte {position} flipped by {flip:#x}");
            }
        }
    }

    #[test]
    fn every_truncation_and_every_extension_is_an_error() {
        let (folder, mut bytes) = snapshot();
        for length in 0..bytes.len() {
            assert!(load(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        let path = folder.path().join("graph");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert!(load_graph(&path, vectors(1)).is_err());
        bytes.push(0);
        let found = load(&bytes).map(|_| ());
        assert!(matches!(found, Err(SnapshotError::WrongLength { .. })), "{found:?}");
    }

    #[test]
    fn another_version_is_named() {
        let (_folder, mut bytes) = snapshot();
        bytes[8] = 2;
        let message = load(&bytes).map(|_| ()).expect_err("refused").to_string();
        assert_eq!(message, "expected a graph file of version 1, found version 2");
    }

    #[test]
    fn graph_of_other_vectors_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        save_graph(&graph(), &path).expect("saved");
        for other in [vectors(2), Arc::new(fixture::clusters(20, 40, 8, 0.5, 1))] {
            let found = load_graph(&path, other).map(|_| ());
            assert!(matches!(found, Err(SnapshotError::OtherVectors)), "{found:?}");
        }
    }

    #[test]
    fn forged_content_with_matching_checksums_is_refused() {
        let (_folder, bytes) = snapshot();
        let section = |wanted| section_start(&bytes, wanted);
        let offsets = section(SnapshotSection::Offsets { level: 0 });
        let not_sound = |error: &SnapshotError| matches!(error, SnapshotError::NotSound { .. });
        let damaged = |error: &SnapshotError| matches!(error, SnapshotError::DamagedHeader);
        let cases = [
            (section(SnapshotSection::Unreachable) + 4, 60, not_sound as fn(&_) -> _),
            (section(SnapshotSection::Unreachable) + 4, 3, not_sound),
            (offsets, 1, not_sound),
            (offsets + 4, u32::MAX, not_sound),
            (section(SnapshotSection::Neighbors { level: 0 }), 60, not_sound),
            (section(SnapshotSection::Nodes { level: 1 }), 59, not_sound),
            (section(SnapshotSection::Neighbors { level: 1 }), u32::MAX, not_sound),
            // The entry point, then impossible counts.
            (24, 60, not_sound),
            (28, 0, damaged),
            (28, 17, damaged),
            (32, 61, damaged),
            (104 + 4, u32::MAX, damaged),
            (104 + 8, u32::MAX, damaged),
            (40, 0, |error| matches!(error, SnapshotError::WrongParameters { .. })),
            (20, u32::MAX, |error| matches!(error, SnapshotError::OtherVectors)),
        ];
        for (offset, number, is_expected) in cases {
            let error = load(&forge(&bytes, offset, number)).map(|_| ());
            let error = error.expect_err("refused");
            assert!(is_expected(&error), "{number} at {offset}: {error:?}");
        }
        assert!(load(&forge(&bytes, 20, 60)).is_ok(), "forging changes nothing else");
    }

    #[test]
    fn files_that_cannot_be_read_or_written_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing").join("graph");
        let error = load_graph(&path, vectors(1)).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("missing"), "{error}");
        let error = save_graph(&graph(), &path).expect_err("refused");
        assert!(matches!(error, SnapshotError::Write { .. }), "{error:?}");
        assert!(load_graph(folder.path(), vectors(1)).is_err());
    }

    #[test]
    fn empty_graph_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        let empty = || crate::index::VectorSetBuilder::new(8).finish();
        let graph = fixture::graph(empty(), GraphParameters::default());
        save_graph(&graph, &path).expect("saved");
        assert!(load_graph(&path, Arc::new(empty())).expect("loaded").is_empty());
    }
}
