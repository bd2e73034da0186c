//! Roots and volumes that are not there: nothing in them is lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

#[cfg(target_os = "linux")]
use common::roots::Mounted;
use common::roots::TwoRoots;
use common::{Random, age, folder_with, paint, run_json};
use serde_json::Value;

/// The states of the files of all hits for the goldfish.
fn hit_states(both: &TwoRoots) -> Vec<Value> {
    let hits = both.json(&["search", "fish/goldfish.webp"]);
    hits.iter().map(|hit| hit["file"].clone()).collect()
}

#[test]
fn a_root_that_is_not_there_or_empty_is_offline_and_nothing_in_it_is_lost() {
    for is_empty_folder_left in [false, true] {
        let both = TwoRoots::new();
        assert_eq!(hit_states(&both), ["there"; 3]);
        both.unplug();
        if is_empty_folder_left {
            std::fs::create_dir(&both.tools).unwrap();
        }
        assert_eq!(hit_states(&both), ["offline"; 3]);
        let text = both.run(&["search", "fish/goldfish.webp"]);
        let text = String::from_utf8(text.stdout).unwrap();
        assert_eq!(text.matches("  (offline)\n").count(), 3, "{text}");

        // Without arguments, all known folders are looked at.
        let report = both.json(&["index"]).remove(0);
        assert_eq!((&report["missing"], &report["unchanged"]), (&0.into(), &1.into()), "{report}");
        assert_eq!(report["offline"].as_array().unwrap().len(), 1, "{report}");
        let roots = both.json(&["roots"]);
        let why = if is_empty_folder_left { "empty" } else { "absent" };
        assert_eq!((&roots[0]["offline"], &roots[0]["files"]), (&Value::Null, &1.into()));
        assert_eq!((&roots[1]["offline"], &roots[1]["files"]), (&why.into(), &3.into()));
        assert_eq!(both.json(&["stats"])[0]["files_offline"], 3);
        assert_eq!(both.run(&["list", "--missing"]).status.code(), Some(1));
        assert_eq!(both.run(&["gc", "--apply"]).status.code(), Some(1));

        if is_empty_folder_left {
            std::fs::remove_dir(&both.tools).unwrap();
        }
        both.plug();
        let report = both.json(&["index"]).remove(0);
        assert_eq!((&report["unchanged"], &report["embedded"]), (&4.into(), &0.into()), "{report}");
        assert_eq!(hit_states(&both), ["there"; 3]);
    }
}

#[test]
fn a_copy_of_an_offline_file_is_a_copy_and_its_old_place_is_kept() {
    let both = TwoRoots::new();
    let copy = both.outer.path().join("fish/clipper.webp");
    std::fs::copy(both.tools.join("nail_clipper.webp"), &copy).unwrap();
    age(&copy);
    both.unplug();
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["copied"], &report["moved"]), (&1.into(), &0.into()), "{report}");
    // The copy that can be opened is the one that a hit names first.
    let hits = both.json(&["search", "fish/goldfish.webp"]);
    let there: Vec<&Value> = hits.iter().filter(|hit| hit["file"] == "there").collect();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["path"], "fish/clipper.webp");
    assert_eq!(there[0]["copies"][0], "tools/nail_clipper.webp");
    std::fs::remove_file(copy).unwrap();
    both.json(&["index"]);
    both.plug();
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["unchanged"], &report["embedded"]), (&4.into(), &0.into()), "{report}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_volume_that_is_not_mounted_is_offline_whatever_lies_in_its_folder() {
    let folder = folder_with(&["tools"]);
    let (usb, inner) = (folder.path().join("usb"), folder.path().join("tools/card"));
    std::fs::create_dir_all(&usb).unwrap();
    std::fs::create_dir_all(&inner).unwrap();
    let (Some(first), Some(second)) = (Mounted::at(&usb), Mounted::at(&inner)) else {
        println!("skipped: this user may not mount");
        return;
    };
    // One volume is a root of its own, the other lies inside a root.
    common::copy_folder(&common::photos().join("fish"), &usb);
    let mut random = Random(1);
    paint(&inner.join("1.png"), &mut random);
    age(&inner.join("1.png"));
    let json = |arguments: &[&str]| run_json(folder.path(), &[arguments, &["--db", "db"]].concat());
    assert_eq!(json(&["index", "tools", "usb"])[0]["added"], 5);
    drop((first, second));
    // Somebody saved a picture while the drive was away.
    paint(&usb.join("stray.png"), &mut random);
    let report = json(&["index"]).remove(0);
    assert_eq!((&report["missing"], &report["added"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["offline"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(json(&["roots"])[1]["offline"], "not-mounted");
    assert_eq!(json(&["stats"])[0]["files_offline"], 2);
    let hits = json(&["search", "tools/nail_clipper.webp"]);
    assert_eq!(hits.iter().filter(|hit| hit["file"] == "offline").count(), 2, "{hits:?}");

    // The volume is there and its file is not: that one is missing.
    let again = Mounted::at(&inner).unwrap();
    let report = json(&["index"]).remove(0);
    assert_eq!(report["missing"], 1, "{report}");
    drop(again);
}
