//! Typed pointers.

use std::fmt;
use std::marker::PhantomData;

use super::scope::Made;
use super::{Scalar, Val, sealed};
use crate::ir::{Address, Base, Operand, Reg, Symbol};
use crate::table::{Mod, Op};
use crate::types::{ScalarType, Space};

/// A state space as a type; all can be read.
pub trait ReadSpace: sealed::Space + Copy + 'static {}

/// A space that can be written.
#[diagnostic::on_unimplemented(
    message = "memory in `{Self}` cannot be written",
    note = "make the parameter an `Out` or `InOut` buffer, or use shared or local memory"
)]
pub trait WriteSpace: ReadSpace {}

/// Global memory, read-only or writable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not global memory",
    note = "asynchronous and bulk copies read global memory: an `In`, `Out` or `InOut` buffer"
)]
pub trait GlobalMemory: ReadSpace {}

macro_rules! spaces {
    ($($(#[$doc:meta])* $name:ident = $space:ident $m:ident wide $wide:literal read_only $ro:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Space for $name {
            const SPACE: Space = Space::$space;
            const MOD: Mod = Mod::$m;
            const WIDE: bool = $wide;
            const READ_ONLY: bool = $ro;
        }
        impl ReadSpace for $name {}
    )*};
}
spaces! {
    /// Global memory.
    GlobalSpace = Global Global wide true read_only false;
    /// Global memory that nothing writes during the launch.
    ReadOnlySpace = Global Global wide true read_only true;
    /// The block's shared memory.
    SharedSpace = Shared Shared wide false read_only false;
    /// The thread's local memory.
    LocalSpace = Local Local wide false read_only false;
    /// Constants of the module.
    ConstSpace = Const Const wide true read_only false;
}
impl WriteSpace for GlobalSpace {}
impl WriteSpace for SharedSpace {}
impl WriteSpace for LocalSpace {}
impl GlobalMemory for GlobalSpace {}
impl GlobalMemory for ReadOnlySpace {}

/// A pointer to elements `T` in space `S`.
pub struct Ptr<S, T> {
    base: Base,
    /// In bytes.
    offset: i32,
    made: Made,
    ty: PhantomData<(S, T)>,
}

/// A pointer to global memory.
pub type Global<T> = Ptr<GlobalSpace, T>;
/// A pointer to global memory that nothing writes during the launch.
pub type ReadOnly<T> = Ptr<ReadOnlySpace, T>;
/// A pointer to shared memory.
pub type Shared<T> = Ptr<SharedSpace, T>;
/// A pointer to local memory.
pub type Local<T> = Ptr<LocalSpace, T>;
/// A pointer to constants.
pub type Const<T> = Ptr<ConstSpace, T>;

impl<S, T> Clone for Ptr<S, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, T> Copy for Ptr<S, T> {}

impl<S, T> fmt::Debug for Ptr<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ptr").field("base", &self.base).field("offset", &self.offset).finish()
    }
}

impl<S: ReadSpace, T: Scalar> Ptr<S, T> {
    #[track_caller]
    pub(super) fn new(base: Base) -> Self {
        Ptr { base, offset: 0, made: Made::here(), ty: PhantomData }
    }

    #[track_caller]
    fn of_reg(base: Operand) -> Self {
        match base {
            Operand::Reg(reg) => Self::new(Base::Reg(reg)),
            _ => unreachable!("address arithmetic gives registers"),
        }
    }

    #[track_caller]
    fn check(self) {
        let reg = match self.base {
            Base::Reg(reg) => Some(reg),
            Base::Symbol(_) => None,
        };
        self.made.check("a pointer", reg);
    }

    /// The memory operand, for [`Body::emit`](super::Body::emit).
    ///
    /// # Panics
    /// If the pointer belongs to a kernel other than the one being built, or to a loop or branch that has ended.
    #[must_use]
    #[track_caller]
    pub fn operand(self) -> Operand {
        self.check();
        Operand::Address(Address { base: self.base, offset: self.offset })
    }

    /// The register with the address, without the constant offset; a variable's address is moved into one.
    #[track_caller]
    fn base_reg(self) -> Reg {
        self.check();
        match self.base {
            Base::Reg(reg) => reg,
            Base::Symbol(symbol) => match Self::address_of(symbol) {
                Operand::Reg(reg) => reg,
                _ => unreachable!("mov gives a register"),
            },
        }
    }

    #[track_caller]
    fn address_of(symbol: Symbol) -> Operand {
        let source = [Operand::Symbol(symbol, 0)];
        if S::WIDE {
            super::val::compute::<u64>(Op::Mov, &[Mod::Ty(ScalarType::U64)], &source).operand()
        } else {
            super::val::compute::<u32>(Op::Mov, &[Mod::Ty(ScalarType::U32)], &source).operand()
        }
    }

    /// The element at `index`: this address plus `index` times the size of `T`.
    #[must_use]
    #[track_caller]
    pub fn at(self, index: impl Into<Val<u32>>) -> Self {
        self.index(index.into(), T::TY.bytes())
    }

    /// This address plus `index` times `scale` bytes; a constant that fits becomes an offset in the address.
    #[track_caller]
    fn index(self, index: Val<u32>, scale: u32) -> Self {
        let offset = |index: u64| i32::try_from(i64::from(self.offset) + index as i64 * i64::from(scale)).ok();
        match index.constant().and_then(offset) {
            Some(offset) => Ptr { offset, ..self },
            None => self.byte_index(index.copied_if_constant(), scale),
        }
    }

    /// This address plus `index` times `scale` bytes.
    #[track_caller]
    fn byte_index(self, index: Val<u32>, scale: u32) -> Self {
        let base = self.base_reg();
        let moved = if S::WIDE {
            let base = Val::<u64>::of_reg(base);
            if scale == 1 { index.to::<u64>() + base } else { index.mad_wide(scale, base) }.operand()
        } else {
            let base = Val::<u32>::of_reg(base);
            if scale == 1 { index + base } else { index.mad(scale, base) }.operand()
        };
        Ptr { offset: self.offset, ..Self::of_reg(moved) }
    }

    /// The address plus `index` bytes.
    #[must_use]
    #[track_caller]
    pub fn byte_at(self, index: impl Into<Val<u32>>) -> Self {
        self.index(index.into(), 1)
    }

    /// The element `n` after this one, as a constant offset, which costs nothing.
    ///
    /// # Panics
    /// If the offset does not fit 31 bits.
    #[must_use]
    #[track_caller]
    pub fn plus(self, n: impl Into<i64>) -> Self {
        self.plus_bytes(n.into() * i64::from(T::TY.bytes()))
    }

    /// This address plus a constant number of bytes.
    ///
    /// # Panics
    /// If the offset does not fit 31 bits.
    #[must_use]
    #[track_caller]
    pub fn plus_bytes(self, bytes: impl Into<i64>) -> Self {
        let offset = i64::from(self.offset) + bytes.into();
        match i32::try_from(offset) {
            Ok(offset) => Ptr { offset, ..self },
            Err(_) => panic!("a constant offset of {offset} bytes does not fit an address; add it with at()"),
        }
    }

    /// The largest multiple of `bytes` (a power of two) that is at most this address, and its distance from this
    /// address.
    ///
    /// # Panics
    /// If `bytes` is not a power of two.
    #[must_use]
    #[track_caller]
    pub fn align_down(self, bytes: u32) -> (Self, Val<u32>) {
        assert!(bytes.is_power_of_two(), "an alignment is a power of two, not {bytes}");
        let base = self.base_reg();
        if S::WIDE {
            let base = Val::<u64>::of_reg(base);
            let address = if self.offset == 0 { base } else { base + self.offset as i64 as u64 };
            let below = address.to::<u32>() & (bytes - 1);
            (Self::of_reg((address & !u64::from(bytes - 1)).operand()), below)
        } else {
            let base = Val::<u32>::of_reg(base);
            let address = if self.offset == 0 { base } else { base + self.offset as u32 };
            (Self::of_reg((address & !(bytes - 1)).operand()), address & (bytes - 1))
        }
    }

    /// The same address as a pointer to `U`.
    #[must_use]
    pub fn cast<U: Scalar>(self) -> Ptr<S, U> {
        Ptr { base: self.base, offset: self.offset, made: self.made, ty: PhantomData }
    }
}

impl<S: GlobalMemory, T: Scalar> Ptr<S, T> {
    /// The element at a 64-bit index, for buffers in which a 32-bit index could wrap; for example with
    /// `row.mad_wide(cols, col.to())`.
    #[must_use]
    #[track_caller]
    pub fn at64(self, index: impl Into<Val<u64>>) -> Self {
        let base = Val::<u64>::of_reg(self.base_reg());
        let moved = index.into().mad(u64::from(T::TY.bytes()), base);
        Ptr { offset: self.offset, ..Self::of_reg(moved.operand()) }
    }
}

impl<T: Scalar> Ptr<SharedSpace, T> {
    /// The address in the block's shared window.
    #[must_use]
    #[track_caller]
    pub fn address(self) -> Val<u32> {
        let base = Val::<u32>::of_reg(self.base_reg());
        if self.offset == 0 { base } else { base + self.offset as u32 }
    }

    /// The pointer to an address in the block's shared window.
    #[track_caller]
    pub fn from_address(address: Val<u32>) -> Self {
        Self::of_reg(address.copied_if_constant().operand())
    }
}

impl<T: Scalar> Ptr<GlobalSpace, T> {
    /// The address.
    #[must_use]
    #[track_caller]
    pub fn address(self) -> Val<u64> {
        global_address(self)
    }

    /// The pointer to an address in global memory.
    #[track_caller]
    pub fn from_address(address: Val<u64>) -> Self {
        Self::of_reg(address.copied_if_constant().operand())
    }
}

impl<T: Scalar> Ptr<GlobalSpace, T> {
    /// The same memory, loaded through the read-only path; nothing may write it during the launch.
    #[must_use]
    pub fn read_only(self) -> ReadOnly<T> {
        Ptr { base: self.base, offset: self.offset, made: self.made, ty: PhantomData }
    }
}

impl<T: Scalar> Ptr<ReadOnlySpace, T> {
    /// The pointer to an address in global memory that nothing writes during the launch.
    #[track_caller]
    pub fn from_address(address: Val<u64>) -> Self {
        Self::of_reg(address.copied_if_constant().operand())
    }

    /// The address.
    #[must_use]
    #[track_caller]
    pub fn address(self) -> Val<u64> {
        global_address(self)
    }
}

#[track_caller]
fn global_address<S: ReadSpace, T: Scalar>(ptr: Ptr<S, T>) -> Val<u64> {
    let base = Val::<u64>::of_reg(ptr.base_reg());
    if ptr.offset == 0 { base } else { base + i64::from(ptr.offset) as u64 }
}

impl<T: Scalar> Val<T> {
    #[track_caller]
    fn copied_if_constant(self) -> Self {
        if self.constant().is_some() { self.copied() } else { self }
    }
}
