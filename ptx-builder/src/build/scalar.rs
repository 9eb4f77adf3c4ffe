//! Rust types as PTX types.

use half::{bf16, f16};

use super::sealed::Sealed;
use crate::types::ScalarType;

/// A pair of f16 in 32 bits; the first is in the low half.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct F16x2(pub f16, pub f16);

/// A pair of bf16 in 32 bits; the first is in the low half.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bf16x2(pub bf16, pub bf16);

/// A Rust type that a register can hold.
pub trait Scalar: Sealed + Copy + 'static {
    /// The PTX type.
    const TY: ScalarType;
    /// The value's bits, zero-extended.
    fn bits(self) -> u64;
}

macro_rules! scalars {
    ($($t:ty = $ty:ident |$v:ident| $bits:expr;)*) => {$(
        impl Sealed for $t {}
        impl Scalar for $t {
            const TY: ScalarType = ScalarType::$ty;
            fn bits(self) -> u64 { let $v = self; $bits }
        }
    )*};
}

scalars! {
    u8 = U8 |v| u64::from(v);
    u16 = U16 |v| u64::from(v);
    u32 = U32 |v| u64::from(v);
    u64 = U64 |v| v;
    i8 = S8 |v| u64::from(v as u8);
    i16 = S16 |v| u64::from(v as u16);
    i32 = S32 |v| u64::from(v as u32);
    i64 = S64 |v| v as u64;
    f32 = F32 |v| u64::from(v.to_bits());
    f64 = F64 |v| v.to_bits();
    f16 = F16 |v| u64::from(v.to_bits());
    bf16 = Bf16 |v| u64::from(v.to_bits());
    F16x2 = F16x2 |v| u64::from(v.0.to_bits()) | u64::from(v.1.to_bits()) << 16;
    Bf16x2 = Bf16x2 |v| u64::from(v.0.to_bits()) | u64::from(v.1.to_bits()) << 16;
}

/// Types with as many bits as `U`, so that one can be read as the other.
#[diagnostic::on_unimplemented(
    message = "`{Self}` and `{U}` differ in size",
    note = "a bitcast keeps the bits; to convert the value use `to`, `to_rn` or `to_int`"
)]
pub trait SameSize<U>: Scalar {}

macro_rules! same_size {
    (@row $a:ident [$($b:ident)*]) => { $(impl SameSize<$b> for $a {})* };
    (@each [$($a:ident)*] $all:tt) => { $(same_size!(@row $a $all);)* };
    ($($a:ident),*) => { same_size!(@each [$($a)*] [$($a)*]); };
}
same_size!(u8, i8);
same_size!(u16, i16, f16, bf16);
same_size!(u32, i32, f32, F16x2, Bf16x2);
same_size!(u64, i64, f64);
