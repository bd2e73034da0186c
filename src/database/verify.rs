//! Is everything there that should be, and does the index find what it should?

use serde::Serialize;

use super::{Database, GraphState, Loaded};
use crate::error::Error;
use crate::index::{self, IndexError, Neighbor, VectorIndex};
use crate::query::{Corpus, Sharers, StoredGraph};
use crate::store::Counts;

/// Neighbors that recall is measured on.
const RECALL_K: usize = 10;

/// What a check of the database found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Records that were read; every one passed its checksum.
    pub records: Counts,
    /// Number of the last transaction.
    pub sequence: u64,
    /// How searches go, with the measured recall, in words.
    pub index: String,
    /// Measured recall@10 of the index that serves searches, 0 to 1.
    pub recall_at_10: f64,
    /// Lower end of the 95 % interval of the recall.
    pub recall_low: f64,
    /// Upper end of the 95 % interval of the recall.
    pub recall_high: f64,
    /// What is wrong, a sentence each; empty when all is well.
    pub problems: Vec<String>,
}

impl Database {
    /// Reads every record, compares counts and references, and measures the
    /// index with up to `queries` of its own vectors against the exact scan.
    ///
    /// # Errors
    /// [`Error::Store`] when a record is damaged.
    pub fn verify(&self, queries: usize) -> Result<VerifyReport, Error> {
        let records = self.store.count_records()?;
        let manifest = self.store.manifest();
        let mut problems = Vec::new();
        if records != manifest.counts {
            problems.push(format!("the manifest says {}, found {records}", manifest.counts));
        }
        self.check_references(&mut problems)?;
        self.check_objects(&mut problems)?;
        let (loaded, graph) = (self.loaded()?, self.graph()?);
        let recall = measure(graph.ready().map(|graph| &**graph), &loaded, queries)?;
        if let GraphState::Ready(graph) = &graph
            && let Err(error) = graph.file().check_codes()
        {
            problems.push(format!(
                "scores of the vector graph may be wrong: {error}; `lookalike index` builds it again"
            ));
        }
        let index = match &graph {
            GraphState::Ready(graph) => format!(
                "graph over {} vectors, ef {}, {} scanned exactly; recall@10 {:.4} \
                 ({:.4} to {:.4}, 95 %, {} queries)",
                loaded.corpus.vectors().len(),
                graph.file().graph.ef(),
                graph.file().graph.unreachable().len() + graph.newer_len(),
                recall.recall(),
                recall.low(),
                recall.high(),
                recall.queries,
            ),
            state => {
                if let GraphState::Unusable(error) = state {
                    problems.push(format!(
                        "the vector graph is not used, searches scan exactly: {error}; \
                         `lookalike index` builds it again"
                    ));
                }
                let count = loaded.corpus.vectors().len();
                format!("exact scan of {count} vectors: recall is 1 by construction")
            }
        };
        Ok(VerifyReport {
            records,
            sequence: manifest.sequence,
            index,
            recall_at_10: recall.recall(),
            recall_low: recall.low(),
            recall_high: recall.high(),
            problems,
        })
    }

    /// Every image is found by its hash and has an embedding.
    fn check_references(&self, problems: &mut Vec<String>) -> Result<(), Error> {
        for entry in self.store.images() {
            let (id, record) = entry?;
            if self.store.image_id(&record.hash)? != Some(id) {
                problems.push(format!("image {id} is not found by its content"));
            }
            if !self.store.has_embedding(self.space, id)? {
                problems.push(format!(
                    "image {id} has no embedding of {}: `lookalike index` adds it",
                    self.encoder.space().model
                ));
            }
        }
        for entry in self.store.embeddings(self.space) {
            let (id, _) = entry?;
            if self.store.image(id)?.is_none() {
                problems.push(format!("an embedding belongs to image {id}, which is not there"));
            }
        }
        Ok(())
    }
}

/// The nearest vectors by the graph that serves searches, in the nodes of a corpus.
fn nearest_served(
    graph: &StoredGraph,
    corpus: &Corpus,
    query: &[f32],
) -> Result<Vec<Neighbor>, IndexError> {
    let (found, _) = graph.nearest(query, RECALL_K, None, None)?;
    let neighbor = |(score, images): &Sharers| {
        let row = images.iter().find_map(|id| corpus.row(*id))?;
        Some(Neighbor { node: corpus.node(row), score: *score })
    };
    Ok(found.iter().filter_map(neighbor).collect())
}

/// Asks with vectors spread evenly over the set.
fn measure(
    graph: Option<&StoredGraph>,
    loaded: &Loaded,
    queries: usize,
) -> Result<index::RecallReport, Error> {
    let vectors = loaded.corpus.vectors();
    let count = queries.min(vectors.len());
    let sample: Vec<&[f32]> =
        (0..count).map(|query| vectors.row((query * vectors.len() / count) as u32)).collect();
    let search = |query: &[f32]| match graph {
        Some(graph) => nearest_served(graph, &loaded.corpus, query),
        None => loaded.exact.search(query, RECALL_K, None),
    };
    Ok(index::recall(search, &loaded.exact, &sample, RECALL_K)?)
}
