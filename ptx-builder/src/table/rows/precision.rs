//! How rows state what becomes of precision.

use super::ty;
use crate::table::{Clamp, Mod, Parts, Precision, Real, Rounding};
use crate::types::{Kind, ScalarType};

/// The same fact for every form of a row.
pub(super) fn always(fact: Precision) -> impl Fn(&[Mod]) -> Precision {
    move |_| fact
}

/// See [`Precision::Nothing`].
pub(super) fn nothing(_: &[Mod]) -> Precision {
    Precision::Nothing
}

/// See [`Precision::Integer`].
pub(super) fn integer(_: &[Mod]) -> Precision {
    Precision::Integer
}

/// See [`Precision::IntegerProduct`].
pub(super) fn integer_product(_: &[Mod]) -> Precision {
    Precision::IntegerProduct
}

/// See [`Precision::Compares`].
pub(super) fn compares(_: &[Mod]) -> Precision {
    Precision::Compares
}

/// See [`Precision::Bits`].
pub(super) fn of_bits(parts: Parts) -> impl Fn(&[Mod]) -> Precision {
    always(Precision::Bits(parts))
}

/// A float function without error.
pub(super) fn exact_of(real: Real) -> impl Fn(&[Mod]) -> Precision {
    move |m| Precision::Exact { real, ty: ty(m, 0) }
}

/// A float function, rounded once as the modifiers say.
pub(super) fn rounds(real: Real) -> impl Fn(&[Mod]) -> Precision {
    move |m| Precision::Rounds { real, ty: ty(m, 0), mode: mode(m), clamp: clamp(m) }
}

/// A float function within a tolerance.
pub(super) fn approximates(real: Real) -> impl Fn(&[Mod]) -> Precision {
    move |m| Precision::Approximates { real, ty: ty(m, 0) }
}

/// A conversion between the first two types.
pub(super) fn converts(m: &[Mod]) -> Precision {
    let (to, from) = (ty(m, 0), ty(m, 1));
    let whole = |t: ScalarType| t.kind() != Kind::Float;
    let integral = whole(to) || whole(from) || to == from && mode(m).is_some();
    // Between integers, saturating is of another kind, and no float is clamped.
    let clamp = if whole(to) { None } else { clamp(m) };
    Precision::Converts { from, to, mode: mode(m), integral, clamp }
}

/// A conversion from this type to the one that is written.
pub(super) fn converts_from(from: ScalarType) -> impl Fn(&[Mod]) -> Precision {
    move |m| Precision::Converts { from, to: ty(m, 0), mode: mode(m), integral: false, clamp: clamp(m) }
}

fn mode(m: &[Mod]) -> Option<Rounding> {
    m.iter().find_map(|&m| Rounding::of(m))
}

fn clamp(m: &[Mod]) -> Option<Clamp> {
    m.iter().find_map(|m| match m {
        Mod::Sat => Some(Clamp::Unit),
        Mod::Relu => Some(Clamp::Positive),
        _ => None,
    })
}
