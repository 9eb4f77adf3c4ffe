//! Moving and converting data between registers (PTX ISA 9.7.9).

use super::{Builder, spec, ty, types};
use crate::table::lanes::lane;
use crate::table::slot::{dst, src, vector};
use crate::table::{Access, Meaning, Op, Shape};
use crate::types::ScalarType::{self, B16, B32, B64, F32, F64, Pred, S16, S32, S64, U16, U32, U64};

const MOVABLE: &[ScalarType] = &[Pred, B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];

pub(super) fn rows(t: &mut Builder) {
    t.row(Op::Mov, "9.7.9.3", "Copies a register, constant, special register or address.", &[types(MOVABLE)], |m| {
        let t = ty(m, 0);
        let mut a = src("a", t);
        a.shape = Shape::Move(t);
        Some(spec([dst(t), a], Meaning::Lane(lane!(|a: u64| -> u64 { a }))))
    });
    t.row(Op::Pack, "9.7.9.4", "Packs two registers into one.", &[types(&[B32, B64])], |m| {
        let t = ty(m, 0);
        let (half, eval) = match t {
            B32 => (B16, lane!(|lo: u16, hi: u16| -> u32 { u32::from(lo) | u32::from(hi) << 16 })),
            _ => (B32, lane!(|lo: u32, hi: u32| -> u64 { u64::from(lo) | u64::from(hi) << 32 })),
        };
        Some(spec([dst(t), vector("a", Access::Read, half, 2, false)], Meaning::Lane(eval)))
    });
    t.row(Op::Unpack, "9.7.9.4", "Unpacks a register into two.", &[types(&[B32, B64])], |m| {
        let t = ty(m, 0);
        let half = if t == B32 { B16 } else { B32 };
        Some(spec(
            [vector("d", Access::Write, half, 2, false), src("a", t)],
            Meaning::Lane(if t == B32 { halves::<16> } else { halves::<32> }),
        ))
    });
}

/// Splits each lane's value into its low and high `BITS`.
fn halves<const BITS: u32>(results: &mut [crate::table::Lanes], sources: &[crate::table::Lanes]) {
    let ([lo, hi, ..], [a, ..]) = (results, sources) else { return };
    for lane in 0..crate::table::WARP {
        lo[lane] = a[lane] & ((1 << BITS) - 1);
        hi[lane] = a[lane] >> BITS;
    }
}
