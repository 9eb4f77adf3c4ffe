//! Atomic updates.

use super::pointer::{GlobalSpace, Ptr, ReadSpace, SharedSpace, WriteSpace};
use super::state::emit;
use super::val::compute;
use super::{Body, Scalar, Val};
use crate::table::{Mod, Op};
use crate::types::ScalarType;

/// Integers with atomic updates.
#[diagnostic::on_unimplemented(
    message = "no atomic update of `{Self}`",
    note = "atomics are for `u32`, `i32` and `u64`; floats have none on purpose: the order of a sum must not be an accident, reduce in a written order instead"
)]
pub trait AtomicScalar: Scalar {}

impl AtomicScalar for u32 {}
impl AtomicScalar for i32 {}
impl AtomicScalar for u64 {}

/// Spaces with atomics.
#[diagnostic::on_unimplemented(
    message = "no atomic update of memory in `{Self}`",
    note = "atomics work on writable global and shared memory"
)]
pub trait AtomicSpace: WriteSpace {}

impl AtomicSpace for GlobalSpace {}
impl AtomicSpace for SharedSpace {}

fn untyped<T: Scalar>() -> Mod {
    Mod::Ty(if T::TY.bits() == 64 { ScalarType::B64 } else { ScalarType::B32 })
}

impl<S: ReadSpace, T: Scalar> Ptr<S, T> {
    #[track_caller]
    fn update(self, op: Mod, ty: Mod, value: Val<T>) -> Val<T> {
        compute(Op::Atom, &[S::MOD, op, ty], &[self.operand(), value.operand()])
    }

    /// Adds and returns the old value, without ordering.
    #[track_caller]
    pub fn atomic_add(self, _k: &Body, value: impl Into<Val<T>>) -> Val<T>
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        self.update(Mod::AtomAdd, Mod::Ty(T::TY), value.into())
    }

    /// Stores the maximum and returns the old value, without ordering.
    #[track_caller]
    pub fn atomic_max(self, _k: &Body, value: impl Into<Val<T>>) -> Val<T>
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        self.update(Mod::AtomMax, Mod::Ty(T::TY), value.into())
    }

    /// Stores the minimum and returns the old value, without ordering.
    #[track_caller]
    pub fn atomic_min(self, _k: &Body, value: impl Into<Val<T>>) -> Val<T>
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        self.update(Mod::AtomMin, Mod::Ty(T::TY), value.into())
    }

    /// Exchanges the value and returns the old one, without ordering.
    #[track_caller]
    pub fn atomic_exchange(self, _k: &Body, value: impl Into<Val<T>>) -> Val<T>
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        self.update(Mod::Exch, untyped::<T>(), value.into())
    }

    /// Stores `new` where the old value is `expected`; returns the old value.
    #[track_caller]
    pub fn atomic_compare_exchange(self, _k: &Body, expected: impl Into<Val<T>>, new: impl Into<Val<T>>) -> Val<T>
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        let sources = [self.operand(), expected.into().operand(), new.into().operand()];
        compute(Op::Atom, &[S::MOD, Mod::Cas, untyped::<T>()], &sources)
    }

    /// As [`atomic_add`](Self::atomic_add), without returning the old value (`red`).
    #[track_caller]
    pub fn atomic_add_unread(self, _k: &Body, value: impl Into<Val<T>>)
    where
        S: AtomicSpace,
        T: AtomicScalar,
    {
        emit(Op::Red, &[S::MOD, Mod::AtomAdd, Mod::Ty(T::TY)], &[self.operand(), value.into().operand()]);
    }
}

impl<T: AtomicScalar> Ptr<GlobalSpace, T> {
    /// Adds with acquire and release ordering at GPU scope: after everything this thread wrote and before everything it
    /// reads later. Returns the old value.
    #[track_caller]
    pub fn atomic_add_acq_rel(self, _k: &Body, value: impl Into<Val<T>>) -> Val<T> {
        let m = [Mod::AcqRel, Mod::ScopeGpu, Mod::Global, Mod::AtomAdd, Mod::Ty(T::TY)];
        compute(Op::Atom, &m, &[self.operand(), value.into().operand()])
    }
}
