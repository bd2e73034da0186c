//! Reading a graph file that may be damaged, foreign, or made to mislead.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{Mmap, MmapMut};

use super::header::{ALIGNMENT, Header, PRELUDE_BYTES, Place, announced_bytes, header_bytes};
use super::{GraphFile, SnapshotError, SnapshotSection};
use crate::index::array::Array;
use crate::index::codes::Codes;
use crate::index::graph::{Adjacency, Links, LinksDefect, Tuning, UpperLevel};
use crate::index::members::Members;
use crate::index::{GraphIndex, VectorIndex};

// The arrays of the file are used where they lie.
const _: () = assert!(cfg!(target_endian = "little"), "graph files are little endian");

/// Maps the graph of `owner` at `path` into memory.
///
/// Checks header, lengths, and every number that a search follows: links, offsets, members, with
/// their checksums. So a search in it can neither fail nor run forever, whatever the file holds.
/// The codes, most of the file, are not read: damage there gives wrong scores and is found by
/// [`GraphFile::check_codes`]. About 1 ms for 100,000 nodes.
///
/// # Errors
///
/// [`SnapshotError::Read`] if the file cannot be read, and the other variants if it is not whole,
/// not a graph, or not of this owner. Building the graph again puts all of them right.
pub fn load_graph(path: &Path, owner: [u8; 32]) -> Result<GraphFile, SnapshotError> {
    let unreadable = |source| SnapshotError::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(unreadable)?;
    let map = map(&file).map_err(unreadable)?;
    // A walk reads rows anywhere in the file: fewer, larger pages cost fewer misses. Where the
    // system does not give them, small ones do.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    read_graph(&Arc::new(map), owner)
}

impl GraphFile {
    /// Reads a graph of `owner` from bytes, which are copied.
    ///
    /// # Errors
    ///
    /// As [`load_graph`].
    pub fn from_bytes(bytes: &[u8], owner: [u8; 32]) -> Result<Self, SnapshotError> {
        let unreadable = |source| SnapshotError::Read { path: "memory".into(), source };
        let mut map = MmapMut::map_anon(bytes.len()).map_err(unreadable)?;
        map.copy_from_slice(bytes);
        let map = map.make_read_only().map_err(unreadable)?;
        read_graph(&Arc::new(map), owner)
    }

    /// Reads the whole file that was mapped and compares all checksums.
    ///
    /// A graph that was never written has none, and passes.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::DamagedSection`] with the first section that differs.
    pub fn check_codes(&self) -> Result<(), SnapshotError> {
        let Some(map) = &self.map else { return Ok(()) };
        let header = read_header(map)?;
        for (place, &checksum) in header.places().iter().zip(&header.checksums) {
            check_section(map, place, checksum)?;
        }
        Ok(())
    }
}

/// Maps a graph file, which must not change while it is mapped.
///
/// This program writes it under another name, moves it to its place when it is whole, and never
/// touches it again. Against another program that writes into it there is no protection: a search
/// could read other numbers than were checked, and a file cut short ends the process.
#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: nobody writes into a graph file once it has its name, as said above.
    unsafe { Mmap::map(file) }
}

fn read_graph(map: &Arc<Mmap>, owner: [u8; 32]) -> Result<GraphFile, SnapshotError> {
    let header = read_header(map)?;
    header.check(map.len() as u64)?;
    if header.owner != owner {
        return Err(SnapshotError::OtherVectors);
    }
    let places = header.places();
    for (place, &checksum) in places.iter().zip(&header.checksums) {
        if !matches!(place.section, SnapshotSection::Coarse | SnapshotSection::Fine) {
            check_section(map, place, checksum)?;
        }
    }
    let mut places = places.into_iter();
    let mut sections = Sections { map, places: &mut places };
    let unreachable = sections.next::<u32>()?.to_vec();
    let links = sections.links(header.entry, header.levels.len())?;
    let (offsets, keys, absent) = (sections.next()?, sections.next()?, sections.next()?);
    let members = Members::from_arrays(offsets, keys, absent);
    let (scales, coarse, fine) = (sections.next()?, sections.next()?, sections.next()?);
    let codes = Codes::from_arrays(header.dimension as usize, coarse, fine, scales);
    let tuning = Tuning {
        parameters: header.parameters,
        ef: header.ef as usize,
        recall: header.recall,
        unreachable,
    };
    let graph = GraphIndex::new(codes, links, tuning);
    check_graph(&graph, &members)?;
    Ok(GraphFile { graph, members, map: Some(Arc::clone(map)) })
}

fn read_header(map: &Mmap) -> Result<Header, SnapshotError> {
    let too_short = |expected: usize| {
        let (expected, found) = (expected as u64, map.len() as u64);
        SnapshotError::WrongLength { expected, found }
    };
    let prelude = map.first_chunk::<PRELUDE_BYTES>().ok_or(too_short(header_bytes(1)))?;
    let length = announced_bytes(prelude)?;
    let padded = length.next_multiple_of(ALIGNMENT);
    let padding = map.get(length..padded).ok_or(too_short(padded))?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(SnapshotError::DamagedHeader);
    }
    Header::decode(&map[..length])
}

fn check_section(map: &Mmap, place: &Place, checksum: u32) -> Result<(), SnapshotError> {
    let damaged = SnapshotError::DamagedSection { section: place.section };
    match map.get(place.start..place.end()) {
        // The fuzzer goes past the checksums, to what they protect.
        Some(bytes) if cfg!(fuzzing) || crc32fast::hash(bytes) == checksum => Ok(()),
        _ => Err(damaged),
    }
}

/// What a walk relies on, beyond the checksums.
fn check_graph(graph: &GraphIndex, members: &Members) -> Result<(), SnapshotError> {
    let len = graph.len();
    graph.links().check(len)?;
    let unreachable = graph.unreachable();
    let exists = unreachable.last().is_none_or(|&last| (last as usize) < len);
    if !exists || !unreachable.is_sorted_by(|a, b| a < b) {
        return Err(LinksDefect::Unreachable.into());
    }
    if !members.is_sound(len) {
        return Err(LinksDefect::Members.into());
    }
    Ok(())
}

/// The sections not taken yet.
struct Sections<'a> {
    map: &'a Arc<Mmap>,
    places: &'a mut dyn Iterator<Item = Place>,
}

impl Sections<'_> {
    fn next<T: Pod>(&mut self) -> Result<Array<T>, SnapshotError> {
        let place = self.places.next().ok_or(SnapshotError::DamagedHeader)?;
        let bytes = place.start..place.start + place.bytes;
        let damaged = SnapshotError::DamagedSection { section: place.section };
        Array::mapped(self.map, bytes).ok_or(damaged)
    }

    fn adjacency(&mut self) -> Result<Adjacency, SnapshotError> {
        Ok(Adjacency { offsets: self.next()?, neighbors: self.next()? })
    }

    fn links(&mut self, entry: u32, levels: usize) -> Result<Links, SnapshotError> {
        let base = self.adjacency()?;
        let upper = (1..levels)
            .map(|_| Ok(UpperLevel { nodes: self.next()?, links: self.adjacency()? }))
            .collect::<Result<_, SnapshotError>>()?;
        Ok(Links { entry, base, upper })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SnapshotSection, save_graph};
    use super::*;
    use crate::index::{GraphParameters, NodeFilter, fixture};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    const OWNER: [u8; 32] = [7; 32];

    /// A graph of several levels, with a list of unreachable nodes and two keys for each node.
    fn graph() -> GraphFile {
        let parameters =
            GraphParameters { links_max: 4, ef_construction: 20, seed: 7, ..Default::default() };
        let graph = fixture::graph(fixture::clusters(20, 60, 8, 0.5, 1), parameters);
        assert!(graph.links().upper.len() >= 2, "the tests want levels");
        let keys = (0..60u64).map(|node| [node, node + 100]);
        let members = Members::new(keys, vec![30, 90]);
        GraphFile::new(graph.with_unreachable(vec![3, 30]), members)
    }

    fn snapshot() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        save_graph(&graph(), OWNER, &path).expect("saved");
        let bytes = std::fs::read(path).expect("read back");
        (folder, bytes)
    }

    fn load(bytes: &[u8]) -> Result<GraphFile, SnapshotError> {
        GraphFile::from_bytes(bytes, OWNER)
    }

    fn header(bytes: &[u8]) -> Header {
        let length = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes"));
        Header::decode(&bytes[..length as usize]).expect("sound")
    }

    /// Writes a number into the snapshot and makes the checksums match again.
    fn forge(bytes: &[u8], offset: usize, number: u32) -> Vec<u8> {
        let mut forged = bytes.to_vec();
        forged[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
        seal(&mut forged, &header(bytes));
        forged
    }

    /// Makes the checksums match those sections that the header told of before it was forged.
    fn seal(bytes: &mut [u8], header: &Header) {
        let levels = header.levels.len();
        for (index, place) in header.places().iter().enumerate() {
            let checksum = crc32fast::hash(&bytes[place.start..place.end()]);
            let start = 120 + 8 * levels + 4 * index;
            bytes[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
        }
        let end = header_bytes(levels) - 4;
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Where a section starts.
    fn section_start(bytes: &[u8], wanted: SnapshotSection) -> usize {
        let places = header(bytes).places();
        places.iter().find(|place| place.section == wanted).expect("there").start
    }

    #[test]
    fn saved_graph_comes_back_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        let saved = graph();
        save_graph(&saved, OWNER, &path).expect("saved");
        save_graph(&saved, OWNER, &path).expect("saved over itself");
        let loaded = load_graph(&path, OWNER).expect("loaded");
        assert_eq!(loaded.graph.links(), saved.graph.links());
        assert_eq!(loaded.graph.tuning(), saved.graph.tuning());
        assert_eq!(loaded.graph.codes(), saved.graph.codes());
        assert_eq!(loaded.members, saved.members);
        assert!(loaded.check_codes().is_ok());
        let query = fixture::unit(8, 5);
        assert_eq!(loaded.graph.search(&query, 5, None), saved.graph.search(&query, 5, None));
        let files = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 1, "no temporary file is left behind");
    }

    #[test]
    fn every_flipped_byte_is_an_error() {
        let (_folder, bytes) = snapshot();
        assert!(load(&bytes).is_ok());
        let codes = section_start(&bytes, SnapshotSection::Coarse);
        for position in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] ^= flip;
                let loaded = load(&damaged);
                assert_eq!(loaded.is_err(), position < codes, "byte {position} by {flip:#x}");
                let found = loaded.and_then(|file| file.check_codes());
                assert!(found.is_err(), "byte {position} by {flip:#x} in a full check");
            }
        }
    }

    #[test]
    fn damaged_codes_give_wrong_scores_and_nothing_worse() {
        let (_folder, mut bytes) = snapshot();
        let codes = section_start(&bytes, SnapshotSection::Coarse);
        bytes[codes..].fill(0x80);
        let file = load(&bytes).expect("loaded");
        assert_eq!(file.graph.search(&fixture::unit(8, 5), 60, None).map(|f| f.len()), Ok(60));
    }

    #[test]
    fn every_truncation_and_every_extension_is_an_error() {
        let (folder, mut bytes) = snapshot();
        for length in 0..bytes.len() {
            assert!(load(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        let path = folder.path().join("graph");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert!(load_graph(&path, OWNER).is_err());
        bytes.push(0);
        let found = load(&bytes).map(|_| ());
        assert!(matches!(found, Err(SnapshotError::WrongLength { .. })), "{found:?}");
    }

    #[test]
    fn another_version_is_named() {
        let (_folder, mut bytes) = snapshot();
        bytes[8] = 1;
        let message = load(&bytes).map(|_| ()).expect_err("refused").to_string();
        assert_eq!(message, "expected a graph file of version 3, found version 1");
    }

    #[test]
    fn graph_of_another_owner_is_refused() {
        let (_folder, bytes) = snapshot();
        let found = GraphFile::from_bytes(&bytes, [8; 32]).map(|_| ());
        assert!(matches!(found, Err(SnapshotError::OtherVectors)), "{found:?}");
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
            (120 + 4, u32::MAX, damaged),
            (120 + 8, u32::MAX, damaged),
            (16, 0, damaged),
            (20, u32::MAX, damaged),
            (36, 0, damaged),
            (48, 2, damaged),
            (section(SnapshotSection::Members) + 4, u32::MAX, not_sound),
            (section(SnapshotSection::Absent), 200, not_sound),
            (40, 0, |error| matches!(error, SnapshotError::WrongParameters { .. })),
            (52, 0, |error| matches!(error, SnapshotError::WrongParameters { .. })),
            (52, 1001, |error| matches!(error, SnapshotError::WrongParameters { .. })),
            (56, 1, |error| matches!(error, SnapshotError::WrongLength { .. })),
        ];
        for (offset, number, is_expected) in cases {
            let error = load(&forge(&bytes, offset, number)).map(|_| ());
            let error = error.expect_err("refused");
            assert!(is_expected(&error), "{number} at {offset}: {error:?}");
        }
        assert!(load(&forge(&bytes, 20, 60)).is_ok(), "forging changes nothing else");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// Numbers overwritten anywhere, with checksums that match again: refused, or searched in
        /// without a panic and without an end that does not come.
        #[test]
        fn forged_files_are_refused_or_searched_in_full(
            numbers in prop::collection::vec(
                (0usize..4096, prop_oneof![0u32..70, Just(u32::MAX), any::<u32>()]), 1..4
            )
        ) {
            static SNAPSHOT: OnceLock<Vec<u8>> = OnceLock::new();
            let sound = SNAPSHOT.get_or_init(|| snapshot().1);
            let mut bytes = sound.clone();
            let words = bytes.len() / 4;
            for (word, number) in numbers {
                let offset = word % words * 4;
                // What stands here decides where checksums lie: damage to it is another test.
                if offset >= 16 && !(28..32).contains(&offset) {
                    bytes[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
                }
            }
            seal(&mut bytes, &header(sound));
            if let Ok(file) = load(&bytes) {
                let filter = NodeFilter::from_predicate(file.graph.len(), |node| node % 3 == 0);
                let query = vec![1.0; file.graph.dimension()];
                let query = crate::vector::Embedding::normalize(query).expect("a direction");
                for k in [1, 30, 60] {
                    for filter in [None, Some(&filter)] {
                        let found = file.graph.search(query.as_slice(), k, filter);
                        let passing = filter.map_or(file.graph.len(), NodeFilter::count);
                        prop_assert_eq!(found.map(|found| found.len()), Ok(k.min(passing)));
                    }
                }
                prop_assert!((0..70).all(|node| file.members.keys(node).len() < 1000));
            }
        }
    }

    #[test]
    fn files_that_cannot_be_read_or_written_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("missing").join("graph");
        let error = load_graph(&path, OWNER).map(|_| ()).expect_err("refused");
        assert!(error.to_string().contains("missing"), "{error}");
        let error = save_graph(&graph(), OWNER, &path).expect_err("refused");
        assert!(matches!(error, SnapshotError::Write { .. }), "{error:?}");
        assert!(load_graph(folder.path(), OWNER).is_err());
    }

    #[test]
    fn empty_graph_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("graph");
        let empty = || crate::index::VectorSetBuilder::new(8).finish();
        let graph = fixture::graph(empty(), GraphParameters::default());
        let members = Members::new(Vec::<[u64; 0]>::new(), Vec::new());
        save_graph(&GraphFile::new(graph, members), OWNER, &path).expect("saved");
        assert!(load_graph(&path, OWNER).expect("loaded").graph.is_empty());
    }
}
