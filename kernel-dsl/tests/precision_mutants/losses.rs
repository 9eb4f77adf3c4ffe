//! Ways to lose bits of a value, as PTX from `%x` to `%y`.
//!
//! Each is a loss for (almost) every value of the type, whatever the kernel. What is only further
//! arithmetic in the policy's own type and rounding, such as adding a large constant and
//! subtracting it again, is not here: a policy names types and roundings and cannot tell such a sum
//! from one that was meant. For the same reason nothing is taken away that was not there: sites
//! where the value is a widened narrower one, or is narrowed next anyway, are not chosen
//! (see [`sites`](super::sites)).

use crate::snippet::Of::{self, F32, F64};

/// When a loss is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Under every policy.
    Always,
    /// Where the value is not rounded to f32 next anyway.
    Wide,
    /// Where math is exact.
    Exact,
}

/// A way to lose bits.
pub struct Loss {
    pub name: &'static str,
    pub of: Of,
    pub when: When,
    pub text: &'static str,
}

const fn loss(of: Of, when: When, name: &'static str, text: &'static str) -> Loss {
    Loss { name, of, when, text }
}

use When::{Always, Exact, Wide};

#[rustfmt::skip]
pub const LOSSES: &[Loss] = &[
    // Narrower floats.
    loss(F32, Always, "f16", "cvt.rn.f16.f32 %h0, %x; cvt.f32.f16 %y, %h0;"),
    loss(F32, Always, "f16-toward-zero", "cvt.rz.f16.f32 %h0, %x; cvt.f32.f16 %y, %h0;"),
    loss(F32, Always, "bf16", "cvt.rn.bf16.f32 %h0, %x; mov.b16 %h1, 0; mov.b32 %r0, {%h1, %h0}; mov.b32 %y, %r0;"),
    loss(F32, Always, "f16x2", "cvt.rn.f16x2.f32 %r0, %x, %x; mov.b32 {%h0, %h1}, %r0; cvt.f32.f16 %y, %h1;"),
    loss(F32, Always, "bf16x2", "cvt.rn.bf16x2.f32 %r0, %x, %x; and.b32 %r0, %r0, 0xffff0000; mov.b32 %y, %r0;"),
    loss(F32, Always, "f16-sum", "cvt.rn.f16.f32 %h0, %x; fma.rn.f16 %h0, %h0, %h0, %h0; cvt.f32.f16 %y, %h0;"),
    loss(F32, Always, "f16-in-shared", "SHARED cvt.rn.f16.f32 %h0, %x; st.shared.b16 [%s], %h0; ld.shared.b16 %h1, [%s]; cvt.f32.f16 %y, %h1;"),
    loss(F64, Wide, "f32", "cvt.rn.f32.f64 %f0, %x; cvt.f64.f32 %y, %f0;"),
    loss(F64, Wide, "f32-toward-zero", "cvt.rz.f32.f64 %f0, %x; cvt.f64.f32 %y, %f0;"),
    loss(F64, Always, "f16-of-f64", "cvt.rn.f32.f64 %f0, %x; cvt.rn.f16.f32 %h0, %f0; cvt.f32.f16 %f1, %h0; cvt.f64.f32 %y, %f1;"),
    loss(F64, Wide, "f32-in-shared", "SHARED cvt.rn.f32.f64 %f0, %x; st.shared.f32 [%s], %f0; ld.shared.f32 %f1, [%s]; cvt.f64.f32 %y, %f1;"),
    loss(F64, Wide, "f32-in-local", "LOCAL cvt.rn.f32.f64 %f0, %x; st.local.f32 [%l], %f0; ld.local.f32 %f1, [%l]; cvt.f64.f32 %y, %f1;"),
    loss(F64, Wide, "f32-in-global", "GLOBAL cvt.rn.f32.f64 %f0, %x; st.global.f32 [%g], %f0; ld.global.f32 %f1, [%g]; cvt.f64.f32 %y, %f1;"),
    loss(F64, Wide, "f32-product", "cvt.rn.f32.f64 %f0, %x; mul.rn.f32 %f0, %f0, %f0; cvt.f64.f32 %y, %f0;"),
    loss(F64, Wide, "f32-error", "cvt.rn.f32.f64 %f0, %x; cvt.f64.f32 %w0, %f0; sub.rn.f64 %y, %x, %w0;"),
    // Integers.
    loss(F32, Always, "s32", "cvt.rni.s32.f32 %r0, %x; cvt.rn.f32.s32 %y, %r0;"),
    loss(F32, Always, "u32", "cvt.rzi.u32.f32 %r0, %x; cvt.rn.f32.u32 %y, %r0;"),
    loss(F32, Always, "s64", "cvt.rzi.s64.f32 %d0, %x; cvt.rn.f32.s64 %y, %d0;"),
    loss(F32, Always, "s16", "cvt.rmi.s16.f32 %h0, %x; cvt.rn.f32.s16 %y, %h0;"),
    loss(F32, Always, "rni", "cvt.rni.f32.f32 %y, %x;"),
    loss(F32, Always, "rzi", "cvt.rzi.f32.f32 %y, %x;"),
    loss(F64, Always, "s32-of-f64", "cvt.rni.s32.f64 %r0, %x; cvt.rn.f64.s32 %y, %r0;"),
    loss(F64, Always, "s64-of-f64", "cvt.rpi.s64.f64 %d0, %x; cvt.rn.f64.s64 %y, %d0;"),
    loss(F64, Always, "rni-of-f64", "cvt.rni.f64.f64 %y, %x;"),
    loss(F64, Always, "rmi-of-f64", "cvt.rmi.f64.f64 %y, %x;"),
    // Other roundings of further arithmetic; flushes, saturation, contraction.
    loss(F32, Always, "mul-rz", "mul.rz.f32 %y, %x, 0f3F800001;"),
    loss(F32, Always, "add-rm", "add.rm.f32 %y, %x, 0f3DCCCCCD;"),
    loss(F32, Always, "fma-rp", "fma.rp.f32 %y, %x, 0f3F800001, 0f3DCCCCCD;"),
    loss(F64, Always, "mul-rz-of-f64", "mul.rz.f64 %y, %x, 0d3FF0000000000001;"),
    loss(F64, Always, "add-rm-of-f64", "add.rm.f64 %y, %x, 0d3FB999999999999A;"),
    loss(F64, Always, "fma-rp-of-f64", "fma.rp.f64 %y, %x, 0d3FF0000000000001, 0d3FB999999999999A;"),
    loss(F32, Always, "add-ftz", "add.rn.ftz.f32 %y, %x, 0f80000000;"),
    loss(F32, Always, "neg-ftz", "neg.ftz.f32 %f0, %x; neg.f32 %y, %f0;"),
    loss(F32, Always, "add-sat", "add.rn.sat.f32 %y, %x, 0f80000000;"),
    loss(F32, Always, "cvt-sat", "cvt.sat.f32.f32 %y, %x;"),
    loss(F32, Always, "unwritten", "mul.f32 %f0, %x, 0f3F800001; add.f32 %y, %f0, 0f3DCCCCCD;"),
    loss(F64, Always, "unwritten-of-f64", "mul.f64 %w0, %x, 0d3FF0000000000001; add.f64 %y, %w0, 0d3FB999999999999A;"),
    // Approximate functions.
    loss(F32, Exact, "ex2-lg2", "ex2.approx.f32 %f0, %x; lg2.approx.f32 %y, %f0;"),
    loss(F32, Exact, "rcp-twice", "rcp.approx.f32 %f0, %x; rcp.approx.f32 %y, %f0;"),
    loss(F32, Exact, "div-approx", "div.approx.f32 %y, %x, 0f3F800001;"),
    loss(F32, Exact, "div-full", "div.full.f32 %y, %x, 0f3F800001;"),
    loss(F32, Exact, "sqrt-approx", "sqrt.approx.f32 %f0, %x; mul.rn.f32 %y, %f0, %f0;"),
    // The bits.
    loss(F32, Always, "and", "mov.b32 %r0, %x; and.b32 %r1, %r0, 0xfffff000; mov.b32 %y, %r1;"),
    loss(F32, Always, "and-unknown", "mov.b32 %r0, %x; mov.u32 %r1, %tid.x; and.b32 %r0, %r0, %r1; mov.b32 %y, %r0;"),
    loss(F32, Always, "or", "mov.b32 %r0, %x; or.b32 %r1, %r0, 4095; mov.b32 %y, %r1;"),
    loss(F32, Always, "xor", "mov.b32 %r0, %x; xor.b32 %r1, %r0, 2049; mov.b32 %y, %r1;"),
    loss(F32, Always, "not", "mov.b32 %r0, %x; not.b32 %r1, %r0; mov.b32 %y, %r1;"),
    loss(F32, Always, "shr-shl", "mov.b32 %r0, %x; shr.u32 %r1, %r0, 12; shl.b32 %r1, %r1, 12; mov.b32 %y, %r1;"),
    loss(F32, Always, "prmt", "mov.b32 %r0, %x; prmt.b32 %r1, %r0, 0, 0x3244; mov.b32 %y, %r1;"),
    loss(F32, Always, "bfi", "mov.b32 %r0, %x; bfi.b32 %r1, 0, %r0, 0, 12; mov.b32 %y, %r1;"),
    loss(F32, Always, "bfe", "mov.b32 %r0, %x; bfe.u32 %r1, %r0, 12, 20; shl.b32 %r1, %r1, 12; mov.b32 %y, %r1;"),
    loss(F32, Always, "lop3", "mov.b32 %r0, %x; lop3.b32 %r1, %r0, 0xfffff000, 0, 0xc0; mov.b32 %y, %r1;"),
    loss(F32, Always, "shf", "mov.b32 %r0, %x; mov.b32 %r1, 0; shf.l.wrap.b32 %r2, %r1, %r0, 8; mov.b32 %y, %r2;"),
    loss(F32, Always, "integer-add", "mov.b32 %r0, %x; add.u32 %r1, %r0, 4095; mov.b32 %y, %r1;"),
    loss(F32, Always, "integer-mul", "mov.b32 %r0, %x; mul.lo.u32 %r1, %r0, 65536; mov.b32 %y, %r1;"),
    loss(F32, Always, "dp4a", "mov.b32 %r0, %x; dp4a.u32.u32 %r1, %r0, 0x01010101, 0; mov.b32 %y, %r1;"),
    loss(F32, Always, "u16-of-bits", "mov.b32 %r0, %x; cvt.u16.u32 %h0, %r0; cvt.u32.u16 %r1, %h0; mov.b32 %y, %r1;"),
    loss(F32, Always, "bits-as-number", "mov.b32 %r0, %x; cvt.rn.f32.u32 %y, %r0;"),
    loss(F32, Always, "low-16-zero", "mov.b32 {%h0, %h1}, %x; mov.b16 %h2, 0; mov.b32 %y, {%h2, %h1};"),
    loss(F32, Always, "16s-swapped", "mov.b32 {%h0, %h1}, %x; mov.b32 %y, {%h1, %h0};"),
    loss(F32, Always, "16-twice", "mov.b32 {%h0, %h1}, %x; mov.b32 %y, {%h1, %h1};"),
    loss(F32, Always, "16s-of-two", "mul.rn.f32 %f0, %x, 0f40400000; mov.b32 {%h0, %h1}, %x; mov.b32 {%h2, %h3}, %f0; mov.b32 %y, {%h2, %h1};"),
    loss(F64, Always, "low-and", "mov.b64 {%r0, %r1}, %x; and.b32 %r0, %r0, 0xff000000; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "low-or", "mov.b64 {%r0, %r1}, %x; or.b32 %r0, %r0, 0xffff; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "low-add", "mov.b64 {%r0, %r1}, %x; add.u32 %r0, %r0, 65535; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "low-prmt", "mov.b64 {%r0, %r1}, %x; prmt.b32 %r0, %r0, %r1, 0x4210; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "low-shf", "mov.b64 {%r0, %r1}, %x; shf.l.wrap.b32 %r2, %r0, %r1, 8; mov.b64 %y, {%r0, %r2};"),
    loss(F64, Always, "low-lop3", "mov.b64 {%r0, %r1}, %x; lop3.b32 %r0, %r0, %r1, 0, 0xc0; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "high-and", "mov.b64 {%r0, %r1}, %x; and.b32 %r1, %r1, 0xffff0000; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "and-of-f64", "mov.b64 %d0, %x; and.b64 %d1, %d0, 0xffffffff00000000; mov.b64 %y, %d1;"),
    loss(F64, Always, "xor-of-f64", "mov.b64 %d0, %x; xor.b64 %d1, %d0, 65535; mov.b64 %y, %d1;"),
    loss(F64, Always, "shr-shl-of-f64", "mov.b64 %d0, %x; shr.u64 %d1, %d0, 32; shl.b64 %d1, %d1, 32; mov.b64 %y, %d1;"),
    loss(F64, Always, "bfi-of-f64", "mov.b64 %d0, %x; mov.b64 %d1, 0; bfi.b64 %d2, %d1, %d0, 0, 30; mov.b64 %y, %d2;"),
    loss(F64, Always, "bfe-of-f64", "mov.b64 %d0, %x; bfe.u64 %d1, %d0, 16, 48; mov.b64 %y, %d1;"),
    loss(F64, Always, "integer-add-of-f64", "mov.b64 %d0, %x; add.s64 %d1, %d0, 65535; mov.b64 %y, %d1;"),
    loss(F64, Always, "u32-of-bits", "mov.b64 %d0, %x; cvt.u32.u64 %r0, %d0; cvt.u64.u32 %d1, %r0; mov.b64 %y, %d1;"),
    loss(F64, Always, "low-half-zero", "mov.b64 {%r0, %r1}, %x; mov.b32 %r2, 0; mov.b64 %y, {%r2, %r1};"),
    loss(F64, Always, "halves-swapped", "mov.b64 {%r0, %r1}, %x; mov.b64 %y, {%r1, %r0};"),
    loss(F64, Always, "half-twice", "mov.b64 {%r0, %r1}, %x; mov.b64 %y, {%r1, %r1};"),
    loss(F64, Always, "halves-of-two", "mul.rn.f64 %w0, %x, 0d4008000000000000; mov.b64 {%r0, %r1}, %x; mov.b64 {%r2, %r3}, %w0; mov.b64 %y, {%r2, %r1};"),
    // Memory, in pieces and with other widths.
    loss(F32, Always, "shared-16-lost", "SHARED st.shared.f32 [%s], %x; mov.b16 %h0, 0; st.shared.b16 [%s], %h0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "shared-byte-lost", "SHARED st.shared.f32 [%s], %x; mov.b16 %h0, 0; st.shared.u8 [%s+1], %h0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "shared-16s-swapped", "SHARED mov.b32 {%h0, %h1}, %x; st.shared.b16 [%s], %h1; st.shared.b16 [%s+2], %h0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "shared-read-16", "SHARED st.shared.f32 [%s], %x; ld.shared.b16 %h0, [%s+2]; mov.b16 %h1, 0; mov.b32 %y, {%h1, %h0};"),
    loss(F32, Always, "shared-read-at-2", "SHARED st.shared.v2.f32 [%s], {%x, %x}; ld.shared.b16 %h0, [%s+2]; ld.shared.b16 %h1, [%s+4]; mov.b32 %y, {%h0, %h1};"),
    loss(F32, Always, "shared-f64-of-two", "SHARED st.shared.v2.f32 [%s], {%x, %x}; ld.shared.f64 %w0, [%s]; cvt.rn.f32.f64 %y, %w0;"),
    loss(F32, Always, "local-byte-lost", "LOCAL st.local.f32 [%l], %x; mov.b16 %h0, 0; st.local.u8 [%l], %h0; ld.local.f32 %y, [%l];"),
    loss(F32, Always, "global-16-lost", "GLOBAL st.global.f32 [%g], %x; mov.b16 %h0, 0; st.global.b16 [%g], %h0; ld.global.f32 %y, [%g];"),
    loss(F32, Always, "global-read-16", "GLOBAL st.global.f32 [%g], %x; ld.global.b16 %h0, [%g+2]; mov.b16 %h1, 0; mov.b32 %y, {%h1, %h0};"),
    loss(F32, Always, "alias-byte-lost", "ALIAS st.shared.f32 [%s], %x; mov.b16 %h0, 0; st.u8 [%a], %h0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "alias-read-16", "ALIAS st.f32 [%a], %x; ld.shared.b16 %h0, [%s+2]; mov.b16 %h1, 0; mov.b32 %y, {%h1, %h0};"),
    loss(F64, Always, "shared-half-lost", "SHARED st.shared.f64 [%s], %x; mov.b32 %r0, 0; st.shared.b32 [%s], %r0; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "shared-byte-lost-of-f64", "SHARED st.shared.f64 [%s], %x; mov.b16 %h0, 0; st.shared.u8 [%s+2], %h0; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "shared-half-twice", "SHARED st.shared.f64 [%s], %x; ld.shared.b32 %r0, [%s+4]; ld.shared.b32 %r1, [%s+4]; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "shared-at-4", "SHARED st.shared.v2.f64 [%s], {%x, %x}; ld.shared.b32 %r0, [%s+4]; ld.shared.b32 %r1, [%s+8]; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "shared-quarters", "SHARED st.shared.f64 [%s], %x; ld.shared.v4.b16 {%h0, %h1, %h2, %h3}, [%s]; mov.b32 %r0, {%h1, %h0}; mov.b32 %r1, {%h2, %h3}; mov.b64 %y, {%r0, %r1};"),
    loss(F64, Always, "shared-high-only", "SHARED mov.b64 {%r0, %r1}, %x; st.shared.b32 [%s+4], %r1; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "local-16-lost", "LOCAL st.local.f64 [%l], %x; mov.b16 %h0, 0; st.local.b16 [%l+2], %h0; ld.local.f64 %y, [%l];"),
    loss(F64, Always, "global-half-lost", "GLOBAL st.global.f64 [%g], %x; mov.b32 %r0, 0; st.global.b32 [%g], %r0; ld.global.f64 %y, [%g];"),
    loss(F64, Always, "global-read-high", "GLOBAL st.global.f64 [%g], %x; ld.global.b32 %r0, [%g+4]; mov.b32 %r1, 0; mov.b64 %y, {%r1, %r0};"),
    loss(F64, Always, "alias-half-lost", "ALIAS st.shared.f64 [%s], %x; mov.b32 %r0, 0; st.b32 [%a], %r0; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "alias-read-high", "ALIAS st.f64 [%a], %x; ld.shared.b32 %r0, [%s+4]; mov.b32 %r1, 0; mov.b64 %y, {%r1, %r0};"),
    // Atomics, copies, matrices.
    loss(F32, Always, "exchange", "GLOBAL mov.b32 %r0, %x; atom.global.exch.b32 %r1, [%g], %r0; mov.b32 %y, %r1;"),
    loss(F32, Always, "compare-and-swap", "SHARED mov.b32 %r0, %x; st.shared.b32 [%s], %r0; and.b32 %r1, %r0, 0xffff0000; atom.shared.cas.b32 %r2, [%s], %r0, %r1; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "atomic-add", "GLOBAL atom.global.add.f32 %y, [%g], %x;"),
    loss(F32, Always, "atomic-integer-add", "SHARED st.shared.f32 [%s], %x; mov.b32 %r0, 4095; atom.shared.add.u32 %r1, [%s], %r0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "red-and", "SHARED st.shared.f32 [%s], %x; mov.b32 %r0, 0xfffff000; red.shared.and.b32 [%s], %r0; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "red-add", "GLOBAL st.global.f32 [%g], %x; red.global.add.f32 [%g], %x; ld.global.f32 %y, [%g];"),
    loss(F32, Always, "copy-of-less", "COPY st.global.f32 [%g], %x; cp.async.ca.shared.global [%s], [%g], 4, 2; cp.async.wait_all; ld.shared.f32 %y, [%s];"),
    loss(F32, Always, "ldmatrix", "TILE st.shared.f32 [%s], %x; bar.warp.sync 0xffffffff; ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%t]; and.b32 %r0, %r0, 0xffff0000; mov.b32 %y, %r0;"),
    loss(F32, Always, "redux", "mov.b32 %r0, %x; redux.sync.and.b32 %r1, %r0, 0xffffffff; mov.b32 %y, %r1;"),
    loss(F64, Always, "exchange-of-f64", "GLOBAL mov.b64 %d0, %x; atom.global.exch.b64 %d1, [%g], %d0; mov.b64 %y, %d1;"),
    loss(F64, Always, "exchange-of-half", "SHARED st.shared.f64 [%s], %x; mov.b32 %r0, 0; atom.shared.exch.b32 %r1, [%s], %r0; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "compare-and-swap-of-half", "GLOBAL st.global.f64 [%g], %x; mov.b64 {%r0, %r1}, %x; atom.global.cas.b32 %r2, [%g], %r0, 0; ld.global.f64 %y, [%g];"),
    loss(F64, Always, "atomic-add-of-f64", "GLOBAL atom.global.add.f64 %y, [%g], %x;"),
    loss(F64, Always, "red-of-half", "SHARED st.shared.f64 [%s], %x; mov.b32 %r0, 0xff; red.shared.or.b32 [%s+1], %r0; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "copy-of-half", "COPY st.global.f64 [%g], %x; cp.async.ca.shared.global [%s], [%g], 8, 4; cp.async.wait_all; ld.shared.f64 %y, [%s];"),
    loss(F64, Always, "ldmatrix-of-f64", "TILE st.shared.f64 [%s], %x; bar.warp.sync 0xffffffff; ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r0, %r1}, [%t]; mov.b64 %y, {%r0, %r1};"),
    // Lanes.
    loss(F32, Always, "shuffle-of-16", "mov.b32 {%h0, %h1}, %x; cvt.u32.u16 %r0, %h0; shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xffffffff; cvt.u16.u32 %h2, %r1; mov.b32 %y, {%h2, %h1};"),
    loss(F64, Always, "shuffle-of-half", "mov.b64 {%r0, %r1}, %x; shfl.sync.bfly.b32 %r2, %r0, 1, 31, 0xffffffff; mov.b64 %y, {%r2, %r1};"),
    loss(F64, Always, "shuffles-apart", "mov.b64 {%r0, %r1}, %x; shfl.sync.bfly.b32 %r2, %r0, 1, 31, 0xffffffff; shfl.sync.bfly.b32 %r3, %r1, 2, 31, 0xffffffff; mov.b64 %y, {%r2, %r3};"),
    // Choices between a value and less of it.
    loss(F32, Always, "select-rounded", "cvt.rni.f32.f32 %f0, %x; setp.gt.f32 %p0, %x, 0f3F800000; selp.f32 %y, %f0, %x, %p0;"),
    loss(F32, Always, "guarded-rounding", "mov.f32 %y, %x; setp.gt.f32 %p0, %x, 0f3F800000; @%p0 cvt.rni.f32.f32 %y, %x;"),
    loss(F32, Always, "min-with-rounded", "cvt.rn.f16.f32 %h0, %x; cvt.f32.f16 %f0, %h0; min.f32 %y, %f0, %x;"),
    loss(F32, Always, "max-with-rounded", "mov.b32 %r0, %x; and.b32 %r0, %r0, 0xffff0000; mov.b32 %f0, %r0; max.f32 %y, %x, %f0;"),
    loss(F32, Always, "sign-only", "mov.f32 %f0, 0f3F800000; copysign.f32 %y, %x, %f0;"),
    loss(F64, Wide, "select-f32", "cvt.rn.f32.f64 %f0, %x; cvt.f64.f32 %w0, %f0; setp.gt.f64 %p0, %x, 0d3FF0000000000000; selp.f64 %y, %w0, %x, %p0;"),
    loss(F64, Always, "guarded-rounding-of-f64", "mov.f64 %y, %x; setp.gt.f64 %p0, %x, 0d3FF0000000000000; @%p0 cvt.rni.f64.f64 %y, %x;"),
    loss(F64, Wide, "min-with-f32", "cvt.rn.f32.f64 %f0, %x; cvt.f64.f32 %w0, %f0; min.f64 %y, %w0, %x;"),
    loss(F64, Always, "max-with-high", "mov.b64 {%r0, %r1}, %x; mov.b32 %r2, 0; mov.b64 %w0, {%r2, %r1}; max.f64 %y, %x, %w0;"),
];
