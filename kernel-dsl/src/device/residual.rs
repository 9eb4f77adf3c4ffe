//! The contract's "Residual".

use ptxgen_builder::build::Val;

use super::DeviceFloat;

/// `x + y`, the f32 sum of two f32, in instructions of type `A`: an f64 holds enough bits for the
/// second rounding to change nothing, and a kernel whose sums are in f64 has no others.
#[track_caller]
pub fn residual<A: DeviceFloat>(x: Val<f32>, y: Val<f32>) -> Val<f32> {
    A::narrow(A::sum(A::widen(x), A::widen(y)))
}
