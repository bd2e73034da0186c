//! Embeddings of several networks side by side: one is filled while the other serves, and takes over.
//!
//! The second network is a real one with weights from a generator; `LOOKALIKE_LITE2_WEIGHTS` names a
//! file with those of EfficientNet-Lite2 for one more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;

use common::{content, folder_with, lookalike, run, run_json, run_ok, seeded, stderr};
use lookalike::inference::Model;
use serde_json::Value;

const PHOTO: &str = "fish/goldfish.webp";

/// Photos, and weights of ResNet-18 and EfficientNet-Lite2 beside them.
fn folder_with_weights() -> tempfile::TempDir {
    let folder = folder_with(&["tools", "fish"]);
    for (name, model) in [("resnet", Model::ResNet18), ("lite2", Model::EfficientNetLite2)] {
        let path = folder.path().join(format!("{name}.safetensors"));
        std::fs::write(path, seeded::weights(model)).unwrap();
    }
    folder
}

/// Indexes with ResNet-18, without objects.
fn index_resnet(folder: &Path) -> Value {
    let weights = ["--weights", "resnet.safetensors"];
    let arguments = [&["index", "--no-detect", "--model", "resnet18"][..], &weights].concat();
    run_json(folder, &arguments).remove(0)
}

/// The spaces of a network, as `models` lists them.
fn spaces(folder: &Path, model: &str) -> Vec<Value> {
    let lines = run_json(folder, &["models"]);
    let line = lines.iter().find(|line| line["model"] == model).unwrap();
    line["spaces"].as_array().unwrap().clone()
}

fn serving(folder: &Path) -> String {
    run_json(folder, &["stats"])[0]["space"]["model"].as_str().unwrap().to_owned()
}

fn refused(folder: &Path, arguments: &[&str], expected: &str) {
    let output = run(folder, arguments);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(expected) && !said.contains("panicked"), "{arguments:?}: {said}");
}

#[test]
fn a_second_network_is_filled_while_the_first_serves_and_takes_over_at_once() {
    let folder = folder_with_weights();
    let folder = folder.path();
    run_ok(folder, &["index", "--no-detect", "--vector-index", "graph"]);
    let before = content(folder);
    let hits = run_ok(folder, &["search", PHOTO, "--json"]);
    let graph = folder.join(".lookalike/index/1/graph");
    let linked = std::fs::read(&graph).unwrap();
    refused(folder, &["models", "use", "resnet18"], "name a file with --weights");
    refused(
        folder,
        &["models", "use", "resnet18", "--weights", "resnet.safetensors"],
        "no image is embedded by resnet18 yet",
    );

    let unknown = ["search", PHOTO, "--model", "resnet18", "--weights", "resnet.safetensors"];
    refused(folder, &unknown, "no image is embedded by resnet18 yet");

    let report = index_resnet(folder);
    assert_eq!(report["embedded"], 4);
    assert_eq!(report["added"], 0, "images that are known are no new ones");
    assert_eq!(serving(folder), "efficientnet-lite0");
    assert_eq!(content(folder), before, "the first network serves as before, classes included");
    assert_eq!(run_ok(folder, &["search", PHOTO, "--json"]), hits);
    // A query of the other network, whose weights are known by now.
    let others = run_json(folder, &["search", PHOTO, "--model", "resnet18"]);
    assert_eq!(others.len(), 3);
    let first = |spaces: Vec<Value>| spaces.into_iter().next().unwrap();
    let (own, second) =
        (first(spaces(folder, "efficientnet-lite0")), first(spaces(folder, "resnet18")));
    assert_eq!((&own["serves"], &own["embedded"]), (&Value::Bool(true), &Value::from(4)));
    assert_eq!((&second["serves"], &second["images"]), (&Value::Bool(false), &Value::from(4)));

    run_ok(folder, &["models", "use", "resnet18"]);
    assert_eq!(serving(folder), "resnet18");
    assert_eq!(run_json(folder, &["search", PHOTO]), others);
    assert_eq!(run_json(folder, &["index", "--no-detect"])[0]["embedded"], 0);
    run_ok(folder, &["index", "--no-detect", "--vector-index", "graph"]);
    assert_eq!(run_json(folder, &["search", PHOTO]), others);
    run_ok(folder, &["verify"]);
    run_ok(folder, &["label", "add", "fish", PHOTO]);
    run_ok(folder, &["cluster", "--k", "2"]);
    run_ok(folder, &["compact"]);
    assert_eq!(serving(folder), "resnet18", "the choice survives a compaction");

    assert_eq!(std::fs::read(&graph).unwrap(), linked, "each network has a graph of its own");
    run_ok(folder, &["models", "use", "efficientnet-lite0"]);
    run_ok(folder, &["label", "remove", PHOTO]);
    assert_eq!(content(folder), before);
}

#[test]
fn a_removed_network_goes_with_all_that_is_derived_from_it() {
    let folder = folder_with_weights();
    let folder = folder.path();
    run_ok(folder, &["index"]);
    let before = content(folder);
    let count = || run_json(folder, &["verify"])[0]["records"]["embeddings"].as_u64().unwrap();
    let embeddings = count();
    // With the objects, whose embeddings are by this network too.
    let weights = ["--weights", "resnet.safetensors", "--vector-index", "graph"];
    run_ok(folder, &[&["index", "--model", "resnet18"][..], &weights].concat());
    assert_eq!(count(), embeddings + 4);
    let graph = |number: u16| folder.join(format!(".lookalike/index/{number}/graph"));
    let number = (1..9).find(|number| graph(*number).exists()).unwrap();
    let file = folder.join(format!(".lookalike/embeddings-1/{number}"));
    assert!(file.exists());

    refused(folder, &["models", "remove", "efficientnet-lite0"], "serves the searches");
    run_ok(folder, &["models", "remove", "resnet18"]);
    assert_eq!(content(folder), before);
    assert_eq!(count(), embeddings);
    assert!(!file.exists() && !graph(number).exists());
    assert_eq!(spaces(folder, "resnet18"), [] as [Value; 0]);
    assert_eq!(run(folder, &["models", "remove", "resnet18"]).status.code(), Some(1));
    assert_eq!(run_json(folder, &["index"])[0]["embedded"], 0, "the objects of the first stay");
}

#[test]
fn weights_that_are_gone_or_others_are_told_with_the_way_out() {
    let folder = folder_with_weights();
    let folder = folder.path();
    run_ok(folder, &["index", "--no-detect"]);
    index_resnet(folder);
    run_ok(folder, &["models", "use", "resnet18"]);
    let (weights, aside) = (folder.join("resnet.safetensors"), folder.join("aside"));
    let search = ["search", PHOTO];
    std::fs::rename(&weights, &aside).unwrap();
    refused(folder, &search, "which serves (`lookalike models use NAME` chooses another)");
    std::fs::copy(folder.join("lite2.safetensors"), &weights).unwrap();
    refused(folder, &search, "as weights of resnet18");
    // The same network with other values: one bit of the last tensor.
    let mut other = std::fs::read(&aside).unwrap();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, other).unwrap();
    refused(folder, &search, "are not those that embedded the images");
    // It fills a space of its own, which can serve.
    assert_eq!(index_resnet(folder)["embedded"], 4);
    run_ok(folder, &["models", "use", "resnet18"]);
    assert_eq!(spaces(folder, "resnet18").len(), 2);
    run_ok(folder, &["models", "remove", "resnet18"]);
    assert_eq!(spaces(folder, "resnet18").len(), 1);
    assert_eq!(spaces(folder, "resnet18")[0]["serves"], true);
    run_ok(folder, &search);
}

#[test]
fn images_that_only_one_network_knows_are_named_and_filled_up() {
    let folder = folder_with_weights();
    let folder = folder.path();
    run_ok(folder, &["index", "--no-detect", "fish"]);
    let db = ["--db", "fish/.lookalike"];
    let with = |arguments: &[&str]| -> Vec<String> {
        arguments.iter().chain(&db).map(|word| (*word).to_owned()).collect()
    };
    let go = |arguments: &[&str]| {
        let output = lookalike(folder).args(with(arguments)).output().unwrap();
        (output.status.code(), stderr(&output))
    };
    let resnet = ["--model", "resnet18", "--weights", "resnet.safetensors"];
    let index = [&["index", "--no-detect", "tools"][..], &resnet].concat();
    assert_eq!(go(&index).0, Some(0));
    assert_eq!(go(&["models", "use", "resnet18"]).0, Some(0));
    let (code, said) = go(&["search", "--id", "1"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("image #1 is not embedded by resnet18 yet"), "{said}");
    assert_eq!(go(&["index", "--no-detect"]).0, Some(0));
    assert_eq!(go(&["search", "--id", "1"]).0, Some(0));
}

#[test]
fn the_first_network_of_a_database_serves_it() {
    let folder = folder_with_weights();
    assert_eq!(index_resnet(folder.path())["added"], 4);
    assert_eq!(serving(folder.path()), "resnet18");
    assert_eq!(run_json(folder.path(), &["search", PHOTO]).len(), 3);
    assert_eq!(spaces(folder.path(), "efficientnet-lite0"), [] as [Value; 0]);
}

#[test]
fn trained_weights_of_lite2_embed_and_serve() {
    let Some(weights) = std::env::var_os("LOOKALIKE_LITE2_WEIGHTS") else {
        eprintln!("left out: LOOKALIKE_LITE2_WEIGHTS names no safetensors file");
        return;
    };
    let folder = folder_with(&["tools", "fish", "landmarks", "near_duplicates"]);
    run_ok(folder.path(), &["index", "--no-detect"]);
    let query = "landmarks/roman_colosseum.jpg";
    let first = run_json(folder.path(), &["search", query]).remove(0);
    let mut index = lookalike(folder.path());
    index.args(["index", "--no-detect", "--model", "efficientnet-lite2", "--weights"]);
    assert!(index.arg(weights).status().unwrap().success());
    run_ok(folder.path(), &["models", "use", "efficientnet-lite2"]);
    let second = run_json(folder.path(), &["search", query]).remove(0);
    assert_eq!(second["path"], first["path"]);
    assert_ne!(second["score"], first["score"]);
}
