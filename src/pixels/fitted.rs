//! An image brought to the square that a network takes, and the way back.

use super::Pixels;

/// How a whole image becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// Stretched, whatever its shape.
    Squashed,
    /// At its own shape in the upper left corner; the rest has this level in all channels.
    TopLeft {
        /// The level, 0 to 255.
        level: u8,
    },
    /// At its own shape in the upper left corner, but no larger than these sides allow; the rest
    /// has one color.
    Framed {
        /// The shorter side of the image on the square, unless the longer one would be too long.
        short_px: u32,
        /// The longer side at most; no more than the square's.
        long_px: u32,
        /// Red, green and blue, 0 to 255.
        color: [u8; 3],
    },
}

/// A square with a whole image on it.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The square.
    pub pixels: Pixels,
    /// Width of the whole image.
    pub width_px: u32,
    /// Height of the whole image.
    pub height_px: u32,
    /// Pixels of the whole image for a pixel of the square, across.
    pub scale_across: f32,
    /// Pixels of the whole image for a pixel of the square, down.
    pub scale_down: f32,
}
