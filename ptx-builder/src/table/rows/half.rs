//! 16-bit float arithmetic, alone and in pairs (PTX ISA 9.7.4).

use super::float::extreme;
use super::precision::{exact_of, rounds};
use super::{Alternatives, Builder, Spec, binary, one, opt, ternary, ty, types, unary};
use crate::table::Real;
use crate::table::arith::Arith;
use crate::table::lanes::{lane, lane_pair, with_bool, with_half};
use crate::table::{Mod, Op, Rounding};
use crate::types::ScalarType::{self, Bf16, Bf16x2, F16, F16x2};

const HALVES: &[ScalarType] = &[F16, F16x2, Bf16, Bf16x2];
const NEAREST: Rounding = Rounding::NearestEven;

fn is_bf16(t: ScalarType) -> bool {
    matches!(t, Bf16 | Bf16x2)
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

/// The same under `.sat` (a NaN gives 0) or `.relu` (a NaN stays one).
macro_rules! clamped {
    ($m:expr, |$($x:ident),*| $e:expr) => {
        with_bool!($m.contains(&Mod::Sat), SAT, with_bool!($m.contains(&Mod::Relu), RELU, {
            halves!(ty($m, 0), |$($x),*| T => {
                let d = $e;
                if SAT {
                    if d > T::ZERO { d.min(T::ONE) } else { T::ZERO }
                } else if RELU && d <= T::ZERO {
                    T::ZERO
                } else {
                    d
                }
            })
        }))
    };
}

/// f16 from these versions on; bf16 from the later ones.
fn since(form: Option<Spec>, t: ScalarType, f16: (u16, u16), bf16: (u16, u16)) -> Option<Spec> {
    let (ptx, sm) = if is_bf16(t) { bf16 } else { f16 };
    form.map(|form| form.since(ptx, sm))
}

pub(super) fn rows(t: &mut Builder) {
    let places = || -> [Alternatives; 3] { [opt(&[Mod::Rn]), opt(&[Mod::Sat]), types(HALVES)] };
    let legal = |m: &[Mod]| !(is_bf16(ty(m, 0)) && m.contains(&Mod::Sat));
    t.row(Op::Add, "9.7.4.1", "Adds.", rounds(Real::Add), &places(), |m| {
        let form = legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.add_in(b, NEAREST))));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    t.row(Op::Sub, "9.7.4.2", "Subtracts.", rounds(Real::Sub), &places(), |m| {
        let form = legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.sub_in(b, NEAREST))));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    t.row(Op::Mul, "9.7.4.3", "Multiplies.", rounds(Real::Mul), &places(), |m| {
        let form = legal(m).then(|| binary(ty(m, 0), clamped!(m, |a, b| a.mul_in(b, NEAREST))));
        since(form?, ty(m, 0), (42, 53), (78, 90))
    });
    let doc = "a * b + c, rounded once.";
    t.row(
        Op::Fma,
        "9.7.4.4",
        doc,
        rounds(Real::Fma),
        &[one(Mod::Rn), opt(&[Mod::Sat, Mod::Relu]), types(HALVES)],
        |m| {
            let form = legal(m).then(|| ternary(ty(m, 0), clamped!(m, |a, b, c| a.fma_in(b, c, NEAREST))));
            let f16 = if m.contains(&Mod::Relu) { (70, 80) } else { (42, 53) };
            since(form?, ty(m, 0), f16, (70, 80))
        },
    );
    t.row(Op::Neg, "9.7.4.5", "Negates.", exact_of(Real::Neg), &[types(HALVES)], |m| {
        since(unary(ty(m, 0), halves!(ty(m, 0), |a| T => -a)), ty(m, 0), (51, 53), (70, 80))
    });
    t.row(Op::Abs, "9.7.4.6", "The absolute value.", exact_of(Real::Abs), &[types(HALVES)], |m| {
        let eval = halves!(ty(m, 0), |a| T => if a.is_sign_negative() { -a } else { a });
        since(unary(ty(m, 0), eval), ty(m, 0), (65, 53), (70, 80))
    });
    for (op, section, doc, max) in [
        (Op::Min, "9.7.4.7", "The lesser; a NaN only if both are, or with .NaN if either is.", false),
        (Op::Max, "9.7.4.8", "The greater; a NaN only if both are, or with .NaN if either is.", true),
    ] {
        t.row(
            op,
            section,
            doc,
            exact_of(if max { Real::Max } else { Real::Min }),
            &[opt(&[Mod::Nan]), types(HALVES)],
            |m| {
                let eval = with_bool!(max, MAX, {
                    with_bool!(m.contains(&Mod::Nan), NAN, halves!(ty(m, 0), |a, b| T => extreme!(a, b, MAX, NAN)))
                });
                since(binary(ty(m, 0), eval), ty(m, 0), (70, 80), (70, 80))
            },
        );
    }
}
