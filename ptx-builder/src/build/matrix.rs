//! Warp-wide matrix products. Fragments are laid out as in PTX ISA 9.7.14.

use smallvec::SmallVec;

use super::pointer::Shared;
use super::state::emit;
use super::val::push_all;
use super::{Bf16x2, Body, F16x2, Scalar, Val};
use crate::ir::Operand;
use crate::table::{Mod, Op};
use crate::types::ScalarType;

#[track_caller]
fn mma<A: Scalar, D: Scalar>(mods: &[Mod], a: [Val<A>; 4], b: [Val<A>; 2], c: [Val<D>; 4]) -> [Val<D>; 4] {
    let d = Val::<D>::fresh_array();
    let mut operands: SmallVec<[Operand; 16]> = SmallVec::new();
    push_all(&mut operands, &d);
    push_all(&mut operands, &a);
    push_all(&mut operands, &b);
    push_all(&mut operands, &c);
    emit(Op::MmaSync, mods, &operands);
    d
}

fn mods(shape: Mod, d: ScalarType, input: ScalarType) -> [Mod; 8] {
    let types = [d, input, input, d].map(Mod::Ty);
    [Mod::Aligned, shape, Mod::Row, Mod::Col, types[0], types[1], types[2], types[3]]
}

impl Body {
    /// `a * b + c` for 16 x 16 times 16 x 8 of f16, summed in f32 (sm_80). The hardware determines the order of the
    /// sum.
    /// Executed by the whole warp; fragments as in PTX ISA 9.7.14, `a` in rows, `b` in columns.
    #[track_caller]
    pub fn mma_f16(&self, a: [Val<F16x2>; 4], b: [Val<F16x2>; 2], c: [Val<f32>; 4]) -> [Val<f32>; 4] {
        mma(&mods(Mod::M16n8k16, ScalarType::F32, ScalarType::F16), a, b, c)
    }

    /// `a * b + c` for 16 x 16 times 16 x 8 of bf16, summed in f32 (sm_80). The hardware determines the order of the
    /// sum.
    /// Executed by the whole warp; fragments as in PTX ISA 9.7.14, `a` in rows, `b` in columns.
    #[track_caller]
    pub fn mma_bf16(&self, a: [Val<Bf16x2>; 4], b: [Val<Bf16x2>; 2], c: [Val<f32>; 4]) -> [Val<f32>; 4] {
        mma(&mods(Mod::M16n8k16, ScalarType::F32, ScalarType::Bf16), a, b, c)
    }

    /// `a * b + c` for 16 x 32 times 32 x 8 of signed bytes, four per register; exact, wrapping (sm_80).
    /// Executed by the whole warp; fragments as in PTX ISA 9.7.14, `a` in rows, `b` in columns.
    #[track_caller]
    pub fn mma_s8(&self, a: [Val<u32>; 4], b: [Val<u32>; 2], c: [Val<i32>; 4]) -> [Val<i32>; 4] {
        mma(&mods(Mod::M16n8k32, ScalarType::S32, ScalarType::S8), a, b, c)
    }

    /// Four 8 x 8 matrices of 16-bit elements from shared memory; lane i provides the address of row i, 16 bytes.
    /// `bitcast` the results to `F16x2` for [`mma_f16`](Self::mma_f16).
    #[track_caller]
    pub fn load_matrix_x4(&self, row: Shared<u16>) -> [Val<u32>; 4] {
        let d = Val::<u32>::fresh_array();
        let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
        push_all(&mut operands, &d);
        operands.push(row.operand());
        let m = [Mod::Aligned, Mod::M8n8, Mod::X4, Mod::Shared, Mod::Ty(ScalarType::B16)];
        emit(Op::Ldmatrix, &m, &operands);
        d
    }
}
