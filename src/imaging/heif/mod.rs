//! Reads HEIC and AVIF: one container, HEVC or AV1 inside.
//!
//! The container says how the image is cropped, turned and mirrored; that is applied here, and an
//! EXIF orientation beside it is not: the standard calls it informative only.

mod av1;
mod items;

use std::error::Error;

use heifer::heifer_isobmff::boxes::{ColorInfo, Property};
use heifer::heifer_isobmff::{Error as ContainerError, HeifFile};

use super::colour::{self, Profile};
use super::{DecodeLimits, ImageFormat, ImageHeader, ImagingError, flatten};
use crate::pixels::Pixels;

/// Planes of 16 bits in full resolution, the picture in RGBA, a turned copy of it, and RGB.
const BYTES_PER_PIXEL: u64 = 6 + 4 + 4 + 3;

/// Reads the header only.
pub(super) fn probe(format: ImageFormat, bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    header(format, &open(format, bytes)?)
}

/// Decodes to upright sRGB, on white where the image is transparent.
pub(super) fn decode(
    format: ImageFormat,
    bytes: &[u8],
    limits: &DecodeLimits,
) -> Result<Pixels, ImagingError> {
    let container = open(format, bytes)?;
    let header = header(format, &container)?;
    limits.check_pixels(&header)?;
    limits.check_memory(format, header.pixels().saturating_mul(BYTES_PER_PIXEL))?;
    let image = items::decode(format, &container, header.pixels())?;
    let rgb = flatten::over_white(&image.data);
    let pixels = Pixels::from_rgb(image.width, image.height, rgb)
        .ok_or_else(|| corrupt(format, "the image has no pixels"))?;
    Ok(match profile(&container) {
        Some(profile) => colour::to_srgb(pixels, &profile),
        None => pixels,
    })
}

/// Gives the TIFF structure of the EXIF fields.
pub(super) fn exif(bytes: &[u8]) -> Option<Vec<u8>> {
    let container = HeifFile::parse(bytes).ok()?;
    container.exif(container.primary_id).ok().flatten()
}

fn open(format: ImageFormat, bytes: &[u8]) -> Result<HeifFile<'_>, ImagingError> {
    HeifFile::parse(bytes).map_err(|error| container_error(format, error))
}

fn header(format: ImageFormat, container: &HeifFile<'_>) -> Result<ImageHeader, ImagingError> {
    let size = container.image_size(container.primary_id);
    let (width_px, height_px) = size
        .map_err(|error| container_error(format, error))?
        .ok_or_else(|| corrupt(format, "its main image has no size"))?;
    ImageHeader::new(format, width_px, height_px)
}

/// An ICC profile goes before code points, as the standard wants it.
fn profile<'a>(container: &'a HeifFile<'_>) -> Option<Profile<'a>> {
    let id = container.primary_id;
    if let Ok(Some(icc)) = container.icc_profile(id) {
        return Some(Profile::Icc(icc));
    }
    container.item_properties(id).ok()?.find_map(|property| match property {
        Property::Color(ColorInfo::Nclx { primaries, transfer, .. }) => Some(Profile::Coded {
            primaries: u8::try_from(*primaries).ok()?,
            transfer: u8::try_from(*transfer).ok()?,
        }),
        _ => None,
    })
}

fn container_error(format: ImageFormat, error: ContainerError) -> ImagingError {
    match error {
        ContainerError::UnexpectedEof => ImagingError::Truncated { format },
        ContainerError::Unimplemented(_) => {
            ImagingError::UnsupportedVariant { format, source: error.into() }
        }
        error => corrupt(format, error),
    }
}

fn corrupt(format: ImageFormat, source: impl Into<Box<dyn Error + Send + Sync>>) -> ImagingError {
    ImagingError::Corrupt { format, source: source.into() }
}

fn unsupported(
    format: ImageFormat,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> ImagingError {
    ImagingError::UnsupportedVariant { format, source: source.into() }
}
