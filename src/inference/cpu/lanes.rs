//! What a kernel asks of an instruction set: vectors of floats and of 32-bit integers.

/// The greatest byte of a value; the least is 0.
pub(super) const BYTE_MAX: u8 = 255;
/// The greatest sum of two neighboring weights of one sign, in bytes, before they are rounded.
///
/// Rounding adds at most one, so that two products fit 16 bits (255 * 128 < 2^15): AVX2, which has
/// no instruction for dot products of bytes, adds pairs there. All instruction sets use the same
/// numbers, so that an embedding does not depend on the processor.
pub(super) const BYTE_PAIR_MAX: f32 = 127.0;

/// Operations on the vectors of one instruction set.
///
/// Every operation is on whole vectors: the engine pads channels to a multiple of
/// [`Lanes::COUNT`], so that no kernel has a tail.
///
/// # Safety
/// All functions may only be called where the instruction set exists, from a function that is
/// compiled for it; pointers must be valid for `COUNT` elements (`load_*`, `store_*`) and need no
/// alignment.
pub(super) trait Lanes {
    /// Lanes of a vector.
    const COUNT: usize;
    /// `COUNT` 32-bit floats.
    type Floats: Copy;
    /// `COUNT` 32-bit integers.
    type Ints: Copy;

    unsafe fn splat(value: f32) -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    unsafe fn store(to: *mut f32, value: Self::Floats);
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once where the instruction set can.
    unsafe fn fma(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// The greater of each pair; `b` where `a` is NaN.
    unsafe fn max(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The smaller of each pair; `b` where `a` is NaN.
    unsafe fn min(a: Self::Floats, b: Self::Floats) -> Self::Floats;

    unsafe fn div(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Two to the power of whole numbers from -126 to 127.
    unsafe fn power_of_two(value: Self::Floats) -> Self::Floats;

    unsafe fn splat_int(value: i32) -> Self::Ints;
    unsafe fn load_ints(from: *const i8) -> Self::Ints;
    /// To each lane of `sum` the dot product of its four unsigned bytes of `a` with its four signed
    /// of `b`. Exact while no pair of `b` of one sign sums to more than 128.
    unsafe fn dot(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// The same with two words of 16 bits, both signed, for four bytes. The caller sees to it that
    /// the sums fit.
    unsafe fn dot_words(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn to_floats(value: Self::Ints) -> Self::Floats;
    /// Rounds to the nearest integer (ties to even), saturates to `0..=BYTE_MAX`, stores `COUNT` bytes.
    unsafe fn store_bytes(to: *mut u8, value: Self::Floats);
    /// As [`Lanes::store_bytes`], but the bytes of the four values lie together for each lane:
    /// stores `4 * COUNT`.
    unsafe fn store_fours(to: *mut u8, values: [Self::Floats; 4]);
}
