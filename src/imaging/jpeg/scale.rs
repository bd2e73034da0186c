//! Chooses by how much an image is reduced while it is read.

/// The side of the reduced image, in eighths of the full one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scale {
    Eighth,
    Quarter,
    Half,
}

impl Scale {
    /// Gives the smallest scale at which the shorter side keeps `side_min_px`; `None` if no
    /// reduction does.
    pub(super) fn smallest(width_px: usize, height_px: usize, side_min_px: usize) -> Option<Self> {
        let shorter_px = width_px.min(height_px);
        let scales = [Self::Eighth, Self::Quarter, Self::Half];
        scales.into_iter().find(|scale| scale.side_px(shorter_px) >= side_min_px)
    }

    /// Gives how many pixels remain of a side; what is left over counts as one.
    pub(super) fn side_px(self, full_px: usize) -> usize {
        (full_px * self.block_side()).div_ceil(8)
    }

    /// Gives how many pixels remain of the side of a block of 8 px.
    pub(super) fn block_side(self) -> usize {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::Half => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_scale_that_keeps_the_side_is_taken() {
        let cases = [
            (4000, 3000, 256, Some(Scale::Eighth)),
            (4000, 3000, 375, Some(Scale::Eighth)),
            (4000, 3000, 376, Some(Scale::Quarter)),
            (2041, 9000, 256, Some(Scale::Eighth)),
            (2040, 9000, 256, Some(Scale::Quarter)),
            (1020, 800, 256, Some(Scale::Half)),
            (511, 511, 256, Some(Scale::Half)),
            (510, 510, 256, None),
            (4000, 100, 256, None),
        ];
        for (width_px, height_px, side_min_px, expected) in cases {
            let found = Scale::smallest(width_px, height_px, side_min_px);
            assert_eq!(found, expected, "{width_px} x {height_px}, {side_min_px}");
        }
    }
}
