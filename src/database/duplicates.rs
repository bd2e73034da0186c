//! Duplicates, and what the user said of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Database, ImageRow, Loaded};
use crate::error::Error;
use crate::imaging::{self, Alignment, DecodeLimits};
use crate::index::{ExactIndex, VectorIndex, VectorSetBuilder};
use crate::pixels::Pixels;
use crate::query::{
    self, Duplicates, EditCalibration, Filter, KeepRules, Pair, Pairs, QueryError, Sample, Sharers,
    StoredGraph, Tier,
};
use crate::record::{ContentHash, Fingerprint, ImageId};
use crate::store::{DistinctEntry, JournalEntry};

/// Which duplicates to look for.
#[derive(Clone, Debug)]
pub struct DuplicateSearch {
    /// Among which images.
    pub filter: Filter,
    /// The least certain kind.
    pub up_to: Tier,
    /// Cosine similarity from which on other pictures are [`Tier::Similar`], -1 to 1.
    pub similar_min: f32,
    /// Which of a group to keep.
    pub rules: KeepRules,
    /// Draws the photos that thresholds are learned from.
    pub seed: u64,
}

impl Default for DuplicateSearch {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            up_to: Tier::Edited,
            similar_min: 0.9,
            rules: KeepRules::default(),
            seed: 0,
        }
    }
}

/// A picture that a test set shares with the set that was trained on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Leak {
    /// The image that was trained on.
    pub train: ImageId,
    /// The image of the test set.
    pub test: ImageId,
    /// How certain it is that they are the same.
    pub tier: Tier,
    /// How one lies over the other, where that was found out.
    pub alignment: Option<Alignment>,
    /// Cosine similarity of their embeddings, where they are among each other's nearest.
    pub score: Option<f32>,
}

/// Photos that edits are made of.
const PHOTOS: usize = 24;
/// Pairs of different photos that are compared, half of them neighbors.
const PAIRS: usize = 400;
/// Neighbors from this one on, of a photo, are seldom copies of it.
const NEIGHBORS_SKIPPED: usize = 4;
/// Neighbors of each that are compared.
const NEIGHBORS_TAKEN: usize = 6;

impl Database {
    /// Finds the groups of duplicates among the images that pass a filter, with what was learned of
    /// the collection to tell them from images that look alike.
    ///
    /// The calibration reads up to 24 photos, which takes 2 to 3 s of one core; the rest depends on
    /// how many images look alike (`docs/benchmarks.md`). `on_compared` hears how many images were
    /// compared with others, and of how many.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn duplicates(
        &self,
        search: &DuplicateSearch,
        on_compared: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Duplicates, EditCalibration), Error> {
        let loaded = self.loaded()?;
        let names = self.encoder.class_names();
        let rows = query::list(&*self.rows()?, &search.filter, names)?;
        let rows: Vec<&ImageRow> = rows.iter().collect();
        let scope = self.scope(&loaded, &rows, search.filter == Filter::default())?;
        let calibration = self.calibrate(&scope, search.seed)?;
        let pairs =
            self.pairs(&scope, &calibration, search.up_to, search.similar_min, on_compared)?;
        let groups = query::group(&rows, &scope.fingerprints, &pairs, &search.rules, search.up_to);
        let without_fingerprint = (rows.len() - scope.fingerprints.len()) as u64;
        Ok((Duplicates { groups, without_fingerprint }, calibration))
    }

    /// Finds the pairs of images of which one passes the first filter and the other the second:
    /// pictures that a test set shares with the set that was trained on. An image with files in both
    /// is paired with itself.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn leaks(
        &self,
        train: &Filter,
        test: &Filter,
        search: &DuplicateSearch,
        on_compared: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<Leak>, Error> {
        let loaded = self.loaded()?;
        let names = self.encoder.class_names();
        let all = self.rows()?;
        let [train, test] = [train, test].map(|filter| query::list(&all, filter, names));
        let (train, test) = (train?, test?);
        let [in_train, in_test] =
            [&train, &test].map(|rows| rows.iter().map(|row| row.id).collect::<HashSet<_>>());
        let both = train.iter().chain(test.iter().filter(|row| !in_train.contains(&row.id)));
        let mut rows: Vec<&ImageRow> = both.collect();
        rows.sort_by_key(|row| row.id);
        let scope = self.scope(&loaded, &rows, false)?;
        let calibration = self.calibrate(&scope, search.seed)?;
        let pairs =
            self.pairs(&scope, &calibration, search.up_to, search.similar_min, on_compared)?;
        let same = in_train.intersection(&in_test).map(|id| Leak {
            train: *id,
            test: *id,
            tier: Tier::SameBytes,
            alignment: None,
            score: Some(1.0),
        });
        let across = pairs.into_iter().filter_map(|pair| {
            let Pair { images: [a, b], tier, alignment, score } = pair;
            // An image of both sets was named already.
            let is_both = |id| in_train.contains(&id) && in_test.contains(&id);
            let (train, test) = if in_train.contains(&a) { (a, b) } else { (b, a) };
            let leaks = !is_both(a) && !is_both(b);
            let crosses = in_train.contains(&train) && in_test.contains(&test);
            (leaks && crosses).then_some(Leak { train, test, tier, alignment, score })
        });
        let mut found: Vec<Leak> = same.chain(across).collect();
        found.sort_by_key(|leak| (leak.tier, leak.train, leak.test));
        Ok(found)
    }

    /// Keeps that two images are not the same, whatever they look like, or takes it back. It holds
    /// for their contents, wherever they are moved.
    ///
    /// # Errors
    /// [`Error::UnknownImage`]; [`Error::Store`].
    pub fn set_distinct(&self, images: [ImageId; 2], are_distinct: bool) -> Result<(), Error> {
        let hash = |id: ImageId| -> Result<ContentHash, Error> {
            Ok(self.store.image(id)?.ok_or(Error::UnknownImage { id })?.hash)
        };
        let not_same = [hash(images[0])?, hash(images[1])?];
        let entry = DistinctEntry { not_same, holds: are_distinct };
        Ok(self.store.decide(&[JournalEntry::Distinct(entry)])?)
    }

    fn pairs(
        &self,
        scope: &Scope<'_>,
        calibration: &EditCalibration,
        up_to: Tier,
        similar_min: f32,
        on_compared: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<Pair>, Error> {
        let among = Pairs {
            rows: &scope.rows,
            fingerprints: &scope.fingerprints,
            distinct: self.store.distinct().collect::<Result<_, _>>()?,
            thresholds: calibration.thresholds,
            up_to,
            similar_min,
            on_compared,
        };
        let nearest = |row: &ImageRow, k: usize| scope.nearest(row, k);
        let same_pixels = |a: &ImageRow, b: &ImageRow| {
            // A file that cannot be read now proves nothing.
            matches!((self.pixels(a, None), self.pixels(b, None)), (Some(a), Some(b)) if a == b)
        };
        Ok(query::find_pairs(&among, &nearest, &same_pixels)?)
    }

    fn scope<'a>(
        &self,
        loaded: &'a Loaded,
        rows: &[&'a ImageRow],
        is_all: bool,
    ) -> Result<Scope<'a>, Error> {
        let wanted: HashSet<ImageId> = rows.iter().map(|row| row.id).collect();
        let mut fingerprints = HashMap::new();
        for entry in self.store.fingerprints() {
            let (id, fingerprint) = entry?;
            if wanted.contains(&id) {
                fingerprints.insert(id, fingerprint);
            }
        }
        let rows = rows.to_vec();
        if let Some(graph) = self.graph()?.ready().filter(|_| is_all) {
            let near = Near::Graph(graph.clone());
            return Ok(Scope { loaded, rows, fingerprints, near });
        }
        let mut vectors = VectorSetBuilder::new(self.encoder.space().dimension as usize);
        let mut members: Vec<Vec<ImageId>> = Vec::new();
        for row in &rows {
            let node = vectors.push(loaded.corpus.vector(row))? as usize;
            members.resize_with(members.len().max(node + 1), Vec::new);
            members[node].push(row.id);
        }
        let near = Near::Scan(ExactIndex::new(vectors.finish().into()), members);
        Ok(Scope { loaded, rows, fingerprints, near })
    }

    /// Learns thresholds from photos of a scope.
    fn calibrate(&self, scope: &Scope<'_>, seed: u64) -> Result<EditCalibration, Error> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut rows = scope.rows.clone();
        rows.retain(|row| scope.fingerprints.contains_key(&row.id));
        rows.shuffle(&mut random);
        let side_px = imaging::side_needed_px(self.encoder.input_side_px());
        let photos: Vec<Pixels> =
            rows.iter().filter_map(|row| self.pixels(row, Some(side_px))).take(PHOTOS).collect();
        let mut pairs = Vec::new();
        let print = |id: ImageId| scope.fingerprints.get(&id);
        for _ in 0..PAIRS / 2 {
            let mut two = rows.choose_multiple(&mut random, 2).filter_map(|row| print(row.id));
            pairs.extend(two.next().zip(two.next()).map(|(a, b)| [a, b]));
        }
        for row in rows.iter().take(PAIRS / 2 / NEIGHBORS_TAKEN) {
            let near = scope.nearest(row, NEIGHBORS_SKIPPED + NEIGHBORS_TAKEN)?;
            for (_, id) in near.into_iter().skip(NEIGHBORS_SKIPPED) {
                pairs.extend(print(row.id).zip(print(id)).map(|(a, b)| [a, b]));
            }
        }
        let pairs_in_all = scope.rows.len() * 10;
        Ok(EditCalibration::of(&Sample { photos: &photos, pairs: &pairs, pairs_in_all }))
    }

    /// The pixels of an image of which a file can be read: all of them, or as many as a shorter
    /// side of `side_px` needs.
    fn pixels(&self, row: &ImageRow, side_px: Option<u32>) -> Option<Pixels> {
        let limits = DecodeLimits::default();
        let decoded = row.locations.iter().find_map(|location| {
            let bytes = std::fs::read(location.to_path(&self.home)).ok()?;
            // The file may hold another image by now.
            let is_same = ContentHash::of(&bytes) == row.record.hash;
            let decoded = match side_px {
                None => imaging::decode(&bytes, &limits),
                Some(side_px) => imaging::decode_at_least(&bytes, &limits, side_px),
            };
            decoded.ok().filter(|_| is_same)
        });
        decoded.map(|decoded| decoded.pixels)
    }
}

/// The images that are compared with each other.
struct Scope<'a> {
    loaded: &'a Loaded,
    rows: Vec<&'a ImageRow>,
    fingerprints: HashMap<ImageId, Fingerprint>,
    near: Near,
}

/// What finds neighbors in a scope.
enum Near {
    /// The graph, where the scope is all images.
    Graph(Arc<StoredGraph>),
    /// A scan of the distinct vectors of the scope, with the images of each.
    Scan(ExactIndex, Vec<Vec<ImageId>>),
}

impl Scope<'_> {
    /// The images that are nearest to one of them, which is among them.
    fn nearest(&self, row: &ImageRow, k: usize) -> Result<Vec<(f32, ImageId)>, QueryError> {
        let vector = self.loaded.corpus.vector(row);
        let found: Vec<Sharers> = match &self.near {
            Near::Graph(graph) => graph.nearest(vector, k, None, None)?.0,
            Near::Scan(index, members) => {
                let found = index.search(vector, k, None)?;
                found.iter().map(|hit| (hit.score, members[hit.node as usize].clone())).collect()
            }
        };
        let images =
            found.into_iter().flat_map(|(score, ids)| ids.into_iter().map(move |id| (score, id)));
        Ok(images.collect())
    }
}
