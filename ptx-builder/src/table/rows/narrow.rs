//! Conversions to integers of a few bits, to powers of two and with random bits (PTX ISA 9.7.9.21 and 9.7.9.22).

use super::precision::{always, integer};
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::lanes::{lane, with_bool};
use crate::table::slot::{dst, src, src_reg, vector};
use crate::table::{Access, LaneFn, Meaning, Mod, Op, Precision};
use crate::types::ScalarType::{
    self, B16, B32, Bf16x2, E2m1x4, E2m3x4, E3m2x4, E4m3x4, E5m2x4, F16x2, F32, S16, S32, U16, U32, Ue8m0x2,
};

/// `x` clamped to the integers of `BITS` bits, in its low bits.
fn clamped<const BITS: u32, const SIGNED: bool>(x: i32) -> u32 {
    let (least, most) = if SIGNED { (-(1 << (BITS - 1)), (1 << (BITS - 1)) - 1) } else { (0, (1 << BITS) - 1) };
    (x.clamp(least, most) as u32) & ((1 << BITS) - 1)
}

pub(super) fn rows(t: &mut Builder) {
    integers(t);
    powers(t);
    random(t);
}

fn integers(t: &mut Builder) {
    macro_rules! two {
        ($bits:literal, $signed:literal) => {
            lane!(|a: i32, b: i32| -> u32 { clamped::<$bits, $signed>(a) << $bits | clamped::<$bits, $signed>(b) })
        };
    }
    macro_rules! three {
        ($bits:literal, $signed:literal) => {
            lane!(|a: i32, b: i32, c: u32| -> u32 {
                c << (2 * $bits) | clamped::<$bits, $signed>(a) << $bits | clamped::<$bits, $signed>(b)
            })
        };
    }
    let doc = "Clamps a and b to 16 bits: a in the high half, b in the low half.";
    let places = [one(Mod::Sat), types(&[U16, S16]), one(Mod::Ty(S32))];
    t.row(Op::CvtPackInt, "9.7.9.22", doc, integer, &places, |m| {
        let eval: LaneFn = if ty(m, 0) == U16 { two!(16, false) } else { two!(16, true) };
        Some(spec([dst(U32), src("a", S32), src("b", S32)], Meaning::Lane(eval)).since(65, 72))
    });
    let doc = "Clamps a and b to a few bits and puts them below the bits of c, which move up: b lowest.";
    let small = [any(&[Mod::U2, Mod::S2, Mod::U4, Mod::S4]), types(&[ScalarType::U8, ScalarType::S8])].concat();
    let places = [one(Mod::Sat), small, one(Mod::Ty(S32)), one(Mod::Ty(B32))];
    t.row(Op::CvtPackInt, "9.7.9.22", doc, integer, &places, |m| {
        let (eval, sm): (LaneFn, u16) = match m[1] {
            Mod::U2 => (three!(2, false), 75),
            Mod::S2 => (three!(2, true), 75),
            Mod::U4 => (three!(4, false), 75),
            Mod::S4 => (three!(4, true), 75),
            Mod::Ty(ScalarType::U8) => (three!(8, false), 72),
            _ => (three!(8, true), 72),
        };
        let slots = [dst(U32), src("a", S32), src("b", S32), src("c", B32)];
        Some(spec(slots, Meaning::Lane(eval)).since(65, sm))
    });
}

/// The exponent, with a bias of 127, of the power of two next to a magnitude (the sign is dropped): below it, or with `UP`
/// above. What is too large is infinite, which is a NaN here, or with `FINITE` the largest power.
fn power<const UP: bool, const FINITE: bool>(x: f32) -> u16 {
    const NAN: u32 = 0xff;
    let bits = x.to_bits() & !(1 << 31);
    let (exponent, fraction) = (bits >> 23, bits & 0x7f_ffff);
    let largest = if FINITE { NAN - 1 } else { NAN };
    let power = match exponent {
        NAN if fraction != 0 => NAN,
        NAN => largest,
        // Half the least normal number is the least power.
        0 if UP => u32::from(fraction > 0x40_0000),
        0 => 0,
        e if UP && fraction != 0 => (e + 1).min(largest),
        e => e,
    };
    power as u16
}

fn powers(t: &mut Builder) {
    let opaque = || always(Precision::Opaque);
    let modes = || [any(&[Mod::Rz, Mod::Rp]), opt(&[Mod::Satfinite])];
    macro_rules! of {
        ($m:expr, |$one:ident| $eval:expr) => {
            with_bool!($m.contains(&Mod::Rp), UP, {
                with_bool!($m.contains(&Mod::Satfinite), FINITE, {
                    macro_rules! $one {
                        ($x:expr) => {
                            power::<UP, FINITE>($x)
                        };
                    }
                    $eval
                })
            })
        };
    }
    let [mode, finite] = modes();
    let doc = "Converts the magnitudes of a into the high and b into the low byte, powers of two.";
    t.row(Op::CvtPack, "9.7.9.21", doc, opaque(), &[mode, finite, types(&[Ue8m0x2]), types(&[F32])], |m| {
        let eval = of!(m, |one| lane!(|a: f32, b: f32| -> u16 { one!(a) << 8 | one!(b) }));
        Some(spec([dst(B16), src("a", F32), src("b", F32)], Meaning::Lane(eval)).since(86, 100).specific())
    });
    let [mode, finite] = modes();
    let doc = "Converts the magnitudes of a pair of bf16 to powers of two.";
    t.row(Op::Cvt, "9.7.9.21", doc, opaque(), &[mode, finite, types(&[Ue8m0x2]), types(&[Bf16x2])], |m| {
        let eval = of!(m, |one| lane!(|a: u32| -> u16 {
            one!(f32::from_bits(a & 0xffff_0000)) << 8 | one!(f32::from_bits(a << 16))
        }));
        Some(spec([dst(B16), src("a", Bf16x2)], Meaning::Lane(eval)).since(86, 100).specific())
    });
    let doc = "Converts a pair of powers of two to bf16.";
    t.row(Op::Cvt, "9.7.9.21", doc, opaque(), &[one(Mod::Rn), types(&[Bf16x2]), types(&[Ue8m0x2])], |_| {
        let eval = lane!(|a: u16| -> u32 {
            let one = |exponent: u16| match exponent & 0xff {
                0xff => 0x7fff,
                0 => 0x40,
                e => u32::from(e) << 7,
            };
            one(a >> 8) << 16 | one(a)
        });
        Some(spec([dst(Bf16x2), src("a", B16)], Meaning::Lane(eval)).since(86, 100).specific())
    });
}

/// How random bits are added is not written down for all numbers, so that these are not interpreted.
fn random(t: &mut Builder) {
    let opaque = || always(Precision::Opaque);
    let doc = "Converts a into the high half and b into the low half, rounded up or down by random bits.";
    let places = [one(Mod::Rs), opt(&[Mod::Relu]), opt(&[Mod::Satfinite]), types(&[F16x2, Bf16x2]), types(&[F32])];
    t.row(Op::CvtPack, "9.7.9.21", doc, opaque(), &places, |m| {
        let slots = [dst(ty(m, 0)), src("a", F32), src("b", F32), src_reg("rbits", B32)];
        Some(spec(slots, Meaning::Foreign).since(87, 100).specific().until(103))
    });
    let doc = "Converts four numbers, the first into the highest bits, rounded up or down by random bits.";
    let small = types(&[E4m3x4, E5m2x4, E2m3x4, E3m2x4, E2m1x4]);
    let places = [one(Mod::Rs), opt(&[Mod::Relu]), one(Mod::Satfinite), small, types(&[F32])];
    t.row(Op::CvtPack, "9.7.9.21", doc, opaque(), &places, |m| {
        let d = if ty(m, 0) == E2m1x4 { B16 } else { B32 };
        let slots = [dst(d), vector("a", Access::Read, F32, 4, false), src_reg("rbits", B32)];
        Some(spec(slots, Meaning::Foreign).since(87, 100).specific().until(103))
    });
}
