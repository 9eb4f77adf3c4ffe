//! Approximate functions (PTX ISA 9.7.3 and 9.7.4). The result here is the
//! exact one rounded to nearest, save for the special cases that the ISA
//! fixes; hardware may differ within the tolerance.

use super::float::flush;
use super::precision::approximates;
use super::{Alternatives, Builder, Spec, one, opt, spec, ty, types};
use crate::table::Real;
use crate::table::arith::Convert;
use crate::table::lanes::{lane, lane_pair, with_bool};
use crate::table::slot::{dst, src};
use crate::table::{LaneFn, Meaning, Mod, Op, Rounding, Tolerance};
use crate::types::ScalarType::{self, Bf16, Bf16x2, F16, F16x2, F32, F64};

/// At most this many units in the last place, as documented.
const fn ulp(ulp: f32, doc: &'static str) -> Tolerance {
    Tolerance { ulp, absolute: 0.0, doc }
}

fn approx<const N: usize>(t: ScalarType, names: [&'static str; N], eval: LaneFn, tolerance: Tolerance) -> Spec {
    let slots: Vec<_> = std::iter::once(dst(t)).chain(names.map(|name| src(name, t))).collect();
    spec(slots, Meaning::Approx(eval, tolerance))
}

/// An f32 function computed in f64, under `.ftz` by the form's modifiers.
macro_rules! function {
    ($m:expr, |$x:ident| $e:expr) => {
        with_bool!($m.contains(&Mod::Ftz), FTZ, {
            lane!(|a: f32| -> f32 {
                let $x = f64::from(flush(FTZ, a));
                flush(FTZ, ($e) as f32)
            })
        })
    };
}

/// The high 32 bits of an f64, with zeros below; a subnormal number gives a zero.
fn high(x: f64) -> f64 {
    let cut = f64::from_bits(x.to_bits() & !0xffff_ffff);
    if x.is_nan() {
        x
    } else if x.is_subnormal() {
        0f64.copysign(x)
    } else {
        cut
    }
}

pub(super) fn rows(t: &mut Builder) {
    let f32s = || -> [Alternatives; 3] { [one(Mod::Approx), opt(&[Mod::Ftz]), types(&[F32])] };
    quotients(t);
    t.row(Op::Rcp, "9.7.3.13", "1 / a.", approximates(Real::Rcp), &f32s(), |m| {
        let doc = "1 ulp";
        Some(approx(F32, ["a"], function!(m, |x| 1.0 / x), ulp(1.0, doc)))
    });
    t.row(Op::Sqrt, "9.7.3.15", "The square root.", approximates(Real::Sqrt), &f32s(), |m| {
        let doc = "relative error 2^-23";
        Some(approx(F32, ["a"], function!(m, |x| x.sqrt()), ulp(2.5, doc)))
    });
    t.row(Op::Rsqrt, "9.7.3.16", "1 / sqrt(a).", approximates(Real::Rsqrt), &f32s(), |m| {
        let doc = "relative error 2^-22.9";
        Some(approx(F32, ["a"], function!(m, |x| 1.0 / x.sqrt()), ulp(3.0, doc)))
    });
    t.row(
        Op::Rsqrt,
        "9.7.3.16",
        "1 / sqrt(a).",
        approximates(Real::Rsqrt),
        &[one(Mod::Approx), one(Mod::Ty(F64))],
        |_| {
            let eval = lane!(|a: f64| -> f64 { 1.0 / a.sqrt() });
            Some(approx(F64, ["a"], eval, ulp(3.0, "not documented; 3 ulp here")))
        },
    );
    let gross = |t: &mut Builder, op, section, doc, real, ptx, eval: LaneFn| {
        let places = [one(Mod::Approx), one(Mod::Ftz), one(Mod::Ty(F64))];
        t.row(op, section, doc, approximates(real), &places, |_| {
            Some(
                approx(F64, ["a"], eval, ulp(17_179_869_184.0, "not documented; relative error 2^-18 here"))
                    .since(ptx, 20),
            )
        });
    };
    let doc = "1 / a of a's high 32 bits, grossly; the low 32 bits of the result are 0.";
    let eval = lane!(|a: f64| -> f64 { high(1.0 / high(a)) });
    gross(t, Op::Rcp, "9.7.3.14", doc, Real::Rcp, 21, eval);
    let doc = "1 / sqrt(a) of a's high 32 bits, grossly; the low 32 bits of the result are 0.";
    let eval = lane!(|a: f64| -> f64 { high(1.0 / high(a).sqrt()) });
    gross(t, Op::Rsqrt, "9.7.3.17", doc, Real::Rsqrt, 40, eval);
    let periodic = Tolerance {
        ulp: 0.0,
        absolute: 3.76e-5, // 2^-14.7
        doc: "absolute error 2^-20.5 in [-2 pi, 2 pi], 2^-14.7 in [-100 pi, 100 pi], none stated beyond",
    };
    t.row(Op::Sin, "9.7.3.18", "The sine of radians.", approximates(Real::Sin), &f32s(), |m| {
        Some(approx(F32, ["a"], function!(m, |x| libm::sin(x)), periodic))
    });
    t.row(Op::Cos, "9.7.3.19", "The cosine of radians.", approximates(Real::Cos), &f32s(), |m| {
        Some(approx(F32, ["a"], function!(m, |x| libm::cos(x)), periodic))
    });
    t.row(Op::Lg2, "9.7.3.20", "The logarithm to base 2.", approximates(Real::Lg2), &f32s(), |m| {
        let doc = "absolute error 2^-22 in (0.5, 2), relative error 2^-22 elsewhere";
        let tolerance = Tolerance { ulp: 4.5, absolute: 2.7e-7, doc };
        Some(approx(F32, ["a"], function!(m, |x| libm::log2(x)), tolerance))
    });
    t.row(Op::Ex2, "9.7.3.21", "2 to the power of a.", approximates(Real::Ex2), &f32s(), |m| {
        Some(approx(F32, ["a"], function!(m, |x| libm::exp2(x)), ulp(2.5, "2 ulp")))
    });
    t.row(
        Op::Tanh,
        "9.7.3.22",
        "The hyperbolic tangent.",
        approximates(Real::Tanh),
        &[one(Mod::Approx), one(Mod::Ty(F32))],
        |m| {
            let eval = function!(m, |x| libm::tanh(x));
            Some(approx(F32, ["a"], eval, ulp(8192.5, "relative error 2^-11")).since(70, 75))
        },
    );
    halves(t);
}

fn quotients(t: &mut Builder) {
    let places = |how| -> [Alternatives; 3] { [one(how), opt(&[Mod::Ftz]), types(&[F32])] };
    let doc = "Divides; where |b| is in (2^126, 2^128), 0 or (of an infinity) NaN.";
    t.row(Op::Div, "9.7.3.8", doc, approximates(Real::Div), &places(Mod::Approx), |m| {
        let eval = with_bool!(m.contains(&Mod::Ftz), FTZ, {
            lane!(|a: f32, b: f32| -> f32 {
                let (a, b) = (flush(FTZ, a), flush(FTZ, b));
                let b = if b.abs() > 8.507_059e37 { f32::INFINITY.copysign(b) } else { b };
                flush(FTZ, a / b)
            })
        });
        Some(approx(F32, ["a", "b"], eval, ulp(2.5, "2 ulp where |b| is in [2^-126, 2^126]")))
    });
    t.row(Op::Div, "9.7.3.8", "Divides, over the whole range.", approximates(Real::Div), &places(Mod::Full), |m| {
        let eval = with_bool!(m.contains(&Mod::Ftz), FTZ, {
            lane!(|a: f32, b: f32| -> f32 { flush(FTZ, flush(FTZ, a) / flush(FTZ, b)) })
        });
        Some(approx(F32, ["a", "b"], eval, ulp(2.5, "2 ulp")))
    });
}

fn halves(t: &mut Builder) {
    /// A function of a 16-bit float, computed in f64.
    macro_rules! half {
        ($pair:expr, $t:ty, |$x:ident| $e:expr) => {
            if $pair {
                lane_pair!(|a: $t| -> $t {
                    let $x = a.widen();
                    <$t>::narrow($e, Rounding::NearestEven)
                })
            } else {
                lane!(|a: $t| -> $t {
                    let $x = a.widen();
                    <$t>::narrow($e, Rounding::NearestEven)
                })
            }
        };
    }
    /// Zero for a number below the normal bf16 numbers.
    fn flush(x: f64) -> f64 {
        if x.abs() < f64::from(f32::MIN_POSITIVE) { 0f64.copysign(x) } else { x }
    }
    let doc = "The hyperbolic tangent.";
    t.row(
        Op::Tanh,
        "9.7.4.9",
        doc,
        approximates(Real::Tanh),
        &[one(Mod::Approx), types(&[F16, F16x2, Bf16, Bf16x2])],
        |m| {
            let t = ty(m, 0);
            Some(match t {
                F16 | F16x2 => {
                    let tolerance = Tolerance { ulp: 0.5, absolute: 4.93e-4, doc: "absolute error 2^-10.987" };
                    approx(t, ["a"], half!(t == F16x2, half::f16, |x| libm::tanh(x)), tolerance).since(70, 75)
                }
                _ => {
                    let tolerance = Tolerance { ulp: 0.5, absolute: 3.91e-3, doc: "absolute error 2^-8" };
                    approx(t, ["a"], half!(t == Bf16x2, half::bf16, |x| libm::tanh(x)), tolerance).since(78, 90)
                }
            })
        },
    );
    let doc = "2 to the power of a.";
    t.row(Op::Ex2, "9.7.4.10", doc, approximates(Real::Ex2), &[one(Mod::Approx), types(&[F16, F16x2])], |m| {
        let eval = half!(ty(m, 0) == F16x2, half::f16, |x| libm::exp2(x));
        Some(approx(ty(m, 0), ["a"], eval, ulp(3.0, "relative error 2^-9.9")).since(70, 75))
    });
    t.row(
        Op::Ex2,
        "9.7.4.10",
        doc,
        approximates(Real::Ex2),
        &[one(Mod::Approx), one(Mod::Ftz), types(&[Bf16, Bf16x2])],
        |m| {
            let eval = half!(ty(m, 0) == Bf16x2, half::bf16, |x| flush(libm::exp2(flush(x))));
            Some(approx(ty(m, 0), ["a"], eval, ulp(2.5, "relative error 2^-7")).since(78, 90))
        },
    );
}
