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
    unsafe fn dot(sum: int32x4_t, a: [int32x4_t; 2], b: [int32x4_t; 2]) -> int32x4_t {
        // The dot product instruction that mixes signs is not in every processor, nor in stable
        // Rust; bytes up to 127 are the same signed and unsigned.
        // SAFETY: NEON is part of the target.
        unsafe {
            let [a, b] = [a.map(|a| vreinterpretq_s8_s32(a)), b.map(|b| vreinterpretq_s8_s32(b))];
            let low = vmull_s8(vget_low_s8(a[0]), vget_low_s8(b[0]));
            let low = vmlal_s8(low, vget_low_s8(a[1]), vget_low_s8(b[1]));
            let high = vmull_s8(vget_high_s8(a[0]), vget_high_s8(b[0]));
            let high = vmlal_s8(high, vget_high_s8(a[1]), vget_high_s8(b[1]));
            vpadalq_s16(sum, vpaddq_s16(low, high))
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
            let bytes = vmax_s8(vqmovn_s16(vcombine_s16(words, words)), vdup_n_s8(0));
            to.cast::<i32>().write_unaligned(vget_lane_s32::<0>(vreinterpret_s32_s8(bytes)));
        }
    }
}
