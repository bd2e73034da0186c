//! Databases written by every format version open, and answer as they did.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{copy_folder, run_json, run_ok};

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/db")
}

#[test]
fn every_version_has_a_database_that_opens_and_answers() {
    for version in 1..=lookalike::store::FORMAT_VERSION {
        let fixture = fixtures().join(format!("v{version:03}"));
        assert!(fixture.is_dir(), "there is no database of version {version} in {fixture:?}");
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&fixture, &folder.path().join(".lookalike"));
        run_ok(folder.path(), &["verify"]);
        let images = run_json(folder.path(), &["list"]);
        assert_eq!(images.len(), 4, "version {version}");
        assert_eq!(run_json(folder.path(), &["label", "list"])[0]["label"], "fish");
        let hits = run_json(folder.path(), &["search", "--id", "1"]);
        assert_eq!(hits.len(), 3, "version {version}");
        let photo = common::photos().join("fish/goldfish.webp");
        let hits = run_json(folder.path(), &["search", photo.to_str().unwrap(), "--top", "1"]);
        assert_eq!(hits[0]["path"], "fish/goldfish.webp");
        assert!(hits[0]["score"].as_f64().unwrap() > 0.999, "{}", hits[0]);
    }
}
