//! The dot product for x86-64 with AVX2 and FMA: four registers of eight lanes.

use super::lanes;

const LANES: usize = 32;

/// Proof that this processor has AVX2 and FMA: only [`Avx2::detect`] makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Asks the processor; the answer is cached by the standard library.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    #[inline]
    pub(super) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        // SAFETY: `self` exists, so `detect` has found AVX2 and FMA on this processor.
        unsafe { dot(a, b) }
    }

    pub(super) fn dot_rows(
        self,
        rows: std::slice::ChunksExact<'_, f32>,
        query: &[f32],
        out: &mut [f32],
    ) {
        // SAFETY: `self` exists, so `detect` has found AVX2 and FMA on this processor.
        unsafe { dot_rows(rows, query, out) }
    }
}

#[target_feature(enable = "avx2,fma")]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes::dot::<LANES>(a, b)
}

#[target_feature(enable = "avx2,fma")]
fn dot_rows(rows: std::slice::ChunksExact<'_, f32>, query: &[f32], out: &mut [f32]) {
    lanes::dot_rows::<LANES>(rows, query, out);
}
