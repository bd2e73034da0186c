//! The header of a graph file: what is in the file, and everything that is not a long array.

use super::{GraphFile, SnapshotError, SnapshotSection};
use crate::index::codes;
use crate::index::graph::LEVELS_MAX;
use crate::index::relink::EXTRA_MAX;
use crate::index::{GraphBuilder, GraphParameters, RecallReport, VectorIndex};
use crate::vector::ROW_BYTES_MAX;

pub(super) const MAGIC: [u8; 8] = *b"LKALGRPH";
pub(super) const VERSION: u32 = 3;

/// The part in front that no version changes: magic, version, header length.
pub(super) const PRELUDE_BYTES: usize = 16;

/// The header without its levels: 120 bytes of fields, and checksums of sections and header.
const FIXED_BYTES: usize = 120 + 4 * SECTIONS_FIXED + CHECKSUM_BYTES;
/// Two counts and three checksums.
const LEVEL_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 4;

/// Sections that do not belong to a level, less the nodes of level 0, which are not listed.
const SECTIONS_FIXED: usize = 6;

/// Sections start at a cache line.
pub(super) const ALIGNMENT: usize = 64;

/// The header, but for magic, version, its length and its checksum.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub(super) dimension: u32,
    pub(super) node_count: u32,
    pub(super) entry: u32,
    pub(super) unreachable_count: u32,
    pub(super) ef: u32,
    pub(super) parameters: GraphParameters,
    pub(super) recall: RecallReport,
    pub(super) owner: [u8; 32],
    pub(super) key_count: u32,
    pub(super) absent_count: u32,
    /// Level 0 first.
    pub(super) levels: Vec<LevelSize>,
    /// CRC-32 of each section with its padding, in the order of [`Header::places`].
    pub(super) checksums: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LevelSize {
    pub(super) node_count: u32,
    pub(super) link_count: u32,
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) section: SnapshotSection,
    pub(super) start: usize,
    /// Without the padding.
    pub(super) bytes: usize,
}

impl Place {
    /// Where the next section starts.
    pub(super) fn end(&self) -> usize {
        self.start + self.bytes.next_multiple_of(ALIGNMENT)
    }
}

impl Header {
    /// Describes a graph whose sections have no checksums yet.
    pub(super) fn describe(file: &GraphFile, owner: [u8; 32]) -> Self {
        let (graph, members) = (&file.graph, &file.members);
        let (links, tuning) = (graph.links(), graph.tuning());
        let base = size(graph.len(), links.base.neighbors.len());
        let upper = links.upper.iter();
        let upper = upper.map(|level| size(level.nodes.len(), level.links.neighbors.len()));
        Self {
            dimension: graph.dimension() as u32,
            node_count: base.node_count,
            entry: links.entry,
            unreachable_count: tuning.unreachable.len() as u32,
            ef: tuning.ef as u32,
            parameters: tuning.parameters.clone(),
            recall: tuning.recall,
            owner,
            key_count: members.keys.len() as u32,
            absent_count: members.absent.len() as u32,
            levels: std::iter::once(base).chain(upper).collect(),
            checksums: Vec::new(),
        }
    }

    /// The bytes of the whole header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (parameters, recall) = (&self.parameters, &self.recall);
        let mut bytes = MAGIC.to_vec();
        let mut put = |number: u32| bytes.extend(number.to_le_bytes());
        put(VERSION);
        put(header_bytes(self.levels.len()) as u32);
        put(self.dimension);
        put(self.node_count);
        put(self.entry);
        put(self.levels.len() as u32);
        put(self.unreachable_count);
        put(self.ef);
        put(parameters.links_max as u32);
        put(parameters.ef_construction as u32);
        put(builder_number(parameters.builder));
        put(parameters.recall_per_mille as u32);
        put(self.key_count);
        put(self.absent_count);
        bytes.extend(parameters.seed.to_le_bytes());
        for count in [recall.k, recall.queries, recall.hits, recall.wanted] {
            bytes.extend((count as u32).to_le_bytes());
        }
        bytes.extend(self.owner);
        for level in &self.levels {
            bytes.extend(level.node_count.to_le_bytes());
            bytes.extend(level.link_count.to_le_bytes());
        }
        bytes.extend(self.checksums.iter().flat_map(|checksum| checksum.to_le_bytes()));
        let checksum = crc32fast::hash(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Reads the header from its bytes, of which there are as many as the prelude says.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let damaged = SnapshotError::DamagedHeader;
        let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged);
        };
        if !cfg!(fuzzing) && crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(damaged);
        }
        let fields = content.get(PRELUDE_BYTES..).unwrap_or_default();
        match Fields(fields).header() {
            Some(header) if header_bytes(header.levels.len()) == bytes.len() => Ok(header),
            _ => Err(damaged),
        }
    }

    /// Checks that the counts fit together and to the file, before anything is allocated.
    pub(super) fn check(&self, file_bytes: u64) -> Result<(), SnapshotError> {
        self.parameters.check()?;
        let links_max = (2 * self.parameters.links_max + EXTRA_MAX) as u64;
        let fits = |level: &LevelSize| {
            level.node_count <= self.node_count
                && u64::from(level.link_count) <= links_max * u64::from(level.node_count)
        };
        let sound = (1..=ROW_BYTES_MAX).contains(&(self.dimension as usize))
            && self.node_count < 1 << 31
            && self.ef > 0
            && self.levels[0].node_count == self.node_count
            && self.levels.iter().all(fits)
            && self.unreachable_count <= self.node_count;
        if !sound {
            return Err(SnapshotError::DamagedHeader);
        }
        // In 64 bits the greatest counts cannot overflow: 2^31 nodes of 2^17 bytes.
        let sections: u64 = self.sizes().map(|(_, bytes)| padded(bytes)).sum();
        let expected = padded(header_bytes(self.levels.len()) as u64) + sections;
        if expected != file_bytes || usize::try_from(expected).is_err() {
            let found = file_bytes;
            return Err(SnapshotError::WrongLength { expected, found });
        }
        Ok(())
    }

    /// The sections in file order and where they lie, for counts that have been checked or are
    /// those of a graph in memory.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut start = header_bytes(self.levels.len()).next_multiple_of(ALIGNMENT);
        let place = |(section, bytes): (SnapshotSection, u64)| {
            let place = Place { section, start, bytes: bytes as usize };
            start = place.end();
            place
        };
        self.sizes().map(place).collect()
    }

    /// The sections in file order with their bytes.
    fn sizes(&self) -> impl Iterator<Item = (SnapshotSection, u64)> {
        use SnapshotSection as Section;
        let nodes = u64::from(self.node_count);
        let row_bytes = codes::stride(self.dimension as usize) as u64;
        let levels = self.levels.iter().enumerate().flat_map(|(level, size)| {
            let (nodes, links) = (u64::from(size.node_count), u64::from(size.link_count));
            [
                (Section::Nodes { level }, 4 * nodes),
                (Section::Offsets { level }, 4 * (nodes + 1)),
                (Section::Neighbors { level }, 4 * links),
            ]
        });
        let rest = [
            (Section::Members, 4 * (nodes + 1)),
            (Section::Keys, 8 * u64::from(self.key_count)),
            (Section::Absent, 8 * u64::from(self.absent_count)),
            (Section::Scales, 4 * nodes),
            (Section::Coarse, nodes * row_bytes),
            (Section::Fine, nodes * row_bytes / 2),
        ];
        // Every node lives on level 0, so its nodes are not listed.
        let first = (Section::Unreachable, 4 * u64::from(self.unreachable_count));
        std::iter::once(first).chain(levels.skip(1)).chain(rest)
    }
}

/// The length that a prelude announces, if a header of this version can have it.
pub(super) fn announced_bytes(prelude: &[u8; PRELUDE_BYTES]) -> Result<usize, SnapshotError> {
    let (magic, numbers) = prelude.split_at(MAGIC.len());
    let mut fields = Fields(numbers);
    if magic != MAGIC {
        return Err(SnapshotError::NotAGraph);
    }
    match (fields.number(), fields.number()) {
        (Some(VERSION), Some(length)) => {
            let range = header_bytes(1)..=header_bytes(LEVELS_MAX);
            let length = length as usize;
            let possible = range.contains(&length).then_some(length);
            possible.ok_or(SnapshotError::DamagedHeader)
        }
        (Some(found), _) => Err(SnapshotError::UnsupportedVersion { expected: VERSION, found }),
        _ => Err(SnapshotError::NotAGraph),
    }
}

/// The length of a header with so many levels, of which each has three sections.
pub(super) const fn header_bytes(levels: usize) -> usize {
    FIXED_BYTES + LEVEL_BYTES * levels
}

fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGNMENT as u64)
}

fn size(nodes: usize, links: usize) -> LevelSize {
    // `Adjacency` has proven that its offsets, and with them these counts, fit.
    LevelSize { node_count: nodes as u32, link_count: links as u32 }
}

fn builder_number(builder: GraphBuilder) -> u32 {
    match builder {
        GraphBuilder::Weave => 0,
        GraphBuilder::HnswRs => 1,
    }
}

/// The bytes not taken yet. Taking more than there are gives `None`.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        self.number().map(|number| number as usize)
    }

    fn header(&mut self) -> Option<Header> {
        let [dimension, node_count, entry] = [self.number()?, self.number()?, self.number()?];
        let level_count = self.count().filter(|count| (1..=LEVELS_MAX).contains(count))?;
        let (unreachable_count, ef) = (self.number()?, self.number()?);
        let (links_max, ef_construction) = (self.count()?, self.count()?);
        let builder = match self.number()? {
            0 => GraphBuilder::Weave,
            1 => GraphBuilder::HnswRs,
            _ => return None,
        };
        let recall_per_mille = self.count()?;
        let (key_count, absent_count) = (self.number()?, self.number()?);
        let seed = self.take().map(u64::from_le_bytes)?;
        let parameters =
            GraphParameters { links_max, ef_construction, seed, builder, recall_per_mille };
        let recall = RecallReport {
            k: self.count()?,
            queries: self.count()?,
            hits: self.count()?,
            wanted: self.count()?,
        };
        let owner = self.take()?;
        let levels = (0..level_count).map(|_| self.level()).collect::<Option<_>>()?;
        let checksums = 3 * level_count + SECTIONS_FIXED;
        let checksums = (0..checksums).map(|_| self.number()).collect::<Option<_>>()?;
        Some(Header {
            dimension,
            node_count,
            entry,
            unreachable_count,
            ef,
            parameters,
            recall,
            owner,
            key_count,
            absent_count,
            levels,
            checksums,
        })
    }

    fn level(&mut self) -> Option<LevelSize> {
        let (node_count, link_count) = (self.number()?, self.number()?);
        Some(LevelSize { node_count, link_count })
    }
}
