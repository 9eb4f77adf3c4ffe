//! Ways to lose bits that few think of: narrow formats, odd integer instructions, flags, carries, aliases of memory, halves of
//! two threads, roundings on some paths; beside each kind, the way of a good author.

use super::{Case, F32, F64, Holds, Keeps, Loses, Strict, case};
use ptxgen_builder::analysis::precision::PolicyRule::{
    Approximate, FloatAtomic, LostBits, RoundingCount, UnwrittenRounding,
};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    // Formats of few bits.
    case(F32, Loses(LostBits), "tf32", "cvt.rna.tf32.f32 %r0, %s; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "tf32-to-nearest", "cvt.rn.tf32.f32 %r0, %s; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "tf32-toward-zero", "cvt.rz.relu.tf32.f32 %r0, %s; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "e4m3", "cvt.rn.satfinite.e4m3x2.f32 %h0, %s, %s; cvt.rn.f16x2.e4m3x2 %r0, %h0; mov.b32 {%h1, %h2}, %r0; cvt.f32.f16 %z, %h1;"),
    case(F32, Loses(LostBits), "e5m2-of-halves", "cvt.rn.f16x2.f32 %r0, %s, %s; cvt.rn.satfinite.e5m2x2.f16x2 %h0, %r0; cvt.rn.f16x2.e5m2x2 %r1, %h0; mov.b32 {%h1, %h2}, %r1; cvt.f32.f16 %z, %h2;"),
    case(F32, Loses(LostBits), "pair-of-f16-summed", "cvt.rn.f16x2.f32 %r0, %s, %s; add.rn.f16x2 %r1, %r0, %r0; mov.b32 {%h1, %h2}, %r1; cvt.f32.f16 %z, %h2;"),
    case(F64, Loses(LostBits), "tf32-of-a-rounded-sum", "cvt.rn.f32.f64 %f0, %s; cvt.rna.tf32.f32 %r0, %f0; mov.b32 %f1, %r0; st.global.f32 [%y], %f1;"),
    case(F32, Loses(LostBits), "matrix-of-tf32", "mov.b32 %r0, %s; mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%z, %f1, %f2, %f3}, {%r0, %r0}, {%r0}, {%s, %s, %s, %s};"),
    case(F64, Loses(LostBits), "matrix-of-f64", "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%z, %w1}, {%s}, {%s}, {%s, %s};"),
    case(F32, Strict, "transposed-twice", "mov.b32 %r0, %s; movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0; movmatrix.sync.aligned.m8n8.trans.b16 %r2, %r1; mov.b32 %z, %r2;"),
    case(F32, Loses(LostBits), "transposed", "mov.b32 %r0, %s; movmatrix.sync.aligned.m8n8.trans.b16 %r1, %r0; mov.b32 %z, %r1;"),
    // Integer instructions that are seldom seen.
    case(F32, Loses(LostBits), "24-bit-product", "mov.b32 %r0, %s; mul24.lo.u32 %r1, %r0, 1; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "high-half-of-a-product", "mov.b32 %r0, %s; mul.hi.u32 %r1, %r0, 0x10000; shl.b32 %r1, %r1, 16; mov.b32 %z, %r1;"),
    case(F32, Strict, "wide-product-with-one", "mov.b32 %r0, %s; mul.wide.u32 %d0, %r0, 1; cvt.u32.u64 %r1, %d0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "wide-product-with-a-power", "mov.b32 %r0, %s; mul.wide.u32 %d0, %r0, 4096; cvt.u32.u64 %r1, %d0; shr.u32 %r1, %r1, 12; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "difference-of-bits", "mov.b32 %r0, %s; sad.s32 %r1, %r0, 0, 0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "dot-of-bytes", "mov.b32 %r0, %s; dp4a.u32.u32 %r1, %r0, 0x00000001, 0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "bits-counted", "mov.b32 %r0, %s; popc.b32 %r1, %r0; cvt.rn.f32.u32 %z, %r1;"),
    case(F32, Loses(LostBits), "leading-zeros", "mov.b32 %r0, %s; clz.b32 %r1, %r0; cvt.rn.f32.u32 %z, %r1;"),
    case(F32, Loses(LostBits), "first-bit", "mov.b32 %r0, %s; bfind.u32 %r1, %r0; cvt.rn.f32.u32 %z, %r1;"),
    case(F32, Loses(LostBits), "extended-from-20", "mov.b32 %r0, %s; szext.wrap.u32 %r1, %r0, 20; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "magnitude-as-an-integer", "mov.b32 %r0, %s; neg.s32 %r1, %r0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "clamped-funnel", "mov.b32 %r0, %s; shf.r.clamp.b32 %r1, %r0, %r0, 9; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "a-byte-replicated", "mov.b32 %r0, %s; prmt.b32.rc8 %r1, %r0, 0, 3; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "edges-clamped", "mov.b32 %r0, %s; prmt.b32.ecl %r1, %r0, 0, 1; mov.b32 %z, %r1;"),
    case(F32, Keeps, "forward-four", "mov.b32 %r0, %s; prmt.b32.f4e %r1, %r0, %r0, 0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "backward-four", "mov.b32 %r0, %s; prmt.b32.b4e %r1, %r0, %r0, 3; mov.b32 %z, %r1;"),
    case(F32, Keeps, "all-bits-extracted", "mov.b32 %r0, %s; bfe.u32 %r1, %r0, 0, 32; mov.b32 %z, %r1;"),
    case(F32, Keeps, "all-bits-inserted", "mov.b32 %r0, %s; mov.u32 %r1, 77; bfi.b32 %r2, %r0, %r1, 0, 32; mov.b32 %z, %r2;"),
    case(F32, Loses(LostBits), "31-bits-extracted", "mov.b32 %r0, %s; bfe.u32 %r1, %r0, 1, 31; shl.b32 %r1, %r1, 1; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "low-byte-extended", "mov.b32 %r0, %s; cvt.u32.u8 %r1, %r0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "clamped-to-signed", "mov.b32 %r0, %s; cvt.sat.s32.u32 %r1, %r0; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "clamped-to-16", "mov.b32 %r0, %s; cvt.sat.u16.u32 %h0, %r0; cvt.u32.u16 %r1, %h0; shl.b32 %r1, %r1, 16; mov.b32 %z, %r1;"),
    case(F32, Loses(LostBits), "masked-by-lop3-with-another", "mul.rn.f32 %f0, %s, 0f40400000; mov.b32 %r0, %s; mov.b32 %r1, %f0; lop3.b32 %r2, 0xffff0000, %r0, %r1, 0xca; mov.b32 %z, %r2;"),
    case(F32, Keeps, "chosen-by-lop3-from-itself", "mov.b32 %r0, %s; mov.b32 %r1, %r0; lop3.b32 %r2, 0xffff0000, %r0, %r1, 0xca; mov.b32 %z, %r2;"),
    case(F32, Loses(LostBits), "halves-changed-places", "mov.b32 {%h0, %h1}, %s; mov.b32 %z, {%h1, %h0};"),
    case(F32, Loses(LostBits), "a-half-shifted", "mov.b32 {%h0, %h1}, %s; shr.u16 %h0, %h0, 8; shl.b16 %h0, %h0, 8; mov.b32 %z, {%h0, %h1};"),
    case(F64, Loses(LostBits), "carried", "mov.b64 {%r0, %r1}, %s; add.cc.u32 %r0, %r0, 0xfff; addc.u32 %r1, %r1, 0; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "48-bits", "mov.b64 %d0, %s; shr.u64 %d0, %d0, 16; shl.b64 %d0, %d0, 16; mov.b64 %z, %d0;"),
    case(F64, Loses(LostBits), "low-word-extended", "mov.b64 %d0, %s; cvt.u32.u64 %r0, %d0; cvt.s64.s32 %d1, %r0; mov.b64 %z, %d1;"),
    case(F64, Loses(LostBits), "low-word-by-xor", "mov.b64 %d0, %s; cvt.u32.u64 %r0, %d0; cvt.u64.u32 %d1, %r0; xor.b64 %d0, %d0, %d1; mov.b64 %z, %d0;"),
    case(F64, Loses(LostBits), "low-word-by-difference", "mov.b64 %d0, %s; and.b64 %d1, %d0, 0xfffff; sub.u64 %d0, %d0, %d1; mov.b64 %z, %d0;"),
    case(F64, Keeps, "128-bits", "{ .reg .b128 %x; mov.b64 %d0, %s; mov.b128 %x, {%d0, %d0}; mov.b128 {%d1, %d2}, %x; mov.b64 %z, %d2; }"),
    case(F32, Loses(LostBits), "high-word-of-the-wider", "cvt.f64.f32 %w0, %s; mov.b64 {%r0, %r1}, %w0; mov.u32 %r0, 0; mov.b64 %w1, {%r0, %r1}; cvt.rn.f32.f64 %z, %w1;"),
    case(F32, Loses(LostBits), "bits-added-across-lanes", "mov.b32 %r0, %s; redux.sync.add.s32 %r1, %r0, 0xffffffff; mov.b32 %z, %r1;"),
    // Functions and roundings.
    case(F32, Loses(Approximate), "approximate-quotient", "div.approx.f32 %z, %s, 0f40400000;"),
    case(F32, Loses(Approximate), "full-range-quotient", "div.full.f32 %z, %s, 0f40400000;"),
    case(F32, Loses(Approximate), "approximate-root", "abs.f32 %f0, %s; sqrt.approx.f32 %z, %f0;"),
    case(F32, Loses(Approximate), "approximate-tangent", "tanh.approx.f32 %z, %s;"),
    case(F64, Loses(UnwrittenRounding), "no-rounding-of-f64", "mul.f64 %w0, %s, 0d3FF0000000000001; add.f64 %z, %w0, 0d3FF8000000000000;"),
    case(F64, Loses(LostBits), "sum-up", "add.rp.f64 %z, %s, 0d3FF8000000000001;"),
    case(F32, Loses(LostBits), "fma-saturated", "fma.rn.sat.f32 %z, %s, 0f3F800000, 0f00000000;"),
    case(F32, Holds, "greater-magnitude", "max.xorsign.abs.f32 %z, %s, 0f3F800000;"),
    case(F64, Loses(RoundingCount), "f32-chosen", "cvt.rn.f32.f64 %f0, %s; max.f32 %f1, %f0, 0f00000000; neg.f32 %f2, %f1; cvt.f64.f32 %z, %f2;"),
    case(F64, Loses(RoundingCount), "f32-on-one-path", "mov.f64 %z, %s; setp.gt.u32 %p0, %t, 7; @%p0 bra SKIP; cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %z, %f0; SKIP:"),
    case(F64, Loses(RoundingCount), "f32-under-a-guard", "mov.f64 %z, %s; setp.gt.u32 %p0, %t, 7; cvt.rn.f32.f64 %f0, %s; @%p0 cvt.f64.f32 %z, %f0;"),
    case(F64, Loses(RoundingCount), "f32-selected", "cvt.rn.f32.f64 %f0, %s; cvt.f64.f32 %w0, %f0; setp.gt.u32 %p0, %t, 7; selp.f64 %z, %w0, %s, %p0;"),
    case(F64, Loses(RoundingCount), "f32-in-local-memory", "cvt.rn.f32.f64 %f0, %s; st.local.f32 [%l+8], %f0; ld.local.f32 %f1, [%l+8]; cvt.f64.f32 %z, %f1;"),
    case(F64, Loses(RoundingCount), "f32-of-another-lane", "cvt.rn.f32.f64 %f0, %s; shfl.sync.bfly.b32 %f1, %f0, 1, 31, 0xffffffff; cvt.f64.f32 %w0, %f1; add.rn.f64 %z, %s, %w0;"),
    case(F64, Loses(RoundingCount), "f32-in-a-pair", "cvt.rn.f32.f64 %f0, %s; mov.b64 %d0, {%f0, %f0}; mov.b64 {%f1, %f2}, %d0; cvt.f64.f32 %z, %f2;"),
    case(F64, Loses(LostBits), "f32-through-an-exchange", "cvt.rn.f32.f64 %f0, %s; mov.b32 %r0, %f0; atom.shared.exch.b32 %r1, [%sa], %r0; atom.shared.exch.b32 %r2, [%sa], 0; mov.b32 %f1, %r2; cvt.f64.f32 %z, %f1;"),
    case(F64, Loses(LostBits), "fixed-point", "mul.rn.f64 %w0, %s, 0d4130000000000000; cvt.rni.s64.f64 %d0, %w0; cvt.rn.f64.s64 %w1, %d0; mul.rn.f64 %z, %w1, 0d3EB0000000000000;"),
    case(F32, Loses(LostBits), "exponential-with-a-rounded-remainder", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; cvt.rni.f32.f32 %f1, %f0; sub.rn.f32 %f3, %f0, %f1; mul.rn.f32 %f4, %f3, 0f42000000; cvt.rni.f32.f32 %f4, %f4; cvt.rzi.s32.f32 %r0, %f1; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; mul.rn.f32 %z, %f4, %f5;"),
    case(F32, Loses(LostBits), "exponential-with-its-remainder-on-some-threads", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; cvt.rni.f32.f32 %f1, %f0; neg.f32 %f2, %f1; fma.rn.f32 %f3, %f2, 0f3F317218, %s; setp.gt.u32 %p0, %t, 7; selp.f32 %f4, %f3, 0f3F800000, %p0; cvt.rzi.s32.f32 %r0, %f1; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; mul.rn.f32 %z, %f4, %f5;"),
    case(F32, Loses(LostBits), "exponential-with-its-remainder-under-a-guard", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; cvt.rni.f32.f32 %f1, %f0; mov.f32 %f4, 0f3F800000; setp.gt.u32 %p0, %t, 7; neg.f32 %f2, %f1; @%p0 fma.rn.f32 %f4, %f2, 0f3F317218, %s; cvt.rzi.s32.f32 %r0, %f1; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; mul.rn.f32 %z, %f4, %f5;"),
    case(F32, Loses(LostBits), "exponential-with-its-remainder-in-another-result", "mul.rn.f32 %f0, %s, 0f3FB8AA3B; cvt.rni.f32.f32 %f1, %f0; sub.rn.f32 %f3, %f0, %f1; cvt.rzi.s32.f32 %r0, %f1; add.s32 %r0, %r0, 127; shl.b32 %r0, %r0, 23; mov.b32 %f5, %r0; st.global.f32 [%y], %f5; st.global.f32 [%y+4], %f3;"),
    // Memory of other widths, orders and spaces.
    case(F32, Keeps, "halves-by-shifts-in-memory", "mov.b32 %r0, %s; cvt.u16.u32 %h0, %r0; shr.u32 %r1, %r0, 16; cvt.u16.u32 %h1, %r1; st.shared.b16 [%sa], %h0; st.shared.b16 [%sa+2], %h1; ld.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "three-bytes", "mov.b32 %r0, %s; shr.u32 %r1, %r0, 8; shr.u32 %r2, %r0, 16; shr.u32 %r3, %r0, 24; mov.u32 %r4, 0; st.shared.u8 [%sa], %r4; st.shared.u8 [%sa+1], %r1; st.shared.u8 [%sa+2], %r2; st.shared.u8 [%sa+3], %r3; ld.shared.f32 %z, [%sa];"),
    case(F32, Keeps, "four-bytes", "mov.b32 %r0, %s; shr.u32 %r1, %r0, 8; shr.u32 %r2, %r0, 16; shr.u32 %r3, %r0, 24; st.shared.u8 [%sa], %r0; st.shared.u8 [%sa+1], %r1; st.shared.u8 [%sa+2], %r2; st.shared.u8 [%sa+3], %r3; ld.shared.f32 %z, [%sa];"),
    case(F32, Keeps, "bytes-of-a-vector", "st.shared.f32 [%sa], %s; ld.shared.v4.u8 {%r0, %r1, %r2, %r3}, [%sa]; shl.b32 %r1, %r1, 8; shl.b32 %r2, %r2, 16; shl.b32 %r3, %r3, 24; or.b32 %r0, %r0, %r1; or.b32 %r2, %r2, %r3; or.b32 %r0, %r0, %r2; mov.b32 %z, %r0;"),
    case(F32, Loses(LostBits), "bytes-of-a-vector-in-another-order", "st.shared.f32 [%sa], %s; ld.shared.v4.u8 {%r1, %r0, %r2, %r3}, [%sa]; shl.b32 %r1, %r1, 8; shl.b32 %r2, %r2, 16; shl.b32 %r3, %r3, 24; or.b32 %r0, %r0, %r1; or.b32 %r2, %r2, %r3; or.b32 %r0, %r0, %r2; mov.b32 %z, %r0;"),
    case(F32, Keeps, "volatile", "st.volatile.shared.f32 [%sa], %s; ld.volatile.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "volatile-half", "st.volatile.shared.f32 [%sa], %s; ld.volatile.shared.u16 %h0, [%sa+2]; mov.b16 %h1, 0; mov.b32 %z, {%h1, %h0};"),
    case(F64, Keeps, "released-and-acquired", "st.release.gpu.global.f64 [%g], %s; ld.acquire.gpu.global.f64 %z, [%g];"),
    case(F64, Loses(LostBits), "half-released", "st.release.gpu.global.f64 [%g], %s; mov.u32 %r0, 0; st.release.gpu.global.u32 [%g], %r0; ld.acquire.gpu.global.f64 %z, [%g];"),
    case(F32, Loses(LostBits), "half-lost-in-the-cluster", "st.shared.f32 [%sa], %s; mapa.shared::cluster.u32 %r0, %sa, 0; mov.b16 %h0, 0; st.shared::cluster.b16 [%r0], %h0; ld.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "byte-lost-between-arrays", "st.shared.f32 [%sa], %s; mov.u32 %r0, other; sub.u32 %r1, %sa, %r0; add.u32 %r2, %r0, %r1; mov.u32 %r3, 0; st.shared.u8 [%r2], %r3; ld.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "byte-lost-in-a-chosen-array", "st.shared.f32 [%sa], %s; mov.u32 %r0, other; setp.lt.u32 %p0, %t, 9; selp.b32 %r1, %sa, %r0, %p0; mov.u32 %r3, 0; st.shared.u8 [%r1], %r3; ld.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "byte-lost-in-local-by-an-alias", "st.local.f32 [%l], %s; cvta.local.u64 %d0, %l; mov.u32 %r3, 0; st.u8 [%d0+1], %r3; ld.local.f32 %z, [%l];"),
    case(F32, Loses(LostBits), "byte-lost-under-a-guard", "st.shared.f32 [%sa], %s; setp.lt.u32 %p0, %t, 9; mov.u32 %r3, 0; @%p0 st.shared.u8 [%sa+1], %r3; ld.shared.f32 %z, [%sa];"),
    case(F32, Loses(LostBits), "discarded", "st.global.f32 [%g], %s; and.b64 %d0, %g, -128; discard.global.L2 [%d0], 128; ld.global.f32 %z, [%g];"),
    case(F64, Loses(LostBits), "halves-of-two-threads", "mov.b64 {%r0, %r1}, %s; st.shared.b32 [%sa], %r0; xor.b32 %r2, %t, 1; shl.b32 %r2, %r2, 6; mov.u32 %r3, sh; add.u32 %r2, %r2, %r3; st.shared.b32 [%r2+4], %r1; bar.sync 0; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(LostBits), "halves-of-two-threads-read", "st.shared.f64 [%sa], %s; xor.b32 %r2, %t, 1; shl.b32 %r2, %r2, 6; mov.u32 %r3, sh; add.u32 %r2, %r2, %r3; bar.sync 0; ld.shared.b32 %r0, [%sa]; ld.shared.b32 %r1, [%r2+4]; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "half-stored-by-some", "mul.rn.f64 %w0, %s, 0d4008000000000000; st.shared.f64 [%sa], %w0; mov.b64 {%r0, %r1}, %s; setp.lt.u32 %p0, %t, 9; @%p0 st.shared.b32 [%sa], %r0; st.shared.b32 [%sa+4], %r1; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(LostBits), "halves-stored-in-turn", "mov.f64 %w0, %s; mov.u32 %r9, 0; mov.u32 %r1, 0; L: st.shared.b32 [%sa+4], %r1; mul.rn.f64 %w0, %w0, 0d3FF199999999999A; mov.b64 {%r0, %r1}, %w0; st.shared.b32 [%sa], %r0; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra L; ld.shared.f64 %z, [%sa];"),
    case(F64, Strict, "halves-stored-beside-a-pointer-that-goes-on", "mov.b64 {%r0, %r1}, %s; mov.u32 %r2, %sa; st.shared.b32 [%r2], %r0; add.u32 %r2, %r2, 8; st.shared.b32 [%r2+-4], %r1; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(LostBits), "vector-of-halves-of-two", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; st.shared.v2.b32 [%sa], {%r2, %r1}; ld.shared.f64 %z, [%sa];"),
    // Results.
    case(F32, Loses(LostBits), "result-in-f16-by-a-generic-address", "cvta.global.u64 %d0, %y; cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %f0, %h0; st.f32 [%d0], %f0; mov.u32 %r0, 0; st.global.u32 [%y], %r0;"),
    case(F32, Loses(LostBits), "result-at-an-address-from-memory", "st.global.f32 [%y], %s; st.global.u64 [%c], %y; ld.global.u64 %d0, [%c]; cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %f0, %h0; st.global.f32 [%d0], %f0;"),
    case(F32, Loses(LostBits), "result-by-way-of-another-buffer", "st.global.f32 [%y], %s; sub.u64 %d0, %y, %c; add.u64 %d1, %c, %d0; cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %f0, %h0; st.global.f32 [%d1], %f0;"),
    case(F32, Loses(LostBits), "result-masked-in-memory", "st.global.f32 [%y], %s; mov.u32 %r0, 0xffff0000; red.global.and.b32 [%y], %r0;"),
    // In one step with others.
    case(F32, Loses(LostBits), "greatest-by-its-bits", "mov.b32 %r0, %s; red.global.max.s32 [%g], %r0; ld.global.f32 %z, [%g];"),
    case(F64, Loses(LostBits), "integer-added-to-an-f64", "st.global.f64 [%g], %s; mov.u64 %d0, 4095; red.global.add.u64 [%g], %d0; ld.global.f64 %z, [%g];"),
    case(F64, Loses(LostBits), "f64-swapped-whole", "mov.b64 %d0, %s; atom.global.cas.b64 %d1, [%g], 0, %d0; ld.global.f64 %z, [%g];"),
    case(F32, Loses(FloatAtomic), "vector-added-in-memory", "red.global.add.v2.f32 [%g], {%s, %s}; ld.global.f32 %z, [%g];"),
    case(F32, Loses(LostBits), "halves-added-in-memory", "cvt.rn.f16x2.f32 %r0, %s, %s; red.global.add.noftz.f16x2 [%g], %r0; ld.global.b16 %h0, [%g]; cvt.f32.f16 %z, %h0;"),
];

/// What the interpreter does not run.
#[test]
fn what_is_not_known_may_store() {
    let plain = super::Case { body: "", name: "stored", ..CASES[0] };
    let before = "cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %f0, %h0; st.global.f32 [%y], %s;";
    assert!(plain.holds(before));
    for way in ["multimem.st.relaxed.gpu.global.f32 [%y], %f0;", "multimem.red.relaxed.gpu.global.add.f32 [%y], %f0;"] {
        assert!(!plain.holds(&format!("{before} {way}")), "{way}");
    }
    let call = "{ .param .b64 p; .param .b32 v; st.param.b64 [p], %y; st.param.b32 [v], %f0; call NAME, (p, v); }";
    let declared = |name: &str| plain.text(&format!("{before} {}", call.replace("NAME", name)));
    let holds = |name: &str, params: &str| {
        let text = declared(name).replacen(".global", &format!(".extern .func {name}({params});\n.global"), 1);
        let module = super::parse("case.ptx", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let module = super::verify(module).unwrap_or_else(|e| panic!("{e}\n{text}"));
        super::check(&module, 0, &plain.wanted()).is_ok()
    };
    assert!(!holds("elsewhere", ".param .b64 p, .param .b32 v"), "a function may store");
}
