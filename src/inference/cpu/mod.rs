//! The engine of the CPU: a network compiled once for the processor at hand, then run without
//! allocation.
//!
//! `docs/engine.md` explains layout, packing and fusion with pictures. This module opts out of
//! `unsafe_code = "deny"`: kernels read and write through pointers, in functions that are compiled
//! for an instruction set. The proof that the processor has it is the table of kernels, which
//! [`InstructionSet`] gives out after detection; that pointers stay in bounds is the compiler's
//! (`compile`) and the steps' (`steps`, `block`) business, and each block says why they do.
#![allow(unsafe_code)]
// The indices of a tile run over several arrays at once and count registers: zipped iterators hide
// that, and the compiler does not always undo them.
#![allow(clippy::needless_range_loop)]

mod assemble;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
mod byte_panels;
mod byte_tile;
mod bytes;
mod calibrate;
mod compile;
mod depthwise;
mod depthwise_fours;
mod finish;
mod four_depthwise;
mod kernels;
mod lanes;
mod memory;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
mod plan;
mod points;
mod pool;
mod reshape;
mod scalar;
mod stem;
mod steps;
mod team;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

pub(super) use calibrate::{Observed, calibrate};
pub use kernels::InstructionSet;
pub use plan::Precision;
pub(super) use plan::{Grid, Output, Plan, Workspace};
