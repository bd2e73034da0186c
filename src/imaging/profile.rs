//! Finds the ICC profile inside a file.

use std::borrow::Cow;

use super::{ImageFormat, jpeg, library, raw, tiff};

/// Gives the ICC profile of a file whose decoder does not apply it itself.
///
/// Costs a walk over the header; for PNG also the unpacking of the profile.
pub(super) fn embedded(format: ImageFormat, bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    match format {
        ImageFormat::Jpeg => jpeg_profile(bytes),
        ImageFormat::Raw => jpeg_profile(raw::preview(bytes)?),
        ImageFormat::Png | ImageFormat::WebP => library::icc_profile(format, bytes).map(Cow::Owned),
        ImageFormat::Tiff => tiff::colour_profile(bytes).map(Cow::Borrowed),
        // GIF and BMP carry none; the decoders of the others apply theirs.
        ImageFormat::Gif
        | ImageFormat::Bmp
        | ImageFormat::Avif
        | ImageFormat::Heic
        | ImageFormat::JpegXl => None,
    }
}

/// Joins the parts of the profile: a segment holds at most 64 KB, and each part says which it is.
fn jpeg_profile(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut parts: Vec<(u8, &[u8])> = Vec::new();
    for payload in jpeg::application_data(bytes, 2) {
        if let Some([number, _count, part @ ..]) = payload.strip_prefix(b"ICC_PROFILE\0") {
            parts.push((*number, part));
        }
    }
    parts.sort_by_key(|(number, _)| *number);
    match parts.as_slice() {
        [] => None,
        [(_, whole)] => Some(Cow::Borrowed(whole)),
        parts => Some(parts.iter().flat_map(|(_, part)| *part).copied().collect()),
    }
}
