//! Folders that change: `watch`, drives that are unplugged, and what is really gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Random, age, folder_with, json_lines, lookalike, run, run_json, run_ok, stderr};
use lookalike::record::ContentHash;
use serde_json::Value;

/// Far longer than anything takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Content of each file by its path below the folder.
type Files = BTreeMap<String, String>;

/// Waits until something holds; `what` names it when it never does.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A running `watch`, and what it has said so far.
struct Watch {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Watch {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = lookalike(folder)
            .args(["watch", "--json"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        collect(child.stdout.take().unwrap(), Arc::clone(&said));
        collect(child.stderr.take().unwrap(), Arc::clone(&said));
        let watch = Self { child, said };
        eventually("the watch has indexed once", || watch.reports().pop());
        watch
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The batches so far.
    fn reports(&self) -> Vec<Value> {
        let said = self.said();
        let lines: String = said
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| format!("{line}\n"))
            .collect();
        json_lines(&lines)
    }

    fn stop(mut self) {
        interrupt(&self.child);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.said());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Ended already, unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl std::io::Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut said = into.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

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

/// Writes a small image of random colours, and gives its hash.
fn paint(path: &Path, random: &mut Random) -> String {
    let mut image = image::RgbImage::new(8, 8);
    for pixel in image.pixels_mut() {
        *pixel = image::Rgb([0; 3].map(|_: u8| random.below(256) as u8));
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
    ContentHash::of(&std::fs::read(path).unwrap()).to_string()
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

/// A folder with a database beside two roots.
struct TwoRoots {
    outer: tempfile::TempDir,
    tools: PathBuf,
}

impl TwoRoots {
    fn new() -> Self {
        let outer = folder_with(&["tools", "fish"]);
        let tools = outer.path().join("tools");
        let both = Self { outer, tools };
        assert_eq!(both.json(&["index", "tools", "fish"])[0]["added"], 4);
        both
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        run(self.outer.path(), &[arguments, &["--db", "db"]].concat())
    }

    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        run_json(self.outer.path(), &[arguments, &["--db", "db"]].concat())
    }

    fn unplug(&self) {
        std::fs::rename(&self.tools, self.outer.path().join("away")).unwrap();
    }

    fn plug(&self) {
        std::fs::rename(self.outer.path().join("away"), &self.tools).unwrap();
    }
}

/// The states of the files of all hits for the goldfish.
fn hit_states(both: &TwoRoots) -> Vec<Value> {
    let hits = both.json(&["search", "fish/goldfish.webp"]);
    hits.iter().map(|hit| hit["file"].clone()).collect()
}

#[test]
fn a_root_that_is_not_there_or_empty_is_offline_and_nothing_in_it_is_lost() {
    for is_empty_folder_left in [false, true] {
        let both = TwoRoots::new();
        assert_eq!(hit_states(&both), ["there"; 3]);
        both.unplug();
        if is_empty_folder_left {
            std::fs::create_dir(&both.tools).unwrap();
        }
        assert_eq!(hit_states(&both), ["offline"; 3]);
        let text = both.run(&["search", "fish/goldfish.webp"]);
        let text = String::from_utf8(text.stdout).unwrap();
        assert_eq!(text.matches("  (offline)\n").count(), 3, "{text}");

        // Without arguments, all known folders are looked at.
        let report = both.json(&["index"]).remove(0);
        assert_eq!((&report["missing"], &report["unchanged"]), (&0.into(), &1.into()), "{report}");
        assert_eq!(report["offline"].as_array().unwrap().len(), 1, "{report}");
        let roots = both.json(&["roots"]);
        let why = if is_empty_folder_left { "empty" } else { "absent" };
        assert_eq!((&roots[0]["offline"], &roots[0]["files"]), (&Value::Null, &1.into()));
        assert_eq!((&roots[1]["offline"], &roots[1]["files"]), (&why.into(), &3.into()));
        assert_eq!(both.json(&["stats"])[0]["files_offline"], 3);
        assert_eq!(both.run(&["list", "--missing"]).status.code(), Some(1));
        assert_eq!(both.run(&["gc", "--apply"]).status.code(), Some(1));

        if is_empty_folder_left {
            std::fs::remove_dir(&both.tools).unwrap();
        }
        both.plug();
        let report = both.json(&["index"]).remove(0);
        assert_eq!((&report["unchanged"], &report["embedded"]), (&4.into(), &0.into()), "{report}");
        assert_eq!(hit_states(&both), ["there"; 3]);
    }
}

#[test]
fn a_copy_of_an_offline_file_is_a_copy_and_its_old_place_is_kept() {
    let both = TwoRoots::new();
    let copy = both.outer.path().join("fish/clipper.webp");
    std::fs::copy(both.tools.join("nail_clipper.webp"), &copy).unwrap();
    age(&copy);
    both.unplug();
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["copied"], &report["moved"]), (&1.into(), &0.into()), "{report}");
    // The copy that can be opened is the one that a hit names first.
    let hits = both.json(&["search", "fish/goldfish.webp"]);
    let there: Vec<&Value> = hits.iter().filter(|hit| hit["file"] == "there").collect();
    assert_eq!(there.len(), 1);
    assert_eq!(there[0]["path"], "fish/clipper.webp");
    assert_eq!(there[0]["copies"][0], "tools/nail_clipper.webp");
    std::fs::remove_file(copy).unwrap();
    both.json(&["index"]);
    both.plug();
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["unchanged"], &report["embedded"]), (&4.into(), &0.into()), "{report}");
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

#[test]
fn a_root_can_be_forgotten_and_gc_removes_what_is_left_of_it() {
    let both = TwoRoots::new();
    both.unplug();
    let unknown = both.run(&["roots", "--forget", "elsewhere"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("no folder that was indexed"), "{}", stderr(&unknown));
    both.json(&["roots", "--forget", "tools"]);
    assert_eq!(both.json(&["roots"]).len(), 1);
    assert_eq!(both.json(&["list"]).len(), 1);
    assert_eq!(both.json(&["gc", "--apply"]).len(), 3);
    let report = both.json(&["index"]).remove(0);
    assert_eq!((&report["unchanged"], &report["missing"]), (&1.into(), &0.into()), "{report}");
}

#[test]
fn gc_shows_first_and_removes_what_is_gone_but_not_your_labels() {
    let folder = folder_with(&["tools", "fish"]);
    run_ok(folder.path(), &["index"]);
    let fish = folder.path().join("fish/goldfish.webp");
    let bytes = std::fs::read(&fish).unwrap();
    run_ok(folder.path(), &["label", "add", "pet", "fish/goldfish.webp"]);
    std::fs::remove_file(&fish).unwrap();
    // Gone, but not yet known to be: the last index saw it.
    assert_eq!(run(folder.path(), &["gc", "--apply"]).status.code(), Some(1));
    run_ok(folder.path(), &["index"]);
    // An overwritten file leaves an image without any place.
    let tool = folder.path().join("tools/nail_clipper.webp");
    let mut random = Random(2);
    paint(&folder.path().join("other.png"), &mut random);
    std::fs::rename(folder.path().join("other.png"), &tool).unwrap();
    run_ok(folder.path(), &["index"]);

    for arguments in [&["gc"][..], &["gc", "--dry-run"]] {
        let plan = run_json(folder.path(), arguments);
        assert_eq!(plan.len(), 2, "{plan:?}");
        assert!(plan.iter().all(|image| image["removed"] == false));
        let labelled: Vec<&Value> = plan.iter().filter(|image| image["label"] == "pet").collect();
        assert_eq!(labelled.len(), 1);
        assert_eq!(labelled[0]["paths"][0], "fish/goldfish.webp");
    }
    assert_eq!(run_json(folder.path(), &["stats"])[0]["images_missing"], 2);
    let removed = run_json(folder.path(), &["gc", "--apply"]);
    assert!(removed.len() == 2 && removed.iter().all(|image| image["removed"] == true));
    assert_eq!(run_json(folder.path(), &["stats"])[0]["images_missing"], 0);
    assert_eq!(run(folder.path(), &["gc"]).status.code(), Some(1));
    let verified = run_ok(folder.path(), &["verify"]);
    assert!(verified.contains("3 images, 3 locations, 3 embeddings, 1 labels"), "{verified}");

    std::fs::write(&fish, bytes).unwrap();
    age(&fish);
    let report = run_json(folder.path(), &["index"]).remove(0);
    assert_eq!((&report["added"], &report["embedded"]), (&1.into(), &1.into()), "{report}");
    let pets = run_json(folder.path(), &["list", "--label", "pet"]);
    assert_eq!(pets[0]["paths"][0], "fish/goldfish.webp");
}

#[test]
fn gc_keeps_what_was_missing_below_a_root_that_is_offline_now() {
    let both = TwoRoots::new();
    std::fs::remove_file(both.tools.join("nail_clipper.webp")).unwrap();
    both.json(&["index"]);
    both.unplug();
    assert_eq!(both.run(&["gc", "--apply"]).status.code(), Some(1));
    both.plug();
    assert_eq!(both.json(&["gc", "--apply"]).len(), 1);
}

/// A file system in memory that is mounted at a folder.
#[cfg(target_os = "linux")]
struct Mounted<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl<'a> Mounted<'a> {
    /// Mounts, if the tester may.
    fn at(folder: &'a Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(folder);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let status = std::process::Command::new("umount").arg(self.0).status();
        assert!(
            std::thread::panicking() || status.unwrap().success(),
            "{:?} stays mounted",
            self.0
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_volume_that_is_not_mounted_is_offline_whatever_lies_in_its_folder() {
    let folder = folder_with(&["tools"]);
    let (usb, inner) = (folder.path().join("usb"), folder.path().join("tools/card"));
    std::fs::create_dir_all(&usb).unwrap();
    std::fs::create_dir_all(&inner).unwrap();
    let (Some(first), Some(second)) = (Mounted::at(&usb), Mounted::at(&inner)) else {
        println!("skipped: this user may not mount");
        return;
    };
    // One volume is a root of its own, the other lies inside a root.
    common::copy_folder(&common::photos().join("fish"), &usb);
    let mut random = Random(1);
    paint(&inner.join("1.png"), &mut random);
    age(&inner.join("1.png"));
    let json = |arguments: &[&str]| run_json(folder.path(), &[arguments, &["--db", "db"]].concat());
    assert_eq!(json(&["index", "tools", "usb"])[0]["added"], 5);
    drop((first, second));
    // Somebody saved a picture while the drive was away.
    paint(&usb.join("stray.png"), &mut random);
    let report = json(&["index"]).remove(0);
    assert_eq!((&report["missing"], &report["added"]), (&0.into(), &0.into()), "{report}");
    assert_eq!(report["offline"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(json(&["roots"])[1]["offline"], "not-mounted");
    assert_eq!(json(&["stats"])[0]["files_offline"], 2);
    let hits = json(&["search", "tools/nail_clipper.webp"]);
    assert_eq!(hits.iter().filter(|hit| hit["file"] == "offline").count(), 2, "{hits:?}");

    // The volume is there and its file is not: that one is missing.
    let again = Mounted::at(&inner).unwrap();
    let report = json(&["index"]).remove(0);
    assert_eq!(report["missing"], 1, "{report}");
    drop(again);
}

#[test]
fn large_images_take_turns_and_the_rest_goes_on() {
    let folder = folder_with(&["tools"]);
    for number in 0..3 {
        // 8 bytes for each of 49 million pixels are more than the memory of all workers.
        let image = image::GrayImage::from_pixel(7000, 7000, image::Luma([number]));
        let path = folder.path().join(format!("large {number}.png"));
        image.save(&path).unwrap();
        age(&path);
    }
    let report = run_json(folder.path(), &["index", "--threads", "4"]).remove(0);
    assert_eq!((&report["added"], &report["embedded"]), (&6.into(), &6.into()), "{report}");
    let widths = run_json(folder.path(), &["list"]);
    assert_eq!(widths.iter().filter(|image| image["width_px"] == 7000).count(), 3);
}

#[test]
fn copies_found_in_one_run_are_embedded_once() {
    let folder = tempfile::tempdir().unwrap();
    for photo in ["fish/goldfish.webp", "tools/nail_clipper.webp"] {
        let name = photo.split('/').nth(1).unwrap();
        for copy in 0..20 {
            let target = folder.path().join(format!("{copy} {name}"));
            std::fs::copy(common::photos().join(photo), &target).unwrap();
            age(&target);
        }
    }
    let report = run_json(folder.path(), &["index", "--threads", "4"]).remove(0);
    let counts = ["added", "copied", "embedded"].map(|name| report[name].clone());
    assert_eq!(counts, [2, 38, 2], "{report}");
}
