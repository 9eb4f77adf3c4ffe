//! Instructions as such, for what has no method of its own.

use super::pred::test;
use super::state::{Body, emit, emit_under};
use super::val::compute;
use super::{Pred, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};

/// Emits an instruction that runs where `guard` holds.
#[track_caller]
pub(super) fn emit_guarded(guard: Option<Pred>, op: Op, mods: &[Mod], operands: &[Operand]) {
    // A closure would not have the caller's line.
    #[allow(clippy::manual_map)]
    let guard = match guard {
        Some(holds) => Some(holds.guard()),
        None => None,
    };
    emit_under(guard, op, mods, operands);
}

impl Body {
    /// Emits any instruction of the table, for those without a method of
    /// their own. Operands are in writing order, vectors laid flat; the
    /// verifier checks them like any other.
    ///
    /// # Panics
    /// If the table has no such form.
    #[track_caller]
    pub fn emit(&self, op: Op, mods: &[Mod], operands: &[Operand]) {
        emit(op, mods, operands);
    }

    /// Emits an instruction of the table whose first operand is its result.
    ///
    /// # Panics
    /// If the table has no such form.
    #[track_caller]
    pub fn compute<T: Scalar>(&self, op: Op, mods: &[Mod], sources: &[Operand]) -> Val<T> {
        compute(op, mods, sources)
    }

    /// Emits an instruction of the table whose first operand is its result, a predicate. Where the table has an
    /// optional second result, it is left out.
    ///
    /// # Panics
    /// If the table has no such form.
    #[track_caller]
    pub fn test(&self, op: Op, mods: &[Mod], sources: &[Operand]) -> Pred {
        test(op, mods, sources)
    }
}
