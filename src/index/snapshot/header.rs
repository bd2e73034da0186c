//! The header of a graph file: what is in the file, and everything that is not a long array.

use super::{SnapshotError, SnapshotSection};
use crate::index::graph::LEVELS_MAX;
use crate::index::{GraphIndex, GraphParameters, RecallReport, VectorIndex, VectorSet};

pub(super) const MAGIC: [u8; 8] = *b"LKALGRPH";
pub(super) const VERSION: u32 = 1;

/// The part in front that no version changes: magic, version, header length.
pub(super) const PRELUDE_BYTES: usize = 16;

/// The header of a file without levels. Real ones have one level or more.
const FIXED_BYTES: usize = 108;
const LEVEL_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 4;

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
    pub(super) digest: [u8; 32],
    /// Level 0 first.
    pub(super) levels: Vec<LevelSize>,
    /// CRC-32 of each section, in the order of [`Header::sections`].
    pub(super) checksums: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LevelSize {
    pub(super) node_count: u32,
    pub(super) link_count: u32,
}

impl Header {
    /// Describes `graph`, whose sections have these checksums.
    pub(super) fn describe(graph: &GraphIndex, checksums: Vec<u32>) -> Self {
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
            digest: graph.vectors().digest(),
            levels: std::iter::once(base).chain(upper).collect(),
            checksums,
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
        bytes.extend(parameters.seed.to_le_bytes());
        for count in [recall.k, recall.queries, recall.hits, recall.wanted] {
            bytes.extend((count as u32).to_le_bytes());
        }
        bytes.extend(self.digest);
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
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return Err(damaged);
        }
        let fields = content.get(PRELUDE_BYTES..).unwrap_or_default();
        match Fields(fields).header() {
            Some(header) if header_bytes(header.levels.len()) == bytes.len() => Ok(header),
            _ => Err(damaged),
        }
    }

    /// Checks that the counts fit together, the file and `vectors`, before anything is allocated.
    pub(super) fn check(&self, file_bytes: u64, vectors: &VectorSet) -> Result<(), SnapshotError> {
        self.parameters.check()?;
        let is_of = self.node_count as usize == vectors.len()
            && self.dimension as usize == vectors.dimension()
            && self.levels[0].node_count == self.node_count;
        if !is_of {
            return Err(SnapshotError::OtherVectors);
        }
        let links_max = 2 * self.parameters.links_max as u64;
        let fits = |level: &LevelSize| {
            level.node_count <= self.node_count
                && u64::from(level.link_count) <= links_max * u64::from(level.node_count)
        };
        if !self.levels.iter().all(fits) || self.unreachable_count > self.node_count {
            return Err(SnapshotError::DamagedHeader);
        }
        let sections: u64 = self.sections().map(|(_, count)| 4 * count as u64).sum();
        let expected = header_bytes(self.levels.len()) as u64 + sections;
        if expected != file_bytes {
            let found = file_bytes;
            return Err(SnapshotError::WrongLength { expected, found });
        }
        Ok(())
    }

    /// The sections in file order, with the number of numbers in each.
    pub(super) fn sections(&self) -> impl Iterator<Item = (SnapshotSection, usize)> {
        let first = (SnapshotSection::Unreachable, self.unreachable_count);
        let rest = self.levels.iter().enumerate().flat_map(|(level, size)| {
            [
                (SnapshotSection::Nodes { level }, size.node_count as usize),
                (SnapshotSection::Offsets { level }, size.node_count as usize + 1),
                (SnapshotSection::Neighbors { level }, size.link_count as usize),
            ]
        });
        // Every node lives on level 0, so its nodes are not listed.
        std::iter::once((first.0, first.1 as usize)).chain(rest.skip(1))
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

fn size(nodes: usize, links: usize) -> LevelSize {
    // `Adjacency` has proven that its offsets, and with them these counts, fit.
    LevelSize { node_count: nodes as u32, link_count: links as u32 }
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
        let parameters = GraphParameters {
            links_max: self.count()?,
            ef_construction: self.count()?,
            seed: self.take().map(u64::from_le_bytes)?,
        };
        let recall = RecallReport {
            k: self.count()?,
            queries: self.count()?,
            hits: self.count()?,
            wanted: self.count()?,
        };
        let digest = self.take()?;
        let levels = (0..level_count).map(|_| self.level()).collect::<Option<_>>()?;
        let checksums = (0..3 * level_count).map(|_| self.number()).collect::<Option<_>>()?;
        Some(Header {
            dimension,
            node_count,
            entry,
            unreachable_count,
            ef,
            parameters,
            recall,
            digest,
            levels,
            checksums,
        })
    }

    fn level(&mut self) -> Option<LevelSize> {
        let (node_count, link_count) = (self.number()?, self.number()?);
        Some(LevelSize { node_count, link_count })
    }
}
