//! One AV1 picture, through the decoder of the dav1d family, as planes for the conversion to RGB.

use heifer::heifer_hevc_dec::recon::Frame;
use re_rav1d::dav1d::pixel::YUVRange;
use re_rav1d::dav1d::{Decoder, Error, Picture, PixelLayout, PlanarImageComponent, Settings};

use super::{ImageFormat, ImagingError, corrupt, unsupported};

const FORMAT: ImageFormat = ImageFormat::Avif;

/// Frames that the data of one picture may hold: one, or several layers of growing quality.
const FRAMES_MAX: usize = 8;

/// Decodes the first picture of the data of an item.
pub(super) fn decode(data: Vec<u8>, pixels_max: u64) -> Result<Frame, ImagingError> {
    if data.is_empty() {
        // The decoder ends the program for it.
        return Err(ImagingError::Truncated { format: FORMAT });
    }
    if frames(&data) > FRAMES_MAX {
        return Err(unsupported(FORMAT, "a picture of many hidden frames"));
    }
    let mut settings = Settings::new();
    // Files are decoded side by side already.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(pixels_max).unwrap_or(u32::MAX).max(1));
    let mut decoder = Decoder::with_settings(&settings).map_err(error_from)?;
    let picture = first_picture(&mut decoder, data).map_err(error_from)?;
    frame_of(&picture).ok_or_else(|| corrupt(FORMAT, "planes of an impossible size"))
}

fn first_picture(decoder: &mut Decoder, data: Vec<u8>) -> Result<Picture, Error> {
    let mut sent = decoder.send_data(data, None, None, None);
    // Each round takes a picture or consumes a frame, of which there are few.
    for _ in 0..=FRAMES_MAX {
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(Error::Again) => match sent {
                Err(Error::Again) => sent = decoder.send_pending_data(),
                other => other?,
            },
            Err(error) => return Err(error),
        }
    }
    Err(Error::InvalidArgument)
}

fn error_from(error: Error) -> ImagingError {
    match error {
        // The data ended before a picture was complete.
        Error::Again => ImagingError::Truncated { format: FORMAT },
        Error::UnsupportedBitstream => unsupported(FORMAT, error),
        error => corrupt(FORMAT, error),
    }
}

/// Counts the units that begin a frame; damaged data count as far as they can be read.
fn frames(mut data: &[u8]) -> usize {
    const FRAME_HEADER: u8 = 3;
    const FRAME: u8 = 6;
    let mut count = 0;
    while let Some((header, rest)) = data.split_first() {
        let kind = (header >> 3) & 15;
        count += usize::from(kind == FRAME_HEADER || kind == FRAME);
        let (has_extension, has_size) = (header & 4 != 0, header & 2 != 0);
        let Some(rest) = rest.get(usize::from(has_extension)..) else { break };
        let Some((size, rest)) = (if has_size { number(rest) } else { None }) else { break };
        let Some(rest) = rest.get(size..) else { break };
        data = rest;
    }
    count
}

/// A number of 7 bits a byte, the lowest first, and what follows it.
fn number(data: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in data.iter().enumerate().take(8) {
        value |= u64::from(byte & 127) << (7 * index);
        if byte & 128 == 0 {
            return Some((usize::try_from(value).ok()?, &data[index + 1..]));
        }
    }
    None
}

fn frame_of(picture: &Picture) -> Option<Frame> {
    let (width, height) = (picture.width(), picture.height());
    let (chroma_format, across, down) = match picture.pixel_layout() {
        PixelLayout::I400 => (0, 1, 1),
        PixelLayout::I420 => (1, 2, 2),
        PixelLayout::I422 => (2, 2, 1),
        PixelLayout::I444 => (3, 1, 1),
    };
    // The conversion tells the sampling from the ratio of the sides, which must be whole.
    let luma = [width.next_multiple_of(across), height.next_multiple_of(down)];
    let chroma = [luma[0] / across, luma[1] / down];
    let is_full = picture.color_range() == YUVRange::Full;
    let depth = u8::try_from(picture.bit_depth()).ok().filter(|bits| (8..=12).contains(bits))?;
    let mut luma_plane = plane(picture, PlanarImageComponent::Y, [width, height], luma)?;
    let chroma_planes = if chroma_format == 0 {
        if !is_full {
            stretch(&mut luma_plane, depth);
        }
        [Vec::new(), Vec::new()]
    } else {
        let stored = [width.div_ceil(across), height.div_ceil(down)];
        [
            plane(picture, PlanarImageComponent::U, stored, chroma)?,
            plane(picture, PlanarImageComponent::V, stored, chroma)?,
        ]
    };
    let [first, second] = chroma_planes;
    let [chroma_width, chroma_height] = if chroma_format == 0 { [0, 0] } else { chroma };
    Some(Frame {
        widths: [luma[0], chroma_width, chroma_width],
        heights: [luma[1], chroma_height, chroma_height],
        planes: [luma_plane, first, second],
        bit_depth: [depth; 2],
        chroma_format,
        full_range: is_full,
        matrix_coeffs: picture.matrix_coefficients() as u8,
    })
}

/// Copies a plane, its last column and row repeated up to `padded` sides.
fn plane(
    picture: &Picture,
    component: PlanarImageComponent,
    [width, height]: [u32; 2],
    [padded_width, padded_height]: [u32; 2],
) -> Option<Vec<u16>> {
    let data = picture.plane(component);
    let (width, sample_bytes) = (width as usize, if picture.bit_depth() == 8 { 1 } else { 2 });
    // The stride is in bytes, whatever the documentation of the decoder says.
    let stride = picture.stride(component) as usize;
    let mut samples = Vec::with_capacity(padded_width as usize * padded_height as usize);
    for y in 0..padded_height {
        let row = data.get(y.min(height.checked_sub(1)?) as usize * stride..)?;
        let row = row.get(..width * sample_bytes)?;
        if sample_bytes == 1 {
            samples.extend(row.iter().map(|sample| u16::from(*sample)));
        } else {
            samples.extend(row.as_chunks().0.iter().map(|sample| u16::from_ne_bytes(*sample)));
        }
        let last = *samples.last()?;
        samples.resize(samples.len() + padded_width as usize - width, last);
    }
    Some(samples)
}

/// Brings the luma of the range of video, 16 to 235, to the full range; grey pictures only, for
/// the conversion of the others knows the ranges.
fn stretch(samples: &mut [u16], depth: u8) {
    let scale = 1_u32 << (depth - 8);
    let full = (1_u32 << depth) - 1;
    for sample in samples {
        let above_black = u32::from(*sample).saturating_sub(16 * scale);
        *sample = (above_black * full / (219 * scale)).min(full) as u16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_damaged_sizes_end_the_count() {
        let (temporal, frame): (&[u8], &[u8]) = (b"\x12\x00", b"\x32\x03abc");
        assert_eq!(frames(&[temporal, frame, frame].concat()), 2);
        assert_eq!(frames(b"\x32\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x32\x00"), 1);
        assert_eq!(frames(b""), 0);
    }

    #[test]
    fn no_data_at_all_are_an_error() {
        let error = decode(Vec::new(), 100).unwrap_err();
        assert!(matches!(error, ImagingError::Truncated { .. }), "{error:?}");
    }

    #[test]
    fn many_hidden_frames_are_refused_before_any_is_decoded() {
        let hidden = b"\x32\x00".repeat(FRAMES_MAX + 1);
        let error = decode(hidden, 100).unwrap_err();
        assert!(matches!(error, ImagingError::UnsupportedVariant { .. }), "{error:?}");
    }

    #[test]
    fn the_range_of_video_becomes_the_full_range() {
        for depth in [8, 10, 12] {
            let scale = 1 << (depth - 8);
            let mut samples = [0, 16 * scale, 235 * scale, 255 * scale];
            stretch(&mut samples, depth);
            let full = (1 << depth) - 1;
            assert_eq!(samples, [0, 0, full, full]);
        }
    }
}
