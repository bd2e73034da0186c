//! The dot product for AArch64, where NEON and its fused multiply-add are always there.
//!
//! So no token and no `unsafe`: the array of lanes is enough. Not run by us yet, only compiled.

use super::lanes;

/// Sixteen of the 32 registers. Of 8, 16 or 32 lanes rustc 1.95 makes half registers (`fmla.2s`).
const LANES: usize = 64;

#[inline]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    lanes::dot::<LANES>(a, b)
}

pub(super) fn dot_rows(rows: std::slice::ChunksExact<'_, f32>, query: &[f32], out: &mut [f32]) {
    lanes::dot_rows::<LANES>(rows, query, out);
}
