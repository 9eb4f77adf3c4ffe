//! Conversions, roundings, functions.

use super::{Case, F32, F64, Holds, Keeps, Loses, case};
use ptxgen_builder::analysis::precision::PolicyRule::{
    Approximate, Flush, LostBits, NarrowArithmetic, RoundingCount, RoundingInLoop, UnwrittenRounding,
};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Narrower types and back.
    case(F32, Loses(LostBits), "f16", "cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %z, %h0;"),
    case(F32, Loses(LostBits), "f16-toward-zero", "cvt.rz.f16.f32 %h0, %s; cvt.f32.f16 %z, %h0;"),
    case(F32, Loses(LostBits), "bf16", "cvt.rn.bf16.f32 %h0, %s; cvt.f32.bf16 %z, %h0;"),
    case(F32, Loses(LostBits), "bf16-by-its-bits", "cvt.rn.bf16.f32 %h0, %s; mov.b16 %h1, 0; mov.b32 %z, {%h1, %h0};"),
    case(F32, Loses(LostBits), "f16x2", "cvt.rn.f16x2.f32 %r0, %s, %s; mov.b32 {%h0, %h1}, %r0; cvt.f32.f16 %z, %h0;"),
    case(F32, Loses(LostBits), "bf16x2", "cvt.rn.bf16x2.f32 %r0, %s, %s; shl.b32 %r0, %r0, 16; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "f16-relu", "cvt.rn.relu.f16.f32 %h0, %s; cvt.f32.f16 %z, %h0;"),
    case(F64, Loses(LostBits), "f16-of-f64", "cvt.rn.f16.f64 %h0, %s; cvt.f64.f16 %z, %h0;"),
    case(F64, Loses(LostBits), "bf16-of-f64", "cvt.rn.bf16.f64 %h0, %s; cvt.f64.bf16 %z, %h0;"),
    case(F64, Loses(LostBits), "f16-after-f32", "cvt.rn.f32.f64 %f0, %s; cvt.rn.f16.f32 %h0, %f0; cvt.f32.f16 %f1, %h0; st.global.f32 [%y], %f1;"),
    case(F64, Loses(LostBits), "f32-toward-zero", "cvt.rz.f32.f64 %f0, %s; st.global.f32 [%y], %f0;"),
    case(F64, Loses(LostBits), "f32-up", "cvt.rp.f32.f64 %f0, %s; cvt.f64.f32 %z, %f0;"),
    case(F32, Holds, "input-of-bits", "ld.global.b32 %r0, [%b]; and.b32 %r0, %r0, 0x00ff00ff; cvt.rn.f32.u32 %f1, %r0; fma.rn.f32 %z, %f1, %f1, %s;"),
    case(F32, Holds, "input-in-f16-already", "ld.global.b16 %h0, [%b]; cvt.f32.f16 %f1, %h0; fma.rn.f32 %z, %f1, %f1, %s;"),
    // To f32 in the middle.
    case(F64, Loses(RoundingCount), "f32", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %z, %f0;"),
    case(F64, Holds, "f32-between-two-stages", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %w0, %f0; add.rn.f64 %z, %w0, 0d3FF8000000000000;").stages(Some(2)),
    case(F64, Loses(RoundingCount), "f32-where-nothing-is-said", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %z, %f0;").stages(None),
    case(F64, Loses(RoundingCount), "f32-before-an-f64-result", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %w0, %f0; add.rn.f64 %w0, %w0, 0d3FF8000000000000; st.global.f64 [%y], %w0;").stages(None),
    case(F64, Holds, "no-f32-where-nothing-is-said", "add.rn.f64 %w0, %s, 0d3FF8000000000000; st.global.f64 [%y], %w0;").stages(None),
    case(F64, Keeps, "one-f32-where-nothing-is-said", "mov.f64 %z, %s;").stages(None),
    case(F64, Loses(RoundingCount), "error-of-f32", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %w0, %f0; sub.rn.f64 %w1, %s, %w0; add.rn.f64 %z, %s, %w1;"),
    case(F64, Loses(RoundingInLoop), "f32-in-a-loop", "mov.f64 %z, %s; mov.u32 %r0, 0; L: cvt.rn.f32.f64 %f0, %z; cvt.f64.f32 %w0, %f0; add.rn.f64 %z, %w0, 0d3FF0000000000000; add.u32 %r0, %r0, 1; setp.lt.u32 %p0, %r0, 4; @%p0 bra L;"),
    case(F64, Loses(NarrowArithmetic), "f32-sum", "cvt.rn.f32.f64 %f0, %s; add.rn.f32 %f1, %f0, %f0; cvt.f64.f32 %z, %f1;"),
    case(F32, Loses(LostBits), "f32-of-an-f64-sum", "cvt.f64.f32 %w0, %s; add.rn.f64 %w0, %w0, %w0; cvt.rn.f32.f64 %f0, %w0; cvt.f64.f32 %w1, %f0; add.rn.f64 %w1, %w1, %w1; cvt.rn.f32.f64 %z, %w1;"),
    // Integers.
    case(F32, Loses(LostBits), "s32", "cvt.rni.s32.f32 %r0, %s; cvt.rn.f32.s32 %z, %r0;"),
    case(F32, Loses(LostBits), "u64", "cvt.rzi.u64.f32 %d0, %s; cvt.rn.f32.u64 %z, %d0;"),
    case(F32, Loses(LostBits), "s8", "cvt.rni.s8.f32 %r0, %s; cvt.rn.f32.s8 %z, %r0;"),
    case(F32, Loses(LostBits), "fixed-point", "mul.rn.f32 %f0, %s, 0f43800000; cvt.rni.s32.f32 %r0, %f0; cvt.rn.f32.s32 %f1, %r0; mul.rn.f32 %z, %f1, 0f3B800000;"),
    case(F32, Loses(LostBits), "fixed-point-times-one", "cvt.rni.s32.f32 %r0, %s; ld.global.b32 %r1, [%c]; mul.lo.s32 %r2, %r0, %r1; cvt.rn.f32.s32 %z, %r2;"),
    case(F32, Loses(LostBits), "power-without-remainder", "cvt.rni.s32.f32 %r0, %s; and.b32 %r0, %r0, 7; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "integral-power-without-remainder", "cvt.rni.f32.f32 %f0, %s; cvt.rzi.s32.f32 %r0, %f0; and.b32 %r0, %r0, 7; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "rni", "cvt.rni.f32.f32 %z, %s;"),
    case(F32, Loses(LostBits), "rzi", "cvt.rzi.f32.f32 %z, %s;"),
    case(F64, Loses(LostBits), "rmi", "cvt.rmi.f64.f64 %z, %s;"),
    case(F64, Loses(LostBits), "s64", "cvt.rni.s64.f64 %d0, %s; cvt.rn.f64.s64 %z, %d0;"),
    case(F64, Loses(LostBits), "bits-as-number", "mov.b64 %d0, %s; cvt.rn.f64.s64 %z, %d0;"),
    case(F64, Loses(LostBits), "half-as-f32", "mov.b64 {%r0, %r1}, %s; mov.b32 %f0, %r1; cvt.f64.f32 %z, %f0;"),
    // An exponential takes its argument apart into an integer and what remains.
    case(F32, Holds, "exponential", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; cvt.rni.f32.f32 %f1, %f0; neg.f32 %f2, %f1; fma.rn.f32 %f3, %f2, 0f3F317218, %s; fma.rn.f32 %f4, %f3, %f3, %f3; cvt.rzi.s32.f32 %r0, %f1; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; mul.rn.f32 %z, %f4, %f5;"),
    case(F64, Holds, "exponential", "mul.rn.f64 %w0, %s, 0d3FF71547652B82FE; cvt.rni.f64.f64 %w1, %w0; sub.rn.f64 %w2, %w0, %w1; fma.rn.f64 %w3, %w2, %w2, %w2; cvt.rzi.s32.f64 %r0, %w1; add.s32 %r0, %r0, 1023; shl.b32 %r1, %r0, 20; mov.u32 %r2, 0; mov.b64 %w4, {%r2, %r1}; mul.rn.f64 %z, %w3, %w4;"),
    case(F32, Loses(LostBits), "remainder-of-another", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; add.rn.f32 %f6, %s, %s; cvt.rni.f32.f32 %f1, %f0; sub.rn.f32 %f2, %f6, %f1; cvt.rzi.s32.f32 %r0, %f1; and.b32 %r0, %r0, 7; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; mul.rn.f32 %z, %f2, %f5;"),
    case(F32, Loses(LostBits), "integer-beside-its-remainder", "cvt.rni.f32.f32 %f1, %s; sub.rn.f32 %f2, %s, %f1; mul.rn.f32 %f3, %f2, 0f00000000; add.rn.f32 %z, %f1, %f3;"),
    // Directed roundings, clamps, flushes, what an assembler may fuse.
    case(F32, Loses(LostBits), "add-down", "add.rm.f32 %z, %s, 0f3DCCCCCD;"),
    case(F32, Loses(LostBits), "fma-toward-zero", "fma.rz.f32 %z, %s, 0f3F800001, 0f3DCCCCCD;"),
    case(F64, Loses(LostBits), "mul-up", "mul.rp.f64 %z, %s, 0d3FF0000000000001;"),
    case(F64, Loses(LostBits), "div-toward-zero", "div.rz.f64 %z, %s, 0d4008000000000000;"),
    case(F64, Loses(LostBits), "sqrt-down", "abs.f64 %w0, %s; sqrt.rm.f64 %z, %w0;"),
    case(F32, Loses(LostBits), "integer-toward-zero", "ld.global.s32 %r0, [%b]; cvt.rz.f32.s32 %f0, %r0; add.rn.f32 %z, %s, %f0;"),
    case(F32, Holds, "integer-to-nearest", "ld.global.s32 %r0, [%b]; cvt.rn.f32.s32 %f0, %r0; add.rn.f32 %z, %s, %f0;"),
    case(F32, Loses(LostBits), "add-saturated", "add.rn.sat.f32 %z, %s, 0f80000000;"),
    case(F32, Loses(LostBits), "saturated", "cvt.sat.f32.f32 %z, %s;"),
    case(F32, Keeps, "converted-to-its-own-type", "mov.f32 %f0, %s; mov.f32 %z, %f0;"),
    case(F32, Loses(Flush), "flushed", "add.rn.ftz.f32 %z, %s, 0f80000000;"),
    case(F32, Loses(Flush), "flushed-negation", "neg.ftz.f32 %z, %s;"),
    case(F32, Loses(UnwrittenRounding), "no-rounding-written", "mul.f32 %f0, %s, 0f3F800001; add.f32 %z, %f0, 0f3DCCCCCD;"),
    case(F32, Loses(Approximate), "approximate-reciprocal", "rcp.approx.f32 %z, %s;"),
    case(F32, Holds, "approximate-reciprocal-allowed", "rcp.approx.f32 %z, %s;").approximate(),
    case(F64, Holds, "approximate-exponential-allowed", "cvt.rn.f32.f64 %f0, %s; ex2.approx.f32 %f1, %f0; cvt.f64.f32 %z, %f1;").approximate(),
    case(F64, Loses(NarrowArithmetic), "approximate-exponential", "cvt.rn.f32.f64 %f0, %s; ex2.approx.f32 %f1, %f0; cvt.f64.f32 %z, %f1;"),
    case(F64, Loses(RoundingCount), "approximate-beside-a-rounding", "cvt.rn.f32.f64 %f0, %s; ex2.approx.f32 %f1, %f0; cvt.f64.f32 %w0, %f1; cvt.f64.f32 %w1, %f0; add.rn.f64 %z, %w0, %w1;").approximate(),
    // 16-bit arithmetic, matrices.
    case(F32, Loses(LostBits), "f16-sum", "cvt.rn.f16.f32 %h0, %s; fma.rn.f16 %h1, %h0, %h0, %h0; cvt.f32.f16 %z, %h1;"),
    case(F32, Loses(LostBits), "matrix", "cvt.rn.f16x2.f32 %r0, %s, %s; mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%z, %f1, %f2, %f3}, {%r0, %r0, %r0, %r0}, {%r0, %r0}, {%s, %s, %s, %s};"),
];
