//! Exact f32 and f64 arithmetic (PTX ISA 9.7.3).

use super::precision::{always, compares, exact_of, rounds};
use super::{Alternatives, Builder, any, binary, exact, one, opt, ternary, ty, types, unary};
use crate::table::Real;
use crate::table::arith::{Arith, Convert, add_odd};
use crate::table::lanes::{lane, with_bool, with_float, with_mode};
use crate::table::{Mod, Op, Precision, Rounding};
use crate::types::ScalarType::{F32, F64, Pred};

/// `x`, or a zero of its sign where `FTZ` and `x` is subnormal.
pub(super) fn flush(ftz: bool, x: f32) -> f32 {
    if ftz && x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// A result under `.ftz` and `.sat`: a saturated NaN is +0.
pub(super) fn finish(ftz: bool, sat: bool, x: f32) -> f32 {
    let x = flush(ftz, x);
    if !sat {
        x
    } else if x > 0.0 {
        x.min(1.0)
    } else {
        0.0
    }
}

/// Whether an exact value (or one rounded to odd) is below the normal numbers
/// once it is rounded as if there were none below. Hardware then flushes it,
/// also where rounding to a subnormal would have carried it to a normal number.
pub(super) fn is_tiny(exact: f64, mode: Rounding) -> bool {
    const SCALE: f64 = (1u128 << 64) as f64;
    f64::from(f32::narrow(exact * SCALE, mode)).abs() < f64::from(f32::MIN_POSITIVE) * SCALE
}

/// The rounding that a form computes with; none written is to nearest.
pub(super) fn mode(m: &[Mod]) -> Rounding {
    m.iter().find_map(|&m| Rounding::of(m)).unwrap_or(Rounding::NearestEven)
}

/// The lane function of an f32 or f64 operation with a rounding, `.ftz` and
/// `.sat` by the form's modifiers. `exact` is the value before rounding, where
/// rounding can carry it to the least normal number.
macro_rules! rounded {
    ($m:expr, |$($x:ident),*| $M:ident => $e:expr $(, exact $exact:expr)?) => {
        with_mode!(mode($m), $M, {
            if ty($m, 0) == F64 {
                lane!(|$($x: f64),*| -> f64 { $e })
            } else {
                with_bool!($m.contains(&Mod::Ftz), FTZ, with_bool!($m.contains(&Mod::Sat), SAT, {
                    lane!(|$($x: f32),*| -> f32 {
                        $(let $x = flush(FTZ, $x);)*
                        let d = $e;
                        $(let d = if FTZ && d.abs() == f32::MIN_POSITIVE && is_tiny($exact, $M) {
                            0f32.copysign(d)
                        } else {
                            d
                        };)?
                        finish(FTZ, SAT, d)
                    })
                }))
            }
        })
    };
}

/// The lane function of an f32 operation that does not round, with `.ftz` by
/// the form's modifiers.
macro_rules! plain_f32 {
    ($m:expr, |$($x:ident),*| $e:expr) => {
        with_bool!($m.contains(&Mod::Ftz), FTZ, {
            lane!(|$($x: f32),*| -> f32 {
                $(let $x = flush(FTZ, $x);)*
                flush(FTZ, $e)
            })
        })
    };
}

/// As [`plain_f32`], for f32 and f64.
macro_rules! plain {
    ($m:expr, |$($x:ident),*| $e:expr) => {
        if ty($m, 0) == F64 {
            lane!(|$($x: f64),*| -> f64 { $e })
        } else {
            plain_f32!($m, |$($x),*| $e)
        }
    };
}

fn roundings() -> Alternatives {
    any(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp])
}

/// Only f32 has `.ftz`, `.sat` and the like.
fn has(m: &[Mod]) -> bool {
    ty(m, 0) == F32 || m.iter().all(|&m| matches!(m, Mod::Ty(_)) || Rounding::of(m).is_some())
}

pub(super) fn rows(t: &mut Builder) {
    let ftz = || opt(&[Mod::Ftz]);
    let sat = || opt(&[Mod::Sat]);
    let floats = || types(&[F32, F64]);
    let maybe = || opt(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp]);

    t.row(Op::Testp, "9.7.3.1", "Whether a is of a class; zeros are normal.", compares, &[classes(), floats()], |m| {
        let eval = with_float!(ty(m, 0), T, {
            match m[0] {
                Mod::Finite => lane!(|a: T| -> bool { a.is_finite() }),
                Mod::Infinite => lane!(|a: T| -> bool { a.is_infinite() }),
                Mod::Number => lane!(|a: T| -> bool { !a.is_nan() }),
                Mod::NotANumber => lane!(|a: T| -> bool { a.is_nan() }),
                Mod::Normal => lane!(|a: T| -> bool { a.is_normal() || a == 0.0 }),
                _ => lane!(|a: T| -> bool { a.is_subnormal() }),
            }
        });
        exact(Pred, ty(m, 0), 1, eval)
    });
    t.row(Op::Copysign, "9.7.3.2", "b with the sign of a.", exact_of(Real::Copysign), &[floats()], |m| {
        let eval = match ty(m, 0) {
            F32 => lane!(|a: u32, b: u32| -> u32 { a & 1 << 31 | b & !(1 << 31) }),
            _ => lane!(|a: u64, b: u64| -> u64 { a & 1 << 63 | b & !(1 << 63) }),
        };
        binary(ty(m, 0), eval)
    });
    t.row(Op::Add, "9.7.3.3", "Adds.", rounds(Real::Add), &[maybe(), ftz(), sat(), floats()], |m| {
        if has(m) { binary(ty(m, 0), rounded!(m, |a, b| M => a.add_in(b, M))) } else { None }
    });
    t.row(Op::Sub, "9.7.3.4", "Subtracts.", rounds(Real::Sub), &[maybe(), ftz(), sat(), floats()], |m| {
        if has(m) { binary(ty(m, 0), rounded!(m, |a, b| M => a.sub_in(b, M))) } else { None }
    });
    t.row(Op::Mul, "9.7.3.5", "Multiplies.", rounds(Real::Mul), &[maybe(), ftz(), sat(), floats()], |m| {
        if has(m) {
            binary(ty(m, 0), rounded!(m, |a, b| M => a.mul_in(b, M), exact a.widen() * b.widen()))
        } else {
            None
        }
    });
    t.row(
        Op::Fma,
        "9.7.3.6",
        "a * b + c, rounded once.",
        rounds(Real::Fma),
        &[roundings(), ftz(), sat(), floats()],
        |m| {
            if has(m) {
                ternary(
                    ty(m, 0),
                    rounded!(m, |a, b, c| M => a.fma_in(b, c, M), exact add_odd(a.widen() * b.widen(), c.widen(), M)),
                )
            } else {
                None
            }
        },
    );
    t.row(Op::Div, "9.7.3.8", "Divides.", rounds(Real::Div), &[roundings(), ftz(), floats()], |m| {
        if has(m) { binary(ty(m, 0), rounded!(m, |a, b| M => a.div_in(b, M))) } else { None }
    });
    t.row(Op::Abs, "9.7.3.9", "The absolute value.", exact_of(Real::Abs), &[ftz(), floats()], |m| {
        if has(m) { unary(ty(m, 0), plain!(m, |a| a.abs())) } else { None }
    });
    t.row(Op::Neg, "9.7.3.10", "Negates.", exact_of(Real::Neg), &[ftz(), floats()], |m| {
        if has(m) { unary(ty(m, 0), plain!(m, |a| -a)) } else { None }
    });
    extremes(t);
    t.row(Op::Rcp, "9.7.3.13", "1 / a.", rounds(Real::Rcp), &[roundings(), ftz(), floats()], |m| {
        if has(m) { unary(ty(m, 0), rounded!(m, |a| M => 1.0.div_in(a, M))) } else { None }
    });
    t.row(Op::Sqrt, "9.7.3.15", "The square root.", rounds(Real::Sqrt), &[roundings(), ftz(), floats()], |m| {
        if has(m) { unary(ty(m, 0), rounded!(m, |a| M => a.sqrt_in(M))) } else { None }
    });
}

fn classes() -> Alternatives {
    any(&[Mod::Finite, Mod::Infinite, Mod::Number, Mod::NotANumber, Mod::Normal, Mod::Subnormal])
}

/// The lesser (`MAX` false) or greater of two numbers. -0 is less than +0;
/// a NaN loses against a number, and wins with `nan` (`.NaN`).
macro_rules! extreme {
    ($a:expr, $b:expr, $max:expr, $nan:expr) => {{
        let (a, b) = ($a, $b);
        if a.is_nan() {
            if $nan { a } else { b }
        } else if b.is_nan() {
            if $nan { b } else { a }
        } else if a == b {
            if a.is_sign_negative() == $max { b } else { a }
        } else if (a < b) == $max {
            b
        } else {
            a
        }
    }};
}
pub(super) use extreme;

/// `.xorsign.abs`: the extreme of the magnitudes, under the product's sign.
fn xorsign(max: bool, nan: bool, a: f32, b: f32) -> f32 {
    let sign = (a.to_bits() ^ b.to_bits()) & 1 << 31;
    f32::from_bits(extreme!(a.abs(), b.abs(), max, nan).to_bits() & !(1 << 31) | sign)
}

fn extremes(t: &mut Builder) {
    for (op, section, doc, max) in [
        (Op::Min, "9.7.3.11", "The lesser; a NaN only if both are, or with .NaN if either is.", false),
        (Op::Max, "9.7.3.12", "The greater; a NaN only if both are, or with .NaN if either is.", true),
    ] {
        t.row(
            op,
            section,
            doc,
            exact_of(if max { Real::Max } else { Real::Min }),
            &[opt(&[Mod::Ftz]), opt(&[Mod::Nan]), types(&[F32, F64])],
            |m| {
                if !has(m) {
                    return None;
                }
                let nan = m.contains(&Mod::Nan);
                let eval = with_bool!(max, MAX, with_bool!(nan, NAN, plain!(m, |a, b| extreme!(a, b, MAX, NAN))));
                Some(binary(ty(m, 0), eval)?.since(if nan { 70 } else { 20 }, if nan { 80 } else { 20 }))
            },
        );
        let three = if max { Op::Max3 } else { Op::Min3 };
        let doc = if max { "The greatest of three." } else { "The least of three." };
        let places = [opt(&[Mod::Ftz]), opt(&[Mod::Nan]), types(&[F32])];
        t.row(three, section, doc, always(Precision::Opaque), &places, |m| {
            let eval = with_bool!(
                max,
                MAX,
                with_bool!(m.contains(&Mod::Nan), NAN, {
                    plain_f32!(m, |a, b, c| extreme!(extreme!(a, b, MAX, NAN), c, MAX, NAN))
                })
            );
            Some(ternary(F32, eval)?.since(88, 100))
        });
        let doc = if max {
            "The greater magnitude, with the sign of the product."
        } else {
            "The lesser magnitude, with the sign of the product."
        };
        let places = [opt(&[Mod::Ftz]), opt(&[Mod::Nan]), one(Mod::Xorsign), one(Mod::Abs), types(&[F32])];
        t.row(op, section, doc, exact_of(Real::Magnitude), &places, |m| {
            let eval = with_bool!(max, MAX, {
                with_bool!(m.contains(&Mod::Nan), NAN, plain_f32!(m, |a, b| xorsign(MAX, NAN, a, b)))
            });
            Some(binary(F32, eval)?.since(72, 86))
        });
    }
}
