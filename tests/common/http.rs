//! A server of the real program, and a client that can also misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{folder_with, lookalike, run_ok};

/// A folder of photos with a database.
pub fn indexed(groups: &[&str]) -> TempDir {
    let folder = folder_with(groups);
    run_ok(folder.path(), &["index", "."]);
    folder
}

/// The same, served and ready.
pub fn served(groups: &[&str]) -> (TempDir, Server) {
    let folder = indexed(groups);
    let server = Server::start(folder.path(), &[]).ready();
    (folder, server)
}

/// The numbers of a list of images.
pub fn ids(list: &Value) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|image| image["id"].as_u64().unwrap()).collect()
}

/// The number of an image by the end of its path.
pub fn id_of(server: &Server, name: &str) -> u64 {
    let page = server.get_json("/v1/images?limit=1000");
    let images = page["images"].as_array().unwrap();
    let image = images.iter().find(|image| image["path"].as_str().unwrap().ends_with(name));
    image.unwrap_or_else(|| panic!("{name} is not listed"))["id"].as_u64().unwrap()
}

/// `lookalike serve`, stopped when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
    pub key: Option<String>,
}

impl Server {
    /// Serves a folder on a free port.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, None)
    }

    /// Serves a folder to those who have a key.
    pub fn start_with(folder: &Path, arguments: &[&str], key: Option<&str>) -> Self {
        let mut command = lookalike(folder);
        command.args(["serve", ".", "--addr", "127.0.0.1:0"]).args(arguments);
        command.env_remove("LOOKALIKE_API_KEY");
        if let Some(key) = key {
            command.env("LOOKALIKE_API_KEY", key);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "the server ended before it served");
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap().parse().unwrap();
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::stderr()));
        Self { child, address, key: key.map(str::to_owned) }
    }

    /// Waits until searches are quick.
    pub fn ready(self) -> Self {
        for _ in 0..600 {
            if self.get("/readyz").status == 200 {
                return self;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not get ready");
    }

    /// Opens a connection.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Gets JSON, which must be there.
    pub fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Posts JSON, which must be accepted.
    pub fn post_json(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert!(answer.status / 100 == 2, "{path} {body}: {}", answer.text());
        answer.json()
    }

    /// Sends a proper request, with further or other headers.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        let has = |name: &str| headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !has("host") {
            head += &format!("Host: {}\r\n", self.address);
        }
        if let Some(key) = self.key.as_ref().filter(|_| !has("authorization")) {
            head += &format!("Authorization: Bearer {key}\r\n");
        }
        if !has("content-length")
            && !has("transfer-encoding")
            && (method != "GET" || !body.is_empty())
        {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = self.connect();
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses a body need not read it.
        let _ = stream.write_all(body);
        Answer::read(&mut stream)
    }

    /// Asks it to stop, as a system does, and gives its exit status.
    #[cfg(unix)]
    pub fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// 0 when the connection was closed without an answer.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads until the connection is closed, or reset after an answer.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        Self::parse(&bytes)
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let rest = bytes.get(end + 4..).unwrap_or_default();
        let is_chunked =
            headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if is_chunked { joined(rest) } else { rest.to_vec() };
        Self { status, headers, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The name of a problem, which the answer must be.
    pub fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{}",
            self.text()
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem["type"].as_str().unwrap().strip_prefix("urn:lookalike:").unwrap().to_owned()
    }
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|part| part == b"\r\n") {
        let length = std::str::from_utf8(&chunks[..end])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok());
        let Some(chunk) = length.and_then(|length| chunks.get(end + 2..end + 2 + length)) else {
            break;
        };
        body.extend_from_slice(chunk);
        chunks = chunks.get(end + 4 + chunk.len()..).unwrap_or_default();
    }
    body
}
