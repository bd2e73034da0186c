//! Duplicates, leaks, outliers and issues through the program, on real photos and edits of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{folder_with, json_lines, photos, run, run_json, run_ok, stderr};
use lookalike::imaging::{self, DecodeLimits, Edit};
use lookalike::pixels::Pixels;
use serde_json::Value;

fn decoded(path: &Path) -> Pixels {
    imaging::decode(&std::fs::read(path).unwrap(), &DecodeLimits::default()).unwrap().pixels
}

/// The paths of a group, the one to keep first.
fn paths(group: &Value) -> Vec<String> {
    let others = group["others"].as_array().unwrap();
    let all = std::iter::once(&group["keep"]).chain(others);
    all.map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

/// The tier of a file in its group, and the file that is kept of it.
fn found(groups: &[Value], path: &str) -> Option<(String, String)> {
    groups.iter().find_map(|group| {
        let others = group["others"].as_array().unwrap();
        let other = others.iter().find(|other| other["path"] == path)?;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Some((text(&other["tier"]), text(&group["keep"]["path"])))
    })
}

fn dupes(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let all = [&["dupes", "--json"], arguments].concat();
    let output = run(folder, &all);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    json_lines(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn every_edit_is_in_a_group_with_its_photo_and_no_group_joins_two_photos() {
    let folder = folder_with(&["animals", "landmarks", "nature"]);
    let mut originals: Vec<_> = ["animals", "landmarks", "nature"]
        .iter()
        .flat_map(|group| std::fs::read_dir(folder.path().join(group)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    originals.sort();
    // The same picture twice, as the fixtures tell.
    let twice = ["_wide", "_tall"];
    originals.retain(|path| !twice.iter().any(|mark| path.to_string_lossy().contains(mark)));
    for group in ["landmarks/cliff_palace_tall.jpg", "nature/flower_meadow_wide.jpg"] {
        std::fs::remove_file(folder.path().join(group)).unwrap();
    }
    let edited = originals.iter().step_by(4);
    let mut made = Vec::new();
    for (number, path) in edited.enumerate() {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let photo = decoded(path);
        for edit in Edit::ALL {
            let at = [(number % 3) as f32 / 2.0, (number % 5) as f32 / 4.0];
            let name = format!("{stem}_{edit:?}.png");
            let bytes = imaging::encode_png(&edit.apply(&photo, at));
            std::fs::write(folder.path().join(&name), bytes).unwrap();
            made.push((stem.to_owned(), edit, name));
        }
    }
    run_ok(folder.path(), &["index", "--no-detect"]);
    let groups = dupes(folder.path(), &[]);
    let stem_of = |path: &str| -> String {
        let name = Path::new(path).file_stem().unwrap().to_str().unwrap().to_owned();
        let edit = Edit::ALL.iter().find_map(|edit| name.strip_suffix(&format!("_{edit:?}")));
        edit.unwrap_or(&name).to_owned()
    };
    for group in &groups {
        let stems: BTreeSet<String> = paths(group).iter().map(|path| stem_of(path)).collect();
        assert_eq!(stems.len(), 1, "{group}");
    }
    let is_found = |stem: &str, name: &String| {
        groups.iter().map(paths).any(|paths| {
            paths.contains(name) && paths.iter().any(|path| path.contains(&format!("/{stem}.")))
        })
    };
    let lost: Vec<&(String, Edit, String)> =
        made.iter().filter(|(stem, _, name)| !is_found(stem, name)).collect();
    // A mark hides what little there is to see on a photo of mist.
    let (marks, others): (Vec<_>, Vec<_>) =
        lost.into_iter().partition(|(_, edit, _)| *edit == Edit::Marked);
    assert!(others.is_empty() && marks.len() <= 1, "{others:?} {marks:?}");
    let originals = ["animals", "landmarks", "nature"].map(|name| ["--keep-in", name]);
    let groups = dupes(folder.path(), &originals.concat());
    let mut beside_photo = 0;
    for (stem, edit, name) in &made {
        let Some((tier, keep)) = found(&groups, name) else { continue };
        if keep.contains(&format!("/{stem}.")) {
            let is_whole = matches!(edit, Edit::Reduced | Edit::Recompressed);
            assert_eq!(tier == "reencoded", is_whole, "{stem} {edit:?}");
            beside_photo += 1;
        }
    }
    assert!(beside_photo + 1 >= made.len(), "{beside_photo} of {}", made.len());
}

#[test]
fn pairs_of_the_fixtures_are_found_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    common::copy_folder(&photos(), &folder.path().join("photos"));
    run_ok(folder.path(), &["index", "--no-detect"]);
    let pairs: Value =
        serde_json::from_slice(&std::fs::read(photos().join("pairs.json")).unwrap()).unwrap();
    let named = |kind: &str| -> BTreeSet<BTreeSet<String>> {
        let pairs = pairs[kind].as_array().unwrap().iter();
        let pair =
            |two: &Value| [0, 1].map(|side| format!("photos/{}", two[side].as_str().unwrap()));
        pairs.map(|two| BTreeSet::from(pair(two))).collect()
    };
    let groups: BTreeSet<BTreeSet<String>> =
        dupes(folder.path(), &[]).iter().map(|group| paths(group).into_iter().collect()).collect();
    let duplicates = named("near_duplicates");
    let lost: Vec<_> = duplicates.difference(&groups).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // Some photos of the same place are a wide and a narrow cut of one shot.
    let same_place = named("same_place");
    let wrong: Vec<_> = groups
        .iter()
        .filter(|pair| !duplicates.contains(*pair) && !same_place.contains(*pair))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A JPEG with a comment that was not there: the same pixels in other bytes.
fn with_comment(jpeg: &[u8]) -> Vec<u8> {
    [&jpeg[..2], &[0xFF, 0xFE, 0, 6], b"mine", &jpeg[2..]].concat()
}

#[test]
fn copies_are_told_from_the_same_pixels_in_another_file() {
    let folder = folder_with(&["food", "space"]);
    let photo = folder.path().join("food/coffee.jpg");
    let bytes = std::fs::read(&photo).unwrap();
    std::fs::write(folder.path().join("coffee (1).jpg"), &bytes).unwrap();
    std::fs::write(folder.path().join("commented.jpg"), with_comment(&bytes)).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    let groups = dupes(folder.path(), &[]);
    assert_eq!(groups.len(), 1, "{groups:?}");
    let keep = paths(&groups[0])[0].clone();
    assert_ne!(keep, "coffee (1).jpg", "the name is that of a copy");
    let kept = dupes(folder.path(), &["--keep-in", "food"]);
    assert_eq!(paths(&kept[0])[0], "food/coffee.jpg");
    let tiers: BTreeSet<String> =
        kept[0]["others"].as_array().unwrap().iter().map(|o| o["tier"].to_string()).collect();
    assert_eq!(tiers, BTreeSet::from(["\"same_bytes\"".into(), "\"same_pixels\"".into()]));
    let only_bytes = dupes(folder.path(), &["--up-to", "bytes"]);
    assert_eq!(only_bytes[0]["others"].as_array().unwrap().len(), 1);
}

#[test]
fn what_the_user_says_is_not_the_same_stays_so_after_a_move_and_a_repair() {
    let folder = folder_with(&["food"]);
    let small = Edit::Reduced.apply(&decoded(&folder.path().join("food/coffee.jpg")), [0.0; 2]);
    std::fs::write(folder.path().join("small.png"), imaging::encode_png(&small)).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    assert_eq!(dupes(folder.path(), &[]).len(), 1);
    run_ok(folder.path(), &["dupes", "--not-same", "small.png", "food/coffee.jpg"]);
    assert_eq!(dupes(folder.path(), &[]), [] as [Value; 0]);
    std::fs::rename(folder.path().join("small.png"), folder.path().join("moved.png")).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    assert_eq!(dupes(folder.path(), &[]), [] as [Value; 0]);
    // The journal alone brings it back.
    for entry in std::fs::read_dir(folder.path().join(".lookalike")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("store-") {
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
    run_ok(folder.path(), &["repair"]);
    run_ok(folder.path(), &["index", "--no-detect"]);
    assert_eq!(dupes(folder.path(), &[]), [] as [Value; 0]);
    run_ok(folder.path(), &["dupes", "--same", "food/coffee.jpg", "moved.png"]);
    assert_eq!(dupes(folder.path(), &[]).len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn only_apply_moves_files_and_only_to_the_trash() {
    let folder = folder_with(&["food"]);
    let photo = folder.path().join("food/coffee.jpg");
    let bytes = std::fs::read(&photo).unwrap();
    std::fs::write(folder.path().join("copy.jpg"), &bytes).unwrap();
    let crop = Edit::CroppedByTenth.apply(&decoded(&photo), [0.5; 2]);
    std::fs::write(folder.path().join("crop.png"), imaging::encode_png(&crop)).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    dupes(folder.path(), &[]);
    let there = || ["food/coffee.jpg", "copy.jpg"].map(|name| folder.path().join(name).exists());
    assert_eq!(there(), [true, true], "nothing was asked for");
    // A file that was changed since is no copy any more.
    std::fs::write(folder.path().join("copy.jpg"), with_comment(&bytes)).unwrap();
    let refused = run(folder.path(), &["dupes", "--apply"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("changed since it was indexed"), "{}", stderr(&refused));
    assert_eq!(there(), [true, true]);
    std::fs::write(folder.path().join("copy.jpg"), &bytes).unwrap();
    let applied = run(folder.path(), &["dupes", "--apply"]);
    assert_eq!(applied.status.code(), Some(0), "{}", stderr(&applied));
    assert_eq!(there().iter().filter(|there| **there).count(), 1);
    assert!(folder.path().join("crop.png").exists(), "an edit is nobody's copy without a word");
    let trashed = walk(folder.path())
        .into_iter()
        .any(|path| path.contains("Trash/files") || path.contains(".Trash"));
    assert!(trashed, "{:?}", walk(folder.path()));
    assert_eq!(run(folder.path(), &["dupes", "--up-to", "reencoded"]).status.code(), Some(1));
    assert_eq!(run_json(folder.path(), &["list"]).len(), 4);
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.to_string_lossy().into_owned());
        if path.is_dir() {
            found.extend(walk(&path));
        }
    }
    found
}

#[test]
fn a_leak_is_named_and_fails_only_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    common::copy_folder(&photos().join("animals"), &folder.path().join("train"));
    common::copy_folder(&photos().join("food"), &folder.path().join("test"));
    run_ok(folder.path(), &["index", "--no-detect"]);
    let leak =
        |arguments: &[&str]| run(folder.path(), &[&["leak", "train", "test"], arguments].concat());
    assert_eq!(leak(&[]).status.code(), Some(1));
    assert_eq!(leak(&["--fail-if-found"]).status.code(), Some(0));
    let crop =
        Edit::CroppedByTenth.apply(&decoded(&folder.path().join("train/moose.webp")), [1.0; 2]);
    std::fs::write(folder.path().join("test/a.png"), imaging::encode_png(&crop)).unwrap();
    std::fs::copy(folder.path().join("train/two_dogs.jpg"), folder.path().join("test/b.jpg"))
        .unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    assert_eq!(leak(&[]).status.code(), Some(0));
    assert_eq!(leak(&["--fail-if-found"]).status.code(), Some(2));
    let leaks = run_json(folder.path(), &["leak", "train", "test"]);
    let pairs: BTreeSet<[&str; 3]> = leaks
        .iter()
        .map(|leak| [&leak["train"]["path"], &leak["test"]["path"], &leak["tier"]])
        .map(|texts| texts.map(|text| text.as_str().unwrap()))
        .collect();
    let expected = [
        ["train/moose.webp", "test/a.png", "edited"],
        ["train/two_dogs.jpg", "test/b.jpg", "same_bytes"],
    ];
    assert_eq!(pairs, BTreeSet::from(expected));
    let typo = run(folder.path(), &["leak", "trian", "test"]);
    assert_eq!(typo.status.code(), Some(2), "{}", stderr(&typo));
}

#[test]
fn doubtful_photos_are_listed_with_what_is_wrong() {
    let folder = folder_with(&["nature", "animals"]);
    let photo = decoded(&folder.path().join("nature/forest_stream.jpg"));
    let save = |name: &str, pixels: &Pixels| {
        std::fs::write(folder.path().join(name), imaging::encode_png(pixels)).unwrap();
    };
    let tiny = imaging::squash(&photo, 24);
    save("blurred.png", &imaging::squash(&tiny, 600));
    let levels = |change: fn(u8) -> u8| {
        let mut changed = photo.clone();
        changed.rgb_mut().iter_mut().for_each(|level| *level = change(*level));
        changed
    };
    save("dark.png", &levels(|level| level / 24));
    save("burnt.png", &levels(|level| 255 - (255 - level) / 24));
    save("blank.png", &Pixels::from_rgb(600, 400, vec![120; 720_000]).unwrap());
    save("strip.png", &Pixels::from_rgb(2000, 60, photo.rgb()[..360_000].to_vec()).unwrap());
    save("icon.png", &imaging::squash(&photo, 20));
    run_ok(folder.path(), &["index", "--no-detect"]);
    let issues = run_json(folder.path(), &["issues"]);
    let has = |path: &str, issue: &str| {
        issues.iter().any(|found| found["path"] == path && found["issue"] == issue)
    };
    for (path, issue) in [
        ("blurred.png", "blurry"),
        ("dark.png", "dark"),
        ("burnt.png", "overexposed"),
        ("blank.png", "low_information"),
        ("strip.png", "odd_aspect"),
        ("icon.png", "odd_size"),
    ] {
        assert!(has(path, issue), "{path} {issue}: {issues:?}");
    }
    let blamed: Vec<_> = issues
        .iter()
        .filter(|found| found["path"].as_str().unwrap().contains('/'))
        // One is dark indeed.
        .filter(|found| found["issue"] != "odd_size" && found["path"] != "nature/dark_ivy.jpg")
        .collect();
    assert!(blamed.is_empty(), "{blamed:?}");
}

#[test]
fn the_photo_unlike_all_others_comes_first() {
    let folder = folder_with(&["flowers", "space"]);
    std::fs::remove_file(folder.path().join("space/hubble_deep_field.jpg")).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    let outliers = run_json(folder.path(), &["outliers", "--top", "3"]);
    assert_eq!(outliers.len(), 3);
    assert_eq!(outliers[0]["path"], "space/saturn.jpg");
    assert!(outliers[0]["score"].as_f64() < outliers[1]["score"].as_f64());
}

#[test]
fn a_search_says_what_a_score_is_worth_and_stops_where_chance_begins() {
    let folder = tempfile::tempdir().unwrap();
    common::copy_folder(&photos(), &folder.path().join("photos"));
    run_ok(folder.path(), &["index", "--no-detect"]);
    let query = ["search", "photos/landmarks/roman_colosseum.jpg", "--top", "40"];
    let hits = run_json(folder.path(), &[&query[..], &["--chance"]].concat());
    let chances: Vec<f64> = hits.iter().map(|hit| hit["by_chance"].as_f64().unwrap()).collect();
    assert!(chances[0] < 0.1 && chances.is_sorted() && chances[39] > 1.0, "{chances:?}");
    let sure = run_json(folder.path(), &[&query[..], &["--auto", "--chance"]].concat());
    assert!((1..40).contains(&sure.len()));
    assert!(sure.iter().all(|hit| hit["by_chance"].as_f64().unwrap() <= 1.0001), "{sure:?}");
}

#[test]
fn a_map_puts_copies_close_together_and_is_the_same_each_time() {
    let folder = folder_with(&["near_duplicates", "landmarks", "animals", "food", "flowers"]);
    run_ok(folder.path(), &["index", "--no-detect"]);
    let once = run_json(folder.path(), &["map"]);
    let index = folder.path().join(".lookalike/index");
    std::fs::remove_dir_all(&index).unwrap();
    assert_eq!(run_json(folder.path(), &["map"]), once);
    assert_eq!(run_json(folder.path(), &["map"]), once, "as it was kept");
    let place = |path: &str| {
        let point = once.iter().find(|point| point["path"] == path).unwrap();
        [point["x"].as_f64().unwrap(), point["y"].as_f64().unwrap()]
    };
    let distance = |a: &str, b: &str| {
        let (a, b) = (place(a), place(b));
        (a[0] - b[0]).hypot(a[1] - b[1])
    };
    let near =
        distance("landmarks/roman_colosseum.jpg", "near_duplicates/roman_colosseum_small.jpg");
    let far = distance("landmarks/roman_colosseum.jpg", "animals/moose.webp");
    assert!(near < far / 2.0, "{near} {far}");
    assert!(once.iter().all(|p| (0.0..=1.0).contains(&p["x"].as_f64().unwrap())));
    run_ok(folder.path(), &["map", "--out", "map.png", "--size", "400"]);
    assert_eq!(decoded(&folder.path().join("map.png")).width_px(), 400);
    run_ok(folder.path(), &["map", "--out", "map.svg", "--method", "pca"]);
    let svg = std::fs::read_to_string(folder.path().join("map.svg")).unwrap();
    assert_eq!(svg.matches("<title>").count(), once.len());
    assert_eq!(
        run(folder.path(), &["map", "--out", "map.svg"]).status.code(),
        Some(2),
        "not twice"
    );
}

#[test]
fn five_images_one_and_none_are_answered_without_a_crash() {
    for count in [5, 1, 0] {
        let folder = folder_with(&["landmarks"]);
        let mut files: Vec<_> = std::fs::read_dir(folder.path().join("landmarks"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files[count..].iter().for_each(|file| std::fs::remove_file(file).unwrap());
        run_ok(folder.path(), &["index", "--no-detect"]);
        for command in ["dupes", "outliers", "issues", "map"] {
            let output = run(folder.path(), &[command]);
            assert!(
                matches!(output.status.code(), Some(0 | 1)),
                "{count} {command}: {}",
                stderr(&output)
            );
        }
        let leak = run(folder.path(), &["leak", "landmarks", "landmarks"]);
        assert!(!stderr(&leak).contains("panicked"), "{count}: {}", stderr(&leak));
        let search = run(folder.path(), &["search", "--id", "1", "--auto"]);
        assert_eq!(search.status.code(), Some(2), "{count}: {}", stderr(&search));
    }
}

#[test]
fn a_database_without_fingerprints_says_so_and_index_adds_them_without_embedding_again() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/db/v004");
    common::copy_folder(&fixture, &folder.path().join(".lookalike"));
    let before = run(folder.path(), &["dupes"]);
    assert!(stderr(&before).contains("`lookalike index`"), "{}", stderr(&before));
    common::copy_folder(&photos().join("fish"), &folder.path().join("fish"));
    let indexed = run(folder.path(), &["index", "--json", "fish", "--no-detect"]);
    let report = json_lines(&String::from_utf8(indexed.stdout).unwrap());
    assert_eq!(report[0]["embedded"], 0, "{report:?}");
    let issues = run(folder.path(), &["issues", "--under", "fish"]);
    assert!(!stderr(&issues).contains("could not be judged"), "{}", stderr(&issues));
}
