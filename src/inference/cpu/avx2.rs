//! Vectors of AVX2 with FMA: eight lanes, sixteen registers.

use core::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX2 and FMA.
pub(super) struct Avx2;

impl Lanes for Avx2 {
    const COUNT: usize = 8;
    type Floats = __m256;
    type Ints = __m256i;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m256 {
        // SAFETY: contract of `Lanes`: AVX2, `from` is valid for 8 floats.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m256) {
        // SAFETY: contract of `Lanes`: AVX2, `to` is valid for 8 floats.
        unsafe { _mm256_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the caller runs on FMA (contract of `Lanes`).
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn power_of_two(value: __m256) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(value), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> __m256i {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i8) -> __m256i {
        // SAFETY: contract of `Lanes`: AVX2, `from` is valid for 32 bytes.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn dot(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe {
            let pairs = _mm256_maddubs_epi16(a, b);
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    #[inline(always)]
    unsafe fn dot_words(sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)) }
    }
    #[inline(always)]
    unsafe fn to_floats(value: __m256i) -> __m256 {
        // SAFETY: the caller runs on AVX2 (contract of `Lanes`).
        unsafe { _mm256_cvtepi32_ps(value) }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, value: __m256) {
        // SAFETY: contract of `Lanes`: AVX2, `to` is valid for 8 bytes.
        unsafe {
            let ints = _mm256_cvtps_epi32(value);
            let (low, high) = (_mm256_castsi256_si128(ints), _mm256_extracti128_si256::<1>(ints));
            let words = _mm_packs_epi32(low, high);
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(words, words));
        }
    }
    #[inline(always)]
    unsafe fn store_fours(to: *mut u8, values: [__m256; 4]) {
        // SAFETY: contract of `Lanes`: AVX2, `to` is valid for 32 bytes.
        unsafe {
            let [a, b, c, d] = values.map(|value| _mm256_cvtps_epi32(value));
            let words = [_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d)];
            let bytes = _mm256_packus_epi16(words[0], words[1]);
            // In each 128 bits lie four lanes of each value.
            let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(order));
            _mm256_storeu_si256(to.cast(), bytes);
        }
    }
}
