//! `lookalike serve` through its sockets: what the API answers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::io::{Read, Write};
use std::path::Path;

use common::http::{Answer, Server, id_of, ids, indexed, served};
use common::{copy_folder, folder_with, photos, run_json, run_ok};
use serde_json::{Value, json};

#[test]
fn a_search_by_number_finds_what_the_command_finds() {
    let folder = indexed(&["animals", "flowers"]);
    let lines = run_json(folder.path(), &["search", "--id", "3", "--top", "7"]);
    let server = Server::start(folder.path(), &[]).ready();
    let answer = server.post_json("/v1/search", &json!({"query": 3, "limit": 7}));
    let hits = answer["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 7);
    for (hit, line) in hits.iter().zip(&lines) {
        assert_eq!((&hit["id"], &hit["path"]), (&line["id"], &line["path"]));
        assert!((hit["score"].as_f64().unwrap() - line["score"].as_f64().unwrap()).abs() < 1e-6);
    }
    let best = hits[0]["score"].as_f64().unwrap();
    let few = json!({"query": 3, "score_threshold": best - 1e-6});
    assert_eq!(
        ids(&server.post_json("/v1/search", &few)["hits"]),
        [hits[0]["id"].as_u64().unwrap()]
    );
    let exact = json!({"query": 3, "limit": 7, "params": {"exact": true, "ef": 64}});
    assert_eq!(server.post_json("/v1/search", &exact)["hits"], answer["hits"]);
}

#[test]
fn pages_of_hits_and_of_images_join_to_the_whole() {
    let (_folder, server) = served(&["animals", "flowers"]);
    let whole = server.post_json("/v1/search", &json!({"query": 1, "limit": 20}));
    let mut parts = Vec::new();
    let mut cursor = Value::Null;
    for _ in 0..20 {
        let part =
            server.post_json("/v1/search", &json!({"query": 1, "limit": 3, "cursor": cursor}));
        parts.extend(part["hits"].as_array().unwrap().clone());
        cursor = part["next"].clone();
        if cursor.is_null() || parts.len() >= 20 {
            break;
        }
    }
    parts.truncate(20);
    assert_eq!(Value::from(parts), whole["hits"]);
    for order in ["id", "newest", "oldest"] {
        let whole = server.get_json(&format!("/v1/images?limit=1000&order={order}"));
        assert!(whole["next"].is_null());
        let mut parts = Vec::new();
        let mut path = format!("/v1/images?limit=4&order={order}");
        loop {
            let part = server.get_json(&path);
            parts.extend(ids(&part["images"]));
            let Some(next) = part["next"].as_str() else { break };
            path = format!("/v1/images?limit=4&order={order}&cursor={next}");
        }
        assert_eq!(parts, ids(&whole["images"]), "{order}");
        let shapes = server.post_json("/v1/images/shapes", &json!({"order": order}));
        let listed: Vec<u64> =
            shapes["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        assert_eq!(listed, parts, "{order}");
    }
}

#[test]
fn an_upload_finds_itself_as_a_body_and_as_a_form() {
    let (folder, server) = served(&["animals"]);
    let name = "animals/two_dogs.jpg";
    let bytes = std::fs::read(folder.path().join(name)).unwrap();
    let id = id_of(&server, name);
    let jpeg = [("Content-Type", "image/jpeg")];
    let found = server.ask("POST", "/v1/search/upload?limit=3", &jpeg, &bytes).json();
    assert_eq!(ids(&found["hits"])[0], id);
    assert!(found["hits"][0]["score"].as_f64().unwrap() > 0.999);
    assert_eq!(found["hits"].as_array().unwrap().len(), 3);
    let request = json!({"limit": 2, "filter": {"must_not": [{"has_id": [id]}]}});
    let mut form =
        b"--cut\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n".to_vec();
    form.extend_from_slice(&bytes);
    let rest = "\r\n--cut\r\nContent-Disposition: form-data; name=\"request\"\r\n\r\n";
    form.extend_from_slice(format!("{rest}{request}\r\n--cut--\r\n").as_bytes());
    let kind = [("Content-Type", "multipart/form-data; boundary=cut")];
    let others = server.ask("POST", "/v1/search/upload", &kind, &form).json();
    assert_eq!(ids(&others["hits"]), ids(&found["hits"])[1..]);
    let part = "/v1/search/upload?region=100,100,200,200";
    let found = server.ask("POST", part, &jpeg, &bytes);
    assert_eq!(found.status, 200, "{}", found.text());
    assert!(found.json()["hits"][0]["object"]["class"].is_string());
    assert_eq!(
        server.ask("POST", "/v1/search/upload", &jpeg, b"no image").problem(),
        "unreadable-image"
    );
    let text = [("Content-Type", "text/plain")];
    assert_eq!(server.ask("POST", "/v1/search/upload", &text, &bytes).problem(), "no-image");
    let beside = "/v1/search/upload?region=100000,0,5,5";
    assert_eq!(server.ask("POST", beside, &jpeg, &bytes).status, 422);
}

#[test]
fn objects_regions_vectors_and_examples_are_queries() {
    let (folder, server) = served(&["animals", "flowers"]);
    let id = id_of(&server, "two_dogs.jpg");
    let detail = server.get_json(&format!("/v1/images/{id}"));
    let dog = &detail["objects"].as_array().unwrap()[0];
    assert_eq!(dog["number"], 1);
    assert!(["cat", "dog"].contains(&dog["class"].as_str().unwrap()), "{dog}");
    let of_object = json!({"query": {"image": id, "object": 1}, "limit": 3});
    let of_object = server.post_json("/v1/search", &of_object);
    assert!(of_object["hits"][0]["object"]["bounds"]["width"].as_f64().unwrap() > 1.0);
    // The same box, cut out again, is nearly the same vector.
    let region = json!({"query": {"image": id, "region": dog["bounds"]}, "limit": 3});
    let of_region = server.post_json("/v1/search", &region);
    assert_eq!(ids(&of_region["hits"])[0], ids(&of_object["hits"])[0]);
    let over = json!({"query": {"image": id, "region": dog["bounds"]}, "over": "images"});
    assert!(server.post_json("/v1/search", &over)["hits"][0]["object"].is_null());

    let line = run_list_embedding(folder.path(), server, id);
    let (server, vector) = line;
    let by_vector = server.post_json("/v1/search", &json!({"query": vector, "limit": 4}));
    assert_eq!(ids(&by_vector["hits"])[0], id);
    let by_image = server.post_json("/v1/search", &json!({"query": id, "limit": 3}));
    assert_eq!(ids(&by_vector["hits"])[1..], ids(&by_image["hits"]));

    let flower = id_of(&server, "dahlia.jpg");
    let both =
        json!({"query": {"recommend": {"positive": [id, flower], "negative": []}}, "limit": 50});
    let found = ids(&server.post_json("/v1/search", &both)["hits"]);
    assert!(!found.contains(&id) && !found.contains(&flower));
    let one = json!({"query": {"recommend": {"positive": [id]}}, "limit": 3});
    assert_eq!(ids(&server.post_json("/v1/search", &one)["hits"]), ids(&by_image["hits"]));
    let away =
        json!({"query": {"recommend": {"positive": [id], "negative": [flower]}}, "limit": 1});
    let away = server.post_json("/v1/search", &away);
    assert!(away["hits"][0]["path"].as_str().unwrap().starts_with("animals/"));

    for (query, status, kind) in [
        (json!({"image": 999_999}), 404, "unknown-image"),
        (json!({"image": id, "object": 99}), 404, "unknown-object"),
        (json!({"image": id, "object": 0}), 422, "invalid-request"),
        (json!([0.5, 0.5]), 422, "invalid-request"),
        (json!(vec![0.0; 1280]), 422, "invalid-request"),
        (json!({"recommend": {"positive": []}}), 422, "invalid-request"),
        (json!("cat"), 422, "invalid-request"),
    ] {
        let answer = server.post("/v1/search", &json!({"query": query}));
        assert_eq!((answer.status, answer.problem().as_str()), (status, kind), "{query}");
    }
}

/// The stored embedding of an image, by the command: the server has to let go of the database.
fn run_list_embedding(folder: &Path, server: Server, id: u64) -> (Server, Value) {
    assert_eq!(server.stop(), Some(0));
    let lines = run_json(folder, &["list", "--embeddings"]);
    let line = lines.iter().find(|line| line["id"] == id).unwrap();
    (Server::start(folder, &[]).ready(), line["embedding"].clone())
}

#[test]
fn filters_join_by_must_should_and_must_not() {
    let (_folder, server) = served(&["animals", "flowers", "tools"]);
    let all = ids(&server.get_json("/v1/images?limit=1000")["images"]);
    let scroll = |filter: Value| {
        ids(
            &server.post_json("/v1/images/scroll", &json!({"filter": filter, "limit": 1000}))["images"],
        )
    };
    let folder = |name: &str| json!({"key": "folder", "match": {"value": name}});
    let (animals, flowers) = (
        scroll(json!({"must": [folder("animals")]})),
        scroll(json!({"must": [folder("flowers")]})),
    );
    assert!(animals.len() > 5 && flowers.len() > 5 && animals.len() + flowers.len() < all.len());
    assert_eq!(scroll(json!({})), all);
    assert_eq!(scroll(json!({"must": [folder("animals"), folder("flowers")]})), [0; 0]);
    let mut either = [animals.clone(), flowers.clone()].concat();
    either.sort_unstable();
    assert_eq!(scroll(json!({"should": [folder("animals"), folder("flowers")]})), either);
    let any = json!({"must": [{"key": "folder", "match": {"any": ["animals", "flowers"]}}]});
    assert_eq!(scroll(any), either);
    let rest: Vec<u64> = all.iter().copied().filter(|id| !either.contains(id)).collect();
    assert_eq!(scroll(json!({"must_not": [folder("animals"), folder("flowers")]})), rest);
    let nested = json!({"must": [{"should": [folder("animals"), {"has_id": [rest[0]]}]}]});
    let mut expected = [animals.clone(), vec![rest[0]]].concat();
    expected.sort_unstable();
    assert_eq!(scroll(nested), expected);
    let dogs = scroll(json!({"must": [{"key": "object", "match": {"value": "dog"}}]}));
    assert!(dogs.contains(&id_of(&server, "two_dogs.jpg")) && dogs.len() < all.len(), "{dogs:?}");

    let search =
        json!({"query": animals[0], "limit": 1000, "filter": {"must": [folder("animals")]}});
    let mut found = ids(&server.post_json("/v1/search", &search)["hits"]);
    found.sort_unstable();
    assert_eq!(found, animals[1..]);
    for (filter, status) in [
        (json!({"must": [{"key": "class", "match": {"value": "no such thing"}}]}), 422),
        (json!({"must": [{"key": "object", "match": {"value": "dragon"}}]}), 422),
        (json!({"must": [{"key": "captured_at", "range": {"gte": "yesterday"}}]}), 422),
        (json!({"must": [{"key": "colour", "match": {"value": "red"}}]}), 422),
        (json!({"musst": []}), 422),
        (json!({"must": vec![json!({"has_id": [1]}); 65]}), 422),
    ] {
        let answer = server.post("/v1/images/scroll", &json!({"filter": filter}));
        assert_eq!((answer.status, answer.problem().is_empty()), (status, false), "{filter}");
    }
}

#[test]
fn thumbnails_are_made_while_indexing_and_again_when_they_are_gone() {
    let folder = indexed(&["animals"]);
    let thumbs = folder.path().join(".lookalike/thumbs");
    let count = |folder: &Path| {
        let parts = std::fs::read_dir(folder).map(|parts| parts.flatten().collect::<Vec<_>>());
        let files = parts
            .unwrap_or_default()
            .into_iter()
            .map(|part| part.path().read_dir().unwrap().count());
        files.sum::<usize>()
    };
    assert_eq!(count(&thumbs), photos().join("animals").read_dir().unwrap().count());
    let server = Server::start(folder.path(), &[]).ready();
    let made = server.get("/v1/images/1/thumbnail");
    assert_eq!((made.status, made.header("content-type")), (200, Some("image/jpeg")));
    let small = image::load_from_memory(&made.body).unwrap();
    assert_eq!(small.width().max(small.height()), 256);
    let tag = made.header("etag").unwrap();
    let again = server.ask("GET", "/v1/images/1/thumbnail", &[("If-None-Match", tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    std::fs::remove_dir_all(&thumbs).unwrap();
    let remade = server.get("/v1/images/1/thumbnail");
    assert_eq!((remade.status, count(&thumbs)), (200, 1));
    let preview = server.get("/v1/images/1/preview?side=100");
    let preview = image::load_from_memory(&preview.body).unwrap();
    assert_eq!(preview.width().max(preview.height()), 100);
    assert_eq!(server.get("/v1/images/1/preview?side=5000").status, 422);
    assert_eq!(server.get("/v1/images/999/thumbnail").problem(), "unknown-image");
    let heat = server.get("/v1/images/1/heat?with=2");
    assert_eq!((heat.status, heat.header("content-type")), (200, Some("image/jpeg")));

    assert_eq!(server.stop(), Some(0));
    std::fs::remove_file(folder.path().join("animals/canyon_wren.jpg")).unwrap();
    run_ok(folder.path(), &["index"]);
    let gone = common::run(folder.path(), &["gc", "--apply"]);
    assert_eq!(gone.status.code(), Some(0));
    assert!(!run_ok(folder.path(), &["list"]).contains("canyon_wren"));
}

#[test]
fn a_file_comes_as_it_is_and_in_parts_and_not_when_another_lies_in_its_place() {
    let (folder, server) = served(&["animals"]);
    let path = folder.path().join("animals/two_dogs.jpg");
    let bytes = std::fs::read(&path).unwrap();
    let file = format!("/v1/images/{}/file", id_of(&server, "two_dogs.jpg"));
    let whole = server.get(&file);
    assert_eq!((whole.status, &whole.body), (200, &bytes));
    assert_eq!(whole.header("content-type"), Some("image/jpeg"));
    assert_eq!(whole.header("content-security-policy"), Some("default-src 'none'; sandbox"));
    let part = server.ask("GET", &file, &[("Range", "bytes=10-19")], b"");
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[10..20]));
    let after = format!("bytes={}-", bytes.len());
    assert_eq!(server.ask("GET", &file, &[("Range", &after)], b"").status, 416);
    // Of the same length, but no image: a secret that came into its place.
    std::fs::write(&path, vec![b's'; bytes.len()]).unwrap();
    assert_eq!(server.get(&file).problem(), "no-file");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.get(&file).problem(), "no-file");
}

#[test]
fn a_folder_without_a_database_is_indexed_while_it_is_served() {
    let folder = folder_with(&["animals"]);
    let server = Server::start(folder.path(), &[]);
    let events = server.ask("GET", "/v1/jobs/1/events", &[], b"");
    if events.status == 404 {
        // It begins when the server is warm.
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let events = server.ask("GET", "/v1/jobs/1/events", &[], b"");
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let text = events.text();
    let last = text.trim_end().rsplit("data: ").next().unwrap();
    let job: Value = serde_json::from_str(last).unwrap();
    let count = photos().join("animals").read_dir().unwrap().count();
    assert_eq!((&job["state"], &job["changes"]["added"]), (&json!("done"), &json!(count)));
    copy_folder(&photos().join("tools"), &folder.path().join("tools"));
    let begun = server.post("/v1/jobs", &json!({"kind": "index"}));
    assert_eq!(begun.status, 202);
    let id = begun.json()["id"].as_u64().unwrap();
    server.ask("GET", &format!("/v1/jobs/{id}/events"), &[], b"");
    let job = server.get_json(&format!("/v1/jobs/{id}"));
    let more = photos().join("tools").read_dir().unwrap().count();
    assert_eq!(job["changes"]["added"], more);
    assert_eq!(server.get_json("/v1/stats")["images"], count + more);
    assert_eq!(server.get("/v1/jobs/77").problem(), "not-found");
    assert_eq!(server.stop(), Some(0));
    run_ok(folder.path(), &["verify"]);
}

#[test]
fn a_server_stops_in_order_while_a_client_listens() {
    let (folder, server) = served(&["tools"]);
    // A connection that is kept, and one that never says anything.
    let mut kept = server.connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    kept.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    kept.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let _silent = server.connect();
    let begin = std::time::Instant::now();
    assert_eq!(server.stop(), Some(0));
    assert!(begin.elapsed().as_secs() < 8, "{:?}", begin.elapsed());
    run_ok(folder.path(), &["verify"]);
}

#[test]
fn what_the_server_counts_is_shown() {
    let (_folder, server) = served(&["tools"]);
    server.get("/v1/images/1/thumbnail");
    server.get("/nowhere/1");
    server.get("/nowhere/2");
    let metrics = server.get("/metrics");
    let text = metrics.text();
    let has = |line: &str| assert!(text.contains(line), "{line} is not in\n{text}");
    has(
        "lookalike_http_answers_total{method=\"GET\",route=\"/v1/images/{id}/thumbnail\",status=\"200\"} 1",
    );
    has("lookalike_http_answers_total{method=\"GET\",route=\"unmatched\",status=\"404\"} 2");
    has("lookalike_http_answer_seconds_bucket");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
}

#[test]
fn the_gallery_is_whole_and_runs_no_script_of_its_pages() {
    let (_folder, server) = served(&["tools"]);
    for page in ["/", "/docs", "/login"] {
        let answer = server.get(page);
        let text = answer.text();
        assert_eq!(answer.status, 200, "{page}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!text.contains(" style=") && !text.contains(" onclick="), "{page}");
        for script in text.split("<script").skip(1) {
            assert!(script.split('>').nth(1).unwrap().starts_with("</script"), "{page}");
        }
        for quoted in text.split('"').filter(|quoted| quoted.starts_with("/assets/")) {
            let asset = server.get(quoted);
            assert_eq!(asset.status, 200, "{quoted}");
            for import in asset.text().split("from \"./").skip(1) {
                let name = import.split('"').next().unwrap();
                assert_eq!(server.get(&format!("/assets/{name}")).status, 200, "{name}");
            }
        }
    }
    let asset = server.get("/assets/style.css");
    let tag = asset.header("etag").unwrap();
    assert_eq!(server.ask("GET", "/assets/style.css", &[("If-None-Match", tag)], b"").status, 304);
}

#[test]
fn the_description_names_every_route_and_its_problems() {
    let (_folder, server) = served(&["tools"]);
    let api = server.get_json("/openapi.json");
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = api["paths"].as_object().unwrap();
    assert!(paths.len() >= 20, "{}", paths.len());
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path}");
        }
    }
    assert_eq!(server.ask("PUT", "/v1/search", &[], b"").problem(), "wrong-method");
    assert_eq!(server.get("/v2").problem(), "not-found");
}

/// A reader that takes nothing, and many that say nothing, do not keep others waiting.
#[test]
fn idle_and_slow_clients_hold_up_nobody() {
    let (_folder, server) = served(&["animals"]);
    let mut slow: Vec<_> = (0..40).map(|_| server.connect()).collect();
    for stream in &mut slow {
        let request = format!("GET /v1/images/1/file HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
        stream.write_all(request.as_bytes()).unwrap();
    }
    let idle: Vec<_> = (0..200).map(|_| server.connect()).collect();
    let begin = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/v1/images/2/thumbnail").status, 200);
        server.post_json("/v1/search", &json!({"query": 2}));
    }
    assert!(begin.elapsed().as_secs_f64() < 5.0, "{:?}", begin.elapsed());
    drop(idle);
    for stream in &mut slow {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
}
