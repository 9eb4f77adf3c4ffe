//! Operations on 33 bits with a second operation (PTX ISA 9.7.19.1). Parts of words as operands are read as what they stand
//! for (`parse/video.rs`).

use super::precision::integer;
use super::{Alternatives, Builder, any, one, opt, spec, ty, types};
use crate::table::slot::{dst, src};
use crate::table::{LaneFn, Lanes, Meaning, Mod, Op, Slot, WARP};
use crate::types::ScalarType::{S32, U32};

/// What is done first.
const ADD: u8 = 0;
const SUB: u8 = 1;
const ABSDIFF: u8 = 2;
const MIN: u8 = 3;
const MAX: u8 = 4;
const SHL_CLAMP: u8 = 5;
const SHL_WRAP: u8 = 6;
const SHR_CLAMP: u8 = 7;
const SHR_WRAP: u8 = 8;
const EQ: u8 = 9;
const NE: u8 = 10;
const LT: u8 = 11;
const LE: u8 = 12;
const GT: u8 = 13;
const GE: u8 = 14;

/// Whether the result and both sources are signed, and whether the result is clamped.
const D: u8 = 1;
const A: u8 = 2;
const B: u8 = 4;
const SAT: u8 = 8;

/// What is done then with c.
const NOTHING: u8 = 0;
const THEN_ADD: u8 = 1;
const THEN_MIN: u8 = 2;
const THEN_MAX: u8 = 3;

fn wide(word: u64, signed: bool) -> i128 {
    if signed { i128::from(word as u32 as i32) } else { i128::from(word as u32) }
}

fn value<const OP: u8>(a: i128, b: i128) -> i128 {
    let amount = if matches!(OP, SHL_WRAP | SHR_WRAP) { b & 31 } else { b.clamp(0, 32) };
    match OP {
        ADD => a + b,
        SUB => a - b,
        ABSDIFF => (a - b).abs(),
        MIN => a.min(b),
        MAX => a.max(b),
        SHL_CLAMP | SHL_WRAP => a << amount,
        SHR_CLAMP | SHR_WRAP => a >> amount,
        EQ => i128::from(a == b),
        NE => i128::from(a != b),
        LT => i128::from(a < b),
        LE => i128::from(a <= b),
        GT => i128::from(a > b),
        _ => i128::from(a >= b),
    }
}

fn scalar<const OP: u8, const HOW: u8, const THEN: u8>(results: &mut [Lanes], sources: &[Lanes]) {
    let ([d, ..], [a, b, ..]) = (results, sources) else { return };
    let c = sources.get(2).unwrap_or(&[0; WARP]);
    let signed = HOW & D != 0;
    for lane in 0..WARP {
        let mut x = value::<OP>(wide(a[lane], HOW & A != 0), wide(b[lane], HOW & B != 0));
        if HOW & SAT != 0 {
            x = if signed { x.clamp(i32::MIN.into(), i32::MAX.into()) } else { x.clamp(0, u32::MAX.into()) };
        }
        let c = wide(c[lane], signed);
        x = match THEN {
            THEN_ADD => x + c,
            THEN_MIN => x.min(c),
            THEN_MAX => x.max(c),
            _ => x,
        };
        d[lane] = u64::from(x as u32);
    }
}

/// The lane function for these numbers, which are few enough to have code each.
macro_rules! pick {
    ($op:ident, $how:expr, $then:expr) => {
        pick!(@ $op, $how, $then, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $op:ident, $how:expr, $then:expr, $($n:literal)*) => {
        match ($how, $then) {
            $(
                ($n, NOTHING) => scalar::<$op, $n, NOTHING> as LaneFn,
                ($n, THEN_ADD) => scalar::<$op, $n, THEN_ADD>,
                ($n, THEN_MIN) => scalar::<$op, $n, THEN_MIN>,
                ($n, THEN_MAX) => scalar::<$op, $n, THEN_MAX>,
            )*
            _ => unreachable!("four bits, and one of four"),
        }
    };
}

fn then(m: &[Mod]) -> u8 {
    m.iter().fold(NOTHING, |found, m| match m {
        Mod::AtomAdd => THEN_ADD,
        Mod::AtomMin => THEN_MIN,
        Mod::AtomMax => THEN_MAX,
        _ => found,
    })
}

fn slots(m: &[Mod], d: Slot, a: Slot, b: Slot) -> Vec<Slot> {
    let c = (then(m) != NOTHING).then(|| src("c", d.ty().unwrap_or(U32)));
    [d, a, b].into_iter().chain(c).collect()
}

pub(super) fn rows(t: &mut Builder) {
    let words = || types(&[U32, S32]);
    let second = || opt(&[Mod::AtomAdd, Mod::AtomMin, Mod::AtomMax]);
    let sat = || opt(&[Mod::Sat]);
    let how = |m: &[Mod]| {
        let sign = |n: usize, bit: u8| if ty(m, n).is_signed() { bit } else { 0 };
        sign(0, D) | sign(1, A) | sign(2, B) | if m.contains(&Mod::Sat) { SAT } else { 0 }
    };
    macro_rules! arithmetic {
        ($($op:ident, $number:ident, $doc:literal;)*) => {$(
            t.row(Op::$op, "9.7.19.1.1", $doc, integer, &[words(), words(), words(), sat(), second()], |m| {
                let slots = slots(m, dst(ty(m, 0)), src("a", ty(m, 1)), src("b", ty(m, 2)));
                Some(spec(slots, Meaning::Lane(pick!($number, how(m), then(m)))))
            });
        )*};
    }
    arithmetic! {
        Vadd, ADD, "Adds without loss, then clamps and combines with c.";
        Vsub, SUB, "Subtracts without loss, then clamps and combines with c.";
        Vabsdiff, ABSDIFF, "The distance, clamped and combined with c.";
        Vmin, MIN, "The lesser, clamped and combined with c.";
        Vmax, MAX, "The greater, clamped and combined with c.";
    }
    for (op, left) in [(Op::Vshl, true), (Op::Vshr, false)] {
        let doc = if left {
            "Shifts left without loss, then clamps and combines with c."
        } else {
            "Shifts right, then clamps and combines with c."
        };
        let modes: Alternatives = any(&[Mod::Clamp, Mod::Wrap]);
        t.row(op, "9.7.19.1.2", doc, integer, &[words(), words(), one(Mod::Ty(U32)), sat(), modes, second()], |m| {
            let eval = match (left, m.contains(&Mod::Wrap)) {
                (true, false) => pick!(SHL_CLAMP, how(m), then(m)),
                (true, true) => pick!(SHL_WRAP, how(m), then(m)),
                (false, false) => pick!(SHR_CLAMP, how(m), then(m)),
                (false, true) => pick!(SHR_WRAP, how(m), then(m)),
            };
            Some(spec(slots(m, dst(ty(m, 0)), src("a", ty(m, 1)), src("b", U32)), Meaning::Lane(eval)))
        });
    }
    let comparisons = any(&[Mod::Eq, Mod::Ne, Mod::Lt, Mod::Le, Mod::Gt, Mod::Ge]);
    let doc = "Whether a is so to b, combined with c.";
    t.row(Op::Vset, "9.7.19.1.4", doc, integer, &[words(), words(), comparisons, second()], |m| {
        let sign = |n: usize, bit: u8| if ty(m, n).is_signed() { bit } else { 0 };
        let how = sign(0, A) | sign(1, B);
        let eval = match m[2] {
            Mod::Eq => pick!(EQ, how, then(m)),
            Mod::Ne => pick!(NE, how, then(m)),
            Mod::Lt => pick!(LT, how, then(m)),
            Mod::Le => pick!(LE, how, then(m)),
            Mod::Gt => pick!(GT, how, then(m)),
            _ => pick!(GE, how, then(m)),
        };
        Some(spec(slots(m, dst(U32), src("a", ty(m, 0)), src("b", ty(m, 1))), Meaning::Lane(eval)))
    });
    products(t);
}

fn product<const HOW: u8, const MORE: bool, const SHIFT: u32>(results: &mut [Lanes], sources: &[Lanes]) {
    let ([d, ..], [a, b, c, ..]) = (results, sources) else { return };
    let signed = HOW & (A | B) != 0;
    for lane in 0..WARP {
        let sum = wide(a[lane], HOW & A != 0) * wide(b[lane], HOW & B != 0) + wide(c[lane], signed) + i128::from(MORE);
        // 64 bits are left after the shift.
        let x = if signed { i128::from((sum >> SHIFT) as i64) } else { i128::from((sum >> SHIFT) as u64) };
        let x = match HOW & SAT != 0 {
            true if signed => x.clamp(i32::MIN.into(), i32::MAX.into()),
            true => x.clamp(0, u32::MAX.into()),
            false => x,
        };
        d[lane] = u64::from(x as u32);
    }
}

fn products(t: &mut Builder) {
    macro_rules! pick {
        ($how:expr, $more:expr, $shift:expr) => { pick!(@ $how, $more, $shift, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15) };
        (@ $how:expr, $more:expr, $shift:expr, $($n:literal)*) => {
            match ($how, $more, $shift) {
                $(
                    ($n, false, None) => product::<$n, false, 0> as LaneFn,
                    ($n, false, Some(Mod::Shr7)) => product::<$n, false, 7>,
                    ($n, false, _) => product::<$n, false, 15>,
                    ($n, true, None) => product::<$n, true, 0>,
                    ($n, true, Some(Mod::Shr7)) => product::<$n, true, 7>,
                    ($n, true, _) => product::<$n, true, 15>,
                )*
                _ => unreachable!("four bits"),
            }
        };
    }
    let words = || types(&[U32, S32]);
    let doc = "A product plus c (and 1 with po), shifted right and clamped.";
    let places = [words(), words(), words(), opt(&[Mod::Po]), opt(&[Mod::Sat]), opt(&[Mod::Shr7, Mod::Shr15])];
    t.row(Op::Vmad, "9.7.19.1.3", doc, integer, &places, |m| {
        let sign = |n: usize, bit: u8| if ty(m, n).is_signed() { bit } else { 0 };
        let how = sign(1, A) | sign(2, B) | if m.contains(&Mod::Sat) { SAT } else { 0 };
        let shift = m.iter().copied().find(|m| matches!(m, Mod::Shr7 | Mod::Shr15));
        let slots = [dst(ty(m, 0)), src("a", ty(m, 1)), src("b", ty(m, 2)), src("c", ty(m, 0))];
        Some(spec(slots, Meaning::Lane(pick!(how, m.contains(&Mod::Po), shift))))
    });
}
