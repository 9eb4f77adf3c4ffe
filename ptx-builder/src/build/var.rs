//! Variables: values that change.

use std::ops::Add;

use super::state::{emit, ty};
use super::val::held;
use super::{Body, Float, Ordered, Pred, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};
use crate::types::{Kind, ScalarType};

/// A register that can be assigned, for values that change in loops or branches. Not `Copy`: it is a place, not a
/// value.
#[derive(Debug)]
pub struct Var<T> {
    register: Val<T>,
}

impl Body {
    /// A variable with an initial value.
    #[track_caller]
    pub fn var<T: Scalar>(&self, first: impl Into<Val<T>>) -> Var<T> {
        Var { register: first.into().copied() }
    }
}

impl<T: Scalar> Var<T> {
    /// Its current value.
    #[track_caller]
    pub fn get(&self) -> Val<T> {
        self.register.copied()
    }

    /// The register itself, for code that cannot assign it while the handle exists.
    pub(super) fn place(&self) -> Val<T> {
        self.register
    }

    /// Assigns a value.
    #[track_caller]
    pub fn set(&self, value: impl Into<Val<T>>) {
        emit(Op::Mov, &[held::<T>()], &[self.register.operand(), value.into().operand()]);
    }

    /// An instruction whose result and one operand are the variable.
    #[track_caller]
    fn in_place(&self, op: Op, mods: &[Mod], sources: &[Operand]) {
        let mut operands: smallvec::SmallVec<[Operand; 5]> = smallvec::SmallVec::new();
        operands.push(self.register.operand());
        operands.extend_from_slice(sources);
        emit(op, mods, &operands);
    }
}

impl<T: Float> Var<T> {
    /// `self = a * b + self`, rounded once, to nearest even.
    #[track_caller]
    pub fn add_product(&self, a: impl Into<Val<T>>, b: impl Into<Val<T>>) {
        let sources = [a.into().operand(), b.into().operand(), self.register.operand()];
        self.in_place(Op::Fma, &[Mod::Rn, ty::<T>()], &sources);
    }
}

impl<T: Scalar> Var<T>
where
    Val<T>: Add,
{
    /// `self = self + a`: floats round to nearest even, integers wrap.
    #[track_caller]
    pub fn add(&self, a: impl Into<Val<T>>) {
        let sources = [self.register.operand(), a.into().operand()];
        let rounding = (T::TY.kind() == Kind::Float).then_some(Mod::Rn);
        let mods: smallvec::SmallVec<[Mod; 2]> = rounding.into_iter().chain([ty::<T>()]).collect();
        self.in_place(Op::Add, &mods, &sources);
    }
}

impl Var<i32> {
    /// Adds the four products of `a`'s signed bytes with `b`'s.
    #[track_caller]
    pub fn add_dp4a(&self, a: impl Into<Val<i32>>, b: impl Into<Val<i32>>) {
        let m = Mod::Ty(ScalarType::S32);
        let sources = [a.into().operand(), b.into().operand(), self.register.operand()];
        self.in_place(Op::Dp4a, &[m, m], &sources);
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Comparisons of its current value.
        impl<T: Ordered> Var<T> {$(
            $(#[$doc])*
            #[must_use]
            #[track_caller]
            pub fn $name(&self, other: impl Into<Val<T>>) -> Pred {
                self.get().$name(other)
            }
        )*}
    };
}
comparisons! {
    /// `self == other`.
    eq;
    /// `self != other`; true if either operand is NaN.
    ne;
    /// `self < other`.
    lt;
    /// `self <= other`.
    le;
    /// `self > other`.
    gt;
    /// `self >= other`.
    ge;
}

impl<T: Scalar> Var<T> {
    /// Assigns `f` of the current value.
    #[track_caller]
    pub fn update(&self, f: impl FnOnce(Val<T>) -> Val<T>) {
        let next = f(self.get());
        self.set(next);
    }
}
