//! All pairs of images that are the same in some way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use jiff::civil::DateTime;
use rayon::prelude::*;

use super::candidates::{self, Candidate};
use super::compare::{Match, compare};
use super::{Thresholds, Tier};
use crate::imaging::{Alignment, Prepared, Turn};
use crate::query::{QueryError, Row};
use crate::record::{ContentHash, Fingerprint, ImageId};

/// Finds so many images nearest to one of them, itself included, with their scores, the best first.
pub type NearestImages<'a> =
    &'a (dyn Fn(&Row, usize) -> Result<Vec<(f32, ImageId)>, QueryError> + Sync);

/// Two images that are the same in some way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The two, the lower number first.
    pub images: [ImageId; 2],
    /// How certain it is.
    pub tier: Tier,
    /// How the second lies over the first, where that was found out.
    pub alignment: Option<Alignment>,
    /// Cosine similarity of their embeddings, where they are among each other's nearest.
    pub score: Option<f32>,
}

/// What pairs are looked for among.
pub struct Pairs<'a> {
    /// The images.
    pub rows: &'a [&'a Row],
    /// Of those, the ones that have one.
    pub fingerprints: &'a HashMap<ImageId, Fingerprint>,
    /// Pairs that the user said are not the same, the lower hash first.
    pub distinct: HashSet<[ContentHash; 2]>,
    /// From which agreement on images are the same.
    pub thresholds: Thresholds,
    /// The least certain kind to look for.
    pub up_to: Tier,
    /// Score from which on pictures are [`Tier::Similar`].
    pub similar_min: f32,
    /// Hears how many images were compared with others, and of how many.
    pub on_compared: &'a (dyn Fn(usize, usize) + Sync),
}

/// Neighbors of each image that are laid over it.
const NEIGHBORS: usize = 10;
/// Score below which no crop is looked for: those of a fourth of the area have .7 and more.
const SCORE_MIN: f32 = 0.5;
/// Time between two shots of a burst.
const BURST: SignedDuration = SignedDuration::from_secs(10);
/// Score below which shots of one camera within seconds show other things.
const BURST_SCORE_MIN: f32 = 0.75;

/// Finds the pairs. `nearest` gives the neighbors of an image; `same_pixels` compares two files pixel by pixel, and is asked where their small copies are equal.
///
/// Costs an alignment for each image and each of its neighbors, and a look at all pairs of hashes.
///
/// # Errors
/// Those of the two functions.
pub fn find_pairs(
    among: &Pairs<'_>,
    nearest: NearestImages<'_>,
    same_pixels: &(dyn Fn(&Row, &Row) -> bool + Sync),
) -> Result<Vec<Pair>, QueryError> {
    let places: HashMap<ImageId, usize> =
        among.rows.iter().enumerate().map(|(place, row)| (row.id, place)).collect();
    let scores = neighbors(among, &places, nearest)?;
    let matches = matches(among, &scores);
    let mut pairs = Vec::new();
    for (&[first, second], matched) in &matches {
        let (a, b) = (among.rows[first], among.rows[second]);
        let is_same = || {
            let prints = [a, b].map(|row| among.fingerprints.get(&row.id).map(Fingerprint::luma));
            let size = |row: &Row| (row.record.width_px, row.record.height_px);
            prints[0] == prints[1] && size(a) == size(b) && same_pixels(a, b)
        };
        let tier = match matched.is_edited {
            true => Tier::Edited,
            false if is_same() => Tier::SamePixels,
            false => Tier::Reencoded,
        };
        let score = scores.get(&[first, second]).copied();
        let alignment = Some(matched.alignment);
        pairs.push(Pair { images: [a.id, b.id], tier, alignment, score });
    }
    for (&[first, second], &score) in &scores {
        let (a, b) = (among.rows[first], among.rows[second]);
        if matches.contains_key(&[first, second]) || is_distinct(among, a, b) {
            continue;
        }
        let tier = if score >= BURST_SCORE_MIN && is_burst(a, b) {
            Tier::Burst
        } else if score >= among.similar_min {
            Tier::Similar
        } else {
            continue;
        };
        pairs.push(Pair { images: [a.id, b.id], tier, alignment: None, score: Some(score) });
    }
    pairs.retain(|pair| pair.tier <= among.up_to);
    pairs.sort_by_key(|pair| (pair.tier, pair.images));
    Ok(pairs)
}

type Places = [usize; 2];

/// The scores of images that are among the nearest of each other.
fn neighbors(
    among: &Pairs<'_>,
    places: &HashMap<ImageId, usize>,
    nearest: NearestImages<'_>,
) -> Result<BTreeMap<Places, f32>, QueryError> {
    let found: Vec<Vec<(Places, f32)>> = among
        .rows
        .par_iter()
        .enumerate()
        .map(|(place, row)| {
            let hits = nearest(row, NEIGHBORS + 1)?;
            let pair = |(score, id): (f32, ImageId)| {
                let other = *places.get(&id)?;
                let is_pair = other != place && score >= SCORE_MIN;
                is_pair.then_some(([place.min(other), place.max(other)], score.min(1.0)))
            };
            Ok(hits.into_iter().filter_map(pair).collect())
        })
        .collect::<Result<_, QueryError>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// Lays the candidates over each other.
fn matches(among: &Pairs<'_>, scores: &BTreeMap<Places, f32>) -> BTreeMap<Places, Match> {
    let (with_print, prints): (Vec<usize>, Vec<&Fingerprint>) = among
        .rows
        .iter()
        .enumerate()
        .filter_map(|(place, row)| Some((place, among.fingerprints.get(&row.id)?)))
        .unzip();
    let mut candidates = candidates::by_hash(&prints);
    for candidate in &mut candidates {
        candidate.first = with_print[candidate.first];
        candidate.second = with_print[candidate.second];
    }
    candidates.extend(scores.keys().map(|&[first, second]| Candidate {
        first,
        second,
        turn: Turn::None,
    }));
    candidates.retain(|candidate| {
        !is_distinct(among, among.rows[candidate.first], among.rows[candidate.second])
    });
    candidates.sort_unstable();
    candidates.dedup();
    let chunks: Vec<_> = candidates.chunk_by(|a, b| a.first == b.first).collect();
    let done = AtomicUsize::new(0);
    let found = chunks.par_iter().flat_map_iter(|chunk| {
        let found = against_first(among, scores, chunk);
        (among.on_compared)(done.fetch_add(1, Ordering::Relaxed) + 1, chunks.len());
        found
    });
    let mut matches: BTreeMap<Places, Match> = BTreeMap::new();
    for (places, found) in found.collect::<Vec<_>>() {
        let known = matches.entry(places).or_insert(found);
        // Unturned comes first, and is kept at the same agreement.
        if found.alignment.agreement > known.alignment.agreement && known.is_edited {
            *known = found;
        }
    }
    matches
}

fn against_first(
    among: &Pairs<'_>,
    scores: &BTreeMap<Places, f32>,
    chunk: &[Candidate],
) -> Vec<(Places, Match)> {
    let print = |place: usize| among.fingerprints.get(&among.rows[place].id);
    let Some(first) = print(chunk[0].first).map(Prepared::new) else { return Vec::new() };
    let compared = |candidate: &Candidate| {
        let places = [candidate.first, candidate.second];
        let second = print(candidate.second)?;
        let windows = scores.contains_key(&places);
        let found = compare(&first, second, candidate.turn, windows, &among.thresholds)?;
        Some((places, found))
    };
    chunk.iter().filter_map(compared).collect()
}

/// Whether two images are known not to be duplicates: the user said so, or one was developed
/// from the other.
fn is_distinct(among: &Pairs<'_>, a: &Row, b: &Row) -> bool {
    let (x, y) = (a.record.hash, b.record.hash);
    among.distinct.contains(&[x.min(y), x.max(y)])
        || a.developed == Some(b.id)
        || b.developed == Some(a.id)
}

/// Whether two images are shots of one camera within seconds.
fn is_burst(a: &Row, b: &Row) -> bool {
    let camera = |row: &Row| row.record.camera.clone();
    let time = |row: &Row| row.record.captured_at.as_deref()?.parse::<DateTime>().ok();
    let (Some(earlier), Some(later)) = (time(a), time(b)) else { return false };
    let apart = later.duration_since(earlier).abs();
    camera(a).is_some() && camera(a) == camera(b) && apart <= BURST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ImageRecord;

    fn shot(camera: &str, captured_at: &str) -> Row {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let record = ImageRecord {
            hash: ContentHash::of(captured_at.as_bytes()),
            width_px: 1,
            height_px: 1,
            size_bytes: 1,
            format: "JPEG".to_owned(),
            orientation: 1,
            captured_at: text(captured_at),
            camera: text(camera),
            classes: Vec::new(),
            position: None,
        };
        Row {
            id: ImageId(1),
            record,
            locations: Vec::new(),
            label: None,
            prediction: None,
            raws: Vec::new(),
            developed: None,
        }
    }

    #[test]
    fn shots_of_one_camera_within_ten_seconds_are_a_burst_over_midnight_too() {
        let first = shot("X", "2023-12-31T23:59:55");
        assert!(is_burst(&first, &shot("X", "2024-01-01T00:00:05")));
        assert!(is_burst(&shot("X", "2024-01-01T00:00:05"), &first));
        assert!(!is_burst(&first, &shot("X", "2024-01-01T00:00:06")));
        assert!(!is_burst(&first, &shot("Y", "2024-01-01T00:00:05")));
        assert!(!is_burst(&first, &shot("X", "")), "no time");
        assert!(!is_burst(&shot("", "2024-01-01T00:00:05"), &shot("", "2024-01-01T00:00:05")));
        assert!(!is_burst(&first, &shot("X", "2024-01")), "no whole time");
    }
}
