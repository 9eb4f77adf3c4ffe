//! Arithmetic of two 16-bit integers in one register, and extremes that are not negative (PTX ISA 9.7.1).

use super::precision::integer;
use super::{Builder, binary, one, opt, ty, types};
use crate::table::LaneFn;
use crate::table::lanes::{lane, lane_pair, with_bool};
use crate::table::{Mod, Op};
use crate::types::ScalarType::{S16x2, S32, U16x2};

/// The lane function of an operation of 16-bit integers on both halves.
macro_rules! halves {
    ($ty:expr, |$a:ident, $b:ident| $e:expr) => {
        match $ty {
            U16x2 => lane_pair!(|$a: u16, $b: u16| -> u16 { $e }),
            _ => lane_pair!(|$a: i16, $b: i16| -> i16 { $e }),
        }
    };
}

pub(super) fn rows(t: &mut Builder) {
    let pairs = || types(&[U16x2, S16x2]);
    t.row(Op::Add, "9.7.1.1", "Adds in each half, wrapping.", integer, &[pairs()], |m| {
        Some(binary(ty(m, 0), halves!(ty(m, 0), |a, b| a.wrapping_add(b)))?.since(80, 90))
    });
    for (op, section, max) in [(Op::Min, "9.7.1.12", false), (Op::Max, "9.7.1.13", true)] {
        let doc = if max {
            "The greater in each half; with relu, at least 0."
        } else {
            "The lesser in each half; with relu, at least 0."
        };
        t.row(op, section, doc, integer, &[opt(&[Mod::Relu]), pairs()], |m| {
            let relu = m.contains(&Mod::Relu);
            let eval: LaneFn = with_bool!(max, MAX, {
                match ty(m, 0) {
                    U16x2 if relu => return None,
                    t if !relu => halves!(t, |a, b| if MAX { a.max(b) } else { a.min(b) }),
                    _ => lane_pair!(|a: i16, b: i16| -> i16 { (if MAX { a.max(b) } else { a.min(b) }).max(0) }),
                }
            });
            Some(binary(ty(m, 0), eval)?.since(80, 90))
        });
        let doc = if max { "The greater, and at least 0." } else { "The lesser, and at least 0." };
        t.row(op, section, doc, integer, &[one(Mod::Relu), types(&[S32])], |_| {
            let eval = with_bool!(max, MAX, {
                lane!(|a: i32, b: i32| -> i32 { (if MAX { a.max(b) } else { a.min(b) }).max(0) })
            });
            Some(binary(S32, eval)?.since(80, 90))
        });
    }
}
