//! The vector graph of a database: when it is built, where it lies, whether it fits.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Database;
use crate::error::Error;
use crate::index::{
    BuildPhase, GraphFile, GraphParameters, IndexError, Members, PatchedGraph, SnapshotError,
    VectorIndex, build_graph, load_graph, save_graph,
};
use crate::query::Corpus;
use crate::record::{ImageId, Space};

/// From this many distinct vectors on, a graph is built without being asked for.
///
/// Below it, a process that was just started reads all embeddings and scans them exactly in less
/// than 0.2 s; above, reading what a graph finds takes 3 ms. Building one takes about 0.2 s for
/// each thousand vectors (1280 components, two cores), a hundredth of what embedding them took.
pub const GRAPH_FROM: usize = 10_000;

/// When to build the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphPolicy {
    /// From [`GRAPH_FROM`] vectors on, and again when the one that there is has worn out.
    Auto,
    /// Now, if images came or went since the one that there is.
    Always,
    /// Not at all; an existing one is deleted.
    Never,
}

/// What there is of a graph.
pub(super) enum GraphState {
    /// No file.
    Absent,
    /// A graph over the stored vectors, up to what came and went since.
    Ready(Box<PatchedGraph>),
    /// A file that cannot be used.
    Unusable(SnapshotError),
}

impl GraphState {
    pub(super) fn load(path: &Path, corpus: &Corpus) -> Self {
        let node_of = |key| corpus.row(ImageId(key)).map(|row| row.node);
        match Self::read(path, corpus.space()) {
            Ok(None) => Self::Absent,
            Ok(Some(file)) => {
                let vectors = Arc::clone(corpus.vectors());
                Self::Ready(Box::new(PatchedGraph::new(file, vectors, node_of)))
            }
            Err(error) => {
                tracing::warn!(%error, ?path, "the vector graph is not used");
                Self::Unusable(error)
            }
        }
    }

    /// The graph of a space, if there is one.
    pub(super) fn read(
        path: &Path,
        space: &Space,
    ) -> Result<Option<Arc<GraphFile>>, SnapshotError> {
        match path.exists() {
            true => load_graph(path, space.digest()).map(|file| Some(Arc::new(file))),
            false => Ok(None),
        }
    }

    /// Whether a new graph would be the same.
    fn is_current(&self) -> bool {
        match self {
            Self::Ready(graph) => graph.is_current() && graph.file().check_codes().is_ok(),
            Self::Absent | Self::Unusable(_) => false,
        }
    }

    /// Whether a new graph is due under [`GraphPolicy::Auto`].
    fn is_due(&self, vectors: usize) -> bool {
        match self {
            Self::Ready(graph) => graph.is_worn() || graph.file().check_codes().is_err(),
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
    /// A missing or damaged graph never makes a search wrong: it scans exactly. What came
    /// after the graph is scanned beside it, what went is left out. `on_progress` hears
    /// phase, vectors done and vectors in all.
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
        // Nor does one whose graph still serves.
        if policy == GraphPolicy::Auto
            && let Some(graph) = self.stored_graph()?
            && !graph.is_worn(self.store.embedded_images(self.space).count())
            && graph.file().check_codes().is_ok()
        {
            return Ok(None);
        }
        let loaded = self.loaded()?;
        let vectors = loaded.corpus.vectors();
        let is_due = match policy {
            GraphPolicy::Always => !loaded.graph.is_current(),
            _ => loaded.graph.is_due(vectors.len()),
        };
        if vectors.is_empty() || !is_due {
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
        let file = GraphFile::new(graph, self.members(&loaded.corpus)?);
        save_graph(&file, loaded.corpus.space().digest(), &path).map_err(Error::Snapshot)?;
        let graph = file.graph;
        self.forget_loaded();
        Ok(Some(GraphReport {
            vectors: graph.len(),
            ef: graph.ef(),
            recall_at_10: graph.recall().recall(),
            unreachable: graph.unreachable().len(),
        }))
    }

    /// The image numbers of each node, and those of the images without an embedding.
    fn members(&self, corpus: &Corpus) -> Result<Members, Error> {
        let nodes = 0..corpus.vectors().len() as u32;
        let keys = |node| corpus.members(node).map(|row| row.id.0).collect::<Vec<_>>();
        let mut absent = Vec::new();
        for entry in self.store.images() {
            let (id, _) = entry?;
            if corpus.row(id).is_none() {
                absent.push(id.0);
            }
        }
        Ok(Members::new(nodes.map(keys), absent))
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
