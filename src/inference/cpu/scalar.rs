//! Vectors as plain arrays: what runs on any processor.

use super::lanes::Lanes;

/// No instruction set in particular.
pub(super) struct Scalar;

const COUNT: usize = 8;

#[inline(always)]
fn zip(a: [f32; COUNT], b: [f32; COUNT], f: impl Fn(f32, f32) -> f32) -> [f32; COUNT] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

/// `as` saturates; a plain round would send ties away from zero.
#[inline(always)]
fn to_byte(value: f32) -> u8 {
    value.round_ties_even() as u8
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
    unsafe fn div(a: [f32; COUNT], b: [f32; COUNT]) -> [f32; COUNT] {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn power_of_two(value: [f32; COUNT]) -> [f32; COUNT] {
        value.map(|value| f32::from_bits(((value as i32 + 127) as u32) << 23))
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
    unsafe fn dot(sum: [i32; COUNT], a: [i32; COUNT], b: [i32; COUNT]) -> [i32; COUNT] {
        std::array::from_fn(|lane| {
            let fours = a[lane].to_ne_bytes().into_iter().zip(b[lane].to_ne_bytes());
            sum[lane] + fours.map(|(a, b)| i32::from(a) * i32::from(b as i8)).sum::<i32>()
        })
    }
    #[inline(always)]
    unsafe fn dot_words(sum: [i32; COUNT], a: [i32; COUNT], b: [i32; COUNT]) -> [i32; COUNT] {
        std::array::from_fn(|lane| {
            let halves = |word: i32| [word as i16, (word >> 16) as i16].map(i32::from);
            let ([a, b], [c, d]) = (halves(a[lane]), halves(b[lane]));
            sum[lane] + a * c + b * d
        })
    }
    #[inline(always)]
    unsafe fn to_floats(value: [i32; COUNT]) -> [f32; COUNT] {
        value.map(|lane| lane as f32)
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, value: [f32; COUNT]) {
        // SAFETY: contract of `Lanes`: `to` is valid for `COUNT` bytes.
        unsafe { to.cast::<[u8; COUNT]>().write_unaligned(value.map(to_byte)) }
    }
    #[inline(always)]
    unsafe fn store_fours(to: *mut u8, values: [[f32; COUNT]; 4]) {
        let bytes: [[u8; 4]; COUNT] =
            std::array::from_fn(|lane| values.map(|value| to_byte(value[lane])));
        // SAFETY: contract of `Lanes`: `to` is valid for `4 * COUNT` bytes.
        unsafe { to.cast::<[[u8; 4]; COUNT]>().write_unaligned(bytes) }
    }
}
