//! Databases written by every format version open, and answer as they did.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{copy_folder, json_lines, lookalike, stderr};

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
        let precision = if version < 2 { "f32" } else { "int8" };
        let ask = |arguments: &[&str]| {
            let mut command = lookalike(folder.path());
            command.args(arguments).arg("--json").env("LOOKALIKE_PRECISION", precision);
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
            json_lines(&String::from_utf8(output.stdout).unwrap())
        };
        ask(&["verify"]);
        assert_eq!(ask(&["list"]).len(), 4, "version {version}");
        assert_eq!(ask(&["label", "list"])[0]["label"], "fish");
        assert_eq!(ask(&["search", "--id", "1"]).len(), 3, "version {version}");
        let photo = common::photos().join("fish/goldfish.webp");
        let hits = ask(&["search", photo.to_str().unwrap(), "--top", "1"]);
        assert_eq!(hits[0]["path"], "fish/goldfish.webp");
        assert!(hits[0]["score"].as_f64().unwrap() > 0.999, "{}", hits[0]);
    }
}

#[test]
fn embeddings_of_another_precision_are_not_used_and_the_user_is_told() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixtures().join("v001"), &folder.path().join(".lookalike"));
    let output = lookalike(folder.path()).args(["search", "--id", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("`lookalike index`") && told.contains("another network"), "{told}");
}
