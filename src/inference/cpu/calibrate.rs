//! What numbers the values of a network take, seen on example images: the scales of its bytes.

use super::compile::{Purpose, compile};
use super::kernels::InstructionSet;
use super::plan::{Output, Precision};
use super::tile::Quantum;
use crate::inference::network::Network;

/// The smallest and the greatest element that a value was seen to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::inference) struct Range {
    pub(in crate::inference) low: f32,
    pub(in crate::inference) high: f32,
}

impl Range {
    /// The finest byte steps that reach from one end to the other, with a byte for zero.
    pub(super) fn quantum(&self) -> Quantum {
        let (low, high) = (self.low.min(0.0), self.high.max(0.0));
        let span = if high > low { high - low } else { 1.0 };
        let steps_per_unit = 255.0 / span;
        Quantum { steps_per_unit, zero: (-low * steps_per_unit).round() }
    }
}

/// Runs `network` in floats over `images` and gives the range of each of its values.
///
/// The range of a value is the mean of the images' ranges: the extremes of a single image would
/// make the steps of all others coarser.
///
/// # Panics
/// When there is no image, or one has another size than the network takes.
pub(in crate::inference) fn calibrate(network: &Network, images: &[&[u8]]) -> Vec<Range> {
    assert!(!images.is_empty(), "calibration needs images");
    let kernels = InstructionSet::detect().kernels().expect("a detected set runs here");
    let plan = compile(network, kernels, Precision::Float32, &[], Purpose::Values);
    let mut workspace = plan.workspace(1);
    let mut ranges = vec![Range { low: 0.0, high: 0.0 }; plan.values.len()];
    let share = 1.0 / images.len() as f32;
    for pixels in images {
        plan.run(pixels, &mut workspace, Output::Logits);
        for (value, range) in plan.values.iter().zip(&mut ranges) {
            let Some(place) = value.floats else { continue };
            let elements =
                &workspace.arena.floats()[place.offset..place.offset + place.image.length()];
            range.low += share * elements.iter().copied().fold(0.0, f32::min);
            range.high += share * elements.iter().copied().fold(0.0, f32::max);
        }
    }
    ranges
}
