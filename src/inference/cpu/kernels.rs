//! One table of kernels for each instruction set, and the detection that hands it out.

use super::byte_tile::{ByteTile, byte_tile, four_tile, word_tile};
use super::depthwise::{DepthwiseRow, depthwise_row, depthwise_row_any};
use super::depthwise_fours::{FourRun, depthwise_fours};
use super::finish::{FinishRuns, finish_runs};
use super::lanes::Lanes;
use super::points::{InputPatch, OutputTile, input_patch, output_tile};
use super::pool::{ByteRun, MaxWindow, MeanRow, byte_run, max_window, max_window_bytes, mean_row};
use super::reshape::{Blend, blend};
use super::tile::{FloatTile, float_tile};

/// An instruction set that the engine has kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstructionSet {
    /// AVX-512 with VNNI, sixteen lanes.
    Avx512,
    /// AVX2 with FMA, eight lanes.
    Avx2,
    /// NEON, four lanes.
    Neon,
    /// None in particular: runs on any processor.
    Scalar,
}

impl InstructionSet {
    /// The instruction sets that this processor can run, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];
        all.into_iter().filter(|set| set.kernels().is_some()).collect()
    }

    /// The fastest instruction set of this processor.
    #[must_use]
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// The name by which `LOOKALIKE_CPU` and reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        }
    }

    /// Its kernels, if this processor can run them.
    pub(super) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                let found = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni");
                found.then_some(&AVX512)
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                found.then_some(&AVX2)
            }
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Some(&NEON),
            Self::Scalar => Some(&SCALAR),
            #[allow(unreachable_patterns, reason = "on a processor of another kind")]
            _ => None,
        }
    }
}

/// A kernel over tiles of one width.
#[derive(Clone, Copy)]
pub(super) struct TileKernel<T> {
    /// Pixels of a full tile.
    pub(super) pixels: usize,
    pub(super) full: unsafe fn(&T),
    /// The same for one pixel.
    pub(super) single: unsafe fn(&T),
}

/// A kernel for a number of pixels.
#[derive(Clone, Copy)]
pub(super) struct SizedKernel<T> {
    pub(super) pixels: usize,
    pub(super) run: unsafe fn(&T),
}

/// The kernels for a depthwise window over columns by fours, the one for the most pixels first.
#[derive(Clone, Copy)]
pub(super) struct FourWindow {
    side: usize,
    stride: usize,
    missing: usize,
    pub(super) sizes: &'static [SizedKernel<FourRun>],
}

/// The kernels of one instruction set.
///
/// To have the table is the proof that this processor can run them: only
/// [`InstructionSet::kernels`] gives it out. What else they ask of the caller
/// stands at the functions that they are made of.
pub(super) struct Kernels {
    pub(super) set: InstructionSet,
    /// Floats of a vector.
    pub(super) lanes: usize,
    /// By the number of vectors of a panel, from one; as many as pay on this instruction set.
    pub(super) float_tiles: &'static [TileKernel<FloatTile>],
    pub(super) byte_tiles: &'static [TileKernel<ByteTile>],
    /// Of words instead of bytes.
    pub(super) word_tiles: &'static [TileKernel<ByteTile>],
    /// By the number of vectors, those for the most pixels first.
    pub(super) four_tiles: &'static [&'static [SizedKernel<ByteTile>]],
    four_windows: &'static [FourWindow],
    /// Sides 3 and 5 at strides 1 and 2.
    depthwise: [[unsafe fn(&DepthwiseRow); 2]; 2],
    depthwise_any: unsafe fn(&DepthwiseRow),
    pub(super) max_window: unsafe fn(&MaxWindow),
    pub(super) max_window_bytes: unsafe fn(&MaxWindow),
    pub(super) mean_row: unsafe fn(&MeanRow),
    pub(super) byte_run: unsafe fn(&ByteRun),
    pub(super) finish_runs: unsafe fn(&FinishRuns),
    pub(super) blend: unsafe fn(&Blend),
    /// By the `Tiling`.
    pub(super) input_patch: [unsafe fn(&InputPatch); 2],
    pub(super) output_tile: [unsafe fn(&OutputTile); 2],
}

impl Kernels {
    /// The depthwise kernel for a window of `side x side` moved by `stride`.
    pub(super) fn depthwise(&self, side: usize, stride: usize) -> unsafe fn(&DepthwiseRow) {
        match (side, stride) {
            (3 | 5, 1 | 2) => self.depthwise[(side - 3) / 2][stride - 1],
            _ => self.depthwise_any,
        }
    }

    /// The depthwise kernels over columns by fours, if there are some for the window.
    pub(super) fn four_window(
        &self,
        side: usize,
        stride: usize,
        missing: usize,
    ) -> Option<&'static FourWindow> {
        let wanted = (side, stride, missing);
        self.four_windows
            .iter()
            .find(|window| (window.side, window.stride, window.missing) == wanted)
    }
}

/// Compiles one generic kernel for an instruction set.
macro_rules! compiled {
    ($feature:literal, $kernel:ident, $work:ty, $lanes:ty $(, $size:literal)*) => {{
        /// # Safety
        /// As for the generic kernel, on a processor that has the instruction set.
        #[cfg_attr(
            any(target_arch = "x86_64", target_arch = "aarch64"),
            target_feature(enable = $feature)
        )]
        unsafe fn run(work: &$work) {
            // SAFETY: the contract is passed on to whoever calls through the table.
            unsafe { $kernel::<$lanes $(, $size)*>(work) }
        }
        run
    }};
}

/// The depthwise kernels over columns by fours for the given numbers of pixels.
macro_rules! four_window {
    ($feature:literal, $lanes:ty, [$side:literal, $stride:literal, $missing:literal],
     $($pixels:literal)+) => {
        FourWindow {
            side: $side,
            stride: $stride,
            missing: $missing,
            sizes: &[$(SizedKernel {
                pixels: $pixels,
                run: compiled!(
                    $feature, depthwise_fours, FourRun, $lanes, $pixels, $side, $stride, $missing
                ),
            }),+],
        }
    };
}

/// Makes the table of an instruction set. Tiles are given as vectors x pixels, the most pixels
/// whose sums, weights and one value fit the registers.
macro_rules! table {
    ($name:ident, $set:ident, $lanes:ty, $feature:literal,
     floats: $($fv:literal x $fp:literal),+; bytes: $($bv:literal x $bp:literal),+;
     fours: $($qv:literal x [$($qp:literal)+]),+; windows: $wide:tt) => {
        static $name: Kernels = Kernels {
            set: InstructionSet::$set,
            lanes: <$lanes as Lanes>::COUNT,
            float_tiles: &[$(TileKernel {
                pixels: $fp,
                full: compiled!($feature, float_tile, FloatTile, $lanes, $fp, $fv),
                single: compiled!($feature, float_tile, FloatTile, $lanes, 1, $fv),
            }),+],
            byte_tiles: &[$(TileKernel {
                pixels: $bp,
                full: compiled!($feature, byte_tile, ByteTile, $lanes, $bp, $bv),
                single: compiled!($feature, byte_tile, ByteTile, $lanes, 1, $bv),
            }),+],
            word_tiles: &[$(TileKernel {
                pixels: $bp,
                full: compiled!($feature, word_tile, ByteTile, $lanes, $bp, $bv),
                single: compiled!($feature, word_tile, ByteTile, $lanes, 1, $bv),
            }),+],
            four_tiles: &[$(&[$(SizedKernel {
                pixels: $qp,
                run: compiled!($feature, four_tile, ByteTile, $lanes, $qp, $qv),
            }),+]),+],
            four_windows: four_windows!($feature, $lanes, $wide),
            depthwise: [
                [
                    compiled!($feature, depthwise_row, DepthwiseRow, $lanes, 3, 1),
                    compiled!($feature, depthwise_row, DepthwiseRow, $lanes, 3, 2),
                ],
                [
                    compiled!($feature, depthwise_row, DepthwiseRow, $lanes, 5, 1),
                    compiled!($feature, depthwise_row, DepthwiseRow, $lanes, 5, 2),
                ],
            ],
            depthwise_any: compiled!($feature, depthwise_row_any, DepthwiseRow, $lanes),
            max_window: compiled!($feature, max_window, MaxWindow, $lanes),
            max_window_bytes: compiled!($feature, max_window_bytes, MaxWindow, $lanes),
            mean_row: compiled!($feature, mean_row, MeanRow, $lanes),
            byte_run: compiled!($feature, byte_run, ByteRun, $lanes),
            finish_runs: compiled!($feature, finish_runs, FinishRuns, $lanes),
            blend: compiled!($feature, blend, Blend, $lanes),
            input_patch: [
                compiled!($feature, input_patch, InputPatch, $lanes, 4),
                compiled!($feature, input_patch, InputPatch, $lanes, 6),
            ],
            output_tile: [
                compiled!($feature, output_tile, OutputTile, $lanes, 4),
                compiled!($feature, output_tile, OutputTile, $lanes, 6),
            ],
        };
    };
}

/// Those windows that networks have: the first column of an image may lie under any but the last
/// tap that padding allows.
macro_rules! four_windows {
    ($feature:literal, $lanes:ty, [$($pixels:literal)+]) => {
        &[
            four_window!($feature, $lanes, [3, 1, 1], $($pixels)+),
            four_window!($feature, $lanes, [3, 2, 0], $($pixels)+),
            four_window!($feature, $lanes, [3, 2, 1], $($pixels)+),
            four_window!($feature, $lanes, [5, 1, 2], $($pixels)+),
            four_window!($feature, $lanes, [5, 2, 1], $($pixels)+),
            four_window!($feature, $lanes, [5, 2, 2], $($pixels)+),
        ]
    };
}

#[cfg(target_arch = "x86_64")]
table!(AVX512, Avx512, super::avx512::Avx512, "avx512f,avx512bw,avx512vl,avx512vnni",
    floats: 1 x 8, 2 x 8, 3 x 8, 4 x 6; bytes: 1 x 8, 2 x 8, 3 x 8, 4 x 6;
    fours: 1 x [8 4], 2 x [8 4], 3 x [8 7 6 4 2]; windows: [8 4]);
#[cfg(target_arch = "x86_64")]
table!(AVX2, Avx2, super::avx2::Avx2, "avx2,fma",
    floats: 1 x 8, 2 x 6; bytes: 1 x 8, 2 x 5;
    fours: 1 x [8 4 2], 2 x [4 2]; windows: [4]);
#[cfg(target_arch = "aarch64")]
table!(NEON, Neon, super::neon::Neon, "neon",
    floats: 1 x 8, 2 x 8, 3 x 8, 4 x 6; bytes: 1 x 8, 2 x 6;
    fours: 1 x [8 4 2], 2 x [8 4 2]; windows: [8 4]);
#[cfg(not(target_arch = "aarch64"))]
table!(SCALAR, Scalar, super::scalar::Scalar, "sse2",
    floats: 1 x 4; bytes: 1 x 2; fours: 1 x [4]; windows: [4]);
#[cfg(target_arch = "aarch64")]
table!(SCALAR, Scalar, super::scalar::Scalar, "neon",
    floats: 1 x 4; bytes: 1 x 2; fours: 1 x [4]; windows: [4]);
