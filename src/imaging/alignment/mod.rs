//! Lays one image over another, turned, mirrored or cropped, and says how far they agree.
//!
//! Works on the small copies of fingerprints.

mod plane;
mod refine;
mod structure;
mod turn;
mod windows;

use std::sync::OnceLock;

use crate::record::Fingerprint;
use plane::Plane;
use refine::{Map, Tone};
pub use turn::Turn;
use windows::{Candidate, Coarse};

/// A fingerprint made ready for comparisons; what windows are looked for with is made on demand.
pub struct Prepared {
    fine: Plane,
    medium: Plane,
    coarse: OnceLock<Coarse>,
}

/// How one image lies over another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// How far they show the same thing, -1 to 1: .98 and more for copies and edits, seldom more
    /// than .8 for other pictures.
    pub agreement: f32,
    /// How the second image is turned to lie over the first.
    pub turn: Turn,
    /// The part of the larger picture that the smaller one shows: 1 unless one is a crop.
    pub share: f32,
    /// Mean difference of the levels, 0 to 255, once gain and offset are taken out.
    pub difference: f32,
    /// Contrast of the second image for that of the first.
    pub gain: f32,
}

impl Prepared {
    /// Prepares a fingerprint.
    pub fn new(fingerprint: &Fingerprint) -> Self {
        Self::of(Plane::of(fingerprint))
    }

    fn of(plane: Plane) -> Self {
        let fine = plane.smoothed();
        let medium = fine.reduced(fine.side / 2);
        Self { fine, medium, coarse: OnceLock::new() }
    }

    /// A fingerprint of the same image, turned or mirrored.
    pub fn turned(fingerprint: &Fingerprint, by: Turn) -> Self {
        Self::of(Plane::of(fingerprint).turned(by))
    }

    fn coarse(&self) -> &Coarse {
        self.coarse.get_or_init(|| Coarse::of(&self.medium))
    }
}

/// Coarse correlation below which a window is not followed.
const CORRELATION_MIN: f32 = 0.5;
/// Windows that are followed.
const WINDOWS: usize = 3;

/// What agreement at half the size falls short of the final one by at most, of two images that are
/// the same: where a window begins, and where it was moved to. Of 1,200 edits of ten kinds one is
/// missed by this that would be found else, a photo half covered by a mark.
const HALF_SHORT: f32 = 0.65;

/// Lays `second` over `first` as it is: whole over whole. `None` when they do not agree by `least`,
/// as most pairs are seen to do at a tenth of the cost; -1 has every agreement found out.
pub fn align_whole(first: &Prepared, second: &Prepared, least: f32) -> Option<Alignment> {
    judged(first, second, Map::WHOLE, least)
}

/// Looks for one of two images in the other: the best of all windows, the whole among them. `None`
/// as for [`align_whole`].
pub fn align(first: &Prepared, second: &Prepared, least: f32) -> Option<Alignment> {
    let inside = windows::find(first.coarse(), second.coarse(), WINDOWS);
    let around = windows::find(second.coarse(), first.coarse(), WINDOWS);
    let is_likely = |window: &&Candidate| window.correlation >= CORRELATION_MIN;
    let inside = inside.iter().filter(is_likely);
    let around = around.iter().filter(is_likely);
    inside
        .filter_map(|window| judged(first, second, window.map, least))
        .chain(around.filter_map(|window| {
            let found = judged(second, first, window.map, least)?;
            Some(Alignment { gain: 1.0 / found.gain, ..found })
        }))
        .max_by(|a, b| a.agreement.total_cmp(&b.agreement))
}

fn judged(whole: &Prepared, part: &Prepared, start: Map, least: f32) -> Option<Alignment> {
    let tone = Tone { gain: 1.0, offset: 0.0 };
    let falls_short = |map: &Map, tone: Tone| {
        let under = refine::sample(&whole.medium, map);
        structure::agreement(&under, &part.medium.levels, tone.gain, whole.medium.side)
            .is_some_and(|agreement| agreement < least - HALF_SHORT)
    };
    if falls_short(&start, tone) {
        return None;
    }
    let (map, tone) = refine::refine(&whole.medium, &part.medium, start, tone, 4)?;
    if falls_short(&map, tone) {
        return None;
    }
    let (map, tone) = refine::refine(&whole.fine, &part.fine, map, tone, 4)?;
    let under = refine::sample(&whole.fine, &map);
    let agreement = structure::agreement(&under, &part.fine.levels, tone.gain, whole.fine.side)?;
    let differences = under
        .iter()
        .zip(&part.fine.levels)
        .map(|(under, level)| (level - tone.gain * under - tone.offset).abs())
        .filter(|difference| difference.is_finite());
    let (sum, count) =
        differences.fold((0.0, 0_u32), |(sum, count), difference| (sum + difference, count + 1));
    let difference = sum / count.max(1) as f32;
    let share = (map.scale_x.min(1.0) * map.scale_y.min(1.0)).min(1.0);
    let found = Alignment { agreement, turn: Turn::None, share, difference, gain: tone.gain };
    Some(found).filter(|found| found.agreement >= least)
}
