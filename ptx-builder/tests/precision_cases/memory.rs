//! Global memory that the kernel writes itself, copies, and values that cross blocks.

use super::{Case, F32, F64, Holds, Keeps, Loses, Strict, case};
use ptxgen_builder::analysis::precision::PolicyRule::{FloatAtomic, LostBits, RoundingCount, RoundingInLoop};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case(F64, Keeps, "scratch", "st.global.f64 [%g], %s; ld.global.f64 %z, [%g];"),
    case(F64, Keeps, "scratch-as-halves", "mov.b64 {%r0, %r1}, %s; st.global.v2.b32 [%g], {%r0, %r1}; ld.global.v2.b32 {%r2, %r3}, [%g]; mov.b64 %z, {%r2, %r3};"),
    case(F64, Keeps, "module-variable", "mov.u64 %d0, module; mul.wide.u32 %d1, %t, 64; add.u64 %d0, %d0, %d1; st.global.f64 [%d0], %s; ld.global.f64 %z, [%d0];"),
    case(F64, Loses(RoundingCount), "f32-in-scratch", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%g], %f0; ld.global.f32 %f1, [%g]; cvt.f64.f32 %z, %f1;"),
    case(F64, Holds, "f32-in-scratch-after-a-stage", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%g], %f0; ld.global.f32 %f1, [%g]; cvt.f64.f32 %z, %f1;").stages(Some(2)),
    case(F64, Loses(RoundingCount), "f32-in-a-module-variable", "mov.u64 %d0, module; mul.wide.u32 %d1, %t, 64; add.u64 %d0, %d0, %d1; cvt.rn.f32.f64 %f0, %s; st.global.f32 [%d0], %f0; ld.global.f32 %f1, [%d0]; cvt.f64.f32 %z, %f1;"),
    case(F64, Loses(RoundingCount), "f32-in-the-result", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%yb], %f0; ld.global.f32 %f1, [%yb]; cvt.f64.f32 %w0, %f1; add.rn.f64 %w0, %w0, %s; cvt.rn.f32.f64 %f2, %w0; st.global.f32 [%y], %f2;"),
    case(F64, Loses(RoundingInLoop), "f32-in-scratch-in-a-loop", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%g], %f0; mov.u32 %r9, 0; L: ld.global.f32 %f1, [%g]; cvt.f64.f32 %w0, %f1; add.rn.f64 %z, %w0, %s; cvt.rn.f32.f64 %f2, %z; st.global.f32 [%g], %f2; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 4; @%p0 bra L;"),
    case(F32, Loses(LostBits), "scratch-16-lost", "st.global.f32 [%g], %s; mov.b16 %h0, 0; st.global.b16 [%g], %h0; ld.global.f32 %z, [%g];"),
    case(F64, Loses(LostBits), "scratch-half-lost", "st.global.f64 [%g], %s; mov.u32 %r0, 0; st.global.u32 [%g], %r0; ld.global.f64 %z, [%g];"),
    case(F64, Loses(LostBits), "scratch-high-half", "st.global.f64 [%g], %s; ld.global.b32 %r0, [%g+4]; mov.u32 %r1, 0; mov.b64 %z, {%r1, %r0};"),
    case(F32, Loses(LostBits), "scratch-f16", "cvt.rn.f16.f32 %h0, %s; st.global.b16 [%g], %h0; ld.global.b16 %h1, [%g]; cvt.f32.f16 %z, %h1;"),
    case(F32, Keeps, "scratch-through-a-generic-address", "cvta.global.u64 %d0, %g; st.f32 [%d0], %s; ld.global.f32 %z, [%g];"),
    case(F32, Loses(LostBits), "scratch-byte-lost-through-a-generic-address", "st.global.f32 [%g], %s; cvta.global.u64 %d0, %g; mov.u32 %r0, 0; st.u8 [%d0], %r0; ld.global.f32 %z, [%g];"),
    case(F32, Loses(LostBits), "scratch-byte-lost-by-way-of-another-buffer", "st.global.f32 [%g], %s; sub.u64 %d0, %g, %c; add.u64 %d1, %c, %d0; mov.u32 %r0, 0; st.global.u8 [%d1], %r0; ld.global.f32 %z, [%g];"),
    case(F32, Loses(LostBits), "scratch-byte-lost-at-an-address-from-memory", "st.global.f32 [%g], %s; st.global.u64 [%c], %g; ld.global.u64 %d0, [%c]; mov.u32 %r0, 0; st.global.u8 [%d0], %r0; ld.global.f32 %z, [%g];"),
    case(F32, Strict, "one-buffer-by-way-of-another", "st.global.f32 [%g], %s; sub.u64 %d0, %g, %c; add.u64 %d1, %c, %d0; ld.global.f32 %z, [%d1]; mov.u32 %r0, 0; st.global.u8 [%c], %r0;"),
    case(F32, Loses(LostBits), "result-16-lost", "st.global.f32 [%y], %s; mov.b16 %h0, 0; st.global.b16 [%y], %h0;"),
    case(F64, Loses(LostBits), "result-half-lost", "st.global.f64 [%y], %s; mov.u32 %r0, 0; st.global.u32 [%y], %r0;").stages(Some(0)),
    case(F64, Loses(LostBits), "result-half-lost-by-an-f32", "st.global.f64 [%y], %s; mul.rn.f64 %w0, %s, 0d4008000000000000; cvt.rn.f32.f64 %f0, %w0; st.global.f32 [%y], %f0;"),
    case(F64, Keeps, "result-and-a-flag", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%y], %f0; mov.u32 %r0, 0; st.global.u32 [%y+4], %r0;"),
    case(F64, Holds, "a-result-of-two-types", "st.global.f64 [%y], %s; cvt.rn.f32.f64 %f0, %s; st.global.f32 [%y+8], %f0;"),
    case(F64, Loses(LostBits), "a-result-of-two-types-that-moves", "mov.u32 %r9, 0; mul.rn.f64 %w0, %s, 0d4008000000000000; cvt.rn.f32.f64 %f0, %w0; L: st.global.f64 [%y], %s; st.global.f32 [%y+8], %f0; add.u64 %y, %y, 8; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 1; @%p0 bra L;"),
    case(F64, Loses(LostBits), "a-byte-of-a-result-in-halves", "mov.b64 {%r0, %r1}, %s; st.global.b32 [%y], %r0; st.global.b32 [%y+4], %r1; bar.sync 0; mov.u32 %r2, 0; st.global.u8 [%y], %r2;").stages(Some(0)),
    // In one step with others.
    case(F32, Loses(LostBits), "exchanged-in-scratch", "mov.b32 %r0, %s; atom.global.exch.b32 %r1, [%g], %r0; mov.b32 %z, %r1;"),
    case(F64, Loses(LostBits), "half-swapped-in-scratch", "st.global.f64 [%g], %s; mov.b64 {%r0, %r1}, %s; atom.global.cas.b32 %r2, [%g], %r0, 0; ld.global.f64 %z, [%g];"),
    case(F32, Loses(FloatAtomic), "added-in-scratch", "red.global.add.f32 [%g], %s; ld.global.f32 %z, [%g];"),
    case(F64, Loses(FloatAtomic), "result-added-in-memory", "red.global.add.f64 [%y], %s;").stages(Some(0)),
    case(F32, Loses(LostBits), "result-exchanged", "mov.b32 %r0, %s; atom.global.exch.b32 %r1, [%y], %r0;"),
    // Copies.
    case(F64, Keeps, "copied", "st.global.f64 [%g], %s; cp.async.ca.shared.global [%sa], [%g], 8; cp.async.wait_all; ld.shared.f64 %z, [%sa];"),
    case(F32, Keeps, "copied-with-what-is-beside-it", "st.global.v4.f32 [%g], {%s, %s, %s, %s}; cp.async.cg.shared.global [%sa], [%g], 16; cp.async.wait_all; ld.shared.f32 %z, [%sa+4];"),
    case(F32, Loses(LostBits), "copied-in-part", "st.global.f32 [%g], %s; cp.async.ca.shared.global [%sa], [%g], 4, 2; cp.async.wait_all; ld.shared.f32 %z, [%sa];"),
    case(F64, Loses(LostBits), "half-copied", "st.global.f64 [%g], %s; cp.async.ca.shared.global [%sa], [%g], 8, 4; cp.async.wait_all; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(LostBits), "half-copied-over", "st.global.f64 [%g], %s; st.shared.f64 [%sa], %s; cp.async.ca.shared.global [%sa], [%b], 4; cp.async.wait_all; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(LostBits), "copied-as-many-as-is-told", "ld.global.u32 %r0, [%c]; st.global.f64 [%g], %s; cp.async.ca.shared.global [%sa], [%g], 8, %r0; cp.async.wait_all; ld.shared.f64 %z, [%sa];"),
    case(F64, Loses(RoundingCount), "copied-as-f32", "cvt.rn.f32.f64 %f0, %s; st.global.f32 [%g], %f0; cp.async.ca.shared.global [%sa], [%g], 4; cp.async.wait_all; ld.shared.f32 %f1, [%sa]; cvt.f64.f32 %z, %f1;"),
    case(F32, Loses(LostBits), "16s-copied", "cvt.rn.f16.f32 %h0, %s; mov.b32 %r0, {%h0, %h0}; st.global.b32 [%g], %r0; cp.async.ca.shared.global [%sa], [%g], 4; cp.async.wait_all; ld.shared.b16 %h1, [%sa]; cvt.f32.f16 %z, %h1;"),
    case(F64, Holds, "bulk-copied-to-the-result", "shl.b32 %r8, %t, 4; mov.u32 %r9, other; add.u32 %r8, %r8, %r9; st.shared.v2.f64 [%r8], {%s, %s}; fence.proxy.async; bar.sync 0; cp.async.bulk.global.shared::cta.bulk_group [%y], [%r8], 16; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;").stages(Some(0)),
    case(F64, Loses(LostBits), "part-bulk-copied-to-the-result", "shl.b32 %r8, %t, 4; mov.u32 %r9, other; add.u32 %r8, %r8, %r9; st.shared.v2.f64 [%r8], {%s, %s}; mov.u32 %r0, 0; st.shared.u32 [%r8], %r0; fence.proxy.async; bar.sync 0; cp.async.bulk.global.shared::cta.bulk_group [%y], [%r8], 16; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;").stages(Some(0)),
    case(F32, Loses(LostBits), "f16-bulk-copied-to-the-result", "shl.b32 %r8, %t, 4; mov.u32 %r9, other; add.u32 %r8, %r8, %r9; cvt.rn.f16.f32 %h0, %s; st.shared.v4.b16 [%r8], {%h0, %h0, %h0, %h0}; fence.proxy.async; bar.sync 0; cp.async.bulk.global.shared::cta.bulk_group [%y], [%r8], 16; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;"),
    // From block to block: the last one sums what all have left.
    case(F64, Holds, "partial-sums-of-blocks", "mov.u32 %r0, %ctaid.x; mul.wide.u32 %d0, %r0, 64; add.u64 %d1, %gb, %d0; st.global.f64 [%d1], %s; membar.gl; mov.u32 %r1, 1; atom.global.add.u32 %r2, [%c], %r1; membar.gl; ld.global.f64 %w0, [%gb]; ld.global.f64 %w1, [%gb+64]; add.rn.f64 %z, %w0, %w1;"),
    case(F64, Loses(RoundingCount), "partial-sums-of-blocks-in-f32", "mov.u32 %r0, %ctaid.x; mul.wide.u32 %d0, %r0, 64; add.u64 %d1, %gb, %d0; cvt.rn.f32.f64 %f0, %s; st.global.f32 [%d1], %f0; membar.gl; mov.u32 %r1, 1; atom.global.add.u32 %r2, [%c], %r1; membar.gl; ld.global.f32 %f1, [%gb]; cvt.f64.f32 %w0, %f1; add.rn.f64 %z, %w0, %w0;"),
    case(F64, Loses(RoundingInLoop), "a-chain-of-blocks-in-f32", "ld.relaxed.gpu.global.u32 %r0, [%c]; ld.global.f32 %f0, [%gb]; cvt.f64.f32 %w0, %f0; add.rn.f64 %z, %w0, %s; cvt.rn.f32.f64 %f1, %z; st.global.f32 [%gb], %f1; membar.gl; mov.u32 %r1, 1; red.global.add.u32 [%c], %r1;"),
    case(F64, Loses(RoundingInLoop), "a-chain-of-blocks-in-f32-told-in-another-block-of-code", "ld.relaxed.gpu.global.u32 %r0, [%c]; ld.global.f32 %f0, [%gb]; cvt.f64.f32 %w0, %f0; add.rn.f64 %z, %w0, %s; cvt.rn.f32.f64 %f1, %z; st.global.f32 [%gb], %f1; setp.ne.u32 %p0, %t, 0; @%p0 bra N; mov.u32 %r1, 0; N: membar.gl;"),
    case(F64, Loses(LostBits), "a-counter-beside-the-sums", "st.global.f64 [%g], %s; membar.gl; mov.u32 %r1, 1; red.global.add.u32 [%g+32], %r1; ld.global.f64 %z, [%g];"),
    case(F64, Holds, "in-place-once", "ld.global.f32 %f0, [%y]; cvt.f64.f32 %w0, %f0; add.rn.f64 %w0, %w0, %s; cvt.rn.f32.f64 %f1, %w0; st.global.f32 [%y], %f1;"),
    case(F64, Loses(RoundingInLoop), "in-place-again-and-again", "mov.u32 %r9, 0; L: ld.global.f32 %f0, [%y]; cvt.f64.f32 %w0, %f0; add.rn.f64 %w0, %w0, %s; cvt.rn.f32.f64 %f1, %w0; st.global.f32 [%y], %f1; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 4; @%p0 bra L;"),
];
