//! Operations on two halves or four bytes (PTX ISA 9.7.18.3 to 9.7.18.8), all parts of a and of b in order.

use super::precision::integer;
use super::{Builder, any, opt, spec, ty, types};
use crate::table::lanes::{lane, with_bool};
use crate::table::slot::{dst, src_reg};
use crate::table::{LaneFn, Meaning, Mod, Op};
use crate::types::ScalarType::{S32, U32};

/// Part `i` of a word, of `BITS` bits.
fn part<const BITS: u32, const SIGNED: bool>(word: u32, i: u32) -> i64 {
    let bits = u64::from(word >> (i * BITS)) & ((1 << BITS) - 1);
    if SIGNED { (bits << (64 - BITS)) as i64 >> (64 - BITS) } else { bits as i64 }
}

/// The rounded average: halves away from zero.
fn average(a: i64, b: i64) -> i64 {
    let sum = a + b;
    if sum < 0 { -((1 - sum) >> 1) } else { (sum + 1) >> 1 }
}

macro_rules! parts {
    ($m:expr, $bits:literal, |$a:ident, $b:ident| $e:expr) => {{
        let (d, a, b) = (ty($m, 0).is_signed(), ty($m, 1).is_signed(), ty($m, 2).is_signed());
        with_bool!(
            d,
            D,
            with_bool!(
                a,
                A,
                with_bool!(b, B, {
                    match ($m.contains(&Mod::AtomAdd), $m.contains(&Mod::Sat)) {
                        (true, _) => lane!(|a: u32, b: u32, c: u32| -> u32 {
                            let one = |i: u32| {
                                let ($a, $b) = (part::<$bits, A>(a, i), part::<$bits, B>(b, i));
                                $e
                            };
                            (0..32 / $bits).fold(c, |sum, i| sum.wrapping_add(one(i) as u32))
                        }),
                        (_, sat) => with_bool!(sat, SAT, {
                            lane!(|a: u32, b: u32| -> u32 {
                                let one = |i: u32| {
                                    let ($a, $b) = (part::<$bits, A>(a, i), part::<$bits, B>(b, i));
                                    let value: i64 = $e;
                                    let (least, most) = if D {
                                        (-(1i64 << ($bits - 1)), (1i64 << ($bits - 1)) - 1)
                                    } else {
                                        (0, (1 << $bits) - 1)
                                    };
                                    let value = if SAT { value.clamp(least, most) } else { value };
                                    (value as u32 & ((1u64 << $bits) - 1) as u32) << (i * $bits)
                                };
                                (0..32 / $bits).fold(0, |word, i| word | one(i))
                            })
                        }),
                    }
                })
            )
        )
    }};
}

/// The same of comparisons, whose results are 0 and 1.
macro_rules! compared {
    ($m:expr, $bits:literal) => {{
        let (a, b) = (ty($m, 0).is_signed(), ty($m, 1).is_signed());
        with_bool!(
            a,
            A,
            with_bool!(
                b,
                B,
                with_bool!($m.contains(&Mod::AtomAdd), SUM, {
                    macro_rules! when {
                        ($holds:expr) => {
                            lane!(|a: u32, b: u32, c: u32| -> u32 {
                                let one = |i: u32| u32::from($holds(&part::<$bits, A>(a, i), &part::<$bits, B>(b, i)));
                                if SUM {
                                    (0..32 / $bits).fold(c, |sum, i| sum.wrapping_add(one(i)))
                                } else {
                                    (0..32 / $bits).fold(0, |word, i| word | one(i) << (i * $bits))
                                }
                            })
                        };
                    }
                    match $m[2] {
                        Mod::Eq => when!(i64::eq),
                        Mod::Ne => when!(i64::ne),
                        Mod::Lt => when!(i64::lt),
                        Mod::Le => when!(i64::le),
                        Mod::Gt => when!(i64::gt),
                        _ => when!(i64::ge),
                    }
                })
            )
        )
    }};
}

pub(super) fn rows(t: &mut Builder) {
    let signs = || types(&[U32, S32]);
    macro_rules! both {
        ($two:ident, $four:ident, $s2:literal, $s4:literal, $doc:literal, |$a:ident, $b:ident| $e:expr) => {
            for (op, section, halves) in [(Op::$two, $s2, true), (Op::$four, $s4, false)] {
                let places = [signs(), signs(), signs(), opt(&[Mod::Sat, Mod::AtomAdd])];
                t.row(op, section, $doc, integer, &places, |m| {
                    // A sum is of what is not saturated.
                    let eval: LaneFn = if halves { parts!(m, 16, |$a, $b| $e) } else { parts!(m, 8, |$a, $b| $e) };
                    let d = ty(m, 0);
                    let slots = [dst(d), src_reg("a", ty(m, 1)), src_reg("b", ty(m, 2)), src_reg("c", d)];
                    Some(spec(slots, Meaning::Lane(eval)).since(30, 30))
                });
            }
        };
    }
    for (op, section, halves) in [(Op::Vset2, "9.7.19.2.4", true), (Op::Vset4, "9.7.19.2.6", false)] {
        let comparisons = any(&[Mod::Eq, Mod::Ne, Mod::Lt, Mod::Le, Mod::Gt, Mod::Ge]);
        let doc = "1 in each part where the comparison holds, else 0; with add, sums the parts and c.";
        t.row(op, section, doc, integer, &[signs(), signs(), comparisons, opt(&[Mod::AtomAdd])], |m| {
            let eval = if halves { compared!(m, 16) } else { compared!(m, 8) };
            let slots = [dst(U32), src_reg("a", ty(m, 0)), src_reg("b", ty(m, 1)), src_reg("c", U32)];
            Some(spec(slots, Meaning::Lane(eval)).since(30, 30))
        });
    }
    both!(Vadd2, Vadd4, "9.7.18.3", "9.7.18.7", "Adds in each part; with add, sums the parts and c.", |a, b| a + b);
    both!(Vsub2, Vsub4, "9.7.18.3", "9.7.18.7", "Subtracts in each part; with add, sums the parts and c.", |a, b| a
        - b);
    both!(
        Vavrg2,
        Vavrg4,
        "9.7.18.3",
        "9.7.18.7",
        "Averages in each part, rounded; with add, sums the parts and c.",
        |a, b| average(a, b)
    );
    both!(
        Vabsdiff2,
        Vabsdiff4,
        "9.7.18.3",
        "9.7.18.7",
        "The distance in each part; with add, sums the parts and c.",
        |a, b| (a - b).abs()
    );
    both!(Vmin2, Vmin4, "9.7.18.3", "9.7.18.7", "The lesser in each part; with add, sums the parts and c.", |a, b| a
        .min(b));
    both!(Vmax2, Vmax4, "9.7.18.3", "9.7.18.7", "The greater in each part; with add, sums the parts and c.", |a, b| a
        .max(b));
}
