//! Files of the database are flipped, cut, removed and swapped: an error, never a panic, a hang or
//! an empty result; and `repair` brings back what can be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Random, content, copy_folder, folder_with, run, run_json, run_ok, stderr};

const TIME_MAX: Duration = Duration::from_secs(60);

/// Damages that a test tries: few where tests are run often; `LOOKALIKE_FAULTS=500` tries more.
fn tries(few: u64) -> u64 {
    std::env::var("LOOKALIKE_FAULTS").map_or(few, |count| count.parse().unwrap())
}

/// All files of the database that have content.
fn database_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.join(".lookalike")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.retain(|file| file.metadata().unwrap().len() > 0);
    files.sort();
    files
}

/// Flips a bit of a random file, cuts its end off, empties it, removes it, or puts another of the
/// files in its place. Gives a description.
fn harm(folder: &Path, random: &mut Random) -> String {
    let files = database_files(folder);
    let some = |random: &mut Random| &files[random.below(files.len() as u64) as usize];
    let file = some(random);
    let name = file.strip_prefix(folder).unwrap().to_owned();
    let mut bytes = std::fs::read(file).unwrap();
    let place = random.below(bytes.len() as u64) as usize;
    let what = match random.below(8) {
        0 => {
            std::fs::remove_file(file).unwrap();
            return format!("{name:?} removed");
        }
        1 => {
            let other = some(random);
            bytes = std::fs::read(other).unwrap();
            format!("{name:?} replaced by {other:?}")
        }
        2 => {
            bytes.clear();
            format!("{name:?} emptied")
        }
        3 | 4 => {
            bytes.truncate(place);
            format!("{name:?} cut at {place}")
        }
        _ => {
            bytes[place] ^= 1 << random.below(8);
            format!("{name:?} flipped at {place}")
        }
    };
    std::fs::write(file, bytes).unwrap();
    what
}

/// Photos, an index with a graph, and labels.
fn labelled() -> tempfile::TempDir {
    let folder = folder_with(&["tools", "fish", "vehicles"]);
    run_ok(folder.path(), &["index", "--vector-index", "graph"]);
    run_ok(folder.path(), &["label", "add", "fish", "fish/goldfish.webp"]);
    run_ok(folder.path(), &["label", "add", "tool", "tools/nail_clipper.webp"]);
    folder
}

/// Paths, content and label of each image.
fn labelled_files(folder: &Path) -> Vec<String> {
    let mut lines: Vec<String> = run_json(folder, &["list"])
        .iter()
        .map(|line| format!("{} {} {}", line["paths"], line["hash"], line["label"]))
        .collect();
    lines.sort();
    lines
}

/// Damages copies of a database: each is whole all the same, or is reported and repaired.
fn damage_copies_of(whole: &Path, seed: u64, few: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(whole, copy.path());
    let list = ["list", "--json", "--embeddings"];
    let expected = run_ok(copy.path(), &list);
    let files = labelled_files(copy.path());
    let (tries, mut reported) = (tries(few), 0);
    for _ in 0..tries {
        let harmed = tempfile::tempdir().unwrap();
        copy_folder(whole, harmed.path());
        let what = harm(harmed.path(), &mut random);
        let start = Instant::now();
        let output = run(harmed.path(), &list);
        assert!(start.elapsed() < TIME_MAX, "{what}: took {:?}", start.elapsed());
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "{what}: {said}");
        if output.status.code() == Some(0) {
            assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{what}");
            continue;
        }
        reported += 1;
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(output.stdout.is_empty(), "{what}");
        assert!(said.contains("damaged") || said.contains("lookalike repair"), "{what}: {said}");
        if said.contains("list of indexed folders") {
            std::fs::remove_file(harmed.path().join(".lookalike/roots.json")).unwrap();
        } else {
            run_ok(harmed.path(), &["repair"]);
        }
        run_ok(harmed.path(), &["index", "."]);
        assert_eq!(labelled_files(harmed.path()), files, "{what}");
        let verified = run(harmed.path(), &["verify"]);
        assert_eq!(verified.status.code(), Some(0), "{what}: {}", stderr(&verified));
    }
    println!("{tries} damages, {reported} reported and repaired, the others harmless; 0 losses");
    assert!(reported > 0);
}

#[test]
fn damages_to_a_closed_database_are_harmless_or_reported_and_repaired() {
    damage_copies_of(labelled().path(), 7, 30);
}

#[test]
fn damages_to_a_database_that_was_never_closed_are_harmless_or_reported_and_repaired() {
    let whole = labelled();
    unseal(whole.path());
    damage_copies_of(whole.path(), 8, 30);
}

/// Takes the seal out of the manifest, as if the last process had been killed.
fn unseal(folder: &Path) {
    let path = folder.join(".lookalike/MANIFEST.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["sealed"] = serde_json::Value::Null;
    manifest.as_object_mut().unwrap().remove("checksum");
    std::fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn a_store_that_lost_all_its_records_is_not_an_empty_database() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    unseal(folder.path());
    std::fs::remove_dir_all(folder.path().join(".lookalike/store-1")).unwrap();
    let output = run(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("damaged"), "{}", stderr(&output));
    let output = run(folder.path(), &["index"]);
    assert_eq!(output.status.code(), Some(2), "an index must not hide the loss");
}

#[test]
fn a_lost_manifest_is_reported_and_repaired() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    let expected = content(folder.path());
    std::fs::remove_file(folder.path().join(".lookalike/MANIFEST.json")).unwrap();
    let output = run(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("MANIFEST.json"), "{}", stderr(&output));
    run_ok(folder.path(), &["repair"]);
    assert_eq!(content(folder.path()), expected);
}

#[test]
fn an_interrupted_repair_is_reported_and_done_again_from_the_old_store() {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    let expected = content(folder.path());
    // As a repair leaves it that is killed right after it began to fill the new store.
    let path = folder.path().join(".lookalike/MANIFEST.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["generation"] = 2.into();
    manifest["repaired_from"] = 1.into();
    manifest["sealed"] = serde_json::Value::Null;
    manifest.as_object_mut().unwrap().remove("checksum");
    std::fs::write(&path, manifest.to_string()).unwrap();
    std::fs::create_dir(folder.path().join(".lookalike/store-2")).unwrap();
    for command in ["list", "index"] {
        let output = run(folder.path(), &[command]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("repair was interrupted"), "{}", stderr(&output));
    }
    run_ok(folder.path(), &["repair"]);
    assert_eq!(content(folder.path()), expected);
}

#[test]
fn a_database_of_a_newer_format_is_refused_with_advice() {
    let folder = folder_with(&["fish"]);
    run_ok(folder.path(), &["index"]);
    let path = folder.path().join(".lookalike/MANIFEST.json");
    // A newer program may have another checksum or none.
    let text = std::fs::read_to_string(&path).unwrap().replace("\"checksum\"", "\"other\"");
    let (ours, newer) = (lookalike::store::FORMAT_VERSION, lookalike::store::FORMAT_VERSION + 1);
    let line = |version: u32| format!("\"format_version\": {version}");
    std::fs::write(&path, text.replace(&line(ours), &line(newer))).unwrap();
    for command in [["list"], ["index"], ["repair"]] {
        let output = run(folder.path(), &command);
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        let version = format!("version {newer}");
        assert!(said.contains(&version) && said.contains("newer lookalike"), "{said}");
    }
}

#[test]
fn a_second_process_is_told_who_has_the_database() {
    let folder = folder_with(&["fish"]);
    run_ok(folder.path(), &["index"]);
    let directory = folder.path().join(".lookalike");
    let held = lookalike::store::Store::open(&directory).unwrap();
    let output = run(folder.path(), &["index"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    drop(held);
    run_ok(folder.path(), &["list"]);
}

#[test]
fn a_damaged_graph_is_reported_searched_around_and_built_again() {
    let folder = folder_with(&["tools", "fish", "animals"]);
    run_ok(folder.path(), &["index", "--vector-index", "graph"]);
    let query = ["search", "fish/goldfish.webp", "--json"];
    let expected = run_ok(folder.path(), &query);
    assert_eq!(run_json(folder.path(), &["stats"])[0]["vector_index"], "graph");
    let graph = folder.path().join(".lookalike/index/1/graph");
    let mut bytes = std::fs::read(&graph).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&graph, bytes).unwrap();
    assert_eq!(run_ok(folder.path(), &query), expected);
    let output = run(folder.path(), &["verify"]);
    assert_eq!(output.status.code(), Some(2), "verify must report the damaged graph");
    run_ok(folder.path(), &["index"]);
    assert_eq!(run(folder.path(), &["verify"]).status.code(), Some(0));
    assert_eq!(run_json(folder.path(), &["stats"])[0]["vector_index"], "graph");
}
