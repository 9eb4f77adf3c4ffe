//! Predicates.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use smallvec::SmallVec;

use super::scope::Made;
use super::state::{emit, form, new_reg};
use crate::ir::{Guard, Operand, Reg};
use crate::table::{Access, Mod, Op};
use crate::types::{RegClass, ScalarType};

/// A predicate: true or false on each lane. Negation is free: it is part of the handle.
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

    /// Whether it was created before the innermost loop or branch that is being built.
    #[track_caller]
    pub(super) fn is_older(self) -> bool {
        self.made.is_older()
    }

    pub(super) fn is_negated(self) -> bool {
        self.negated
    }

    /// The predicate as a source operand, with its negation (`!%p`).
    #[must_use]
    #[track_caller]
    pub fn operand(self) -> Operand {
        self.check();
        if self.negated { Operand::NotPred(self.reg) } else { Operand::Reg(self.reg) }
    }

    /// The register with this predicate, after negation.
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
}

/// Emits an instruction with a predicate result, its first operand. Where the
/// table has an optional second result, it is left out.
#[track_caller]
pub(super) fn test(op: Op, mods: &[Mod], sources: &[Operand]) -> Pred {
    let p = Pred::fresh();
    let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
    operands.push(Operand::Reg(p.reg()));
    if form(op, mods).get().slots.get(1).is_some_and(|slot| slot.optional && slot.access == Access::Write) {
        operands.push(Operand::None);
    }
    operands.extend_from_slice(sources);
    emit(op, mods, &operands);
    p
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
