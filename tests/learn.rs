//! Clusters and labels through the program, on real photos.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::HashSet;
use std::path::Path;

use common::{folder_with, run_json, run_ok};

const GROUPS: &[&str] = &["animals", "flowers", "landmarks", "places", "near_duplicates"];

fn member_count(cluster: &serde_json::Value) -> usize {
    cluster["members"].as_array().unwrap().len()
}

#[test]
fn k_means_puts_every_image_into_one_of_k_clusters_and_repeats_itself() {
    let folder = folder_with(GROUPS);
    run_ok(folder.path(), &["index"]);
    let images = run_json(folder.path(), &["list"]).len();
    let cluster = || run_ok(folder.path(), &["cluster", "--k", "5", "--json"]);
    let once = cluster();
    let kept = folder.path().join(".lookalike/index/1/clusters.json");
    std::fs::remove_file(&kept).unwrap();
    assert_eq!(cluster(), once);
    let clusters = common::json_lines(&once);
    assert_eq!(clusters.len(), 5);
    let members: Vec<String> = clusters
        .iter()
        .flat_map(|cluster| cluster["members"].as_array().unwrap())
        .map(|member| member["path"].to_string())
        .collect();
    assert_eq!(members.len(), images);
    assert_eq!(members.iter().collect::<HashSet<_>>().len(), images);
    for cluster in &clusters {
        assert_eq!(cluster["medoid"], cluster["members"][0]["path"]);
        assert!(!cluster["classes"].as_array().unwrap().is_empty());
    }
    assert!(clusters.windows(2).all(|two| member_count(&two[0]) >= member_count(&two[1])));
    let automatic = run_json(folder.path(), &["cluster"]);
    assert!((2..images).contains(&automatic.len()));
}

#[test]
fn the_last_clusters_are_kept_until_the_database_changes() {
    let folder = folder_with(GROUPS);
    run_ok(folder.path(), &["index"]);
    let cluster = |k: &str| run_json(folder.path(), &["cluster", "--k", k]);
    let found = cluster("3");
    // A mark shows what was read from the file.
    let kept = folder.path().join(".lookalike/index/1/clusters.json");
    let mark = || {
        let mut stored: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        stored["clusters"]["clusters"][0]["name"] = "marked".into();
        std::fs::write(&kept, stored.to_string()).unwrap();
    };
    mark();
    assert_eq!(cluster("3")[0]["name"], "marked");
    assert_eq!(cluster("4").len(), 4);
    assert_eq!(cluster("3"), found);
    mark();
    let image = found[0]["medoid"].as_str().unwrap();
    run_ok(folder.path(), &["label", "add", "face", image]);
    assert_ne!(cluster("3")[0]["name"], "marked");
    std::fs::write(&kept, "{").unwrap();
    assert_eq!(cluster("3").len(), 3);
}

#[test]
fn dbscan_joins_near_duplicates_and_leaves_the_rest_out() {
    let folder = folder_with(GROUPS);
    run_ok(folder.path(), &["index"]);
    // Cosine 0.9 and more.
    let arguments = ["cluster", "--method", "dbscan", "--eps", "0.447", "--min-points", "2"];
    let clusters = run_json(folder.path(), &arguments);
    let of = |name: &str| {
        clusters.iter().position(|cluster| {
            cluster["members"].as_array().unwrap().iter().any(|member| {
                let path = member["path"].as_str().or(member.as_str()).unwrap();
                path.ends_with(name)
            })
        })
    };
    assert_eq!(of("roman_colosseum.jpg"), of("roman_colosseum_small.jpg"));
    assert_ne!(of("roman_colosseum.jpg"), of("moose.webp"));
    assert!(clusters.last().unwrap()["cluster"].is_null(), "the noise comes last");
    let automatic = run_json(folder.path(), &["cluster", "--method", "dbscan"]);
    assert!(!automatic.is_empty());
}

/// Labels all but the last two images of each folder with the folder's name.
fn label_by_folder(folder: &Path, groups: &[&str]) {
    for group in groups {
        let images = run_json(folder, &["list", "--under", group]);
        let paths: Vec<&str> =
            images.iter().map(|image| image["paths"][0].as_str().unwrap()).collect();
        let mut arguments = vec!["label", "add", group];
        arguments.extend(&paths[..paths.len() - 2]);
        run_ok(folder, &arguments);
    }
}

#[test]
fn a_forest_learns_labels_repeats_itself_and_its_labels_filter() {
    let groups = ["animals", "flowers", "places"];
    let folder = folder_with(&groups);
    run_ok(folder.path(), &["index"]);
    label_by_folder(folder.path(), &groups);
    let labels = run_json(folder.path(), &["label", "list"]);
    assert_eq!(labels.len(), 3);
    let trained = run_json(folder.path(), &["label", "train"]).remove(0);
    assert_eq!(trained["folds"], 5);
    assert!(trained["accuracy"].as_f64().unwrap() > 0.7, "{trained}");
    assert!(trained["accuracy_spread"].as_f64().is_some());
    let predicted = run_ok(folder.path(), &["label", "predict", "--json"]);
    assert_eq!(common::json_lines(&predicted).len(), 6);
    let right = common::json_lines(&predicted)
        .iter()
        .filter(|line| line["path"].as_str().unwrap().starts_with(line["label"].as_str().unwrap()))
        .count();
    assert!(right >= 4, "{predicted}");

    assert_eq!(run_json(folder.path(), &["label", "train"]).remove(0), trained);
    assert_eq!(run_ok(folder.path(), &["label", "predict", "--json"]), predicted);
    let flowers = run_json(folder.path(), &["list", "--label", "flowers"]);
    assert!(flowers.len() > 10);
    let hits = run_json(folder.path(), &["search", "--id", "1", "--label", "flowers"]);
    assert_eq!(hits.len(), 10);
}

#[test]
fn labels_move_with_the_file_and_can_be_taken_away() {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index"]);
    run_ok(folder.path(), &["label", "add", "small", "tools/nail_clipper.webp", "#1"]);
    let labelled = |folder: &Path| run_json(folder, &["list", "--label", "small"]).len();
    assert_eq!(labelled(folder.path()), 2);
    std::fs::rename(
        folder.path().join("tools/nail_clipper.webp"),
        folder.path().join("clipper.webp"),
    )
    .unwrap();
    run_ok(folder.path(), &["index"]);
    assert_eq!(labelled(folder.path()), 2);
    run_ok(folder.path(), &["label", "remove", "clipper.webp"]);
    assert_eq!(labelled(folder.path()), 1);
    // Another label takes the place of the first.
    run_ok(folder.path(), &["label", "add", "other", "#1"]);
    let labels = run_json(folder.path(), &["label", "list"]);
    assert_eq!(labels.len(), 1);
    assert_eq!(labels[0]["label"], "other");
}

#[test]
fn classifiers_are_compared_mistakes_found_and_unsure_images_left_for_review() {
    let groups = ["animals", "flowers", "places"];
    let folder = folder_with(&groups);
    run_ok(folder.path(), &["index"]);
    label_by_folder(folder.path(), &groups);
    let compared = run_json(folder.path(), &["label", "compare"]);
    assert_eq!(compared.len(), 3);
    let best = compared.iter().filter(|line| line["is_recommended"] == true);
    let best: Vec<f64> = best.map(|line| line["accuracy"].as_f64().unwrap()).collect();
    assert_eq!(best.len(), 1);
    assert!(compared.iter().all(|line| line["accuracy"].as_f64().unwrap() <= best[0]));

    let flower = run_json(folder.path(), &["list", "--label", "flowers"]).remove(0);
    let flower = format!("#{}", flower["id"]);
    run_ok(folder.path(), &["label", "add", "animals", &flower]);
    let suspects = run_json(folder.path(), &["label", "errors"]);
    let place = suspects.iter().position(|line| format!("#{}", line["id"]) == flower);
    assert!(place.is_some_and(|place| place < 3), "{suspects:?}");
    assert_eq!(suspects[place.unwrap()]["suggested"], "flowers");
    run_ok(folder.path(), &["label", "add", "flowers", &flower]);

    for model in ["logistic", "forest", "neighbors"] {
        let trained = run_json(folder.path(), &["label", "train", "--model", model]).remove(0);
        assert_eq!(trained["classifier"], model);
        let labelled = |error: &str| {
            let lines = run_json(folder.path(), &["label", "predict", "--error", error]);
            lines.iter().filter(|line| line["labelled"] == true).count()
        };
        assert_eq!(labelled("0.001"), 0, "{model}: too few examples to know that");
        assert!(run_json(folder.path(), &["list", "--label", "flowers"]).len() < 20);
        assert!(labelled("0.9") >= 4, "{model}");
    }
    let review = run_json(folder.path(), &["label", "review", "--count", "4"]);
    assert_eq!(review.len(), 4);
    assert_eq!(review, run_json(folder.path(), &["label", "review", "--count", "4"]));
}

#[test]
fn few_images_get_an_answer_or_a_reason_from_every_command() {
    let folder = folder_with(&["tools"]);
    let images: Vec<_> = std::fs::read_dir(folder.path().join("tools")).unwrap().collect();
    let images: Vec<_> = images.into_iter().map(|entry| entry.unwrap().path()).collect();
    let commands: [&[&str]; 6] = [
        &["cluster"],
        &["cluster", "--method", "dbscan", "--min-points", "2"],
        &["label", "compare"],
        &["label", "review"],
        &["label", "errors"],
        &["label", "predict", "--error", "0.1"],
    ];
    for keep in [5, 1, 0] {
        for image in images.iter().skip(keep) {
            let _ = std::fs::remove_file(image);
        }
        let _ = std::fs::remove_dir_all(folder.path().join(".lookalike"));
        common::run(folder.path(), &["index"]);
        for command in commands {
            let output = common::run(folder.path(), command);
            let said = common::stderr(&output);
            let code = output.status.code().unwrap();
            assert!(code <= 2, "{command:?} on {keep}: {said}");
            assert!(code == 0 || !said.is_empty(), "{command:?} on {keep} gives no reason");
            assert!(code == 2 || command[0] != "label", "{command:?} on {keep}: nothing to go by");
        }
        let grouped = common::run(folder.path(), &["cluster"]).status.code();
        assert_eq!(grouped, Some(if keep == 0 { 2 } else { 0 }));
    }
}

#[test]
fn folders_are_classes_and_spaces_are_compared() {
    let folder = folder_with(&["animals", "flowers"]);
    let means = run_json(folder.path(), &["eval", "retrieval", "--labels-from-folders", "."]);
    assert_eq!(means.len(), 3, "all, and each folder");
    assert!(means[0]["class"].is_null());
    for key in ["precision_at_1", "recall_at_10", "mean_average_precision"] {
        let value = |line: &serde_json::Value| line[key].as_f64().unwrap();
        let queries = |line: &serde_json::Value| line["queries"].as_f64().unwrap();
        let sum: f64 = means[1..].iter().map(|line| value(line) * queries(line)).sum();
        assert!((sum / queries(&means[0]) - value(&means[0])).abs() < 1e-9, "{key}");
        assert!(value(&means[0]) > 0.2 && value(&means[0]) <= 1.0, "{key}");
    }
    assert_eq!(run_json(folder.path(), &["eval", "."]), means);

    let space = run_json(folder.path(), &["eval", "compare"]).remove(0)["space"].to_string();
    let same = run_json(folder.path(), &["eval", "compare", &space, &space]).remove(0);
    assert!(same["correlation"].as_f64().unwrap() > 0.9999, "{same}");
    assert_eq!(same["neighbor_overlap"], 1.0);
    let output = common::run(folder.path(), &["eval", "compare", &space, "77"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn page_of_clusters_has_pictures_of_all_and_never_goes_over_a_file() {
    let folder = folder_with(&["animals", "flowers"]);
    run_ok(folder.path(), &["index"]);
    let arguments = ["cluster", "--k", "2", "--html", "page.html"];
    let clusters = run_json(folder.path(), &arguments);
    assert!(clusters.iter().any(|cluster| cluster["name"].as_str().is_some()));
    let page = std::fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(page.matches("<section>").count(), 2);
    let shown: usize = clusters.iter().map(|cluster| member_count(cluster).min(16)).sum();
    assert_eq!(page.matches("src=\"data:image/jpeg;base64,/9j/").count(), shown);
    assert!(!page.contains("http"), "nothing is fetched");
    assert_eq!(common::run(folder.path(), &arguments).status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(folder.path().join("page.html")).unwrap(), page);
}
