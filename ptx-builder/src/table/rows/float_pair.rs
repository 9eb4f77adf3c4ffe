//! Arithmetic of two f32 in one register (PTX ISA 9.7.3), rounded each for itself.

use super::float::{finish, flush, is_tiny, mode};
use super::precision::rounds;
use super::{Alternatives, Builder, Spec, any, one, opt, spec};
use crate::table::arith::{Arith, Convert, add_odd};
use crate::table::lanes::{lane, with_bool, with_mode};
use crate::table::slot::{dst, src};
use crate::table::{LaneFn, Meaning, Mod, Op, Real};
use crate::types::ScalarType::F32x2;

/// A function of pairs of f32; where rounding can carry a result to the least normal number, `exact` is the value before.
macro_rules! pairs {
    ($m:expr, |$($x:ident),*| $M:ident => $e:expr $(, exact $exact:expr)?) => {
        with_mode!(mode($m), $M, with_bool!($m.contains(&Mod::Ftz), FTZ, {
            lane!(|$($x: u64),*| -> u64 {
                let one = |i: u32| {
                    $(let $x = flush(FTZ, f32::from_bits(($x >> (32 * i)) as u32));)*
                    let d: f32 = $e;
                    $(let d = if FTZ && d.abs() == f32::MIN_POSITIVE && is_tiny($exact, $M) { 0f32.copysign(d) } else { d };)?
                    let d = finish(FTZ, false, d);
                    u64::from(if d.is_nan() { 0x7fff_ffff } else { d.to_bits() }) << (32 * i)
                };
                one(0) | one(1)
            })
        }))
    };
}

fn paired(sources: &[&'static str], eval: LaneFn) -> Option<Spec> {
    let sources = sources.iter().map(|name| src(name, F32x2));
    let slots: Vec<_> = std::iter::once(dst(F32x2)).chain(sources).collect();
    Some(spec(slots, Meaning::Lane(eval)).since(86, 100))
}

pub(super) fn rows(t: &mut Builder) {
    let roundings = || -> Alternatives { opt(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp]) };
    let ftz = || opt(&[Mod::Ftz]);
    let ty = || one(Mod::Ty(F32x2));
    t.row(Op::Add, "9.7.3.3", "Adds two pairs.", rounds(Real::Add), &[roundings(), ftz(), ty()], |m| {
        paired(&["a", "b"], pairs!(m, |a, b| M => a.add_in(b, M)))
    });
    t.row(Op::Sub, "9.7.3.4", "Subtracts two pairs.", rounds(Real::Sub), &[roundings(), ftz(), ty()], |m| {
        paired(&["a", "b"], pairs!(m, |a, b| M => a.sub_in(b, M)))
    });
    t.row(Op::Mul, "9.7.3.5", "Multiplies two pairs.", rounds(Real::Mul), &[roundings(), ftz(), ty()], |m| {
        paired(&["a", "b"], pairs!(m, |a, b| M => a.mul_in(b, M), exact a.widen() * b.widen()))
    });
    let modes = || any(&[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp]);
    t.row(Op::Fma, "9.7.3.6", "a * b + c of pairs, rounded once.", rounds(Real::Fma), &[modes(), ftz(), ty()], |m| {
        paired(
            &["a", "b", "c"],
            pairs!(m, |a, b, c| M => a.fma_in(b, c, M), exact add_odd(a.widen() * b.widen(), c.widen(), M)),
        )
    });
}
