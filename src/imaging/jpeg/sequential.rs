//! Reads the scans of baseline and extended sequential images.

use std::ops::Range;
use std::rc::Rc;

use super::bits::Bits;
use super::entropy::Entropy;
use super::fold::Fold;
use super::frame::{Frame, ScanHeader};
use super::huffman::{Code, Walk};
use super::layout::Layout;
use super::plane::Plane;
use super::tables::Tables;

/// The tables of a component in a scan.
struct Part {
    dc: Rc<Code>,
    ac: Rc<Code>,
    walk: Rc<Walk>,
    plane: usize,
}

/// Reads one scan into the planes of its components.
///
/// Gives `None` for damage and for tables that are missing.
pub(super) fn read_scan(
    frame: &Frame,
    scan: &ScanHeader,
    entropy: &Entropy,
    tables: &mut Tables,
    planes: &mut [Plane],
) -> Option<()> {
    if scan.band != (0, 63) || scan.bits != (0, 0) {
        return None;
    }
    let mut parts = Vec::new();
    for component in &scan.components {
        parts.push(Part {
            dc: tables.dc(component.dc_table)?,
            ac: tables.ac(component.ac_table)?,
            walk: tables.walk(component.ac_table)?,
            plane: component.index,
        });
    }
    let layout = Layout::new(frame, scan);
    for (range, run) in layout.runs(tables.restart_interval, entropy)? {
        read_run(&layout, range, run, &parts, planes)?;
    }
    Some(())
}

fn read_run(
    layout: &Layout,
    range: Range<usize>,
    run: &[u8],
    parts: &[Part],
    planes: &mut [Plane],
) -> Option<()> {
    let mut bits = Bits::new(run);
    let mut predictions = [0_i16; 4];
    let mut coefficients = [0.0; 64];
    layout.visit(range, |place| {
        let part = &parts[place.part];
        let plane = &mut planes[part.plane];
        bits.refill();
        let difference = take_difference(&part.dc, &mut bits)?;
        let dc = &mut predictions[place.part];
        *dc = dc.wrapping_add(difference);
        if plane.is_average() {
            part.walk.finish_block(&part.ac, &mut bits, 1)?;
            plane.put_average(place.column, place.row, *dc);
            return Some(());
        }
        plane.clear(&mut coefficients);
        coefficients[0] = f32::from(*dc) * plane.fold().targets[0].weight;
        read_coefficients(part, &mut bits, plane.fold(), &mut coefficients)?;
        plane.put(place.column, place.row, &coefficients);
        Some(())
    })?;
    bits.is_finished().then_some(())
}

/// Reads by how much the first coefficient of a block differs from that of the block before.
#[inline(always)]
pub(super) fn take_difference(code: &Code, bits: &mut Bits<'_>) -> Option<i16> {
    const SIZE_MAX: u32 = 11;
    let symbol = code.find(bits)?;
    if symbol.run > 0 || symbol.size > SIZE_MAX {
        return None;
    }
    Some(symbol.take_value(bits) as i16)
}

/// Adds the coefficients that count to the reduced block, and passes over the rest.
#[inline(always)]
fn read_coefficients(
    part: &Part,
    bits: &mut Bits<'_>,
    fold: &Fold,
    coefficients: &mut [f32; 64],
) -> Option<()> {
    let mut index = 1;
    while index <= fold.last {
        bits.refill();
        let symbol = part.ac.find(bits)?;
        let passed = symbol.coefficients()? as usize;
        let value = symbol.take_value(bits);
        if passed == 0 {
            return Some(());
        }
        index += passed;
        // The coefficient itself is the last that the symbol stands for.
        let target = fold.targets.get(index - 1)?;
        coefficients[target.index as usize & 63] += value as f32 * target.weight;
    }
    if index == 64 {
        return Some(());
    }
    part.walk.finish_block(&part.ac, bits, index as u32)
}
