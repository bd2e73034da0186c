//! Pairs of images that are worth laying over each other.

use rayon::prelude::*;

use crate::imaging::Turn;
use crate::record::Fingerprint;

/// Two images by their places in a list, the lower first, and how the second may lie over the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) turn: Turn,
}

/// Squares along a side of the image, of each of which the hash has a bit.
const SQUARES: usize = 8;
/// Bits in which the hashes of two images may differ, of 64. Copies differ in 4 at most.
const DISTANCE_MAX: u32 = 10;
/// Contrast (see [`Quality`](crate::record::Quality)) below which an image is flat: its hash says
/// nothing.
const CONTRAST_MIN: f32 = 0.01;

/// The pairs whose hashes differ in few bits, whatever way up they lie. Costs eight
/// comparisons of 64 bits for each pair of images.
pub(super) fn by_hash(fingerprints: &[&Fingerprint]) -> Vec<Candidate> {
    let hash = |fingerprint: &&Fingerprint| {
        let is_flat = fingerprint.quality.contrast < CONTRAST_MIN;
        (!is_flat).then(|| turned_hashes(fingerprint))
    };
    let hashes: Vec<Option<[u64; 8]>> = fingerprints.par_iter().map(hash).collect();
    let (places, upright): (Vec<usize>, Vec<u64>) = hashes
        .iter()
        .enumerate()
        .filter_map(|(place, hashes)| hashes.map(|hashes| (place, hashes[0])))
        .unzip();
    let of_second = |at: usize| -> Vec<Candidate> {
        let second = places[at];
        let Some(turned) = hashes[second] else { return Vec::new() };
        let mut found = Vec::new();
        for (hash, first) in upright[..at].iter().zip(&places) {
            for (other, turn) in turned.iter().zip(Turn::ALL) {
                if (hash ^ other).count_ones() <= DISTANCE_MAX {
                    found.push(Candidate { first: *first, second, turn });
                }
            }
        }
        found
    };
    (0..places.len()).into_par_iter().flat_map_iter(of_second).collect()
}

/// For each square whether it is lighter than half of them are, of the image in all eight ways.
fn turned_hashes(fingerprint: &Fingerprint) -> [u64; Turn::ALL.len()] {
    let side = Fingerprint::SIDE_PX / SQUARES;
    let mut sums = [0_u32; SQUARES * SQUARES];
    for (y, row) in fingerprint.luma().chunks_exact(Fingerprint::SIDE_PX).enumerate() {
        for (x, square) in row.chunks_exact(side).enumerate() {
            let sum: u32 = square.iter().map(|level| u32::from(*level)).sum();
            sums[y / side * SQUARES + x] += sum;
        }
    }
    let mut sorted = sums;
    sorted.sort_unstable();
    let median = sorted[sums.len() / 2];
    Turn::ALL.map(|turn| {
        let turned = turn.of_square(&sums, SQUARES);
        turned.iter().rev().fold(0, |hash, sum| hash << 1 | u64::from(*sum >= median))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Quality;

    /// A picture without any symmetry, turned.
    fn picture(turn: Turn) -> Fingerprint {
        let side = Fingerprint::SIDE_PX;
        let level = |at: usize| {
            let (x, y) = (at % side, at / side);
            ((x * x / 12 + 3 * y) % 256) as u8
        };
        let upright: Vec<u8> = (0..side * side).map(level).collect();
        let quality = Quality { contrast: 0.2, ..Quality::default() };
        Fingerprint::new(turn.of_square(&upright, side), quality).expect("as many levels")
    }

    #[test]
    fn a_turned_image_is_a_candidate_with_the_turn_that_undoes_it() {
        let upright = picture(Turn::None);
        for turn in Turn::ALL {
            let turned = picture(turn);
            let found = by_hash(&[&upright, &turned]);
            let undone = found.iter().any(|candidate| {
                let back = candidate.turn.of_square(turned.luma(), Fingerprint::SIDE_PX);
                back == upright.luma()
            });
            assert!(undone, "{turn:?}: {found:?}");
        }
    }

    #[test]
    fn flat_images_are_no_candidates() {
        let luma = vec![90; Fingerprint::SIDE_PX * Fingerprint::SIDE_PX];
        let flat = Fingerprint::new(luma, Quality::default()).expect("as many levels");
        assert_eq!(by_hash(&[&flat, &flat]), []);
    }
}
