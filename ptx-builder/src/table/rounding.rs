//! Roundings (PTX ISA 5.2.3 and "Rounding Modifiers", 9.7.3).

use super::Mod;

/// A rounding direction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rounding {
    /// To nearest, ties to even: `.rn`, `.rni`.
    NearestEven,
    /// Toward zero: `.rz`, `.rzi`.
    Zero,
    /// Toward negative infinity: `.rm`, `.rmi`.
    Down,
    /// Toward positive infinity: `.rp`, `.rpi`.
    Up,
}

impl Rounding {
    /// The direction that a modifier names, of a float (`.rn`) or an integral
    /// (`.rni`) rounding.
    pub const fn of(m: Mod) -> Option<Rounding> {
        Some(match m {
            Mod::Rn | Mod::Rni => Self::NearestEven,
            Mod::Rz | Mod::Rzi => Self::Zero,
            Mod::Rm | Mod::Rmi => Self::Down,
            Mod::Rp | Mod::Rpi => Self::Up,
            _ => return None,
        })
    }

    /// The modifier of arithmetic instructions.
    pub(crate) const fn modifier(self) -> Mod {
        match self {
            Self::NearestEven => Mod::Rn,
            Self::Zero => Mod::Rz,
            Self::Down => Mod::Rm,
            Self::Up => Mod::Rp,
        }
    }

    /// The modifier of conversions to an integral value.
    pub(crate) const fn integral_modifier(self) -> Mod {
        match self {
            Self::NearestEven => Mod::Rni,
            Self::Zero => Mod::Rzi,
            Self::Down => Mod::Rmi,
            Self::Up => Mod::Rpi,
        }
    }
}
