//! What becomes of errors at an instruction, as the fact in its row says.

use crate::table::{Access, Clamp, Form, Mod, Parts, Precision, Real, Slot};
use crate::types::{Kind, ScalarType};

/// What becomes of errors.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::interp) enum Plan {
    /// Its results are what they are: predicates, addresses, integers that were computed.
    Exact,
    /// As `Exact`; what its sources should be is not known of its results, which is told.
    Ends,
    /// As `Exact`; and it compares its first two sources, of this type.
    Compares(ScalarType),
    /// Nothing here: where it is executed, its memory or lanes are known.
    Elsewhere,
    /// The source's shadow.
    Moves,
    /// The shadow of the source that was chosen.
    Selects,
    /// Bits of values, moved.
    Bits(Parts),
    /// A function of real numbers.
    Real { real: Real, ty: ScalarType, clamp: Option<Clamp> },
    /// Another type for a number.
    Converts { from: ScalarType, to: ScalarType, integral: bool, clamp: Option<Clamp>, saturates: bool },
}

impl Plan {
    pub fn of(form: &Form) -> Plan {
        match form.precision {
            Precision::Nothing | Precision::Integer | Precision::IntegerProduct => Plan::Exact,
            Precision::Opaque => Plan::Ends,
            Precision::Compares => compared(form).map_or(Plan::Exact, Plan::Compares),
            Precision::Moves => Plan::Moves,
            Precision::Bits(parts) => Plan::Bits(parts),
            Precision::Selects => Plan::Selects,
            Precision::Exact { real, ty } | Precision::Approximates { real, ty } => {
                Plan::Real { real, ty, clamp: None }
            }
            Precision::Rounds { real, ty, mode: _, clamp } => Plan::Real { real, ty, clamp },
            Precision::Converts { from, to, mode: _, integral, clamp } => {
                Plan::Converts { from, to, integral, clamp, saturates: form.mods.contains(&Mod::Sat) }
            }
            Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::Lanes
            | Precision::MatrixProduct { .. } => Plan::Elsewhere,
        }
    }
}

/// The type of the two floats that a form compares, if it does.
fn compared(form: &Form) -> Option<ScalarType> {
    let mut types = form.slots.iter().filter(|s| s.access == Access::Read).map(Slot::ty);
    let (first, second) = (types.next()??, types.next()??);
    (first == second && first.kind() == Kind::Float).then_some(first)
}
