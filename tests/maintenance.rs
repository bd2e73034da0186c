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
        ["LOCK", "MANIFEST.json", "embeddings-2", "journal", "roots.json", "store-2", "thumbs"];
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
fn a_process_that_has_the_database_makes_the_backup_that_another_asks_for() {
    let folder = labelled();
    let directory = folder.path().join(".lookalike");
    let expected = content(folder.path());
    let store = lookalike::store::Store::open(&directory).unwrap();
    let backup = |target: &str, wait: &str| {
        let mut command = common::lookalike(folder.path());
        command.args(["backup", target, "--wait", wait]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    // A holder that writes nothing is waited for, and then named.
    let patient = backup("no-copy", "6").wait_with_output().unwrap();
    assert_eq!(patient.status.code(), Some(2));
    assert!(stderr(&patient).contains("is in use by process"), "{}", stderr(&patient));
    assert!(!names(&directory).iter().any(|name| name.contains("request")));

    let mut asking = backup("copy", "600");
    let hash = store.images().next().unwrap().unwrap().1.hash;
    let mut writes = 0;
    while asking.try_wait().unwrap().is_none() {
        let label = Some(format!("label {writes}"));
        store.decide(&[label_of(hash, label)]).unwrap();
        writes += 1;
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(writes < 2000, "nobody made the backup");
    }
    let done = asking.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(folder.path().join("copy/MANIFEST.json").exists());
    assert!(!names(&directory).iter().any(|name| name.contains("backup-")));
    let failing = backup("copy", "600").wait_with_output().unwrap();
    assert!(stderr(&failing).contains("holds something already"), "{}", stderr(&failing));

    // A holder that ends leaves the lock to who waits for it.
    let asking = backup("later", "600");
    std::thread::sleep(std::time::Duration::from_secs(7));
    store.decide(&[label_of(hash, None)]).unwrap();
    drop(store);
    assert_eq!(asking.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(run_ok(folder.path(), &["list", "--json", "--db", "later"]).lines().count(), 4);
    assert_ne!(content(folder.path()), expected, "a label more or less");
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

fn label_of(
    image: lookalike::record::ContentHash,
    label: Option<String>,
) -> lookalike::store::JournalEntry {
    lookalike::store::JournalEntry::Label(lookalike::store::LabelEntry { image, label })
}
