//! Indexing again: only what is new goes through the network, and nothing is forgotten.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{age, folder_with, run, run_json, run_ok, stderr};
use serde_json::Value;

/// Runs `index` and compares some counts of its report; counts not named must be 0.
fn index(folder: &Path, expected: &[(&str, u64)]) -> Value {
    let report = run_json(folder, &["index"]).remove(0);
    for name in ["added", "changed", "unchanged", "moved", "copied", "missing", "embedded"] {
        let wanted = expected.iter().find(|(key, _)| *key == name).map_or(0, |(_, count)| *count);
        assert_eq!(report[name], wanted, "{name} in {report}");
    }
    report
}

fn rename(folder: &Path, from: &str, to: &str) {
    let target = folder.join(to);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    std::fs::rename(folder.join(from), target).unwrap();
}

#[test]
fn unchanged_files_are_not_read_again() {
    let folder = folder_with(&["tools"]);
    index(folder.path(), &[("added", 3), ("embedded", 3)]);
    // Were they read, their changed content would show.
    let file = folder.path().join("tools/nail_clipper.webp");
    let stamp = file.metadata().unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(stamp).unwrap();
    index(folder.path(), &[("unchanged", 3)]);
}

#[test]
fn moving_the_whole_folder_costs_nothing() {
    let outer = tempfile::tempdir().unwrap();
    let (old, new) = (outer.path().join("old"), outer.path().join("new"));
    common::copy_folder(&common::photos().join("tools"), &old);
    index(&old, &[("added", 3), ("embedded", 3)]);
    std::fs::rename(&old, &new).unwrap();
    index(&new, &[("unchanged", 3)]);
    let paths = run_ok(&new, &["list"]);
    assert!(paths.contains("nail_clipper.webp"), "{paths}");
}

#[test]
fn renamed_and_copied_files_are_recognised_and_not_embedded_again() {
    let folder = folder_with(&["tools"]);
    index(folder.path(), &[("added", 3), ("embedded", 3)]);
    let before = run_json(folder.path(), &["search", "--id", "1"]);

    rename(folder.path(), "tools/nail_clipper.webp", "sorted/clipper.webp");
    index(folder.path(), &[("moved", 1), ("unchanged", 2)]);
    assert_eq!(run(folder.path(), &["list", "--missing"]).status.code(), Some(1));
    let after = run_json(folder.path(), &["search", "--id", "1"]);
    assert_eq!(before.len(), after.len());

    let copy = folder.path().join("copy.webp");
    std::fs::copy(folder.path().join("sorted/clipper.webp"), &copy).unwrap();
    age(&copy);
    index(folder.path(), &[("copied", 1), ("unchanged", 3)]);
    index(folder.path(), &[("unchanged", 4)]);
}

#[test]
fn a_changed_file_is_read_again_and_its_old_content_is_found_no_more() {
    let folder = folder_with(&["tools"]);
    index(folder.path(), &[("added", 3), ("embedded", 3)]);
    let file = folder.path().join("tools/nail_clipper.webp");
    std::fs::copy(common::photos().join("fish/goldfish.webp"), &file).unwrap();
    index(folder.path(), &[("changed", 1), ("unchanged", 2), ("embedded", 1)]);
    let images = run_json(folder.path(), &["list"]);
    assert_eq!(images.len(), 3);
    let classes = images.iter().map(|image| image["classes"][0]["class"].clone());
    assert!(classes.collect::<Vec<_>>().contains(&Value::from("goldfish")));
}

#[test]
fn a_deleted_file_is_marked_and_comes_back_without_being_embedded() {
    let folder = folder_with(&["tools"]);
    index(folder.path(), &[("added", 3), ("embedded", 3)]);
    let away = tempfile::tempdir().unwrap();
    let (home, hidden) =
        (folder.path().join("tools/nail_clipper.webp"), away.path().join("x.webp"));
    std::fs::copy(&home, &hidden).unwrap();
    std::fs::remove_file(&home).unwrap();
    index(folder.path(), &[("missing", 1), ("unchanged", 2)]);
    assert_eq!(run_json(folder.path(), &["list"]).len(), 2);
    assert_eq!(run_json(folder.path(), &["list", "--missing"]).len(), 1);
    index(folder.path(), &[("unchanged", 2)]);
    std::fs::copy(&hidden, &home).unwrap();
    age(&home);
    index(folder.path(), &[("unchanged", 3)]);
    assert_eq!(run_json(folder.path(), &["list"]).len(), 3);
}

#[test]
fn an_emptied_folder_is_taken_for_an_unplugged_volume() {
    let folder = folder_with(&["tools"]);
    let database = tempfile::tempdir().unwrap();
    let db = database.path().join("db");
    let arguments = ["index", "tools", "--db", db.to_str().unwrap()];
    run_ok(folder.path(), &arguments);
    let away = folder.path().join("away");
    std::fs::rename(folder.path().join("tools"), &away).unwrap();
    std::fs::create_dir(folder.path().join("tools")).unwrap();
    let report = run_json(folder.path(), &arguments).remove(0);
    assert_eq!(report["missing"], 0, "{report}");
    assert_eq!(report["offline"].as_array().unwrap().len(), 1, "{report}");
    std::fs::remove_dir(folder.path().join("tools")).unwrap();
    std::fs::rename(away, folder.path().join("tools")).unwrap();
    let report = run_json(folder.path(), &arguments).remove(0);
    assert_eq!((&report["unchanged"], &report["embedded"]), (&3.into(), &0.into()), "{report}");
}

#[test]
fn two_folders_share_a_database_that_lies_elsewhere() {
    let folder = folder_with(&["tools", "fish"]);
    let db = folder.path().join("elsewhere/my.db");
    let db = db.to_str().unwrap();
    let refused = run(folder.path(), &["index", "tools", "fish"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--db PATH"), "{}", stderr(&refused));
    assert!(!folder.path().join("tools/.lookalike").exists());
    run_ok(folder.path(), &["index", "tools", "fish", "--db", db]);
    assert_eq!(run_json(folder.path(), &["list", "--db", db]).len(), 4);
    let under = run_json(folder.path(), &["list", "--db", db, "--under", "fish"]);
    assert_eq!(under.len(), 1);
    assert_eq!(under[0]["paths"][0], "fish/goldfish.webp");
}

#[test]
fn indexing_one_folder_of_many_does_not_forget_the_others() {
    let folder = folder_with(&["tools", "fish"]);
    index(folder.path(), &[("added", 4), ("embedded", 4)]);
    std::fs::remove_file(folder.path().join("fish/goldfish.webp")).unwrap();
    let report = run_json(folder.path(), &["index", "tools"]).remove(0);
    assert_eq!((&report["missing"], &report["unchanged"]), (&0.into(), &3.into()), "{report}");
    index(folder.path(), &[("missing", 1), ("unchanged", 3)]);
}

#[test]
fn a_database_in_a_folder_above_is_found() {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    let tools = folder.path().join("tools");
    let hits = run_json(&tools, &["search", "nail_clipper.webp", "--under", "."]);
    assert_eq!(hits.len(), 2);
    run_ok(&tools, &["index", "."]);
    assert!(!tools.join(".lookalike").exists());
}

#[cfg(unix)]
#[test]
fn the_database_of_a_folder_that_cannot_be_written_goes_to_the_data_folder() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder_with(&["tools"]);
    let tools = folder.path().join("tools");
    std::fs::set_permissions(&tools, std::fs::Permissions::from_mode(0o555)).unwrap();
    if tempfile::tempfile_in(&tools).is_ok() {
        println!("skipped: this user may write anywhere");
        return;
    }
    run_ok(folder.path(), &["index", "tools"]);
    assert!(folder.path().join(".xdg-data/lookalike").is_dir());
    assert_eq!(run_json(&tools, &["list"]).len(), 3);
}
