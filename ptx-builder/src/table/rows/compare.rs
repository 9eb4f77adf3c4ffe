//! Comparison and selection (PTX ISA 9.7.6 and 9.7.7).

use super::float::flush;
use super::half::flush as flush_half;
use super::precision::{always, compares};
use super::{Alternatives, Builder, Spec, any, opt, spec, ty, types};
use crate::table::Precision;
use crate::table::lanes::{Lane, lane, with_float, with_half, with_int};
use crate::table::slot::{dst, dst_pred, src, src_pred};
use crate::table::{LaneFn, Lanes, Meaning, Mod, Op, Slot, WARP};
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

/// A float that is compared under `.ftz`.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Flushed<T>(T);

macro_rules! flushed {
    ($t:ty, |$x:ident| $flush:expr) => {
        impl Flushed<$t> {
            fn is_nan(self) -> bool {
                self.0.is_nan()
            }
        }
        impl Lane for Flushed<$t> {
            fn from_lane(bits: u64) -> Self {
                let $x = <$t>::from_lane(bits);
                Flushed($flush)
            }
            fn to_lane(self) -> u64 {
                self.0.to_lane()
            }
        }
    };
}
flushed!(f32, |x| flush(true, x));
flushed!(half::f16, |x| flush_half(true, x));

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

/// How an outcome is combined with the predicate c: not at all, or by this function of two predicates.
const ALONE: u8 = 0;
const AND: u8 = 1;
const OR: u8 = 2;
const XOR: u8 = 3;

fn combine<const HOW: u8>(test: bool, c: bool) -> bool {
    match HOW {
        AND => test & c,
        OR => test | c,
        XOR => test ^ c,
        _ => test,
    }
}

/// Evaluates `$make!` with the combination that is written.
macro_rules! with_combination {
    ($mods:expr, $make:ident $args:tt) => {
        match $mods.iter().find(|m| BOOLEAN.contains(m)) {
            Some(Mod::And) => $make!($args, AND),
            Some(Mod::Or) => $make!($args, OR),
            Some(_) => $make!($args, XOR),
            None => $make!($args, ALONE),
        }
    };
}

/// Defines a function that picks the lane function of a comparison of two
/// numbers of a type, whose outcome `$write` turns into results. It knows the
/// integers, f32 and f64 (`numbers`), or the 16-bit floats and the halves of
/// pairs of them (`halves`).
#[rustfmt::skip]
macro_rules! comparison {
    ($name:ident, numbers, $write:expr) => {
        #[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)] // a NaN makes the difference
        fn $name(cmp: Mod, ty: ScalarType, ftz: bool) -> LaneFn {
            match ty {
                F32 if ftz => with_comparison!(cmp, float, compared(Flushed<f32>, $write)),
                F32 | F64 => with_float!(ty, T, with_comparison!(cmp, float, compared(T, $write))),
                _ => with_int!(ty, T, with_comparison!(cmp, int, compared(T, $write))),
            }
        }
    };
    ($name:ident, halves, $write:expr) => {
        #[allow(clippy::neg_cmp_op_on_partial_ord, clippy::double_comparisons)] // a NaN makes the difference
        fn $name(cmp: Mod, ty: ScalarType, ftz: bool) -> LaneFn {
            if ftz {
                return with_comparison!(cmp, float, compared(Flushed<half::f16>, $write));
            }
            with_half!(ty, T, with_comparison!(cmp, float, compared(T, $write)))
        }
    };
}

/// The same for every combination with a predicate: a function of the modifiers and the type.
macro_rules! combined {
    ($name:ident, $which:ident, $write:ident $(, $value:literal)?) => {
        fn $name(m: &[Mod], ty: ScalarType) -> LaneFn {
            let ftz = m.contains(&Mod::Ftz);
            macro_rules! pick {
                (($cmp:expr, $t:expr), $how:ident) => {{
                    comparison!(inner, $which, $write::<$($value,)? { $how }>);
                    inner($cmp, $t, ftz)
                }};
            }
            with_combination!(m, pick(m[0], ty))
        }
    };
}
comparison!(setp, numbers, write_predicates);
combined!(setp_bool, numbers, write_combined);
combined!(setp_half, halves, write_combined);
combined!(setp_pair, halves, write_halves);
combined!(set_word, numbers, write_value, 0xffff_ffff);
combined!(set_f32, numbers, write_value, 0x3f80_0000);
combined!(set_number_f16, numbers, write_value, 0x3c00);
combined!(set_number_bf16, numbers, write_value, 0x3f80);
combined!(set_half, halves, write_value, 0xffff);
combined!(set_half_word, halves, write_value, 0xffff_ffff);
combined!(set_f16, halves, write_value, 0x3c00);
combined!(set_bf16, halves, write_value, 0x3f80);
combined!(set_pair, halves, write_pair, 0xffff);
combined!(set_f16x2, halves, write_pair, 0x3c00);
combined!(set_bf16x2, halves, write_pair, 0x3f80);

/// The predicate that an outcome is combined with; anything where there is none.
fn third(sources: &[Lanes]) -> &Lanes {
    sources.get(2).unwrap_or(&[0; WARP])
}

/// The comparison in p and, if asked for, its opposite in q. This is the one that programs are full of: each comparison
/// has code of its own.
#[inline(always)]
fn write_predicates(results: &mut [Lanes], sources: &[Lanes], test: impl Fn(u64, u64) -> bool) {
    let ([p, rest @ ..], [a, b, ..]) = (results, sources) else { return };
    for lane in 0..WARP {
        p[lane] = u64::from(test(a[lane], b[lane]));
    }
    if let Some(q) = rest.first_mut() {
        for lane in 0..WARP {
            q[lane] = u64::from(!test(a[lane], b[lane]));
        }
    }
}

/// `p = combine(test, c)` and, if asked for, `q = combine(!test, c)`.
fn write_combined<const HOW: u8>(results: &mut [Lanes], sources: &[Lanes], test: fn(u64, u64) -> bool) {
    let ([p, rest @ ..], [a, b, ..], c) = (results, sources, third(sources)) else { return };
    for lane in 0..WARP {
        p[lane] = u64::from(combine::<HOW>(test(a[lane], b[lane]), c[lane] != 0));
    }
    if let Some(q) = rest.first_mut() {
        for lane in 0..WARP {
            q[lane] = u64::from(combine::<HOW>(!test(a[lane], b[lane]), c[lane] != 0));
        }
    }
}

/// Compares low halves into p and high halves, if asked for, into q.
fn write_halves<const HOW: u8>(results: &mut [Lanes], sources: &[Lanes], test: fn(u64, u64) -> bool) {
    let ([p, rest @ ..], [a, b, ..], c) = (results, sources, third(sources)) else { return };
    for lane in 0..WARP {
        p[lane] = u64::from(combine::<HOW>(test(a[lane] & 0xffff, b[lane] & 0xffff), c[lane] != 0));
    }
    if let Some(q) = rest.first_mut() {
        for lane in 0..WARP {
            q[lane] = u64::from(combine::<HOW>(test(a[lane] >> 16, b[lane] >> 16), c[lane] != 0));
        }
    }
}

/// `VALUE` where the combination holds, else 0.
fn write_value<const VALUE: u64, const HOW: u8>(results: &mut [Lanes], sources: &[Lanes], test: fn(u64, u64) -> bool) {
    let ([d, ..], [a, b, ..], c) = (results, sources, third(sources)) else { return };
    for lane in 0..WARP {
        d[lane] = if combine::<HOW>(test(a[lane], b[lane]), c[lane] != 0) { VALUE } else { 0 };
    }
}

/// As [`write_value`], for each half.
fn write_pair<const VALUE: u64, const HOW: u8>(results: &mut [Lanes], sources: &[Lanes], test: fn(u64, u64) -> bool) {
    let ([d, ..], [a, b, ..], c) = (results, sources, third(sources)) else { return };
    for lane in 0..WARP {
        let half = |a: u64, b: u64| if combine::<HOW>(test(a, b), c[lane] != 0) { VALUE } else { 0 };
        d[lane] = half(a[lane] & 0xffff, b[lane] & 0xffff) | half(a[lane] >> 16, b[lane] >> 16) << 16;
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

/// The functions of an outcome and a predicate.
const BOOLEAN: &[Mod] = &[Mod::And, Mod::Or, Mod::Xor];

/// Numbers that are compared.
const NUMBERS: &[ScalarType] = &[B16, B32, B64, U16, U32, U64, S16, S32, S64, F32, F64];

/// Whether the modifiers of a comparison of values of this type go together.
fn legal(m: &[Mod], a: ScalarType) -> bool {
    comparable(m[0], a) && (!m.contains(&Mod::Ftz) || matches!(a, F32 | F16 | F16x2))
}

/// Sources of a comparison, and the predicate that it is combined with, if one is.
fn sources(m: &[Mod], a: ScalarType) -> impl Iterator<Item = Slot> {
    let c = m.iter().any(|m| BOOLEAN.contains(m)).then(|| src_pred("c"));
    [src("a", a), src("b", a)].into_iter().chain(c)
}

fn sets(t: &mut Builder) {
    let places = |results: &[ScalarType], compared: &[ScalarType]| {
        [comparisons(), opt(BOOLEAN), opt(&[Mod::Ftz]), types(results), types(compared)]
    };
    let form = |m: &[Mod], eval: LaneFn| {
        let slots: Vec<_> = std::iter::once(dst(ty(m, 0))).chain(sources(m, ty(m, 1))).collect();
        spec(slots, Meaning::Lane(eval))
    };
    let doc = "All ones (1.0 in f32) where the comparison holds, else 0; combined with c before.";
    t.row(Op::Set, "9.7.6.1", doc, compares, &places(&[U32, S32, F32], NUMBERS), |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        legal(m, a).then(|| form(m, if d == F32 { set_f32(m, a) } else { set_word(m, a) }))
    });
    let doc = "1.0 where the comparison holds, else 0; combined with c before.";
    t.row(Op::Set, "9.7.7.1", doc, compares, &places(&[F16, Bf16], NUMBERS), |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        let flushes = d == Bf16 && m.contains(&Mod::Ftz);
        (legal(m, a) && !flushes)
            .then(|| since(form(m, if d == F16 { set_number_f16(m, a) } else { set_number_bf16(m, a) }), d))
    });
    let results = [U16, U32, S16, S32, F16, F16x2, Bf16, Bf16x2];
    let doc = "All ones (1.0 in f16 and bf16) where the comparison holds, else 0; for pairs in each half.";
    t.row(Op::Set, "9.7.7.1", doc, compares, &places(&results, &[F16, F16x2, Bf16, Bf16x2]), |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        if !legal(m, a) {
            return None;
        }
        let eval = match (d, a) {
            (U16 | S16, F16 | Bf16) => set_half(m, a),
            (U32 | S32, F16 | Bf16) => set_half_word(m, a),
            (U32 | S32, F16x2 | Bf16x2) => set_pair(m, a),
            (F16, F16) => set_f16(m, a),
            (F16x2, F16x2) => set_f16x2(m, a),
            (Bf16, Bf16) => set_bf16(m, a),
            (Bf16x2, Bf16x2) => set_bf16x2(m, a),
            _ => return None,
        };
        let form = since(form(m, eval), a);
        Some(if matches!(d, U16 | U32 | S16 | S32) { form.since(65, 53) } else { form })
    });
}

fn predicates(t: &mut Builder) {
    let ftz = || opt(&[Mod::Ftz]);
    let form = |m: &[Mod], q: Option<Slot>, eval: LaneFn| {
        let results = std::iter::once(dst_pred().optional()).chain(q);
        spec(results.chain(sources(m, ty(m, 0))).collect::<Vec<_>>(), Meaning::Lane(eval))
    };
    let q = || Some(dst_pred().named("q").optional());
    let doc = "Compares; q is the opposite of p.";
    t.row(Op::Setp, "9.7.6.2", doc, compares, &[comparisons(), ftz(), types(NUMBERS)], |m| {
        let a = ty(m, 0);
        legal(m, a).then(|| form(m, q(), setp(m[0], a, m.contains(&Mod::Ftz))))
    });
    let doc = "Compares, and combines the outcome with c in p, its opposite with c in q.";
    t.row(Op::SetpBool, "9.7.6.2", doc, compares, &[comparisons(), any(BOOLEAN), ftz(), types(NUMBERS)], |m| {
        let a = ty(m, 0);
        legal(m, a).then(|| form(m, q(), setp_bool(m, a)))
    });
    for (op, boolean, one, two) in [
        (Op::Setp, Alternatives::from([None]), "Compares.", "Compares the low halves into p, the high halves into q."),
        (
            Op::SetpBool,
            any(BOOLEAN),
            "Compares, and combines the outcome with c.",
            "Compares the low halves into p, the high halves into q, each outcome combined with c.",
        ),
    ] {
        let places = |types| [comparisons(), boolean.clone(), ftz(), types];
        t.row(op, "9.7.7.2", one, compares, &places(types(&[F16, Bf16])), |m| {
            let a = ty(m, 0);
            legal(m, a).then(|| since(form(m, None, setp_half(m, a)), a))
        });
        t.row(op, "9.7.7.2", two, compares, &places(types(&[F16x2, Bf16x2])), |m| {
            let a = ty(m, 0);
            legal(m, a).then(|| since(form(m, q(), setp_pair(m, a)), a))
        });
    }
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
