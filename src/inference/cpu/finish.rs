//! What follows the sums of a convolution where a clamp is not enough: curves, and what is added
//! after the activation.
//!
//! The kernels of the products clamp at most. A curve has a dozen constants, which would take the
//! registers of their sums; here it goes over what they have just written, which is still in the
//! L1 cache.

use super::lanes::Lanes;
use crate::inference::network::{Activation, Convolution, LEAK};

/// What is left to do when a kernel has written its sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finish {
    pub(super) curve: Curve,
    /// Whether the residual is added here, after the activation.
    pub(super) residual: bool,
}

/// An activation that is no clamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    None,
    Leaky,
    Silu,
}

impl Finish {
    /// What a convolution leaves to do, if anything.
    pub(super) fn of(convolution: &Convolution) -> Option<Self> {
        let curve = match convolution.activation {
            Activation::LeakyRelu => Curve::Leaky,
            Activation::Silu => Curve::Silu,
            Activation::Identity | Activation::Relu | Activation::Relu6 => Curve::None,
        };
        let residual = convolution.residual.is_some_and(|residual| residual.last);
        (curve != Curve::None || residual).then_some(Self { curve, residual })
    }
}

/// Whether the kernels of bytes do all that a convolution asks for: they clamp, or leak.
pub(super) fn fits_bytes(convolution: &Convolution) -> bool {
    Finish::of(convolution).is_none_or(|finish| finish.curve != Curve::Silu && !finish.residual)
}

/// Runs of elements that are finished in place.
pub(super) struct FinishRuns {
    /// Where each run begins, before `skipped` elements.
    pub(super) values: *const *mut f32,
    /// What is added to each run, if `finish` says so.
    pub(super) residuals: *const *const f32,
    pub(super) count: usize,
    pub(super) skipped: usize,
    /// Elements of a run, a multiple of the lanes.
    pub(super) length: usize,
    pub(super) finish: Finish,
}

/// Applies curve and residual to each run.
///
/// # Safety
/// The processor has the instruction set `L`; the runs are valid for `skipped + length` elements.
#[inline(always)]
pub(super) unsafe fn finish_runs<L: Lanes>(runs: &FinishRuns) {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        for index in 0..runs.count {
            let values = (*runs.values.add(index)).add(runs.skipped);
            let residual = if runs.finish.residual {
                (*runs.residuals.add(index)).add(runs.skipped)
            } else {
                std::ptr::null()
            };
            for at in (0..runs.length).step_by(L::COUNT) {
                let mut value = curve::<L>(runs.finish.curve, L::load(values.add(at)));
                if !residual.is_null() {
                    value = L::add(value, L::load(residual.add(at)));
                }
                L::store(values.add(at), value);
            }
        }
    }
}

/// An activation that is no clamp, of a vector.
///
/// # Safety
/// The processor has the instruction set `L`.
#[inline(always)]
pub(super) unsafe fn curve<L: Lanes>(curve: Curve, value: L::Floats) -> L::Floats {
    // SAFETY: the contract of this function is the contract of each operation.
    unsafe {
        match curve {
            Curve::None => value,
            Curve::Leaky => L::max(value, L::mul(value, L::splat(LEAK))),
            Curve::Silu => {
                let minus = L::mul(value, L::splat(-1.0));
                L::div(value, L::add(L::splat(1.0), exp::<L>(minus)))
            }
        }
    }
}

/// The exponential, to two units in the last place; of what would over- or underflow, that of the
/// nearest number that does not.
///
/// Cody and Waite's way: `exp(x) = 2^n * exp(x - n ln 2)`, the rest by a polynomial.
///
/// # Safety
/// The processor has the instruction set `L`.
#[inline(always)]
unsafe fn exp<L: Lanes>(x: L::Floats) -> L::Floats {
    /// Adding 1.5 * 2^23 leaves no bits for the fraction.
    const ROUNDER: f32 = 12_582_912.0;
    /// The logarithm of 2 in two parts, the first with zeros at its end, so that `n` times it is
    /// exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Of the polynomial in Cephes' `expf`, the highest power first.
    const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1];
    // SAFETY: the contract of this function is the contract of each operation; `n` lies between
    // -126 and 126.
    unsafe {
        let x = L::min(L::max(x, L::splat(-87.0)), L::splat(87.0));
        let rounder = L::splat(ROUNDER);
        let n = L::fma(x, L::splat(std::f32::consts::LOG2_E), rounder);
        let n = L::add(n, L::splat(-ROUNDER));
        let rest = L::fma(n, L::splat(-LN_2_HIGH), x);
        let rest = L::fma(n, L::splat(-LN_2_LOW), rest);
        let mut sum = L::splat(COEFFICIENTS[0]);
        for coefficient in &COEFFICIENTS[1..] {
            sum = L::fma(sum, rest, L::splat(*coefficient));
        }
        let power = L::add(L::fma(sum, L::mul(rest, rest), rest), L::splat(1.0));
        L::mul(power, L::power_of_two(n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::InstructionSet;
    use super::*;

    /// Runs a curve over `values` on an instruction set.
    fn run(
        set: InstructionSet,
        curve: Curve,
        values: &[f32],
        residual: Option<&[f32]>,
    ) -> Vec<f32> {
        let kernels = set.kernels().expect("the set is available");
        let mut values = values.to_vec();
        let length = values.len();
        let runs = FinishRuns {
            values: &values.as_mut_ptr(),
            residuals: &residual.map_or(std::ptr::null(), <[f32]>::as_ptr),
            count: 1,
            skipped: 0,
            length,
            finish: Finish { curve, residual: residual.is_some() },
        };
        // SAFETY: the run is a whole number of vectors, and valid.
        unsafe { (kernels.finish_runs)(&runs) }
        values
    }

    #[test]
    fn curves_are_those_of_the_definition_on_every_instruction_set() {
        let values: Vec<f32> = (-2000..2000).map(|at| at as f32 * 0.05).collect();
        let residual: Vec<f32> = values.iter().map(|value| value * 0.5 + 1.0).collect();
        for set in InstructionSet::available() {
            let silu = run(set, Curve::Silu, &values, None);
            for (&value, &found) in values.iter().zip(&silu) {
                let exact = f64::from(value) / (1.0 + (-f64::from(value)).exp());
                let gap = (f64::from(found) - exact).abs();
                assert!(gap <= exact.abs() * 1e-6 + 1e-35, "{} of {value}: {found}", set.name());
            }
            let leaky = run(set, Curve::Leaky, &values, Some(&residual));
            for ((&value, &found), &added) in values.iter().zip(&leaky).zip(&residual) {
                let exact = if value < 0.0 { value * LEAK } else { value } + added;
                assert_eq!(found, exact, "{} of {value}", set.name());
            }
        }
    }

    #[test]
    fn silu_stays_finite_at_the_ends_and_keeps_what_is_not_a_number() {
        let values: Vec<f32> = [f32::MIN, -1e9, -200.0, -0.0, 0.0, 200.0, f32::MAX, f32::NAN]
            .iter()
            .copied()
            .cycle()
            .take(64)
            .collect();
        for set in InstructionSet::available() {
            let found = run(set, Curve::Silu, &values, None);
            assert!(found[..7].iter().all(|value| value.is_finite()), "{}: {found:?}", set.name());
            assert_eq!(found[5..7], [200.0, f32::MAX], "{}", set.name());
            assert!(found[7].is_nan(), "{}", set.name());
        }
    }
}
