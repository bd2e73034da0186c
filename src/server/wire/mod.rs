//! What goes over the wire: the types of requests and answers, and how they become those of the
//! library.

pub(super) mod cluster;
pub(super) mod duplicates;
pub(super) mod facets;
pub(super) mod filter;
pub(super) mod image;
pub(super) mod job;
pub(super) mod label;
pub(super) mod map;
pub(super) mod page;
pub(super) mod search;
