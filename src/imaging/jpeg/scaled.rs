//! Reads a JPEG straight to 1/8, 1/4 or 1/2 of its size: `docs/jpeg.md` explains how.
//!
//! What is taken is read strictly: each code must be valid, each scan must use up its data and
//! no more, and the end marker must be there. Everything else, damage included, gives `None`:
//! the library then reads the whole image, or says what is wrong with it.

use super::color;
use super::entropy::Entropy;
use super::frame::{Frame, Grid, ScanHeader};
use super::plane::Plane;
use super::progressive::{self, Coefficients};
use super::scale::Scale;
use super::segments::{END_OF_IMAGE, START_OF_IMAGE, START_OF_SCAN, Segments};
use super::sequential;
use super::tables::Tables;
use crate::imaging::{DecodeLimits, ImageFormat};
use crate::pixels::Pixels;

/// Reads an image of grey or YCbCr at the smallest scale that keeps the shorter side at
/// `side_min_px`; as stored, without its orientation.
///
/// Gives `None` for images that are left to the library.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, side_min_px: u32) -> Option<Pixels> {
    let mut segments = Segments::new(bytes);
    let mut tables = Tables::default();
    let mut image: Option<Image> = None;
    while let Some(segment) = segments.next() {
        match segment.marker {
            START_OF_IMAGE => {}
            END_OF_IMAGE => return image?.finish(),
            START_OF_SCAN => {
                let length =
                    image.as_mut()?.read_scan(segment.payload, segments.rest(), &mut tables)?;
                segments.skip_bytes(length);
            }
            // Later scans would need to know which steps were in force before.
            0xDB if image.as_ref().is_some_and(Image::has_started) => return None,
            0xC4 | 0xDB | 0xDD => tables.read(segment.marker, segment.payload)?,
            0xC0..=0xCF if image.is_none() => {
                let frame = Frame::read(segment.marker, segment.payload)?;
                image = Some(Image::new(frame, bytes.len(), limits, side_min_px)?);
            }
            // Second frames, and heights that come after the first scan.
            0xC0..=0xCF | 0xDC..=0xDF => return None,
            _ => {}
        }
    }
    None
}

/// An image that is being read.
struct Image {
    frame: Frame,
    scale: Scale,
    /// One for each component, from its first scan on.
    planes: Vec<Plane>,
    coefficients: Vec<Coefficients>,
    /// Which components a sequential image has given already.
    seen: Vec<bool>,
}

impl Image {
    fn new(
        frame: Frame,
        file_bytes: usize,
        limits: &DecodeLimits,
        side_min_px: u32,
    ) -> Option<Self> {
        let scale = Scale::smallest(frame.width_px, frame.height_px, side_min_px as usize)?;
        let image = Self {
            scale,
            planes: Vec::new(),
            coefficients: Vec::new(),
            seen: vec![false; frame.components.len()],
            frame,
        };
        let bytes = image.memory_bytes()? + file_bytes as u64;
        limits.check_memory(ImageFormat::Jpeg, bytes).ok()?;
        Some(image)
    }

    /// Gives the bytes of samples, of RGB pixels, and of coefficients if they must be kept.
    fn memory_bytes(&self) -> Option<u64> {
        let mut bytes = 0;
        for component in &self.frame.components {
            let samples = self.frame.block_samples(component, self.scale)?.cells() as u64;
            let kept = match (self.frame.is_progressive, samples) {
                (false, _) => 0,
                (true, 1) => 1,
                (true, _) => 64,
            };
            bytes += component.padded_blocks.cells() as u64 * (4 * samples + 2 * kept);
        }
        Some(bytes)
    }

    fn has_started(&self) -> bool {
        !self.planes.is_empty()
    }

    /// Reads the scan whose header is `header`, and gives the length of its data.
    fn read_scan(&mut self, header: &[u8], data: &[u8], tables: &mut Tables) -> Option<usize> {
        let scan = ScanHeader::read(header, &self.frame)?;
        if !self.has_started() {
            self.start(tables)?;
        }
        if self.frame.is_progressive && progressive::is_unneeded(&scan, &self.coefficients) {
            return Some(0);
        }
        let entropy = Entropy::read(data)?;
        if self.frame.is_progressive {
            progressive::read_scan(&self.frame, &scan, &entropy, tables, &mut self.coefficients)?;
        } else {
            for component in &scan.components {
                let seen = self.seen.get_mut(component.index)?;
                if std::mem::replace(seen, true) {
                    return None;
                }
            }
            sequential::read_scan(&self.frame, &scan, &entropy, tables, &mut self.planes)?;
        }
        Some(entropy.length)
    }

    fn start(&mut self, tables: &Tables) -> Option<()> {
        for (index, component) in self.frame.components.iter().enumerate() {
            let block = self.frame.block_samples(component, self.scale)?;
            let quantization = tables.quantization(component.quantization_index)?;
            let plane = Plane::new(component, block, quantization, last_kept(index > 0, block))?;
            if self.frame.is_progressive {
                self.coefficients.push(Coefficients::new(component, plane.fold()));
            }
            self.planes.push(plane);
        }
        Some(())
    }

    fn finish(mut self) -> Option<Pixels> {
        for (coefficients, plane) in self.coefficients.iter().zip(&mut self.planes) {
            coefficients.finish(plane)?;
        }
        if !self.frame.is_progressive && self.seen.contains(&false) {
            return None;
        }
        let width_px = self.scale.side_px(self.frame.width_px);
        let height_px = self.scale.side_px(self.frame.height_px);
        let rgb = color::to_rgb(&self.planes, width_px, height_px)?;
        Pixels::from_rgb(width_px as u32, height_px as u32, rgb)
    }
}

/// Gives the last coefficient that is read of a block, in zigzag order; those behind it are passed
/// over much faster, and add little to the average.
///
/// Measured on 89 photos at 1/4, mean and largest mean difference of a file to the box average:
/// .43 and .89 levels with all coefficients, .47 and .93 up to 24, .55 and 1.12 up to 13, .74 and
/// 1.57 up to 9. At 1/2 the 24 give .71 and 3.6, all .41 and 1.2. Color at half the size of
/// brightness, at 1/8: .38 and .62 with all, .41 and .81 up to 4.
fn last_kept(is_color: bool, block: Grid) -> usize {
    match (is_color, block.columns.max(block.rows)) {
        (true, 2) => 4,
        (true, 4) | (false, 2) => 24,
        _ => 63,
    }
}
