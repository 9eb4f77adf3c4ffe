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

/// The same in f32 with `ex2.approx` and `rcp.approx`, outside of the bit
/// contract. Both have at most 2 ulp of error, so the result has about
/// `(|g| + 4)` ulp: the rounding of `g * log2(e)` is magnified by the
/// exponential.
#[track_caller]
pub fn swiglu_approx(gate: Val<f32>, up: Val<f32>) -> Val<f32> {
    let e = (gate * -std::f32::consts::LOG2_E).ex2_approx();
    let sigmoid = (e + 1.0).recip_approx();
    gate * sigmoid * up
}
