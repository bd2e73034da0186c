//! The dot product of bytes for AVX-512 with VNNI: 64 products for each instruction.

use std::arch::x86_64::{
    __m512i, _mm512_abs_epi8, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_mask_sub_epi8, _mm512_movepi8_mask, _mm512_reduce_add_epi32, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
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

    /// The products of four rows with four others: that of `left[i]` and `right[j]` at `4 i + j`.
    /// All are of one length.
    #[inline]
    pub(super) fn tile(self, left: [&[i8]; 4], right: [&[i8]; 4]) -> [i32; 16] {
        // SAFETY: `self` exists, so `detect` has found these features on this processor.
        unsafe { tile(left, right) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn tile(left: [&[i8]; 4], right: [&[i8]; 4]) -> [i32; 16] {
    let left = left.map(|row| row.as_chunks::<64>().0);
    let right = right.map(|row| row.as_chunks::<64>().0);
    let units = left.iter().chain(&right).map(|row| row.len()).min().unwrap_or(0);
    let [a0, a1, a2, a3] = left.map(|row| &row[..units]);
    let [b0, b1, b2, b3] = right.map(|row| &row[..units]);
    let flip = _mm512_set1_epi8(-128);
    let mut sums = [[_mm512_setzero_si512(); 4]; 4];
    let mut flipped = [_mm512_setzero_si512(); 4];
    for unit in 0..units {
        // The instruction multiplies unsigned by signed: x + 128 is unsigned, and 128 times the
        // sum of y is taken off in the end.
        let x = [a0, a1, a2, a3].map(|row| _mm512_xor_si512(load(&row[unit]), flip));
        let y = [b0, b1, b2, b3].map(|row| load(&row[unit]));
        for j in 0..4 {
            flipped[j] = _mm512_dpbusd_epi32(flipped[j], flip, y[j]);
            for i in 0..4 {
                sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], x[i], y[j]);
            }
        }
    }
    let sums = horizontal_sums(sums);
    let flipped = flipped.map(|sum| _mm512_reduce_add_epi32(sum));
    std::array::from_fn(|at| sums[at] - flipped[at % 4])
}

/// Adds up the lanes of each of sixteen registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn horizontal_sums(registers: [[__m512i; 4]; 4]) -> [i32; 16] {
    // In each quarter of the result one sum of four lanes of each of the four.
    let [a, b, c, d] = registers.map(|[a, b, c, d]| {
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
    });
    let ab = add_quarters(a, b);
    let cd = add_quarters(c, d);
    let mut sums = [0; 16];
    // SAFETY: the array is of 64 writable bytes, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), add_quarters(ab, cd)) };
    sums
}

/// Adds the first quarter to the second and the third to the fourth, of both registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_quarters(a: __m512i, b: __m512i) -> __m512i {
    let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
    let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
    _mm512_add_epi32(even, odd)
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
