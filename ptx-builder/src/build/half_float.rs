//! f16, bf16 and packed pairs of them.

use half::{bf16, f16};

use super::state::emit;
use super::val::compute;
use super::{Bf16x2, F16x2, Val};
use crate::table::{Mod, Op};
use crate::types::ScalarType;

macro_rules! halves {
    ($($t:ty),*) => {$(
        impl Val<$t> {
            /// The sum (or sums, for a pair), rounded to nearest even. For bf16 from sm_90 on.
            #[must_use]
            #[track_caller]
            pub fn add_rn(self, b: impl Into<Val<$t>>) -> Self {
                self.binary(Op::Add, &[Mod::Rn], b)
            }

            /// The product, rounded to nearest even. For bf16 from sm_90 on.
            #[must_use]
            #[track_caller]
            pub fn mul_rn(self, b: impl Into<Val<$t>>) -> Self {
                self.binary(Op::Mul, &[Mod::Rn], b)
            }

            /// `self * b + c` with one rounding, to nearest even. For bf16 from sm_80 on.
            #[must_use]
            #[track_caller]
            pub fn fma(self, b: impl Into<Val<$t>>, c: impl Into<Val<$t>>) -> Self {
                let m = Mod::Ty(<$t as super::Scalar>::TY);
                compute(Op::Fma, &[Mod::Rn, m], &[self.operand(), b.into().operand(), c.into().operand()])
            }
        }
    )*};
}
halves!(f16, bf16, F16x2, Bf16x2);

macro_rules! pairs {
    ($($half:ty => $pair:ty),*) => {$(
        impl Val<$half> {
            /// A pair of `self` (low) and `high`.
            #[must_use]
            #[track_caller]
            pub fn pair(self, high: impl Into<Val<$half>>) -> Val<$pair> {
                compute(Op::Pack, &[Mod::Ty(ScalarType::B32)], &[self.operand(), high.into().operand()])
            }
        }

        impl Val<$pair> {
            /// The low and the high half.
            #[must_use]
            #[track_caller]
            pub fn split(self) -> (Val<$half>, Val<$half>) {
                let (lo, hi) = (Val::<$half>::fresh(), Val::<$half>::fresh());
                emit(Op::Unpack, &[Mod::Ty(ScalarType::B32)], &[lo.operand(), hi.operand(), self.operand()]);
                (lo, hi)
            }
        }
    )*};
}
pairs!(f16 => F16x2, bf16 => Bf16x2);
