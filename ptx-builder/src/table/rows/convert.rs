//! Conversions (PTX ISA 9.7.9.21).
//!
//! Operands of integer types may be wider registers: the result is extended to
//! the register by its type's sign, and of a source the low bits count.

use super::float::is_tiny;
use super::precision::{converts, converts_from};
use super::{Builder, Spec, any, one, opt, spec, ty, types};
use crate::table::arith::{Convert, round_to_integral};
use crate::table::lanes::{lane, with_bool, with_int, with_mode};
use crate::table::slot::{dst, dst_wide, src, src_wide};
use crate::table::{LaneFn, Meaning, Mod, Mods, Op, Precision, Rounding};
use crate::types::Kind;
use crate::types::ScalarType::{self, Bf16, Bf16x2, F16, F16x2, F32, F64, S8, S16, S32, S64, U8, U16, U32, U64};

const INTS: &[ScalarType] = &[U8, U16, U32, U64, S8, S16, S32, S64];
const FLOATS: &[ScalarType] = &[F16, Bf16, F32, F64];
const FRACTIONAL: &[Mod] = &[Mod::Rn, Mod::Rz, Mod::Rm, Mod::Rp];
const INTEGRAL: &[Mod] = &[Mod::Rni, Mod::Rzi, Mod::Rmi, Mod::Rpi];

/// Picks one of the four float formats.
macro_rules! with_format {
    ($ty:expr, $T:ident, $e:expr) => {
        match $ty {
            F16 => {
                type $T = half::f16;
                $e
            }
            Bf16 => {
                type $T = half::bf16;
                $e
            }
            F32 => {
                type $T = f32;
                $e
            }
            _ => {
                type $T = f64;
                $e
            }
        }
    };
}

/// A conversion's form. bf16 converts since sm_90, but to and from f32 since sm_80, never to or
/// from bytes, and to or from integers in registers of their size only.
fn conversion(d: ScalarType, a: ScalarType, eval: LaneFn) -> Spec {
    let wide = |t: ScalarType| t.kind() != Kind::Float && d != Bf16 && a != Bf16;
    let result = if wide(d) { dst_wide(d) } else { dst(d) };
    let source = if wide(a) { src_wide("a", a) } else { src("a", a) };
    let form = spec([result, source], Meaning::Lane(eval));
    match (d, a) {
        (Bf16, F32) => form.since(70, 80),
        (F32, Bf16) => form.since(71, 80),
        (Bf16, _) | (_, Bf16) => form.since(78, 90),
        _ => form,
    }
}

fn mode(m: &[Mod]) -> Rounding {
    m.iter().find_map(|&m| Rounding::of(m)).unwrap_or(Rounding::NearestEven)
}

/// `x` flushed as an f32 under `.ftz`.
fn flush(x: f64) -> f64 {
    if x.abs() < f64::from(f32::MIN_POSITIVE) { 0f64.copysign(x) } else { x }
}

/// `x` clamped to [0, 1]; a NaN gives 0.
fn saturate(x: f64) -> f64 {
    if x > 0.0 { x.min(1.0) } else { 0.0 }
}

pub(super) fn rows(t: &mut Builder) {
    between_ints(t);
    from_int(t);
    to_int(t);
    between_floats(t);
    integral(t);
    packed(t);
}

/// Whether some value of `a` is none of `d`; the ISA has `.sat` only there.
fn saturable(d: ScalarType, a: ScalarType) -> bool {
    match (d.is_signed(), a.is_signed()) {
        (false, false) | (true, true) => d.bits() < a.bits(),
        (false, true) => true,
        (true, false) => d.bits() <= a.bits(),
    }
}

fn between_ints(t: &mut Builder) {
    let doc = "Converts an integer, dropping high bits or extending by a's sign.";
    t.row(Op::Cvt, "9.7.9.21", doc, converts, &[types(INTS), types(INTS)], |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        Some(conversion(d, a, with_int!(d, D, with_int!(a, A, lane!(|a: A| -> D { a as D })))))
    });
    let doc = "Converts an integer, clamping.";
    t.row(Op::Cvt, "9.7.9.21", doc, converts, &[one(Mod::Sat), types(INTS), types(INTS)], |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        let eval = with_int!(d, D, {
            with_int!(a, A, lane!(|a: A| -> D { i128::from(a).clamp(i128::from(D::MIN), i128::from(D::MAX)) as D }))
        });
        saturable(d, a).then(|| conversion(d, a, eval))
    });
}

/// Whether there are conversions between this float and this integer type.
fn convertible(float: ScalarType, int: ScalarType) -> bool {
    float != Bf16 || int.bits() > 8
}

fn from_int(t: &mut Builder) {
    let doc = "Converts an integer to a float.";
    t.row(Op::Cvt, "9.7.9.21", doc, converts, &[any(FRACTIONAL), types(FLOATS), types(INTS)], |m| {
        let (d, a) = (ty(m, 0), ty(m, 1));
        let eval = match (d, mode(m)) {
            (F32, Rounding::NearestEven) => with_int!(a, A, lane!(|a: A| -> f32 { a as f32 })),
            (F64, Rounding::NearestEven) => with_int!(a, A, lane!(|a: A| -> f64 { a as f64 })),
            (_, mode) => with_format!(d, D, {
                with_mode!(mode, M, with_int!(a, A, lane!(|a: A| -> D { D::from_int(i128::from(a), M) })))
            }),
        };
        convertible(d, a).then(|| conversion(d, a, eval))
    });
}

fn to_int(t: &mut Builder) {
    t.row(
        Op::Cvt,
        "9.7.9.21",
        "Converts a float to an integer, clamping. A NaN gives 0, but the top bit alone where either has 64 bits.",
        converts,
        &[any(INTEGRAL), opt(&[Mod::Ftz]), types(INTS), types(FLOATS)],
        |m| {
            let (d, a) = (ty(m, 0), ty(m, 1));
            let ftz = m.contains(&Mod::Ftz);
            if !convertible(a, d) || (ftz && a != F32) {
                return None;
            }
            macro_rules! eval {
                ($a:ty, $M:ident, |$x:ident| $input:expr) => {
                    with_int!(d, D, {
                        lane!(|a: $a| -> D {
                            let $x = a.widen();
                            let x = $input;
                            match x.is_nan() {
                                true if D::BITS == 64 || size_of::<$a>() == 8 => (1 as D) << (D::BITS - 1),
                                true => 0,
                                false => round_to_integral(x, $M) as D,
                            }
                        })
                    })
                };
            }
            let eval = with_mode!(mode(m), M, {
                if ftz { eval!(f32, M, |x| flush(x)) } else { with_format!(a, A, eval!(A, M, |x| x)) }
            });
            // `.sat` may be written but of bf16, and changes nothing: the result is clamped in any case.
            let form = conversion(d, a, eval);
            if a == Bf16 {
                return Some(form);
            }
            let mut saturated: Mods = m.into();
            saturated.insert(m.len() - 2, Mod::Sat);
            Some(form.also_spelled(saturated))
        },
    );
}

/// Whether every `a` is a `d`.
fn widens(d: ScalarType, a: ScalarType) -> bool {
    matches!((d, a), (F32, F16 | Bf16) | (F64, F16 | Bf16 | F32))
}

/// Converts under a rounding, `.ftz` and `.sat`.
#[inline(always)]
fn float<A: Convert, D: Convert>(a: A, mode: Rounding, ftz: bool, sat: bool) -> D {
    let x = a.widen();
    let x = if ftz && size_of::<A>() == 4 { flush(x) } else { x };
    let x = if ftz && size_of::<D>() == 4 && is_tiny(x, mode) { 0f64.copysign(x) } else { x };
    D::narrow(if sat { saturate(x) } else { x }, mode)
}

fn between_floats(t: &mut Builder) {
    let modes = std::iter::once(None).chain(any(FRACTIONAL)).collect();
    t.row(
        Op::Cvt,
        "9.7.9.21",
        "Converts a float; with a rounding where d has not every value of a.",
        converts,
        &[modes, opt(&[Mod::Ftz]), opt(&[Mod::Sat]), types(FLOATS), types(FLOATS)],
        |m| {
            let (d, a) = (ty(m, 0), ty(m, 1));
            let (ftz, sat) = (m.contains(&Mod::Ftz), m.contains(&Mod::Sat));
            let written = m.iter().any(|&m| Rounding::of(m).is_some());
            // ptxas accepts these, but does not flush.
            let unflushed = d == F16 && matches!(mode(m), Rounding::Down | Rounding::Up);
            if ftz && unflushed {
                return None;
            }
            if d == a || written == widens(d, a) || (ftz && d != F32 && a != F32) || (sat && (d == Bf16 || a == Bf16)) {
                return None;
            }
            let eval = with_mode!(mode(m), M, {
                with_format!(
                    d,
                    D,
                    with_format!(a, A, {
                        with_bool!(ftz, FTZ, with_bool!(sat, SAT, lane!(|a: A| -> D { float(a, M, FTZ, SAT) })))
                    })
                )
            });
            let form = conversion(d, a, eval);
            Some(if ftz && a == Bf16 { form.since(78, 90) } else { form })
        },
    );
    let doc = "Converts an f32; with relu, a negative one gives 0, with satfinite, one too large the largest.";
    let modes = any(&[Mod::Rn, Mod::Rz]);
    let places = [modes, opt(&[Mod::Relu]), opt(&[Mod::Satfinite]), types(&[F16, Bf16]), types(&[F32])];
    t.row(Op::Cvt, "9.7.9.21", doc, bounded(None), &places, |m| {
        let d = ty(m, 0);
        let (relu, finite) = (m.contains(&Mod::Relu), m.contains(&Mod::Satfinite));
        if !relu && !finite {
            return None;
        }
        let eval = with_mode!(mode(m), M, {
            with_bool!(relu, RELU, {
                with_bool!(finite, FINITE, {
                    if d == F16 {
                        lane!(|a: f32| -> half::f16 { half::f16::from_bits(f16(a, M, RELU, FINITE)) })
                    } else {
                        lane!(|a: f32| -> half::bf16 { half::bf16::from_bits(bf16(a, M, RELU, FINITE)) })
                    }
                })
            })
        });
        let form = spec([dst(d), src("a", F32)], Meaning::Lane(eval));
        Some(match (d, relu, finite) {
            (F16, false, _) => form.since(81, 70),
            (_, _, true) => form.since(81, 80),
            _ => form.since(70, 80),
        })
    });
}

/// What becomes of precision, unless a number that is too large becomes one that is not: then nothing is known.
fn bounded(from: Option<ScalarType>) -> impl Fn(&[Mod]) -> Precision {
    move |m| match from {
        _ if m.contains(&Mod::Satfinite) => Precision::Opaque,
        Some(from) => converts_from(from)(m),
        None => converts(m),
    }
}

macro_rules! halves {
    ($($name:ident: $t:ty),*) => {$(
        /// The bits of `x` rounded to this format, where it may not be negative (`relu`) or infinite (`finite`).
        fn $name(x: f32, mode: Rounding, relu: bool, finite: bool) -> u16 {
            let x = f64::from(x);
            let d = <$t>::narrow(if relu && x <= 0.0 { 0.0 } else { x }, mode);
            match d {
                d if d.is_nan() => 0x7fff,
                d if finite && d.is_infinite() => <$t>::MAX.to_bits() | u16::from(d.is_sign_negative()) << 15,
                d => d.to_bits(),
            }
        }
    )*};
}
halves!(f16: half::f16, bf16: half::bf16);

fn integral(t: &mut Builder) {
    let modes = std::iter::once(None).chain(any(INTEGRAL)).collect();
    t.row(
        Op::Cvt,
        "9.7.9.21",
        "The integral value next to a in a direction; without one, a itself (saturated, flushed).",
        converts,
        &[modes, opt(&[Mod::Ftz]), opt(&[Mod::Sat]), types(FLOATS), types(FLOATS)],
        |m| {
            let (d, a) = (ty(m, 0), ty(m, 1));
            let (ftz, sat) = (m.contains(&Mod::Ftz), m.contains(&Mod::Sat));
            if d != a || (ftz && a != F32) || (sat && a == Bf16) {
                return None;
            }
            let eval = match m.iter().find_map(|&m| Rounding::of(m)) {
                None => with_format!(a, A, {
                    with_bool!(
                        ftz,
                        FTZ,
                        with_bool!(sat, SAT, lane!(|a: A| -> A { float(a, Rounding::NearestEven, FTZ, SAT) }))
                    )
                }),
                Some(mode) => with_mode!(
                    mode,
                    M,
                    with_format!(a, A, {
                        with_bool!(
                            ftz,
                            FTZ,
                            with_bool!(sat, SAT, {
                                lane!(|a: A| -> A {
                                    let x = if FTZ { flush(a.widen()) } else { a.widen() };
                                    let x = round_to_integral(x, M);
                                    A::narrow(if SAT { saturate(x) } else { x }, Rounding::NearestEven)
                                })
                            })
                        )
                    })
                ),
            };
            Some(conversion(d, a, eval))
        },
    );
}

fn packed(t: &mut Builder) {
    t.row(
        Op::CvtPack,
        "9.7.9.21",
        "Converts a into the high half and b into the low half; with relu, negatives give 0, with satfinite, what is too large the largest.",
        bounded(Some(F32)),
        &[
            any(&[Mod::Rn, Mod::Rz]),
            opt(&[Mod::Relu]),
            opt(&[Mod::Satfinite]),
            types(&[F16x2, Bf16x2]),
            types(&[F32]),
        ],
        |m| {
            let d = ty(m, 0);
            let finite = m.contains(&Mod::Satfinite);
            macro_rules! eval {
                ($half:ident) => {
                    with_mode!(mode(m), M, {
                        with_bool!(m.contains(&Mod::Relu), RELU, {
                            with_bool!(finite, FINITE, {
                                lane!(|a: f32, b: f32| -> u32 {
                                    let half = |x: f32| u32::from($half(x, M, RELU, FINITE));
                                    half(a) << 16 | half(b)
                                })
                            })
                        })
                    })
                };
            }
            let eval = if d == F16x2 { eval!(f16) } else { eval!(bf16) };
            let form = spec([dst(d), src("a", F32), src("b", F32)], Meaning::Lane(eval)).since(70, 80);
            Some(if finite { form.since(81, 80) } else { form })
        },
    );
}
