//! The eight ways in which a square can lie.

use serde::Serialize;

/// How an image lies over another: turned by quarters, mirrored, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// As it is.
    None,
    /// Left and right exchanged.
    Mirrored,
    /// Upside down.
    HalfTurn,
    /// Upside down and mirrored: top and bottom exchanged.
    Flipped,
    /// A quarter clockwise.
    Clockwise,
    /// A quarter counterclockwise.
    Counterclockwise,
    /// Rows and columns exchanged.
    Transposed,
    /// Rows and columns exchanged, from the other corner.
    Transversed,
}

impl Turn {
    /// All eight, the likeliest first.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Mirrored,
        Self::HalfTurn,
        Self::Flipped,
        Self::Clockwise,
        Self::Counterclockwise,
        Self::Transposed,
        Self::Transversed,
    ];

    /// Where the pixel at `x`, `y` of the turned square comes from; `last` is the highest index.
    pub(crate) fn source(self, x: usize, y: usize, last: usize) -> (usize, usize) {
        match self {
            Self::None => (x, y),
            Self::Mirrored => (last - x, y),
            Self::HalfTurn => (last - x, last - y),
            Self::Flipped => (x, last - y),
            Self::Clockwise => (y, last - x),
            Self::Counterclockwise => (last - y, x),
            Self::Transposed => (y, x),
            Self::Transversed => (last - y, last - x),
        }
    }
}
