//! The steps of a plan: what the members of a team do between two barriers.

use super::depthwise::{DepthwiseRow, SIDE_MAX};
use super::finish::{Finish, FinishRuns};
use super::kernels::Kernels;
use super::memory::{Aligned, FourImage, Image, Memory};
use super::panels::Product;
use super::pool::{ByteRun, MaxWindow, MeanRow};
use super::team::Member;
use super::tile::{BATCH_MAX, Batch, Quantum};
use crate::inference::network::Window;

/// What a step sees of the run.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) kernels: &'static Kernels,
    pub(super) memory: Memory,
    /// The input image: interleaved red, green, blue.
    pub(super) pixels: &'a [u8],
    pub(super) member: Member<'a>,
    /// Where in the memory the member's own scratch begins.
    pub(super) scratch: usize,
}

/// An image at its place in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// In floats.
    pub(super) offset: usize,
    pub(super) image: Image,
}

/// An image whose columns lie by fours, at its place in the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct FourPlace {
    /// In floats.
    pub(super) offset: usize,
    pub(super) image: FourImage,
}

/// Where a value is kept: as floats, as bytes, as bytes whose columns lie by fours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) floats: Option<Place>,
    pub(super) bytes: Option<Place>,
    pub(super) fours: Option<FourPlace>,
    pub(super) quantum: Quantum,
}

impl Value {
    /// Its floats, or its bytes where there are none, with the bytes of an element.
    pub(super) fn widest(&self) -> Option<(Place, usize)> {
        self.floats.map(|place| (place, 4)).or(self.bytes.map(|place| (place, 1)))
    }
}

impl Context<'_> {
    /// The first float of an image; what lies behind it is checked here once.
    fn floats(&self, place: Place) -> *mut f32 {
        self.memory.floats(place.offset, place.image.length())
    }

    fn bytes(&self, place: Place) -> *mut u8 {
        self.memory.bytes(place.offset, place.image.length())
    }

    /// The first byte of an image by fours; what lies behind it is checked here once.
    pub(super) fn fours(&self, place: FourPlace) -> *mut u8 {
        self.memory.bytes(place.offset, place.image.length(place.image.side))
    }

    /// A null pointer for what is not wanted.
    fn floats_of(&self, value: &Value) -> *mut f32 {
        value.floats.map_or(std::ptr::null_mut(), |place| self.floats(place))
    }

    fn bytes_of(&self, value: &Value) -> *mut u8 {
        value.bytes.map_or(std::ptr::null_mut(), |place| self.bytes(place))
    }

    /// The first pixel of a row of an image whose elements have `element` bytes.
    pub(super) fn line(&self, place: Place, element: usize, y: usize) -> *mut u8 {
        let base = match element {
            4 => self.floats(place).cast::<u8>(),
            _ => self.bytes(place),
        };
        base.wrapping_add(place.image.at(y, 0) * element)
    }

    /// Fills the borders of a value: zeros, or the byte that stands for zero.
    pub(super) fn clear_border(&self, value: &Value) {
        if let Some(place) = value.floats {
            self.clear_floats_border(place);
        }
        if let Some(place) = value.bytes {
            let (base, zero) = (self.bytes(place), value.quantum.zero as u8);
            place.image.border_runs(|start, length| {
                // SAFETY: the runs lie in the image, whose extent `bytes` has checked.
                unsafe { base.add(start).write_bytes(zero, length) }
            });
        }
        if let Some(place) = value.fours {
            self.clear_fours_border(place);
        }
    }

    fn clear_fours_border(&self, place: FourPlace) {
        let base = self.fours(place);
        place.image.border_runs(place.image.side, |start, length| {
            // SAFETY: the runs lie in the image, whose extent `fours` has checked.
            unsafe { base.add(start).write_bytes(0, length) }
        });
    }

    pub(super) fn clear_floats_border(&self, place: Place) {
        let base = self.floats(place);
        place.image.border_runs(|start, length| {
            // SAFETY: the runs lie in the image, whose extent `floats` has checked.
            unsafe { base.add(start).write_bytes(0, length) }
        });
    }
}

/// Offsets a pointer that may be null.
pub(super) fn offset<T>(pointer: *mut T, by: usize) -> *mut T {
    if pointer.is_null() { pointer } else { pointer.wrapping_add(by) }
}

/// The offset of a pixel in an image that may not be there.
fn pixel_of(place: Option<Place>, y: usize, x: usize) -> usize {
    place.map_or(0, |place| place.image.at(y, x))
}

/// A dense convolution over a value.
pub(super) struct Dense {
    pub(super) product: Product,
    pub(super) window: Window,
    pub(super) input: Place,
    pub(super) output: Value,
    pub(super) residual: Option<Place>,
    pub(super) side: usize,
}

impl Dense {
    pub(super) fn run(&self, context: &Context<'_>) {
        let pixels = self.side * self.side;
        let size = match self.output.fours {
            Some(_) => BATCH_MAX / self.side * self.side,
            // Whole tiles of every width: multiples of 24 pixels.
            None => {
                let batches = pixels.div_ceil(BATCH_MAX);
                pixels.div_ceil(batches).next_multiple_of(24).min(BATCH_MAX)
            }
        };
        let batches = pixels.div_ceil(size);
        let panels = self.product.panel_count();
        let members = context.member.count();
        let parts = if members == 1 { 1 } else { (4 * members).div_ceil(batches).min(panels) };
        let mut batch = Batch::empty();
        let mut filled = usize::MAX;
        for item in context.member.share(batches * parts) {
            let (index, part) = (item / parts, item % parts);
            if filled != index {
                self.fill(context, &mut batch, index * size..pixels.min((index + 1) * size));
                filled = index;
            }
            let range = panels * part / parts..panels * (part + 1) / parts;
            // SAFETY: `fill` gives windows inside the input, whose border is as wide as the window
            // reaches, and outputs inside images that have the padded channels. Items are disjoint
            // in pixels or channels.
            unsafe { self.product.multiply(context.kernels, &batch, range) }
        }
    }

    fn fill(&self, context: &Context<'_>, batch: &mut Batch, pixels: std::ops::Range<usize>) {
        let image = self.input.image;
        let element = self.product.element_bytes();
        // The first element of the image, its border included.
        let input = context.line(self.input, element, 0).wrapping_sub(image.at(0, 0) * element);
        let (floats, bytes) = (context.floats_of(&self.output), context.bytes_of(&self.output));
        let residual = self.residual.map_or(std::ptr::null_mut(), |place| context.floats(place));
        let (missing, _) = self.window.missing(image.side);
        let stride = self.window.stride;
        let fours = self.output.fours.map(|place| (context.fours(place), place.image));
        (batch.count, batch.width) = (0, self.side);
        for pixel in pixels {
            let (y, x) = (pixel / self.side, pixel % self.side);
            let corner = (image.border + y * stride - missing) * image.row_step()
                + (image.border + x * stride - missing) * image.channels;
            let bytes = match fours {
                Some((base, image)) => {
                    base.wrapping_add(y * image.row_step() + (x / 4 + 1) * image.step())
                }
                None => offset(bytes, pixel_of(self.output.bytes, y, x)),
            };
            batch.push(
                input.wrapping_add(corner * element),
                offset(floats, pixel_of(self.output.floats, y, x)),
                bytes,
                offset(residual, pixel_of(self.residual, y, x)),
            );
        }
    }
}

/// What a depthwise convolution moves over.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthwiseShape {
    pub(super) window: Window,
    pub(super) input_side: usize,
    pub(super) side: usize,
    /// Padded to whole vectors.
    pub(super) channels: usize,
}

impl DepthwiseShape {
    /// The input rows under output row `y`.
    pub(super) fn rows_under(&self, y: usize) -> std::ops::Range<usize> {
        let (missing, _) = self.window.missing(self.input_side);
        let top = y * self.window.stride;
        top.saturating_sub(missing)..(top + self.window.side - missing).min(self.input_side)
    }
}

/// The weights of a depthwise convolution of floats.
pub(super) struct DepthwiseWeights {
    pub(super) shape: DepthwiseShape,
    /// `side * side` runs of `channels`.
    pub(super) weights: Aligned,
    pub(super) bias: Aligned,
    pub(super) bounds: (f32, f32),
    /// What the kernels leave to do; never a residual.
    pub(super) finish: Option<Finish>,
}

impl DepthwiseWeights {
    /// Computes output row `y`; `row` gives the input rows under it.
    ///
    /// # Safety
    /// Each row that `row` gives is valid for all pixels and channels of the input; the outputs are
    /// valid for the output row.
    pub(super) unsafe fn run(
        &self,
        kernels: &Kernels,
        y: usize,
        row: impl Fn(usize) -> *const f32,
        (floats, bytes): (*mut f32, *mut u8),
        quantum: Quantum,
    ) {
        let DepthwiseShape { window, input_side, side, channels } = self.shape;
        let (missing, _) = window.missing(input_side);
        let under = self.shape.rows_under(y);
        let skipped = under.start + missing - y * window.stride;
        let mut rows = [std::ptr::null(); SIDE_MAX];
        let row_count = under.len();
        for (slot, index) in rows.iter_mut().zip(under) {
            *slot = row(index);
        }
        let taps = skipped * window.side * channels;
        let work = DepthwiseRow {
            rows,
            row_count,
            side: window.side,
            stride: window.stride,
            width: input_side,
            missing,
            pixels: side,
            channels,
            weights: self.weights.floats()[taps..].as_ptr(),
            bias: self.bias.floats().as_ptr(),
            bounds: self.bounds,
            floats,
            bytes,
            quantum,
        };
        // SAFETY: the caller answers for rows and outputs; weights are padded to the channels.
        unsafe { kernels.depthwise(window.side, window.stride)(&work) }
        if let Some(finish) = self.finish {
            let runs = FinishRuns {
                values: &floats,
                residuals: std::ptr::null(),
                count: 1,
                skipped: 0,
                length: side * channels,
                finish,
            };
            // SAFETY: the caller answers for the output, and wants floats of what has a curve.
            unsafe { (kernels.finish_runs)(&runs) }
        }
    }
}

/// A depthwise convolution over a value.
pub(super) struct Depthwise {
    pub(super) weights: DepthwiseWeights,
    pub(super) input: Place,
    pub(super) output: Value,
}

impl Depthwise {
    pub(super) fn run(&self, context: &Context<'_>) {
        let input = context.floats(self.input);
        let (floats, bytes) = (context.floats_of(&self.output), context.bytes_of(&self.output));
        for y in context.member.share(self.weights.shape.side) {
            let outputs = (
                offset(floats, pixel_of(self.output.floats, y, 0)),
                offset(bytes, pixel_of(self.output.bytes, y, 0)),
            );
            let row = |index| input.wrapping_add(self.input.image.at(index, 0)).cast_const();
            // SAFETY: rows and outputs lie in images that were checked; rows of output belong to
            // one member.
            unsafe { self.weights.run(context.kernels, y, row, outputs, self.output.quantum) }
        }
    }
}

/// The greatest value of each window.
pub(super) struct MaxPool {
    pub(super) window: Window,
    /// Of the kind that the output is written as.
    pub(super) input: Place,
    /// Floats, which become bytes later where both are wanted, or bytes made of bytes.
    pub(super) output: Value,
}

impl MaxPool {
    pub(super) fn run(&self, context: &Context<'_>) {
        let Some((output, element)) = self.output.widest() else { return };
        let from = self.input.image;
        let (missing, _) = self.window.missing(from.side);
        let span = |at: usize| {
            let start = at * self.window.stride;
            let end = (start + self.window.side - missing).min(from.side);
            start.saturating_sub(missing)..end
        };
        for y in context.member.share(output.image.side) {
            let row = context.line(output, element, y);
            for x in 0..output.image.side {
                let (rows, columns) = (span(y), span(x));
                let corner = columns.start * from.channels * element;
                let window = MaxWindow {
                    input: context.line(self.input, element, rows.start).wrapping_add(corner),
                    width: columns.len(),
                    height: rows.len(),
                    row_step: from.row_step(),
                    channels: from.channels,
                    output: row.wrapping_add(x * from.channels * element),
                };
                let kernel = match element {
                    4 => context.kernels.max_window,
                    _ => context.kernels.max_window_bytes,
                };
                // SAFETY: the spans are clipped to the image; input and output are images of
                // elements of one size; rows of output belong to one member.
                unsafe { kernel(&window) }
            }
        }
    }
}

/// The mean over all positions.
pub(super) struct AveragePool {
    pub(super) input: Place,
    pub(super) output: Place,
}

impl AveragePool {
    /// One member does it all: the last image is small, and the order of the sums stays the same.
    pub(super) fn run(&self, context: &Context<'_>) {
        if context.member.index != 0 {
            return;
        }
        let (input, sums) = (context.floats(self.input), context.floats(self.output));
        let image = self.input.image;
        // SAFETY: the output was checked to have this length; no one else writes to it.
        unsafe { sums.write_bytes(0, self.output.image.length()) };
        for y in 0..image.side {
            let row = MeanRow {
                input: input.wrapping_add(image.at(y, 0)),
                pixels: image.side,
                channels: image.channels,
                factor: 1.0 / (image.side * image.side) as f32,
                sums,
            };
            // SAFETY: the row lies in an image that was checked.
            unsafe { (context.kernels.mean_row)(&row) }
        }
    }
}

/// Writes a value of floats as bytes, too.
pub(super) struct ToBytes {
    pub(super) value: Value,
}

impl ToBytes {
    pub(super) fn run(&self, context: &Context<'_>) {
        let (Some(from), Some(to)) = (self.value.floats, self.value.bytes) else { return };
        let (input, output) = (context.floats(from), context.bytes(to));
        for y in context.member.share(from.image.side) {
            let run = ByteRun {
                input: input.wrapping_add(from.image.at(y, 0)),
                length: from.image.side * from.image.channels,
                output: output.wrapping_add(to.image.at(y, 0)),
                quantum: self.value.quantum,
            };
            // SAFETY: both rows lie in images that were checked; rows belong to one member.
            unsafe { (context.kernels.byte_run)(&run) }
        }
    }
}
