//! Version 5: fingerprints of images, and which images the user said are not the same.

use super::Migration;

/// Nothing to change: the next run of `index` makes the fingerprints, for which the files must be
/// read. The number keeps older programs, which would lose decisions in the journal, away.
pub(super) const MIGRATION: Migration =
    Migration { to_version: 5, title: "fingerprints and decisions", apply: |_| Ok(()) };
