//! Integer arithmetic, logic and shifts.

use std::ops::{BitAnd, BitOr, BitXor, Neg, Not, Rem, Shl, Shr};

use super::constant::check_shift;
use super::state::ty;
use super::val::bits_type;
use super::val::compute;
use super::{Number, Scalar, Val};
use crate::table::{Mod, Op};
use crate::types::ScalarType;

/// Integers of 16, 32 and 64 bits. (Bytes are loaded, stored and converted.)
pub trait Integer: Number {}

/// Integers for which PTX has the full product.
pub trait MulWide: Integer {
    /// The integer with twice the bits.
    type Wide: Integer;
}

/// 32 and 64 bits: types with the bit-counting instructions.
pub trait Bits: Integer {}

macro_rules! operator {
    ($t:ty, $trait:ident $method:ident, |$a:ident, $b:ident| $e:expr) => {
        impl $trait for Val<$t> {
            type Output = Val<$t>;
            #[track_caller]
            fn $method(self, other: Val<$t>) -> Val<$t> {
                let ($a, $b) = (self, other);
                $e
            }
        }
        impl $trait<$t> for Val<$t> {
            type Output = Val<$t>;
            #[track_caller]
            fn $method(self, other: $t) -> Val<$t> {
                $trait::$method(self, Val::from(other))
            }
        }
        impl $trait<Val<$t>> for $t {
            type Output = Val<$t>;
            #[track_caller]
            fn $method(self, other: Val<$t>) -> Val<$t> {
                $trait::$method(Val::from(self), other)
            }
        }
    };
}

fn bits<T: Scalar>() -> Mod {
    Mod::Ty(bits_type(T::TY))
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Integer for $t {}
        operator!($t, Rem rem, |a, b| a.binary(Op::Rem, &[], b));
        operator!($t, BitAnd bitand, |a, b| compute(Op::And, &[bits::<$t>()], &[a.operand(), b.operand()]));
        operator!($t, BitOr bitor, |a, b| compute(Op::Or, &[bits::<$t>()], &[a.operand(), b.operand()]));
        operator!($t, BitXor bitxor, |a, b| compute(Op::Xor, &[bits::<$t>()], &[a.operand(), b.operand()]));
        impl Not for Val<$t> {
            type Output = Val<$t>;
            #[track_caller]
            fn not(self) -> Val<$t> {
                compute(Op::Not, &[bits::<$t>()], &[self.operand()])
            }
        }
        impl<N: Into<Val<u32>>> Shl<N> for Val<$t> {
            type Output = Val<$t>;
            /// Shifts left; an amount that is known at run time only and is the width or more gives 0.
            ///
            /// # Panics
            /// If the amount is a constant of the width or more.
            #[track_caller]
            fn shl(self, amount: N) -> Val<$t> {
                let amount = amount.into();
                check_shift("<<", <$t as Scalar>::TY, amount.constant());
                compute(Op::Shl, &[bits::<$t>()], &[self.operand(), amount.operand()])
            }
        }
        impl<N: Into<Val<u32>>> Shr<N> for Val<$t> {
            type Output = Val<$t>;
            /// Shifts right, arithmetically for signed types; an amount that is known at run time only and is the width
            /// or more gives 0 or the sign.
            ///
            /// # Panics
            /// If the amount is a constant of the width or more.
            #[track_caller]
            fn shr(self, amount: N) -> Val<$t> {
                let amount = amount.into();
                check_shift(">>", <$t as Scalar>::TY, amount.constant());
                compute(Op::Shr, &[ty::<$t>()], &[self.operand(), amount.operand()])
            }
        }
    )*};
}
integers!(u16, u32, u64, i16, i32, i64);

macro_rules! signed {
    ($($t:ty),*) => {$(
        impl Neg for Val<$t> {
            type Output = Val<$t>;
            #[track_caller]
            fn neg(self) -> Val<$t> {
                self.unary(Op::Neg, &[])
            }
        }
        impl Val<$t> {
            /// Absolute value; the minimum stays itself.
            #[must_use]
            #[track_caller]
            pub fn abs(self) -> Self {
                self.unary(Op::Abs, &[])
            }
        }
    )*};
}
signed!(i16, i32, i64);

macro_rules! widens {
    ($($t:ty => $wide:ty),*) => { $(impl MulWide for $t { type Wide = $wide; })* };
}
widens!(u16 => u32, u32 => u64, i16 => i32, i32 => i64);

macro_rules! counts {
    ($($t:ty),*) => { $(impl Bits for $t {})* };
}
counts!(u32, u64, i32, i64);

impl<T: Integer> Val<T> {
    /// The low half of `self * b + c`.
    #[must_use]
    #[track_caller]
    pub fn mad(self, b: impl Into<Val<T>>, c: impl Into<Val<T>>) -> Self {
        compute(Op::Mad, &[Mod::Lo, ty::<T>()], &[self.operand(), b.into().operand(), c.into().operand()])
    }

    /// The high half of `self * b`.
    #[must_use]
    #[track_caller]
    pub fn mul_hi(self, b: impl Into<Val<T>>) -> Self {
        self.binary(Op::Mul, &[Mod::Hi], b)
    }
}

impl<T: MulWide> Val<T> {
    /// The full product.
    #[must_use]
    #[track_caller]
    pub fn mul_wide(self, b: impl Into<Val<T>>) -> Val<T::Wide> {
        compute(Op::Mul, &[Mod::Wide, ty::<T>()], &[self.operand(), b.into().operand()])
    }

    /// The full product plus `c`.
    #[must_use]
    #[track_caller]
    pub fn mad_wide(self, b: impl Into<Val<T>>, c: impl Into<Val<T::Wide>>) -> Val<T::Wide> {
        compute(Op::Mad, &[Mod::Wide, ty::<T>()], &[self.operand(), b.into().operand(), c.into().operand()])
    }
}

impl<T: Bits> Val<T> {
    /// The number of one bits.
    #[must_use]
    #[track_caller]
    pub fn popc(self) -> Val<u32> {
        compute(Op::Popc, &[bits::<T>()], &[self.operand()])
    }

    /// The number of leading zeros.
    #[must_use]
    #[track_caller]
    pub fn clz(self) -> Val<u32> {
        compute(Op::Clz, &[bits::<T>()], &[self.operand()])
    }

    /// The bits in reverse order.
    #[must_use]
    #[track_caller]
    pub fn brev(self) -> Self {
        compute(Op::Brev, &[bits::<T>()], &[self.operand()])
    }

    /// `len` bits from bit `start` on, sign-extended if `T` is signed.
    #[must_use]
    #[track_caller]
    pub fn bfe(self, start: impl Into<Val<u32>>, len: impl Into<Val<u32>>) -> Self {
        compute(Op::Bfe, &[ty::<T>()], &[self.operand(), start.into().operand(), len.into().operand()])
    }

    /// `self` with `len` bits from bit `start` on taken from `field`'s low bits.
    #[must_use]
    #[track_caller]
    pub fn bfi(self, field: impl Into<Val<T>>, start: impl Into<Val<u32>>, len: impl Into<Val<u32>>) -> Self {
        compute(
            Op::Bfi,
            &[bits::<T>()],
            &[field.into().operand(), self.operand(), start.into().operand(), len.into().operand()],
        )
    }
}

impl Val<u32> {
    /// Four bytes chosen from the eight of `self` (bytes 0 to 3) and `b` (4 to
    /// 7): nibble i of `selector` picks byte i; its top bit replicates the
    /// byte's sign instead (PTX `prmt`).
    #[must_use]
    #[track_caller]
    pub fn prmt(self, b: impl Into<Val<u32>>, selector: impl Into<Val<u32>>) -> Self {
        let m = Mod::Ty(ScalarType::B32);
        compute(Op::Prmt, &[m], &[self.operand(), b.into().operand(), selector.into().operand()])
    }

    /// The bitwise function of three inputs with truth table `lut`:
    /// bit `4a + 2b + c` of it is the result.
    #[must_use]
    #[track_caller]
    pub fn lop3(self, b: impl Into<Val<u32>>, c: impl Into<Val<u32>>, lut: u8) -> Self {
        let m = Mod::Ty(ScalarType::B32);
        let lut = Val::from(u32::from(lut));
        compute(Op::Lop3, &[m], &[self.operand(), b.into().operand(), c.into().operand(), lut.operand()])
    }

    /// The high 32 bits of `(high:self) << (amount & 31)`.
    #[must_use]
    #[track_caller]
    pub fn funnel_left(self, high: impl Into<Val<u32>>, amount: impl Into<Val<u32>>) -> Self {
        self.funnel(Mod::L, high, amount)
    }

    /// The low 32 bits of `(high:self) >> (amount & 31)`.
    #[must_use]
    #[track_caller]
    pub fn funnel_right(self, high: impl Into<Val<u32>>, amount: impl Into<Val<u32>>) -> Self {
        self.funnel(Mod::R, high, amount)
    }

    #[track_caller]
    fn funnel(self, direction: Mod, high: impl Into<Val<u32>>, amount: impl Into<Val<u32>>) -> Self {
        compute(
            Op::Shf,
            &[direction, Mod::Wrap, Mod::Ty(ScalarType::B32)],
            &[self.operand(), high.into().operand(), amount.into().operand()],
        )
    }

    /// `c` plus the four products of `self`'s unsigned bytes with `b`'s.
    #[must_use]
    #[track_caller]
    pub fn dp4a(self, b: impl Into<Val<u32>>, c: impl Into<Val<u32>>) -> Val<u32> {
        let m = Mod::Ty(ScalarType::U32);
        compute(Op::Dp4a, &[m, m], &[self.operand(), b.into().operand(), c.into().operand()])
    }

    /// `c` plus the four products of `self`'s unsigned bytes with `b`'s signed ones.
    #[must_use]
    #[track_caller]
    pub fn dp4a_signed(self, b: impl Into<Val<i32>>, c: impl Into<Val<i32>>) -> Val<i32> {
        let m = [Mod::Ty(ScalarType::U32), Mod::Ty(ScalarType::S32)];
        compute(Op::Dp4a, &m, &[self.operand(), b.into().operand(), c.into().operand()])
    }

    /// The two halves of a 64-bit value as one, `self` low.
    #[must_use]
    #[track_caller]
    pub fn pair(self, high: impl Into<Val<u32>>) -> Val<u64> {
        compute(Op::Pack, &[Mod::Ty(ScalarType::B64)], &[self.operand(), high.into().operand()])
    }
}

impl Val<i32> {
    /// `c` plus the four products of `self`'s signed bytes with `b`'s.
    #[must_use]
    #[track_caller]
    pub fn dp4a(self, b: impl Into<Val<i32>>, c: impl Into<Val<i32>>) -> Val<i32> {
        let m = Mod::Ty(ScalarType::S32);
        compute(Op::Dp4a, &[m, m], &[self.operand(), b.into().operand(), c.into().operand()])
    }

    /// `c` plus two products: `self`'s signed 16-bit halves with bytes 0 and 1
    /// (or 2 and 3, where `high`) of `b`.
    #[must_use]
    #[track_caller]
    pub fn dp2a(self, b: impl Into<Val<i32>>, c: impl Into<Val<i32>>, high: bool) -> Val<i32> {
        let m = Mod::Ty(ScalarType::S32);
        let half = if high { Mod::Hi } else { Mod::Lo };
        compute(Op::Dp2a, &[half, m, m], &[self.operand(), b.into().operand(), c.into().operand()])
    }
}

impl Val<u64> {
    /// The low and high halves.
    #[must_use]
    #[track_caller]
    pub fn split(self) -> (Val<u32>, Val<u32>) {
        let (lo, hi) = (Val::<u32>::fresh(), Val::<u32>::fresh());
        super::state::emit(Op::Unpack, &[Mod::Ty(ScalarType::B64)], &[lo.operand(), hi.operand(), self.operand()]);
        (lo, hi)
    }
}
