//! The dot product of `f32` vectors, in the best form that the processor at hand can run.
//!
//! One algorithm (`lanes`), one file per instruction set, one dispatch: [`Kernel`]. This module
//! opts out of `unsafe_code = "deny"` because a function compiled for an instruction set may only
//! be called where that set exists, and because prefetching is an intrinsic. The proof is a token:
//! a value of type `Avx2` can be had from `Avx2::detect` alone, so everything that leaves this
//! module is safe.
//!
//! There is no AVX-512 kernel: a row of 1280 components took 62 ns with AVX2 and 77 to 190 ns with
//! AVX-512 out of the L2 cache (lane arrays of 32 to 128 and intrinsics), and the same 175 ns out
//! of L3, where memory decides. Prefetching the next row of a scan gained nothing either (Xeon
//! with AMX, 2 cores under load, best of several runs, rustc 1.95, 2026-11).
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod byte_avx2;
#[cfg(target_arch = "x86_64")]
mod byte_avx512;
mod byte_scalar;
mod bytes;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod prefetch;
mod scalar;

pub use bytes::{ByteKernel, ByteRows, ROW_BYTES_MAX, ROW_UNIT};
pub(crate) use prefetch::prefetch_array as prefetch;

/// A dot product that is known to run on this processor.
///
/// Copying it is free; detecting it costs a few loads, so hot loops detect once and keep it.
/// Two kernels agree to about 1e-5 of the sum of the absolute products, not to the bit.
#[derive(Debug, Clone, Copy)]
pub struct Kernel(InstructionSet);

#[derive(Debug, Clone, Copy)]
enum InstructionSet {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kernel {
    /// The fastest kernel that this processor can run.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            Self(avx2::Avx2::detect().map_or(InstructionSet::Scalar, InstructionSet::Avx2))
        }
        #[cfg(target_arch = "aarch64")]
        {
            Self(InstructionSet::Neon)
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            Self::scalar()
        }
    }

    /// The plain loop that every other kernel is tested against. Runs everywhere.
    pub const fn scalar() -> Self {
        Self(InstructionSet::Scalar)
    }

    /// Every kernel that this processor can run, the scalar one first.
    pub fn available() -> Vec<Self> {
        let mut found = vec![Self::scalar()];
        #[cfg(target_arch = "x86_64")]
        found.extend(avx2::Avx2::detect().map(|token| Self(InstructionSet::Avx2(token))));
        #[cfg(target_arch = "aarch64")]
        found.push(Self(InstructionSet::Neon));
        found
    }

    /// The name of the instruction set, for reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            InstructionSet::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => "neon",
        }
    }

    /// The dot product of two vectors of equal length. The dot product of empty vectors is 0.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    #[inline]
    pub fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "dot product of unequal lengths");
        match self.0 {
            InstructionSet::Scalar => scalar::dot(a, b),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(token) => token.dot(a, b),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => neon::dot(a, b),
        }
    }

    /// Starts to load `row` into the cache, to be scored soon. It changes nothing but time.
    #[inline]
    pub fn prefetch(self, row: &[f32]) {
        prefetch::prefetch(row);
    }

    /// Writes the dot product of `query` with each row of the row-major `matrix` to `out`.
    ///
    /// Row `i` gives the same bits as [`Kernel::dot`] of that row, whatever rows stand around it.
    ///
    /// # Panics
    ///
    /// If `dimension` is 0, `query` has another length, or `matrix` has not `out.len()` rows.
    pub fn dot_rows(self, matrix: &[f32], dimension: usize, query: &[f32], out: &mut [f32]) {
        assert_eq!(query.len(), dimension, "query of another dimension");
        assert_eq!(Some(matrix.len()), dimension.checked_mul(out.len()), "ragged matrix");
        let rows = matrix.chunks_exact(dimension);
        match self.0 {
            InstructionSet::Scalar => scalar::dot_rows(rows, query, out),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2(token) => token.dot_rows(rows, query, out),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => neon::dot_rows(rows, query, out),
        }
    }
}

/// The dot product of two vectors of equal length, by the fastest kernel.
///
/// # Panics
///
/// If the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    Kernel::detect().dot(a, b)
}

/// Writes the dot product of `query` with each row of `matrix` to `out`, by the fastest kernel.
///
/// # Panics
///
/// As [`Kernel::dot_rows`].
pub fn dot_rows(matrix: &[f32], dimension: usize, query: &[f32], out: &mut [f32]) {
    Kernel::detect().dot_rows(matrix, dimension, query, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Twice the rounding of a sum of 1280 products in 8 running sums: 2 * (1280 / 8) * 2^-24.
    const TOLERANCE: f32 = 2.0e-5;

    fn pairs(length: impl Strategy<Value = usize>) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        length.prop_flat_map(|length| {
            let side = || prop::collection::vec(-1.0f32..1.0, length);
            (side(), side())
        })
    }

    fn assert_close(kernel: Kernel, a: &[f32], b: &[f32], found: f32) {
        let expected = scalar::dot(a, b);
        let magnitude: f32 = a.iter().zip(b).map(|(x, y)| (x * y).abs()).sum();
        let name = kernel.name();
        assert!(
            (found - expected).abs() <= TOLERANCE * magnitude,
            "{name}, length {}: {found} instead of {expected}",
            a.len()
        );
    }

    proptest! {
        #[test]
        fn each_kernel_agrees_with_the_scalar_loop_on_short_vectors((a, b) in pairs(0usize..=70)) {
            for kernel in Kernel::available() {
                assert_close(kernel, &a, &b, kernel.dot(&a, &b));
            }
        }

        #[test]
        fn each_kernel_agrees_with_the_scalar_loop_on_embeddings((a, b) in pairs(Just(1280))) {
            for kernel in Kernel::available() {
                assert_close(kernel, &a, &b, kernel.dot(&a, &b));
            }
        }

        #[test]
        fn scalar_loop_agrees_with_double_precision((a, b) in pairs(0usize..=70)) {
            let products = a.iter().zip(&b).map(|(&x, &y)| f64::from(x) * f64::from(y));
            let (exact, magnitude) = products.fold((0.0, 0.0), |(sum, all), product| {
                (sum + product, all + product.abs())
            });
            let error = (f64::from(scalar::dot(&a, &b)) - exact).abs();
            prop_assert!(error <= f64::from(TOLERANCE) * magnitude);
        }

        #[test]
        fn rows_give_the_same_bits_as_single_dots(
            rows in 0usize..12, (query, matrix) in (1usize..=70).prop_flat_map(|dimension| (
                prop::collection::vec(-1.0f32..1.0, dimension),
                prop::collection::vec(-1.0f32..1.0, dimension * 12),
            ))
        ) {
            let matrix = &matrix[..rows * query.len()];
            for kernel in Kernel::available() {
                let mut out = vec![f32::NAN; rows];
                kernel.dot_rows(matrix, query.len(), &query, &mut out);
                let single = matrix.chunks_exact(query.len()).map(|row| kernel.dot(row, &query));
                prop_assert_eq!(out, single.collect::<Vec<_>>(), "{}", kernel.name());
            }
        }
    }

    #[test]
    fn detected_kernel_is_the_last_of_the_available_ones() {
        let names: Vec<_> = Kernel::available().iter().map(|kernel| kernel.name()).collect();
        println!("available: {names:?}");
        assert_eq!(names.last(), Some(&Kernel::detect().name()));
    }

    #[test]
    #[should_panic(expected = "dot product of unequal lengths")]
    fn unequal_lengths_are_refused() {
        dot(&[1.0], &[1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "ragged matrix")]
    fn ragged_matrix_is_refused() {
        dot_rows(&[1.0; 5], 2, &[1.0; 2], &mut [0.0; 2]);
    }
}
