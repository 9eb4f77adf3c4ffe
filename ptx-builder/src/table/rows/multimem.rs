//! Memory of several devices under one address (PTX ISA 9.7.9.14). The interpreter has none, and rejects it.

use super::load_store::scopes;
use super::precision::always;
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::slot::{address, dst, src};
use crate::table::{Meaning, Mod, Op, Precision};
use crate::types::ScalarType::{self, B32, B64, F32, F64, S32, S64, U32, U64};
use crate::types::Space;

/// The operations on values of a type.
fn exists(op: Mod, ty: ScalarType) -> bool {
    match op {
        Mod::AtomMin | Mod::AtomMax => matches!(ty, U32 | S32 | U64 | S64),
        Mod::And | Mod::Or | Mod::Xor => matches!(ty, B32 | B64),
        _ => matches!(ty, U32 | S32 | U64 | F32 | F64),
    }
}

pub(super) fn rows(t: &mut Builder) {
    const TYPES: &[ScalarType] = &[U32, S32, U64, S64, B32, B64, F32, F64];
    let ops = || any(&[Mod::AtomAdd, Mod::AtomMin, Mod::AtomMax, Mod::And, Mod::Or, Mod::Xor]);
    let place = || address("a", Space::Global);
    let places = |orders: &[Mod]| [any(orders), scopes(), one(Mod::Global)];
    let mut red = places(&[Mod::Relaxed, Mod::Release]).to_vec();
    red.extend([ops(), types(TYPES)]);
    let doc = "Changes memory of every device of a multicast address.";
    t.row(Op::MultimemRed, "9.7.9.14", doc, always(Precision::Opaque), &red, |m| {
        let t = ty(m, 0);
        exists(m[3], t).then(|| spec([place(), src("b", t)], Meaning::Foreign).since(81, 90))
    });
    let mut load = places(&[Mod::Relaxed, Mod::Acquire]).to_vec();
    load.extend([ops(), types(TYPES)]);
    let doc = "Reduces memory of every device of a multicast address.";
    t.row(Op::MultimemLdReduce, "9.7.9.14", doc, always(Precision::Opaque), &load, |m| {
        let t = ty(m, 0);
        let is_float = matches!(t, F32 | F64);
        (exists(m[3], t) && !is_float).then(|| spec([dst(t), place()], Meaning::Foreign).since(81, 90))
    });
    let mut store = places(&[Mod::Relaxed, Mod::Release]).to_vec();
    store.push(types(TYPES));
    let doc = "Stores to memory of every device of a multicast address.";
    t.row(Op::MultimemSt, "9.7.9.14", doc, always(Precision::Opaque), &store, |m| {
        let t = ty(m, 0);
        Some(spec([place(), src("b", t)], Meaning::Foreign).since(81, 90))
    });
    let _ = opt;
}
