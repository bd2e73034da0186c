//! What a kernel asks of an instruction set: vectors of floats and of 32-bit integers.

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
    /// To each lane of `sum` the dot product of its four unsigned bytes of `a` and its four signed
    /// bytes of `b`. Exact while `|b| <= 63`, which the packing of the weights sees to.
    unsafe fn dot(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn to_floats(value: Self::Ints) -> Self::Floats;
    /// Rounds to the nearest integer (ties to even), saturates to `0..=255`, stores `COUNT` bytes.
    unsafe fn store_bytes(to: *mut u8, value: Self::Floats);
}
