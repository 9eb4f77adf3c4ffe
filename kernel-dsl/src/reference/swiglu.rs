//! The contract's "SwiGLU", "Experts' sum" and "Residual".

use super::{Accumulator, chain};

/// `g / (1 + exp(-g))`, kept in the accumulator's type.
#[inline(always)]
pub fn silu<A: Accumulator>(gate: f32) -> A {
    let g = A::from_f32(gate);
    g / (A::ONE + (-g).exp())
}

/// [`silu`] as in kernels with `math = approx`, with `ex2.approx` and `rcp.approx` exact to the last bit, as in the
/// interpreter. Hardware may differ by 2 ulp and 1 ulp in these.
#[inline(always)]
pub fn silu_approx<A: Accumulator>(gate: f32) -> A {
    let g = A::from_f32(gate);
    g * g.logistic_approx()
}

/// `h = silu(g) * u`, rounded to f32.
#[inline(always)]
pub fn swiglu<A: Accumulator>(gate: f32, up: f32) -> f32 {
    (silu::<A>(gate) * A::from_f32(up)).to_f32()
}

/// [`swiglu`] with [`silu_approx`].
#[inline(always)]
pub fn swiglu_approx<A: Accumulator>(gate: f32, up: f32) -> f32 {
    (silu_approx::<A>(gate) * A::from_f32(up)).to_f32()
}

/// Chain(w_k, y_k) of the chosen experts' outputs at one index, in rank order, rounded to f32.
#[inline(always)]
pub fn experts_sum<A: Accumulator>(terms: impl IntoIterator<Item = (f32, f32)>) -> f32 {
    let (w, y): (Vec<A>, Vec<A>) = terms.into_iter().map(|(w, y)| (A::from_f32(w), A::from_f32(y))).unzip();
    chain(w, y).to_f32()
}

/// `x + y` in f32, where y is already rounded to f32.
#[inline(always)]
pub fn residual(x: f32, y: f32) -> f32 {
    x + y
}
