//! The steps that compute no products: images put side by side, added, or given another size.

use super::kernels::Kernels;
use super::lanes::Lanes;
use super::memory::Image;
use super::steps::{Context, Place, Value};
use crate::inference::network::Resize;

/// A weighted sum of four runs of elements.
pub(super) struct Blend {
    pub(super) sources: [*const f32; 4],
    pub(super) weights: [f32; 4],
    /// A multiple of the lanes.
    pub(super) length: usize,
    pub(super) output: *mut f32,
}

/// Adds four runs of elements, each times its weight.
///
/// # Safety
/// The processor has the instruction set `L`; sources and output are valid for `length` elements.
#[inline(always)]
pub(super) unsafe fn blend<L: Lanes>(blend: &Blend) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        let weights = [
            L::splat(blend.weights[0]),
            L::splat(blend.weights[1]),
            L::splat(blend.weights[2]),
            L::splat(blend.weights[3]),
        ];
        for at in (0..blend.length).step_by(L::COUNT) {
            let mut sum = L::mul(L::load(blend.sources[0].add(at)), weights[0]);
            for source in 1..4 {
                let value = L::load(blend.sources[source].add(at));
                sum = L::fma(value, weights[source], sum);
            }
            L::store(blend.output.add(at), sum);
        }
    }
}

/// The channels of several images one after the other.
pub(super) struct Concat {
    /// Each with its channels, without those that only pad.
    pub(super) parts: Vec<(Place, usize)>,
    /// Floats, which become bytes later where both are wanted, or bytes made of bytes.
    pub(super) output: Value,
}

impl Concat {
    pub(super) fn run(&self, context: &Context<'_>) {
        let Some((output, element)) = self.output.widest() else { return };
        let Image { side, channels, .. } = output.image;
        let used: usize = self.parts.iter().map(|(_, channels)| channels).sum();
        for y in context.member.share(side) {
            let row = context.line(output, element, y);
            let mut first = 0;
            for (place, count) in &self.parts {
                let from = context.line(*place, element, y).cast_const();
                for x in 0..side {
                    // SAFETY: both rows lie in images that were checked; rows of output belong to
                    // one member.
                    unsafe {
                        let from = from.add(x * place.image.channels * element);
                        let to = row.add((x * channels + first) * element);
                        from.copy_to_nonoverlapping(to, count * element);
                    }
                }
                first += count;
            }
            // Elements that only pad weigh nothing, but must be numbers.
            for x in (0..side).filter(|_| used < channels) {
                // SAFETY: as above.
                unsafe {
                    let to = row.add((x * channels + used) * element);
                    to.write_bytes(0, (channels - used) * element);
                }
            }
        }
    }
}

/// The sum of two images.
pub(super) struct Sum {
    pub(super) inputs: [Place; 2],
    pub(super) output: Place,
}

impl Sum {
    pub(super) fn run(&self, context: &Context<'_>) {
        let Image { side, channels, .. } = self.output.image;
        for y in context.member.share(side) {
            let [a, b] = self.inputs.map(|place| context.line(place, 4, y).cast_const().cast());
            let sum = Blend {
                sources: [a, b, a, a],
                weights: [1.0, 1.0, 0.0, 0.0],
                length: side * channels,
                output: context.line(self.output, 4, y).cast(),
            };
            // SAFETY: the rows lie in images that were checked and have the same channels; rows of
            // output belong to one member.
            unsafe { (context.kernels.blend)(&sum) }
        }
    }
}

/// An image at another size.
pub(super) struct Resized {
    pub(super) resize: Resize,
    pub(super) input: Place,
    pub(super) output: Place,
}

impl Resized {
    pub(super) fn run(&self, context: &Context<'_>) {
        let kernels: &Kernels = context.kernels;
        let from = self.input.image;
        let Image { side, channels, .. } = self.output.image;
        for y in context.member.share(side) {
            let (top, bottom, low) = self.resize.sources(from.side, y);
            let rows = [top, bottom].map(|row| context.line(self.input, 4, row).cast::<f32>());
            let output: *mut f32 = context.line(self.output, 4, y).cast();
            for x in 0..side {
                let (left, right, far) = self.resize.sources(from.side, x);
                let at = |row: *mut f32, column| row.wrapping_add(column * channels).cast_const();
                let pixel = Blend {
                    sources: [
                        at(rows[0], left),
                        at(rows[0], right),
                        at(rows[1], left),
                        at(rows[1], right),
                    ],
                    weights: [
                        (1.0 - low) * (1.0 - far),
                        (1.0 - low) * far,
                        low * (1.0 - far),
                        low * far,
                    ],
                    length: channels,
                    output: output.wrapping_add(x * channels),
                };
                // SAFETY: sources lie in an image that was checked, at pixels that `sources` clips
                // to it, and have the output's channels; rows of output belong to one member.
                unsafe { (kernels.blend)(&pixel) }
            }
        }
    }
}
