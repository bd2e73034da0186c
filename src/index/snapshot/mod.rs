//! The file form of a graph index: written whole or not at all, mapped into memory when read.
//!
//! The file holds all that a search needs: links, quantised vectors, and the keys of the nodes. It
//! is derived state, so there is one version, never a migration: what cannot be read is built
//! again. This module opts out of `unsafe_code = "deny"` for the one call that maps the file.
//!
//! All numbers are little endian. The file is a header, then sections, then nothing. Header and
//! sections are padded with zeros to a multiple of 64 bytes, and checksums include the padding.
//!
//! | offset | bytes | header field |
//! |---|---|---|
//! | 0 | 8 | magic `LKALGRPH` |
//! | 8 | 4 | version, 3 |
//! | 12 | 4 | header length in bytes, up to and with the header checksum |
//! | 16 | 4 | dimension of the vectors, d; r is the next multiple of 64 |
//! | 20 | 4 | number of nodes, n |
//! | 24 | 4 | entry point |
//! | 28 | 4 | number of levels, L, in 1..=16 |
//! | 32 | 4 | number of unreachable nodes |
//! | 36 | 4 | search width `ef` |
//! | 40 | 4 | `links_max` |
//! | 44 | 4 | `ef_construction` |
//! | 48 | 4 | builder: 0 our own, 1 `hnsw_rs` |
//! | 52 | 4 | recall of the ten nearest that `ef` was chosen for, in thousandths |
//! | 56 | 4 | number of keys |
//! | 60 | 4 | number of absent keys |
//! | 64 | 8 | seed |
//! | 72 | 16 | recall report: k, queries, hits, wanted, 4 bytes each |
//! | 88 | 32 | owner: the digest of the space whose vectors these are |
//! | 120 | 8 L | per level, 0 first: number of nodes (n on level 0), number of links; 4 bytes each |
//! | 120 + 8 L | 24 + 12 L | CRC-32 of each section, in file order |
//! | 144 + 20 L | 4 | CRC-32 of the header up to here |
//!
//! | section | content |
//! |---|---|
//! | unreachable nodes | 4 bytes each, ascending |
//! | level 0, offsets | n + 1 times 4 bytes, where the list of each node starts and the last ends |
//! | level 0, neighbors | nodes of 4 bytes |
//! | level 1.., nodes | the nodes of the level, 4 bytes each, ascending |
//! | level 1.., offsets | one more than nodes, 4 bytes each |
//! | level 1.., neighbors | nodes of 4 bytes |
//! | members | n + 1 times 4 bytes, where the keys of each node start |
//! | keys | image numbers of 8 bytes |
//! | absent keys | 8 bytes each, ascending: images without an embedding when the graph was built |
//! | scales | n floats of 4 bytes |
//! | coarse codes | n rows of r signed bytes |
//! | fine codes | n rows of r / 2 bytes: component i in the low bits of byte i, component i + r / 2 in the high bits, each plus 8 |
//!
//! Magic, version and header length stay where they are in every version to come.

mod error;
mod header;
mod read;
mod write;

use std::sync::Arc;

use memmap2::Mmap;

use super::{GraphIndex, Members};
pub use error::{SnapshotError, SnapshotSection};
pub use read::load_graph;
pub use write::save_graph;

/// A graph with the keys of its nodes: what a graph file holds.
#[derive(Debug)]
pub struct GraphFile {
    /// The graph.
    pub graph: GraphIndex,
    /// Whom its nodes stand for.
    pub members: Members,
    /// The file, if it was read from one.
    map: Option<Arc<Mmap>>,
}

impl GraphFile {
    /// A graph that is not in a file yet.
    pub fn new(graph: GraphIndex, members: Members) -> Self {
        Self { graph, members, map: None }
    }
}
