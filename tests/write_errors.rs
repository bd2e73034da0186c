//! The disk is full, writes fail, the folder cannot be written: an error, and nothing is lost.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Random, content, copy_folder, folder_with, lookalike, run_ok, stderr};

/// Faults of each kind: few where tests are run often; `LOOKALIKE_FAULTS=100` tries more.
fn tries() -> u64 {
    std::env::var("LOOKALIKE_FAULTS").map_or(6, |count| count.parse().unwrap())
}

fn labelled() -> tempfile::TempDir {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    run_ok(folder.path(), &["label", "add", "fish", "fish/goldfish.webp"]);
    folder
}

/// Gives each command a fault that `start` makes; afterwards all is there.
fn nothing_is_lost(start: impl Fn(&Path, &str, &mut Random) -> Output, seed: u64) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let whole = labelled();
    for photo in ["places/sunset_a.jpg", "places/sunset_b.jpg"] {
        let target = whole.path().join(photo);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(common::photos().join(photo), target).unwrap();
    }
    let after = tempfile::tempdir().unwrap();
    copy_folder(whole.path(), after.path());
    let before = content(after.path());
    run_ok(after.path(), &["index"]);
    let after = content(after.path());
    let mut failed = 0;
    for command in ["index", "compact", "index --vector-index graph"] {
        for turn in 0..tries() {
            let folder = tempfile::tempdir().unwrap();
            copy_folder(whole.path(), folder.path());
            let output = start(folder.path(), command, &mut random);
            let (code, said) = (output.status.code(), stderr(&output));
            assert!(matches!(code, Some(0 | 2)), "{command}, turn {turn}: {code:?} {said}");
            assert!(!said.contains("panicked"), "{command}, turn {turn}: {said}");
            failed += u64::from(code == Some(2));
            let found = content(folder.path());
            assert!(found.lines().count() >= before.lines().count(), "{command}: {said}");
            run_ok(folder.path(), &["index"]);
            assert_eq!(content(folder.path()), after, "{command}, turn {turn}: {said}");
            run_ok(folder.path(), &["verify"]);
        }
    }
    println!("{failed} of {} commands failed, 0 losses", 3 * tries());
    assert!(failed > 0, "no fault was met");
}

#[test]
fn files_that_may_not_grow_lose_nothing() {
    let start = |folder: &Path, command: &str, random: &mut Random| {
        // A limit for each file, in KiB; the signal is ignored, so that writes fail instead.
        let limit = random.below(700);
        let program = env!("CARGO_BIN_EXE_lookalike");
        let script = format!("trap '' XFSZ; ulimit -f {limit}; exec {program} {command}");
        Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap()
    };
    nothing_is_lost(start, 1);
}

/// Builds the library that lets writes and syncs fail; `None` without a C compiler.
fn failing_writes(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/failing_writes.c");
    let library = folder.join("failing_writes.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    compiler.status().is_ok_and(|status| status.success()).then_some(library)
}

#[cfg(target_os = "linux")]
#[test]
fn writes_and_syncs_that_fail_lose_nothing() {
    let place = tempfile::tempdir().unwrap();
    let Some(library) = failing_writes(place.path()) else {
        println!("skipped: there is no C compiler");
        return;
    };
    let start = |folder: &Path, command: &str, random: &mut Random| {
        lookalike(folder)
            .args(command.split(' '))
            .env("LD_PRELOAD", &library)
            .env("FAIL_WRITES_AFTER", random.below(120).to_string())
            .output()
            .unwrap()
    };
    nothing_is_lost(start, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_folder_that_cannot_be_written_are_named() {
    let outer = tempfile::tempdir().unwrap();
    let disk = outer.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(mounted) = common::roots::Mounted::at(&disk) else {
        println!("skipped: this user may not mount");
        return;
    };
    copy_folder(labelled().path(), &disk);
    let expected = content(&disk);
    let filler = disk.join(".filler");
    let mut bytes = 1 << 24;
    while bytes > 0 {
        // Until not a byte more fits.
        let mut file = std::fs::File::options().append(true).create(true).open(&filler).unwrap();
        if std::io::Write::write(&mut file, &vec![0; bytes]).is_err() {
            bytes /= 2;
        }
    }
    for command in [&["index"][..], &["compact"], &["label", "add", "x", "fish/goldfish.webp"]] {
        let output = lookalike(&disk).args(command).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        let said = stderr(&output);
        assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    }
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(content(&disk), expected);

    let remount = |how: &str| {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{how}")]).arg(&disk);
        assert!(mount.status().unwrap().success());
    };
    remount("ro");
    let output = lookalike(&disk).args(["label", "add", "x", "fish/goldfish.webp"]).output();
    remount("rw");
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("Read-only file system"), "{}", stderr(&output));
    assert_eq!(content(&disk), expected);
    drop(mounted);
}
