//! Comparison and selection (PTX ISA 9.7.6 and 9.7.7).

use super::float::flush;
use super::precision::{always, compares};
use super::{Alternatives, Builder, Spec, any, exact, opt, spec, ty, types};
use crate::table::Precision;
use crate::table::lanes::{Lane, lane, with_float, with_half, with_int};
use crate::table::slot::{dst, dst_pred, src, src_pred};
use crate::table::{LaneFn, Lanes, Meaning, Mod, Op, WARP};
use crate::types::Kind;
use crate::types::ScalarType::{self, B16, B32, B64, Bf16, Bf16x2, F16, F16x2, F32, F64, S16, S32, S64, U16, U32, U64};

/// Every comparison; which types have which is in [`comparable`].
fn comparisons() -> Alternatives {
    use Mod::*;
    any(&[Eq, Ne, Lt, Le, Gt, Ge, LoCmp, Ls, HiCmp, Hs, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, IsNan])
}

/// Whether values of this type are compared so.
fn comparable(cmp: Mod, ty: ScalarType) -> bool {
    use Mod::*;
    match cmp {
        Eq | Ne => true,
        Lt | Le | Gt | Ge => ty.kind() != Kind::Bits,
        LoCmp | Ls | HiCmp | Hs => ty.kind() == Kind::Unsigned,
        _ => ty.kind() == Kind::Float,
    }
}

/// Evaluates `$make!` with a comparison of two numbers of this type.
macro_rules! with_comparison {
    ($cmp:expr, int, $make:ident $args:tt) => {
        match $cmp {
            Mod::Eq => $make!($args, |a, b| a == b),
            Mod::Ne => $make!($args, |a, b| a != b),
            Mod::Lt | Mod::LoCmp => $make!($args, |a, b| a < b),
            Mod::Le | Mod::Ls => $make!($args, |a, b| a <= b),
            Mod::Gt | Mod::HiCmp => $make!($args, |a, b| a > b),
            _ => $make!($args, |a, b| a >= b),
        }
    };
    // `ne` asks for two numbers; the unordered ones hold where either is a NaN.
    ($cmp:expr, float, $make:ident $args:tt) => {
        match $cmp {
            Mod::Eq => $make!($args, |a, b| a == b),
            Mod::Ne => $make!($args, |a, b| a < b || a > b),
            Mod::Lt => $make!($args, |a, b| a < b),
            Mod::Le => $make!($args, |a, b| a <= b),
            Mod::Gt => $make!($args, |a, b| a > b),
            Mod::Ge => $make!($args, |a, b| a >= b),
            Mod::Equ => $make!($args, |a, b| !(a < b || a > b)),
            Mod::Neu => $make!($args, |a, b| a != b),
            Mod::Ltu => $make!($args, |a, b| !(a >= b)),
            Mod::Leu => $make!($args, |a, b| !(a > b)),
            Mod::Gtu => $make!($args, |a, b| !(a <= b)),
            Mod::Geu => $make!($args, |a, b| !(a < b)),
            Mod::Num => $make!($args, |a, b| !a.is_nan() && !b.is_nan()),
            _ => $make!($args, |a, b| a.is_nan() || b.is_nan()),
        }
    };
}

/// An f32 that is compared under `.ftz`.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Flushed(f32);

impl Flushed {
    fn is_nan(self) -> bool {
        self.0.is_nan()
    }
}

impl Lane for Flushed {
    fn from_lane(bits: u64) -> Self {
        Flushed(flush(true, f32::from_lane(bits)))
    }
    fn to_lane(self) -> u64 {
        self.0.to_lane()
    }
}

/// A lane function that gives a comparison of two `T` to `$write`.
macro_rules! compared {
    (($t:ty, $write:expr), |$a:ident, $b:ident| $e:expr) => {{
        fn eval(results: &mut [Lanes], sources: &[Lanes]) {
            let write = $write;
            write(results, sources, |a, b| {
                let ($a, $b) = (<$t>::from_lane(a), <$t>::from_lane(b));
                $e
            });
        }
        eval as LaneFn
    }};
}

/// Defines a function that picks the lane function of a comparison of two
/// numbers of a type, whose outcome `$write` turns into results. It knows the
/// integers, f32 and f64 (`numbers`), the 16-bit floats and the halves of
/// pairs of them (`halves`), or both.
#[rustfmt::skip]
macro_rules! comparison {
    ($name:ident, numbers, $write:expr) => {
        #[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)] // a NaN makes the difference
        fn $name(cmp: Mod, ty: ScalarType, ftz: bool) -> LaneFn {
            match ty {
                F32 if ftz => with_comparison!(cmp, float, compared(Flushed, $write)),
                F32 | F64 => with_float!(ty, T, with_comparison!(cmp, float, compared(T, $write))),
                _ => with_int!(ty, T, with_comparison!(cmp, int, compared(T, $write))),
            }
        }
    };
    ($name:ident, halves, $write:expr) => {
        #[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)] // a NaN makes the difference
        fn $name(cmp: Mod, ty: ScalarType) -> LaneFn {
            with_half!(ty, T, with_comparison!(cmp, float, compared(T, $write)))
        }
    };
}
comparison!(setp, numbers, write_predicates);
comparison!(setp_half, halves, write_predicates);
comparison!(setp_pair, halves, write_halves);
comparison!(setp_and, numbers, write_and);
comparison!(setp_or, numbers, write_or);
comparison!(setp_xor, numbers, write_xor);
comparison!(set_word, numbers, write_value::<0xffff_ffff>);
comparison!(set_f32, numbers, write_value::<0x3f80_0000>);
comparison!(set_half, halves, write_value::<0xffff>);
comparison!(set_half_word, halves, write_value::<0xffff_ffff>);
comparison!(set_f16, halves, write_value::<0x3c00>);
comparison!(set_bf16, halves, write_value::<0x3f80>);
comparison!(set_pair, halves, write_pair::<0xffff>);
comparison!(set_f16x2, halves, write_pair::<0x3c00>);
comparison!(set_bf16x2, halves, write_pair::<0x3f80>);

/// `p = combine(test, c)` and, if asked for, `q = combine(!test, c)`.
#[inline(always)]
fn write_combined(
    results: &mut [Lanes],
    sources: &[Lanes],
    test: impl Fn(u64, u64) -> bool,
    combine: impl Fn(bool, bool) -> bool,
) {
    let [a, b, rest @ ..] = sources else { return };
    let c = rest.first().unwrap_or(&[0; WARP]);
    let Some((p, rest)) = results.split_first_mut() else { return };
    for lane in 0..WARP {
        p[lane] = u64::from(combine(test(a[lane], b[lane]), c[lane] != 0));
    }
    if let Some(q) = rest.first_mut() {
        for lane in 0..WARP {
            q[lane] = u64::from(combine(!test(a[lane], b[lane]), c[lane] != 0));
        }
    }
}

#[inline(always)]
fn write_predicates(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    write_combined(results, sources, test, |t, _| t);
}

#[inline(always)]
fn write_and(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    write_combined(results, sources, test, |t, c| t & c);
}

#[inline(always)]
fn write_or(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    write_combined(results, sources, test, |t, c| t | c);
}

#[inline(always)]
fn write_xor(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    write_combined(results, sources, test, |t, c| t ^ c);
}

/// Compares low halves into p and high halves into q.
#[inline(always)]
fn write_halves(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    let ([p, q, ..], [a, b, ..]) = (results, sources) else { return };
    for lane in 0..WARP {
        p[lane] = u64::from(test(a[lane] & 0xffff, b[lane] & 0xffff));
        q[lane] = u64::from(test(a[lane] >> 16, b[lane] >> 16));
    }
}

/// `VALUE` where the test holds, else 0.
#[inline(always)]
fn write_value<const VALUE: u64>(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    let ([d, ..], [a, b, ..]) = (results, sources) else { return };
    for lane in 0..WARP {
        d[lane] = if test(a[lane], b[lane]) { VALUE } else { 0 };
    }
}

/// As [`write_value`], for each half.
#[inline(always)]
fn write_pair<const VALUE: u64>(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    let ([d, ..], [a, b, ..]) = (results, sources) else { return };
    for lane in 0..WARP {
        let low = if test(a[lane] & 0xffff, b[lane] & 0xffff) { VALUE } else { 0 };
        let high = if test(a[lane] >> 16, b[lane] >> 16) { VALUE } else { 0 };
        d[lane] = low | high << 16;
    }
}

/// f16 is compared since sm_53, bf16 since sm_90.
fn since(spec: Spec, ty: ScalarType) -> Spec {
    if matches!(ty, Bf16 | Bf16x2) { spec.since(78, 90) } else { spec.since(42, 53) }
}

pub(super) fn rows(t: &mut Builder) {
    sets(t);
    predicates(t);
    selections(t);
}

fn sets(t: &mut Builder) {
    const COMPARED: &[ScalarType] = &[B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];
    let results = types(&[U32, S32, F32]);
    let doc = "All ones (1.0 in f32) where the comparison holds, else 0.";
    t.row(Op::Set, "9.7.6.1", doc, compares, &[comparisons(), opt(&[Mod::Ftz]), results, types(COMPARED)], |m| {
        let (d, a, ftz) = (ty(m, 0), ty(m, 1), m.contains(&Mod::Ftz));
        if !comparable(m[0], a) || (ftz && a != F32) {
            return None;
        }
        let eval = if d == F32 { set_f32(m[0], a, ftz) } else { set_word(m[0], a, ftz) };
        exact(d, a, 2, eval)
    });
    t.row(
        Op::Set,
        "9.7.7.1",
        "All ones (1.0 in f16 and bf16) where the comparison holds, else 0; for pairs in each half.",
        compares,
        &[comparisons(), types(&[U16, U32, S16, S32, F16, F16x2, Bf16, Bf16x2]), types(&[F16, F16x2, Bf16, Bf16x2])],
        |m| {
            let (d, a) = (ty(m, 0), ty(m, 1));
            if !comparable(m[0], a) {
                return None;
            }
            let eval = match (d, a) {
                (U16 | S16, F16 | Bf16) => set_half(m[0], a),
                (U32 | S32, F16 | Bf16) => set_half_word(m[0], a),
                (U32 | S32, F16x2 | Bf16x2) => set_pair(m[0], a),
                (F16, F16) => set_f16(m[0], a),
                (F16x2, F16x2) => set_f16x2(m[0], a),
                (Bf16, Bf16) => set_bf16(m[0], a),
                (Bf16x2, Bf16x2) => set_bf16x2(m[0], a),
                _ => return None,
            };
            let form = since(exact(d, a, 2, eval)?, a);
            Some(if matches!(d, U16 | U32 | S16 | S32) { form.since(65, 53) } else { form })
        },
    );
}

fn predicates(t: &mut Builder) {
    const COMPARED: &[ScalarType] = &[B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];
    const COMBINED: &[ScalarType] = &[B32, B64, U32, U64, S32, S64, F32, F64];
    let ftz = || opt(&[Mod::Ftz]);
    let q = || dst_pred().named("q");
    let doc = "Compares; q is the opposite of p.";
    t.row(Op::Setp, "9.7.6.2", doc, compares, &[comparisons(), ftz(), types(COMPARED)], |m| {
        let (t, ftz) = (ty(m, 0), m.contains(&Mod::Ftz));
        if !comparable(m[0], t) || (ftz && t != F32) {
            return None;
        }
        let eval = setp(m[0], t, ftz);
        Some(spec([dst_pred(), q().optional(), src("a", t), src("b", t)], Meaning::Lane(eval)))
    });
    t.row(
        Op::SetpBool,
        "9.7.6.2",
        "Compares, and combines the outcome with c in p, its opposite with c in q.",
        compares,
        &[comparisons(), any(&[Mod::And, Mod::Or, Mod::Xor]), ftz(), types(COMBINED)],
        |m| {
            let (t, ftz) = (ty(m, 0), m.contains(&Mod::Ftz));
            if !comparable(m[0], t) || (ftz && t != F32) {
                return None;
            }
            let eval = match m[1] {
                Mod::And => setp_and(m[0], t, ftz),
                Mod::Or => setp_or(m[0], t, ftz),
                _ => setp_xor(m[0], t, ftz),
            };
            let slots = [dst_pred(), q().optional(), src("a", t), src("b", t), src_pred("c")];
            Some(spec(slots, Meaning::Lane(eval)))
        },
    );
    let doc = "Compares.";
    t.row(Op::Setp, "9.7.7.2", doc, compares, &[comparisons(), types(&[F16, Bf16])], |m| {
        let t = ty(m, 0);
        let slots = [dst_pred(), src("a", t), src("b", t)];
        comparable(m[0], t).then(|| since(spec(slots, Meaning::Lane(setp_half(m[0], t))), t))
    });
    let doc = "Compares the low halves into p, the high halves into q.";
    t.row(Op::Setp, "9.7.7.2", doc, compares, &[comparisons(), types(&[F16x2, Bf16x2])], |m| {
        let t = ty(m, 0);
        let slots = [dst_pred(), q(), src("a", t), src("b", t)];
        comparable(m[0], t).then(|| since(spec(slots, Meaning::Lane(setp_pair(m[0], t))), t))
    });
}

fn selections(t: &mut Builder) {
    const SELECTED: &[ScalarType] = &[B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];
    t.row(Op::Selp, "9.7.6.3", "a where c holds, else b.", always(Precision::Selects), &[types(SELECTED)], |m| {
        let t = ty(m, 0);
        let eval = lane!(|a: u64, b: u64, c: bool| -> u64 { if c { a } else { b } });
        Some(spec([dst(t), src("a", t), src("b", t), src_pred("c")], Meaning::Lane(eval)))
    });
    let doc = "a where c >= 0, else b (also for a NaN).";
    t.row(
        Op::Slct,
        "9.7.6.4",
        doc,
        always(Precision::Selects),
        &[opt(&[Mod::Ftz]), types(SELECTED), types(&[S32, F32])],
        |m| {
            let (t, c) = (ty(m, 0), ty(m, 1));
            if m[0] == Mod::Ftz && c != F32 {
                return None;
            }
            let eval = match c {
                S32 => lane!(|a: u64, b: u64, c: i32| -> u64 { if c >= 0 { a } else { b } }),
                _ if m[0] == Mod::Ftz => {
                    lane!(|a: u64, b: u64, c: f32| -> u64 { if flush(true, c) >= 0.0 { a } else { b } })
                }
                _ => lane!(|a: u64, b: u64, c: f32| -> u64 { if c >= 0.0 { a } else { b } }),
            };
            Some(spec([dst(t), src("a", t), src("b", t), src("c", c)], Meaning::Lane(eval)))
        },
    );
}
