//! `lookalike serve` against those who mean it ill: right status, process alive, nothing leaked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::http::{Answer, Server};
use common::{ColourGrid, Random, folder_with, lookalike, run_ok};
use lookalike::server::{Limits, ServerOptions, serve};
use lookalike::{Database, IndexOptions};
use serde_json::json;

const KEY: &str = "a key of more than sixteen letters";

fn indexed() -> tempfile::TempDir {
    let folder = folder_with(&["tools"]);
    run_ok(folder.path(), &["index", ".", "--no-detect"]);
    folder
}

/// What must be in no answer: where things lie on this machine.
fn leaks(folder: &Path, answer: &Answer) -> bool {
    let text = answer.text();
    text.contains(&*folder.to_string_lossy()) || text.contains("root:") || text.contains("panicked")
}

#[test]
fn no_path_leads_out_of_the_gallery() {
    let folder = indexed();
    let server = Server::start(folder.path(), &[]);
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/....//....//etc/passwd",
        "/assets//etc/passwd",
        "/assets/C:%5Cboot.ini",
        "/assets/style.css%00.html",
        "/v1/images/..%2f..%2fetc%2fpasswd/file",
        "/v1/images/1%2f..%2f..%2f..%2fetc%2fpasswd/file",
        "/v1/images/-1/file",
        "/v1/images/18446744073709551616/file",
        "/v1/images/1/file/../../../../../etc/passwd",
        "/.lookalike/MANIFEST.json",
    ] {
        let answer = server.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!leaks(folder.path(), &answer), "{path}: {}", answer.text());
    }
    let folder_filter =
        json!({"filter": {"must": [{"key": "folder", "match": {"value": "/etc"}}]}});
    assert_eq!(server.post_json("/v1/images/scroll", &folder_filter)["images"], json!([]));
}

#[test]
fn other_hosts_and_pages_of_other_sites_are_refused() {
    let folder = indexed();
    let server = Server::start(folder.path(), &["--host", "photos.home"]);
    let ask = |headers: &[(&str, &str)]| server.ask("GET", "/v1/stats", headers, b"");
    let own = server.address.to_string();
    let local = format!("localhost:{}", server.address.port());
    for host in [own.as_str(), &local, "photos.home"] {
        assert_eq!(ask(&[("Host", host)]).status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:7878",
        "localhost",
        "192.168.1.2",
        "photos.home.evil.example",
    ] {
        let answer = ask(&[("Host", host)]);
        assert_eq!((answer.status, answer.problem().as_str()), (421, "wrong-host"), "{host}");
    }
    assert_eq!(ask(&[("Host", &own), ("Host", "evil.example")]).status, 400);
    let mut stream = server.connect();
    stream.write_all(b"GET /v1/stats HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut stream).problem(), "no-host");

    let label = json!({"label": "stolen", "images": [1]}).to_string();
    let post = |headers: &[(&str, &str)]| {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        server.ask("POST", "/v1/labels", &all, label.as_bytes()).status
    };
    let own_origin = format!("http://{own}");
    assert_eq!(post(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(post(&[("Origin", "null")]), 403);
    assert_eq!(post(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(post(&[("Sec-Fetch-Site", "same-site"), ("Origin", &own_origin)]), 403);
    // What a form of another page can send without asking.
    let plain = [("Content-Type", "text/plain"), ("Host", own.as_str())];
    assert_eq!(server.ask("POST", "/v1/labels", &plain, label.as_bytes()).status, 415);
    assert_eq!(server.get_json("/v1/labels")["labels"], json!([]));
    assert_eq!(post(&[("Origin", &own_origin), ("Sec-Fetch-Site", "same-origin")]), 200);
    let picture = server.ask(
        "GET",
        "/v1/images/1/file",
        &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")],
        b"",
    );
    assert_eq!(picture.problem(), "cross-site");
    let allowed = server.get("/v1/stats");
    assert_eq!(allowed.header("access-control-allow-origin"), None);
    assert_eq!(allowed.header("cross-origin-resource-policy"), Some("same-origin"));
}

#[test]
fn an_address_that_others_reach_demands_a_key() {
    let folder = indexed();
    let open = |key: &str| {
        let mut command = lookalike(folder.path());
        command.args(["serve", ".", "--addr", "0.0.0.0:0"]).env("LOOKALIKE_API_KEY", key);
        command.output().unwrap()
    };
    for key in ["", "short"] {
        let refused = open(key);
        assert_eq!(refused.status.code(), Some(2));
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains("LOOKALIKE_API_KEY") && text.contains("other machines"), "{text}");
    }
}

#[test]
fn without_the_key_nothing_is_told() {
    let folder = indexed();
    let server = Server::start_with(folder.path(), &[], Some(KEY));
    assert_eq!(server.get("/v1/stats").status, 200);
    assert_eq!(
        server.ask("GET", "/v1/stats", &[("Authorization", ""), ("api-key", KEY)], b"").status,
        200
    );
    for wrong in
        ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", KEY, &format!("Bearer {KEY}x")]
    {
        for path in
            ["/v1/stats", "/v1/images/1/file", "/metrics", "/openapi.json", "/docs", "/nowhere"]
        {
            let answer = server.ask("GET", path, &[("Authorization", wrong)], b"");
            assert_eq!(
                (answer.status, answer.problem().as_str()),
                (401, "no-key"),
                "{path} {wrong:?}"
            );
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let none = [("Authorization", "")];
    assert_eq!(server.ask("GET", "/healthz", &none, b"").status, 200);
    let page = server.ask("GET", "/", &none, b"");
    assert_eq!((page.status, page.header("location")), (303, Some("/login")));
    let log_in = |key: &str| {
        let json = [("Authorization", ""), ("Content-Type", "application/json")];
        server.ask("POST", "/v1/session", &json, json!({"key": key}).to_string().as_bytes())
    };
    assert_eq!(log_in("wrong").problem(), "no-key");
    let answer = log_in(KEY);
    assert_eq!(answer.status, 204);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(KEY)
    );
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(
        server.ask("GET", "/v1/stats", &[("Authorization", ""), ("Cookie", cookie)], b"").status,
        200
    );
    let other = cookie.replace(|letter: char| letter.is_ascii_digit(), "0");
    assert_eq!(
        server.ask("GET", "/v1/stats", &[("Authorization", ""), ("Cookie", &other)], b"").status,
        401
    );
}

#[test]
fn bodies_have_an_end() {
    let folder = indexed();
    let server = Server::start(folder.path(), &[]);
    let large = vec![b' '; 3 << 20];
    let json = [("Content-Type", "application/json")];
    assert_eq!(server.ask("POST", "/v1/search", &json, &large).problem(), "too-large");
    // A number of bytes that is said and never comes.
    let claimed = [("Content-Type", "application/json"), ("Content-Length", "999999999999")];
    assert_eq!(server.ask("POST", "/v1/search", &claimed, b"{}").status, 413);
    for kind in ["image/jpeg", "multipart/form-data; boundary=cut"] {
        let mut stream = server.connect();
        let head = format!(
            "POST /v1/search/upload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let field = b"--cut\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n";
        stream.write_all(format!("{:x}\r\n", field.len()).as_bytes()).unwrap();
        stream.write_all(field).unwrap();
        stream.write_all(b"\r\n").unwrap();
        let piece = vec![b'a'; 1 << 20];
        let mut sent = 0;
        // 200 MiB would be sent; the server answers after 64 and closes.
        for _ in 0..200 {
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
            if stream.write_all(&chunk).is_err() {
                break;
            }
            sent += 1;
        }
        assert!((64..200).contains(&sent), "{kind}: {sent} MiB");
        let answer = Answer::read(&mut stream);
        // The reset of the connection can overtake the answer.
        assert!([0, 413].contains(&answer.status), "{kind}: {}", answer.text());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(server.ask("POST", "/v1/search", &json, deep.as_bytes()).status, 400);
    let nested =
        format!("{}{}", "{\"filter\":{\"must\":[".to_owned() + &"{\"must\":[".repeat(5000), "1");
    assert_eq!(server.ask("POST", "/v1/images/scroll", &json, nested.as_bytes()).status / 100, 4);
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn a_bomb_is_told_by_its_header() {
    let folder = indexed();
    let server = Server::start(folder.path(), &[]);
    let png = |width: u32, height: u32| {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = Vec::new();
        header.extend_from_slice(&width.to_be_bytes());
        header.extend_from_slice(&height.to_be_bytes());
        header.extend_from_slice(&[8, 2, 0, 0, 0]);
        for (name, content) in [(b"IHDR", header.as_slice()), (b"IDAT", b"x"), (b"IEND", b"")] {
            bytes.extend_from_slice(&(content.len() as u32).to_be_bytes());
            let chunk = [name, content].concat();
            bytes.extend_from_slice(&chunk);
            bytes.extend_from_slice(&crc32fast::hash(&chunk).to_be_bytes());
        }
        bytes
    };
    for (width, height) in [(60_000, 60_000), (1, 2_000_000_000), (10_001, 10_000)] {
        let begin = Instant::now();
        let kind = [("Content-Type", "image/png")];
        let answer = server.ask("POST", "/v1/search/upload", &kind, &png(width, height));
        assert_eq!((answer.status, answer.problem().as_str()), (422, "unreadable-image"));
        assert!(answer.text().contains("pixels"), "{}", answer.text());
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}

/// Ten thousand requests that are none, or nearly one.
#[test]
fn malformed_requests_do_no_harm() {
    let folder = indexed();
    let mut server = Server::start(folder.path(), &[]).ready();
    let seed = 20_261_128;
    println!("seed {seed}");
    let mut random = Random(seed);
    let samples = [
        format!(
            "GET /v1/images/1 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.address
        ),
        format!(
            "GET /v1/images?limit=3&order=newest HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            server.address
        ),
        format!(
            "POST /v1/search HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: 56\r\n\r\n{{\"query\":1,\"limit\":3,\"filter\":{{\"must\":[{{\"has_id\":[2]}}]}}}}",
            server.address
        ),
        format!(
            "POST /v1/labels HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: 27\r\n\r\n{{\"label\":\"a\",\"images\":[999]}}",
            server.address
        ),
    ];
    let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
    for number in 0..10_000u64 {
        let mut bytes = samples[(number % samples.len() as u64) as usize].clone().into_bytes();
        // Some in between are whole, and must be answered as ever.
        let changes = if number % 50 == 0 { 0 } else { 1 + random.below(3) };
        for _ in 0..changes {
            let at = random.below(bytes.len().max(1) as u64) as usize;
            if at >= bytes.len() {
                break;
            }
            match random.below(8) {
                0..=3 => bytes[at] = random.below(256) as u8,
                4 => drop(bytes.remove(at)),
                5 | 6 => bytes.insert(at, b"\r\n{}[]\"%/\0:,"[random.below(12) as usize]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let mut stream = server.connect();
        let _ = stream.write_all(&bytes);
        if changes > 0 {
            // It may have promised a body that does not come.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let answer = Answer::read(&mut stream);
        assert!(answer.status < 500, "{}: {}", String::from_utf8_lossy(&bytes), answer.text());
        assert!(!leaks(folder.path(), &answer), "{}", answer.text());
        *statuses.entry(answer.status).or_default() += 1;
    }
    println!("{statuses:?}");
    assert!(statuses[&400] > 1000 && statuses[&200] >= 200, "{statuses:?}");
    assert!(server.child.try_wait().unwrap().is_none());
    assert_eq!(server.get("/healthz").status, 200);
    let found = server.post_json("/v1/search", &json!({"query": 1}));
    assert!(found["hits"][0]["id"].is_u64());
}

/// What trickles in, and what never comes, is given up; meanwhile others are served.
#[test]
fn slow_heads_and_slow_bodies_are_given_up() {
    let folder = folder_with(&["tools"]);
    let database = Database::create(&folder.path().join(".lookalike"), ColourGrid::new()).unwrap();
    let folders = [folder.path().canonicalize().unwrap()];
    database.index(&folders, &IndexOptions::default(), Default::default()).unwrap();
    let options = ServerOptions {
        address: "127.0.0.1:0".parse().unwrap(),
        api_key: None,
        host_names: Vec::new(),
        limits: Limits { transfer: Duration::from_millis(400), ..Limits::default() },
        index: IndexOptions::default(),
        folder: folder.path().to_owned(),
        index_now: false,
        on_failure: Arc::new(|_| ()),
    };
    let (send, receive) = std::sync::mpsc::channel();
    // It ends with the process of the tests.
    std::thread::spawn(move || {
        serve(database, options, move |address| send.send(address).unwrap())
    });
    let address = receive.recv().unwrap();
    let connect = |text: &str| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let host = format!("Host: {address}\r\n");
    let json = "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let image = "Content-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\na";
    let mut silent = connect("");
    let mut head = connect(&format!("GET /healthz HTTP/1.1\r\n{host}X-"));
    let mut body = connect(&format!("POST /v1/search HTTP/1.1\r\n{host}{json}"));
    let mut upload = connect(&format!("POST /v1/search/upload HTTP/1.1\r\n{host}{image}"));
    let mut other = connect(&format!("GET /healthz HTTP/1.1\r\n{host}Connection: close\r\n\r\n"));
    assert_eq!(Answer::read(&mut other).status, 200);
    let begin = Instant::now();
    for stream in [&mut body, &mut upload] {
        let mut bytes = [0; 2000];
        let length = stream.read(&mut bytes).unwrap();
        assert_eq!(Answer::parse(&bytes[..length]).problem(), "slow-body");
    }
    for stream in [&mut silent, &mut head] {
        let status = Answer::read(stream).status;
        assert!([0, 408].contains(&status), "{status}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}
