//! Ways to move a value about that lose nothing, as PTX from `%x` to `%y`.

use crate::snippet::Of::{self, F32, F64};

/// A way to lose nothing.
pub struct Harmless {
    pub name: &'static str,
    pub of: Of,
    /// Whether the catalogue's kernels do this, so that it has to pass.
    pub idiom: bool,
    pub text: &'static str,
}

const fn idiom(of: Of, name: &'static str, text: &'static str) -> Harmless {
    Harmless { name, of, idiom: true, text }
}

const fn other(of: Of, name: &'static str, text: &'static str) -> Harmless {
    Harmless { name, of, idiom: false, text }
}

#[rustfmt::skip]
pub const HARMLESS: &[Harmless] = &[
    idiom(F32, "move", "mov.f32 %f0, %x; mov.f32 %y, %f0;"),
    idiom(F32, "as-bits", "mov.b32 %r0, %x; mov.b32 %r1, %r0; mov.b32 %y, %r1;"),
    idiom(F32, "from-own-lane", "mov.u32 %r0, %laneid; shfl.sync.idx.b32 %y, %x, %r0, 31, 0xffffffff;"),
    idiom(F32, "shuffled-there-and-back", "shfl.sync.bfly.b32 %f0, %x, 4, 31, 0xffffffff; shfl.sync.bfly.b32 %y, %f0, 4, 31, 0xffffffff;"),
    idiom(F32, "select-either", "mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 5; selp.f32 %y, %x, %x, %p0;"),
    idiom(F32, "negated-twice", "neg.f32 %f0, %x; neg.f32 %y, %f0;"),
    idiom(F32, "max-with-itself", "max.f32 %y, %x, %x;"),
    idiom(F32, "through-shared", "SHARED st.shared.f32 [%s], %x; ld.shared.f32 %y, [%s];"),
    idiom(F32, "through-shared-as-pair", "SHARED st.shared.v2.f32 [%s], {%x, %x}; ld.shared.v2.f32 {%f0, %y}, [%s];"),
    idiom(F32, "guarded-move", "mov.f32 %y, %x; mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 5; @%p0 mov.f32 %y, %x;"),
    idiom(F64, "move-of-f64", "mov.f64 %w0, %x; mov.f64 %y, %w0;"),
    idiom(F64, "as-halves", "mov.b64 {%r0, %r1}, %x; mov.b64 %y, {%r0, %r1};"),
    idiom(F64, "halves-moved", "mov.b64 {%r0, %r1}, %x; mov.b32 %r2, %r0; mov.b32 %r3, %r1; mov.b64 %y, {%r2, %r3};"),
    idiom(F64, "from-own-lane-as-halves", "mov.b64 {%r0, %r1}, %x; mov.u32 %r4, %laneid; shfl.sync.idx.b32 %r2, %r0, %r4, 31, 0xffffffff; shfl.sync.idx.b32 %r3, %r1, %r4, 31, 0xffffffff; mov.b64 %y, {%r2, %r3};"),
    idiom(F64, "shuffled-there-and-back-of-f64", "mov.b64 {%r0, %r1}, %x; shfl.sync.bfly.b32 %r2, %r0, 2, 31, 0xffffffff; shfl.sync.bfly.b32 %r3, %r1, 2, 31, 0xffffffff; shfl.sync.bfly.b32 %r4, %r2, 2, 31, 0xffffffff; shfl.sync.bfly.b32 %r5, %r3, 2, 31, 0xffffffff; mov.b64 %y, {%r4, %r5};"),
    idiom(F64, "select-either-of-f64", "mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 5; selp.f64 %y, %x, %x, %p0;"),
    idiom(F64, "negated-twice-of-f64", "neg.f64 %w0, %x; neg.f64 %y, %w0;"),
    idiom(F64, "through-shared-of-f64", "SHARED st.shared.f64 [%s], %x; ld.shared.f64 %y, [%s];"),
    idiom(F64, "through-shared-as-pair-of-f64", "SHARED st.shared.v2.f64 [%s], {%x, %x}; ld.shared.v2.f64 {%y, %w0}, [%s];"),
    other(F32, "as-16s", "mov.b32 {%h0, %h1}, %x; mov.b32 %y, {%h0, %h1};"),
    other(F32, "through-shared-as-bits", "SHARED mov.b32 %r0, %x; st.shared.b32 [%s], %r0; ld.shared.f32 %y, [%s];"),
    other(F32, "through-shared-as-16s", "SHARED mov.b32 {%h0, %h1}, %x; st.shared.b16 [%s], %h0; st.shared.b16 [%s+2], %h1; ld.shared.f32 %y, [%s];"),
    other(F32, "through-local", "LOCAL st.local.f32 [%l], %x; ld.local.f32 %y, [%l];"),
    other(F32, "through-global", "GLOBAL st.global.f32 [%g], %x; ld.global.f32 %y, [%g];"),
    other(F32, "through-an-alias", "ALIAS st.shared.f32 [%s], %x; ld.f32 %y, [%a];"),
    other(F32, "prmt-of-itself", "mov.b32 %r0, %x; prmt.b32 %r1, %r0, 0, 0x3210; mov.b32 %y, %r1;"),
    other(F32, "and-of-all", "mov.b32 %r0, %x; and.b32 %r1, %r0, 0xffffffff; mov.b32 %y, %r1;"),
    other(F32, "xor-twice", "mov.b32 %r0, %x; xor.b32 %r1, %r0, 77; xor.b32 %r1, %r1, 77; mov.b32 %y, %r1;"),
    other(F32, "rotated-twice", "mov.b32 %r0, %x; shf.l.wrap.b32 %r1, %r0, %r0, 16; shf.l.wrap.b32 %r2, %r1, %r1, 16; mov.b32 %y, %r2;"),
    other(F32, "as-half-of-64-bits", "mov.b32 %r0, %x; mov.b64 %d0, {%r0, %r0}; mov.b64 {%r1, %r2}, %d0; mov.b32 %y, %r2;"),
    other(F32, "guarded-negations", "neg.f32 %y, %x; mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 5; @%p0 neg.f32 %y, %x; neg.f32 %y, %y;"),
    other(F64, "as-64-bits", "mov.b64 %d0, %x; mov.b64 %y, %d0;"),
    other(F64, "through-shared-as-bits-of-f64", "SHARED mov.b64 %d0, %x; st.shared.b64 [%s], %d0; ld.shared.f64 %y, [%s];"),
    other(F64, "through-shared-as-halves", "SHARED mov.b64 {%r0, %r1}, %x; st.shared.b32 [%s], %r0; st.shared.b32 [%s+4], %r1; ld.shared.f64 %y, [%s];"),
    other(F64, "through-shared-to-halves", "SHARED st.shared.f64 [%s], %x; ld.shared.v2.b32 {%r0, %r1}, [%s]; mov.b64 %y, {%r0, %r1};"),
    other(F64, "through-local-of-f64", "LOCAL st.local.f64 [%l], %x; ld.local.f64 %y, [%l];"),
    other(F64, "through-global-of-f64", "GLOBAL st.global.f64 [%g], %x; ld.global.f64 %y, [%g];"),
    other(F64, "through-an-alias-of-f64", "ALIAS st.f64 [%a], %x; ld.shared.f64 %y, [%s];"),
    other(F64, "halves-swapped-twice", "mov.b64 {%r0, %r1}, %x; mov.b64 %d0, {%r1, %r0}; mov.b64 {%r2, %r3}, %d0; mov.b64 %y, {%r3, %r2};"),
    other(F64, "xor-twice-of-f64", "mov.b64 %d0, %x; xor.b64 %d1, %d0, 77; xor.b64 %d1, %d1, 77; mov.b64 %y, %d1;"),
    other(F64, "shifted-apart-and-joined", "mov.b64 %d0, %x; shr.u64 %d1, %d0, 32; cvt.u32.u64 %r1, %d1; cvt.u32.u64 %r0, %d0; mov.b64 %y, {%r0, %r1};"),
];
