//! Reads the headers of frame and scans, and lays out blocks and samples.

use super::scale::Scale;

/// What the frame header says, for images that the scaled reader takes.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) is_progressive: bool,
    pub(super) width_px: usize,
    pub(super) height_px: usize,
    pub(super) components: Vec<Component>,
    /// Blocks of 8 x 8 px of the finest component that an MCU is wide and high.
    sampling_max: Sampling,
}

/// One color component: brightness or one of the two color differences.
#[derive(Clone)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) sampling: Sampling,
    pub(super) quantization_index: usize,
    /// Blocks that hold pixels of the image, across and down.
    pub(super) blocks: Grid,
    /// Blocks with those that fill up the last MCU of a row and of the image.
    pub(super) padded_blocks: Grid,
}

/// How many blocks of a component an MCU has, across and down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sampling {
    pub(super) across: usize,
    pub(super) down: usize,
}

/// A number of columns and of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grid {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Grid {
    pub(super) fn cells(self) -> usize {
        self.columns * self.rows
    }
}

impl Frame {
    /// Reads the payload of a frame header of kind `marker`.
    ///
    /// Gives `None` for all that is left to the library: other codings, depths and numbers of
    /// components, and sides of 0.
    pub(super) fn read(marker: u8, payload: &[u8]) -> Option<Self> {
        let is_progressive = match marker {
            0xC0 | 0xC1 => false,
            0xC2 => true,
            _ => return None,
        };
        let [8, height_high, height_low, width_high, width_low, count, rest @ ..] = payload else {
            return None;
        };
        let height_px = usize::from(u16::from_be_bytes([*height_high, *height_low]));
        let width_px = usize::from(u16::from_be_bytes([*width_high, *width_low]));
        let count = usize::from(*count);
        if !matches!(count, 1 | 3) || rest.len() != 3 * count || width_px == 0 || height_px == 0 {
            return None;
        }
        let mut declared = Vec::new();
        for part in rest.chunks_exact(3) {
            let (across, down) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            // A single component has no partner to be finer or coarser than.
            let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) || part[2] > 3 {
                return None;
            }
            declared.push((part[0], Sampling { across, down }, usize::from(part[2])));
        }
        let across = declared.iter().map(|(_, sampling, _)| sampling.across).max()?;
        let down = declared.iter().map(|(_, sampling, _)| sampling.down).max()?;
        let mut frame = Self {
            is_progressive,
            width_px,
            height_px,
            components: Vec::new(),
            sampling_max: Sampling { across, down },
        };
        for (id, sampling, quantization_index) in declared {
            let component = frame.component(id, sampling, quantization_index);
            frame.components.push(component);
        }
        Some(frame)
    }

    fn component(&self, id: u8, sampling: Sampling, quantization_index: usize) -> Component {
        let Sampling { across, down } = self.sampling_max;
        let mcus = self.mcus();
        let blocks = Grid {
            columns: (self.width_px * sampling.across).div_ceil(8 * across),
            rows: (self.height_px * sampling.down).div_ceil(8 * down),
        };
        let padded_blocks =
            Grid { columns: mcus.columns * sampling.across, rows: mcus.rows * sampling.down };
        Component { id, sampling, quantization_index, blocks, padded_blocks }
    }

    /// Gives the number of MCUs of an interleaved scan.
    pub(super) fn mcus(&self) -> Grid {
        Grid {
            columns: self.width_px.div_ceil(8 * self.sampling_max.across),
            rows: self.height_px.div_ceil(8 * self.sampling_max.down),
        }
    }

    /// Gives the samples that each block of a component yields at a scale, so that all components
    /// have as many samples as the scaled image has pixels.
    ///
    /// Gives `None` where a block would have to yield more than 8 x 8, or a broken number.
    pub(super) fn block_samples(&self, component: &Component, scale: Scale) -> Option<Grid> {
        let side = scale.block_side();
        let samples = |finest: usize, own: usize| {
            let samples = side * finest / own;
            let fits = finest.is_multiple_of(own) && matches!(samples, 1 | 2 | 4 | 8);
            fits.then_some(samples)
        };
        Some(Grid {
            columns: samples(self.sampling_max.across, component.sampling.across)?,
            rows: samples(self.sampling_max.down, component.sampling.down)?,
        })
    }
}

/// What the header of a scan says.
pub(super) struct ScanHeader {
    pub(super) components: Vec<ScanComponent>,
    /// The first and the last coefficient, in zigzag order.
    pub(super) band: (usize, usize),
    /// The bit that earlier scans stopped at, 0 in a first scan; and that of this scan.
    pub(super) bits: (u32, u32),
}

/// A component in a scan: its index in the frame, and the indices of its tables.
pub(super) struct ScanComponent {
    pub(super) index: usize,
    pub(super) dc_table: usize,
    pub(super) ac_table: usize,
}

impl ScanHeader {
    /// Gives `None` for headers that contradict the frame or the rules.
    pub(super) fn read(payload: &[u8], frame: &Frame) -> Option<Self> {
        let (count, rest) = payload.split_first()?;
        let count = usize::from(*count);
        let (parts, progression) = rest.split_at_checked(2 * count)?;
        let &[first, last, bits] = progression else { return None };
        let mut components: Vec<ScanComponent> = Vec::new();
        for part in parts.chunks_exact(2) {
            let index = frame.components.iter().position(|component| component.id == part[0])?;
            // In the order of the frame, so that none comes twice.
            if components.last().is_some_and(|last| last.index >= index) {
                return None;
            }
            let (dc_table, ac_table) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            if dc_table > 3 || ac_table > 3 {
                return None;
            }
            components.push(ScanComponent { index, dc_table, ac_table });
        }
        let band = (usize::from(first), usize::from(last));
        let bits = (u32::from(bits >> 4), u32::from(bits & 15));
        let is_sound = !components.is_empty() && band.0 <= band.1 && band.1 <= 63;
        is_sound.then_some(Self { components, band, bits })
    }
}
