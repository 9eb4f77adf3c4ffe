//! The scalar types in which the contract accumulates.

use super::exp;
use std::{
    fmt::Debug,
    ops::{Add, AddAssign, Div, Mul, Neg, Sub},
};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// f32 or f64, with one method for each IEEE operation of the contract. All round to nearest even and keep subnormals.
pub trait Accumulator:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// +0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Widens (exact).
    fn from_f32(x: f32) -> Self;
    /// Rounds an integer to nearest even (exact in f64).
    fn from_i32(x: i32) -> Self;
    /// Rounds to f32.
    fn to_f32(self) -> f32;
    /// Widens to f64 (exact).
    fn to_f64(self) -> f64;
    /// `self * a + b`, rounded once.
    fn fma(self, a: Self, b: Self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The larger of two values.
    fn larger(self, other: Self) -> Self;
    /// The contract's exponential in this type.
    fn exp(self) -> Self;
    /// Approximately `1 / (1 + e^-x)` with `ex2.approx` and `rcp.approx`: the steps of
    /// [`DeviceExp::sigmoid_approx`](crate::device::DeviceExp::sigmoid_approx).
    fn logistic_approx(self) -> Self;
}

impl Accumulator for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn from_i32(x: i32) -> Self {
        x as f32
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp::exp_f32(self)
    }
    #[inline(always)]
    fn logistic_approx(self) -> Self {
        exp::logistic_approx_f32(self)
    }
}

impl Accumulator for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        f64::from(x)
    }
    #[inline(always)]
    fn from_i32(x: i32) -> Self {
        f64::from(x)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp::exp_f64(self)
    }
    #[inline(always)]
    fn logistic_approx(self) -> Self {
        exp::logistic_approx_f64(self)
    }
}
