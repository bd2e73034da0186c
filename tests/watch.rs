//! `watch`: folders that change while it runs, and roots that go and come back.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use common::roots::TwoRoots;
use common::watching::{PATIENCE, Watch, eventually};
use common::{Random, folder_with, json_lines, paint, run, run_ok, stderr};
use lookalike::record::ContentHash;
use serde_json::Value;

/// Content of each file by its path below the folder.
type Files = BTreeMap<String, String>;

/// What the database knows; `None` while another process has it.
fn known(folder: &Path) -> Option<Files> {
    let output = run(folder, &["list", "--json"]);
    let busy = output.status.code() == Some(2);
    assert!(!busy || stderr(&output).contains("in use"), "{}", stderr(&output));
    (!busy).then(|| {
        let mut files = Files::new();
        for image in json_lines(&String::from_utf8(output.stdout).unwrap()) {
            for path in image["paths"].as_array().unwrap() {
                let hash = image["hash"].as_str().unwrap().to_owned();
                files.insert(path.as_str().unwrap().to_owned(), hash);
            }
        }
        files
    })
}

fn eventually_known(folder: &Path, expected: &Files) {
    let mut last = None;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        last = known(folder);
        if last.as_ref() == Some(expected) {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("expected {expected:#?}, known at the end {last:#?}");
}

/// One random change of a folder.
fn change(folder: &Path, files: &mut Files, random: &mut Random, next: &mut u32) {
    *next += 1;
    let some = |random: &mut Random| {
        let index = random.below(files.len().max(1) as u64) as usize;
        files.keys().nth(index).cloned()
    };
    let fresh = format!("{}/{next}.png", ["a", "b/c", "b/d.06"][random.below(3) as usize]);
    match (random.below(8), some(random)) {
        (0, Some(path)) => {
            std::fs::remove_file(folder.join(&path)).unwrap();
            files.remove(&path);
        }
        (1, Some(path)) => {
            let target = folder.join(&fresh);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::rename(folder.join(&path), target).unwrap();
            let hash = files.remove(&path).unwrap();
            files.insert(fresh, hash);
        }
        (2, Some(path)) => {
            files.insert(path.clone(), paint(&folder.join(path), random));
        }
        (3, Some(path)) => {
            // A whole folder gets another name.
            let old = path.split('/').next().unwrap().to_owned();
            let new = format!("folder {next}");
            std::fs::rename(folder.join(&old), folder.join(&new)).unwrap();
            let renamed = std::mem::take(files).into_iter();
            *files = renamed
                .map(|(path, hash)| match path.strip_prefix(&format!("{old}/")) {
                    Some(rest) => (format!("{new}/{rest}"), hash),
                    None => (path, hash),
                })
                .collect();
        }
        _ => {
            let hash = paint(&folder.join(&fresh), random);
            files.insert(fresh, hash);
        }
    }
}

#[test]
fn watch_follows_bursts_of_creates_renames_deletes_and_overwrites() {
    for (seed, arguments) in [(20_261_125, &[][..]), (7, &["--poll", "0.5"])] {
        println!("seed {seed}");
        let folder = tempfile::tempdir().unwrap();
        let mut random = Random(seed);
        let mut files = Files::new();
        let mut next = 0;
        for _ in 0..5 {
            change(folder.path(), &mut files, &mut random, &mut next);
        }
        let watch = Watch::start(folder.path(), arguments);
        for _ in 0..3 {
            for _ in 0..25 {
                change(folder.path(), &mut files, &mut random, &mut next);
            }
            eventually_known(folder.path(), &files);
        }
        watch.stop();
        run_ok(folder.path(), &["verify"]);
    }
}

#[test]
fn a_file_that_is_being_written_is_not_read_half_and_a_later_change_is() {
    let folder = folder_with(&["tools"]);
    let photo = std::fs::read(common::photos().join("landmarks/roman_colosseum.jpg")).unwrap();
    let (first, second) = photo.split_at(photo.len() / 2);
    let hash = ContentHash::of(&photo).to_string();
    let is_known =
        |name: &str| known(folder.path()).is_some_and(|files| files.get(name) == Some(&hash));
    let watch = Watch::start(folder.path(), &[]);

    // Slow, but never silent for as long as the watch waits.
    let mut slow = std::fs::File::create(folder.path().join("slow.jpg")).unwrap();
    for piece in photo.chunks(photo.len() / 12 + 1) {
        std::io::Write::write_all(&mut slow, piece).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(slow);
    eventually("the slowly written file is known", || is_known("slow.jpg").then_some(()));
    let failed = |name: &str| watch.said().contains(&format!("cannot read {name}"));
    assert!(!failed("slow.jpg"), "{}", watch.said());

    // Given up half-way, and finished much later.
    let path = folder.path().join("later.jpg");
    std::fs::write(&path, first).unwrap();
    eventually("half a file is reported", || failed("later.jpg").then_some(()));
    std::fs::write(&path, [first, second].concat()).unwrap();
    eventually("the finished file is known", || is_known("later.jpg").then_some(()));
    watch.stop();
    assert_eq!(run(folder.path(), &["list", "--failed"]).status.code(), Some(1));
}

#[test]
fn a_watch_waits_while_another_process_has_the_database() {
    let folder = folder_with(&["tools"]);
    let watch = Watch::start(folder.path(), &[]);
    let directory = folder.path().join(".lookalike");
    let held = eventually("the watch is idle", || lookalike::store::Store::open(&directory).ok());
    let mut random = Random(3);
    let hash = paint(&folder.path().join("new.png"), &mut random);
    eventually("the watch waits", || watch.said().contains("waiting: ").then_some(()));
    drop(held);
    let has_it = || known(folder.path())?.get("new.png").filter(|found| **found == hash).cloned();
    eventually("the watch has gone on", has_it);
    watch.stop();
}

#[test]
fn a_killed_watch_loses_nothing() {
    let seed = 5;
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new();
    let mut next = 0;
    for _ in 0..3 {
        let mut watch = Watch::start(folder.path(), &["--poll", "0.2"]);
        for _ in 0..20 {
            change(folder.path(), &mut files, &mut random, &mut next);
        }
        // From before the burst is noticed to after it is stored.
        std::thread::sleep(Duration::from_millis(random.below(5000)));
        watch.child.kill().unwrap();
        watch.child.wait().unwrap();
        let before = known(folder.path()).unwrap();
        run_ok(folder.path(), &["index"]);
        assert_eq!(known(folder.path()).unwrap(), files, "before {before:?}");
        run_ok(folder.path(), &["verify"]);
    }
}

#[test]
fn a_watch_notices_a_root_that_goes_and_one_that_comes_back() {
    for arguments in [&["--db", "db"][..], &["--db", "db", "--poll", "0.3"]] {
        let both = TwoRoots::new();
        let watch = Watch::start(both.outer.path(), arguments);
        both.unplug();
        let offline = |report: &Value| report["offline"].as_array().unwrap().len();
        eventually("the root is offline", || (offline(watch.reports().last()?) == 1).then_some(()));
        assert_eq!(watch.reports().last().unwrap()["missing"], 0);
        both.plug();
        eventually("the root is back", || (offline(watch.reports().last()?) == 0).then_some(()));
        let mut random = Random(1);
        paint(&both.tools.join("new.png"), &mut random);
        eventually("it is watched again", || (watch.reports().last()?["added"] == 1).then_some(()));
        watch.stop();
        assert_eq!(both.json(&["list"]).len(), 5);
    }
}
