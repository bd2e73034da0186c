//! The examples of `docs/api.md`, run as they stand there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::Path;
use std::process::Command;

use common::http::Server;
use common::{folder_with, run_ok};
use serde_json::Value;

/// A block of the page: its language, and what stands in it.
fn blocks(text: &str) -> Vec<(String, String)> {
    let parts = text.split("\n```").skip(1).step_by(2);
    let block =
        |part: &str| part.split_once('\n').map(|(name, body)| (name.to_owned(), body.to_owned()));
    parts.filter_map(block).collect()
}

fn has(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Checks that an answer has all that the page shows, of the same kinds.
fn agrees(shown: &Value, found: &Value, place: &str) {
    match (shown, found) {
        (Value::Object(shown), Value::Object(found)) => {
            for (name, shown) in shown {
                let found = found.get(name).unwrap_or_else(|| panic!("{place} has no {name}"));
                agrees(shown, found, &format!("{place}.{name}"));
            }
        }
        (Value::Array(shown), Value::Array(found)) => {
            for (shown, found) in shown.iter().zip(found) {
                agrees(shown, found, place);
            }
            assert!(shown.is_empty() || !found.is_empty(), "{place} is empty");
        }
        _ => {
            let kind = |value: &Value| (value.is_number(), value.is_string(), value.is_boolean());
            assert_eq!(kind(shown), kind(found), "{place}: {shown} is shown, {found} was found");
        }
    }
}

struct Runner<'a> {
    folder: &'a Path,
    url: String,
}

impl Runner<'_> {
    fn run(&self, program: &str, text: &str) -> String {
        let mut command = Command::new(program);
        let arguments: &[&str] =
            if program == "bash" { &["-euo", "pipefail", "-c"] } else { &["-c"] };
        command.args(arguments).arg(text).current_dir(self.folder).env("URL", &self.url);
        let output = command.env_remove("LOOKALIKE_API_KEY").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "{text}\n{said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_examples_of_the_page_do_what_it_says() {
    // `--json` came with 7.82.
    let (has_curl, has_requests) =
        (has("curl", &["--json", "", "--version"]), has("python3", &["-c", "import requests"]));
    if !has_curl {
        println!("skipped: there is no curl of 7.82 or newer");
        return;
    }
    let folder = folder_with(&["animals", "flowers"]);
    run_ok(folder.path(), &["index", "."]);
    let server = Server::start(folder.path(), &[]).ready();
    let runner = Runner { folder: folder.path(), url: format!("http://{}", server.address) };
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md");
    let mut answer = String::new();
    let mut ran = 0;
    for (kind, text) in blocks(&std::fs::read_to_string(page).unwrap()) {
        match kind.as_str() {
            "sh" => answer = runner.run("bash", &text),
            "python" if has_requests => drop(runner.run("python3", &text)),
            "python" => println!("skipped: python3 has no requests"),
            "json" => agrees(
                &serde_json::from_str(&text).unwrap(),
                &serde_json::from_str(&answer).unwrap(),
                "answer",
            ),
            _ => continue,
        }
        ran += 1;
    }
    assert!(ran >= 15, "{ran} examples");
}
