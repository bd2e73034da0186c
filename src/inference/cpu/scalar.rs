//! Vectors as plain arrays: what runs on any processor.

use super::lanes::{BYTE_MAX, Lanes};

/// No instruction set in particular.
pub(super) struct Scalar;

const COUNT: usize = 8;

#[inline(always)]
fn zip(a: [f32; COUNT], b: [f32; COUNT], f: impl Fn(f32, f32) -> f32) -> [f32; COUNT] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Lanes for Scalar {
    const COUNT: usize = COUNT;
    type Floats = [f32; COUNT];
    type Ints = [i32; COUNT];

    #[inline(always)]
    unsafe fn splat(value: f32) -> [f32; COUNT] {
        [value; COUNT]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; COUNT] {
        // SAFETY: contract of `Lanes`: `from` is valid for `COUNT` floats.
        unsafe { from.cast::<[f32; COUNT]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, value: [f32; COUNT]) {
        // SAFETY: contract of `Lanes`: `to` is valid for `COUNT` floats.
        unsafe { to.cast::<[f32; COUNT]>().write_unaligned(value) }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; COUNT], b: [f32; COUNT], c: [f32; COUNT]) -> [f32; COUNT] {
        // Not `mul_add`: without the instruction it is a library call for each lane.
        zip(zip(a, b, |a, b| a * b), c, |product, c| product + c)
    }
    #[inline(always)]
    unsafe fn max(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> [i32; COUNT] {
        [value; COUNT]
    }
    #[inline(always)]
    unsafe fn load_ints(from: *const i8) -> [i32; COUNT] {
        // SAFETY: contract of `Lanes`: `from` is valid for `4 * COUNT` bytes.
        unsafe { from.cast::<[i32; COUNT]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn dot(sum: [i32; COUNT], a: [[i32; COUNT]; 2], b: [[i32; COUNT]; 2]) -> [i32; COUNT] {
        std::array::from_fn(|lane| {
            let products = a.iter().zip(b).map(|(a, b)| {
                let fours = a[lane].to_ne_bytes().into_iter().zip(b[lane].to_ne_bytes());
                fours.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum::<i32>()
            });
            sum[lane] + products.sum::<i32>()
        })
    }
    #[inline(always)]
    unsafe fn to_floats(value: [i32; COUNT]) -> [f32; COUNT] {
        value.map(|lane| lane as f32)
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, value: [f32; COUNT]) {
        // `as` saturates; a plain round would send ties away from zero.
        let bytes = value.map(|lane| (lane.round_ties_even() as u8).min(BYTE_MAX));
        // SAFETY: contract of `Lanes`: `to` is valid for `COUNT` bytes.
        unsafe { to.cast::<[u8; COUNT]>().write_unaligned(bytes) }
    }
}
