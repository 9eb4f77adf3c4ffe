//! Parts of an error, put together: how much, and whose.

use super::{Numbers, Plane, Who, real};
use crate::table::{Clamp, Real, WARP};

/// A relative error that grows by less than this is not called amplified: a sum whose terms are four times larger than it
/// has lost two bits.
const AMPLIFIED: f64 = 4.0;

/// Adds the parts. Most of an error is whose the largest part is; where there is no error, it does not matter whose.
#[allow(clippy::needless_range_loop)] // of several arrays
pub(in crate::interp) fn combine(
    pc: u32,
    local: &Numbers,
    parts: &[Numbers],
    planes: &[Option<&Plane>],
    r: &Numbers,
    out: &mut Plane,
) {
    out.err = *local;
    out.who = [Who::introduced(pc); WARP];
    let mut most = [0.0; WARP];
    for i in 0..WARP {
        most[i] = local[i].abs();
    }
    for (part, plane) in parts.iter().zip(planes) {
        let Some(plane) = plane else { continue };
        for i in 0..WARP {
            out.err[i] += part[i];
            let (size, larger) = (part[i].abs(), part[i].abs() > most[i]);
            most[i] = if larger { size } else { most[i] };
            out.who[i] = if larger { plane.who[i] } else { out.who[i] };
        }
    }
    // An infinity or a NaN has no shadow.
    for i in 0..WARP {
        let known = out.err[i].is_finite() & r[i].is_finite();
        out.err[i] = if known { out.err[i] } else { 0.0 };
    }
}

/// Clamps the real result, as the instruction did its own.
#[allow(clippy::needless_range_loop)] // of several arrays
pub(in crate::interp) fn clamp(plane: &mut Plane, r: &Numbers, clamp: Option<Clamp>) {
    let Some(clamp) = clamp else { return };
    for i in 0..WARP {
        let real = r[i] + plane.err[i];
        if real < 0.0 {
            plane.err[i] = -r[i];
        } else if clamp == Clamp::Unit && real > 1.0 {
            plane.err[i] = 1.0 - r[i];
        }
    }
}

/// Records amplification: sums that are smaller than their terms, and steep functions.
pub(in crate::interp) fn amplify(
    pc: u32,
    real: Real,
    v: [&Numbers; 3],
    e: [&Numbers; 3],
    parts: &[Numbers; 3],
    r: &Numbers,
    out: &mut Plane,
) {
    if real.adds() {
        let mut any = false;
        for i in 0..WARP {
            let first = if real == Real::Fma { v[0][i] * v[1][i] } else { v[0][i] };
            let second = if real == Real::Fma { v[2][i] } else { v[1][i] };
            any |= r[i].abs() * AMPLIFIED < first.abs().max(second.abs());
        }
        if !any {
            return;
        }
    } else if !real::bends(real) {
        return;
    }
    for i in 0..WARP {
        let parts = [parts[0][i], parts[1][i], parts[2][i]];
        let total: f64 = parts.iter().sum();
        // The error that the instruction itself introduced is not amplified.
        if total == 0.0 || out.who[i].introducer() == Some(pc) && total.abs() < out.err[i].abs() / 2.0 {
            continue;
        }
        let terms = match real::terms(real, [v[0][i], v[1][i], v[2][i]], parts) {
            Some(terms) => terms,
            None => [(v[0][i], e[0][i]), (1.0, 0.0)],
        };
        let before = terms.iter().filter(|(_, e)| *e != 0.0).map(|(x, e)| (e / x).abs()).fold(0.0, f64::max);
        let after = total.abs() / r[i].abs().max((r[i] + out.err[i]).abs());
        let factor = after / before;
        if factor >= AMPLIFIED {
            out.who[i] = out.who[i].amplified(pc, factor);
        }
    }
}

/// The error of one sum of two numbers, each with its own, and whose it is.
pub(in crate::interp) fn sum(pc: u32, a: (f64, (f64, Who)), b: (f64, (f64, Who)), r: f64) -> (f64, Who) {
    let lanes = |x: f64| [x; WARP];
    let (va, vb, vr) = (lanes(a.0), lanes(b.0), lanes(r));
    let plane = |(err, who): (f64, Who)| Plane { err: lanes(err), who: [who; WARP] };
    let (pa, pb) = (plane(a.1), plane(b.1));
    let mut own = [0.0; WARP];
    real::local::<true>(Real::Add, [&va, &vb, &vb], &vr, &mut own);
    let parts = [pa.err, pb.err, [0.0; WARP]];
    let mut out = Plane::EXACT;
    combine(pc, &own, &parts, &[Some(&pa), Some(&pb)], &vr, &mut out);
    amplify(pc, Real::Add, [&va, &vb, &vb], [&pa.err, &pb.err, &pb.err], &parts, &vr, &mut out);
    let Plane { err: [err, ..], who: [who, ..] } = out;
    (err, who)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One lane whose sum is much smaller than its terms is enough, whichever it is, and only it is reported.
    #[test]
    fn each_lane_is_looked_at() {
        for lane in 0..WARP {
            let (a, mut b) = ([1.0; WARP], [1.0; WARP]);
            b[lane] = -0.875;
            let r: Numbers = std::array::from_fn(|i| a[i] + b[i]);
            let error = Plane { err: [0.0078125; WARP], who: [Who::introduced(3); WARP] };
            let parts = [error.err, [0.0; WARP], [0.0; WARP]];
            let mut out = error.clone();
            amplify(9, Real::Add, [&a, &b, &b], [&error.err, &[0.0; WARP], &[0.0; WARP]], &parts, &r, &mut out);
            for (i, who) in out.who.iter().enumerate() {
                assert_eq!(who.amplifier().map(|(pc, _)| pc), (i == lane).then_some(9), "{lane} {i}");
            }
        }
    }

    /// Of a product that is added, the product is a term: 4.5 - 3.5 is more than four times smaller than its first term only.
    #[test]
    fn a_product_is_a_term() {
        let [a, b, c, r] = [1.0, 4.5, -3.5, 1.0].map(|x| [x; WARP]);
        let error = Plane { err: [0.0078125; WARP], who: [Who::introduced(3); WARP] };
        let (none, passed) = ([0.0; WARP], error.err.map(|e| 4.5 * e));
        let mut out = Plane { err: passed, ..error.clone() };
        amplify(9, Real::Fma, [&a, &b, &c], [&error.err, &none, &none], &[passed, none, none], &r, &mut out);
        assert!(out.who.iter().all(|who| who.amplifier().map(|(pc, _)| pc) == Some(9)));
    }

    #[test]
    fn what_is_not_finite_has_no_shadow() {
        for lane in 0..WARP {
            for (of_error, of_result) in [(f64::INFINITY, 1.0), (f64::NAN, 1.0), (0.5, f64::INFINITY), (0.5, f64::NAN)]
            {
                let (mut local, mut r) = ([0.5; WARP], [1.0; WARP]);
                (local[lane], r[lane]) = (of_error, of_result);
                let mut out = Plane::EXACT;
                combine(9, &local, &[], &[], &r, &mut out);
                assert!(
                    (0..WARP).all(|i| out.err[i] == if i == lane { 0.0 } else { 0.5 }),
                    "{lane} {of_error} {of_result}"
                );
            }
        }
    }
}
