//! Errors of functions of real numbers and of conversions.

use std::fmt::Write;

use super::{is_golden, who};
use crate::interp::wide::combine::{amplify, clamp, combine, sum};
use crate::interp::wide::convert::{Conversion, convert, floats};
use crate::interp::wide::real::{bends, local, passed, terms};
use crate::interp::wide::{Numbers, Plane, Who};
use crate::table::{Clamp, Lanes, Real, WARP};
use crate::types::ScalarType;

const REALS: [Real; 19] = [
    Real::Add,
    Real::Sub,
    Real::Mul,
    Real::Fma,
    Real::Div,
    Real::Rcp,
    Real::Sqrt,
    Real::Rsqrt,
    Real::Sin,
    Real::Cos,
    Real::Lg2,
    Real::Ex2,
    Real::Tanh,
    Real::Neg,
    Real::Abs,
    Real::Min,
    Real::Max,
    Real::Magnitude,
    Real::Copysign,
];

/// Values with errors, one case a lane.
fn cases() -> ([Numbers; 3], [Numbers; 3], Numbers) {
    let (mut v, mut e, mut r) = ([[1.0; WARP]; 3], [[0.0; WARP]; 3], [1.0; WARP]);
    let list = [
        ([1.5, 2.5, -3.0], [0.0, 0.0, 0.0], 4.0),
        ([1.5, 2.5, -3.0], [0.25, 0.0, 0.0], 0.75),
        ([1.5, 2.5, -3.0], [0.0, 0.125, 0.0], 1.5),
        ([1.5, 2.5, -3.0], [0.0, 0.0, 0.5], 2.5),
        ([1.5, 1.5, 2.0], [0.25, -0.5, 0.125], 1.5),
        ([-1.5, 1.5, 0.0], [0.25, -0.5, 0.125], -1.5),
        ([1e10, -1e10, 1.0], [1.0, 0.5, 0.25], 0.0),
        ([1.0, 1.0000001, 3.0], [1e-9, 0.0, 0.0], 1.0),
        ([0.0, 3.0, 1.0], [1e-9, 1e-9, 0.0], 3.0),
        ([-0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 0.0),
        ([0.1, 0.2, 0.3], [-0.2, 0.1, 0.0], 0.3),
        ([-0.1, 0.2, 0.3], [0.2, 0.1, 0.0], 0.1),
        ([f64::NAN, 2.0, 1.0], [0.0, 0.5, 0.0], 2.0),
        ([2.0, f64::NAN, 1.0], [0.5, 0.0, 0.0], 2.0),
        ([f64::INFINITY, 2.0, 1.0], [0.0, 0.5, 0.0], f64::INFINITY),
        ([3.0, 7.0, 0.1], [1e-3, -1e-3, 1e-3], 21.1),
        ([1.0 / 3.0, 1.0 / 7.0, 1.0], [1e-17, 1e-18, 0.0], 1.0 / 21.0),
        ([100.0, 4.0, -400.0], [1.0, 0.0, 0.0], 0.125),
        ([1e-300, 1e300, 1.0], [0.0, 1e290, 0.0], 1.0),
        ([5.0, -5.0, 25.0], [0.5, 0.5, 0.5], -5.0),
    ];
    for (lane, (values, errors, result)) in list.into_iter().enumerate() {
        for i in 0..3 {
            (v[i][lane], e[i][lane]) = (values[i], errors[i]);
        }
        r[lane] = result;
    }
    // The last lane, too.
    for i in 0..3 {
        (v[i][31], e[i][31]) = (v[i][4], e[i][4]);
    }
    (v, e, r)
}

#[test]
fn errors_of_real_functions() {
    let mut text = String::new();
    let (v, e, r) = cases();
    let (values, errors) = ([&v[0], &v[1], &v[2]], [&e[0], &e[1], &e[2]]);
    for real in REALS {
        writeln!(text, "{real:?}: adds {}, bends {}", real.adds(), bends(real)).expect("text");
        let (mut wide, mut narrow) = ([0.0; WARP], [0.0; WARP]);
        local::<true>(real, values, &r, &mut wide);
        local::<false>(real, values, &r, &mut narrow);
        let mut parts = [[0.0; WARP]; 3];
        for (i, part) in parts.iter_mut().enumerate() {
            passed(real, i, values, &r, errors, part);
        }
        let planes: Vec<Plane> =
            (0..3).map(|i| Plane { err: e[i], who: [Who::introduced(10 * (i as u32 + 1)); WARP] }).collect();
        let planes = [Some(&planes[0]), Some(&planes[1]), Some(&planes[2])];
        let mut out = Plane::EXACT;
        combine(7, &wide, &parts, &planes, &r, &mut out);
        let combined = out.clone();
        amplify(7, real, values, errors, &parts, &r, &mut out);
        let mut clamped = [out.clone(), out.clone()];
        clamp(&mut clamped[0], &r, Some(Clamp::Unit));
        clamp(&mut clamped[1], &r, None);
        for lane in (0..20).chain([31]) {
            let own: Vec<_> = parts.iter().map(|p| format!("{:e}", p[lane])).collect();
            let of = terms(real, [v[0][lane], v[1][lane], v[2][lane]], [1.0, 2.0, 4.0]);
            writeln!(
                text,
                "  {lane}: own {:e} {:e}, passed {}; {:e} {}; {}; within 1 {:e} {:e}; terms {of:?}",
                wide[lane],
                narrow[lane],
                own.join(" "),
                combined.err[lane],
                who(combined.who[lane]),
                who(out.who[lane]),
                clamped[0].err[lane],
                clamped[1].err[lane],
            )
            .expect("text");
        }
        // Without the sources' errors, all is its own; without one, the others'.
        combine(7, &wide, &[], &[], &r, &mut out);
        writeln!(text, "  alone {:e} {}", out.err[4], who(out.who[4])).expect("text");
        combine(7, &wide, &parts, &[planes[0], None, planes[2]], &r, &mut out);
        writeln!(text, "  without the second {:e} {}", out.err[4], who(out.who[4])).expect("text");
    }
    for (a, b, r) in [((1.0, 0.25), (2.0, 0.5), 3.0), ((1.0, 0.25), (-1.0, 0.5), 0.125), ((0.1, 0.0), (0.2, 0.0), 0.25)]
    {
        let (err, by) = sum(7, (a.0, (a.1, Who::introduced(1))), (b.0, (b.1, Who::introduced(2))), r);
        writeln!(text, "{a:?} + {b:?} = {r}: {err:e} {}", who(by)).expect("text");
    }
    assert!(Plane::EXACT.is_exact(u32::MAX));
    let mut one = Plane::EXACT;
    one.err[3] = 1.0;
    assert!(!one.is_exact(8) && !one.is_exact(u32::MAX) && one.is_exact(!8) && one.is_exact(0));
    is_golden("errors", &text);
}

#[test]
fn errors_of_conversions() {
    use ScalarType::{Bf16, Bf16x2, F16, F16x2, F32, F64, S8, S32, U16, U32, U64};
    let mut text = String::new();
    let source: Lanes = std::array::from_fn(|lane| match lane {
        0 => 0x3fc0_3f80_3fc0_3e00,
        1 => 0xbff8_0000_c0a0_c500,
        2 => 0x4059_0000_42c8_5640,
        3 => 0x7ff0_0000_7f80_7c00,
        4 => 0x00ff_00ff_80ff_ff81,
        _ => 0x4008_0000_4040_4200 + lane as u64,
    });
    let result: Lanes = std::array::from_fn(|lane| source[lane].rotate_left(lane as u32 % 3) ^ (lane as u64 & 1));
    for (ty, piece) in [(F64, 0), (F32, 0), (F16, 0), (F16x2, 0), (F16x2, 1), (Bf16, 0), (Bf16x2, 1), (U32, 0)] {
        let n = floats(ty, &source, piece);
        writeln!(text, "{ty} {piece}: {:?} {:e}", &n[..6], n[31]).expect("text");
    }
    let types = [F64, F32, F16, Bf16x2, S8, U16, S32, U64];
    let known = Plane { err: std::array::from_fn(|lane| lane as f64 - 2.0), who: [Who::introduced(3); WARP] };
    for from in types {
        for to in types {
            for (integral, clamp, saturates) in [(false, None, false), (true, Some(Clamp::Unit), true)] {
                for plane in [None, Some(&known)] {
                    let c = Conversion { from, to, integral, clamp, saturates };
                    // Once as it is, and once with a result that is the same number.
                    for (name, result) in [("", &result), ("same ", &source)] {
                        let (out, distances) = convert(5, &c, &source, result, 0, plane);
                        let shown: Vec<_> =
                            [0, 1, 4, 31].map(|l| format!("{:e} ({})", out.err[l], who(out.who[l]))).into();
                        let far = distances.map(|d| [d[0], d[4], d[31]]);
                        let kind = format!("{integral} {clamp:?} {saturates} {}", plane.is_some());
                        writeln!(text, "{name}{from} to {to} {kind}: {} {far:?}", shown.join(" ")).expect("text");
                    }
                }
            }
        }
    }
    is_golden("conversions", &text);
}
