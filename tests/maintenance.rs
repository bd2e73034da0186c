//! `compact`, `backup` and `restore`: the same content afterwards, and nothing overwritten unasked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::{Path, PathBuf};

use common::{content, folder_with, run, run_json, run_ok, stderr};

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// A folder with an index, two labels and one taken away.
fn labelled() -> tempfile::TempDir {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    run_ok(folder.path(), &["label", "add", "fish", "fish/goldfish.webp"]);
    run_ok(folder.path(), &["label", "add", "tool", "tools/nail_clipper.webp"]);
    run_ok(folder.path(), &["label", "remove", "tools/nail_clipper.webp"]);
    folder
}

#[test]
fn a_compacted_database_is_smaller_holds_the_same_and_goes_on() {
    let folder = labelled();
    let directory = folder.path().join(".lookalike");
    let expected = content(folder.path());
    let report = run_json(folder.path(), &["compact"]).remove(0);
    let bytes = |field: &str| report[field].as_u64().unwrap();
    assert!(bytes("bytes_after") < bytes("bytes_before"), "{report}");
    assert_eq!(report["generation"], 2);
    assert_eq!(content(folder.path()), expected);
    let left = names(&directory);
    let expected_names =
        ["LOCK", "MANIFEST.json", "embeddings-2", "journal", "roots.json", "store-2"];
    assert_eq!(left, expected_names);
    run_ok(folder.path(), &["label", "add", "tool", "tools/nail_clipper.webp"]);
    assert_eq!(run_json(folder.path(), &["index"])[0]["unchanged"], 4);
    run_ok(folder.path(), &["verify"]);
    assert_eq!(run_json(folder.path(), &["compact"])[0]["generation"], 3);
    assert_eq!(run_json(folder.path(), &["label", "list"]).len(), 2);
}

#[test]
fn a_backup_is_restored_only_where_nothing_is_lost_unasked() {
    let folder = labelled();
    let backup = tempfile::tempdir().unwrap();
    let target: PathBuf = backup.path().join("copy");
    let target = target.to_str().unwrap();
    let expected = content(folder.path());
    run_ok(folder.path(), &["backup", target]);
    let again = run(folder.path(), &["backup", target]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("holds something already"), "{}", stderr(&again));

    run_ok(folder.path(), &["label", "remove", "fish/goldfish.webp"]);
    let changed = content(folder.path());
    assert_ne!(changed, expected);
    let refused = run(folder.path(), &["restore", target]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--replace"), "{}", stderr(&refused));
    assert_eq!(content(folder.path()), changed, "a refused restore changes nothing");

    run_ok(folder.path(), &["restore", target, "--replace"]);
    assert_eq!(content(folder.path()), expected);
    run_ok(folder.path(), &["verify"]);
    let hidden = names(folder.path());
    assert_eq!(hidden, [".lookalike", "fish", "tools"], "nothing is left beside the database");

    std::fs::remove_dir_all(folder.path().join(".lookalike")).unwrap();
    run_ok(folder.path(), &["restore", target]);
    assert_eq!(content(folder.path()), expected);
    assert_eq!(run_json(folder.path(), &["index"])[0]["unchanged"], 4);
}

#[test]
fn a_damaged_backup_replaces_nothing() {
    let folder = labelled();
    let backup = tempfile::tempdir().unwrap();
    let target = backup.path().join("copy");
    run_ok(folder.path(), &["backup", target.to_str().unwrap()]);
    run_ok(folder.path(), &["label", "remove", "fish/goldfish.webp"]);
    let expected = content(folder.path());
    for file in ["store-1/db", "embeddings-1/1"] {
        let path = target.join(file);
        let whole = std::fs::read(&path).unwrap();
        let mut harmed = whole.clone();
        let middle = harmed.len() / 2;
        harmed[middle] ^= 1;
        std::fs::write(&path, harmed).unwrap();
        let refused = run(folder.path(), &["restore", target.to_str().unwrap(), "--replace"]);
        assert_eq!(refused.status.code(), Some(2), "{file}");
        assert!(stderr(&refused).contains("damaged"), "{file}: {}", stderr(&refused));
        assert_eq!(content(folder.path()), expected, "{file}");
        std::fs::write(&path, whole).unwrap();
    }
    let nothing = run(folder.path(), &["restore", folder.path().to_str().unwrap(), "--replace"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert_eq!(content(folder.path()), expected);
}

#[test]
fn a_backup_can_be_made_while_the_database_is_in_use() {
    let folder = labelled();
    let directory = folder.path().join(".lookalike");
    let target = folder.path().join("copy");
    let store = lookalike::store::Store::open(&directory).unwrap();
    let scan = store.images();
    assert!(store.backup(&target, &|_, _| ()).unwrap() > 10);
    assert_eq!(scan.count(), 4);
    drop(store);
    let copy = lookalike::store::Store::open(&target).unwrap();
    assert_eq!(copy.images().count(), 4);
    assert_eq!(copy.labels().count(), 1);
}
