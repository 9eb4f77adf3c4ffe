//! Conversions. Lossless ones need no rounding; the others state it.

use half::{bf16, f16};

use super::val::compute;
use super::{Bf16x2, F16x2, Scalar, Val};
use crate::table::{Mod, Op, Rounding};

/// Lossless conversions to `U`, and conversions between integers, which keep the low bits.
#[diagnostic::on_unimplemented(
    message = "`to` does not convert `{Self}` to `{U}`",
    note = "what rounds says how: integers to floats and floats to narrower ones take `to_rn` or `to_rounded`, floats to integers `to_int`"
)]
pub trait ConvertExact<U: Scalar>: Scalar {}

/// Conversions to `U` that round: integers to floats, floats to narrower ones. There is no instruction between bytes
/// and bf16.
pub trait ConvertRounded<U: Scalar>: Scalar {}

/// Conversions of a float to an integer `U`: rounded to an integral value, then clamped to `U`'s range. NaN gives 0,
/// except that it gives only the top bit if source or result has 64 bits: `i32::MIN` for an f64 as an i32.
pub trait ConvertInt<U: Scalar>: Scalar {}

/// Defines the conversions of a type, and a test that each gives an instruction that verifies.
macro_rules! pairs {
    ($trait:ident, $test:ident: |$value:ident, $rounding:ident| $convert:expr; $($from:ty => [$($to:ty),*];)*) => {
        $($(impl $trait<$to> for $from {})*)*

        #[cfg(test)]
        #[test]
        fn $test() {
            use super::{Global, InOut, kernel};
            for $rounding in [Rounding::NearestEven, Rounding::Zero, Rounding::Down, Rounding::Up] {
                $($({
                    let k = kernel::<(InOut<u8>,)>("convert", ["x"], |k, (x,)| {
                        let from: Global<$from> = x.cast();
                        let $value = from.load(k);
                        let to: Val<$to> = $convert;
                        x.plus_bytes(8).cast().store(k, to);
                    });
                    let verified = k.verify(crate::target::Target::SM_90);
                    assert!(verified.is_ok(), "{} to {}: {}", <$from>::TY, <$to>::TY, verified.unwrap_err());
                })*)*
            }
        }
    };
}
pairs! { ConvertExact, every_exact_conversion: |value, _rounding| value.to();
    u8 => [u16, u32, u64, i8, i16, i32, i64];
    u16 => [u8, u32, u64, i8, i16, i32, i64];
    u32 => [u8, u16, u64, i8, i16, i32, i64];
    u64 => [u8, u16, u32, i8, i16, i32, i64];
    i8 => [u8, u16, u32, u64, i16, i32, i64];
    i16 => [u8, u16, u32, u64, i8, i32, i64];
    i32 => [u8, u16, u32, u64, i8, i16, i64];
    i64 => [u8, u16, u32, u64, i8, i16, i32];
    f16 => [f32, f64];
    bf16 => [f32, f64];
    f32 => [f64];
}
pairs! { ConvertRounded, every_conversion_that_rounds: |value, _rounding| value.to_rn();
    u8 => [f16, f32, f64];
    u16 => [f16, bf16, f32, f64];
    u32 => [f16, bf16, f32, f64];
    u64 => [f16, bf16, f32, f64];
    i8 => [f16, f32, f64];
    i16 => [f16, bf16, f32, f64];
    i32 => [f16, bf16, f32, f64];
    i64 => [f16, bf16, f32, f64];
    f32 => [f16, bf16];
    f64 => [f16, bf16, f32];
}
pairs! { ConvertInt, every_conversion_to_an_integer: |value, rounding| value.to_int(rounding);
    f16 => [u8, u16, u32, u64, i8, i16, i32, i64];
    bf16 => [u16, u32, u64, i16, i32, i64];
    f32 => [u8, u16, u32, u64, i8, i16, i32, i64];
    f64 => [u8, u16, u32, u64, i8, i16, i32, i64];
}

impl<T: Scalar> Val<T> {
    #[track_caller]
    fn cvt<U: Scalar>(self, rounding: Option<Mod>) -> Val<U> {
        let mut mods: crate::table::Mods = rounding.into_iter().collect();
        mods.extend([Mod::Ty(U::TY), Mod::Ty(T::TY)]);
        compute(Op::Cvt, &mods, &[self.operand()])
    }

    /// The same value in a type that can hold it; between integers, the low bits.
    #[must_use]
    #[track_caller]
    pub fn to<U: Scalar>(self) -> Val<U>
    where
        T: ConvertExact<U>,
    {
        self.cvt(None)
    }

    /// The nearest value of `U`, ties to even.
    #[must_use]
    #[track_caller]
    pub fn to_rn<U: Scalar>(self) -> Val<U>
    where
        T: ConvertRounded<U>,
    {
        self.to_rounded(Rounding::NearestEven)
    }

    /// The value in `U`, with the given rounding.
    #[must_use]
    #[track_caller]
    pub fn to_rounded<U: Scalar>(self, rounding: Rounding) -> Val<U>
    where
        T: ConvertRounded<U>,
    {
        self.cvt(Some(rounding.modifier()))
    }

    /// The value as an integer: with the given rounding, then clamped to `U`'s range. NaN gives 0, except that it gives
    /// only the top bit if source or result has 64 bits.
    #[must_use]
    #[track_caller]
    pub fn to_int<U: Scalar>(self, rounding: Rounding) -> Val<U>
    where
        T: ConvertInt<U>,
    {
        self.cvt(Some(rounding.integral_modifier()))
    }
}

macro_rules! integral {
    ($($t:ty),*) => {$(
        impl Val<$t> {
            /// The rounded integral value, still a float.
            #[must_use]
            #[track_caller]
            pub fn round(self, rounding: Rounding) -> Self {
                self.cvt(Some(rounding.integral_modifier()))
            }
        }
    )*};
}
integral!(f32, f64);

impl Val<f32> {
    /// `self` (low) and `high`, each rounded to nearest even, as a pair of f16. From sm_80 on.
    #[must_use]
    #[track_caller]
    pub fn to_f16x2(self, high: impl Into<Val<f32>>) -> Val<F16x2> {
        compute(Op::CvtPack, &[Mod::Rn, Mod::Ty(F16x2::TY), Mod::Ty(f32::TY)], &[high.into().operand(), self.operand()])
    }

    /// `self` (low) and `high`, each rounded to nearest even, as a pair of bf16. From sm_80 on.
    #[must_use]
    #[track_caller]
    pub fn to_bf16x2(self, high: impl Into<Val<f32>>) -> Val<Bf16x2> {
        compute(
            Op::CvtPack,
            &[Mod::Rn, Mod::Ty(Bf16x2::TY), Mod::Ty(f32::TY)],
            &[high.into().operand(), self.operand()],
        )
    }
}
