//! f32 and f64 arithmetic. Every instruction has an explicit rounding.

use std::ops::Neg;

use super::state::ty;
use super::val::compute;
use super::{Arg, Number, Val};
use crate::table::{Mod, Op, Rounding};

/// f32 and f64. Constants of both are created from an f32 (`F::from(0.5)`), and a kernel's parameter can be an `F`.
pub trait Float: Number + From<f32> + Arg<Handle = Val<Self>> {}

impl Float for f32 {}
impl Float for f64 {}

impl<T: Float> Neg for Val<T> {
    type Output = Val<T>;
    #[track_caller]
    fn neg(self) -> Val<T> {
        self.unary(Op::Neg, &[])
    }
}

impl<T: Float> Val<T> {
    /// Absolute value.
    #[must_use]
    #[track_caller]
    pub fn abs(self) -> Self {
        self.unary(Op::Abs, &[])
    }

    /// `self * b + c` with one rounding, to nearest even.
    #[must_use]
    #[track_caller]
    pub fn fma(self, b: impl Into<Val<T>>, c: impl Into<Val<T>>) -> Self {
        self.fma_rounded(b, c, Rounding::NearestEven)
    }

    /// `self * b + c` with one rounding.
    #[must_use]
    #[track_caller]
    pub fn fma_rounded(self, b: impl Into<Val<T>>, c: impl Into<Val<T>>, rounding: Rounding) -> Self {
        compute(Op::Fma, &[rounding.modifier(), ty::<T>()], &[self.operand(), b.into().operand(), c.into().operand()])
    }

    /// The sum with the given rounding.
    #[must_use]
    #[track_caller]
    pub fn add_rounded(self, b: impl Into<Val<T>>, rounding: Rounding) -> Self {
        self.binary(Op::Add, &[rounding.modifier()], b)
    }

    /// The product with the given rounding.
    #[must_use]
    #[track_caller]
    pub fn mul_rounded(self, b: impl Into<Val<T>>, rounding: Rounding) -> Self {
        self.binary(Op::Mul, &[rounding.modifier()], b)
    }

    /// Square root, correctly rounded.
    #[must_use]
    #[track_caller]
    pub fn sqrt(self) -> Self {
        self.unary(Op::Sqrt, &[Mod::Rn])
    }

    /// `1 / self`, correctly rounded.
    #[must_use]
    #[track_caller]
    pub fn recip(self) -> Self {
        self.unary(Op::Rcp, &[Mod::Rn])
    }
}

/// Approximations by the special function unit (PTX ISA 9.7.3). The bit contract does not cover a kernel that uses one.
impl Val<f32> {
    /// Approximately 2 to the power of `self`, within 2 ulp.
    #[must_use]
    #[track_caller]
    pub fn ex2_approx(self) -> Self {
        self.unary(Op::Ex2, &[Mod::Approx])
    }

    /// Approximately the binary logarithm: within 2^-22, absolute between 0.5 and 2, relative beyond.
    #[must_use]
    #[track_caller]
    pub fn lg2_approx(self) -> Self {
        self.unary(Op::Lg2, &[Mod::Approx])
    }

    /// Approximately `1 / self`, within 1 ulp.
    #[must_use]
    #[track_caller]
    pub fn recip_approx(self) -> Self {
        self.unary(Op::Rcp, &[Mod::Approx])
    }

    /// Approximately `1 / sqrt(self)`, within 2^-22.9 relative.
    #[must_use]
    #[track_caller]
    pub fn rsqrt_approx(self) -> Self {
        self.unary(Op::Rsqrt, &[Mod::Approx])
    }

    /// Approximately the square root, within 2^-23 relative.
    #[must_use]
    #[track_caller]
    pub fn sqrt_approx(self) -> Self {
        self.unary(Op::Sqrt, &[Mod::Approx])
    }

    /// Approximately the sine, of radians: within 2^-20.5 absolute up to 2 pi, 2^-14.7 up to 100 pi.
    #[must_use]
    #[track_caller]
    pub fn sin_approx(self) -> Self {
        self.unary(Op::Sin, &[Mod::Approx])
    }

    /// Approximately the cosine, of radians: within 2^-20.5 absolute up to 2 pi, 2^-14.7 up to 100 pi.
    #[must_use]
    #[track_caller]
    pub fn cos_approx(self) -> Self {
        self.unary(Op::Cos, &[Mod::Approx])
    }
}
