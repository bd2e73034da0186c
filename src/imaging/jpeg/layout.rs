//! In which order the blocks of a scan come.

use std::ops::Range;

use super::entropy::Entropy;
use super::frame::{Frame, Grid, ScanHeader};

/// The MCUs of a scan and the blocks of each.
pub(super) struct Layout {
    mcus: Grid,
    /// For each block of an MCU: the component's place in the scan, and column and row of the
    /// block in the MCU.
    blocks: Vec<(usize, usize, usize)>,
    /// Blocks of each component of the scan in an MCU, across and down.
    steps: Vec<(usize, usize)>,
}

/// Where a block lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The component's place in the scan.
    pub(super) part: usize,
    pub(super) column: usize,
    pub(super) row: usize,
}

impl Layout {
    /// Several components are interleaved by their sampling; a single one comes block by block,
    /// without those that would only fill up an MCU.
    pub(super) fn new(frame: &Frame, scan: &ScanHeader) -> Self {
        if let [single] = scan.components.as_slice() {
            let mcus = frame.components[single.index].blocks;
            return Self { mcus, blocks: vec![(0, 0, 0)], steps: vec![(1, 1)] };
        }
        let (mut blocks, mut steps) = (Vec::new(), Vec::new());
        for (part, component) in scan.components.iter().enumerate() {
            let sampling = frame.components[component.index].sampling;
            steps.push((sampling.across, sampling.down));
            for row in 0..sampling.down {
                blocks.extend((0..sampling.across).map(|column| (part, column, row)));
            }
        }
        Self { mcus: frame.mcus(), blocks, steps }
    }

    /// Gives the MCUs of each run of the data; `restart_interval` is 0 where there is only one.
    ///
    /// Gives `None` if there are more or fewer runs than there should be.
    pub(super) fn runs<'a>(
        &self,
        restart_interval: usize,
        entropy: &'a Entropy,
    ) -> Option<impl Iterator<Item = (Range<usize>, &'a [u8])>> {
        let count = self.mcus.cells();
        let length = if restart_interval == 0 { count } else { restart_interval };
        let starts = (0..count).step_by(length);
        let ranges = starts.map(move |start| start..count.min(start + length));
        (ranges.len() == entropy.run_count()).then(|| ranges.zip(entropy.runs()))
    }

    /// Calls `work` for each block of the MCUs `range`, until it gives `None`.
    #[inline(always)]
    pub(super) fn visit(
        &self,
        range: Range<usize>,
        mut work: impl FnMut(Place) -> Option<()>,
    ) -> Option<()> {
        let (mut column, mut row) =
            (range.start % self.mcus.columns, range.start / self.mcus.columns);
        for _ in range {
            for &(part, right, down) in &self.blocks {
                let (across, high) = self.steps[part];
                work(Place { part, column: column * across + right, row: row * high + down })?;
            }
            column += 1;
            if column == self.mcus.columns {
                (column, row) = (0, row + 1);
            }
        }
        Some(())
    }
}
