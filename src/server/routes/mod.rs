//! Handlers: they parse, ask the database, and render.

pub(super) mod clusters;
pub(super) mod duplicates;
pub(super) mod explain;
pub(super) mod files;
pub(super) mod images;
pub(super) mod jobs;
pub(super) mod labels;
pub(super) mod map;
pub(super) mod search;
pub(super) mod server;
