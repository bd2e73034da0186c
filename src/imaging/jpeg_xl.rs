//! Reads JPEG XL, through `jxl-oxide`.
//!
//! The decoder turns the image upright, and brings the colours of most files to sRGB itself; what
//! was stored in the colours of an ICC profile is converted by that.

use std::error::Error;

use jxl_oxide::{
    AllocTracker, AuxBoxData, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool,
    RenderingIntent,
};

use super::colour::{self, Profile};
use super::{DecodeLimits, ImageFormat, ImageHeader, ImagingError, flatten};
use crate::pixels::Pixels;

const FORMAT: ImageFormat = ImageFormat::JpegXl;

/// Layers and references that the first image of a file may be made of.
const LAYERS_MAX: usize = 64;

/// Three channels of floats, twice, and the output before and after it is put on white. The
/// decoder counts what it takes beyond that, up to the limit.
const BYTES_PER_PIXEL: u64 = 2 * 3 * 4 + 4 + 3;

/// Reads the header only.
pub(super) fn probe(bytes: &[u8]) -> Result<ImageHeader, ImagingError> {
    header(&open(bytes, &DecodeLimits::default())?)
}

/// Decodes to upright sRGB, on white where the image is transparent.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Pixels, ImagingError> {
    let mut image = open(bytes, limits)?;
    let header = header(&image)?;
    limits.check_pixels(&header)?;
    limits.check_memory(FORMAT, header.pixels().saturating_mul(BYTES_PER_PIXEL))?;
    if !image.is_loading_done() {
        return Err(ImagingError::Truncated { format: FORMAT });
    }
    if image.num_loaded_frames().saturating_sub(image.num_loaded_keyframes()) > LAYERS_MAX {
        return Err(unsupported("an image of many layers"));
    }
    let has_own_colours =
        image.original_icc().is_some() && !image.image_header().metadata.xyb_encoded;
    if !has_own_colours {
        image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Relative));
    }
    let pixels = render(&image)?;
    Ok(if has_own_colours {
        colour::to_srgb(pixels, &Profile::Icc(&image.rendered_icc()))
    } else {
        pixels
    })
}

/// Gives the TIFF structure of the EXIF fields.
pub(super) fn exif(bytes: &[u8]) -> Option<Vec<u8>> {
    let image = open(bytes, &DecodeLimits::default()).ok()?;
    let AuxBoxData::Data(exif) = image.aux_boxes().first_exif().ok()? else { return None };
    exif.payload().get(exif.tiff_header_offset() as usize..).map(<[u8]>::to_vec)
}

fn open(bytes: &[u8], limits: &DecodeLimits) -> Result<JxlImage, ImagingError> {
    let memory_bytes = usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX);
    let mut image = JxlImage::builder()
        // Files are decoded side by side already.
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(memory_bytes))
        .build_uninit();
    image.feed_bytes(bytes).map_err(corrupt)?;
    match image.try_init().map_err(corrupt)? {
        InitializeResult::Initialized(mut image) => {
            // Boxes that are cut off end here; the pixels do not need them.
            let _ = image.finalize();
            Ok(image)
        }
        InitializeResult::NeedMoreData(_) => Err(ImagingError::Truncated { format: FORMAT }),
    }
}

fn header(image: &JxlImage) -> Result<ImageHeader, ImagingError> {
    ImageHeader::new(FORMAT, image.width(), image.height())
}

fn render(image: &JxlImage) -> Result<Pixels, ImagingError> {
    if image.pixel_format().has_black() {
        return Err(unsupported("the inks of a printer instead of red, green and blue"));
    }
    let frame = image.render_frame(0).map_err(corrupt)?;
    let mut stream = frame.stream();
    let (width_px, height_px, channels) = (stream.width(), stream.height(), stream.channels());
    let pixels = width_px as usize * height_px as usize;
    let mut samples = vec![0_u8; pixels * channels as usize];
    stream.write_to_buffer(&mut samples);
    let rgb = match channels {
        1 => samples.iter().flat_map(|grey| [*grey; 3]).collect(),
        2 => {
            let rgba = samples
                .as_chunks()
                .0
                .iter()
                .flat_map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]);
            flatten::over_white(&rgba.collect::<Vec<u8>>())
        }
        3 => samples,
        _ => flatten::over_white(&samples),
    };
    Pixels::from_rgb(width_px, height_px, rgb)
        .ok_or_else(|| corrupt("the decoder gave a buffer of another size".into()))
}

fn corrupt(source: Box<dyn Error + Send + Sync>) -> ImagingError {
    ImagingError::Corrupt { format: FORMAT, source }
}

fn unsupported(variant: &'static str) -> ImagingError {
    ImagingError::UnsupportedVariant { format: FORMAT, source: variant.into() }
}
