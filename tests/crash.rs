//! The program is killed at random moments; nothing may be lost, and nothing may differ.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Random, content, folder_with, lookalike, run, run_ok, stderr};

const GROUPS: &[&str] = &["animals", "flowers", "places", "tools", "landmarks"];
const MOMENTS: u64 = 10;

#[test]
fn an_index_killed_at_random_moments_and_run_again_ends_as_an_undisturbed_one() {
    let seed = 20_261_123;
    println!("seed {seed}");
    let undisturbed = folder_with(GROUPS);
    let start = Instant::now();
    run_ok(undisturbed.path(), &["index"]);
    let duration = start.elapsed();
    let expected = content(undisturbed.path());
    assert!(expected.lines().count() > 40);

    let mut random = Random(seed);
    let mut killed = 0;
    for moment in 0..MOMENTS {
        let folder = folder_with(GROUPS);
        let mut child = lookalike(folder.path()).args(["index", "--quiet"]).spawn().unwrap();
        let share = random.below(1000) as u32;
        std::thread::sleep(duration * share / 1000);
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        let again = run(folder.path(), &["index"]);
        assert_eq!(again.status.code(), Some(0), "moment {moment}: {}", stderr(&again));
        assert_eq!(content(folder.path()), expected, "moment {moment}, at {share} per mille");
    }
    assert!(killed >= MOMENTS as u32 / 2, "only {killed} runs were still going when killed");
}

/// Waits until an index acknowledged its first batch, and gives the images in it.
fn first_batch(folder: &Path) -> u64 {
    let manifest = folder.join(".lookalike/MANIFEST.json");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        assert!(Instant::now() < deadline, "no batch was committed");
        std::thread::sleep(Duration::from_millis(2));
        let text = std::fs::read_to_string(&manifest).unwrap_or_default();
        let manifest = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
        match manifest["counts"]["images"].as_u64() {
            Some(images) if images > 0 => return images,
            _ => {}
        }
    }
}

#[test]
fn what_was_committed_before_the_kill_is_not_embedded_again() {
    let folder = folder_with(GROUPS);
    let mut child = lookalike(folder.path()).args(["index", "--quiet"]).spawn().unwrap();
    let committed = first_batch(folder.path());
    child.kill().unwrap();
    child.wait().unwrap();
    let report = common::run_json(folder.path(), &["index"]);
    let kept = report[0]["unchanged"].as_u64().unwrap();
    assert!(kept >= committed, "{committed} were acknowledged, {kept} were kept");
}

#[test]
fn a_transaction_whose_process_died_before_the_manifest_is_acknowledged_by_the_next() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    let path = folder.path().join(".lookalike/MANIFEST.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let image = common::run_json(folder.path(), &["list"])[0]["paths"][0].clone();
    run_ok(folder.path(), &["label", "add", "tool", image.as_str().unwrap()]);
    // As a kill between the records and the manifest leaves it.
    manifest["sealed"] = serde_json::Value::Null;
    manifest.as_object_mut().unwrap().remove("checksum");
    std::fs::write(&path, manifest.to_string()).unwrap();
    let report = common::run_json(folder.path(), &["verify"]).remove(0);
    assert_eq!(report["records"]["labels"], 1);
    assert_eq!(report["problems"], serde_json::json!([]));
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_the_next_run_goes_on() {
    let folder = folder_with(GROUPS);
    let child = lookalike(folder.path())
        .arg("index")
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    first_batch(folder.path());
    let status = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output));
    let undisturbed = folder_with(GROUPS);
    run_ok(undisturbed.path(), &["index"]);
    run_ok(folder.path(), &["index"]);
    assert_eq!(content(folder.path()), content(undisturbed.path()));
}
