//! Matrix instructions of a warp (PTX ISA 9.7.14).

use super::load_store::space;
use super::precision::{always, integer_product};
use super::{Builder, any, one, opt, spec, ty, types};
use crate::table::Precision;
use crate::table::slot::{Slot, address, dst, src_reg, vector};
use crate::table::{Access, Matrix, Meaning, Mod, Op};
use crate::types::ScalarType::{B16, B32, Bf16, F16, F32, S8, S32, U8, U32};

/// The slots of d = a b + c. Packed elements are unsigned, not bits: ptxas takes no float registers for them.
fn mma(d: Slot, a: u8, b: u8) -> [Slot; 4] {
    let c = Slot { name: "c", access: Access::Read, ..d };
    [d, vector("a", Access::Read, U32, a, false), vector("b", Access::Read, U32, b, false), c]
}

pub(super) fn rows(t: &mut Builder) {
    let shape = |k| [one(Mod::Aligned), one(k), one(Mod::Row), one(Mod::Col)];
    let mut float = shape(Mod::M16n8k16).to_vec();
    float.extend([types(&[F32, F16]), types(&[F16, Bf16]), types(&[F16, Bf16]), types(&[F32, F16])]);
    t.row(
        Op::MmaSync,
        "9.7.14.5.14",
        "Multiplies a 16 x 16 by a 16 x 8 matrix of 16-bit floats and adds.",
        |m: &[Mod]| Precision::MatrixProduct { input: ty(m, 1), acc: ty(m, 0) },
        &float,
        |m| {
            let (acc, input) = (ty(m, 0), ty(m, 1));
            if input != ty(m, 2) || acc != ty(m, 3) || (input, acc) == (Bf16, F16) {
                return None;
            }
            let d = match acc {
                F32 => vector("d", Access::Write, F32, 4, false),
                _ => vector("d", Access::Write, U32, 2, false),
            };
            Some(spec(mma(d, 4, 2), Meaning::Matrix(Matrix::FloatMma { input, acc })).since(70, 80))
        },
    );
    for (size, k, doc) in [
        (Mod::M16n8k16, 16, "Multiplies a 16 x 16 by a 16 x 8 matrix of bytes and adds."),
        (Mod::M16n8k32, 32, "Multiplies a 16 x 32 by a 32 x 8 matrix of bytes and adds."),
    ] {
        let mut places = shape(size).to_vec();
        places.extend([opt(&[Mod::Satfinite]), types(&[S32]), types(&[U8, S8]), types(&[U8, S8]), types(&[S32])]);
        t.row(Op::MmaSync, "9.7.14.5.14", doc, integer_product, &places, |m| {
            let d = vector("d", Access::Write, S32, 4, false);
            let satfinite = m.contains(&Mod::Satfinite);
            let meaning = Meaning::Matrix(Matrix::IntMma { k, a: ty(m, 1), b: ty(m, 2), satfinite });
            Some(spec(mma(d, k / 8, k / 16), meaning).since(70, 80))
        });
    }
    t.row(
        Op::Ldmatrix,
        "9.7.14.5.15",
        "Loads 1, 2 or 4 matrices of 8 x 8 16-bit elements, rows at the addresses of eight lanes each.",
        always(Precision::Loads),
        &[
            one(Mod::Aligned),
            one(Mod::M8n8),
            any(&[Mod::X1, Mod::X2, Mod::X4]),
            opt(&[Mod::Trans]),
            opt(&[Mod::Shared]),
            types(&[B16]),
        ],
        |m| {
            let count = match m[2] {
                Mod::X1 => 1,
                Mod::X2 => 2,
                _ => 4,
            };
            let trans = m.contains(&Mod::Trans);
            let slots = [vector("d", Access::Write, B32, count, false), address("p", space(m))];
            Some(spec(slots, Meaning::Matrix(Matrix::Load { count, trans })).since(65, 75))
        },
    );
    let doc = "Transposes a matrix of 8 x 8 16-bit elements across the lanes.";
    let places = [one(Mod::Aligned), one(Mod::M8n8), one(Mod::Trans), types(&[B16])];
    t.row(Op::Movmatrix, "9.7.14.5.17", doc, always(Precision::Opaque), &places, |_| {
        Some(spec([dst(U32), src_reg("a", U32)], Meaning::Matrix(Matrix::Transpose)).since(78, 75))
    });
    t.row(
        Op::Stmatrix,
        "9.7.14.5.16",
        "Stores 1, 2 or 4 matrices of 8 x 8 16-bit elements, rows at the addresses of eight lanes each.",
        always(Precision::Opaque),
        &[
            one(Mod::Aligned),
            one(Mod::M8n8),
            any(&[Mod::X1, Mod::X2, Mod::X4]),
            opt(&[Mod::Trans]),
            opt(&[Mod::Shared]),
            types(&[B16]),
        ],
        |m| {
            let count = match m[2] {
                Mod::X1 => 1,
                Mod::X2 => 2,
                _ => 4,
            };
            let trans = m.contains(&Mod::Trans);
            let slots = [address("p", space(m)), vector("r", Access::Read, B32, count, false)];
            Some(spec(slots, Meaning::Matrix(Matrix::Store { count, trans })).since(78, 90))
        },
    );
}
