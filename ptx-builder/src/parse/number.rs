//! Values of constants.

/// A constant's value: integers have 64 bits, with a sign or without.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

use Number::{Float, Signed, Unsigned};

impl Number {
    pub(super) fn truth(holds: bool) -> Number {
        Signed(i64::from(holds))
    }

    pub(super) fn holds(self) -> bool {
        match self {
            Signed(v) => v != 0,
            Unsigned(v) => v != 0,
            Float(v) => v != 0.0,
        }
    }

    pub(super) fn bits(self) -> Option<u64> {
        match self {
            Signed(v) => Some(v as u64),
            Unsigned(v) => Some(v),
            Float(_) => None,
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Signed(v) => v as f64,
            Unsigned(v) => v as f64,
            Float(v) => v,
        }
    }
}
