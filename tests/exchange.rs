//! `export` and `import`: what comes back is what went out, and bad files are named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{content, folder_with, run, run_json, run_ok, stderr};

#[test]
fn an_exported_database_comes_back_in_both_formats() {
    let folder = folder_with(&["tools", "fish"]);
    std::fs::write(folder.path().join("broken.jpg"), b"\xff\xd8\xff\xe0 no more").unwrap();
    common::age(&folder.path().join("broken.jpg"));
    run_ok(folder.path(), &["index", "--no-detect"]);
    run_ok(folder.path(), &["label", "add", "fish", "fish/goldfish.webp"]);
    let expected = content(folder.path());
    for format in ["jsonl", "npy"] {
        let export = ["export", "--format", format, format];
        let report = run_json(folder.path(), &export).remove(0);
        assert_eq!(
            report,
            serde_json::json!({"images": 4, "embeddings": 4, "objects": 0, "labels": 1})
        );
        assert_eq!(run(folder.path(), &export).status.code(), Some(2), "never overwrites");
        let database = folder.path().join(".lookalike");
        std::fs::remove_dir_all(&database).unwrap();
        assert_eq!(run_json(folder.path(), &["import", format]).remove(0), report);
        assert_eq!(content(folder.path()), expected, "{format}");
        run_ok(folder.path(), &["verify"]);
        // Once more changes nothing.
        run_ok(folder.path(), &["import", format]);
        assert_eq!(content(folder.path()), expected, "{format} twice");
    }
    assert_eq!(run_json(folder.path(), &["index", "--no-detect"])[0]["embedded"], 0);
}

#[test]
fn tables_hold_the_embeddings_of_images_and_objects() {
    let folder = folder_with(&["people", "food"]);
    run_ok(folder.path(), &["index"]);
    run_ok(folder.path(), &["export", "--format", "npy", "arrays"]);
    let tables = run_json(folder.path(), &["export", "--format", "parquet", "tables"]).remove(0);
    assert!(tables["objects"].as_u64().unwrap() > 0, "{tables}");
    for (table, array) in [("images-1", "embeddings-1"), ("objects-2", "embeddings-2")] {
        let table = std::fs::read(folder.path().join(format!("tables/{table}.parquet"))).unwrap();
        assert!(table.starts_with(b"PAR1") && table.ends_with(b"PAR1"));
        let array = std::fs::read(folder.path().join(format!("arrays/{array}.npy"))).unwrap();
        let header = 10 + usize::from(u16::from_le_bytes([array[8], array[9]]));
        let (halves, _) = array[header..].as_chunks::<2>();
        assert!(!halves.is_empty());
        let floats: Vec<u8> = halves
            .iter()
            .flat_map(|half| half::f16::from_le_bytes(*half).to_f32().to_le_bytes())
            .collect();
        assert!(memchr::memmem::find(&table, &floats).is_some(), "all rows, one after the other");
    }
}

#[test]
fn exported_objects_come_back_with_boxes_classes_and_embeddings() {
    let folder = folder_with(&["food", "people"]);
    run_ok(folder.path(), &["index"]);
    let photo = "people/typist.webp";
    let searches = || {
        [&["objects"][..], &["search", photo, "--object", "1"], &["list", "--has", "laptop"]]
            .map(|arguments| run_ok(folder.path(), &[arguments, &["--json"]].concat()))
    };
    let expected = searches();
    for format in ["jsonl", "npy"] {
        let report = run_json(folder.path(), &["export", "--format", format, format]).remove(0);
        assert!(report["objects"].as_u64().unwrap() > 0, "{report}");
        std::fs::remove_dir_all(folder.path().join(".lookalike")).unwrap();
        assert_eq!(run_json(folder.path(), &["import", format]).remove(0), report);
        assert_eq!(searches(), expected, "{format}");
        assert_eq!(run_json(folder.path(), &["index"])[0]["embedded"], 0, "nothing is missing");
        run_ok(folder.path(), &["verify"]);
    }
    let lines = folder.path().join("jsonl/images.jsonl");
    let text = std::fs::read_to_string(&lines).unwrap();
    let at = text.find("\"left_px\":").unwrap() + "\"left_px\":".len();
    let end = at + text[at..].find(',').unwrap();
    std::fs::write(&lines, format!("{}1e300{}", &text[..at], &text[end..])).unwrap();
    let refused = run(folder.path(), &["import", "jsonl"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("out of range"), "{}", stderr(&refused));
}

#[test]
fn files_that_no_export_wrote_are_refused_with_the_line() {
    let folder = folder_with(&["fish"]);
    run_ok(folder.path(), &["index", "--no-detect"]);
    run_ok(folder.path(), &["export", "--format", "npy", "out"]);
    let lines = folder.path().join("out/images.jsonl");
    let array = folder.path().join("out/embeddings-1.npy");
    let (text, bytes) = (std::fs::read_to_string(&lines).unwrap(), std::fs::read(&array).unwrap());
    let refused = |expected: &str| {
        let output = run(folder.path(), &["import", "out"]);
        assert_eq!(output.status.code(), Some(2), "{expected}");
        let said = stderr(&output);
        assert!(said.contains(expected) && !said.contains("panicked"), "{said}");
    };
    std::fs::write(&lines, text.replace("\"row\":0", "\"row\":7")).unwrap();
    refused("there is no row 7");
    std::fs::write(&lines, text.replace("\"number\":1", "\"number\":2")).unwrap();
    refused("no line before it describes space 1");
    std::fs::write(&lines, &text[..text.len() / 2]).unwrap();
    refused("line 2");
    std::fs::write(&lines, &text).unwrap();
    let mut infinite = bytes.clone();
    let end = infinite.len();
    infinite[end - 1] = 0x7c;
    infinite[end - 2] = 0;
    std::fs::write(&array, infinite).unwrap();
    refused("line 2");
    std::fs::write(&array, &bytes[..bytes.len() - 1]).unwrap();
    refused("cannot read");
    std::fs::write(&array, b"\x93NUMPY").unwrap();
    refused("cannot read");
    std::fs::write(&array, bytes).unwrap();
    run_ok(folder.path(), &["import", "out"]);
}

#[test]
fn fingerprints_and_what_is_not_the_same_come_back() {
    let folder = folder_with(&["food", "tools"]);
    std::fs::copy(
        common::photos().join("near_duplicates/coffee.webp"),
        folder.path().join("coffee.webp"),
    )
    .unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    run_ok(folder.path(), &["dupes", "--not-same", "coffee.webp", "food/coffee.jpg"]);
    assert_eq!(run(folder.path(), &["dupes"]).status.code(), Some(1));
    run_ok(folder.path(), &["export", "out"]);
    std::fs::remove_dir_all(folder.path().join(".lookalike")).unwrap();
    run_ok(folder.path(), &["import", "out"]);
    let still = run(folder.path(), &["dupes"]);
    assert_eq!(still.status.code(), Some(1));
    assert!(!stderr(&still).contains("could not be compared"), "{}", stderr(&still));
    run_ok(folder.path(), &["dupes", "--same", "coffee.webp", "food/coffee.jpg"]);
    assert_eq!(run_json(folder.path(), &["dupes"]).len(), 1);
    let lines = folder.path().join("out/images.jsonl");
    let text = std::fs::read_to_string(&lines).unwrap();
    let damaged = text.replacen("\"luma\":\"", "\"luma\":\"AAAA", 1);
    std::fs::write(&lines, damaged).unwrap();
    let refused = run(folder.path(), &["import", "out"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("its fingerprint is damaged"), "{}", stderr(&refused));
}
