//! Vectors of AVX-512 with VNNI: sixteen lanes, thirty-two registers.

use core::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX-512 F, BW, VL and VNNI.
pub(super) struct Avx512;

impl Lanes for Avx512 {
    const COUNT: usize = 16;
    type Floats = __m512;
    type Ints = __m512i;

    #[inline(always)]
    unsafe fn splat(value: f32) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> __m512 {
        // SAFETY: contract of `Lanes`: AVX-512, `from` is valid for 16 floats.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: __m512) {
        // SAFETY: contract of `Lanes`: AVX-512, `to` is valid for 16 floats.
        unsafe { _mm512_storeu_ps(to, value) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn power_of_two(value: __m512) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> __m512i {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_set1_epi32(value) }
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i8) -> __m512i {
        // SAFETY: contract of `Lanes`: AVX-512, `from` is valid for 64 bytes.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn dot(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller runs on AVX-512 VNNI (contract of `Lanes`).
        unsafe { _mm512_dpbusd_epi32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn dot_words(sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: the caller runs on AVX-512 VNNI (contract of `Lanes`).
        unsafe { _mm512_dpwssd_epi32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn to_floats(value: __m512i) -> __m512 {
        // SAFETY: the caller runs on AVX-512 (contract of `Lanes`).
        unsafe { _mm512_cvtepi32_ps(value) }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, value: __m512) {
        // SAFETY: contract of `Lanes`: AVX-512, `to` is valid for 16 bytes.
        unsafe {
            let ints = _mm512_max_epi32(_mm512_cvtps_epi32(value), _mm512_setzero_si512());
            _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(ints));
        }
    }
    #[inline(always)]
    unsafe fn store_fours(to: *mut u8, values: [__m512; 4]) {
        // SAFETY: contract of `Lanes`: AVX-512, `to` is valid for 64 bytes.
        unsafe {
            let [a, b, c, d] = values.map(|value| _mm512_cvtps_epi32(value));
            let words = [_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)];
            let bytes = _mm512_packus_epi16(words[0], words[1]);
            // In each 128 bits lie four lanes of each value.
            let order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let bytes = _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(order));
            _mm512_storeu_si512(to.cast(), bytes);
        }
    }
}
