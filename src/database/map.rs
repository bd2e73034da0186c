//! The map of a database, kept until its images change.

use serde::{Deserialize, Serialize};

use super::Database;
use crate::error::Error;
use crate::query::{self, Filter, Layout, MapPoint};
use crate::record::ImageId;

/// Images up to which a map is laid out by t-SNE unless told otherwise.
const TSNE_UP_TO: usize = 10_000;

/// Its file beside the graph.
const KEPT: &str = "map.json";

/// What that holds.
#[derive(Serialize, Deserialize)]
struct StoredMap {
    layout: Layout,
    points: Vec<MapPoint>,
}

impl Database {
    /// Lays out all images in the plane, those that are alike close together; ordered by number.
    ///
    /// Without a layout, by t-SNE up to 10,000 images, beyond by principal components. The map is
    /// kept beside the graph, and laid out anew when images came or went.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn map(&self, layout: Option<Layout>) -> Result<(Layout, Vec<MapPoint>), Error> {
        let rows = self.rows()?;
        let layout = layout.unwrap_or(match rows.as_slice().len() {
            ..=TSNE_UP_TO => Layout::Tsne,
            _ => Layout::Pca,
        });
        let ids: Vec<ImageId> = {
            let listed = query::list(&rows, &Filter::default(), self.encoder.class_names())?;
            listed.iter().map(|row| row.id).collect()
        };
        let is_current = |known: &StoredMap| {
            let same = known.points.iter().map(|point| point.id).eq(ids.iter().copied());
            let is_sound = |point: &MapPoint| point.x.is_finite() && point.y.is_finite();
            same && known.layout == layout && known.points.iter().all(is_sound)
        };
        if let Some(known) = self.derived(KEPT).filter(is_current) {
            return Ok((layout, known.points));
        }
        let loaded = self.loaded()?;
        let names = self.encoder.class_names();
        let points = query::map(&loaded.corpus, &loaded.exact, &Filter::default(), layout, names)?;
        let stored = StoredMap { layout, points };
        self.keep_derived(KEPT, &stored);
        Ok((layout, stored.points))
    }
}
