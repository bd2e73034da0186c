//! The eight ways in which a square can lie.

use serde::Serialize;

use crate::imaging::orient::orient_square;

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

    /// Turns a square of values, row by row.
    ///
    /// # Panics
    /// When there are not `side * side` of them.
    pub fn of_square<T: Copy>(self, square: &[T], side: usize) -> Vec<T> {
        orient_square(square, side, self.orientation())
    }

    /// The EXIF orientation that a viewer undoes in this way.
    fn orientation(self) -> u8 {
        match self {
            Self::None => 1,
            Self::Mirrored => 2,
            Self::HalfTurn => 3,
            Self::Flipped => 4,
            Self::Transposed => 5,
            Self::Clockwise => 6,
            Self::Transversed => 7,
            Self::Counterclockwise => 8,
        }
    }
}
