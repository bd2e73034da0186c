//! What is really gone is forgotten when asked for; labels stay.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::roots::TwoRoots;
use common::{Random, age, folder_with, paint, run, run_json, run_ok, stderr};
use serde_json::Value;

#[test]
fn a_root_can_be_forgotten_and_gc_removes_what_is_left_of_it() {
    let both = TwoRoots::new();
    both.unplug();
    let unknown = both.run(&["roots", "--forget", "elsewhere"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("no folder that was indexed"), "{}", stderr(&unknown));
    both.json(&["roots", "--forget", "tools"]);
    assert_eq!(both.json(&["roots"]).len(), 1);
    assert_eq!(both.json(&["list"]).len(), 1);
    assert_eq!(both.json(&["gc", "--apply"]).len(), 3);
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["unchanged"], &report["missing"]), (&1.into(), &0.into()), "{report}");
}

#[test]
fn gc_shows_first_and_removes_what_is_gone_but_not_your_labels() {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    let fish = folder.path().join("fish/goldfish.webp");
    let bytes = std::fs::read(&fish).unwrap();
    run_ok(folder.path(), &["label", "add", "pet", "fish/goldfish.webp"]);
    std::fs::remove_file(&fish).unwrap();
    // Gone, but not yet known to be: the last index saw it.
    assert_eq!(run(folder.path(), &["gc", "--apply"]).status.code(), Some(1));
    run_ok(folder.path(), &["index"]);
    // An overwritten file leaves an image without any place.
    let tool = folder.path().join("tools/nail_clipper.webp");
    let mut random = Random(2);
    paint(&folder.path().join("other.png"), &mut random);
    std::fs::rename(folder.path().join("other.png"), &tool).unwrap();
    run_ok(folder.path(), &["index"]);

    for arguments in [&["gc"][..], &["gc", "--dry-run"]] {
        let plan = run_json(folder.path(), arguments);
        assert_eq!(plan.len(), 2, "{plan:?}");
        assert!(plan.iter().all(|image| image["removed"] == false));
        let labelled: Vec<&Value> = plan.iter().filter(|image| image["label"] == "pet").collect();
        assert_eq!(labelled.len(), 1);
        assert_eq!(labelled[0]["paths"][0], "fish/goldfish.webp");
    }
    assert_eq!(run_json(folder.path(), &["stats"])[0]["images_missing"], 2);
    let removed = run_json(folder.path(), &["gc", "--apply"]);
    assert!(removed.len() == 2 && removed.iter().all(|image| image["removed"] == true));
    assert_eq!(run_json(folder.path(), &["stats"])[0]["images_missing"], 0);
    assert_eq!(run(folder.path(), &["gc"]).status.code(), Some(1));
    let verified = run_ok(folder.path(), &["verify"]);
    assert!(verified.contains("3 images, 3 locations, 3 embeddings, 1 labels"), "{verified}");

    std::fs::write(&fish, bytes).unwrap();
    age(&fish);
    let report = run_json(folder.path(), &["index"]).remove(0);
    assert_eq!((&report["added"], &report["embedded"]), (&1.into(), &1.into()), "{report}");
    let pets = run_json(folder.path(), &["list", "--label", "pet"]);
    assert_eq!(pets[0]["paths"][0], "fish/goldfish.webp");
}

#[test]
fn gc_keeps_what_was_missing_below_a_root_that_is_offline_now() {
    let both = TwoRoots::new();
    std::fs::remove_file(both.tools.join("nail_clipper.webp")).unwrap();
    both.json(&["index"]);
    both.unplug();
    assert_eq!(both.run(&["gc", "--apply"]).status.code(), Some(1));
    both.plug();
    assert_eq!(both.json(&["gc", "--apply"]).len(), 1);
}
