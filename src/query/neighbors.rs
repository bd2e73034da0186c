//! Nearest neighbors of a query vector among the images of a corpus.

use super::filter::ResolvedFilter;
use super::{Corpus, Filter, QueryError, Row};
use crate::index::VectorIndex;
use crate::record::{ContentHash, ImageId, Location};

/// What to search for, besides the query vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Hits wanted, at most.
    pub top: usize,
    /// Lowest score of a hit, -1 to 1.
    pub score_min: f32,
    /// Which images may be hits.
    pub filter: Filter,
    /// An image that is not a hit: the query itself.
    pub exclude_image: Option<ImageId>,
    /// A file that is not a hit, while copies of it are: the query file itself.
    pub exclude_location: Option<Location>,
    /// Scan exactly even if there is a graph.
    pub exact: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            top: 10,
            score_min: -1.0,
            filter: Filter::default(),
            exclude_image: None,
            exclude_location: None,
            exact: false,
        }
    }
}

/// One image that resembles the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The image.
    pub id: ImageId,
    /// Its content.
    pub hash: ContentHash,
    /// Cosine similarity to the query, -1 to 1; 1 for the same pixels.
    pub score: f32,
    /// Its files that pass the filter, at least one.
    pub locations: Vec<Location>,
}

/// Finds the images most similar to a query vector, the best first, ties by number.
///
/// Gives `top` hits whenever that many images pass the filter and the score.
///
/// # Errors
/// [`QueryError::Index`] for a query of another dimension or with values that
/// are not finite; [`QueryError::UnknownClass`], [`QueryError::UnknownLabel`].
pub fn search(
    corpus: &Corpus,
    index: &dyn VectorIndex,
    query: &[f32],
    search: &Search,
    class_names: &[String],
) -> Result<Vec<Hit>, QueryError> {
    let filter = search.filter.resolve(corpus, class_names)?;
    // One more node than hits: the query itself may be among them. A node
    // holds at least one image that passes.
    let wanted = search.top.saturating_add(1);
    let neighbors = index.search(query, wanted, Some(&filter.nodes(corpus)))?;
    let mut hits = Vec::new();
    for neighbor in neighbors {
        // Rounding can put a self-match a hair above 1.
        let score = neighbor.score.clamp(-1.0, 1.0);
        if score < search.score_min {
            break;
        }
        for row in corpus.members(neighbor.node) {
            let locations = hit_locations(row, &filter, search);
            if !locations.is_empty() {
                hits.push(Hit { id: row.id, hash: row.record.hash, score, locations });
            }
        }
    }
    hits.truncate(search.top);
    Ok(hits)
}

fn hit_locations(row: &Row, filter: &ResolvedFilter<'_>, search: &Search) -> Vec<Location> {
    if search.exclude_image == Some(row.id) || !filter.passes(row) {
        return Vec::new();
    }
    let excluded = search.exclude_location.as_ref();
    filter.locations(row).filter(|location| Some(*location) != excluded).cloned().collect()
}
