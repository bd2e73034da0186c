//! Decoded images in memory: what `imaging` gives and `inference` takes.

use std::fmt;

mod fitted;

pub use fitted::{Fitted, Fitting};

/// Names how files become the pixels that networks see: a part of the preprocessing of a space,
/// for embeddings of images that were read otherwise are not quite the same.
///
/// To be changed whenever [`decode_at_least`](crate::imaging::decode_at_least) gives other pixels.
pub const READING: &str =
    "profiles to sRGB, JPEG by box average to the least of 1/8, 1/4, 1/2 that suffices";

/// Holds one image as 8-bit sRGB: rows top to bottom, pixels left to right, 3 bytes a pixel.
///
/// Both sides are at least 1 px, and the buffer is exactly `width_px * height_px * 3` bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Pixels {
    width_px: u32,
    height_px: u32,
    rgb: Vec<u8>,
}

impl Pixels {
    /// Takes over a buffer of `width_px * height_px * 3` bytes, without a copy.
    ///
    /// Gives `None` when a side is 0 or the buffer has another length.
    ///
    /// # Examples
    /// ```
    /// use lookalike::pixels::Pixels;
    /// let red = Pixels::from_rgb(2, 1, vec![255, 0, 0, 255, 0, 0]).expect("two pixels");
    /// assert_eq!(red.width_px(), 2);
    /// assert!(Pixels::from_rgb(2, 2, vec![0; 3]).is_none());
    /// ```
    #[must_use]
    pub fn from_rgb(width_px: u32, height_px: u32, rgb: Vec<u8>) -> Option<Self> {
        // u64 first: on a 32-bit machine the product of two sides may not fit a usize.
        let pixels = u64::from(width_px) * u64::from(height_px);
        let fits = pixels > 0 && pixels.checked_mul(3) == u64::try_from(rgb.len()).ok();
        fits.then_some(Self { width_px, height_px, rgb })
    }

    /// Gives the width, at least 1.
    #[must_use]
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Gives the height, at least 1.
    #[must_use]
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Gives the bytes: red, green, blue of the top left pixel first.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Gives the bytes to be changed.
    #[must_use]
    pub fn rgb_mut(&mut self) -> &mut [u8] {
        &mut self.rgb
    }

    /// Gives the buffer away, without a copy.
    #[must_use]
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

// By hand: the derived form would print every byte of the image.
impl fmt::Debug for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pixels({} x {} px)", self.width_px, self.height_px)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_of_another_length_is_refused() {
        assert!(Pixels::from_rgb(2, 3, vec![0; 18]).is_some());
        assert!(Pixels::from_rgb(2, 3, vec![0; 17]).is_none());
        assert!(Pixels::from_rgb(2, 3, vec![0; 19]).is_none());
    }

    #[test]
    fn an_empty_side_is_refused() {
        assert!(Pixels::from_rgb(0, 3, Vec::new()).is_none());
        assert!(Pixels::from_rgb(3, 0, Vec::new()).is_none());
    }

    #[test]
    fn sides_whose_product_overflows_are_refused() {
        assert!(Pixels::from_rgb(u32::MAX, u32::MAX, vec![0; 3]).is_none());
    }

    #[test]
    fn debug_output_leaves_out_the_bytes() {
        let pixels = Pixels::from_rgb(1, 1, vec![1, 2, 3]).unwrap();
        assert_eq!(format!("{pixels:?}"), "Pixels(1 x 1 px)");
    }
}
