//! Version 3: detections and the embeddings of objects, two new kinds of records.

use super::Migration;

pub(super) const MIGRATION: Migration = Migration {
    to_version: 3,
    title: "objects",
    // No record of before changes. The number alone keeps older programs out, which would take the
    // new kinds for damage.
    apply: |_writer| Ok(()),
};
