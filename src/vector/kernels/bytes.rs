//! The dot product of rows of signed bytes, exact, so that every processor gives the same number.
//!
//! The walk of the graph and the scan compare quantised vectors with it. Rows are padded with
//! zeros to whole cache lines ([`ROW_UNIT`]), which leaves the loops without a tail.

#[cfg(target_arch = "x86_64")]
use super::{byte_avx2, byte_avx512};
use super::{byte_scalar, prefetch};

/// Rows are padded to a multiple of this many bytes, a cache line.
pub const ROW_UNIT: usize = 64;

/// The longest row whose dot products cannot overflow: 127 * 127 * 2^16 is below 2^31.
pub const ROW_BYTES_MAX: usize = 1 << 16;

/// A dot product of bytes that is known to run on this processor. Copying it is free.
///
/// Bytes lie in -127..=127: with -128 the AVX2 kernel would give another result.
#[derive(Debug, Clone, Copy)]
pub struct ByteKernel(InstructionSet);

#[derive(Debug, Clone, Copy)]
enum InstructionSet {
    /// On ARM the compiler makes NEON instructions of the plain loop: they are part of the target.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(byte_avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(byte_avx512::Avx512Vnni),
}

/// Rows of equal length in one array.
#[derive(Debug, Clone, Copy)]
pub struct ByteRows<'a> {
    bytes: &'a [i8],
    stride: usize,
}

impl<'a> ByteRows<'a> {
    /// Rows of `stride` bytes each.
    ///
    /// # Panics
    ///
    /// If `stride` is not a multiple of [`ROW_UNIT`] in 1..=[`ROW_BYTES_MAX`], or does not divide
    /// the length of `bytes`.
    pub fn new(bytes: &'a [i8], stride: usize) -> Self {
        let sound = (1..=ROW_BYTES_MAX).contains(&stride) && stride.is_multiple_of(ROW_UNIT);
        assert!(sound, "rows of {stride} bytes");
        assert!(bytes.len().is_multiple_of(stride), "ragged rows");
        Self { bytes, stride }
    }

    /// The bytes of a row.
    #[inline]
    pub fn row(&self, node: u32) -> &'a [i8] {
        let start = node as usize * self.stride;
        &self.bytes[start..start + self.stride]
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.stride
    }

    /// Rows one after another, as a part of these.
    ///
    /// # Panics
    ///
    /// If a row does not exist.
    pub fn part(&self, rows: std::ops::Range<usize>) -> Self {
        let bytes = &self.bytes[rows.start * self.stride..rows.end * self.stride];
        Self { bytes, stride: self.stride }
    }

    /// The number of bytes in each row.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Starts to load a row into the cache. It changes nothing but time.
    #[inline]
    pub fn prefetch(&self, node: u32) {
        prefetch::prefetch_array(self.row(node));
    }
}

impl ByteKernel {
    /// The fastest kernel that this processor can run.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::scalar())
    }

    /// The plain loop that every other kernel is tested against. Runs everywhere.
    pub const fn scalar() -> Self {
        Self(InstructionSet::Scalar)
    }

    /// Every kernel that this processor can run, the scalar one first and the fastest last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut found = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(byte_avx2::Avx2::detect().map(|token| Self(InstructionSet::Avx2(token))));
            let avx512 = byte_avx512::Avx512Vnni::detect();
            found.extend(avx512.map(|token| Self(InstructionSet::Avx512(token))));
        }
        found
    }

    /// The name of the instruction set, for reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            InstructionSet::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(_) => "avx512-vnni",
        }
    }

    /// The dot product of two rows.
    ///
    /// # Panics
    ///
    /// If the lengths differ or are not a multiple of [`ROW_UNIT`].
    #[inline]
    pub fn dot(self, a: &[i8], b: &[i8]) -> i32 {
        check_rows(a, b.len());
        match self.0 {
            InstructionSet::Scalar => byte_scalar::dot(a, b),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(token) => token.dot(a, b),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(token) => token.dot(a, b),
        }
    }

    /// Appends the dot product of `query` with each row of `nodes` to `out`, and loads rows that
    /// come later while it scores one.
    ///
    /// # Panics
    ///
    /// If `query` has another length than the rows, or a node does not exist.
    #[inline]
    pub fn dots(self, query: &[i8], rows: ByteRows<'_>, nodes: &[u32], out: &mut Vec<i32>) {
        check_rows(query, rows.stride);
        match self.0 {
            InstructionSet::Scalar => {
                let dots = nodes.iter().map(|&node| byte_scalar::dot(query, rows.row(node)));
                out.extend(dots);
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(token) => token.dots(query, rows, nodes, out),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512(token) => token.dots(query, rows, nodes, out),
        }
    }

    /// Writes the products that can be had in tiles of 4 by 4, and says of how many rows and columns.
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
    fn tiles(self, left: ByteRows<'_>, right: ByteRows<'_>, out: &mut [i32]) -> (usize, usize) {
        #[cfg(target_arch = "x86_64")]
        if let InstructionSet::Avx512(token) = self.0 {
            let columns = right.count();
            let [rows_tiled, columns_tiled] = [left.count(), columns].map(|n| n - n % 4);
            for j in (0..columns_tiled).step_by(4) {
                let four = std::array::from_fn(|at| right.row((j + at) as u32));
                for i in (0..rows_tiled).step_by(4) {
                    let own = std::array::from_fn(|at| left.row((i + at) as u32));
                    let tile = token.tile(own, four);
                    for (at, products) in tile.as_chunks::<4>().0.iter().enumerate() {
                        let start = (i + at) * columns + j;
                        out[start..start + 4].copy_from_slice(products);
                    }
                }
            }
            return (rows_tiled, columns_tiled);
        }
        (0, 0)
    }

    /// Writes the dot product of each row of `left` with each row of `right` to `out`, row by row
    /// of `left`: exact, and faster than one at a time where both fit into a cache.
    ///
    /// # Panics
    ///
    /// If the rows are of unequal length, or `out` has another size.
    pub fn products(self, left: ByteRows<'_>, right: ByteRows<'_>, out: &mut [i32]) {
        assert_eq!(left.stride, right.stride, "dot product of unequal rows");
        let columns = right.count();
        assert_eq!(left.count().checked_mul(columns), Some(out.len()), "products do not fit");
        let tiled = self.tiles(left, right, out);
        for row in 0..left.count() {
            let first = if row < tiled.0 { tiled.1 } else { 0 };
            for column in first..columns {
                out[row * columns + column] =
                    self.dot(left.row(row as u32), right.row(column as u32));
            }
        }
    }
}

fn check_rows(row: &[i8], other_length: usize) {
    assert_eq!(row.len(), other_length, "dot product of unequal rows");
    assert!(row.len().is_multiple_of(ROW_UNIT), "a row of {} bytes is not padded", row.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow_dot(a: &[i8], b: &[i8]) -> i64 {
        a.iter().zip(b).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum()
    }

    proptest! {
        #[test]
        fn every_kernel_gives_the_exact_dot_product(
            (a, b) in (1usize..=21).prop_flat_map(|units| {
                let side = move || prop::collection::vec(-127i8..=127, units * ROW_UNIT);
                (side(), side())
            })
        ) {
            for kernel in ByteKernel::available() {
                prop_assert_eq!(i64::from(kernel.dot(&a, &b)), slow_dot(&a, &b), "{}", kernel.name());
            }
        }

        #[test]
        fn products_of_all_pairs_are_single_dots(
            units in 1usize..=4, rows in 0usize..11, columns in 0usize..11,
            bytes in prop::collection::vec(-127i8..=127, 21 * 4 * ROW_UNIT),
        ) {
            let stride = units * ROW_UNIT;
            let all = ByteRows::new(&bytes[..21 * stride], stride);
            let (left, right) = (all.part(0..rows), all.part(10..10 + columns));
            let slow = |row: usize, column: usize| slow_dot(left.row(row as u32), right.row(column as u32));
            let expected: Vec<i64> = (0..rows)
                .flat_map(|row| (0..columns).map(move |column| slow(row, column)))
                .collect();
            for kernel in ByteKernel::available() {
                let mut found = vec![i32::MAX; rows * columns];
                kernel.products(left, right, &mut found);
                let found: Vec<i64> = found.into_iter().map(i64::from).collect();
                prop_assert_eq!(&found, &expected, "{}", kernel.name());
            }
        }

        #[test]
        fn dots_of_chosen_rows_are_single_dots(
            (query, bytes) in (1usize..=5).prop_flat_map(|units| (
                prop::collection::vec(-127i8..=127, units * ROW_UNIT),
                prop::collection::vec(-127i8..=127, 9 * units * ROW_UNIT),
            )),
            nodes in prop::collection::vec(0u32..9, 0..20),
        ) {
            let rows = ByteRows::new(&bytes, query.len());
            let expected: Vec<i64> =
                nodes.iter().map(|&node| slow_dot(&query, rows.row(node))).collect();
            for kernel in ByteKernel::available() {
                let mut found = Vec::new();
                kernel.dots(&query, rows, &nodes, &mut found);
                let found: Vec<i64> = found.into_iter().map(i64::from).collect();
                prop_assert_eq!(&found, &expected, "{}", kernel.name());
            }
        }
    }

    #[test]
    fn longest_row_of_greatest_bytes_does_not_overflow() {
        let (low, high) = (vec![-127; ROW_BYTES_MAX], vec![127; ROW_BYTES_MAX]);
        for kernel in ByteKernel::available() {
            let expected = 127 * 127 * ROW_BYTES_MAX as i32;
            assert_eq!(kernel.dot(&high, &high), expected, "{}", kernel.name());
            assert_eq!(kernel.dot(&high, &low), -expected, "{}", kernel.name());
            assert_eq!(kernel.dot(&low, &low), expected, "{}", kernel.name());
            let four = [&high[..], &low, &high, &low].concat();
            let mut products = [0; 16];
            let rows = ByteRows::new(&four, ROW_BYTES_MAX);
            kernel.products(rows, rows, &mut products);
            let signs = [1, -1, 1, -1];
            let all = (0..16).map(|at: usize| expected * signs[at / 4] * signs[at % 4]);
            assert_eq!(products.to_vec(), all.collect::<Vec<_>>(), "{}", kernel.name());
        }
    }

    #[test]
    #[should_panic(expected = "is not padded")]
    fn rows_without_padding_are_refused() {
        ByteKernel::detect().dot(&[0; 63], &[0; 63]);
    }
}
