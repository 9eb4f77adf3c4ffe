//! Logic and shifts (PTX ISA 9.7.8).

use super::precision::{always, integer, of_bits};
use super::{Builder, any, one, spec, ty, types};
use crate::table::Parts;
use crate::table::lanes::{lane, with_bool, with_int};
use crate::table::slot::{constant, dst, dst_pred, src, src_pred};
use crate::table::{LaneFn, Lanes, Meaning, Mod, Op, Precision, Slot, WARP};
use crate::types::ScalarType::{self, B16, B32, B64, Pred, S16, S32, S64, U16, U32, U64};

const BITS: &[ScalarType] = &[B16, B32, B64];
const LOGICAL: &[ScalarType] = &[Pred, B16, B32, B64];

/// A source of a logical operation.
fn logical(name: &'static str, t: ScalarType) -> Slot {
    if t == Pred { src_pred(name) } else { src(name, t) }
}

/// At each place bit 4a + 2b + c of a table of eight bits.
fn looked_up(a: u32, b: u32, c: u32, lut: u32) -> u32 {
    let mut d = 0;
    for i in 0..8 {
        let pick = |x: u32, bit: u32| if i & bit != 0 { x } else { !x };
        let on = ((lut >> i) & 1).wrapping_neg();
        d |= pick(a, 4) & pick(b, 2) & pick(c, 1) & on;
    }
    d
}

/// `d = f(a, b, c)` and `p = (d != 0) | q`, or `& q`.
fn lookup<const OR: bool>(results: &mut [Lanes], sources: &[Lanes]) {
    let ([d, p, ..], [a, b, c, lut, q, ..]) = (results, sources) else { return };
    for lane in 0..WARP {
        let value = looked_up(a[lane] as u32, b[lane] as u32, c[lane] as u32, lut[lane] as u32);
        d[lane] = value.into();
        let (is_set, q) = (value != 0, q[lane] & 1 == 1);
        p[lane] = u64::from(if OR { is_set | q } else { is_set & q });
    }
}

pub(super) fn rows(t: &mut Builder) {
    // Lanes hold zero-extended bits, so one function serves every width.
    let binary = |t: &mut Builder, op, section, doc, parts, eval: LaneFn| {
        t.row(op, section, doc, of_bits(parts), &[types(LOGICAL)], |m| {
            let t = ty(m, 0);
            Some(spec([dst(t), logical("a", t), logical("b", t)], Meaning::Lane(eval)))
        });
    };
    binary(t, Op::And, "9.7.8.1", "Bits in both.", Parts::Cut, lane!(|a: u64, b: u64| -> u64 { a & b }));
    binary(t, Op::Or, "9.7.8.2", "Bits in either.", Parts::Merge, lane!(|a: u64, b: u64| -> u64 { a | b }));
    binary(t, Op::Xor, "9.7.8.3", "Bits that differ.", Parts::Mix, lane!(|a: u64, b: u64| -> u64 { a ^ b }));
    t.row(Op::Not, "9.7.8.4", "Bits not in a.", of_bits(Parts::Mix), &[types(LOGICAL)], |m| {
        let t = ty(m, 0);
        let eval = match t {
            Pred => lane!(|a: bool| -> bool { !a }),
            _ => with_int!(t, T, lane!(|a: T| -> T { !a })),
        };
        Some(spec([dst(t), logical("a", t)], Meaning::Lane(eval)))
    });
    t.row(Op::Cnot, "9.7.8.5", "1 if a is 0, else 0.", integer, &[types(BITS)], |m| {
        super::unary(ty(m, 0), lane!(|a: u64| -> bool { a == 0 }))
    });
    t.row(
        Op::Lop3,
        "9.7.8.6",
        "Any function of three bits: bit 4a + 2b + c of immLut, at each place.",
        of_bits(Parts::Merge),
        &[one(Mod::Ty(B32))],
        |_| {
            let eval = lane!(|a: u32, b: u32, c: u32, lut: u32| -> u32 { looked_up(a, b, c, lut) });
            let lut = constant("immLut", U32, 0, 255);
            Some(spec([dst(B32), src("a", B32), src("b", B32), src("c", B32), lut], Meaning::Lane(eval)).since(43, 50))
        },
    );
    let doc = "The same function, and in p whether it gives anything but 0, combined with q.";
    let places = [any(&[Mod::Or, Mod::And]), one(Mod::Ty(B32))];
    t.row(Op::Lop3Bool, "9.7.8.6", doc, always(Precision::Opaque), &places, |m| {
        let eval = if m[0] == Mod::Or { lookup::<true> } else { lookup::<false> };
        let lut = constant("immLut", U32, 0, 255);
        let sources = [src("a", B32), src("b", B32), src("c", B32), lut, src_pred("q")];
        let slots: Vec<_> = [dst(B32).optional(), dst_pred()].into_iter().chain(sources).collect();
        Some(spec(slots, Meaning::Lane(eval)).since(82, 70))
    });
    t.row(
        Op::Shf,
        "9.7.8.7",
        "Shifts b:a left (taking the high word) or right (the low word), by at most 32 (clamp) or modulo 32 (wrap).",
        of_bits(Parts::Cut),
        &[any(&[Mod::L, Mod::R]), any(&[Mod::Clamp, Mod::Wrap]), one(Mod::Ty(B32))],
        |m| {
            let eval = with_bool!(m[0] == Mod::L, LEFT, {
                with_bool!(m[1] == Mod::Wrap, WRAP, {
                    lane!(|a: u32, b: u32, c: u32| -> u32 {
                        let n = if WRAP { c & 31 } else { c.min(32) };
                        let both = u64::from(b) << 32 | u64::from(a);
                        if LEFT { ((both << n) >> 32) as u32 } else { (both >> n) as u32 }
                    })
                })
            });
            Some(spec([dst(B32), src("a", B32), src("b", B32), src("c", U32)], Meaning::Lane(eval)).since(31, 32))
        },
    );
    let shift = |t: ScalarType, eval| Some(spec([dst(t), src("a", t), src("b", U32)], Meaning::Lane(eval)));
    t.row(Op::Shl, "9.7.8.8", "Shifts left; beyond the width gives 0.", of_bits(Parts::Cut), &[types(BITS)], |m| {
        let t = ty(m, 0);
        shift(t, with_int!(t, T, lane!(|a: T, b: u32| -> T { a.checked_shl(b).unwrap_or(0) })))
    });
    t.row(
        Op::Shr,
        "9.7.8.9",
        "Shifts right, filling with the sign (signed) or zeros; beyond the width is like the width.",
        of_bits(Parts::Cut),
        &[types(&[B16, B32, B64, U16, U32, U64, S16, S32, S64])],
        |m| {
            let t = ty(m, 0);
            let eval = match t {
                S16 | S32 | S64 => with_int!(t, T, lane!(|a: T, b: u32| -> T { a >> b.min(T::BITS - 1) })),
                _ => with_int!(t, T, lane!(|a: T, b: u32| -> T { a.checked_shr(b).unwrap_or(0) })),
            };
            shift(t, eval)
        },
    );
}
