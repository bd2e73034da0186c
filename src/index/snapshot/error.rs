//! Why a graph file could not be written or read.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::index::IndexError;
use crate::index::graph::LinksDefect;

/// A graph file could not be written, or is not the one that is wanted.
///
/// A graph is derived: whatever is wrong with its file, building it again puts it right.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The operating system could not read the file.
    #[error("cannot read graph file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The operating system could not write the file or its folder.
    #[error("cannot write graph file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file does not begin like a graph file.
    #[error("expected a graph file, found something else")]
    NotAGraph,
    /// The file was written by another version of this program.
    #[error("expected a graph file of version {expected}, found version {found}")]
    UnsupportedVersion {
        /// The version that this program reads.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// The file is shorter or longer than its header says.
    #[error("expected a graph file of {expected} bytes, found {found}")]
    WrongLength {
        /// The length that follows from the header, or that of the shortest header.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// The header is damaged: its checksum or a count in it is impossible.
    #[error("the header of the graph file is damaged")]
    DamagedHeader,
    /// The checksum of a section does not match it.
    #[error("the {section} of the graph file are damaged")]
    DamagedSection {
        /// The section.
        section: SnapshotSection,
    },
    /// Checksums match, but the content is not a graph.
    #[error("the graph file does not hold a graph")]
    NotSound {
        /// What is wrong with it.
        #[from]
        source: LinksDefect,
    },
    /// Checksums match, but the graph was built with impossible parameters.
    #[error("the graph file was made with impossible parameters")]
    WrongParameters {
        /// What is wrong with them.
        #[from]
        source: IndexError,
    },
    /// The graph was built for another owner.
    #[error("the graph file belongs to other vectors")]
    OtherVectors,
}

/// A part of a graph file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotSection {
    /// The nodes that each search scans.
    Unreachable,
    /// The nodes of a level above 0.
    Nodes {
        /// The level.
        level: usize,
    },
    /// Where the lists of neighbors of a level start.
    Offsets {
        /// The level.
        level: usize,
    },
    /// The lists of neighbors of a level.
    Neighbors {
        /// The level.
        level: usize,
    },
    /// Where the keys of each node start.
    Members,
    /// The keys of the nodes.
    Keys,
    /// The keys that had no vector.
    Absent,
    /// The scale of each row of codes.
    Scales,
    /// The first byte of each component.
    Coarse,
    /// The rest of each component.
    Fine,
}

impl fmt::Display for SnapshotSection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => write!(formatter, "unreachable nodes"),
            Self::Nodes { level } => write!(formatter, "nodes of level {level}"),
            Self::Offsets { level } => write!(formatter, "offsets of level {level}"),
            Self::Neighbors { level } => write!(formatter, "neighbors of level {level}"),
            Self::Members => formatter.write_str("members"),
            Self::Keys => formatter.write_str("keys"),
            Self::Absent => formatter.write_str("absent keys"),
            Self::Scales => formatter.write_str("scales"),
            Self::Coarse => formatter.write_str("coarse codes"),
            Self::Fine => formatter.write_str("fine codes"),
        }
    }
}
