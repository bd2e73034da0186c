//! `label`, `compact`, the building of the graph and a migration are killed at random moments.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Random, content, copy_folder, folder_with, lookalike, run_json, run_ok};

/// Kills of each command: few where tests are run often; `LOOKALIKE_FAULTS=100` tries more.
fn kills() -> u64 {
    std::env::var("LOOKALIKE_FAULTS").map_or(6, |count| count.parse().unwrap())
}

/// How long a command takes that is not disturbed.
fn duration_of(folder: &Path, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    run_ok(folder, arguments);
    start.elapsed()
}

/// Starts a command and kills it at a random moment; whether it was still going.
fn kill(folder: &Path, arguments: &[&str], duration: Duration, random: &mut Random) -> bool {
    let mut child = lookalike(folder).args(arguments).arg("--quiet").spawn().unwrap();
    std::thread::sleep(duration * (random.below(1000) as u32) / 1000);
    let was_going = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_going
}

/// Kills a command that changes no content, on copies of a folder, again and again.
fn content_survives(whole: &Path, arguments: &[&str], seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let copy = |from: &Path| {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(from, folder.path());
        folder
    };
    let undisturbed = copy(whole);
    let duration = duration_of(undisturbed.path(), arguments);
    let expected = content(undisturbed.path());
    let mut killed = 0;
    for turn in 0..kills() {
        let folder = copy(whole);
        // Killed twice: the second finds what the first left.
        for _ in 0..2 {
            killed += u64::from(kill(folder.path(), arguments, duration, &mut random));
        }
        assert_eq!(content(folder.path()), expected, "{arguments:?}, turn {turn}");
        run_ok(folder.path(), &["verify"]);
        run_ok(folder.path(), arguments);
        assert_eq!(content(folder.path()), expected, "{arguments:?} after turn {turn}");
    }
    println!("{arguments:?}: {killed} kills, 0 losses");
    assert!(killed >= kills() / 2, "only {killed} runs were still going when killed");
}

fn labelled() -> tempfile::TempDir {
    let folder = folder_with(&["tools", "fish", "vehicles"]);
    run_ok(folder.path(), &["index"]);
    run_ok(folder.path(), &["label", "add", "fish", "fish/goldfish.webp"]);
    folder
}

#[test]
fn a_killed_compaction_loses_nothing() {
    content_survives(labelled().path(), &["compact"], 1);
}

#[test]
fn a_killed_build_of_the_graph_loses_nothing() {
    content_survives(labelled().path(), &["index", "--vector-index", "graph"], 2);
}

#[test]
fn a_killed_migration_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/db/v002");
    copy_folder(&fixture, &folder.path().join(".lookalike"));
    content_survives(folder.path(), &["stats"], 3);
}

#[test]
fn labels_that_were_acknowledged_survive_kills_of_later_ones() {
    let seed = 4;
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = labelled();
    let photo = "tools/nail_clipper.webp";
    let duration = duration_of(folder.path(), &["label", "add", "start", photo]);
    let label = || {
        let images = run_json(folder.path(), &["list"]);
        let image = images.iter().find(|image| image["paths"][0] == photo).unwrap();
        image["label"].as_str().unwrap().to_owned()
    };
    let mut known = "start".to_owned();
    for turn in 0..kills() {
        let next = format!("label {turn}");
        let was_going = kill(folder.path(), &["label", "add", &next, photo], duration, &mut random);
        let found = label();
        assert!(found == next || (was_going && found == known), "{found:?}, {next:?} or {known:?}");
        known = found;
        let fish = run_json(folder.path(), &["list", "--label", "fish"]);
        assert_eq!(fish.len(), 1);
    }
}
