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
        let ask = |arguments: &[&str]| ask(folder.path(), version, arguments);
        embed_anew(folder.path(), version, &ask);
        assert_eq!(ask(&["list"]).len(), 4, "version {version}");
        assert_eq!(ask(&["label", "list"])[0]["label"], "fish");
        ask(&["verify"]);
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

#[test]
fn a_database_of_any_version_without_its_manifest_is_repaired_into_the_newest() {
    for version in 1..=lookalike::store::FORMAT_VERSION {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join(".lookalike");
        copy_folder(&fixtures().join(format!("v{version:03}")), &database);
        std::fs::remove_file(database.join("MANIFEST.json")).unwrap();
        let ask = |arguments: &[&str]| ask(folder.path(), version, arguments);
        assert_eq!(ask(&["repair"])[0]["records_damaged"], 0, "version {version}");
        embed_anew(folder.path(), version, &ask);
        assert_eq!(ask(&["list"]).len(), 4, "version {version}");
        ask(&["verify"]);
    }
}

#[test]
fn positions_are_kept_from_version_2_on() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixtures().join("v002"), &folder.path().join(".lookalike"));
    let near = common::run_json(folder.path(), &["list", "--near", "48.858222,2.2945,0.1"]);
    assert_eq!(near.len(), 1);
    assert_eq!(near[0]["captured_at"], "2024-05-06T07:08:09");
}

#[test]
fn objects_are_kept_from_version_3_on() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixtures().join("v003"), &folder.path().join(".lookalike"));
    let scissors = common::run_json(folder.path(), &["list", "--has", "scissors"]);
    assert_eq!(scissors.len(), 2, "{scissors:?}");
    let id = scissors[0]["id"].to_string();
    let hits = common::run_json(folder.path(), &["search", "--id", &id, "--object", "1"]);
    assert!(hits[0]["object"]["class"].is_string(), "{hits:?}");
}

/// Runs the program, which must succeed, as it was when a version was written.
fn ask(folder: &Path, version: u32, arguments: &[&str]) -> Vec<serde_json::Value> {
    let mut command = lookalike(folder);
    command.args(arguments).arg("--json").env("LOOKALIKE_PRECISION", precision(version));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    json_lines(&String::from_utf8(output.stdout).unwrap())
}

/// Brings the photos of a version whose embeddings this program does not use any more, and indexes
/// them as its user would.
fn embed_anew(folder: &Path, version: u32, ask: &impl Fn(&[&str]) -> Vec<serde_json::Value>) {
    if version > 1 {
        return;
    }
    for photo in [
        "fish/goldfish",
        "tools/diagonal_side_cutters",
        "tools/long_nose_pliers",
        "tools/nail_clipper",
    ] {
        let path = Path::new(photo).with_extension("webp");
        std::fs::create_dir_all(folder.join(&path).parent().unwrap()).unwrap();
        std::fs::copy(common::photos().join(&path), folder.join(&path)).unwrap();
    }
    assert_eq!(ask(&["index"])[0]["embedded"], 4, "version {version}");
}

/// The precision that was the default when a version was written.
fn precision(version: u32) -> &'static str {
    if version < 2 { "f32" } else { "int8" }
}

#[test]
fn fingerprints_and_decisions_are_kept_from_version_5_on() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&fixtures().join("v005"), &folder.path().join(".lookalike"));
    copy_folder(&common::photos().join("tools"), &folder.path().join("tools"));
    let output = lookalike(folder.path()).args(["issues", "--json"]).output().unwrap();
    assert!(!stderr(&output).contains("could not be judged"), "{}", stderr(&output));
    let store = lookalike::store::Store::open(&folder.path().join(".lookalike")).unwrap();
    assert_eq!(store.fingerprints().map(Result::unwrap).count(), 4);
    assert_eq!(store.distinct().map(Result::unwrap).count(), 1);
}
