//! Clusters of a database, the last kept until it changes.

use serde::{Deserialize, Serialize};

use super::Database;
use crate::error::Error;
use crate::query::{self, Clusters, Filter, Method};

/// The file of the last clusters, beside the graph.
const KEPT: &str = "clusters.json";

/// What that holds.
#[derive(Serialize, Deserialize)]
struct StoredClusters {
    asked: Method,
    seed: u64,
    /// The last transaction before: images, labels and objects are still the same.
    sequence: u64,
    clusters: Clusters,
}

impl Database {
    /// Groups the images that pass a filter. The same seed gives the same clusters.
    ///
    /// The last clusters of all images are kept until the database changes.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn cluster(&self, filter: &Filter, method: Method, seed: u64) -> Result<Clusters, Error> {
        let is_all = *filter == Filter::default();
        let sequence = self.store.manifest().sequence;
        let is_current = |known: &StoredClusters| {
            (known.asked, known.seed, known.sequence) == (method, seed, sequence)
        };
        if is_all && let Some(known) = self.derived(KEPT).filter(is_current) {
            return Ok(known.clusters);
        }
        let loaded = self.loaded()?;
        let names = self.encoder.class_names();
        let mut clusters = query::cluster(&loaded.corpus, filter, method, seed, names)?;
        for cluster in clusters.clusters.iter_mut().filter(|cluster| cluster.name.is_none()) {
            cluster.name = self.common_object(cluster)?;
        }
        if !is_all {
            return Ok(clusters);
        }
        let stored = StoredClusters { asked: method, seed, sequence, clusters };
        self.keep_derived(KEPT, &stored);
        Ok(stored.clusters)
    }
}
