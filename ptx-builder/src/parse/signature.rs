//! What functions take and give.

use super::lex::Pos;
use crate::ir::{Passed, Reg};
use crate::types::{RegClass, ScalarType};

/// Where functions have their addresses: no state space has a window there.
const FIRST_ADDRESS: u64 = 0x7b00_0000_0000;

/// Bytes from a function's address to the next one's.
const ADDRESS_STEP: u64 = 16;

/// What a function takes or gives, by its declaration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Formal<'a> {
    pub name: Option<(&'a str, Pos)>,
    pub ty: ScalarType,
    /// Elements of an array.
    pub len: Option<u32>,
    pub align: Option<u32>,
    /// Whether it is `.reg`, not `.param`.
    pub is_register: bool,
}

impl Formal<'_> {
    /// As another module's function takes it.
    pub fn passed(&self) -> Passed {
        Passed { ty: self.ty, len: self.len, align: self.align }
    }

    /// Bytes, and whether they are an array's.
    pub fn shape(&self) -> (u64, bool) {
        (u64::from(self.ty.bytes()) * u64::from(self.len.unwrap_or(1)), self.len.is_some())
    }
}

/// What a function takes and gives.
#[derive(Clone, Default, Debug)]
pub(super) struct Signature<'a> {
    pub results: Vec<Formal<'a>>,
    pub params: Vec<Formal<'a>>,
}

impl Signature<'_> {
    /// Whether a call by one is a call of the other.
    pub fn fits(&self, other: &Signature<'_>) -> bool {
        let same = |a: &[Formal<'_>], b: &[Formal<'_>]| a.iter().map(Formal::shape).eq(b.iter().map(Formal::shape));
        same(&self.results, &other.results) && same(&self.params, &other.params)
    }
}

/// What a formal is in its function's body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Home {
    Reg(Reg),
    /// A local array, by its place among the body's variables.
    Array(u32),
}

/// The address that stands for a function.
pub(super) fn address(id: usize) -> u64 {
    FIRST_ADDRESS + ADDRESS_STEP * id as u64
}

/// The class of register that a scalar is passed in: its bits.
pub(super) fn class_passed(ty: ScalarType) -> Option<RegClass> {
    match ty.bits() {
        1 => Some(RegClass::Pred),
        8 | 16 => Some(RegClass::B16),
        32 => Some(RegClass::B32),
        64 => Some(RegClass::B64),
        _ => None,
    }
}
