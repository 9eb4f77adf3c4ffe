//! Elements of matrices (PTX ISA 9.7.14.2).

use half::{bf16, f16};

use super::arith::Small;
use super::lanes::Lane;
use crate::types::ScalarType;

/// The type of a matrix's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the PTX ISA's own names
#[non_exhaustive]
pub enum Element {
    F16,
    Bf16,
    Tf32,
    F32,
    F64,
    E4m3,
    E5m2,
    S8,
    U8,
    S4,
    U4,
    B1,
    S32,
}

impl Element {
    /// Its size in a register.
    pub const fn bits(self) -> usize {
        match self {
            Element::B1 => 1,
            Element::S4 | Element::U4 => 4,
            Element::E4m3 | Element::E5m2 | Element::S8 | Element::U8 => 8,
            Element::F16 | Element::Bf16 => 16,
            Element::Tf32 | Element::F32 | Element::S32 => 32,
            Element::F64 => 64,
        }
    }

    /// How many are in a register.
    pub const fn per_register(self) -> usize {
        if self.bits() < 32 { 32 / self.bits() } else { 1 }
    }

    /// What operands of it are: packed elements are unsigned, not bits, since ptxas takes no float registers for them.
    pub const fn register(self) -> ScalarType {
        match self {
            Element::F32 => ScalarType::F32,
            Element::F64 => ScalarType::F64,
            Element::S32 => ScalarType::S32,
            _ => ScalarType::U32,
        }
    }

    /// Whether sums of it are of integers.
    pub const fn is_integer(self) -> bool {
        matches!(self, Element::S8 | Element::U8 | Element::S4 | Element::U4 | Element::B1 | Element::S32)
    }

    /// The element of a scalar type.
    pub(super) fn of(ty: ScalarType) -> Element {
        match ty {
            ScalarType::F16 => Element::F16,
            ScalarType::Bf16 => Element::Bf16,
            ScalarType::Tf32 => Element::Tf32,
            ScalarType::F32 => Element::F32,
            ScalarType::F64 => Element::F64,
            ScalarType::S8 => Element::S8,
            ScalarType::U8 => Element::U8,
            _ => Element::S32,
        }
    }

    /// The number that the bits of a float mean.
    pub(crate) fn number(self, bits: u64) -> f64 {
        match self {
            Element::F16 => f16::from_lane(bits).to_f64(),
            Element::Bf16 => bf16::from_lane(bits).to_f64(),
            // The bits that tf32 has not are ignored.
            Element::Tf32 => f64::from(f32::from_lane(bits & !0x1fff)),
            Element::F64 => f64::from_lane(bits),
            Element::E4m3 => Small::E4M3.decode(bits as u8),
            Element::E5m2 => Small::E5M2.decode(bits as u8),
            _ => f64::from(f32::from_lane(bits)),
        }
    }

    /// The integer that the bits mean.
    pub(crate) fn integer(self, bits: u64) -> i64 {
        match self {
            Element::S8 => i64::from(bits as i8),
            Element::S4 => i64::from((bits << 4) as i8 >> 4),
            Element::S32 => i64::from(bits as i32),
            _ => bits as i64,
        }
    }

    /// The bits of a sum, rounded once.
    pub(crate) fn of_number(self, value: f64) -> u64 {
        match self {
            Element::F16 => f16::from_f64(value).to_lane(),
            Element::F64 => value.to_lane(),
            _ => (value as f32).to_lane(),
        }
    }
}
