//! What is kept of results that take a while: in files beside the graph, which may be deleted.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Database;

impl Database {
    /// Reads what was kept for the space of this network; `None` where there is nothing of use.
    pub(super) fn derived<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.derived_path(name)).ok()?).ok()
    }

    /// Keeps a result. A full disk is no reason to fail: it is found out again.
    pub(super) fn keep_derived(&self, name: &str, value: &impl Serialize) {
        let path = self.derived_path(name);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            std::fs::write(&path, serde_json::to_vec(value)?)
        };
        if let Err(error) = write() {
            tracing::warn!(?path, %error, "a result was not kept");
        }
    }

    fn derived_path(&self, name: &str) -> PathBuf {
        self.directory().join("index").join(self.space.0.to_string()).join(name)
    }
}
