//! 16-bit float arithmetic, alone and in pairs (PTX ISA 9.7.4).

use half::f16;

use super::float::extreme;
use super::precision::{always, exact_of, rounds};
use super::{Alternatives, Builder, Spec, binary, one, opt, spec, ternary, ty, types, unary};
use crate::table::arith::{Arith, Convert, add_odd};
use crate::table::lanes::{lane, lane_pair, with_bool, with_half};
use crate::table::slot::{dst, src};
use crate::table::{Meaning, Mod, Op, Precision, Real, Rounding};
use crate::types::ScalarType::{self, Bf16, Bf16x2, F16, F16x2};

const HALVES: &[ScalarType] = &[F16, F16x2, Bf16, Bf16x2];
/// All bits of a number but its sign.
const MAGNITUDE: u16 = 0x7fff;
const NEAREST: Rounding = Rounding::NearestEven;

fn is_bf16(t: ScalarType) -> bool {
    matches!(t, Bf16 | Bf16x2)
}

/// `x`, or a zero of its sign where `ftz` and `x` is subnormal.
pub(super) fn flush(ftz: bool, x: f16) -> f16 {
    if ftz && x.to_bits() & MAGNITUDE < f16::MIN_POSITIVE.to_bits() { f16::ZERO.copysign(x) } else { x }
}

/// Whether an exact value is below the normal numbers once it is rounded as if there were none below: as for f32, it is
/// flushed then.
fn is_tiny(exact: f64) -> bool {
    const SCALE: f64 = 65536.0;
    f16::narrow(exact * SCALE, NEAREST).to_f64().abs() < f16::MIN_POSITIVE.to_f64() * SCALE
}

/// The lane function of an operation of 16-bit floats, on each half of a pair.
macro_rules! halves {
    ($ty:expr, |$($x:ident),*| $T:ident => $e:expr) => {
        match $ty {
            F16x2 | Bf16x2 => with_half!($ty, $T, lane_pair!(|$($x: $T),*| -> $T { $e })),
            _ => with_half!($ty, $T, lane!(|$($x: $T),*| -> $T { $e })),
        }
    };
}

/// The same, under `.ftz` where f16 has it.
macro_rules! flushed {
    ($m:expr, |$($x:ident),*| $T:ident => $e:expr) => {
        match ty($m, 0) {
            F16x2 if $m.contains(&Mod::Ftz) => {
                #[allow(dead_code)]
                type $T = f16;
                lane_pair!(|$($x: f16),*| -> f16 { $(let $x = flush(true, $x);)* flush(true, $e) })
            }
            F16 if $m.contains(&Mod::Ftz) => {
                #[allow(dead_code)]
                type $T = f16;
                lane!(|$($x: f16),*| -> f16 { $(let $x = flush(true, $x);)* flush(true, $e) })
            }
            t => halves!(t, |$($x),*| $T => $e),
        }
    };
}

/// The same under `.sat` (a NaN gives 0) or `.relu` (a NaN stays one). Where rounding can carry a result to the least
/// normal number, `exact` is the value before.
macro_rules! clamped {
    ($m:expr, |$($x:ident),*| $e:expr $(, exact $exact:expr)?) => {
        with_bool!($m.contains(&Mod::Ftz), FTZ, with_bool!($m.contains(&Mod::Sat), SAT, {
            with_bool!($m.contains(&Mod::Relu), RELU, {
                flushed!($m, |$($x),*| T => {
                    let d = $e;
                    let _ = FTZ;
                    $(let d = if FTZ && d.to_bits() & MAGNITUDE == T::MIN_POSITIVE.to_bits() && is_tiny($exact) { T::ZERO.copysign(d) } else { d };)?
                    if SAT {
                        if d > T::ZERO { d.min(T::ONE) } else { T::ZERO }
                    } else if RELU && d <= T::ZERO {
                        T::ZERO
                    } else {
                        d
                    }
                })
            })
        }))
    };
}

/// f16 from these versions on; bf16 from the later ones.
fn since(form: Option<Spec>, t: ScalarType, f16: (u16, u16), bf16: (u16, u16)) -> Option<Spec> {
    let (ptx, sm) = if is_bf16(t) { bf16 } else { f16 };
    form.map(|form| form.since(ptx, sm))
}

/// Whether the modifiers go together: bf16 is neither flushed nor saturated.
fn legal(m: &[Mod]) -> bool {
    !(is_bf16(ty(m, 0)) && (m.contains(&Mod::Sat) || m.contains(&Mod::Ftz)))
}

pub(super) fn rows(t: &mut Builder) {
    let ftz = || opt(&[Mod::Ftz]);
    let places = || -> [Alternatives; 4] { [opt(&[Mod::Rn]), ftz(), opt(&[Mod::Sat]), types(HALVES)] };
    t.row(Op::Add, "9.7.4.1", "Adds.", rounds(Real::Add), &places(), |m| {
        let form = legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.add_in(b, NEAREST))));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    t.row(Op::Sub, "9.7.4.2", "Subtracts.", rounds(Real::Sub), &places(), |m| {
        let form = legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.sub_in(b, NEAREST))));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    t.row(Op::Mul, "9.7.4.3", "Multiplies.", rounds(Real::Mul), &places(), |m| {
        let form =
            legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.mul_in(b, NEAREST), exact a.widen() * b.widen())));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    let doc = "a * b + c, rounded once.";
    let fused = [one(Mod::Rn), ftz(), opt(&[Mod::Sat, Mod::Relu]), types(HALVES)];
    t.row(Op::Fma, "9.7.4.4", doc, rounds(Real::Fma), &fused, |m| {
        let form = legal(m).then(|| {
            let eval = clamped!(m, |a, b, c| a.fma_in(b, c, NEAREST),
                exact add_odd(a.widen() * b.widen(), c.widen(), NEAREST));
            ternary(ty(m, 0), eval)
        });
        let f16 = if m.contains(&Mod::Relu) { (70, 80) } else { (42, 53) };
        since(form?, ty(m, 0), f16, (70, 80))
    });
    let doc = "a * b + c, rounded once; 0 where a or b is the NaN of a tensor copy out of bounds, whose bits are not documented.";
    let oob = [one(Mod::Rn), one(Mod::Oob), opt(&[Mod::Sat, Mod::Relu]), types(HALVES)];
    t.row(Op::Fma, "9.7.4.4", doc, always(Precision::Opaque), &oob, |m| {
        let t = ty(m, 0);
        let slots = [dst(t), src("a", t), src("b", t), src("c", t)];
        legal(m).then(|| spec(slots, Meaning::Foreign).since(81, 90))
    });
    t.row(Op::Neg, "9.7.4.5", "Negates.", exact_of(Real::Neg), &[ftz(), types(HALVES)], |m| {
        let form = legal(m).then(|| unary(ty(m, 0), flushed!(m, |a| T => -a)));
        since(form?, ty(m, 0), (51, 53), (70, 80))
    });
    t.row(Op::Abs, "9.7.4.6", "The absolute value.", exact_of(Real::Abs), &[ftz(), types(HALVES)], |m| {
        let form = legal(m).then(|| unary(ty(m, 0), flushed!(m, |a| T => if a.is_sign_negative() { -a } else { a })));
        since(form?, ty(m, 0), (65, 53), (70, 80))
    });
    extremes(t);
}

fn extremes(t: &mut Builder) {
    for (op, section, docs, max) in [
        (
            Op::Min,
            "9.7.4.7",
            [
                "The lesser; a NaN only if both are, or with .NaN if either is.",
                "The lesser magnitude, with the sign of the product.",
            ],
            false,
        ),
        (
            Op::Max,
            "9.7.4.8",
            [
                "The greater; a NaN only if both are, or with .NaN if either is.",
                "The greater magnitude, with the sign of the product.",
            ],
            true,
        ),
    ] {
        let real = if max { Real::Max } else { Real::Min };
        let modifiers = || [opt(&[Mod::Ftz]), opt(&[Mod::Nan])];
        let [ftz, nan] = modifiers();
        t.row(op, section, docs[0], exact_of(real), &[ftz, nan, types(HALVES)], |m| {
            let eval = with_bool!(max, MAX, {
                with_bool!(m.contains(&Mod::Nan), NAN, flushed!(m, |a, b| T => extreme!(a, b, MAX, NAN)))
            });
            since(legal(m).then(|| binary(ty(m, 0), eval))?, ty(m, 0), (70, 80), (70, 80))
        });
        let [ftz, nan] = modifiers();
        let places = [ftz, nan, one(Mod::Xorsign), one(Mod::Abs), types(HALVES)];
        t.row(op, section, docs[1], exact_of(Real::Magnitude), &places, |m| {
            let eval = with_bool!(max, MAX, {
                with_bool!(m.contains(&Mod::Nan), NAN, {
                    flushed!(m, |a, b| T => {
                        let of = |x: T| T::from_bits(x.to_bits() & MAGNITUDE);
                        let d = extreme!(of(a), of(b), MAX, NAN);
                        let negative = a.is_sign_negative() != b.is_sign_negative();
                        T::from_bits(d.to_bits() & MAGNITUDE | u16::from(negative) << 15)
                    })
                })
            });
            since(legal(m).then(|| binary(ty(m, 0), eval))?, ty(m, 0), (72, 86), (72, 86))
        });
    }
}
