//! The vector graph of a database: when it is built, where it lies, whether it fits.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Database;
use crate::error::Error;
use crate::index::{
    BuildPhase, GraphIndex, GraphParameters, IndexError, SnapshotError, VectorIndex, VectorSet,
    build_graph, load_graph, save_graph,
};

/// From this many distinct vectors on, a graph is built without being asked for.
///
/// Below it, an exact scan answers a single query in less time than a person
/// notices, and a graph would cost minutes to build.
pub const GRAPH_FROM: usize = 100_000;

/// When to build the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphPolicy {
    /// From [`GRAPH_FROM`] vectors on, or if there was one.
    Auto,
    /// Now, if the one that there is does not fit.
    Always,
    /// Not at all; an existing one is deleted.
    Never,
}

/// What there is of a graph.
pub(super) enum GraphState {
    /// No file.
    Absent,
    /// A graph over exactly the stored vectors.
    Ready(GraphIndex),
    /// A file that cannot be used.
    Unusable(SnapshotError),
}

impl GraphState {
    pub(super) fn load(path: &Path, vectors: &Arc<VectorSet>) -> Self {
        if !path.exists() {
            return Self::Absent;
        }
        match load_graph(path, Arc::clone(vectors)) {
            Ok(graph) => Self::Ready(graph),
            Err(error) => {
                tracing::warn!(%error, ?path, "the vector graph is not used");
                Self::Unusable(error)
            }
        }
    }

    /// Whether a new graph is due under [`GraphPolicy::Auto`].
    fn is_due(&self, vectors: usize) -> bool {
        match self {
            Self::Ready(_) => false,
            Self::Absent => vectors >= GRAPH_FROM,
            Self::Unusable(_) => true,
        }
    }
}

/// A graph that was built.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphReport {
    /// Vectors in it.
    pub vectors: usize,
    /// Candidates that a walk keeps.
    pub ef: usize,
    /// Share of the ten nearest that were found on held-out queries.
    pub recall_at_10: f64,
    /// Vectors that walks do not reach; every search scans them too.
    pub unreachable: usize,
}

impl fmt::Display for GraphReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "graph over {} vectors built, recall@10 {:.4} at ef {}, {} scanned exactly",
            self.vectors, self.recall_at_10, self.ef, self.unreachable
        )
    }
}

impl Database {
    /// Builds the vector graph if the policy asks for it; `None` when there was nothing to do.
    ///
    /// A missing, damaged or outdated graph never makes a search wrong: it scans
    /// exactly until a graph fits. `on_progress` hears phase, vectors done and
    /// vectors in all.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when the file cannot be written. A cancelled build is
    /// no error.
    pub fn update_graph(
        &self,
        policy: GraphPolicy,
        cancelled: &dyn Fn() -> bool,
        on_progress: &dyn Fn(&str, usize, usize),
    ) -> Result<Option<GraphReport>, Error> {
        let path = self.graph_path();
        if policy == GraphPolicy::Never {
            self.forget_loaded();
            remove_if_there(&path)?;
            return Ok(None);
        }
        // Most databases are small: they need not be loaded to know that.
        let embeddings = self.store.manifest().counts.embeddings;
        if policy == GraphPolicy::Auto && embeddings < GRAPH_FROM as u64 && !path.exists() {
            return Ok(None);
        }
        let loaded = self.loaded()?;
        let vectors = loaded.corpus.vectors();
        let fits = matches!(loaded.graph, GraphState::Ready(_)) || vectors.is_empty();
        if fits || (policy == GraphPolicy::Auto && !loaded.graph.is_due(vectors.len())) {
            return Ok(None);
        }
        let progress = |progress: crate::index::BuildProgress| {
            let phase = match progress.phase {
                BuildPhase::Insert => "linking",
                BuildPhase::Audit => "checking",
            };
            on_progress(phase, progress.done, progress.total);
            if cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let graph = match build_graph(Arc::clone(vectors), GraphParameters::default(), &progress) {
            Ok(graph) => graph,
            Err(IndexError::Stopped { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| Error::File { path: folder.to_owned(), source })?;
        }
        save_graph(&graph, &path).map_err(Error::Snapshot)?;
        self.forget_loaded();
        Ok(Some(GraphReport {
            vectors: graph.len(),
            ef: graph.ef(),
            recall_at_10: graph.recall().recall(),
            unreachable: graph.unreachable().len(),
        }))
    }

    pub(super) fn graph_path(&self) -> PathBuf {
        self.directory().join("index").join(&self.encoder.space().name).join("graph")
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
