//! The dot product without any assumption about the processor: fallback and oracle.

/// The dot product in eight running sums, which baseline x86-64 (SSE2) still runs four abreast.
///
/// No `mul_add`: without the instruction it is a library call per component.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// The dot product of `query` with each of `rows`.
pub(super) fn dot_rows(rows: std::slice::ChunksExact<'_, f32>, query: &[f32], out: &mut [f32]) {
    for (row, score) in rows.zip(out) {
        *score = dot(row, query);
    }
}
