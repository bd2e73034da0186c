//! The rules of the tree: layers, file sizes, documents whose paths exist.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Modules from the bottom up; one may use those in rows above it, not its peers.
const LAYERS: &[&[&str]] = &[
    &["record", "pixels", "vector"],
    &["imaging", "inference", "store", "index", "learn", "thumbs"],
    &["objects"],
    &["ingest", "query"],
    &["database", "error"],
    &["server"],
];

/// Crates that one module alone may name.
const OWNED_CRATES: &[(&str, &str)] = &[
    ("sled", "store"),
    ("candle_core", "inference"),
    ("hnsw_rs", "index"),
    ("linfa", "learn"),
    ("image", "imaging"),
    ("notify", "ingest"),
    ("heifer", "imaging"),
    ("jxl_oxide", "imaging"),
    ("moxcms", "imaging"),
    ("font8x8", "imaging"),
    ("prost", "inference"),
    ("re_rav1d", "imaging"),
    ("clap", "cli"),
    ("indicatif", "cli"),
    ("axum", "server"),
    ("hyper", "server"),
    ("hyper_util", "server"),
    ("prometheus_client", "server"),
    ("tokio", "server"),
    ("tower_http", "server"),
    ("utoipa", "server"),
];

const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Path below `src` and text of each source file.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    files(&src, "rs")
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules that a file names after `crate::`, its tests and documents left out.
fn uses(text: &str) -> BTreeSet<&str> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap())
        .collect()
}

#[test]
fn dependencies_point_down_the_layers() {
    for (file, text) in sources() {
        let module = module_of(&file);
        let Some(own) = layer_of(module) else { continue };
        for used in uses(&text) {
            if let Some(other) = layer_of(used) {
                let allowed = used == module || other < own || LAYERS[own].contains(&"database");
                assert!(allowed, "{file} uses {used}, which does not lie below {module}");
            }
        }
    }
}

#[test]
fn every_module_has_a_layer() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = lib
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(layer_of(module).is_some(), "{module} is in no layer of this test");
    }
}

#[test]
fn a_foreign_crate_stays_behind_its_module() {
    for (file, text) in sources() {
        for (name, owner) in OWNED_CRATES {
            let named = text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//")
                    && code.contains(&format!("{name}::"))
                    && !code.contains(&format!("::{name}::"))
                    && !code.contains(&format!("_{name}::"))
            });
            assert!(!named || module_of(&file) == *owner, "{file} names the crate {name}");
        }
    }
}

#[test]
fn every_source_file_says_in_a_sentence_what_it_is() {
    for (file, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! "), "{file} begins with {first:?}");
    }
}

#[test]
fn no_source_file_is_too_long_to_be_one_idea() {
    for (file, text) in sources() {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let lines = code.lines().count();
        assert!(lines <= LINES_MAX, "{file} has {lines} lines without its tests");
    }
}

#[test]
fn code_is_ascii() {
    for (file, text) in sources() {
        let odd = text.lines().position(|line| !line.is_ascii());
        assert_eq!(odd, None, "{file} has a character that is not ASCII (line counted from 0)");
    }
}

#[test]
fn paths_in_the_documents_exist() {
    let mut documents = files(&root().join("docs"), "md");
    documents.extend(
        ["README.md", "CHANGELOG.md", "migrations/README.md"].map(|name| root().join(name)),
    );
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let starts = ["src/", "tests/", "docs/", "benches/", "fixtures/", "migrations/"];
            let is_path = starts.iter().any(|start| quoted.starts_with(start))
                && !quoted.contains([' ', '<', '*', '{', '\n'])
                && !quoted.contains("NNN");
            if is_path {
                let target = root().join(quoted);
                assert!(target.exists(), "{document:?} names {quoted}, which is not there");
            }
        }
    }
}

#[test]
fn every_fixture_photo_is_attributed() {
    let photos = root().join("fixtures/photos");
    let attribution = std::fs::read_to_string(photos.join("ATTRIBUTION.md")).unwrap();
    let mut count = 0;
    for ending in ["jpg", "png", "webp"] {
        for photo in files(&photos, ending) {
            let name = photo.strip_prefix(&photos).unwrap().to_string_lossy().into_owned();
            assert!(attribution.contains(&format!("`{name}`")), "{name} has no attribution");
            count += 1;
        }
    }
    assert!(count >= 60, "{count} photos");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let reasons = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let dependencies =
        manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in dependencies.lines().filter(|line| line.contains('=')) {
        let name = line.split('=').next().unwrap().trim();
        assert!(
            reasons.contains(&format!("`{name}`")),
            "docs/architecture.md does not name {name}"
        );
    }
}
