//! Loads and stores.

use smallvec::SmallVec;

use super::emit::emit_guarded;
use super::pointer::{GlobalSpace, Ptr, ReadSpace, WriteSpace};
use super::val::push_all;
use super::{Body, Pred, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Mods, Op};
use crate::types::ScalarType;

/// Cache hint of a global load. Does not change the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum LoadHint {
    /// The hardware's default.
    #[default]
    None,
    /// Do not allocate in L1, prefetch 128 bytes to L2: data read once.
    Streaming,
    /// Keep in L1 as long as possible: data read again soon.
    Keep,
}

/// Integers that a load can extend to 32 bits.
pub trait Narrow: Scalar {}

impl Narrow for i8 {}
impl Narrow for u8 {}
impl Narrow for i16 {}
impl Narrow for u16 {}

/// Cache hint of a global store. Does not change the value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum StoreHint {
    /// The hardware's default.
    #[default]
    None,
    /// Data written once and not read soon.
    Streaming,
}

/// The type of the access for a `T`: untyped bits if PTX has no such load.
fn moved<T: Scalar>() -> Mod {
    Mod::Ty(match T::TY {
        ScalarType::F16 | ScalarType::Bf16 => ScalarType::B16,
        ScalarType::F16x2 | ScalarType::Bf16x2 => ScalarType::B32,
        t => t,
    })
}

#[track_caller]
fn vector_mod(len: usize) -> Option<Mod> {
    match len {
        1 => None,
        2 => Some(Mod::V2),
        4 => Some(Mod::V4),
        _ => panic!("vector accesses have 2 or 4 elements, not {len}"),
    }
}

/// Rejects, at compile time, accesses that are not 1, 2 or 4 elements of at most 16 bytes.
const fn one_access<T: Scalar, const N: usize>() {
    assert!(
        matches!(N, 1 | 2 | 4) && N as u32 * T::TY.bytes() <= 16,
        "one access moves 1, 2 or 4 elements, at most 16 bytes"
    );
}

impl<S: ReadSpace, T: Scalar> Ptr<S, T> {
    #[track_caller]
    fn load_guarded<const N: usize>(self, guard: Option<Pred>, hint: LoadHint, d: [Val<T>; N]) {
        let vector = vector_mod(N);
        let op = if S::READ_ONLY { Op::LdNc } else { Op::Ld };
        let mut mods = Mods::new();
        mods.push(S::MOD);
        if S::READ_ONLY {
            mods.push(Mod::Nc);
        }
        let hinted = hint != LoadHint::None && S::MOD == Mod::Global;
        match hint {
            LoadHint::Streaming if hinted => mods.extend([Mod::L1NoAllocate, Mod::L2P128]),
            LoadHint::Keep if hinted => mods.push(Mod::L1EvictLast),
            _ => {}
        }
        mods.extend(vector);
        mods.push(if hinted { Mod::Ty(super::val::bits_type(T::TY)) } else { moved::<T>() });
        let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
        push_all(&mut operands, &d);
        operands.push(self.operand());
        emit_guarded(guard, op, &mods, &operands);
    }

    /// Loads the element.
    #[track_caller]
    pub fn load(self, _k: &Body) -> Val<T> {
        let [d] = Val::fresh_array();
        self.load_guarded(None, LoadHint::None, [d]);
        d
    }

    /// Loads the element, with a cache hint.
    #[track_caller]
    pub fn load_hinted(self, _k: &Body, hint: LoadHint) -> Val<T> {
        let [d] = Val::fresh_array();
        self.load_guarded(None, hint, [d]);
        d
    }

    /// Loads the element, extended to 32 bits (by its sign, if it has one), in one instruction.
    #[track_caller]
    pub fn load_extended(self, k: &Body) -> Val<i32>
    where
        T: Narrow,
    {
        k.compute(Op::Ld, &[S::MOD, Mod::Ty(T::TY)], &[self.operand()])
    }

    /// Loads the element where `holds`, otherwise returns `default`; without a branch.
    #[track_caller]
    pub fn load_or(self, _k: &Body, holds: Pred, default: impl Into<Val<T>>) -> Val<T> {
        let d = default.into().copied();
        self.load_guarded(Some(holds), LoadHint::None, [d]);
        d
    }

    /// Loads `N` elements, 1, 2 or 4 and at most 16 bytes, with one access. The address must be a
    /// multiple of its size.
    #[track_caller]
    pub fn load_vec<const N: usize>(self, k: &Body) -> [Val<T>; N] {
        self.load_vec_hinted(k, LoadHint::None)
    }

    /// As [`load_vec`](Self::load_vec), with a cache hint.
    #[track_caller]
    pub fn load_vec_hinted<const N: usize>(self, _k: &Body, hint: LoadHint) -> [Val<T>; N] {
        const { one_access::<T, N>() };
        let d = Val::fresh_array();
        self.load_guarded(None, hint, d);
        d
    }

    /// Loads `N` elements like [`load_vec`](Self::load_vec) where `holds`, otherwise returns `default` in each.
    #[track_caller]
    pub fn load_vec_or<const N: usize>(self, _k: &Body, holds: Pred, default: impl Into<Val<T>>) -> [Val<T>; N] {
        const { one_access::<T, N>() };
        let default = default.into();
        let mut d = Val::fresh_array();
        for v in &mut d {
            *v = default.copied();
        }
        self.load_guarded(Some(holds), LoadHint::None, d);
        d
    }
}

impl<S: ReadSpace, T: Scalar> Ptr<S, T> {
    #[track_caller]
    fn store_guarded(self, guard: Option<Pred>, hint: StoreHint, values: &[Val<T>]) {
        let hinted = hint != StoreHint::None && S::MOD == Mod::Global;
        let mut mods = Mods::new();
        mods.push(S::MOD);
        if hinted {
            mods.push(Mod::Cs);
        }
        mods.extend(vector_mod(values.len()));
        mods.push(if hinted { Mod::Ty(super::val::bits_type(T::TY)) } else { moved::<T>() });
        let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
        operands.push(self.operand());
        push_all(&mut operands, values);
        emit_guarded(guard, Op::St, &mods, &operands);
    }

    /// Stores the element.
    #[track_caller]
    pub fn store(self, _k: &Body, value: impl Into<Val<T>>)
    where
        S: WriteSpace,
    {
        self.store_guarded(None, StoreHint::None, &[value.into()]);
    }

    /// Stores the element where `holds`, without a branch.
    #[track_caller]
    pub fn store_if(self, _k: &Body, holds: Pred, value: impl Into<Val<T>>)
    where
        S: WriteSpace,
    {
        self.store_guarded(Some(holds), StoreHint::None, &[value.into()]);
    }

    /// Stores the element, with a cache hint.
    #[track_caller]
    pub fn store_hinted(self, _k: &Body, value: impl Into<Val<T>>, hint: StoreHint)
    where
        S: WriteSpace,
    {
        self.store_guarded(None, hint, &[value.into()]);
    }

    /// Stores 1, 2 or 4 elements, at most 16 bytes, with one access. The address must be a multiple
    /// of its size.
    #[track_caller]
    pub fn store_vec<const N: usize>(self, _k: &Body, values: [Val<T>; N])
    where
        S: WriteSpace,
    {
        const { one_access::<T, N>() };
        self.store_guarded(None, StoreHint::None, &values);
    }
}

impl<T: Scalar> Ptr<GlobalSpace, T> {
    /// Loads the element with acquire ordering: writes of other threads before a release that this load observes become
    /// visible (`ld.acquire.gpu`).
    #[track_caller]
    pub fn load_acquire(self, k: &Body) -> Val<T> {
        let m = [Mod::Acquire, Mod::ScopeGpu, Mod::Global, Mod::Ty(super::val::bits_type(T::TY))];
        k.compute(Op::Ld, &m, &[self.operand()])
    }

    /// Stores the element with release ordering: after everything this thread wrote (`st.release.gpu`).
    #[track_caller]
    pub fn store_release(self, k: &Body, value: impl Into<Val<T>>) {
        let m = [Mod::Release, Mod::ScopeGpu, Mod::Global, Mod::Ty(super::val::bits_type(T::TY))];
        k.emit(Op::St, &m, &[self.operand(), value.into().operand()]);
    }

    /// Loads the element each time it executes (`ld.volatile`).
    #[track_caller]
    pub fn load_volatile(self, k: &Body) -> Val<T> {
        k.compute(Op::Ld, &[Mod::Volatile, Mod::Global, moved::<T>()], &[self.operand()])
    }

    /// Prefetches the element's line to the L2 cache.
    #[track_caller]
    pub fn prefetch_l2(self, k: &Body) {
        k.emit(Op::Prefetch, &[Mod::Global, Mod::L2], &[self.operand()]);
    }
}
