//! Objects from end to end: found while indexing, filtered by, searched, counted, drawn.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{folder_with, lookalike, run_json, stderr};
use serde_json::Value;

/// Runs a command that must end with `status`, and gives what it says on both ways.
fn run(folder: &Path, arguments: &[&str], status: i32) -> (String, String) {
    let output = lookalike(folder).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
    (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output))
}

fn paths(rows: &[Value]) -> Vec<String> {
    let of = |row: &Value| row.get("path").or_else(|| row["paths"].get(0)).cloned().unwrap();
    rows.iter().map(|row| of(row).as_str().unwrap().to_owned()).collect()
}

#[test]
fn objects_are_found_while_indexing_and_asked_for() {
    let folder = folder_with(&["people", "food"]);
    let here = folder.path();
    let report = &run_json(here, &["index"])[0];
    assert!(report["objects"].as_u64().unwrap() >= 10, "{report}");

    let stats = &run_json(here, &["stats"])[0];
    assert_eq!(stats["objects"], report["objects"], "{stats}");
    assert_eq!(stats["images_searched_for_objects"], stats["images"], "{stats}");
    let verified = &run_json(here, &["verify"])[0];
    assert_eq!(verified["problems"], serde_json::json!([]), "{verified}");

    let cups = paths(&run_json(here, &["list", "--has", "cup"]));
    assert_eq!(cups, ["food/coffee.jpg"]);
    assert!(
        paths(&run_json(here, &["list", "--has", "orange>=5"]))
            .contains(&"food/citrus_fruits.jpg".to_owned())
    );
    assert_eq!(paths(&run_json(here, &["list", "--has", "person&laptop"])), ["people/typist.webp"]);
    run(here, &["list", "--has", "person=0&laptop"], 1);
    let (_, told) = run(here, &["list", "--has", "peson"], 2);
    assert!(told.contains("\"peson\"") && told.contains("objects --all"), "{told}");

    let classes = run_json(here, &["objects"]);
    let of = |name: &str| classes.iter().find(|class| class["class"] == name).unwrap().clone();
    assert_eq!(of("cup")["images"], 1);
    assert!(of("orange")["objects"].as_u64() > of("orange")["images"].as_u64());
    assert_eq!(run_json(here, &["objects", "--all"]).len(), 80);
    let only = run_json(here, &["objects", "--under", "food"]);
    assert!(only.iter().all(|class| class["class"] != "laptop"), "{only:?}");
}

#[test]
fn a_crop_finds_its_photo_by_the_object_and_the_hit_names_the_box() {
    let folder = folder_with(&["people", "food", "animals"]);
    let here = folder.path();
    run_json(here, &["index"]);
    // The cup, a little beside its box.
    let file = here.join("copy.jpg");
    let elsewhere = tempfile::tempdir().unwrap();
    let query = elsewhere.path().join("coffee.jpg");
    std::fs::copy(here.join("food/coffee.jpg"), &query).unwrap();
    let query = query.to_str().unwrap();
    let hits = run_json(here, &["search", query, "--crop", "160,20,280,360", "-k", "3"]);
    assert_eq!(hits[0]["path"], "food/coffee.jpg");
    let object = &hits[0]["object"];
    assert_eq!((object["class"].as_str(), object["number"].as_u64()), (Some("cup"), Some(1)));
    assert!((object["left_px"].as_f64().unwrap() - 142.0).abs() < 3.0, "{object}");
    assert!(hits[0]["score"].as_f64().unwrap() > 0.8, "{hits:?}");
    // The object itself is found again nearly as it was stored.
    let hits = run_json(here, &["search", query, "--object", "1", "-k", "1"]);
    assert_eq!(hits[0]["path"], "food/coffee.jpg");
    assert!(hits[0]["score"].as_f64().unwrap() > 0.999, "{hits:?}");
    // Each image once, the image itself left out.
    let id = run_json(here, &["list", "--has", "laptop"])[0]["id"].to_string();
    let hits = run_json(here, &["search", "--id", &id, "--object", "1", "-k", "50"]);
    let mut found = paths(&hits);
    assert!(!found.contains(&"people/typist.webp".to_owned()));
    found.sort();
    found.dedup();
    assert_eq!(found.len(), hits.len());
    assert!(hits.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()));
    // Whole images instead of objects.
    let hits = run_json(here, &["search", query, "--crop", "160,20,280,360", "--over", "images"]);
    assert!(hits.iter().all(|hit| hit.get("object").is_none()));

    let (_, told) = run(here, &["search", query, "--object", "9"], 2);
    assert!(told.contains("no object 9"), "{told}");
    let (_, told) = run(here, &["search", query, "--crop", "9000,0,5,5"], 2);
    assert!(told.contains("beside the image"), "{told}");
    run(here, &["search", query, "--crop", "1,2,3"], 2);
    assert!(!file.exists());
}

#[test]
fn what_was_indexed_without_objects_is_filled_up_by_a_later_run() {
    let folder = folder_with(&["food"]);
    let here = folder.path();
    let report = &run_json(here, &["index", "--no-detect"])[0];
    assert_eq!((report["added"].as_u64(), report["objects"].as_u64()), (Some(3), Some(0)));
    let (_, told) = run(here, &["objects"], 2);
    assert!(told.contains("no objects are known"), "{told}");
    run(here, &["list", "--has", "cup"], 2);
    let before = run_json(here, &["list", "--embeddings"]);

    let report = &run_json(here, &["index"])[0];
    assert_eq!((report["added"].as_u64(), report["unchanged"].as_u64()), (Some(0), Some(3)));
    assert!(report["objects"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(paths(&run_json(here, &["list", "--has", "cup"])), ["food/coffee.jpg"]);
    // Looking for objects changes nothing else.
    assert_eq!(run_json(here, &["list", "--embeddings"]), before);
    assert_eq!(run_json(here, &["index"])[0]["embedded"], 0);
}

#[test]
fn objects_go_with_their_image() {
    let folder = folder_with(&["food"]);
    let here = folder.path();
    run_json(here, &["index"]);
    std::fs::remove_file(here.join("food/coffee.jpg")).unwrap();
    run_json(here, &["index"]);
    run(here, &["gc", "--apply"], 0);
    run(here, &["list", "--has", "cup"], 1);
    run(here, &["verify"], 0);
}

#[test]
fn detect_prints_counts_and_draws_boxes() {
    let folder = folder_with(&["food"]);
    let here = folder.path();
    let arguments = ["detect", "food/coffee.jpg", "--draw", "out.png", "--explain", "--json"];
    let line: Value = serde_json::from_str(&run(here, &arguments, 0).0).unwrap();
    assert_eq!(line["objects"][0]["class"], "cup");
    let count = |name: &str| line["counts"][name].as_u64().unwrap();
    assert_eq!(count("proposed"), 3549);
    let sum = count("unsure") + count("degenerate") + count("suppressed") + count("kept");
    assert_eq!(sum, 3549);
    let drawn = std::fs::read(here.join("out.png")).unwrap();
    let limits = lookalike::imaging::DecodeLimits::default();
    let [drawn, photo] = [drawn, std::fs::read(here.join("food/coffee.jpg")).unwrap()]
        .map(|bytes| lookalike::imaging::decode(&bytes, &limits).unwrap().pixels);
    assert_eq!((drawn.width_px(), drawn.height_px()), (photo.width_px(), photo.height_px()));
    let changed = drawn.rgb().chunks(3).zip(photo.rgb().chunks(3)).filter(|(a, b)| a != b).count();
    assert!((1000..60_000).contains(&changed), "{changed} pixels");
    let over = ["detect", "food/coffee.jpg", "--draw", "food/coffee.jpg"];
    assert!(run(here, &over, 2).1.contains("is there already"));
    let now = std::fs::read(here.join("food/coffee.jpg")).unwrap();
    assert_eq!(now, std::fs::read(common::photos().join("food/coffee.jpg")).unwrap());

    let (table, _) = run(here, &["detect", "food/coffee.jpg", "--min-score", "0.2"], 0);
    assert!(table.lines().count() > 1, "{table}");
    run(here, &["detect", "food/coffee.jpg", "--min-score", "0.99"], 1);
    let (_, told) = run(here, &["detect", "food/coffee.jpg", "--detector", "food/coffee.jpg"], 2);
    assert!(told.contains("weights of a detector"), "{told}");
    run(here, &["detect", "missing.jpg"], 2);
}

#[test]
fn a_match_is_explained_and_objects_are_exported_and_measured() {
    let folder = folder_with(&["food"]);
    let here = folder.path();
    let found = run_json(here, &["index"])[0]["objects"].as_u64().unwrap();
    let hit = run_json(here, &["search", "food/coffee.jpg", "--explain", "map.png"]).remove(0);
    assert_ne!(hit["path"], "food/coffee.jpg");
    let limits = lookalike::imaging::DecodeLimits::default();
    let map = std::fs::read(here.join("map.png")).unwrap();
    let map = lookalike::imaging::decode(&map, &limits).unwrap().pixels;
    // Query and hit side by side.
    assert!(map.width_px() > map.height_px() * 2, "{} x {}", map.width_px(), map.height_px());

    run(here, &["export", "--format", "coco", "objects.json"], 0);
    let written = std::fs::read(here.join("objects.json")).unwrap();
    let annotations: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(annotations["images"].as_array().unwrap().len(), 3);
    assert_eq!(annotations["annotations"].as_array().unwrap().len() as u64, found);
    let (_, told) = run(here, &["export", "--format", "coco", "objects.json"], 2);
    assert!(told.contains("objects.json"), "{told}");

    // What the detector finds is right when its own findings are the truth.
    let measure = ["eval", "detection", "--coco", "objects.json", "--images", "."];
    let report = run_json(here, &measure).remove(0);
    assert_eq!((&report["images"], &report["objects"]), (&3.into(), &found.into()));
    assert!(report["at_50"].as_f64().unwrap() > 0.99, "{report}");
    let doubled =
        String::from_utf8(written).unwrap().replace("\"category_id\":47", "\"category_id\":1");
    std::fs::write(here.join("wrong.json"), doubled).unwrap();
    let wrong = ["eval", "detection", "--coco", "wrong.json", "--images", "."];
    assert!(run_json(here, &wrong)[0]["at_50"].as_f64() < report["at_50"].as_f64());
    std::fs::write(here.join("cut.json"), "{\"images\":[").unwrap();
    let (_, told) = run(here, &["eval", "detection", "--coco", "cut.json", "--images", "."], 2);
    assert!(told.contains("cut.json"), "{told}");
    run(here, &["bench", "--detector", "--seconds", "0.01"], 0);
}
