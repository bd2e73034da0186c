//! TensorFlow's SAME padding along one axis.

/// Zeros before and after an axis so that the output has `ceil(length / stride)` steps.
///
/// The odd zero goes to the end, which is why a symmetric padding gives other
/// numbers at stride 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SamePadding {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl SamePadding {
    /// The padding of an axis of `length` for a window of `side` moved by `stride`.
    pub(crate) fn of(length: usize, side: usize, stride: usize) -> Self {
        let covered = (length.div_ceil(stride) - 1) * stride + side;
        let total = covered.saturating_sub(length);
        Self { before: total / 2, after: total - total / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_zero_goes_to_the_end() {
        struct Case {
            length: usize,
            side: usize,
            stride: usize,
            expected: (usize, usize),
        }
        let cases = [
            Case { length: 224, side: 3, stride: 2, expected: (0, 1) },
            Case { length: 112, side: 3, stride: 1, expected: (1, 1) },
            Case { length: 56, side: 5, stride: 2, expected: (1, 2) },
            Case { length: 7, side: 5, stride: 1, expected: (2, 2) },
            Case { length: 7, side: 3, stride: 2, expected: (1, 1) },
            Case { length: 8, side: 1, stride: 2, expected: (0, 0) },
        ];
        for Case { length, side, stride, expected } in cases {
            let found = SamePadding::of(length, side, stride);
            assert_eq!((found.before, found.after), expected, "{length} {side} {stride}");
        }
    }
}
