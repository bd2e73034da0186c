//! What two images are to each other.

use super::Thresholds;
use crate::imaging::{Alignment, Prepared, Turn, align, align_whole};
use crate::record::Fingerprint;

/// An image laid over another that it is a copy or an edit of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match {
    pub(super) alignment: Alignment,
    pub(super) is_edited: bool,
}

/// Part of the larger image that the smaller one must show to pass for the whole.
const WHOLE_SHARE_MIN: f32 = 0.97;
/// Change of contrast up to which levels are those of another file of the same picture.
const GAIN_CHANGE_MAX: f32 = 0.04;
/// Mean difference of levels up to which they are: JPEGs of quality 30 have .5 at most, a text laid
/// over an image makes .8 and more.
const DIFFERENCE_MAX: f32 = 0.7;

/// Says whether `second` is a copy or an edit of `first`: as a whole and turned as given, else, if
/// windows are looked for, a part of it or the other way round.
pub(super) fn compare(
    first: &Prepared,
    second: &Fingerprint,
    turn: Turn,
    windows: bool,
    thresholds: &Thresholds,
) -> Option<Match> {
    if turn != Turn::None {
        let turned = Prepared::turned(second, turn);
        let found = align_whole(first, &turned, thresholds.turned)?;
        return Some(Match { alignment: Alignment { turn, ..found }, is_edited: true });
    }
    let second = Prepared::new(second);
    if let Some(alignment) = align_whole(first, &second, thresholds.whole) {
        let is_edited = alignment.share < WHOLE_SHARE_MIN
            || (alignment.gain - 1.0).abs() > GAIN_CHANGE_MAX
            || alignment.difference > DIFFERENCE_MAX;
        return Some(Match { alignment, is_edited });
    }
    let alignment = if windows { align(first, &second, thresholds.cropped)? } else { return None };
    Some(Match { alignment, is_edited: true })
}
