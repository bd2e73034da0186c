//! The file form of a graph index: written whole or not at all, and verified when read.
//!
//! The file holds the links, not the vectors: those are ground state and live elsewhere. It names
//! the digest of the vectors it belongs to, and is refused for others. It is derived state, so
//! there is one version, never a migration: what cannot be read is built again.
//!
//! All numbers are little endian. The file is a header, then sections without gaps, then nothing.
//!
//! | offset | bytes | header field |
//! |---|---|---|
//! | 0 | 8 | magic `LKALGRPH` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | header length in bytes, up to and with the header checksum |
//! | 16 | 4 | dimension of the vectors |
//! | 20 | 4 | number of nodes, n |
//! | 24 | 4 | entry point |
//! | 28 | 4 | number of levels, L, in 1..=16 |
//! | 32 | 4 | number of unreachable nodes |
//! | 36 | 4 | search width `ef` |
//! | 40 | 4 | `links_max` |
//! | 44 | 4 | `ef_construction` |
//! | 48 | 8 | seed |
//! | 56 | 16 | recall report: k, queries, hits, wanted, 4 bytes each |
//! | 72 | 32 | BLAKE3 digest of the vectors |
//! | 104 | 8 L | per level, 0 first: number of nodes (n on level 0), number of links; 4 bytes each |
//! | 104 + 8 L | 12 L | CRC-32 of each section, in file order |
//! | 104 + 20 L | 4 | CRC-32 of the header up to here |
//!
//! | section | numbers of 4 bytes |
//! |---|---|
//! | unreachable nodes | as many as the header says, ascending |
//! | level 0, offsets | n + 1, where the list of each node starts and the last one ends |
//! | level 0, neighbors | nodes |
//! | level 1.., nodes | the nodes of the level, ascending |
//! | level 1.., offsets | one more than nodes |
//! | level 1.., neighbors | nodes |
//!
//! Magic, version and header length stay where they are in every version to come.

mod error;
mod header;
mod read;
mod write;

pub use error::{SnapshotError, SnapshotSection};
pub use read::load_graph;
pub use write::save_graph;
