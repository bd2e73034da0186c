//! Version 1: the first format. An empty store becomes one with a state record.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    to_version: 1,
    title: "the first format",
    // The runner writes the state record of every step; there are no records yet to change.
    apply: |_writer| Ok(()),
};
