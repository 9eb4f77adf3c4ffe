//! Integer arithmetic (PTX ISA 9.7.1).

use super::precision::{integer, integer_product, of_bits};
use super::{Builder, any, binary, exact, one, opt, spec, ternary, ty, types, unary};
use crate::table::Parts;
use crate::table::lanes::{lane, with_bool, with_int};
use crate::table::slot::{dst, small, src};
use crate::table::{Meaning, Mod, Op};
use crate::types::ScalarType::{self, B32, B64, S16, S32, S64, U16, U32, U64};

const INTS: &[ScalarType] = &[U16, U32, U64, S16, S32, S64];
const SIGNED: &[ScalarType] = &[S16, S32, S64];
/// Types with a product twice as wide.
const WIDENABLE: &[ScalarType] = &[U16, U32, S16, S32];

/// The type with twice the bits.
fn wide(ty: ScalarType) -> ScalarType {
    match ty {
        U16 => U32,
        U32 => U64,
        S16 => S32,
        _ => S64,
    }
}

/// Picks an integer type and the one twice as wide.
macro_rules! with_wide {
    ($ty:expr, $T:ident, $W:ident, $e:expr) => {
        match $ty {
            U16 => with_wide!(@ u16, u32, $T, $W, $e),
            S16 => with_wide!(@ i16, i32, $T, $W, $e),
            U32 => with_wide!(@ u32, u64, $T, $W, $e),
            S32 => with_wide!(@ i32, i64, $T, $W, $e),
            U64 => with_wide!(@ u64, u128, $T, $W, $e),
            _ => with_wide!(@ i64, i128, $T, $W, $e),
        }
    };
    (@ $t:ty, $w:ty, $T:ident, $W:ident, $e:expr) => {{
        type $T = $t;
        type $W = $w;
        $e
    }};
}

pub(super) fn rows(t: &mut Builder) {
    sums(t);
    products(t);
    quotients(t);
    signs(t);
    bits(t);
    fields(t);
    dots(t);
}

fn sums(t: &mut Builder) {
    t.row(Op::Add, "9.7.1.1", "Adds, wrapping.", integer, &[types(INTS)], |m| {
        binary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { a.wrapping_add(b) })))
    });
    t.row(Op::Add, "9.7.1.1", "Adds, clamping.", integer, &[one(Mod::Sat), types(&[S32])], |m| {
        binary(ty(m, 0), lane!(|a: i32, b: i32| -> i32 { a.saturating_add(b) }))
    });
    t.row(Op::Sub, "9.7.1.2", "Subtracts, wrapping.", integer, &[types(INTS)], |m| {
        binary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { a.wrapping_sub(b) })))
    });
    t.row(Op::Sub, "9.7.1.2", "Subtracts, clamping.", integer, &[one(Mod::Sat), types(&[S32])], |m| {
        binary(ty(m, 0), lane!(|a: i32, b: i32| -> i32 { a.saturating_sub(b) }))
    });
    t.row(Op::Sad, "9.7.1.7", "Adds an absolute difference.", integer, &[types(INTS)], |m| {
        let eval = with_int!(ty(m, 0), T, {
            lane!(|a: T, b: T, c: T| -> T { c.wrapping_add(if a < b { b.wrapping_sub(a) } else { a.wrapping_sub(b) }) })
        });
        ternary(ty(m, 0), eval)
    });
}

fn products(t: &mut Builder) {
    t.row(Op::Mul, "9.7.1.3", "The low half of a product.", integer_product, &[one(Mod::Lo), types(INTS)], |m| {
        binary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { a.wrapping_mul(b) })))
    });
    t.row(Op::Mul, "9.7.1.3", "The high half of a product.", integer_product, &[one(Mod::Hi), types(INTS)], |m| {
        let eval = with_wide!(ty(m, 0), T, W, lane!(|a: T, b: T| -> T { ((W::from(a) * W::from(b)) >> T::BITS) as T }));
        binary(ty(m, 0), eval)
    });
    t.row(
        Op::Mul,
        "9.7.1.3",
        "The whole product, twice as wide.",
        integer_product,
        &[one(Mod::Wide), types(WIDENABLE)],
        |m| {
            let eval = match ty(m, 0) {
                U16 => lane!(|a: u16, b: u16| -> u32 { u32::from(a) * u32::from(b) }),
                U32 => lane!(|a: u32, b: u32| -> u64 { u64::from(a) * u64::from(b) }),
                S16 => lane!(|a: i16, b: i16| -> i32 { i32::from(a) * i32::from(b) }),
                _ => lane!(|a: i32, b: i32| -> i64 { i64::from(a) * i64::from(b) }),
            };
            exact(wide(ty(m, 0)), ty(m, 0), 2, eval)
        },
    );
    t.row(
        Op::Mad,
        "9.7.1.4",
        "The low half of a product, plus c.",
        integer_product,
        &[one(Mod::Lo), types(INTS)],
        |m| {
            let eval = with_int!(ty(m, 0), T, lane!(|a: T, b: T, c: T| -> T { a.wrapping_mul(b).wrapping_add(c) }));
            ternary(ty(m, 0), eval)
        },
    );
    t.row(
        Op::Mad,
        "9.7.1.4",
        "The high half of a product, plus c.",
        integer_product,
        &[one(Mod::Hi), types(INTS)],
        |m| {
            let eval = with_wide!(ty(m, 0), T, W, {
                lane!(|a: T, b: T, c: T| -> T { (((W::from(a) * W::from(b)) >> T::BITS) as T).wrapping_add(c) })
            });
            ternary(ty(m, 0), eval)
        },
    );
    let doc = "A whole product plus c, both twice as wide.";
    t.row(Op::Mad, "9.7.1.4", doc, integer_product, &[one(Mod::Wide), types(WIDENABLE)], |m| {
        let t = ty(m, 0);
        let eval = match t {
            U16 => lane!(|a: u16, b: u16, c: u32| -> u32 { (u32::from(a) * u32::from(b)).wrapping_add(c) }),
            U32 => lane!(|a: u32, b: u32, c: u64| -> u64 { (u64::from(a) * u64::from(b)).wrapping_add(c) }),
            S16 => lane!(|a: i16, b: i16, c: i32| -> i32 { (i32::from(a) * i32::from(b)).wrapping_add(c) }),
            _ => lane!(|a: i32, b: i32, c: i64| -> i64 { (i64::from(a) * i64::from(b)).wrapping_add(c) }),
        };
        Some(spec([dst(wide(t)), src("a", t), src("b", t), src("c", wide(t))], Meaning::Lane(eval)))
    });
    let halves = || any(&[Mod::Lo, Mod::Hi]);
    let doc = "Bits 31..0 (lo) or 47..16 (hi) of the product of the low 24 bits.";
    t.row(Op::Mul24, "9.7.1.5", doc, integer_product, &[halves(), types(&[U32, S32])], |m| {
        let eval = match (ty(m, 0), m[0]) {
            (U32, Mod::Lo) => lane!(|a: u32, b: u32| -> u32 { unsigned24(a, b) as u32 }),
            (U32, _) => lane!(|a: u32, b: u32| -> u32 { (unsigned24(a, b) >> 16) as u32 }),
            (_, Mod::Lo) => lane!(|a: u32, b: u32| -> u32 { signed24(a, b) as u32 }),
            _ => lane!(|a: u32, b: u32| -> u32 { (signed24(a, b) >> 16) as u32 }),
        };
        binary(ty(m, 0), eval)
    });
    t.row(Op::Mad24, "9.7.1.6", "mul24, plus c.", integer_product, &[halves(), types(&[U32, S32])], |m| {
        let eval = match (ty(m, 0), m[0]) {
            (U32, Mod::Lo) => lane!(|a: u32, b: u32, c: u32| -> u32 { (unsigned24(a, b) as u32).wrapping_add(c) }),
            (U32, _) => lane!(|a: u32, b: u32, c: u32| -> u32 { ((unsigned24(a, b) >> 16) as u32).wrapping_add(c) }),
            (_, Mod::Lo) => lane!(|a: u32, b: u32, c: u32| -> u32 { (signed24(a, b) as u32).wrapping_add(c) }),
            _ => lane!(|a: u32, b: u32, c: u32| -> u32 { ((signed24(a, b) >> 16) as u32).wrapping_add(c) }),
        };
        ternary(ty(m, 0), eval)
    });
}

fn unsigned24(a: u32, b: u32) -> u64 {
    u64::from(a & 0xff_ffff) * u64::from(b & 0xff_ffff)
}

fn signed24(a: u32, b: u32) -> i64 {
    i64::from((a << 8).cast_signed() >> 8) * i64::from((b << 8).cast_signed() >> 8)
}

/// Division by zero is unspecified in the PTX ISA; the machine code that ptxas
/// writes gives all ones for quotient and remainder (seen on sm_90).
fn quotients(t: &mut Builder) {
    t.row(Op::Div, "9.7.1.8", "Divides, towards zero.", integer, &[types(INTS)], |m| {
        let eval = with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { if b == 0 { !0 } else { a.wrapping_div(b) } }));
        binary(ty(m, 0), eval)
    });
    t.row(Op::Rem, "9.7.1.9", "The remainder, with the dividend's sign.", integer, &[types(INTS)], |m| {
        let eval = with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { if b == 0 { !0 } else { a.wrapping_rem(b) } }));
        binary(ty(m, 0), eval)
    });
}

fn signs(t: &mut Builder) {
    t.row(Op::Abs, "9.7.1.10", "The absolute value, wrapping.", integer, &[types(SIGNED)], |m| {
        let eval = match ty(m, 0) {
            S16 => lane!(|a: i16| -> i16 { a.wrapping_abs() }),
            S32 => lane!(|a: i32| -> i32 { a.wrapping_abs() }),
            _ => lane!(|a: i64| -> i64 { a.wrapping_abs() }),
        };
        unary(ty(m, 0), eval)
    });
    t.row(Op::Neg, "9.7.1.11", "Negates, wrapping.", integer, &[types(SIGNED)], |m| {
        unary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T| -> T { (0 as T).wrapping_sub(a) })))
    });
    t.row(Op::Min, "9.7.1.12", "The lesser.", integer, &[types(INTS)], |m| {
        binary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { a.min(b) })))
    });
    t.row(Op::Max, "9.7.1.13", "The greater.", integer, &[types(INTS)], |m| {
        binary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T, b: T| -> T { a.max(b) })))
    });
}

fn bits(t: &mut Builder) {
    const WORDS: &[ScalarType] = &[B32, B64];
    t.row(Op::Popc, "9.7.1.14", "Counts ones.", integer, &[types(WORDS)], |m| {
        exact(U32, ty(m, 0), 1, with_int!(ty(m, 0), T, lane!(|a: T| -> u32 { a.count_ones() })))
    });
    t.row(Op::Clz, "9.7.1.15", "Counts leading zeros.", integer, &[types(WORDS)], |m| {
        exact(U32, ty(m, 0), 1, with_int!(ty(m, 0), T, lane!(|a: T| -> u32 { a.leading_zeros() })))
    });
    t.row(
        Op::Bfind,
        "9.7.1.16",
        "The place of the highest bit that is not a sign (or, with shiftamt, how far it is from the top); all ones if none.", integer,
        &[opt(&[Mod::Shiftamt]), types(&[U32, U64, S32, S64])],
        |m| {
            macro_rules! eval {
                (|$a:ident: $t:ty| $unsigned:expr) => {
                    with_bool!(m[0] == Mod::Shiftamt, SHIFT, {
                        lane!(|$a: $t| -> u32 {
                            match $unsigned.leading_zeros() {
                                <$t>::BITS => u32::MAX,
                                zeros if SHIFT => zeros,
                                zeros => <$t>::BITS - 1 - zeros,
                            }
                        })
                    })
                };
            }
            let eval = match ty(m, 0) {
                U32 => eval!(|a: u32| a),
                U64 => eval!(|a: u64| a),
                S32 => eval!(|a: i32| (a ^ (a >> 31))),
                _ => eval!(|a: i64| (a ^ (a >> 63))),
            };
            exact(U32, ty(m, 0), 1, eval)
        },
    );
    t.row(Op::Brev, "9.7.1.18", "Reverses the bits.", of_bits(Parts::Mix), &[types(WORDS)], |m| {
        unary(ty(m, 0), with_int!(ty(m, 0), T, lane!(|a: T| -> T { a.reverse_bits() })))
    });
    masks(t);
}

/// A mask of b ones from bit a on (PTX ISA 9.7.1.22).
fn mask<const CLAMP: bool>(a: u32, b: u32) -> u32 {
    let (first, count) = (a & 31, b & 31);
    let beyond = CLAMP && a >= 32;
    let from = if beyond { 0 } else { u32::MAX << first };
    let after = match first + count {
        _ if beyond || CLAMP && b >= 32 => 0,
        32.. => 0,
        _ if count == 0 => u32::MAX,
        end => u32::MAX << end,
    };
    from & !after
}

/// The low b bits of a, extended by zeros or the sign (PTX ISA 9.7.1.21).
fn extended<const CLAMP: bool, const SIGNED: bool>(a: u32, b: u32) -> u32 {
    let count = b & 31;
    if CLAMP && b >= 32 {
        return a;
    }
    let above = u32::MAX << count;
    let sign = SIGNED && count > 0 && a >> (count - 1) & 1 == 1;
    a & !above | if sign { above } else { 0 }
}

/// The place of the n-th one of a mask from a place on, up or down (PTX ISA 9.7.1.17).
fn nth_one(mask: u32, base: u32, offset: i32) -> u32 {
    let is_one = |place: i64| (0..32).contains(&place) && mask >> place & 1 == 1;
    let mut place = i64::from(base);
    if offset == 0 {
        return if is_one(place) { base } else { u32::MAX };
    }
    let mut left = offset.unsigned_abs();
    while (0..32).contains(&place) {
        left -= u32::from(is_one(place));
        if left == 0 {
            return place as u32;
        }
        place += i64::from(offset.signum());
    }
    u32::MAX
}

fn masks(t: &mut Builder) {
    let modes = || any(&[Mod::Clamp, Mod::Wrap]);
    let doc = "A mask of b ones from bit a on.";
    t.row(Op::Bmsk, "9.7.1.22", doc, integer, &[modes(), types(&[B32])], |m| {
        let eval = with_bool!(m[0] == Mod::Clamp, CLAMP, lane!(|a: u32, b: u32| -> u32 { mask::<CLAMP>(a, b) }));
        Some(spec([dst(U32), src("a", U32), src("b", U32)], Meaning::Lane(eval)).since(76, 70))
    });
    let doc = "The low b bits of a, extended by zeros or the sign.";
    t.row(Op::Szext, "9.7.1.21", doc, of_bits(Parts::Cut), &[modes(), types(&[U32, S32])], |m| {
        let t = ty(m, 0);
        let eval = with_bool!(m[0] == Mod::Clamp, CLAMP, {
            with_bool!(t == S32, SIGNED, lane!(|a: u32, b: u32| -> u32 { extended::<CLAMP, SIGNED>(a, b) }))
        });
        Some(spec([dst(t), src("a", t), src("b", U32)], Meaning::Lane(eval)).since(76, 70))
    });
    let doc =
        "The place of the offset-th one of a mask from bit base on, upwards or downwards; all ones if there is none.";
    t.row(Op::Fns, "9.7.1.17", doc, integer, &[types(&[B32])], |_| {
        let eval = lane!(|a: u32, b: u32, c: i32| -> u32 { nth_one(a, b, c) });
        let slots = [dst(B32), src("mask", B32), src("base", B32), src("offset", S32)];
        Some(spec(slots, Meaning::Lane(eval)).since(51, 30))
    });
}

/// The position or length of a field in a register of `BITS` bits. The PTX
/// ISA takes it modulo 256. ptxas does so for 32 bits, where there is machine
/// code for it, but not for 64; this follows it.
fn place<const BITS: u32>(x: u32) -> u32 {
    if BITS == 32 { x & 0xff } else { x }
}

/// Ones in bits 0 to `len - 1`.
fn low_mask(len: u32) -> u64 {
    1u64.checked_shl(len).map_or(u64::MAX, |b| b - 1)
}

fn fields(t: &mut Builder) {
    let doc = "Extracts the field of c bits at bit b, extended by its sign.";
    t.row(Op::Bfe, "9.7.1.19", doc, of_bits(Parts::Cut), &[types(&[U32, U64, S32, S64])], |m| {
        let t = ty(m, 0);
        let eval = with_int!(t, T, {
            lane!(|a: T, b: u32, c: u32| -> T {
                let (b, c) = (place::<{ T::BITS }>(b), place::<{ T::BITS }>(c));
                // Beyond the top lie zeros or the sign, which a shift by the width less one brings in.
                let top = T::BITS - 1;
                let moved = a >> b.min(top) >> u32::from(b > top);
                match c {
                    0 => 0,
                    c if c > top => moved,
                    c => moved << (T::BITS - c) >> (T::BITS - c),
                }
            })
        });
        Some(spec([dst(t), src("a", t), small("b", U32, 255), small("c", U32, 255)], Meaning::Lane(eval)))
    });
    let doc = "Puts the low d bits of a into b at bit c.";
    t.row(Op::Bfi, "9.7.1.20", doc, of_bits(Parts::Merge), &[types(&[B32, B64])], |m| {
        let t = ty(m, 0);
        let eval = with_int!(t, T, {
            lane!(|a: T, b: T, c: u32, d: u32| -> T {
                let (c, d) = (place::<{ T::BITS }>(c), place::<{ T::BITS }>(d));
                let mask = (low_mask(d) as T).checked_shl(c).unwrap_or(0);
                b & !mask | a.checked_shl(c).unwrap_or(0) & mask
            })
        });
        let slots = [dst(t).named("f"), src("a", t), src("b", t), small("c", U32, 255), small("d", U32, 255)];
        Some(spec(slots, Meaning::Lane(eval)))
    });
}

/// The result of a dot product: unsigned if both sources are.
fn dot_type(a: ScalarType, b: ScalarType) -> ScalarType {
    if a == U32 && b == U32 { U32 } else { S32 }
}

fn dots(t: &mut Builder) {
    let sign = || types(&[U32, S32]);
    t.row(Op::Dp4a, "9.7.1.23", "Adds four products of bytes.", integer_product, &[sign(), sign()], |m| {
        let (a, b) = (ty(m, 0), ty(m, 1));
        macro_rules! dot {
            ($a:ty, $b:ty) => {
                lane!(|a: u32, b: u32, c: u32| -> u32 {
                    let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
                    (0..4).fold(c, |c, i| c.wrapping_add((i32::from(a[i] as $a) * i32::from(b[i] as $b)) as u32))
                })
            };
        }
        let eval = match (a, b) {
            (U32, U32) => dot!(u8, u8),
            (U32, _) => dot!(u8, i8),
            (_, U32) => dot!(i8, u8),
            _ => dot!(i8, i8),
        };
        let d = dot_type(a, b);
        Some(spec([dst(d), src("a", a), src("b", b), src("c", d)], Meaning::Lane(eval)).since(50, 61))
    });
    t.row(
        Op::Dp2a,
        "9.7.1.24",
        "Adds two products of a's 16-bit halves with the low or high two bytes of b.",
        integer_product,
        &[any(&[Mod::Lo, Mod::Hi]), sign(), sign()],
        |m| {
            let (a, b) = (ty(m, 0), ty(m, 1));
            macro_rules! dot {
                ($a:ty, $b:ty) => {
                    with_bool!(m[0] == Mod::Hi, HI, {
                        lane!(|a: u32, b: u32, c: u32| -> u32 {
                            let b = if HI { b >> 16 } else { b };
                            let low = i32::from(a as $a) * i32::from(b as $b);
                            let high = i32::from((a >> 16) as $a) * i32::from((b >> 8) as $b);
                            c.wrapping_add(low as u32).wrapping_add(high as u32)
                        })
                    })
                };
            }
            let eval = match (a, b) {
                (U32, U32) => dot!(u16, u8),
                (U32, _) => dot!(u16, i8),
                (_, U32) => dot!(i16, u8),
                _ => dot!(i16, i8),
            };
            let d = dot_type(a, b);
            Some(spec([dst(d), src("a", a), src("b", b), src("c", d)], Meaning::Lane(eval)).since(50, 61))
        },
    );
}
