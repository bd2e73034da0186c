//! What a kernel asks of an instruction set: vectors of floats and of 32-bit integers.

/// The greatest byte of a value; the least is 0.
///
/// Seven bits for values and weights of six bits and a sign: so AVX2 and NEON, which have no
/// instruction for dot products of bytes, sum four products in 16 bits. One more bit for the
/// weights at their cost is measured in `docs/engine.md`. All instruction sets use the same
/// numbers, so that an embedding does not depend on the processor.
pub(super) const BYTE_MAX: u8 = 127;
/// The greatest absolute value of a weight in bytes.
pub(super) const BYTE_WEIGHT_MAX: i8 = 63;

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

    unsafe fn splat_int(value: i32) -> Self::Ints;
    unsafe fn load_ints(from: *const i8) -> Self::Ints;
    /// To each lane of `sum` the dot products of its four bytes of `a[0]` with its four of `b[0]`
    /// and of those of `a[1]` with those of `b[1]`. Exact while `a` is from 0 to [`BYTE_MAX`] and
    /// `b` from `-BYTE_WEIGHT_MAX` to [`BYTE_WEIGHT_MAX`]: then the four products that meet in
    /// 16 bits fit there.
    unsafe fn dot(sum: Self::Ints, a: [Self::Ints; 2], b: [Self::Ints; 2]) -> Self::Ints;
    unsafe fn to_floats(value: Self::Ints) -> Self::Floats;
    /// Rounds to the nearest integer (ties to even), saturates to `0..=BYTE_MAX`, stores `COUNT` bytes.
    unsafe fn store_bytes(to: *mut u8, value: Self::Floats);
}
