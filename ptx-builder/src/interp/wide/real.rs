//! Errors of functions of real numbers.
//!
//! The error of a result has parts: what this instruction's own rounding adds ([`local`]), and what the errors of its sources
//! become ([`passed`]). All is computed as differences that do not cancel, with error-free sums and products where f64 is
//! not wide enough. Where nothing finite comes of it, the caller takes the result as exact.

use super::Numbers;
use crate::table::{Real, WARP};

/// a + b as an f64, and what that lacks.
#[inline(always)]
pub(in crate::interp) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// The upper and lower halves of a number's bits.
#[inline(always)]
fn split(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a; // 2^27 + 1
    let high = c - (c - a);
    (high, a - high)
}

/// a b as an f64, and what that lacks: nothing where both are f32 or narrower, since 48 bits are enough.
#[inline(always)]
pub(in crate::interp) fn two_product<const WIDE: bool>(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    if !WIDE {
        return (p, 0.0);
    }
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (p, al * bl - (((p - ah * bh) - al * bh) - ah * bl))
}

/// A result for each lane.
macro_rules! each {
    ($out:expr, |$i:ident| $e:expr) => {
        for $i in 0..WARP {
            $out[$i] = $e;
        }
    };
}

/// The reals that one f64 operation of the host gives to at least 29 bits more than an f32.
#[inline]
fn function(real: Real, a: f64) -> f64 {
    match real {
        Real::Sin => libm::sin(a),
        Real::Cos => libm::cos(a),
        Real::Lg2 => libm::log2(a),
        Real::Ex2 => libm::exp2(a),
        Real::Tanh => libm::tanh(a),
        Real::Add
        | Real::Sub
        | Real::Mul
        | Real::Fma
        | Real::Div
        | Real::Rcp
        | Real::Sqrt
        | Real::Rsqrt
        | Real::Neg
        | Real::Abs
        | Real::Min
        | Real::Max
        | Real::Magnitude
        | Real::Copysign => f64::NAN,
    }
}

/// Which of the first two sources a result is, and with which sign, if it is one of them, flushed or not.
#[inline(always)]
fn chosen(real: Real, a: f64, b: f64, r: f64) -> (bool, f64) {
    let signed = real == Real::Magnitude;
    let (x, y, z) = if signed { (a.abs(), b.abs(), r.abs()) } else { (a, b, r) };
    // A NaN is never the result while the other is a number; what is flushed is next to its source.
    let first = x == z || y != z && ((x - z).abs() <= (y - z).abs() || y.is_nan());
    let source = if first { a } else { b };
    (first, if signed && source.is_sign_negative() != r.is_sign_negative() { -1.0 } else { 1.0 })
}

/// The real function of the sources' own values, less the result.
#[inline]
pub(in crate::interp) fn local<const WIDE: bool>(real: Real, [a, b, c]: [&Numbers; 3], r: &Numbers, out: &mut Numbers) {
    match real {
        Real::Add => each!(out, |i| {
            let (s, t) = two_sum(a[i], b[i]);
            (s - r[i]) + t
        }),
        Real::Sub => each!(out, |i| {
            let (s, t) = two_sum(a[i], -b[i]);
            (s - r[i]) + t
        }),
        Real::Mul => each!(out, |i| {
            let (p, t) = two_product::<WIDE>(a[i], b[i]);
            (p - r[i]) + t
        }),
        Real::Fma => each!(out, |i| {
            let (p, t) = two_product::<WIDE>(a[i], b[i]);
            let (s, u) = two_sum(p, c[i]);
            (s - r[i]) + (t + u)
        }),
        Real::Div => each!(out, |i| {
            let (p, t) = two_product::<WIDE>(r[i], b[i]);
            ((a[i] - p) - t) / b[i]
        }),
        Real::Rcp => each!(out, |i| {
            let (p, t) = two_product::<WIDE>(r[i], a[i]);
            ((1.0 - p) - t) / a[i]
        }),
        Real::Sqrt => each!(out, |i| {
            let (p, t) = two_product::<WIDE>(r[i], r[i]);
            let twice = r[i] + a[i].sqrt();
            if twice == 0.0 { 0.0 } else { ((a[i] - p) - t) / twice }
        }),
        Real::Rsqrt => each!(out, |i| {
            let root = a[i].sqrt();
            let (p, t) = two_product::<true>(r[i], r[i]);
            let (q, u) = two_product::<true>(p, a[i]);
            (((1.0 - q) - u) - t * a[i]) / (root * (1.0 + r[i] * root))
        }),
        Real::Sin | Real::Cos | Real::Lg2 | Real::Ex2 | Real::Tanh => {
            each!(out, |i| function(real, a[i]) - r[i]);
        }
        Real::Neg => each!(out, |i| -a[i] - r[i]),
        Real::Abs => each!(out, |i| a[i].abs() - r[i]),
        Real::Min | Real::Max | Real::Magnitude => each!(out, |i| {
            let (first, sign) = chosen(real, a[i], b[i], r[i]);
            sign * if first { a[i] } else { b[i] } - r[i]
        }),
        Real::Copysign => *out = [0.0; WARP],
    }
}

/// What the error of source `i` becomes. Of a product of errors, the first source has all.
#[inline]
pub(in crate::interp) fn passed(
    real: Real,
    i: usize,
    [a, b, _]: [&Numbers; 3],
    r: &Numbers,
    e: [&Numbers; 3],
    out: &mut Numbers,
) {
    let [ea, eb, ec] = e;
    match (real, i) {
        (Real::Add | Real::Sub, 0) => *out = *ea,
        (Real::Add, _) => *out = *eb,
        (Real::Sub, _) => each!(out, |i| -eb[i]),
        (Real::Mul | Real::Fma, 0) => each!(out, |i| ea[i] * (b[i] + eb[i])),
        (Real::Mul, _) | (Real::Fma, 1) => each!(out, |i| a[i] * eb[i]),
        (Real::Fma, _) => *out = *ec,
        (Real::Div, 0) => each!(out, |i| ea[i] / (b[i] + eb[i])),
        // a / (b + eb) - a / b.
        (Real::Div, _) => each!(out, |i| if eb[i] == 0.0 { 0.0 } else { -(a[i] / b[i]) * eb[i] / (b[i] + eb[i]) }),
        (Real::Rcp, _) => each!(out, |i| if ea[i] == 0.0 { 0.0 } else { -ea[i] / (a[i] * (a[i] + ea[i])) }),
        (Real::Sqrt, _) => each!(out, |i| {
            let twice = a[i].sqrt() + (a[i] + ea[i]).sqrt();
            if ea[i] == 0.0 { 0.0 } else { ea[i] / twice }
        }),
        (Real::Rsqrt, _) => each!(out, |i| {
            let (root, moved) = (a[i].sqrt(), (a[i] + ea[i]).sqrt());
            if ea[i] == 0.0 { 0.0 } else { -ea[i] / (root * moved * (root + moved)) }
        }),
        (Real::Sin | Real::Cos | Real::Lg2 | Real::Ex2 | Real::Tanh, _) => {
            each!(out, |i| if ea[i] == 0.0 { 0.0 } else { function(real, a[i] + ea[i]) - function(real, a[i]) });
        }
        (Real::Neg, _) => each!(out, |i| -ea[i]),
        (Real::Abs, _) => each!(out, |i| {
            let moved = a[i] + ea[i];
            if a[i] > 0.0 && moved >= 0.0 {
                ea[i]
            } else if a[i] < 0.0 && moved <= 0.0 {
                -ea[i]
            } else {
                moved.abs() - a[i].abs()
            }
        }),
        (Real::Min | Real::Max | Real::Magnitude, source) => each!(out, |i| {
            let (first, sign) = chosen(real, a[i], b[i], r[i]);
            if first == (source == 0) { sign * e[source][i] } else { 0.0 }
        }),
        // The first source gives no more than its sign.
        (Real::Copysign, 0) => *out = [0.0; WARP],
        (Real::Copysign, _) => {
            each!(out, |i| if b[i].is_sign_negative() == r[i].is_sign_negative() { eb[i] } else { -eb[i] });
        }
    }
}

/// The terms of a sum and their errors, to attribute cancellation: `(terms, their errors)`.
pub(in crate::interp) fn terms(real: Real, [a, b, c]: [f64; 3], [pa, pb, pc]: [f64; 3]) -> Option<[(f64, f64); 2]> {
    match real {
        Real::Add | Real::Sub => Some([(a, pa), (b, pb)]),
        Real::Fma => Some([(a * b, pa + pb), (c, pc)]),
        Real::Mul
        | Real::Div
        | Real::Rcp
        | Real::Sqrt
        | Real::Rsqrt
        | Real::Sin
        | Real::Cos
        | Real::Lg2
        | Real::Ex2
        | Real::Tanh
        | Real::Neg
        | Real::Abs
        | Real::Min
        | Real::Max
        | Real::Magnitude
        | Real::Copysign => None,
    }
}

/// Whether it may amplify a relative error without being a sum: functions whose result does not scale with the source.
pub(in crate::interp) fn bends(real: Real) -> bool {
    matches!(real, Real::Sin | Real::Cos | Real::Lg2 | Real::Ex2 | Real::Tanh)
}
