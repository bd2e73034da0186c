//! The dot product of bytes for AVX-512 with VNNI: 64 products for each instruction.

use std::arch::x86_64::{
    __m512i, _mm512_abs_epi8, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_mask_sub_epi8,
    _mm512_movepi8_mask, _mm512_reduce_add_epi32, _mm512_setzero_si512,
};

use super::bytes::ByteRows;

/// Rows to load ahead of the one that is scored.
const AHEAD: usize = 3;

/// Proof that this processor has AVX-512 with VNNI: only [`Avx512Vnni::detect`] makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512Vnni(());

impl Avx512Vnni {
    /// Asks the processor; the answer is cached by the standard library.
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        found.then_some(Self(()))
    }

    #[inline]
    pub(super) fn dot(self, a: &[i8], b: &[i8]) -> i32 {
        // SAFETY: `self` exists, so `detect` has found these features on this processor.
        unsafe { dot(a, b) }
    }

    pub(super) fn dots(self, query: &[i8], rows: ByteRows<'_>, nodes: &[u32], out: &mut Vec<i32>) {
        // SAFETY: `self` exists, so `detect` has found these features on this processor.
        unsafe { dots(query, rows, nodes, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dots(query: &[i8], rows: ByteRows<'_>, nodes: &[u32], out: &mut Vec<i32>) {
    for (position, &node) in nodes.iter().enumerate() {
        if let Some(&later) = nodes.get(position + AHEAD) {
            rows.prefetch(later);
        }
        out.push(dot(query, rows.row(node)));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[inline]
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let (a, _) = a.as_chunks::<64>();
    let (b, _) = b.as_chunks::<64>();
    let mut sums = [_mm512_setzero_si512(); 2];
    for (position, (x, y)) in a.iter().zip(b).enumerate() {
        let (x, y) = (load(x), load(y));
        // The instruction multiplies unsigned by signed: the sign of x moves to y.
        let y = _mm512_mask_sub_epi8(y, _mm512_movepi8_mask(x), _mm512_setzero_si512(), y);
        let sum = &mut sums[position % 2];
        *sum = _mm512_dpbusd_epi32(*sum, _mm512_abs_epi8(x), y);
    }
    _mm512_reduce_add_epi32(sums[0]) + _mm512_reduce_add_epi32(sums[1])
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[i8; 64]) -> __m512i {
    // SAFETY: the reference is to 64 readable bytes, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}
