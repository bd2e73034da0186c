//! Nearest neighbors of a query vector among images.

use super::filter::ResolvedFilter;
use super::images::{Images, InMemory};
use super::stored::InStore;
use super::{Corpus, Filter, QueryError, Row, Rows, StoredGraph};
use crate::index::ExactIndex;
use crate::record::{ContentHash, Detection, ImageId, Location, SpaceId};
use crate::store::{ObjectNumber, Store};

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
    /// Candidates that a walk through the graph keeps, in place of the number it was tuned to: more
    /// find more and take longer.
    pub ef: Option<usize>,
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
            ef: None,
        }
    }
}

impl Search {
    fn narrows(&self) -> bool {
        self.filter != Filter::default()
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

/// Finds the images most similar to a query vector by comparing it with all of them: the best
/// first, ties by number.
///
/// Gives `top` hits whenever that many images pass the filter and the score.
///
/// # Errors
/// [`QueryError::Index`] for a query of another dimension or with values that
/// are not finite; [`QueryError::UnknownClass`], [`QueryError::UnknownLabel`].
pub fn search(
    corpus: &Corpus,
    index: &ExactIndex,
    query: &[f32],
    search: &Search,
    class_names: &[String],
) -> Result<Vec<Hit>, QueryError> {
    let filter = search.filter.resolve_in(corpus.known(), class_names)?;
    let images = InMemory::new(corpus, index, search.narrows().then_some(&filter));
    let hits = find(&images, &filter, query, search)?;
    Ok(hits.expect("images in memory are found in no other way"))
}

/// Finds the same images by a graph, up to its recall, and reads the embeddings of those alone:
/// about a millisecond.
///
/// Without `rows`, what is known of the images is read one by one too. Then `None` says that too
/// few of the nearest images pass the filter: it takes a look at all rows.
///
/// # Errors
/// As for [`search`]; without `rows`, a label that nobody has is no error, but `None`.
pub fn search_graph(
    store: &Store,
    space: SpaceId,
    graph: &StoredGraph,
    rows: Option<&Rows>,
    query: &[f32],
    search: &Search,
    class_names: &[String],
) -> Result<Option<Vec<Hit>>, QueryError> {
    let filter = match rows {
        Some(rows) => search.filter.resolve_in(rows, class_names)?,
        None => search.filter.resolve(class_names)?,
    };
    let images = InStore::new(store, space, graph, rows, search.narrows().then_some(&filter))
        .keeping(search.ef);
    let hits = find(&images, &filter, query, search)?;
    let is_answer =
        |hits: &Vec<Hit>| rows.is_some() || search.filter.label.is_none() || !hits.is_empty();
    Ok(hits.filter(is_answer))
}

/// Asks for nearest images, and for more of them until enough pass.
fn find(
    images: &impl Images,
    filter: &ResolvedFilter<'_>,
    query: &[f32],
    search: &Search,
) -> Result<Option<Vec<Hit>>, QueryError> {
    let query_shot = query_shot(images, search)?;
    // Two more than hits: the query itself may be among them, and the other file of its shot.
    let mut wanted = search.top.saturating_add(2);
    loop {
        let Some(nearest) = images.nearest(query, wanted)? else { return Ok(None) };
        let mut hits = Vec::new();
        let mut is_complete = nearest.is_all;
        for (score, id) in nearest.images {
            // Rounding can put a self-match a hair above 1.
            let score = score.clamp(-1.0, 1.0);
            is_complete |= score < search.score_min || hits.len() >= search.top;
            if score < search.score_min || hits.len() >= search.top {
                break;
            }
            let Some(row) = images.row(id)? else { continue };
            let developed = match row.developed {
                Some(id) => images.row(id)?,
                None => None,
            };
            let locations = hit_locations(&row, developed.as_deref(), filter, search, query_shot);
            if !locations.is_empty() {
                let mut raw_locations = Vec::new();
                for raw in &row.raws {
                    let raw = images.row(*raw)?;
                    raw_locations.extend(raw.iter().flat_map(|raw| raw.locations.iter().cloned()));
                }
                let hash = row.record.hash;
                hits.push(Hit { id, hash, score, locations, raw_locations, object: None });
            }
        }
        if is_complete || hits.len() >= search.top {
            return Ok(Some(hits));
        }
        wanted = wanted.saturating_mul(4);
    }
}

/// The image that was developed from the query, when that is a raw file: the same shot.
pub(super) fn query_shot(
    images: &impl Images,
    search: &Search,
) -> Result<Option<ImageId>, QueryError> {
    let at_location = || match &search.exclude_location {
        Some(location) => images.image_at(location),
        None => Ok(None),
    };
    let query = match search.exclude_image {
        Some(id) => Some(id),
        None => at_location()?,
    };
    let Some(query) = query else { return Ok(None) };
    Ok(images.row(query)?.and_then(|row| row.developed))
}

pub(super) fn hit_locations(
    row: &Row,
    developed: Option<&Row>,
    filter: &ResolvedFilter<'_>,
    search: &Search,
    query_shot: Option<ImageId>,
) -> Vec<Location> {
    let is_query = Some(row.id) == search.exclude_image || Some(row.id) == query_shot;
    if is_query || !filter.passes(row, developed) {
        return Vec::new();
    }
    let excluded = search.exclude_location.as_ref();
    filter.locations(row).filter(|location| Some(*location) != excluded).cloned().collect()
}
