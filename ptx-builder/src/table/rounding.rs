//! Roundings (PTX ISA 5.2.3 and "Rounding Modifiers", 9.7.3).

use super::{Form, Mod, Op};
use crate::types::Kind;

/// A rounding direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RoundingMode {
    /// To nearest, ties to even: `.rn`, `.rni`.
    Nearest,
    /// Towards zero: `.rz`, `.rzi`.
    Zero,
    /// Towards minus infinity: `.rm`, `.rmi`.
    Down,
    /// Towards plus infinity: `.rp`, `.rpi`.
    Up,
}

impl RoundingMode {
    /// The direction that a modifier names, of a float (`.rn`) or an integer
    /// (`.rni`) rounding.
    pub const fn of(m: Mod) -> Option<RoundingMode> {
        Some(match m {
            Mod::Rn | Mod::Rni => Self::Nearest,
            Mod::Rz | Mod::Rzi => Self::Zero,
            Mod::Rm | Mod::Rmi => Self::Down,
            Mod::Rp | Mod::Rpi => Self::Up,
            _ => return None,
        })
    }
}

/// What a form says of its rounding.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rounding {
    /// It stands in the form, so the result's bits are fixed.
    Written(RoundingMode),
    /// A float `add`, `sub` or `mul` without one: to nearest, but an assembler
    /// may contract a product and a sum into an fma.
    Unwritten,
    /// The form does not round, or says so in another way (`.approx`).
    NotApplicable,
}

impl Form {
    /// What this form says of its rounding.
    pub fn rounding(&self) -> Rounding {
        let float = |m: &Mod| matches!(m, Mod::Ty(t) if t.kind() == Kind::Float);
        match self.mods.iter().find_map(|&m| RoundingMode::of(m)) {
            Some(mode) => Rounding::Written(mode),
            None if matches!(self.op, Op::Add | Op::Sub | Op::Mul) && self.mods.iter().any(float) => {
                Rounding::Unwritten
            }
            None => Rounding::NotApplicable,
        }
    }
}
