//! Vectors of NEON: four lanes, thirty-two registers.

use core::arch::aarch64::*;

use super::lanes::Lanes;

/// NEON, which every 64-bit ARM processor has.
pub(super) struct Neon;

impl Lanes for Neon {
    const COUNT: usize = 4;
    type Floats = float32x4_t;
    type Ints = int32x4_t;

    #[inline(always)]
    unsafe fn splat(value: f32) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vdupq_n_f32(value) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        // SAFETY: contract of `Lanes`: `from` is valid for 4 floats.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: float32x4_t) {
        // SAFETY: contract of `Lanes`: `to` is valid for 4 floats.
        unsafe { vst1q_f32(to, value) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn power_of_two(value: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe {
            let exponent = vaddq_s32(vcvtnq_s32_f32(value), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent))
        }
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vdupq_n_s32(value) }
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i8) -> int32x4_t {
        // SAFETY: contract of `Lanes`: `from` is valid for 16 bytes.
        unsafe { vreinterpretq_s32_s8(vld1q_s8(from)) }
    }
    #[inline(always)]
    unsafe fn dot(sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // The dot product instruction that mixes signs is not in every processor, nor in stable
        // Rust; the product of a byte of each kind fits 16 bits.
        // SAFETY: NEON is part of the target.
        unsafe {
            let (a, b) = (vreinterpretq_u8_s32(a), vreinterpretq_s8_s32(b));
            let unsigned = |half| vreinterpretq_s16_u16(vmovl_u8(half));
            let low = vmulq_s16(unsigned(vget_low_u8(a)), vmovl_s8(vget_low_s8(b)));
            let high = vmulq_s16(unsigned(vget_high_u8(a)), vmovl_s8(vget_high_s8(b)));
            vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)))
        }
    }
    #[inline(always)]
    unsafe fn dot_words(sum: int32x4_t, a: int32x4_t, b: int32x4_t) -> int32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe {
            let (a, b) = (vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            let high = vmull_s16(vget_high_s16(a), vget_high_s16(b));
            vaddq_s32(sum, vpaddq_s32(low, high))
        }
    }
    #[inline(always)]
    unsafe fn to_floats(value: int32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the target.
        unsafe { vcvtq_f32_s32(value) }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, value: float32x4_t) {
        // SAFETY: NEON is part of the target; contract of `Lanes`: `to` is valid for 4 bytes.
        unsafe {
            let words = vqmovn_s32(vcvtnq_s32_f32(value));
            let bytes = vqmovun_s16(vcombine_s16(words, words));
            to.cast::<i32>().write_unaligned(vget_lane_s32::<0>(vreinterpret_s32_u8(bytes)));
        }
    }
    #[inline(always)]
    unsafe fn store_fours(to: *mut u8, values: [float32x4_t; 4]) {
        // SAFETY: NEON is part of the target; contract of `Lanes`: `to` is valid for 16 bytes.
        unsafe {
            let [a, b, c, d] = values.map(|value| {
                let words = vqmovn_s32(vcvtnq_s32_f32(value));
                vqmovun_s16(vcombine_s16(words, words))
            });
            // The first four lanes of each are stored together, lane by lane.
            vst4_lane_u8::<0>(to, uint8x8x4_t(a, b, c, d));
            vst4_lane_u8::<1>(to.add(4), uint8x8x4_t(a, b, c, d));
            vst4_lane_u8::<2>(to.add(8), uint8x8x4_t(a, b, c, d));
            vst4_lane_u8::<3>(to.add(12), uint8x8x4_t(a, b, c, d));
        }
    }
}
