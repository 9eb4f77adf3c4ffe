//! Typed values.

use std::fmt;
use std::marker::PhantomData;

use smallvec::SmallVec;

use super::constant::check_divisor;
use super::scope::Made;
use super::state::{emit, new_reg, ty, with};
use super::{Pred, SameSize, Scalar};
use crate::ir::{Operand, Reg};
use crate::table::{Mod, Op};
use crate::types::{RegClass, ScalarType};

/// A value of type `T` on each lane: a register or a constant. It never changes; a [`Var`](super::Var) can change.
pub struct Val<T> {
    operand: Operand,
    made: Made,
    ty: PhantomData<T>,
}

impl<T> Clone for Val<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Val<T> {}

impl<T> fmt::Debug for Val<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Val").field(&self.operand).finish()
    }
}

impl<T: Scalar> From<T> for Val<T> {
    #[track_caller]
    fn from(value: T) -> Self {
        Val { operand: Operand::Imm(value.bits()), made: Made::anywhere(), ty: PhantomData }
    }
}

/// Appends values as operands, in a loop.
#[track_caller]
pub(super) fn push_all<T: Scalar, const N: usize>(operands: &mut SmallVec<[Operand; N]>, values: &[Val<T>])
where
    [Operand; N]: smallvec::Array<Item = Operand>,
{
    for v in values {
        operands.push(v.operand());
    }
}

/// The untyped bits type with the size of a type, for instructions that take untyped bits.
pub(super) fn bits_type(ty: ScalarType) -> ScalarType {
    match ty.bits() {
        8 => ScalarType::B8,
        16 => ScalarType::B16,
        64 => ScalarType::B64,
        _ => ScalarType::B32,
    }
}

/// The type of the register that holds a `T`, for `mov` and `selp`.
pub(super) fn held<T: Scalar>() -> Mod {
    Mod::Ty(Val::<T>::class().declared())
}

/// Emits an instruction with one result, its first operand.
#[track_caller]
pub(super) fn compute<T: Scalar>(op: Op, mods: &[Mod], sources: &[Operand]) -> Val<T> {
    let d = Val::<T>::fresh();
    let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
    operands.push(d.operand());
    operands.extend_from_slice(sources);
    emit(op, mods, &operands);
    d
}

impl<T: Scalar> Val<T> {
    /// The class of the registers that hold a `T`.
    pub(super) fn class() -> RegClass {
        RegClass::of(T::TY).expect("every Scalar fits a register")
    }

    /// A new register that nothing has written yet.
    #[track_caller]
    pub(super) fn fresh() -> Self {
        Self::of_reg(new_reg(Self::class()))
    }

    /// The value in a register of the kernel being built.
    #[track_caller]
    pub(super) fn of_reg(reg: Reg) -> Self {
        Val { operand: Operand::Reg(reg), made: Made::here(), ty: PhantomData }
    }

    /// The value as an operand, for [`Body::emit`](super::Body::emit).
    ///
    /// # Panics
    /// If it belongs to a kernel other than the one being built, or to a loop or branch that has ended.
    #[must_use]
    #[track_caller]
    pub fn operand(self) -> Operand {
        let reg = match self.operand {
            Operand::Reg(reg) => Some(reg),
            _ => None,
        };
        self.made.check("a value", reg);
        self.operand
    }

    /// The same register as a value of the loop or branch being built.
    #[track_caller]
    pub(super) fn of_this_scope(self) -> Self {
        Val { made: Made::here(), ..self }
    }

    /// The constant, if this is one.
    pub(super) fn constant(self) -> Option<u64> {
        match self.operand {
            Operand::Imm(bits) => Some(bits),
            _ => None,
        }
    }

    /// Names the register in the printed comments.
    #[must_use]
    #[track_caller]
    pub fn named(self, name: &str) -> Self {
        if let Operand::Reg(reg) = self.operand() {
            with(|s| s.kernel.names.insert(reg, name.to_owned()));
        }
        self
    }

    /// The value in a new register.
    #[must_use]
    #[track_caller]
    pub fn copied(self) -> Self {
        compute(Op::Mov, &[held::<T>()], &[self.operand()])
    }

    /// `self` where the predicate holds, otherwise `other`.
    #[must_use]
    #[track_caller]
    pub fn select(self, holds: Pred, other: impl Into<Val<T>>) -> Self {
        let other = other.into();
        let (holds, yes, no) = if holds.is_negated() { (!holds, other, self) } else { (holds, self, other) };
        compute(Op::Selp, &[held::<T>()], &[yes.operand(), no.operand(), holds.operand()])
    }

    /// The same bits as another type of the same size. Costs a `mov` only from a float to an integer.
    #[must_use]
    #[track_caller]
    pub fn bitcast<U: Scalar>(self) -> Val<U>
    where
        T: SameSize<U>,
    {
        if let Some(bits) = self.constant() {
            return Val { operand: Operand::Imm(bits), made: self.made, ty: PhantomData };
        }
        let from_float = matches!(Self::class(), RegClass::F32 | RegClass::F64);
        if Self::class() == Val::<U>::class() || !from_float {
            return Val { operand: self.operand, made: self.made, ty: PhantomData };
        }
        let d = Val::<U>::fresh();
        emit(Op::Mov, &[Mod::Ty(bits_type(T::TY))], &[d.operand(), self.operand()]);
        d
    }

    /// A two-operand instruction of type `T`.
    #[track_caller]
    pub(super) fn binary(self, op: Op, mods: &[Mod], other: impl Into<Val<T>>) -> Self {
        let other = other.into();
        check_divisor(op, T::TY, other.constant());
        let mut all: crate::table::Mods = mods.into();
        all.push(ty::<T>());
        compute(op, &all, &[self.operand(), other.operand()])
    }

    /// A one-operand instruction of type `T`.
    #[track_caller]
    pub(super) fn unary(self, op: Op, mods: &[Mod]) -> Self {
        let mut all: crate::table::Mods = mods.into();
        all.push(ty::<T>());
        compute(op, &all, &[self.operand()])
    }
}

impl<T: Scalar> Val<T> {
    /// New registers that nothing has written yet. In a loop, because a closure would lose the caller's line.
    #[track_caller]
    pub(super) fn fresh_array<const N: usize>() -> [Self; N] {
        let mut all = [Val { operand: Operand::None, made: Made::anywhere(), ty: PhantomData }; N];
        for v in &mut all {
            *v = Self::fresh();
        }
        all
    }
}
