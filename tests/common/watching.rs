//! A running `watch`, and waiting for what it does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{json_lines, lookalike};

/// Far longer than anything takes on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until something holds; `what` names it when it never does.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
pub struct Watch {
    pub child: Child,
    pub said: Arc<Mutex<String>>,
}

impl Watch {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
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

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// The batches so far.
    pub fn reports(&self) -> Vec<Value> {
        let said = self.said();
        let lines: String = said
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| format!("{line}\n"))
            .collect();
        json_lines(&lines)
    }

    pub fn stop(mut self) {
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
