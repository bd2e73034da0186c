//! Turns the bytes of an image file into upright 8-bit sRGB pixels, and those into the squares that networks take.
//!
//! Pure functions over bytes: no files, no clocks, no threads. A file that cannot be read is an
//! [`ImagingError`] that says why, never a panic.

mod alignment;
mod collage;
mod colour;
mod decode;
mod draw;
mod edits;
mod error;
mod exif;
mod fingerprint;
mod flatten;
mod foreign;
mod format;
mod heif;
mod jpeg;
mod jpeg_xl;
mod library;
mod limits;
mod orient;
mod profile;
mod raw;
mod resize;
#[cfg(test)]
mod sample;
mod thumbnail;
mod tiff;

pub use alignment::{Alignment, Prepared, Turn, align, align_whole};
pub use collage::Collage;
pub use decode::{DecodedImage, ImageHeader, decode, decode_at_least, probe};
pub use draw::{beside, draw_box, draw_heat, encode_png};
pub use edits::Edit;
pub use error::ImagingError;
pub use exif::{CaptureTime, ExifSummary, read_exif};
pub use fingerprint::fingerprint;
pub use format::{ImageFormat, is_image_start};
pub use limits::DecodeLimits;
pub use orient::orient;
pub use resize::{cut_out, fit, side_needed_px, squash};
pub use thumbnail::{thumbnail, thumbnail_of};

/// Raised whenever a file that could not be read before can be read now, so that it is tried again.
pub const READER_VERSION: u32 = 2;
