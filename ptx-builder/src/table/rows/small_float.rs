//! Conversions to and from tf32, fp8 and fp6 (PTX ISA 9.7.9.21).

use super::precision::{always, converts_from};
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::arith::Small;
use crate::table::lanes::{lane, with_bool};
use crate::table::slot::{dst, src};
use crate::table::{LaneFn, Meaning, Mod, Op, Precision};
use crate::types::ScalarType::{self, E2m3x2, E3m2x2, E4m3x2, E5m2x2, F16x2, F32, Tf32, U32};

/// The low bits of an f32 that tf32 has not.
const CUT: u32 = 13;

/// `a` rounded to tf32: away from zero in ties, to even, or towards zero. Of a NaN `.rna` drops the low bits, so that it may
/// become an infinity: so does an H200.
fn tf32(a: f32, mode: Mod, relu: bool, satfinite: bool) -> u32 {
    const INFINITY: u32 = 0x7f80_0000;
    if a.is_nan() && mode != Mod::Rna {
        return 0x7fff_ffff;
    }
    let bits = if relu && a <= 0.0 { 0 } else { a.to_bits() };
    let (sign, magnitude) = (bits & 1 << 31, bits & !(1 << 31));
    let ulp = 1u32 << CUT;
    let rounded = match mode {
        _ if magnitude >= INFINITY => magnitude,
        Mod::Rna => magnitude + ulp / 2,
        Mod::Rn => magnitude + ulp / 2 - 1 + (magnitude >> CUT & 1),
        _ => magnitude,
    } & !(ulp - 1);
    let largest = 0x7f7f_ffff & !(ulp - 1);
    sign | if satfinite && rounded <= INFINITY { rounded.min(largest) } else { rounded }
}

macro_rules! with_small {
    ($ty:expr, $F:ident, $e:expr) => {
        match $ty {
            E4m3x2 => with_small!(@ Small::E4M3, $F, $e),
            E5m2x2 => with_small!(@ Small::E5M2, $F, $e),
            E2m3x2 => with_small!(@ Small::E2M3, $F, $e),
            _ => with_small!(@ Small::E3M2, $F, $e),
        }
    };
    (@ $format:expr, $F:ident, $e:expr) => {{
        const $F: Small = $format;
        $e
    }};
}

/// fp8 since sm_89; fp6 with the specific features of later ones.
fn since(spec: super::Spec, ty: ScalarType) -> super::Spec {
    match ty {
        E4m3x2 | E5m2x2 => spec.since(81, 89),
        _ => spec.since(86, 100).specific(),
    }
}

pub(super) fn rows(t: &mut Builder) {
    let opaque = || always(Precision::Opaque);
    let modes = any(&[Mod::Rna, Mod::Rn, Mod::Rz]);
    let doc = "Converts an f32 to tf32, an f32 with 13 bits less.";
    let places = [modes, opt(&[Mod::Relu]), opt(&[Mod::Satfinite]), one(Mod::Ty(Tf32)), types(&[F32])];
    t.row(Op::Cvt, "9.7.9.21", doc, converts_from(F32), &places, |m| {
        let (relu, sat) = (m.contains(&Mod::Relu), m.contains(&Mod::Satfinite));
        let eval: LaneFn = with_bool!(relu, RELU, {
            with_bool!(sat, SAT, {
                match m[0] {
                    Mod::Rna if relu => return None,
                    Mod::Rna => lane!(|a: f32| -> u32 { tf32(a, Mod::Rna, RELU, SAT) }),
                    Mod::Rn => lane!(|a: f32| -> u32 { tf32(a, Mod::Rn, RELU, SAT) }),
                    _ => lane!(|a: f32| -> u32 { tf32(a, Mod::Rz, RELU, SAT) }),
                }
            })
        });
        let form = spec([dst(U32), src("a", F32)], Meaning::Lane(eval));
        Some(match (m[0], sat) {
            (Mod::Rna, false) => form.since(70, 80),
            (Mod::Rna, true) => form.since(81, 80),
            (_, false) => form.since(78, 90),
            (_, true) => form.since(86, 100),
        })
    });
    const SMALL: &[ScalarType] = &[E4m3x2, E5m2x2, E2m3x2, E3m2x2];
    let relu = || opt(&[Mod::Relu]);
    let doc = "Converts a into the high and b into the low byte; what is too large gives the largest.";
    let places = [one(Mod::Rn), one(Mod::Satfinite), relu(), types(SMALL), types(&[F32])];
    t.row(Op::CvtPack, "9.7.9.21", doc, opaque(), &places, |m| {
        let t = ty(m, 0);
        let eval = with_small!(t, F, {
            with_bool!(m.contains(&Mod::Relu), RELU, {
                lane!(|a: f32, b: f32| -> u16 {
                    let one = |x: f32| u16::from(F.encode(f64::from(x), RELU));
                    one(a) << 8 | one(b)
                })
            })
        });
        Some(since(spec([dst(t), src("a", F32), src("b", F32)], Meaning::Lane(eval)), t))
    });
    let doc = "Converts a pair of f16; what is too large gives the largest.";
    let places = [one(Mod::Rn), one(Mod::Satfinite), relu(), types(&[E4m3x2, E5m2x2]), types(&[F16x2])];
    t.row(Op::Cvt, "9.7.9.21", doc, opaque(), &places, |m| {
        let t = ty(m, 0);
        let eval = with_small!(t, F, {
            with_bool!(m.contains(&Mod::Relu), RELU, {
                lane!(|a: u32| -> u16 {
                    let one = |x: u32| u16::from(F.encode(half::f16::from_bits(x as u16).to_f64(), RELU));
                    one(a >> 16) << 8 | one(a)
                })
            })
        });
        Some(since(spec([dst(t), src("a", F16x2)], Meaning::Lane(eval)), t))
    });
    let doc = "Converts a pair of small floats to f16.";
    let places = [one(Mod::Rn), relu(), types(&[F16x2]), types(SMALL)];
    t.row(Op::Cvt, "9.7.9.21", doc, opaque(), &places, |m| {
        let t = ty(m, 1);
        let eval = with_small!(t, F, {
            with_bool!(m.contains(&Mod::Relu), RELU, {
                lane!(|a: u16| -> u32 {
                    let one = |x: u16| {
                        let value = F.decode(x as u8);
                        let value = if RELU && value <= 0.0 { 0.0 } else { value };
                        half::f16::from_f64(value).to_lane() as u32
                    };
                    one(a >> 8) << 16 | one(a)
                })
            })
        });
        Some(since(spec([dst(F16x2), src("a", t)], Meaning::Lane(eval)), t))
    });
}
