//! The vector graph of a database: when it is built, where it lies, whether it fits.

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::Database;
use crate::error::Error;
use crate::index::{
    BuildPhase, GraphFile, GraphParameters, IndexError, Members, SnapshotError, VectorIndex,
    build_graph, load_graph, save_graph,
};
use crate::query::{Corpus, StoredGraph};

/// From this many images with an embedding on, a graph is built without being asked for.
///
/// Below it, a process that was just started reads all embeddings and scans them exactly in less
/// than 0.2 s; above, reading what a graph finds takes 3 ms. Building one takes about 0.2 s for
/// each thousand vectors (1280 components, two cores), a hundredth of what embedding them took.
pub const GRAPH_FROM: usize = 10_000;

/// When to build the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphPolicy {
    /// From [`GRAPH_FROM`] images on, and again when the one that there is has worn out.
    Auto,
    /// Now, if images came or went since the one that there is.
    Always,
    /// Not at all; an existing one is deleted.
    Never,
}

/// What there is of a graph.
#[derive(Clone)]
pub(super) enum GraphState {
    /// No file.
    Absent,
    /// A graph over the stored embeddings, with what came since.
    Ready(Arc<StoredGraph>),
    /// A file that cannot be used.
    Unusable(Arc<SnapshotError>),
}

impl GraphState {
    pub(super) fn ready(&self) -> Option<&Arc<StoredGraph>> {
        match self {
            Self::Ready(graph) => Some(graph),
            Self::Absent | Self::Unusable(_) => None,
        }
    }

    /// The recall that the graph was built for, in thousandths.
    pub(super) fn recall_per_mille(&self) -> Option<usize> {
        self.ready().map(|graph| graph.file().graph.parameters().recall_per_mille)
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
    /// Lets graphs that are built from now on find this share of the ten nearest, 0.001 to 1, in
    /// place of that which an older graph was built for, or .99.
    #[must_use]
    pub fn with_recall(mut self, recall: f64) -> Self {
        self.recall_per_mille = Some(((recall * 1000.0).round() as usize).clamp(1, 1000));
        self
    }

    /// The share of the ten nearest that the graph was built to find; 1 without a graph.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn recall_built_for(&self) -> Result<f64, Error> {
        let built_for = self.graph()?.recall_per_mille();
        Ok(built_for.map_or(1.0, |wanted| wanted as f64 / 1000.0))
    }

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
            self.remove_old_graph()?;
            return Ok(None);
        }
        if !self.graph_is_due(policy)? {
            return Ok(None);
        }
        let loaded = self.loaded()?;
        let vectors = loaded.corpus.vectors();
        if vectors.is_empty() {
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
        let mut parameters = GraphParameters::default();
        if let Some(wanted) = self.recall_per_mille.or(self.graph()?.recall_per_mille()) {
            parameters.recall_per_mille = wanted;
        }
        let graph = match build_graph(Arc::clone(vectors), parameters, &progress) {
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
        self.remove_old_graph()?;
        let graph = file.graph;
        self.forget_loaded();
        Ok(Some(GraphReport {
            vectors: graph.len(),
            ef: graph.ef(),
            recall_at_10: graph.recall().recall(),
            unreachable: graph.unreachable().len(),
        }))
    }

    /// Whether a graph should be built, which is told without loading the vectors.
    fn graph_is_due(&self, policy: GraphPolicy) -> Result<bool, Error> {
        Ok(match (self.graph()?, policy) {
            (GraphState::Absent, GraphPolicy::Always) | (GraphState::Unusable(_), _) => true,
            (GraphState::Absent, _) => self.embedded_count()? >= GRAPH_FROM,
            (GraphState::Ready(graph), policy) => {
                let embedded = self.embedded_count()?;
                let is_old = match policy {
                    GraphPolicy::Always => !graph.is_current(embedded),
                    _ => graph.is_worn(embedded),
                };
                let built_for = graph.file().graph.parameters().recall_per_mille;
                let is_other = self.recall_per_mille.is_some_and(|wanted| wanted != built_for);
                is_old || is_other || graph.file().check_codes().is_err()
            }
        })
    }

    /// The number of images that have an embedding.
    fn embedded_count(&self) -> Result<usize, Error> {
        let mut count = 0;
        for entry in self.store.embedded_images(self.space) {
            entry?;
            count += 1;
        }
        Ok(count)
    }

    /// The graph over the stored embeddings, read on first use.
    pub(super) fn graph(&self) -> Result<GraphState, Error> {
        let mut slot = self.graph_slot();
        if slot.is_none() {
            *slot = Some(self.read_graph()?);
        }
        Ok(slot.clone().unwrap_or(GraphState::Absent))
    }

    fn read_graph(&self) -> Result<GraphState, Error> {
        let (path, space) = (self.graph_path(), self.encoder.space());
        if !path.exists() {
            return Ok(GraphState::Absent);
        }
        match load_graph(&path, space.digest()) {
            Ok(file) => {
                let graph = StoredGraph::load(file, &self.store, self.space, space)?;
                Ok(GraphState::Ready(Arc::new(graph)))
            }
            Err(error) => {
                tracing::warn!(%error, ?path, "the vector graph is not used");
                Ok(GraphState::Unusable(Arc::new(error)))
            }
        }
    }

    pub(super) fn forget_graph(&self) {
        *self.graph_slot() = None;
    }

    fn graph_slot(&self) -> MutexGuard<'_, Option<GraphState>> {
        // The slot is replaced as a whole, as that of the loaded images is.
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Removes what lies where older programs had the graph of any space.
    fn remove_old_graph(&self) -> Result<(), Error> {
        remove_if_there(&self.directory().join("index/content/graph"))
    }

    pub(super) fn graph_path(&self) -> PathBuf {
        self.graph_folder(self.space).join("graph")
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
