//! The contract's "SwiGLU", and its approximate variant.

use ptxgen_builder::build::Val;

use super::exp::DeviceExp;

/// `(g / (1 + exp(-g))) * u` in `A`, rounded to f32.
#[track_caller]
pub fn swiglu_exact<A: DeviceExp>(gate: Val<f32>, up: Val<f32>) -> Val<f32> {
    let (g, u) = (A::widen(gate), A::widen(up));
    let denominator = A::sum(A::constant(1.0), A::exponential(A::negated(g)));
    A::narrow(A::product(A::quotient(g, denominator), u))
}

/// The same with `ex2.approx` and `rcp.approx`, outside of the bit contract.
/// Under f32 the result has about `(|g| + 4)` ulp of error: both have at most 2
/// ulp, and the rounding of `g * log2(e)` is magnified by the exponential.
/// Under f64, where only their arguments and results are f32, its relative
/// error is at most 4e-7, nearly all of it `ex2.approx`'s, where silu is a
/// normal f32.
#[track_caller]
pub fn swiglu_approx<A: DeviceExp>(gate: Val<f32>, up: Val<f32>) -> Val<f32> {
    let (g, u) = (A::widen(gate), A::widen(up));
    A::narrow(A::product(A::product(g, A::sigmoid_approx(g)), u))
}
