//! Commands that write to a database are killed at random moments, and then run again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Random, content, copy_folder, folder_with, lookalike, run, run_json, run_ok, stderr};

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

fn copy(from: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(from, folder.path());
    folder
}

/// Kills a command twice on each of several copies of a folder. `after_kill` sees each copy after
/// each kill; `after_turn` sees it after the second, with the content of an undisturbed run.
fn kill_on_copies(
    whole: &Path,
    arguments: &[&str],
    seed: u64,
    after_kill: impl Fn(&Path),
    after_turn: impl Fn(&Path, &str),
) {
    println!("seed {seed}");
    let mut random = Random(seed);
    let undisturbed = copy(whole);
    let duration = duration_of(undisturbed.path(), arguments);
    let expected = content(undisturbed.path());
    let mut killed = 0;
    for turn in 0..kills() {
        println!("{arguments:?}, turn {turn}");
        let folder = copy(whole);
        for _ in 0..2 {
            killed += u64::from(kill(folder.path(), arguments, duration, &mut random));
            after_kill(folder.path());
        }
        after_turn(folder.path(), &expected);
    }
    println!("{arguments:?}: {killed} kills, 0 losses");
    assert!(killed >= kills() / 2, "only {killed} runs were still going when killed");
}

/// Kills a command, and runs it once more: the end is that of an undisturbed run, and no command in
/// between panics or hangs.
fn ends_as_undisturbed(whole: &Path, arguments: &[&str], seed: u64) {
    let lists_without_a_panic = |folder: &Path| {
        let said = stderr(&run(folder, &["list"]));
        assert!(!said.contains("panicked"), "{said}");
    };
    kill_on_copies(whole, arguments, seed, lists_without_a_panic, |folder, expected| {
        // 1: nothing is left to do, for the kill came after the last record.
        let last = run(folder, arguments);
        assert!(matches!(last.status.code(), Some(0 | 1)), "{}", stderr(&last));
        assert_eq!(content(folder), expected);
        run_ok(folder, &["verify"]);
    });
}

/// Kills a command that changes no content, the second time over what the first left.
fn content_survives(whole: &Path, arguments: &[&str], seed: u64) {
    kill_on_copies(
        whole,
        arguments,
        seed,
        |_| (),
        |folder, expected| {
            assert_eq!(content(folder), expected);
            run_ok(folder, &["verify"]);
            run_ok(folder, arguments);
            assert_eq!(content(folder), expected, "after one more run");
        },
    );
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
fn a_killed_repair_is_done_again_from_the_damaged_store() {
    let folder = labelled();
    std::fs::remove_file(folder.path().join(".lookalike/MANIFEST.json")).unwrap();
    ends_as_undisturbed(folder.path(), &["repair"], 5);
}

#[test]
fn a_killed_removal_of_images_goes_on() {
    let folder = labelled();
    for gone in ["fish", "vehicles"] {
        std::fs::remove_dir_all(folder.path().join(gone)).unwrap();
    }
    run_ok(folder.path(), &["index"]);
    ends_as_undisturbed(folder.path(), &["gc", "--apply"], 6);
}

#[test]
fn a_killed_import_goes_on() {
    let folder = labelled();
    run_ok(folder.path(), &["export", "out"]);
    std::fs::remove_dir_all(folder.path().join(".lookalike")).unwrap();
    ends_as_undisturbed(folder.path(), &["import", "out"], 7);
}

#[test]
fn a_killed_removal_of_a_network_goes_on() {
    let folder = labelled();
    let weights = common::seeded::weights(lookalike::inference::Model::ResNet18);
    std::fs::write(folder.path().join("weights"), weights).unwrap();
    run_ok(folder.path(), &["index", "--model", "resnet18", "--weights", "weights"]);
    println!("seed 8");
    let mut random = Random(8);
    let undisturbed = copy(folder.path());
    let arguments = ["models", "remove", "resnet18"];
    let duration = duration_of(undisturbed.path(), &arguments);
    let expected = content(undisturbed.path());
    let left = |folder: &Path| {
        let files = std::fs::read_dir(folder.join(".lookalike/embeddings-1")).unwrap().count();
        (run_json(folder, &["verify"])[0]["records"].clone(), files)
    };
    let expected_left = left(undisturbed.path());
    assert!(left(folder.path()) != expected_left);
    for turn in 0..kills() {
        let folder = copy(folder.path());
        kill(folder.path(), &arguments, duration, &mut random);
        assert_eq!(content(folder.path()), expected, "turn {turn}: the other network serves");
        // 1: the kill came after the last record.
        let code = run(folder.path(), &arguments).status.code();
        assert!(matches!(code, Some(0 | 1)), "turn {turn}: {code:?}");
        assert_eq!(left(folder.path()), expected_left, "turn {turn}");
    }
}

#[test]
fn a_killed_backup_is_whole_or_not_there() {
    let folder = labelled();
    let expected = content(folder.path());
    let duration = {
        let tried = copy(folder.path());
        duration_of(tried.path(), &["backup", "copies/first"])
    };
    let counts = |database: &[&str]| {
        let stats = run_json(folder.path(), &[&["stats"], database].concat()).remove(0);
        ["images", "labelled", "objects", "embeddings"].map(|name| stats[name].clone())
    };
    println!("seed 9");
    let (mut random, mut whole) = (Random(9), 0);
    for turn in 0..kills() {
        let name = format!("copies/{turn}");
        kill(folder.path(), &["backup", &name], duration, &mut random);
        assert_eq!(content(folder.path()), expected, "turn {turn}");
        if folder.path().join(&name).exists() {
            assert_eq!(counts(&["--db", &name]), counts(&[]), "turn {turn}");
            run_ok(folder.path(), &["verify", "--db", &name]);
            whole += 1;
        }
    }
    println!("{} kills of backup, {whole} copies were whole already, 0 losses", kills());
    run_ok(folder.path(), &["backup", "copies/last"]);
}

#[test]
fn a_killed_restore_leaves_the_old_database_or_the_new_one() {
    let folder = labelled();
    run_ok(folder.path(), &["backup", "copy"]);
    let restored = content(folder.path());
    run_ok(folder.path(), &["label", "remove", "fish/goldfish.webp"]);
    let old = content(folder.path());
    assert_ne!(old, restored);
    let arguments = ["restore", "copy", "--replace"];
    let duration = duration_of(copy(folder.path()).path(), &arguments);
    println!("seed 10");
    let mut random = Random(10);
    for turn in 0..kills() {
        let folder = copy(folder.path());
        for _ in 0..2 {
            kill(folder.path(), &arguments, duration, &mut random);
            // Between the two renames there is none, for a moment: then the old one lies aside.
            if folder.path().join(".lookalike").exists() {
                let found = content(folder.path());
                assert!(found == old || found == restored, "turn {turn}: {found}");
            }
        }
        run_ok(folder.path(), &arguments);
        assert_eq!(content(folder.path()), restored, "turn {turn}");
        run_ok(folder.path(), &["verify"]);
    }
    println!("{} kills of restore, 0 losses", 2 * kills());
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
