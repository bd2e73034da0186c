//! When, where and how a photo was taken: filters, raw files beside images, formats in one folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{age, run, run_json, run_ok, stderr};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with golden files under names of its own.
fn folder_of(files: &[(&str, &str)]) -> TempDir {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats");
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in files {
        let target = folder.path().join(to);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(formats.join(from), &target).unwrap();
        age(&target);
    }
    folder
}

fn paths(lines: &[Value]) -> Vec<String> {
    let path =
        |line: &Value| line["path"].as_str().or(line["paths"][0].as_str()).unwrap().to_owned();
    let mut paths: Vec<String> = lines.iter().map(path).collect();
    paths.sort();
    paths
}

/// The files that `list` gives with these conditions.
fn listed(folder: &Path, conditions: &[&str]) -> Vec<String> {
    let output = run(folder, &[&["list", "--json"], conditions].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{conditions:?}: {}", stderr(&output));
    paths(&common::json_lines(&String::from_utf8(output.stdout).unwrap()))
}

#[test]
fn photos_of_every_format_are_found_by_time_and_place() {
    // Paris but in the west: 48.858222, -70.5; Sydney for the raw files; both on 2024-05-06.
    let folder = folder_of(&[
        ("gps.jpg", "a.jpg"),
        ("plain.avif", "b.avif"),
        ("plain.heic", "c.heic"),
        ("plain.jxl", "d.jxl"),
        ("canon.cr3", "e.cr3"),
        ("fuji.raf", "f.raf"),
        ("srgb.png", "no-fields.png"),
    ]);
    run_ok(folder.path(), &["index", "--strict"]);
    let all = ["a.jpg", "b.avif", "c.heic", "d.jxl", "e.cr3", "f.raf"];
    assert_eq!(listed(folder.path(), &["--after", "2024-05-06"]), all);
    assert_eq!(listed(folder.path(), &["--before", "2024-05-07"]), all);
    assert_eq!(listed(folder.path(), &["--after", "2024-05-06 07:08:10"]), [""; 0]);
    assert_eq!(listed(folder.path(), &["--before", "2024-05-06 07:08:09"]), [""; 0]);
    let west = ["a.jpg", "b.avif", "c.heic", "d.jxl", "f.raf"];
    assert_eq!(listed(folder.path(), &["--near", "48.9,-70.5,5"]), west);
    assert_eq!(listed(folder.path(), &["--near", "-33.86,151.21,1"]), ["e.cr3"]);
    assert_eq!(listed(folder.path(), &["--near", "-33.86,151.21,1", "--before", "2024"]), [""; 0]);

    let hits = run_json(folder.path(), &["search", "no-fields.png", "--near", "48.9,-70.5,5"]);
    assert_eq!(paths(&hits), west);
    let line = &run_json(folder.path(), &["list", "--near", "-33.86,151.21,1"])[0];
    assert!((line["position"]["latitude"].as_f64().unwrap() + 33.8598).abs() < 1e-3, "{line}");
    assert_eq!(line["camera"], "Canon Model R", "{line}");
}

#[test]
fn a_date_or_a_place_that_is_none_is_explained() {
    let folder = folder_of(&[("gps.jpg", "a.jpg")]);
    for (condition, says) in [
        (["--after", "yesterday"], "2024-06"),
        (["--before", "2024-13"], "2024-06"),
        (["--near", "48.9,2.3"], "kilometres"),
        (["--near", "98.9,2.3,1"], "latitude"),
    ] {
        let output = run(folder.path(), &[&["list"], &condition[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{condition:?}");
        assert!(stderr(&output).contains(says), "{condition:?}: {}", stderr(&output));
    }
}

#[test]
fn a_raw_file_is_shown_with_the_image_of_its_shot() {
    let folder = folder_of(&[
        ("canon.cr2", "trip/IMG_1.CR2"),
        ("gps.jpg", "trip/img_1.jpg"),
        ("nikon.nef", "trip/DSC_2.NEF"),
        ("srgb.png", "query.png"),
    ]);
    run_ok(folder.path(), &["index", "--strict"]);
    let raw = |line: &Value| line["raw"].as_array().unwrap().clone();

    let hits = run_json(folder.path(), &["search", "query.png"]);
    assert_eq!(paths(&hits), ["trip/DSC_2.NEF", "trip/img_1.jpg"]);
    let shot = hits.iter().find(|hit| hit["path"] == "trip/img_1.jpg").unwrap();
    assert_eq!(raw(shot), ["trip/IMG_1.CR2"]);
    let plain = run_ok(folder.path(), &["search", "query.png"]);
    assert!(plain.contains("trip/img_1.jpg  (+raw trip/IMG_1.CR2)"), "{plain}");

    let listed = run_json(folder.path(), &["list"]);
    assert_eq!(paths(&listed), ["query.png", "trip/DSC_2.NEF", "trip/img_1.jpg"]);
    assert_eq!(run_json(folder.path(), &["stats"])[0]["images"], 4, "all of them are indexed");

    // Neither file of a shot is a hit of the other.
    for query in ["trip/img_1.jpg", "trip/IMG_1.CR2"] {
        let hits = run_json(folder.path(), &["search", query]);
        assert_eq!(paths(&hits), ["query.png", "trip/DSC_2.NEF"], "{query}");
    }
    // A filter that only the raw file passes shows the raw file.
    run_ok(folder.path(), &["label", "add", "keeper", "trip/IMG_1.CR2"]);
    assert_eq!(paths(&run_json(folder.path(), &["list", "--label", "keeper"])), ["trip/IMG_1.CR2"]);
}

/// A graph lets a search read what it finds and nothing else; `--exact` loads all images.
#[test]
fn a_search_by_a_graph_finds_what_a_scan_of_all_images_finds() {
    let folder = folder_of(&[
        ("canon.cr2", "trip/IMG_1.CR2"),
        ("gps.jpg", "trip/img_1.jpg"),
        ("gps.jpg", "copies/again.jpg"),
        ("nikon.nef", "trip/DSC_2.NEF"),
        ("plain.heic", "gone.heic"),
        ("srgb.png", "query.png"),
    ]);
    let file = |name: &str| folder.path().join(name);
    run_ok(folder.path(), &["index", "--strict", "--vector-index", "graph"]);
    // Since then one went, one came, and one was labelled.
    std::fs::remove_file(file("gone.heic")).unwrap();
    std::fs::copy(file("trip/DSC_2.NEF"), file("trip/img_1.NEF")).unwrap();
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats");
    std::fs::copy(formats.join("plain.avif"), file("trip/new.avif")).unwrap();
    ["trip/img_1.NEF", "trip/new.avif"].iter().for_each(|name| age(&file(name)));
    run_ok(folder.path(), &["index", "--strict"]);
    run_ok(folder.path(), &["label", "add", "keeper", "trip/IMG_1.CR2"]);

    let with = |arguments: &[&str], exact: &[&str]| {
        let output = run(folder.path(), &[&["search", "--json"], arguments, exact].concat());
        assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {}", stderr(&output));
        common::json_lines(&String::from_utf8(output.stdout).unwrap())
    };
    let cases: &[&[&str]] = &[
        &["query.png"],
        &["trip/IMG_1.CR2"],
        &["trip/img_1.jpg"],
        &["trip/new.avif", "--top", "1"],
        &["--id", "2"],
        &["query.png", "--min-score", "0.3"],
        &["query.png", "--label", "keeper"],
        &["query.png", "--under", "copies"],
        &["query.png", "--after", "2024-05-06"],
    ];
    for arguments in cases {
        let found = with(arguments, &[]);
        assert_eq!(found, with(arguments, &["--exact"]), "{arguments:?}");
        assert!(!found.is_empty(), "{arguments:?}");
    }
    let hits = with(&["query.png"], &[]);
    assert_eq!(paths(&hits), ["copies/again.jpg", "trip/new.avif"]);
    let shot = hits.iter().find(|hit| hit["path"] == "copies/again.jpg").unwrap();
    assert_eq!(shot["raw"].as_array().unwrap().len(), 3, "{shot}");
}
