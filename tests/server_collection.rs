//! `lookalike serve` over the whole collection: labels, clusters, duplicates, the map.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::http::{Server, id_of, ids, served};
use common::{folder_with, run_ok};
use serde_json::{Value, json};

#[test]
fn labels_are_given_taken_back_learned_and_reviewed() {
    let (_folder, server) = served(&["animals", "flowers"]);
    let scroll = |folder: &str| {
        let filter = json!({"must": [{"key": "folder", "match": {"value": folder}}]});
        ids(&server.post_json("/v1/images/scroll", &json!({"filter": filter}))["images"])
    };
    let (animals, flowers) = (scroll("animals"), scroll("flowers"));
    assert_eq!(server.post("/v1/labels/train", &json!({})).status, 409);
    assert_eq!(server.get("/v1/labels/review").status, 409);
    server.post_json("/v1/labels", &json!({"label": "animal", "images": animals[..4]}));
    server.post_json("/v1/labels", &json!({"label": "wrong", "images": [flowers[0]]}));
    let given = server.post_json("/v1/labels", &json!({"label": "flower", "images": flowers[..4]}));
    assert_eq!(given["before"], json!(["wrong", null, null, null]));
    let labels = server.get_json("/v1/labels");
    assert_eq!(
        labels["labels"],
        json!([{"value": "animal", "images": 4}, {"value": "flower", "images": 4}])
    );
    let trained = server.post_json("/v1/labels/train", &json!({"model": "forest"}));
    assert_eq!((&trained["model"], &trained["examples"]), (&json!("forest"), &json!(8)));
    let review = server.get_json("/v1/labels/review?count=3");
    assert_eq!(review["images"].as_array().unwrap().len(), 3);
    let predicted = server.post_json("/v1/labels/predict", &json!({}));
    assert_eq!(predicted["labelled"], animals.len() + flowers.len() - 8);
    let detail = server.get_json(&format!("/v1/images/{}", animals[5]));
    assert!(detail["user_label"].is_null() && detail["label"].is_string());
    let named = json!({"filter": {"must": [{"key": "label", "match": {"value": "animal"}}]}});
    let named = ids(&server.post_json("/v1/images/scroll", &named)["images"]);
    assert!(animals[..4].iter().all(|id| named.contains(id)));
    server.post_json("/v1/labels", &json!({"label": null, "images": animals[..4]}));
    assert_eq!(server.get_json("/v1/labels")["labels"], json!([{"value": "flower", "images": 4}]));
    for bad in [json!(" "), json!("two\nlines"), json!("x".repeat(201))] {
        assert_eq!(server.post("/v1/labels", &json!({"label": bad, "images": [1]})).status, 422);
    }
    let unknown = server.post("/v1/labels", &json!({"label": "x", "images": [1, 999]}));
    assert_eq!(unknown.problem(), "unknown-image");
}

#[test]
fn clusters_and_facets_count_all_images() {
    let (_folder, server) = served(&["animals", "flowers"]);
    let images = server.get_json("/v1/stats")["images"].as_u64().unwrap();
    let found = server.post_json("/v1/clusters", &json!({"k": 3, "members": 2}));
    let clusters = found["clusters"].as_array().unwrap();
    let sizes = clusters.iter().map(|cluster| cluster["size"].as_u64().unwrap());
    assert_eq!((clusters.len(), sizes.sum::<u64>(), &found["noise"]), (3, images, &json!(0)));
    assert!(clusters.iter().all(|cluster| cluster["members"].as_array().unwrap().len() <= 2));
    let apart = server.post_json("/v1/clusters", &json!({"method": "dbscan"}));
    let inside: u64 =
        apart["clusters"].as_array().unwrap().iter().map(|one| one["size"].as_u64().unwrap()).sum();
    assert_eq!(inside + apart["noise"].as_u64().unwrap(), images);
    assert_eq!(server.post("/v1/clusters", &json!({"k": 0})).status, 422);
    assert_eq!(server.post("/v1/clusters", &json!({"k": 9999})).status, 422);
    let facets = server.get_json("/v1/facets");
    assert_eq!(facets["images"], images);
    let folders: Vec<&str> = facets["folders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["value"].as_str().unwrap())
        .collect();
    assert_eq!(folders.len(), 2);
    assert!(facets["objects"].as_array().unwrap().iter().any(|one| one["value"] == "dog"));
}

#[cfg(target_os = "linux")]
#[test]
fn duplicates_are_found_told_apart_and_moved_to_the_trash() {
    let folder = folder_with(&["food", "tools"]);
    let photo = folder.path().join("food/coffee.jpg");
    for copy in ["copy.jpg", "changed.jpg"] {
        std::fs::copy(&photo, folder.path().join(copy)).unwrap();
    }
    std::fs::hard_link(&photo, folder.path().join("link.jpg")).unwrap();
    let pixels = image::open(&photo).unwrap();
    pixels.rotate90().save(folder.path().join("turned.png")).unwrap();
    run_ok(folder.path(), &["index", "--no-detect"]);
    let server = Server::start(folder.path(), &[]).ready();
    let find = || server.post_json("/v1/duplicates", &json!({}))["groups"].clone();
    let groups = find();
    assert_eq!((groups.as_array().unwrap().len(), &groups[0]["tier"]), (1, &json!("edited")));
    let others = groups[0]["others"].as_array().unwrap();
    assert_eq!(others.len(), 4);
    let keep = groups[0]["keep"].clone();
    let is_turned = |file: &&Value| file["path"] == "turned.png";
    let turned = others.iter().chain([&keep]).find(is_turned).unwrap()["id"].clone();
    let copy = id_of(&server, "changed.jpg");
    assert!(others.iter().any(|other| other["how"] == "turned"), "{others:?}");

    let decide = |distinct: bool| {
        let request = json!({"images": [copy, turned], "distinct": distinct});
        assert_eq!(server.post("/v1/duplicates/distinct", &request).status, 204);
    };
    decide(true);
    assert_eq!(find()[0]["others"].as_array().unwrap().len(), 3, "only the files of one content");
    decide(false);
    assert_eq!(find(), groups);
    let same = json!({"images": [copy, copy], "distinct": true});
    assert_eq!(server.post("/v1/duplicates/distinct", &same).status, 422);

    std::fs::write(folder.path().join("changed.jpg"), "another").unwrap();
    let file = |path: &str| json!({"id": copy, "path": path});
    let discard = |keep: &str, paths: &[&str]| {
        let discard: Vec<Value> = paths.iter().map(|path| file(path)).collect();
        server.post("/v1/duplicates/discard", &json!({"keep": file(keep), "discard": discard}))
    };
    let answer = discard("food/coffee.jpg", &["copy.jpg", "link.jpg", "changed.jpg"]).json();
    assert_eq!(answer["moved"], 1, "{answer}");
    let stayed = answer["stayed"].as_array().unwrap();
    assert_eq!([&stayed[0]["path"], &stayed[1]["path"]], ["link.jpg", "changed.jpg"]);
    let is_there = |name: &str| folder.path().join(name).exists();
    assert!(!is_there("copy.jpg") && is_there("link.jpg") && is_there("changed.jpg"));
    assert!(is_there("food/coffee.jpg"));
    // A file to keep that is not there any more keeps all others where they are.
    let answer = discard("changed.jpg", &["food/coffee.jpg"]).json();
    assert_eq!((&answer["moved"], answer["stayed"].as_array().unwrap().len()), (&json!(0), 1));
    assert!(is_there("food/coffee.jpg"));
    for path in ["copy.jpg", "../outside.jpg", "/etc/passwd", ""] {
        assert_eq!(discard("food/coffee.jpg", &[path]).problem(), "not-found", "{path}");
    }
    assert_eq!(discard("food/coffee.jpg", &[]).status, 422);
    let unknown = json!({"keep": {"id": 999, "path": "a"}, "discard": [file("link.jpg")]});
    assert_eq!(server.post("/v1/duplicates/discard", &unknown).problem(), "unknown-image");
}

#[test]
fn the_map_has_a_place_for_each_image_and_its_label() {
    let (_folder, server) = served(&["animals", "flowers"]);
    server.post_json("/v1/labels", &json!({"label": "seen", "images": [2, 3]}));
    let images = server.get_json("/v1/stats")["images"].as_u64().unwrap() as usize;
    for layout in ["tsne", "pca"] {
        let map = server.get_json(&format!("/v1/map?layout={layout}"));
        assert_eq!((&map["layout"], &map["names"]), (&json!(layout), &json!(["seen"])));
        for column in ["ids", "x", "y", "ratios", "labels"] {
            assert_eq!(map[column].as_array().unwrap().len(), images, "{column}");
        }
        let labels = map["labels"].as_array().unwrap();
        assert_eq!(labels[..4], [Value::Null, json!(0), json!(0), Value::Null]);
        let inside = |place: &Value| (0.0..=1.0).contains(&place.as_f64().unwrap());
        assert!(
            map["x"].as_array().unwrap().iter().chain(map["y"].as_array().unwrap()).all(inside)
        );
    }
    assert_eq!(server.get("/v1/map?layout=round").status, 422);
}
