//! Searching: the pairs of the fixtures, filters, and what a query may be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;

use common::{folder_with, json_lines, lookalike, photos, run, run_json, run_ok, stderr};
use serde_json::Value;
use tempfile::TempDir;

/// All fixture photos, indexed once for the tests that only read.
fn all_photos() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            for group in std::fs::read_dir(photos()).unwrap() {
                let group = group.unwrap();
                // Whoever tried the README's command has a database among the photos.
                let hidden = group.file_name().to_string_lossy().starts_with('.');
                if group.path().is_dir() && !hidden {
                    common::copy_folder(&group.path(), &folder.path().join(group.file_name()));
                }
            }
            run_ok(folder.path(), &["index", "--vector-index", "graph"]);
            folder
        })
        .path()
}

fn pairs(kind: &str) -> Vec<[String; 2]> {
    let text = std::fs::read_to_string(photos().join("pairs.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all[kind].clone()).unwrap()
}

#[test]
fn each_near_duplicate_finds_its_partner_first_with_a_score_above_0_9() {
    let pairs = pairs("near_duplicates");
    assert!(pairs.len() >= 10);
    for [a, b] in pairs {
        for (query, partner) in [(&a, &b), (&b, &a)] {
            let hits = run_json(all_photos(), &["search", query, "--top", "1"]);
            assert_eq!(hits[0]["path"], partner.as_str(), "{query}: {}", hits[0]);
            assert!(hits[0]["score"].as_f64().unwrap() > 0.9, "{query}: {}", hits[0]);
        }
    }
}

#[test]
fn each_view_of_a_place_finds_the_other_view_first() {
    let pairs = pairs("same_place");
    assert!(pairs.len() >= 5);
    for [a, b] in pairs {
        let hits = run_json(all_photos(), &["search", &a, "--top", "1"]);
        assert_eq!(hits[0]["path"], b.as_str(), "{a}: {}", hits[0]);
    }
}

#[test]
fn the_graph_and_the_exact_scan_give_the_same_hits() {
    for [query, _] in pairs("near_duplicates") {
        let graph = run_ok(all_photos(), &["search", &query, "--json"]);
        let exact = run_ok(all_photos(), &["search", &query, "--json", "--exact"]);
        assert_eq!(graph, exact, "{query}");
    }
}

#[test]
fn a_query_need_not_be_in_the_database_and_may_come_through_a_pipe() {
    let folder = folder_with(&["tools", "animals"]);
    let fish = photos().join("fish/goldfish.webp");
    let query = ["search", fish.to_str().unwrap(), "--in", ".", "--json"];
    let by_path = run_ok(folder.path(), &query);
    let mut child = lookalike(folder.path())
        .args(["search", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&fish).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), by_path);
    assert!(json_lines(&by_path).len() > 5);
}

#[test]
fn the_query_itself_is_no_hit_but_a_copy_of_it_is() {
    let folder = folder_with(&["tools"]);
    let query = "tools/nail_clipper.webp";
    std::fs::copy(folder.path().join(query), folder.path().join("copy.webp")).unwrap();
    run_ok(folder.path(), &["index"]);
    let hits = run_json(folder.path(), &["search", query]);
    assert_eq!(hits[0]["path"], "copy.webp");
    let hash = blake3::hash(&std::fs::read(folder.path().join(query)).unwrap());
    assert_eq!(hits[0]["hash"], hash.to_hex().as_str());
    assert!(hits[0]["score"].as_f64().unwrap() > 0.9999);
    assert!(hits.iter().all(|hit| hit["path"] != query), "{hits:?}");
    let by_number = run_json(folder.path(), &["search", "--id", &hits[0]["id"].to_string()]);
    assert_eq!(by_number.len(), 2, "by number, the image is left out with all its copies");
}

#[test]
fn filters_narrow_the_hits_and_never_shorten_them() {
    let query = "fish/goldfish.webp";
    let under = run_json(all_photos(), &["search", query, "--under", "tools", "--top", "3"]);
    assert_eq!(under.len(), 3);
    assert!(under.iter().all(|hit| hit["path"].as_str().unwrap().starts_with("tools/")));
    let class = run_json(all_photos(), &["search", query, "--class", "bee"]);
    assert!(!class.is_empty());
    assert!(class.iter().any(|hit| hit["path"].as_str().unwrap().contains("honey_bee")));
    let none = run(all_photos(), &["search", query, "--min-score", "0.9999"]);
    assert_eq!(none.status.code(), Some(1), "{}", stderr(&none));
}

#[test]
fn scores_fall_ranks_rise_and_the_plain_lines_say_the_same() {
    let query = ["search", "tools/nail_clipper.webp", "--top", "20"];
    let json = run_json(all_photos(), &query);
    assert_eq!(json.len(), 20);
    for (hit, rank) in json.iter().zip(1..) {
        assert_eq!(hit["rank"], rank);
    }
    assert!(json.windows(2).all(|two| two[0]["score"].as_f64() >= two[1]["score"].as_f64()));
    let plain = run_ok(all_photos(), &query);
    for (line, hit) in plain.lines().zip(&json) {
        assert!(line.ends_with(hit["path"].as_str().unwrap()), "{line} {hit}");
    }
    let mut files = query.to_vec();
    files.push("--files-only");
    let paths: Vec<String> = run_ok(all_photos(), &files).lines().map(str::to_owned).collect();
    let expected: Vec<&str> = json.iter().map(|hit| hit["path"].as_str().unwrap()).collect();
    assert_eq!(paths, expected);
}

#[test]
fn a_rotated_copy_is_turned_upright_before_it_is_compared() {
    let hits = run_json(all_photos(), &["search", "near_duplicates/fig_in_bowl_rotated.jpg"]);
    assert_eq!(hits[0]["path"], "food/fig_in_bowl.jpg", "{}", hits[0]);
    let image = run_json(all_photos(), &["list"])
        .into_iter()
        .find(|image| image["paths"][0] == "near_duplicates/fig_in_bowl_rotated.jpg")
        .unwrap();
    assert_eq!(image["orientation"], 6);
}

#[test]
fn classify_names_what_is_on_the_image() {
    let output = run_json(all_photos(), &["classify", "fish/goldfish.webp", "--top", "3"]);
    let classes = output[0]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 3);
    assert_eq!(classes[0]["class"], "goldfish");
    assert!(classes[0]["probability"].as_f64().unwrap() > 0.5);
}

#[test]
fn verify_finds_nothing_wrong_and_measures_the_recall() {
    let report = run_json(all_photos(), &["verify"]).remove(0);
    assert_eq!(report["problems"].as_array().unwrap().len(), 0, "{report}");
    assert!(report["recall_at_10"].as_f64().unwrap() >= 0.99, "{report}");
    assert!(report["index"].as_str().unwrap().starts_with("graph"), "{report}");
}
