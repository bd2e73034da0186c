//! The one algorithm behind every fused kernel: independent running sums in plain Rust.
//!
//! Compiled inside a function that enables an instruction set, LLVM turns the array of lanes into
//! vector registers, so intrinsics are not needed. Four registers' worth of lanes hide the latency
//! of the fused multiply-add (4 cycles on the machines we know).

/// The dot product of `a` and `b` in `LANES` running sums.
///
/// Use only where a fused multiply-add is an instruction: elsewhere `mul_add` is a library call.
#[inline(always)]
pub(super) fn dot<const LANES: usize>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = x[lane].mul_add(y[lane], sums[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(add_up(&sums), |sum, (x, y)| x.mul_add(*y, sum))
}

/// The dot product of `query` with each of `rows`.
#[inline(always)]
pub(super) fn dot_rows<const LANES: usize>(
    rows: std::slice::ChunksExact<'_, f32>,
    query: &[f32],
    out: &mut [f32],
) {
    for (row, score) in rows.zip(out) {
        *score = dot::<LANES>(row, query);
    }
}

/// Adds the lanes eight abreast first, which stays in registers.
#[inline(always)]
fn add_up<const LANES: usize>(sums: &[f32; LANES]) -> f32 {
    const ABREAST: usize = 8;
    const { assert!(LANES.is_multiple_of(ABREAST)) };
    let mut total = [0.0f32; ABREAST];
    for chunk in sums.as_chunks::<ABREAST>().0 {
        for lane in 0..ABREAST {
            total[lane] += chunk[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = total;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
