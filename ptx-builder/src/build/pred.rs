//! Predicates.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use super::scope::Made;
use super::state::{new_reg, test};
use super::{Scalar, Val};
use crate::ir::{Guard, Operand, Reg};
use crate::table::{Mod, Op};
use crate::types::{Kind, RegClass, ScalarType};

/// A truth value on each lane. Negation is free: it is kept in the handle.
#[derive(Clone, Copy, Debug)]
pub struct Pred {
    reg: Reg,
    negated: bool,
    made: Made,
}

impl Pred {
    #[track_caller]
    pub(super) fn fresh() -> Pred {
        Pred { reg: new_reg(RegClass::Pred), negated: false, made: Made::here() }
    }

    #[track_caller]
    fn check(self) -> Self {
        self.made.check("a predicate", Some(self.reg));
        self
    }

    #[track_caller]
    pub(super) fn guard(self) -> Guard {
        self.check();
        Guard { reg: self.reg, negated: self.negated }
    }

    pub(super) fn reg(self) -> Reg {
        self.reg
    }

    /// Whether it was made before the innermost loop or branch that is being written.
    #[track_caller]
    pub(super) fn is_older(self) -> bool {
        self.made.is_older()
    }

    pub(super) fn is_negated(self) -> bool {
        self.negated
    }

    /// The predicate as a source operand, negation written (`!%p`).
    #[must_use]
    #[track_caller]
    pub fn operand(self) -> Operand {
        self.check();
        if self.negated { Operand::NotPred(self.reg) } else { Operand::Reg(self.reg) }
    }

    /// The register that holds this truth value, negation carried out.
    #[track_caller]
    pub(super) fn plain(self) -> Operand {
        self.check();
        if !self.negated {
            return Operand::Reg(self.reg);
        }
        Operand::Reg(test(Op::Not, &[Mod::Ty(ScalarType::Pred)], &[Operand::Reg(self.reg)]).reg)
    }

    /// Both; combined with one instruction.
    #[track_caller]
    fn combine(self, op: Op, other: Pred) -> Pred {
        let (a, b) = (self.plain(), other.plain());
        test(op, &[Mod::Ty(ScalarType::Pred)], &[a, b])
    }

    /// 1 where it holds, else 0.
    #[must_use]
    #[track_caller]
    pub fn to_u32(self) -> Val<u32> {
        Val::from(1).select(self, 0)
    }
}

impl Not for Pred {
    type Output = Pred;
    fn not(self) -> Pred {
        Pred { negated: !self.negated, ..self }
    }
}

macro_rules! logic {
    ($($trait:ident $method:ident $op:ident),*) => {$(
        impl $trait for Pred {
            type Output = Pred;
            #[track_caller]
            fn $method(self, other: Pred) -> Pred {
                self.combine(Op::$op, other)
            }
        }
    )*};
}
logic!(BitAnd bitand And, BitOr bitor Or, BitXor bitxor Xor);

/// Types with an order: all but bytes (convert them first) and packed pairs.
pub trait Ordered: Scalar {}

macro_rules! ordered {
    ($($t:ty),*) => { $(impl Ordered for $t {})* };
}
ordered!(u16, u32, u64, i16, i32, i64, f32, f64, half::f16, half::bf16);

/// Comparisons. For floats all but `ne` are false where either is NaN.
impl<T: Ordered> Val<T> {
    #[track_caller]
    fn compare(self, cmp: Mod, other: impl Into<Val<T>>) -> Pred {
        test(Op::Setp, &[cmp, Mod::Ty(T::TY)], &[self.operand(), other.into().operand()])
    }

    /// `self == other`.
    #[must_use]
    #[track_caller]
    pub fn eq(self, other: impl Into<Val<T>>) -> Pred {
        self.compare(Mod::Eq, other)
    }

    /// `self != other`; true where either is NaN.
    #[must_use]
    #[track_caller]
    pub fn ne(self, other: impl Into<Val<T>>) -> Pred {
        let cmp = if T::TY.kind() == Kind::Float { Mod::Neu } else { Mod::Ne };
        self.compare(cmp, other)
    }

    /// `self < other`.
    #[must_use]
    #[track_caller]
    pub fn lt(self, other: impl Into<Val<T>>) -> Pred {
        self.compare(Mod::Lt, other)
    }

    /// `self <= other`.
    #[must_use]
    #[track_caller]
    pub fn le(self, other: impl Into<Val<T>>) -> Pred {
        self.compare(Mod::Le, other)
    }

    /// `self > other`.
    #[must_use]
    #[track_caller]
    pub fn gt(self, other: impl Into<Val<T>>) -> Pred {
        self.compare(Mod::Gt, other)
    }

    /// `self >= other`.
    #[must_use]
    #[track_caller]
    pub fn ge(self, other: impl Into<Val<T>>) -> Pred {
        self.compare(Mod::Ge, other)
    }
}
