//! The dot product of bytes for AVX2: 32 products for each multiplication.

use std::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_abs_epi8,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_sign_epi8,
};

use super::bytes::ByteRows;

/// Rows to load ahead of the one that is scored.
const AHEAD: usize = 3;

/// Proof that this processor has AVX2: only [`Avx2::detect`] makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Asks the processor; the answer is cached by the standard library.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    #[inline]
    pub(super) fn dot(self, a: &[i8], b: &[i8]) -> i32 {
        // SAFETY: `self` exists, so `detect` has found AVX2 on this processor.
        unsafe { dot(a, b) }
    }

    pub(super) fn dots(self, query: &[i8], rows: ByteRows<'_>, nodes: &[u32], out: &mut Vec<i32>) {
        // SAFETY: `self` exists, so `detect` has found AVX2 on this processor.
        unsafe { dots(query, rows, nodes, out) }
    }
}

#[target_feature(enable = "avx2")]
fn dots(query: &[i8], rows: ByteRows<'_>, nodes: &[u32], out: &mut Vec<i32>) {
    for (position, &node) in nodes.iter().enumerate() {
        if let Some(&later) = nodes.get(position + AHEAD) {
            rows.prefetch(later);
        }
        out.push(dot(query, rows.row(node)));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let (a, _) = a.as_chunks::<32>();
    let (b, _) = b.as_chunks::<32>();
    let ones = _mm256_set1_epi16(1);
    let mut sum = _mm256_setzero_si256();
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (load(x), load(y));
        // The instruction multiplies unsigned by signed: the sign of x moves to y. Two products
        // of 127 * 127 fit into 16 bits.
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
    }
    let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let quarter = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(quarter, _mm_shuffle_epi32::<0b10_11_00_01>(quarter)))
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[i8; 32]) -> __m256i {
    // SAFETY: the reference is to 32 readable bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
