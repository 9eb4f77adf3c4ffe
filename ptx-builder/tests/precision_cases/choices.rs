//! Branches, guards, selections, loops: values that are chosen, and their halves.

use super::{Case, F32, F64, Holds, Keeps, Loses, case};
use ptxgen_builder::analysis::precision::PolicyRule::LostBits;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    case(F32, Holds, "min-and-max", "max.f32 %f0, %s, 0f3F800000; min.f32 %z, %f0, 0f42C80000;"),
    case(F32, Keeps, "max-of-itself", "max.f32 %z, %s, %s;"),
    case(F64, Keeps, "halves-of-the-larger-of-itself", "max.f64 %w0, %s, %s; mov.b64 {%r0, %r1}, %w0; mov.b64 {%r2, %r3}, %s; mov.b64 %z, {%r0, %r3};"),
    case(F64, Loses(LostBits), "halves-of-the-larger", "max.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %w0; mov.b64 {%r2, %r3}, %s; mov.b64 %z, {%r0, %r3};"),
    case(F64, Loses(LostBits), "halves-of-the-other-larger", "max.f64 %w0, 0d4008000000000000, %s; mov.b64 {%r0, %r1}, %w0; mov.b64 {%r2, %r3}, %s; mov.b64 %z, {%r0, %r3};"),
    case(F64, Keeps, "negated-twice", "neg.f64 %w0, %s; neg.f64 %z, %w0;"),
    case(F64, Holds, "absolute", "abs.f64 %z, %s;"),
    case(F32, Holds, "sign-of-itself", "abs.f32 %f0, %s; copysign.f32 %z, %s, %f0;"),
    case(F32, Holds, "constant-sign", "mov.f32 %f0, 0fBF800000; copysign.f32 %z, %f0, %s;"),
    case(F32, Loses(LostBits), "sign-only", "mov.f32 %f0, 0f3F800000; copysign.f32 %z, %s, %f0;"),
    case(F32, Holds, "select", "setp.gt.f32 %p0, %s, 0f3F800000; selp.f32 %z, %s, 0f3F800000, %p0;"),
    case(F32, Holds, "select-by-its-sign", "slct.f32.f32 %z, %s, 0f3F800000, %s;"),
    case(F32, Keeps, "select-the-same", "setp.gt.f32 %p0, %s, 0f3F800000; mov.f32 %f0, %s; selp.f32 %z, %s, %f0, %p0;"),
    case(F32, Loses(LostBits), "select-rounded", "cvt.rni.f32.f32 %f0, %s; setp.gt.f32 %p0, %s, 0f3F800000; selp.f32 %z, %f0, %s, %p0;"),
    case(F32, Loses(LostBits), "guarded-rounding", "mov.f32 %z, %s; setp.gt.f32 %p0, %s, 0f3F800000; @%p0 cvt.rni.f32.f32 %z, %s;"),
    case(F32, Loses(LostBits), "max-with-rounded", "mov.b32 %r0, %s; and.b32 %r0, %r0, 0xffff0000; mov.b32 %f0, %r0; max.f32 %z, %s, %f0;"),
    case(F32, Loses(LostBits), "rounded-on-one-path", "mov.f32 %z, %s; setp.gt.f32 %p0, %s, 0f3F800000; @%p0 bra SKIP; cvt.rn.f16.f32 %h0, %s; cvt.f32.f16 %z, %h0; SKIP:"),
    case(F32, Holds, "computed-on-one-path", "mov.f32 %z, %s; setp.gt.f32 %p0, %s, 0f3F800000; @%p0 bra SKIP; mul.rn.f32 %z, %s, 0f40400000; SKIP:"),
    // Halves of what is chosen.
    case(F64, Holds, "halves-selected", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; selp.b32 %r4, %r0, %r2, %p0; selp.b32 %r5, %r1, %r3, %p0; mov.b64 %z, {%r4, %r5};"),
    case(F64, Loses(LostBits), "halves-selected-by-two", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; setp.gt.u32 %p1, %t, 9; selp.b32 %r4, %r0, %r2, %p0; selp.b32 %r5, %r1, %r3, %p1; mov.b64 %z, {%r4, %r5};"),
    case(F64, Loses(LostBits), "halves-selected-crosswise", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; selp.b32 %r4, %r0, %r2, %p0; selp.b32 %r5, %r3, %r1, %p0; mov.b64 %z, {%r4, %r5};"),
    case(F64, Loses(LostBits), "condition-changed-between", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; selp.b32 %r4, %r0, %r2, %p0; setp.gt.u32 %p0, %t, 9; selp.b32 %r5, %r1, %r3, %p0; mov.b64 %z, {%r4, %r5};"),
    case(F64, Holds, "halves-guarded", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; @%p0 mov.b32 %r0, %r2; @%p0 mov.b32 %r1, %r3; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "one-half-guarded", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; @%p0 mov.b32 %r0, %r2; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "halves-guarded-oppositely", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; @%p0 mov.b32 %r0, %r2; @!%p0 mov.b32 %r1, %r3; mov.b64 %z, {%r0, %r1};"),
    case(F64, Holds, "halves-of-either-path", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; setp.gt.u32 %p0, %t, 7; @%p0 bra JOIN; mov.b64 {%r0, %r1}, %w0; JOIN: mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "halves-crossed-by-paths", "mul.rn.f64 %w0, %s, 0d4008000000000000; mov.b64 {%r0, %r1}, %s; mov.b64 {%r2, %r3}, %w0; setp.gt.u32 %p0, %t, 7; @%p0 bra ONE; mov.b32 %r4, %r0; mov.b32 %r5, %r3; bra JOIN; ONE: mov.b32 %r4, %r2; mov.b32 %r5, %r1; JOIN: mov.b64 %z, {%r4, %r5};"),
    case(F64, Holds, "value-of-either-path", "mov.f64 %z, %s; setp.gt.u32 %p0, %t, 7; @%p0 bra JOIN; mul.rn.f64 %z, %s, 0d4008000000000000; JOIN: mov.b64 {%r0, %r1}, %z; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "guarded-by-the-other-half", "mov.b64 {%r0, %r1}, %s; setp.gt.u32 %p0, %t, 7; @%p0 mov.b32 %r0, %r1; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "swapped-on-one-path", "mov.b64 %d0, %s; setp.gt.u32 %p0, %t, 7; @%p0 bra JOIN; mov.b64 {%r0, %r1}, %s; mov.b64 %d0, {%r1, %r0}; JOIN: mov.b64 %z, %d0;"),
    case(F64, Loses(LostBits), "swapped-in-a-loop", "mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: mov.b32 %r2, %r0; mov.b32 %r0, %r1; mov.b32 %r1, %r2; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra L; mov.b64 %z, {%r0, %r1};"),
    // Halves around a loop.
    case(F64, Holds, "halves-around-a-loop", "mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: mov.b64 %w0, {%r0, %r1}; add.rn.f64 %w0, %w0, %s; mov.b64 {%r0, %r1}, %w0; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 4; @%p0 bra L; mov.b64 %z, {%r0, %r1};"),
    case(F64, Holds, "halves-from-zero-around-a-loop", "mov.u32 %r0, 0; mov.u32 %r1, 0; mov.u32 %r9, 0; L: mov.b64 %w0, {%r0, %r1}; add.rn.f64 %w0, %w0, %s; mov.b64 {%r0, %r1}, %w0; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 4; @%p0 bra L; mov.b64 %z, {%r0, %r1};"),
    case(F64, Holds, "halves-shuffled-around-a-loop", "mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: shfl.sync.bfly.b32 %r0, %r0, 1, 31, 0xffffffff; shfl.sync.bfly.b32 %r1, %r1, 1, 31, 0xffffffff; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra L; mov.b64 %z, {%r0, %r1};"),
    case(F64, Loses(LostBits), "half-of-the-round-before", "mov.f64 %w0, %s; mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: mov.b32 %r2, %r0; mul.rn.f64 %w0, %w0, 0d3FF199999999999A; mov.b64 {%r0, %r1}, %w0; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 4; @%p0 bra L; mov.b64 %z, {%r2, %r1};"),
    case(F64, Loses(LostBits), "halves-drift-apart-in-a-loop", "mov.f64 %w0, %s; mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: mul.rn.f64 %w0, %w0, 0d3FF199999999999A; mov.b64 {%r2, %r3}, %w0; mov.b32 %r0, %r2; setp.lt.u32 %p1, %r9, 2; @%p1 bra NEXT; mov.b32 %r1, %r3; NEXT: add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra L; mul.rn.f64 %w1, %w0, 0d4008000000000000; mov.b64 {%r4, %r5}, %w1; mov.b64 %z, {%r4, %r1};"),
    case(F64, Loses(LostBits), "halves-shuffled-one-round-apart", "mov.b64 {%r0, %r1}, %s; mov.u32 %r9, 0; L: mov.b32 %r2, %r1; shfl.sync.bfly.b32 %r0, %r0, 1, 31, 0xffffffff; shfl.sync.bfly.b32 %r1, %r1, 1, 31, 0xffffffff; add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra L; mov.b64 %z, {%r0, %r2};"),
    case(F64, Keeps, "copied-through-registers", "mov.b64 {%r0, %r1}, %s; mov.b32 %r2, %r0; mov.b32 %r0, %r1; mov.b32 %r3, %r0; mov.b64 %z, {%r2, %r3};"),
];
