//! Nearest neighbors of a query vector among the images of a corpus.

use super::filter::ResolvedFilter;
use super::{Corpus, Filter, QueryError, Row};
use crate::index::VectorIndex;
use crate::record::{ContentHash, Detection, ImageId, Location};
use crate::store::ObjectNumber;
use crate::vector;

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
    /// The raw files of the same shot, which are no hits of their own.
    pub raw_locations: Vec<Location>,
    /// The object that resembles the query, where objects were searched.
    pub object: Option<MatchedObject>,
}

/// An object of an image that resembles a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MatchedObject {
    /// Its number on the image, from 0, the surest first.
    pub number: ObjectNumber,
    /// What it is and where.
    pub detection: Detection,
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
    let query_shot = query_shot(corpus, search);
    // Two more nodes than hits: the query itself may be among them, and the other
    // file of its shot. A node holds at least one image that passes.
    let wanted = search.top.saturating_add(2);
    let mut neighbors = index.search(query, wanted, Some(&filter.nodes()))?;
    // A graph knows the vectors a little less exactly than the store does.
    for neighbor in &mut neighbors {
        neighbor.score = vector::dot(query, corpus.vectors().row(neighbor.node));
    }
    neighbors.sort_unstable();
    let mut hits = Vec::new();
    for neighbor in neighbors {
        // Rounding can put a self-match a hair above 1.
        let score = neighbor.score.clamp(-1.0, 1.0);
        if score < search.score_min {
            break;
        }
        for row in corpus.members(neighbor.node) {
            let locations = hit_locations(row, &filter, search, query_shot);
            if !locations.is_empty() {
                let raw_locations = corpus.raw_locations(row);
                hits.push(Hit {
                    id: row.id,
                    hash: row.record.hash,
                    score,
                    locations,
                    raw_locations,
                    object: None,
                });
            }
        }
    }
    hits.truncate(search.top);
    Ok(hits)
}

/// The image that was developed from the query, when that is a raw file: the same shot.
pub(super) fn query_shot(corpus: &Corpus, search: &Search) -> Option<ImageId> {
    let by_number = search.exclude_image.and_then(|id| corpus.row(id));
    let is_at = |row: &&Row| {
        let location = search.exclude_location.as_ref();
        location.is_some_and(|location| row.locations.contains(location))
    };
    by_number.or_else(|| corpus.rows().iter().find(is_at))?.developed
}

pub(super) fn hit_locations(
    row: &Row,
    filter: &ResolvedFilter<'_>,
    search: &Search,
    query_shot: Option<ImageId>,
) -> Vec<Location> {
    let is_query = Some(row.id) == search.exclude_image || Some(row.id) == query_shot;
    if is_query || !filter.passes(row) {
        return Vec::new();
    }
    let excluded = search.exclude_location.as_ref();
    filter.locations(row).filter(|location| Some(*location) != excluded).cloned().collect()
}
