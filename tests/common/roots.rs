//! Folders that come and go: a database beside two roots, and volumes that are mounted.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{folder_with, run, run_json};

/// A folder with a database beside two roots.
pub struct TwoRoots {
    pub outer: tempfile::TempDir,
    pub tools: PathBuf,
}

impl TwoRoots {
    pub fn new() -> Self {
        let outer = folder_with(&["tools", "fish"]);
        let tools = outer.path().join("tools");
        let both = Self { outer, tools };
        assert_eq!(both.json(&["index", "tools", "fish"])[0]["added"], 4);
        both
    }

    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        run(self.outer.path(), &[arguments, &["--db", "db"]].concat())
    }

    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        run_json(self.outer.path(), &[arguments, &["--db", "db"]].concat())
    }

    pub fn unplug(&self) {
        std::fs::rename(&self.tools, self.outer.path().join("away")).unwrap();
    }

    pub fn plug(&self) {
        std::fs::rename(self.outer.path().join("away"), &self.tools).unwrap();
    }
}

/// A file system in memory that is mounted at a folder.
#[cfg(target_os = "linux")]
pub struct Mounted<'a>(&'a Path);

#[cfg(target_os = "linux")]
impl<'a> Mounted<'a> {
    /// Mounts, if the tester may.
    pub fn at(folder: &'a Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(folder);
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let status = std::process::Command::new("umount").arg(self.0).status();
        assert!(
            std::thread::panicking() || status.unwrap().success(),
            "{:?} stays mounted",
            self.0
        );
    }
}
