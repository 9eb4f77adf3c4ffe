//! Operations that integers and floats share.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Sub, SubAssign};

use super::{Ordered, Scalar, Val};
use crate::table::{Mod, Mods, Op};
use crate::types::Kind;

/// Types with arithmetic operators: integers of 16, 32 and 64 bits, f32 and f64. Operators work in code that is generic
/// over this trait, or over [`Float`](super::Float) or [`Integer`](super::Integer):
///
/// ```
/// use ptxgen_builder::build::{Float, Val};
///
/// fn polynomial<F: Float>(x: Val<F>, [a, b, c]: [Val<F>; 3]) -> Val<F> {
///     (a * x + b) * x + c
/// }
/// ```
pub trait Number: Ordered {}

/// The modifiers of arithmetic on `T`: floats round to nearest even; `integers` are the modifiers for integers.
fn mods<T: Scalar>(integers: Option<Mod>) -> Mods {
    let first = if T::TY.kind() == Kind::Float { Some(Mod::Rn) } else { integers };
    first.into_iter().collect()
}

/// Defines an operator of all numbers; `$integers` is its modifier for integers.
macro_rules! arithmetic {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident $op:ident $integers:expr;)*) => {$(
        impl<T: Number> $trait for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, other: Val<T>) -> Val<T> {
                self.binary(Op::$op, &mods::<T>($integers), other)
            }
        }
        impl<T: Number> $trait<T> for Val<T> {
            type Output = Val<T>;
            #[track_caller]
            fn $method(self, other: T) -> Val<T> {
                $trait::$method(self, Val::from(other))
            }
        }
        /// The Rust variable then refers to another value. A value that changes from iteration to iteration of a
        /// kernel's loop must be a [`Var`](super::Var): there this operator does not compile.
        impl<T: Number, R> $assign<R> for Val<T>
        where
            Val<T>: $trait<R, Output = Val<T>>,
        {
            #[track_caller]
            fn $assign_method(&mut self, other: R) {
                *self = $trait::$method(*self, other);
            }
        }
    )*};
}
arithmetic! {
    Add add AddAssign add_assign Add None;
    Sub sub SubAssign sub_assign Sub None;
    Mul mul MulAssign mul_assign Mul Some(Mod::Lo);
    Div div DivAssign div_assign Div None;
}

/// Constants on the left; Rust needs one implementation per type.
macro_rules! on_the_left {
    ($($t:ty),*) => {$(
        impl Number for $t {}
        on_the_left!(@each $t: Add add, Sub sub, Mul mul, Div div);
    )*};
    (@each $t:ty: $($trait:ident $method:ident),*) => {$(
        impl $trait<Val<$t>> for $t {
            type Output = Val<$t>;
            #[track_caller]
            fn $method(self, other: Val<$t>) -> Val<$t> {
                $trait::$method(Val::from(self), other)
            }
        }
    )*};
}
on_the_left!(u16, u32, u64, i16, i32, i64, f32, f64);

impl<T: Number> Val<T> {
    /// The minimum; of floats, the other operand if one is NaN.
    #[must_use]
    #[track_caller]
    pub fn min(self, b: impl Into<Val<T>>) -> Self {
        self.binary(Op::Min, &[], b)
    }

    /// The maximum; of floats, the other operand if one is NaN.
    #[must_use]
    #[track_caller]
    pub fn max(self, b: impl Into<Val<T>>) -> Self {
        self.binary(Op::Max, &[], b)
    }
}
