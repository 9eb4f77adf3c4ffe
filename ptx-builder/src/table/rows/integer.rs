//! Integer arithmetic (PTX ISA 9.7.1).

use super::{Builder, any, one, spec, ty, types};
use crate::table::lanes::{lane, with_int};
use crate::table::slot::{dst, src};
use crate::table::{Meaning, Mod, Op};
use crate::types::ScalarType::{self, S16, S32, S64, U16, U32, U64};

const INTS: &[ScalarType] = &[U16, U32, U64, S16, S32, S64];

/// The type with twice the bits.
fn wide(ty: ScalarType) -> ScalarType {
    match ty {
        U16 => U32,
        U32 => U64,
        S16 => S32,
        _ => S64,
    }
}

pub(super) fn rows(t: &mut Builder) {
    t.row(Op::Add, "9.7.1.1", "Adds, wrapping.", &[types(INTS)], |m| {
        let t = ty(m, 0);
        let eval = with_int!(t, T, lane!(|a: T, b: T| -> T { a.wrapping_add(b) }));
        Some(spec([dst(t), src("a", t), src("b", t)], Meaning::Lane(eval)))
    });
    t.row(Op::Sub, "9.7.1.2", "Subtracts, wrapping.", &[types(INTS)], |m| {
        let t = ty(m, 0);
        let eval = with_int!(t, T, lane!(|a: T, b: T| -> T { a.wrapping_sub(b) }));
        Some(spec([dst(t), src("a", t), src("b", t)], Meaning::Lane(eval)))
    });
    t.row(Op::Mul, "9.7.1.3", "The low half of a product.", &[one(Mod::Lo), types(INTS)], |m| {
        let t = ty(m, 0);
        let eval = with_int!(t, T, lane!(|a: T, b: T| -> T { a.wrapping_mul(b) }));
        Some(spec([dst(t), src("a", t), src("b", t)], Meaning::Lane(eval)))
    });
    t.row(
        Op::Mul,
        "9.7.1.3",
        "The whole product, twice as wide.",
        &[one(Mod::Wide), types(&[U16, U32, S16, S32])],
        |m| {
            let t = ty(m, 0);
            let eval = match t {
                U16 => lane!(|a: u16, b: u16| -> u32 { u32::from(a) * u32::from(b) }),
                U32 => lane!(|a: u32, b: u32| -> u64 { u64::from(a) * u64::from(b) }),
                S16 => lane!(|a: i16, b: i16| -> i32 { i32::from(a) * i32::from(b) }),
                _ => lane!(|a: i32, b: i32| -> i64 { i64::from(a) * i64::from(b) }),
            };
            Some(spec([dst(wide(t)), src("a", t), src("b", t)], Meaning::Lane(eval)))
        },
    );
    t.row(
        Op::Dp4a,
        "9.7.1.23",
        "Adds four products of bytes.",
        &[any(&[Mod::Ty(U32), Mod::Ty(S32)]), any(&[Mod::Ty(U32), Mod::Ty(S32)])],
        |m| {
            let (a, b) = (ty(m, 0), ty(m, 1));
            let d = if a == U32 && b == U32 { U32 } else { S32 };
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
            Some(spec([dst(d), src("a", a), src("b", b), src("c", d)], Meaning::Lane(eval)))
        },
    );
}
