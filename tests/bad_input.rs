//! Whatever lies in a folder or is typed: a clear message, the right status, nothing lost.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{folder_with, lookalike, photos, run, run_json, run_ok, stderr};

/// A PNG that declares a size and holds next to no data.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = width.to_be_bytes().to_vec();
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    for (kind, data) in [(b"IHDR", header), (b"IDAT", vec![0x78, 0x9c, 1]), (b"IEND", Vec::new())] {
        let mut checked = kind.to_vec();
        checked.extend_from_slice(&data);
        png.extend_from_slice(&(data.len() as u32).to_be_bytes());
        png.extend_from_slice(&checked);
        png.extend_from_slice(&crc32fast::hash(&checked).to_be_bytes());
    }
    png
}

#[test]
fn every_bad_file_is_named_with_its_reason_and_the_good_ones_are_indexed() {
    let folder = folder_with(&["tools"]);
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let jpeg = std::fs::read(photos().join("landmarks/roman_colosseum.jpg")).unwrap();
    struct Case {
        name: &'static str,
        bytes: Vec<u8>,
        reason: &'static str,
    }
    let cases = [
        Case { name: "empty.jpg", bytes: Vec::new(), reason: "empty file" },
        Case { name: "text.jpg", bytes: b"not an image at all".to_vec(), reason: "text" },
        Case { name: "cut.jpg", bytes: jpeg[..jpeg.len() / 2].to_vec(), reason: "cut off" },
        Case { name: "zeros.png", bytes: vec![0; 64], reason: "found" },
        Case { name: "none.png", bytes: png_of(0, 0), reason: "PNG" },
        Case { name: "huge.png", bytes: png_of(30_000, 30_000), reason: "30000 x 30000" },
        Case { name: "phone.heic", bytes: b"\0\0\0\x18ftypheic\0\0\0\0".to_vec(), reason: "HEIC" },
    ];
    for case in &cases {
        write(case.name, &case.bytes);
    }
    // A wrong extension is no reason to fail, and neither is a tiny image.
    write("really_a_jpeg.png", &jpeg);
    std::fs::write(folder.path().join("notes.txt"), "no image by its name").unwrap();
    let dot = image::RgbImage::from_pixel(1, 1, image::Rgb([200, 30, 30]));
    dot.save(folder.path().join("one_pixel.png")).unwrap();

    let report = run_json(folder.path(), &["index"]).remove(0);
    assert_eq!(report["added"], 5, "{report}");
    assert_eq!(report["other_files"], 1, "{report}");
    let failed = report["failed"].as_array().unwrap();
    assert_eq!(failed.len(), cases.len(), "{report}");
    for Case { name, reason, .. } in &cases {
        let found = failed
            .iter()
            .find(|failure| failure["path"].as_str().unwrap().ends_with(name))
            .unwrap_or_else(|| panic!("{name} is not in {report}"));
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found}");
    }
    assert_eq!(run_json(folder.path(), &["list", "--failed"]).len(), cases.len());
    let strict = run(folder.path(), &["index", "--strict"]);
    assert_eq!(strict.status.code(), Some(2));
    // A mended file is read again.
    write("empty.jpg", &jpeg);
    let report = run_json(folder.path(), &["index"]).remove(0);
    assert_eq!(report["failed"].as_array().unwrap().len(), cases.len() - 1, "{report}");
}

#[cfg(unix)]
#[test]
fn odd_names_links_and_unreadable_files_are_dealt_with() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder_with(&["tools"]);
    let photo = photos().join("fish/goldfish.webp");
    let names: [&[u8]; 4] = [b"not\xff\xfeutf8.webp", b"new\nline.webp", b" .webp", b"-rf.webp"];
    for name in names {
        std::fs::copy(&photo, folder.path().join(OsStr::from_bytes(name))).unwrap();
    }
    std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.path().join("dangling.jpg")).unwrap();
    let report = run_json(folder.path(), &["index", "--follow"]).remove(0);
    assert_eq!(report["added"], 4, "{report}");
    assert_eq!(report["copied"], 3, "{report}");
    let again = run_json(folder.path(), &["index"]).remove(0);
    assert_eq!(again["embedded"], 0, "{again}");
    assert_eq!(again["links_skipped"], 2, "{again}");
    let found = run_json(folder.path(), &["search", "tools/nail_clipper.webp"]);
    assert!(found.iter().any(|hit| hit["copies"].as_array().unwrap().len() == 3), "{found:?}");
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    let folder = folder_with(&["tools"]);
    std::fs::write(folder.path().join("notes.txt"), "text").unwrap();
    const IMAGE: &str = "tools/nail_clipper.webp";
    struct Case {
        arguments: &'static [&'static str],
        says: &'static str,
    }
    let before_index = [
        Case { arguments: &["search", "x.jpg"], says: "no database" },
        Case { arguments: &["stats"], says: "no database" },
        Case { arguments: &["index", "no/such/folder"], says: "cannot find" },
        Case { arguments: &["index", "notes.txt"], says: "is a file" },
        Case { arguments: &["search", IMAGE, "--in", "no/such/folder"], says: "cannot find" },
    ];
    let after_index = [
        Case { arguments: &["search", "no_such.jpg"], says: "cannot read" },
        Case { arguments: &["search", "notes.txt"], says: "found text" },
        Case { arguments: &["search", "tools"], says: "cannot read" },
        Case { arguments: &["search", IMAGE, "--top", "0"], says: "--top 0" },
        Case { arguments: &["search", IMAGE, "--min-score", "2"], says: "between -1 and 1" },
        Case { arguments: &["search", IMAGE, "--class", "zzz"], says: "no class" },
        Case { arguments: &["search", IMAGE, "--label", "zzz"], says: "no image is labelled" },
        Case { arguments: &["search", "--id", "99"], says: "no image #99" },
        Case { arguments: &["search"], says: "required" },
        Case { arguments: &["cluster", "--k", "0"], says: "k" },
        Case { arguments: &["cluster", "--k", "99"], says: "k" },
        Case { arguments: &["cluster", "--method", "dbscan", "--eps", "-1"], says: "eps" },
        Case { arguments: &["label", "train"], says: "at least two labels" },
        Case { arguments: &["label", "predict"], says: "label train" },
        Case { arguments: &["label", "add", "x", "notes.txt"], says: "not in the database" },
        Case { arguments: &["label", "add", " ", IMAGE], says: "at least one character" },
        Case { arguments: &["classify", "notes.txt"], says: "found text" },
        Case { arguments: &["index", "--exclude", "a[b"], says: "glob" },
    ];
    let check = |cases: &[Case]| {
        for Case { arguments, says } in cases {
            let output = run(folder.path(), arguments);
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert!(said.contains(says), "{arguments:?}: {said}");
            assert!(!said.contains("panicked"), "{arguments:?}: {said}");
            assert!(output.stdout.is_empty(), "{arguments:?}");
        }
    };
    check(&before_index);
    assert!(!folder.path().join(".lookalike").exists(), "a mistake must not make a database");
    run_ok(folder.path(), &["index"]);
    check(&after_index);
    assert_eq!(run_json(folder.path(), &["list"]).len(), 3);
}

#[test]
fn an_empty_folder_gives_an_empty_database_that_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(folder.path(), &["index"]);
    let photo = photos().join("fish/goldfish.webp");
    let status = |arguments: &[&str]| run(folder.path(), arguments).status.code();
    assert_eq!(status(&["search", photo.to_str().unwrap()]), Some(1));
    assert_eq!(status(&["list"]), Some(1));
    assert_eq!(status(&["stats"]), Some(0));
    assert_eq!(status(&["verify"]), Some(0));
    assert_eq!(status(&["cluster"]), Some(2));
}

#[test]
fn more_hits_than_images_gives_all_images() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    let photo = photos().join("fish/goldfish.webp");
    let hits = run_json(folder.path(), &["search", photo.to_str().unwrap(), "--top", "1000000"]);
    assert_eq!(hits.len(), 3);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    let mut child = lookalike(folder.path())
        .args(["list", "--json", "--embeddings"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

/// A full disk, made with a small file system where that is allowed.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_in_an_error_and_loses_nothing() {
    let mount = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(mount.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: this user may not mount a file system");
        return;
    }
    let result = std::panic::catch_unwind(|| fill_the_disk(mount.path()));
    let unmounted = std::process::Command::new("umount").arg(mount.path()).status().unwrap();
    assert!(unmounted.success());
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(target_os = "linux")]
fn fill_the_disk(disk: &Path) {
    let folder = folder_with(&["tools", "animals", "flowers", "fish"]);
    let db = disk.join("db");
    let db = db.to_str().unwrap();
    run_ok(folder.path(), &["index", "fish", "--db", db]);
    let free = 200_000;
    let used: u64 = std::fs::read_dir(disk.join("db/store-1"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    std::fs::write(disk.join("ballast"), vec![1u8; (3 << 20) - used as usize - free]).unwrap();
    let output = run(folder.path(), &["index", ".", "--db", db]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.to_lowercase().contains("space"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    std::fs::remove_file(disk.join("ballast")).unwrap();
    let report = run_json(folder.path(), &["index", ".", "--db", db]).remove(0);
    assert!(report["unchanged"].as_u64().unwrap() >= 1, "{report}");
    run_ok(folder.path(), &["verify", "--db", db]);
}
