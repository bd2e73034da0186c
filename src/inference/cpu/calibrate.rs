//! What numbers the values of a network take, seen on example images: the scales of its bytes.

use super::compile::{Purpose, compile};
use super::kernels::InstructionSet;
use super::plan::{Precision, Workspace};
use super::steps::Place;
use crate::inference::network::Network;

/// What the elements of a value were seen to be.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::inference) struct Observed {
    /// The smallest and the greatest element, at most and at least zero.
    pub(in crate::inference) low: f32,
    pub(in crate::inference) high: f32,
    /// The mean of each channel.
    pub(in crate::inference) means: Vec<f32>,
}

impl Observed {
    /// Adds what an image shows, which counts for `share` of the whole.
    fn add(&mut self, workspace: &Workspace, place: Place, share: f32) {
        let image = place.image;
        let (mut low, mut high) = (0f32, 0f32);
        let pixel_share = share / (image.side * image.side) as f32;
        for y in 0..image.side {
            let start = place.offset + image.at(y, 0);
            let row = &workspace.arena.floats()[start..start + image.side * image.channels];
            for pixel in row.chunks_exact(image.channels) {
                for (mean, &element) in self.means.iter_mut().zip(pixel) {
                    *mean += pixel_share * element;
                    (low, high) = (low.min(element), high.max(element));
                }
            }
        }
        self.low += share * low;
        self.high += share * high;
    }
}

/// Runs `network` in floats over `images` and gives what each of its values was seen to be.
///
/// The range of a value is the mean of the images' ranges: the extremes of a single image would
/// make the steps of all others coarser.
///
/// # Panics
/// When there is no image, or one has another size than the network takes.
pub(in crate::inference) fn calibrate(network: &Network, images: &[&[u8]]) -> Vec<Observed> {
    assert!(!images.is_empty(), "calibration needs images");
    let kernels = InstructionSet::detect().kernels().expect("a detected set runs here");
    let plan = compile(network, kernels, Precision::Float32, &[], Purpose::Values);
    let mut workspace = plan.workspace(1);
    let blank = |channels| Observed { low: 0.0, high: 0.0, means: vec![0.0; channels] };
    let mut observed: Vec<_> = network.shapes().iter().map(|shape| blank(shape.channels)).collect();
    let share = 1.0 / images.len() as f32;
    for pixels in images {
        plan.run_all(pixels, &mut workspace);
        for (value, observed) in plan.values.iter().zip(&mut observed) {
            if let Some(place) = value.floats {
                observed.add(&workspace, place, share);
            }
        }
    }
    observed
}
