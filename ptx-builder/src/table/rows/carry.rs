//! Arithmetic with a carry from word to word (PTX ISA 9.7.2). The carry flag is an operand that is not written.

use super::precision::{integer, integer_product};
use super::{Alternatives, Builder, Spec, any, one, opt, spec, ty, types};
use crate::table::lanes::with_bool;
use crate::table::slot::{carry, dst, src};
use crate::table::{Access, LaneFn, Lanes, Meaning, Mod, Op, WARP};
use crate::types::ScalarType::{self, S32, S64, U32, U64};

const INTS: &[ScalarType] = &[U32, S32, U64, S64];

/// The words of a lane, in order; a source that is not there is 0.
fn words<const N: usize>(sources: &[Lanes], lane: usize) -> [u64; N] {
    std::array::from_fn(|i| sources.get(i).map_or(0, |s| s[lane]))
}

fn write(results: &mut [Lanes], lane: usize, value: u64, flag: bool) {
    let [d, rest @ ..] = results else { return };
    d[lane] = value;
    if let [out, ..] = rest {
        out[lane] = u64::from(flag);
    }
}

fn keep(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// a + b + carry.
fn sum<const BITS: u32>(results: &mut [Lanes], sources: &[Lanes]) {
    for lane in 0..WARP {
        let [a, b, c] = words(sources, lane);
        let whole = u128::from(a) + u128::from(b) + u128::from(c & 1);
        write(results, lane, whole as u64 & keep(BITS), whole >> BITS != 0);
    }
}

/// a + !b + carry, and the carry out of it: the flag is 1 where nothing is borrowed, also for the first word.
///
/// The PTX ISA calls the flag "borrow" here, as if it were 1 where something is. A chain of subtractions gives the same
/// either way; where `addc` reads what `sub.cc` wrote, or `subc` what `add.cc` did, this is what an H200 does.
fn difference<const BITS: u32>(results: &mut [Lanes], sources: &[Lanes]) {
    for lane in 0..WARP {
        let [a, b] = words(sources, lane);
        let carry = sources.get(2).map_or(1, |s| s[lane] & 1);
        let whole = u128::from(a) + u128::from(!b & keep(BITS)) + u128::from(carry);
        write(results, lane, whole as u64 & keep(BITS), whole >> BITS != 0);
    }
}

/// A half of a b, plus c and the carry.
fn product<const BITS: u32, const SIGNED: bool, const HIGH: bool>(results: &mut [Lanes], sources: &[Lanes]) {
    let number = |v: u64| match SIGNED {
        true => i128::from((v << (64 - BITS)) as i64 >> (64 - BITS)),
        false => i128::from(v),
    };
    for lane in 0..WARP {
        let [a, b, c, flag] = words(sources, lane);
        // Unsigned products of 64 bits fill 128: as bits they are the same.
        let whole = (number(a) as u128).wrapping_mul(number(b) as u128);
        let half = (if HIGH { whole >> BITS } else { whole }) as u64 & keep(BITS);
        let sum = u128::from(half) + u128::from(c) + u128::from(flag & 1);
        write(results, lane, sum as u64 & keep(BITS), sum >> BITS != 0);
    }
}

/// The slots of a form that writes or reads the carry flag, or both.
fn chained(t: ScalarType, sources: &[&'static str], reads: bool, writes: bool, eval: LaneFn) -> Option<Spec> {
    let mut slots = vec![dst(t)];
    if writes {
        slots.push(carry(Access::Write));
    }
    slots.extend(sources.iter().map(|name| src(name, t)));
    if reads {
        slots.push(carry(Access::Read));
    }
    let spec = spec(slots, Meaning::Lane(eval));
    Some(if t.bits() == 64 && writes { spec.since(43, 20) } else { spec })
}

pub(super) fn rows(t: &mut Builder) {
    let cc = || -> Alternatives { opt(&[Mod::Cc]) };
    let writes = |m: &[Mod]| m.contains(&Mod::Cc);
    let add = |m: &[Mod]| -> LaneFn { if ty(m, 0).bits() == 32 { sum::<32> } else { sum::<64> } };
    let sub = |m: &[Mod]| -> LaneFn { if ty(m, 0).bits() == 32 { difference::<32> } else { difference::<64> } };
    t.row(Op::Add, "9.7.2.1", "Adds, with a carry out.", integer, &[one(Mod::Cc), types(INTS)], |m| {
        chained(ty(m, 0), &["a", "b"], false, true, add(m))
    });
    t.row(Op::Addc, "9.7.2.2", "Adds, with a carry in, and out with cc.", integer, &[cc(), types(INTS)], |m| {
        chained(ty(m, 0), &["a", "b"], true, writes(m), add(m))
    });
    t.row(Op::Sub, "9.7.2.3", "Subtracts, with a borrow out.", integer, &[one(Mod::Cc), types(INTS)], |m| {
        chained(ty(m, 0), &["a", "b"], false, true, sub(m))
    });
    t.row(Op::Subc, "9.7.2.4", "Subtracts, with a borrow in, and out with cc.", integer, &[cc(), types(INTS)], |m| {
        chained(ty(m, 0), &["a", "b"], true, writes(m), sub(m))
    });
    let mad = |m: &[Mod]| -> LaneFn {
        with_bool!(ty(m, 0).is_signed(), SIGNED, {
            with_bool!(m[0] == Mod::Hi, HIGH, {
                if ty(m, 0).bits() == 32 { product::<32, SIGNED, HIGH> } else { product::<64, SIGNED, HIGH> }
            })
        })
    };
    let halves = || any(&[Mod::Lo, Mod::Hi]);
    let doc = "A half of a product, plus c, with a carry out.";
    t.row(Op::Mad, "9.7.2.5", doc, integer_product, &[halves(), one(Mod::Cc), types(INTS)], |m| {
        Some(chained(ty(m, 0), &["a", "b", "c"], false, true, mad(m))?.since(30, 20))
    });
    let doc = "A half of a product, plus c, with a carry in, and out with cc.";
    t.row(Op::Madc, "9.7.2.6", doc, integer_product, &[halves(), cc(), types(INTS)], |m| {
        Some(chained(ty(m, 0), &["a", "b", "c"], true, writes(m), mad(m))?.since(30, 20))
    });
}
