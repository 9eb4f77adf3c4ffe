//! Comparisons, and truth values as numbers.

use super::pred::test;
use super::state::ty;
use super::{Pred, Scalar, Val};
use crate::table::{Mod, Op};
use crate::types::Kind;

impl Pred {
    /// 1 where it holds, else 0.
    #[must_use]
    #[track_caller]
    pub fn to_u32(self) -> Val<u32> {
        Val::from(1).select(self, 0)
    }
}

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
        test(Op::Setp, &[cmp, ty::<T>()], &[self.operand(), other.into().operand()])
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
