//! Reads the scans of progressive images, those alone that the reduced image needs.

use super::bits::Bits;
use super::entropy::Entropy;
use super::fold::Fold;
use super::frame::{Component, Frame, ScanHeader};
use super::huffman::Code;
use super::layout::{Layout, Place};
use super::plane::Plane;
use super::sequential::take_difference;
use super::tables::Tables;

/// What the scans read so far tell of the coefficients of one component.
pub(super) struct Coefficients {
    values: Vec<i16>,
    /// How many of each block are kept: 1 or 64.
    kept: usize,
    /// The last that counts.
    last: usize,
    /// Blocks in a row, those included that fill up the last MCU.
    stride: usize,
    /// For each coefficient the bit that the last scan stopped at; `None` before the first.
    depth: [Option<u32>; 64],
}

impl Coefficients {
    /// All 0. Only the first of each block is kept where no other counts in `fold`.
    pub(super) fn new(component: &Component, fold: &Fold) -> Self {
        let kept = kept(fold);
        let values = vec![0; component.padded_blocks.cells() * kept];
        Self {
            values,
            kept,
            last: fold.last,
            stride: component.padded_blocks.columns,
            depth: [None; 64],
        }
    }

    /// Tells whether a scan of this band can be passed over.
    fn is_unneeded(&self, band: (usize, usize)) -> bool {
        band.0 > self.last
    }

    /// Checks that a scan continues where the last one of its band stopped.
    ///
    /// So no coefficient is visited more than 14 times, whatever the file says.
    fn advance(&mut self, band: (usize, usize), (from, to): (u32, u32)) -> Option<()> {
        for depth in self.depth.get_mut(band.0..=band.1)? {
            let follows = match *depth {
                None => from == 0 && to <= 13,
                Some(depth) => from == depth && from == to + 1,
            };
            if !follows {
                return None;
            }
            *depth = Some(to);
        }
        Some(())
    }

    #[inline(always)]
    fn block(&mut self, place: Place) -> &mut [i16] {
        let start = (place.row * self.stride + place.column) * self.kept;
        &mut self.values[start..start + self.kept]
    }

    /// Brings all blocks into a plane.
    ///
    /// Gives `None` if no scan had the first coefficients.
    pub(super) fn finish(&self, plane: &mut Plane) -> Option<()> {
        self.depth[0]?;
        let stride = self.stride;
        if plane.is_average() {
            for (index, block) in self.values.chunks_exact(self.kept).enumerate() {
                plane.put_average(index % stride, index / stride, block[0]);
            }
            return Some(());
        }
        let mut reduced = [0.0; 64];
        for (index, block) in self.values.chunks_exact(self.kept).enumerate() {
            plane.clear(&mut reduced);
            let targets = &plane.fold().targets[..=plane.fold().last];
            for (value, target) in block.iter().zip(targets) {
                reduced[target.index as usize & 63] += f32::from(*value) * target.weight;
            }
            plane.put(index % stride, index / stride, &reduced);
        }
        Some(())
    }
}

/// Gives how many coefficients of each block are kept: all, for a scan of refinement has bits
/// only of those that are not 0 yet, or the first alone.
fn kept(fold: &Fold) -> usize {
    if fold.last == 0 { 1 } else { 64 }
}

/// Tells whether a scan adds nothing to what is needed.
pub(super) fn is_unneeded(scan: &ScanHeader, all: &[Coefficients]) -> bool {
    scan.components.iter().all(|component| all[component.index].is_unneeded(scan.band))
}

/// Reads one scan.
///
/// Gives `None` for damage, tables that are missing, and scans in an order that makes no sense.
pub(super) fn read_scan(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &Tables,
    all: &mut [Coefficients],
) -> Option<()> {
    for component in &scan.components {
        all[component.index].advance(scan.band, scan.bits)?;
    }
    match (scan.band, scan.bits.0) {
        ((0, 0), 0) => read_dc(frame, scan, entropy, tables, all),
        ((0, 0), _) => refine_dc(frame, scan, entropy, tables, all),
        ((1.., _), _) => read_band(frame, scan, entropy, tables, all),
        _ => None,
    }
}

fn read_dc(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &Tables,
    all: &mut [Coefficients],
) -> Option<()> {
    let codes = scan.components.iter().map(|component| tables.dc(component.dc_table));
    let codes: Vec<_> = codes.collect::<Option<_>>()?;
    visit_first(frame, scan, entropy, tables, all, |bits, part, dc, prediction| {
        *prediction = prediction.wrapping_add(take_difference(&codes[part], bits)?);
        *dc = *prediction << scan.bits.1;
        Some(())
    })
}

fn refine_dc(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &Tables,
    all: &mut [Coefficients],
) -> Option<()> {
    visit_first(frame, scan, entropy, tables, all, |bits, _, dc, _| {
        *dc |= (bits.take(1) as i16) << scan.bits.1;
        Some(())
    })
}

/// Calls `work` for each block with the bits, the component's place in the scan, the first
/// coefficient, and what is remembered of the component since the last restart, 0 at first.
fn visit_first(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &Tables,
    all: &mut [Coefficients],
    mut work: impl FnMut(&mut Bits<'_>, usize, &mut i16, &mut i16) -> Option<()>,
) -> Option<()> {
    let layout = Layout::new(frame, scan);
    for (range, run) in layout.runs(tables.restart_interval, entropy)? {
        let mut bits = Bits::new(run);
        let mut predictions = [0_i16; 4];
        layout.visit(range, |place| {
            bits.refill();
            let first = &mut all[scan.components[place.part].index].block(place)[0];
            work(&mut bits, place.part, first, &mut predictions[place.part])
        })?;
        bits.is_finished().then_some(())?;
    }
    Some(())
}

fn read_band(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &Tables,
    all: &mut [Coefficients],
) -> Option<()> {
    let [component] = scan.components.as_slice() else { return None };
    let layout = Layout::new(frame, scan);
    let code = tables.ac(component.ac_table)?;
    let coefficients = &mut all[component.index];
    for (range, run) in layout.runs(tables.restart_interval, entropy)? {
        let mut band = Band::new(run, &code, scan);
        layout.visit(range, |place| {
            let block = coefficients.block(place).first_chunk_mut()?;
            if scan.bits.0 == 0 { band.read_first(block) } else { band.refine(block) }
        })?;
        band.bits.is_finished().then_some(())?;
    }
    Some(())
}

/// Reads a band of coefficients of one component.
struct Band<'a> {
    bits: Bits<'a>,
    code: &'a Code,
    first: usize,
    last: usize,
    bit: u32,
    /// Blocks, the next one first, that have nothing new left in this scan.
    ended_blocks: u32,
}

impl<'a> Band<'a> {
    fn new(run: &'a [u8], code: &'a Code, scan: &ScanHeader) -> Self {
        let (first, last) = scan.band;
        Self { bits: Bits::new(run), code, first, last, bit: scan.bits.1, ended_blocks: 0 }
    }

    /// Reads the coefficients of a block for the first time.
    fn read_first(&mut self, block: &mut [i16; 64]) -> Option<()> {
        if self.ended_blocks > 0 {
            self.ended_blocks -= 1;
            return Some(());
        }
        let mut index = self.first;
        while index <= self.last {
            self.bits.refill();
            let symbol = self.code.find(&self.bits)?;
            if symbol.size == 0 {
                self.bits.consume(symbol.length);
                if symbol.run < 15 {
                    self.ended_blocks = self.take_ended_blocks(symbol.run) - 1;
                    return Some(());
                }
                index += 16;
                continue;
            }
            index += symbol.run as usize;
            if index > self.last {
                return None;
            }
            block[index] = (symbol.take_value(&mut self.bits) << self.bit) as i16;
            index += 1;
        }
        Some(())
    }

    /// Reads one more bit of the coefficients that are not 0, and new ones that are 1 bit large.
    fn refine(&mut self, block: &mut [i16; 64]) -> Option<()> {
        let mut index = self.first;
        if self.ended_blocks == 0 {
            while index <= self.last {
                self.bits.refill();
                let symbol = self.code.find(&self.bits)?;
                self.bits.consume(symbol.length);
                let mut new = 0;
                match (symbol.run, symbol.size) {
                    (15, 0) => {}
                    (run, 0) => {
                        self.ended_blocks = self.take_ended_blocks(run);
                        break;
                    }
                    (_, 1) => new = if self.bits.take(1) == 1 { 1 } else { -1 },
                    _ => return None,
                }
                index = self.refine_until(block, index, Some(symbol.run))?;
                if new != 0 {
                    *block.get_mut(index).filter(|_| index <= self.last)? = new << self.bit;
                }
                index += 1;
            }
        }
        if self.ended_blocks > 0 {
            self.ended_blocks -= 1;
            self.refine_until(block, index, None);
        }
        Some(())
    }

    /// Refines what is not 0, from `index` to the coefficient of 0 behind `zeros` others, or to
    /// the end of the band, and gives where that is.
    fn refine_until(
        &mut self,
        block: &mut [i16; 64],
        index: usize,
        zeros: Option<u32>,
    ) -> Option<usize> {
        let mut left = zeros;
        for (at, value) in block.iter_mut().enumerate().take(self.last + 1).skip(index) {
            if *value == 0 {
                match left.as_mut() {
                    Some(0) => return Some(at),
                    Some(left) => *left -= 1,
                    None => {}
                }
                continue;
            }
            self.bits.refill();
            if self.bits.take(1) == 1 {
                *value = value.wrapping_add(value.signum() << self.bit);
            }
        }
        Some(self.last + 1)
    }

    /// Reads the length of a run of blocks that end, this one included.
    fn take_ended_blocks(&mut self, size: u32) -> u32 {
        (1 << size) + self.bits.take(size)
    }
}
