//! Memory of a run: one arena for all values, and where images lie in it.

/// A cache line, which also is the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Zeroed memory that begins at a cache line.
pub(super) struct Aligned(Vec<Line>);

impl Aligned {
    /// Allocates at least `floats` floats.
    pub(super) fn zeroed(floats: usize) -> Self {
        Self(vec![Line([0.0; 16]); floats.div_ceil(16)])
    }

    pub(super) fn floats(&self) -> &[f32] {
        // SAFETY: a line is sixteen floats without padding (`repr(C)`, 64 bytes).
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }

    pub(super) fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `floats`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }

    pub(super) fn bytes(&self) -> &[i8] {
        // SAFETY: any bit pattern is an `i8`; a line is 64 bytes without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 64) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [i8] {
        // SAFETY: as in `bytes`; any bit pattern is an `f32` too; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 64) }
    }
}

/// An arena as the members of a team see it: each writes its own part.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    base: *mut f32,
    floats: usize,
}

// SAFETY: `Memory` only hands out pointers. Members of a team write disjoint parts between two
// barriers, which the steps see to (each states how).
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn of(arena: &mut Aligned) -> Self {
        let floats = arena.floats_mut();
        Self { base: floats.as_mut_ptr(), floats: floats.len() }
    }

    /// A pointer to `length` floats.
    ///
    /// # Panics
    /// When they do not all lie in the arena.
    pub(super) fn floats(self, offset: usize, length: usize) -> *mut f32 {
        assert!(offset + length <= self.floats, "floats outside the arena");
        self.base.wrapping_add(offset)
    }

    /// A pointer to `length` bytes, counted from `offset` floats.
    ///
    /// # Panics
    /// When they do not all lie in the arena.
    pub(super) fn bytes(self, offset: usize, length: usize) -> *mut u8 {
        self.floats(offset, length.div_ceil(4)).cast()
    }
}

/// A square image of channels-last elements somewhere in memory, with a border of zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) side: usize,
    /// Padded to whole vectors; also the step from pixel to pixel.
    pub(super) channels: usize,
    /// Pixels of border on each side.
    pub(super) border: usize,
}

impl Image {
    /// Elements from row to row.
    pub(super) fn row_step(&self) -> usize {
        (self.side + 2 * self.border) * self.channels
    }

    /// Elements of the whole, the border included.
    pub(super) fn length(&self) -> usize {
        (self.side + 2 * self.border) * self.row_step()
    }

    /// The element at which a pixel begins; `-border` is the first row and column.
    pub(super) fn at(&self, y: usize, x: usize) -> usize {
        (y + self.border) * self.row_step() + (x + self.border) * self.channels
    }

    /// Calls `clear` with the start and length of each run of border elements.
    pub(super) fn border_runs(&self, mut clear: impl FnMut(usize, usize)) {
        if self.border == 0 {
            return;
        }
        // Right border of a row and left border of the next are one run.
        let gap = 2 * self.border * self.channels;
        let edge = self.border * self.row_step() + self.border * self.channels;
        clear(0, edge);
        for y in 1..self.side {
            clear(self.at(y, 0) - gap, gap);
        }
        clear(self.length() - edge, edge);
    }
}

/// A square image of bytes whose columns lie by fours: of four neighboring columns the bytes of a
/// channel lie together, and those of all channels before the next four.
///
/// Columns that fill the last four, and a four on each side of a row, are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FourImage {
    pub(super) side: usize,
    /// Padded to whole vectors.
    pub(super) channels: usize,
}

impl FourImage {
    /// Fours behind the last row, which kernels may read and that mean nothing.
    const SLACK: usize = 4;

    /// Bytes of a four.
    pub(super) fn step(&self) -> usize {
        self.channels * 4
    }

    /// Bytes from row to row.
    pub(super) fn row_step(&self) -> usize {
        (self.side.div_ceil(4) + 2) * self.step()
    }

    /// Bytes of so many rows and of what may be read behind them.
    pub(super) fn length(&self, rows: usize) -> usize {
        rows * self.row_step() + Self::SLACK * self.step()
    }

    /// Calls `clear` with the start and length of the zeros beside each of the first `rows` rows.
    pub(super) fn border_runs(&self, rows: usize, mut clear: impl FnMut(usize, usize)) {
        for row in 0..rows {
            clear(row * self.row_step(), self.step());
            clear((row + 1) * self.row_step() - self.step(), self.step());
        }
    }
}

/// Finds places in one arena for values that live at different times.
#[derive(Default)]
pub(super) struct Planner {
    placed: Vec<Placed>,
}

struct Placed {
    start: usize,
    end: usize,
    /// Steps between which the value is alive, both inclusive.
    lives: (usize, usize),
}

impl Planner {
    /// The lowest offset at which `floats` are free during `lives`.
    pub(super) fn place(&mut self, floats: usize, lives: (usize, usize)) -> usize {
        let floats = floats.next_multiple_of(16);
        let meets = |other: &&Placed| other.lives.0 <= lives.1 && lives.0 <= other.lives.1;
        let mut taken: Vec<(usize, usize)> =
            self.placed.iter().filter(meets).map(|other| (other.start, other.end)).collect();
        taken.sort_unstable();
        let mut start = 0;
        for (from, to) in taken {
            if start + floats <= from {
                break;
            }
            start = start.max(to);
        }
        self.placed.push(Placed { start, end: start + floats, lives });
        start
    }

    /// Floats that the arena needs.
    pub(super) fn length(&self) -> usize {
        self.placed.iter().map(|placed| placed.end).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_meet_never_overlap_and_others_share_memory() {
        let mut planner = Planner::default();
        let first = planner.place(100, (0, 1));
        let second = planner.place(50, (1, 2));
        let third = planner.place(90, (2, 3));
        assert_eq!((first, second, third), (0, 112, 0));
        assert_eq!(planner.length(), 176);
    }

    #[test]
    fn the_border_runs_cover_exactly_the_border() {
        let image = Image { side: 3, channels: 8, border: 2 };
        let mut seen = vec![0; image.length()];
        image.border_runs(|start, length| {
            for element in &mut seen[start..start + length] {
                *element += 1;
            }
        });
        for y in 0..7 {
            for x in 0..7 {
                let inside = (2..5).contains(&y) && (2..5).contains(&x);
                let expected = i32::from(!inside);
                let at = (y * 7 + x) * 8;
                assert!(seen[at..at + 8].iter().all(|&count| count == expected), "{y} {x}");
            }
        }
    }
}
