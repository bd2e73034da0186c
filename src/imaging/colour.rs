//! Brings pixels of any colour profile to sRGB.
//!
//! A profile that is damaged, or of a colour space that the pixels are not in, is ignored, as
//! viewers do. Conversions are kept: cameras write the same profile into every file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    TransferCharacteristics, Transform8BitExecutor, TransformOptions,
};

use crate::pixels::Pixels;

/// Says in which colours the pixels of a file are meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Profile<'a> {
    /// An ICC profile as it lies in the file.
    Icc(&'a [u8]),
    /// Code points of ITU-T H.273.
    Coded {
        /// 1 for sRGB, 12 for Display P3, 9 for BT.2020.
        primaries: u8,
        /// 13 for sRGB; 16 and 18 for the HDR curves PQ and HLG, which are left alone.
        transfer: u8,
    },
}

/// Converts pixels to sRGB, 8 bits in and out, relative colorimetric unless the profile has
/// tables.
///
/// Costs a hash of the profile if it is sRGB and was met before, else a pass over the pixels; and
/// once for each new profile the set-up of the conversion.
pub(super) fn to_srgb(pixels: Pixels, profile: &Profile<'_>) -> Pixels {
    match &*conversion(profile) {
        Conversion::Nothing => pixels,
        Conversion::Grey(levels) => map_grey(pixels, levels),
        Conversion::Rgb(transform) => map_rgb(pixels, &**transform),
    }
}

/// What to do with the pixels of a profile.
enum Conversion {
    Nothing,
    /// The sRGB level of each grey level of the file.
    Grey(Box<[u8; 256]>),
    Rgb(Arc<Transform8BitExecutor>),
}

/// Conversions that are kept, the latest first.
const KEPT: usize = 16;

/// A conversion with the digest of its profile.
type Kept = ([u8; 32], Arc<Conversion>);

fn conversion(profile: &Profile<'_>) -> Arc<Conversion> {
    static CACHE: Mutex<Vec<Kept>> = Mutex::new(Vec::new());
    let digest = match profile {
        Profile::Icc(icc) => *blake3::hash(icc).as_bytes(),
        Profile::Coded { primaries, transfer } => {
            *blake3::hash(&[*primaries, *transfer]).as_bytes()
        }
    };
    // Nothing that could panic runs while the lock is held.
    let lock = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, known)) = lock().iter().find(|(known, _)| *known == digest) {
        return known.clone();
    }
    // The parser is foreign code over hostile bytes; a panic in it must not lose the image.
    let made =
        catch_unwind(AssertUnwindSafe(|| parse(profile).and_then(|parsed| prepare(&parsed))));
    let made = Arc::new(made.ok().flatten().unwrap_or(Conversion::Nothing));
    let mut cache = lock();
    cache.truncate(KEPT - 1);
    cache.insert(0, (digest, made.clone()));
    made
}

fn parse(profile: &Profile<'_>) -> Option<ColorProfile> {
    match profile {
        Profile::Icc(icc) => ColorProfile::new_from_slice(icc).ok(),
        Profile::Coded { primaries, transfer } => {
            let transfer = TransferCharacteristics::try_from(*transfer).ok()?;
            // The curves of HDR need a choice of what is cut off; the pixels are left alone.
            // Unspecified curves and primaries are those of sRGB.
            let is_plain = !matches!(
                transfer,
                TransferCharacteristics::Smpte2084
                    | TransferCharacteristics::Hlg
                    | TransferCharacteristics::Unspecified
                    | TransferCharacteristics::Reserved
            );
            let color_primaries = CicpColorPrimaries::try_from(*primaries).ok()?;
            let is_known = !matches!(
                color_primaries,
                CicpColorPrimaries::Unspecified | CicpColorPrimaries::Reserved
            );
            // BT.601 and BT.709 describe video; what such files hold was made as sRGB.
            let transfer_characteristics = match transfer {
                TransferCharacteristics::Bt709 | TransferCharacteristics::Bt601 => {
                    TransferCharacteristics::Srgb
                }
                other => other,
            };
            (is_plain && is_known).then(|| {
                ColorProfile::new_from_cicp(CicpProfile {
                    color_primaries,
                    transfer_characteristics,
                    matrix_coefficients: MatrixCoefficients::Identity,
                    full_range: true,
                })
            })
        }
    }
}

/// Colours differ by this much, in levels, through rounding alone.
const ROUNDING: u8 = 1;

fn prepare(profile: &ColorProfile) -> Option<Conversion> {
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    match profile.color_space {
        DataColorSpace::Gray => {
            let transform =
                profile.create_transform_8bit(Layout::Gray, &srgb, Layout::Rgb, options).ok()?;
            let source: Vec<u8> = (0..=255).collect();
            let mut target = [0; 256 * 3];
            transform.transform(&source, &mut target).ok()?;
            let mut levels = Box::new([0; 256]);
            for (level, rgb) in levels.iter_mut().zip(target.as_chunks::<3>().0) {
                *level = rgb[1];
            }
            let is_same = source.iter().zip(levels.iter()).all(|(a, b)| a.abs_diff(*b) <= ROUNDING);
            Some(if is_same { Conversion::Nothing } else { Conversion::Grey(levels) })
        }
        DataColorSpace::Rgb => {
            let transform =
                profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options).ok()?;
            let source = colour_grid();
            let mut target = vec![0; source.len()];
            transform.transform(&source, &mut target).ok()?;
            let is_same = source.iter().zip(&target).all(|(a, b)| a.abs_diff(*b) <= ROUNDING);
            Some(if is_same { Conversion::Nothing } else { Conversion::Rgb(transform) })
        }
        _ => None,
    }
}

/// 9 x 9 x 9 colours over the whole cube.
fn colour_grid() -> Vec<u8> {
    let levels = || (0..9_u32).map(|step| (step * 255 / 8) as u8);
    levels()
        .flat_map(|red| {
            levels().flat_map(move |green| levels().map(move |blue| [red, green, blue]))
        })
        .flatten()
        .collect()
}

fn map_rgb(pixels: Pixels, transform: &Transform8BitExecutor) -> Pixels {
    const CHUNK_BYTES: usize = 3 * 8192;
    let (width_px, height_px) = (pixels.width_px(), pixels.height_px());
    let mut rgb = pixels.into_rgb();
    let mut source = Vec::with_capacity(CHUNK_BYTES);
    for chunk in rgb.chunks_mut(CHUNK_BYTES) {
        source.clear();
        source.extend_from_slice(chunk);
        // Only buffers of unequal lengths fail, and these are of one.
        if transform.transform(&source, chunk).is_err() {
            chunk.copy_from_slice(&source);
        }
    }
    Pixels::from_rgb(width_px, height_px, rgb).expect("the buffer has its length still")
}

fn map_grey(pixels: Pixels, levels: &[u8; 256]) -> Pixels {
    let is_grey = |pixel: &[u8; 3]| pixel[0] == pixel[1] && pixel[1] == pixel[2];
    if !pixels.rgb().as_chunks().0.iter().all(is_grey) {
        return pixels;
    }
    let (width_px, height_px) = (pixels.width_px(), pixels.height_px());
    let mut rgb = pixels.into_rgb();
    for value in &mut rgb {
        *value = levels[usize::from(*value)];
    }
    Pixels::from_rgb(width_px, height_px, rgb).expect("the buffer has its length still")
}
