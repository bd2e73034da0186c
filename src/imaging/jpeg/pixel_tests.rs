//! Compares reduced images with the box average of the whole image as the library decodes it.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::super::sample::noise;
use super::{DecodeLimits, decode, scaled};
use crate::imaging::jpeg::scale::Scale;
use crate::pixels::Pixels;

const SCALES: [Scale; 3] = [Scale::Eighth, Scale::Quarter, Scale::Half];

/// A scene with slopes, edges and fine grain, of colors as photos have them: the library smooths
/// coarse colors between blocks, which shows where they change abruptly.
fn scene(width_px: usize, height_px: usize) -> Vec<u8> {
    let grain = noise(width_px as u32, height_px as u32);
    let mut rgb = Vec::new();
    for y in 0..height_px {
        for x in 0..width_px {
            let (across, down) = (x as f32 / 23.0, y as f32 / 17.0);
            let edge = if (x / 29 + y / 37) % 3 == 0 { 60.0 } else { 0.0 };
            let grain = f32::from(grain.get_pixel(x as u32, y as u32)[0]) / 16.0;
            let light = (across * 1.3 + down).sin() * 70.0 + edge + grain + 80.0;
            let tint = |phase: f32| (across * 0.5 - down * 0.4 + phase).sin() * 30.0;
            let levels = [tint(0.0), tint(2.0), tint(4.0)];
            rgb.extend(levels.map(|tint| (light + tint).clamp(0.0, 255.0) as u8));
        }
    }
    rgb
}

struct Case {
    width_px: usize,
    height_px: usize,
    quality: u8,
    sampling: SamplingFactor,
    /// Scans of a progressive file; 0 for a sequential one.
    scans: u8,
    restart_interval: u16,
    optimized: bool,
}

impl Case {
    fn new(width_px: usize, height_px: usize, sampling: SamplingFactor) -> Self {
        Self {
            width_px,
            height_px,
            quality: 88,
            sampling,
            scans: 0,
            restart_interval: 0,
            optimized: false,
        }
    }

    fn encode(&self, color: ColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, self.quality);
        encoder.set_sampling_factor(self.sampling);
        encoder.set_optimized_huffman_tables(self.optimized);
        encoder.set_restart_interval(self.restart_interval);
        if self.scans > 0 {
            encoder.set_progressive_scans(self.scans);
        }
        let mut data = scene(self.width_px, self.height_px);
        if color == ColorType::Luma {
            data = data.iter().copied().step_by(3).collect();
        }
        encoder.encode(&data, self.width_px as u16, self.height_px as u16, color).unwrap();
        bytes
    }

    fn name(&self) -> String {
        let Self { width_px, height_px, quality, sampling, scans, restart_interval, .. } = self;
        format!(
            "{width_px} x {height_px}, quality {quality}, {sampling:?}, {scans} scans, restart {restart_interval}"
        )
    }
}

/// The average of the pixels that become one, at the borders of those that there are.
fn box_average(whole: &Pixels, scale: Scale) -> Vec<f64> {
    let side = 8 / scale.block_side();
    let (width, height) = (whole.width_px() as usize, whole.height_px() as usize);
    let mut averages = Vec::new();
    for top in (0..height).step_by(side) {
        for left in (0..width).step_by(side) {
            let (right, bottom) = (width.min(left + side), height.min(top + side));
            for channel in 0..3 {
                let values = (top..bottom)
                    .flat_map(|y| (left..right).map(move |x| (y * width + x) * 3 + channel));
                let sum: f64 = values.map(|index| f64::from(whole.rgb()[index])).sum();
                averages.push(sum / ((right - left) * (bottom - top)) as f64);
            }
        }
    }
    averages
}

/// The mean and the largest difference to the box average of the whole image.
fn difference(bytes: &[u8], scale: Scale) -> Option<(f64, f64)> {
    let whole = decode(bytes, &DecodeLimits::default()).unwrap();
    let shorter_px = whole.width_px().min(whole.height_px()) as usize;
    let side_min = scale.side_px(shorter_px) as u32;
    let reduced = scaled::decode(bytes, &DecodeLimits::default(), side_min)?;
    assert_eq!(reduced.width_px() as usize, scale.side_px(whole.width_px() as usize));
    assert_eq!(reduced.height_px() as usize, scale.side_px(whole.height_px() as usize));
    let exact = box_average(&whole, scale);
    assert_eq!(exact.len(), reduced.rgb().len());
    let apart = |(found, exact): (&u8, &f64)| (f64::from(*found) - exact).abs();
    let differences: Vec<f64> = reduced.rgb().iter().zip(&exact).map(apart).collect();
    let mean = differences.iter().sum::<f64>() / differences.len() as f64;
    Some((mean, differences.iter().copied().fold(0.0, f64::max)))
}

#[track_caller]
fn assert_averages(bytes: &[u8], name: &str, mean_max: f64, largest_max: f64) {
    for scale in SCALES {
        let (mean, largest) =
            difference(bytes, scale).unwrap_or_else(|| panic!("{name}, {scale:?}: not read"));
        println!("{name}, {scale:?}: mean {mean:.2}, largest {largest:.1}");
        assert!(mean <= mean_max && largest <= largest_max, "{name}, {scale:?}: {mean}, {largest}");
    }
}

const SAMPLINGS: [SamplingFactor; 4] =
    [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];

#[test]
fn every_subsampling_gives_the_box_average() {
    for sampling in SAMPLINGS {
        let case = Case::new(240, 176, sampling);
        assert_averages(&case.encode(ColorType::Rgb), &case.name(), 1.0, 16.0);
    }
}

#[test]
fn every_quality_gives_the_box_average() {
    for quality in [10, 30, 50, 75, 95, 100] {
        let case = Case { quality, ..Case::new(160, 128, SamplingFactor::F_2_2) };
        assert_averages(&case.encode(ColorType::Rgb), &case.name(), 1.0, 16.0);
    }
}

/// `zune-jpeg` 0.5.15 decodes some files with codes of their own wrongly, and is no measure here.
#[test]
fn codes_made_for_the_file_change_nothing() {
    for quality in [10, 50, 88, 100] {
        let case = Case { quality, ..Case::new(160, 128, SamplingFactor::F_2_2) };
        let optimized = Case { optimized: true, ..case };
        for side_min in [16, 32, 64] {
            let read = |case: &Case| {
                let bytes = case.encode(ColorType::Rgb);
                scaled::decode(&bytes, &DecodeLimits::default(), side_min).unwrap()
            };
            assert_eq!(read(&case), read(&optimized), "{}, {side_min}", case.name());
        }
    }
}

#[test]
fn odd_sides_give_the_box_average() {
    for (width_px, height_px) in [(161, 127), (169, 121), (127, 161), (200, 33), (35, 230)] {
        for sampling in SAMPLINGS {
            let case = Case::new(width_px, height_px, sampling);
            // What fills up the last block shines through at the border.
            assert_averages(&case.encode(ColorType::Rgb), &case.name(), 1.0, 40.0);
        }
    }
}

#[test]
fn restart_markers_give_the_box_average() {
    for restart_interval in [1, 3, 7, 64] {
        for scans in [0, 4] {
            let case =
                Case { restart_interval, scans, ..Case::new(160, 128, SamplingFactor::F_2_2) };
            assert_averages(&case.encode(ColorType::Rgb), &case.name(), 1.0, 16.0);
        }
    }
}

#[test]
fn progressive_files_give_the_box_average() {
    for scans in [2, 5, 9, 20] {
        for sampling in SAMPLINGS {
            let case = Case { scans, ..Case::new(161, 128, sampling) };
            assert_averages(&case.encode(ColorType::Rgb), &case.name(), 1.0, 40.0);
        }
    }
}

#[test]
fn grey_gives_the_box_average() {
    for scans in [0, 6] {
        let case = Case { scans, ..Case::new(133, 150, SamplingFactor::F_1_1) };
        assert_averages(&case.encode(ColorType::Luma), &case.name(), 0.8, 40.0);
    }
}

#[test]
fn colors_coarser_than_a_block_can_give_are_left_to_the_library() {
    let case = Case::new(160, 128, SamplingFactor::F_4_1);
    let bytes = case.encode(ColorType::Rgb);
    assert!(difference(&bytes, Scale::Eighth).unwrap().0 <= 1.0);
    assert!(difference(&bytes, Scale::Quarter).unwrap().0 <= 1.0);
    assert!(difference(&bytes, Scale::Half).is_none());
}
