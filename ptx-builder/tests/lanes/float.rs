//! Float arithmetic in every format and rounding, against `rustc_apfloat` where that is not what
//! computes it.

use rustc_apfloat::ieee::{BFloat, Half, Single};
use rustc_apfloat::{Float, Round};

use super::{Random, f32s, f64s, one};

const MODES: [(&str, Round); 4] = [
    ("rn", Round::NearestTiesToEven),
    ("rz", Round::TowardZero),
    ("rm", Round::TowardNegative),
    ("rp", Round::TowardPositive),
];

/// The bits, or the canonical NaN's.
fn bits<F: Float>(x: F, nan: u64) -> u64 {
    if x.is_nan() { nan } else { x.to_bits() as u64 }
}

/// Floats of `precision` bits in `width`: special ones, near each other, and any.
fn samples(width: u32, precision: u32) -> Vec<u64> {
    let mut random = Random::new();
    let fraction = precision - 1;
    let exponents = width - 1 - fraction;
    let infinity = ((1u64 << exponents) - 1) << fraction;
    let one = ((1u64 << (exponents - 1)) - 1) << fraction;
    let mut all = vec![0, 1, 2, (1 << fraction) - 1, 1 << fraction, (1 << fraction) + 1, infinity - 1, infinity];
    all.extend([one - 1, one, one + 1, one + 2, infinity | 1 << (fraction - 1)]);
    all.extend((0..24).map(|_| random.next() & (infinity | ((1 << fraction) - 1))));
    all.extend((0..24).map(|_| one + (random.next() & ((4 << fraction) - 1)) - (2 << fraction)));
    let negative: Vec<_> = all.iter().map(|x| x | 1 << (width - 1)).collect();
    all.extend(negative);
    all
}

fn against<F: Float>(ty: &str, width: u32, precision: u32, nan: u64, modes: &[(&str, Round)], division: bool) {
    let all = samples(width, precision);
    let soft = |x: u64| F::from_bits(u128::from(x));
    for (i, &a) in all.iter().enumerate() {
        for (j, &b) in all.iter().enumerate() {
            let c = all[(7 * i + 3 * j) % all.len()];
            for &(mode, round) in modes {
                let check = |op: &str, sources: &[u64], expected: F| {
                    let name = format!("{op}.{mode}.{ty}");
                    assert_eq!(one(&name, sources), bits(expected, nan), "{name} {sources:x?}");
                };
                check("add", &[a, b], soft(a).add_r(soft(b), round).value);
                check("sub", &[a, b], soft(a).sub_r(soft(b), round).value);
                check("mul", &[a, b], soft(a).mul_r(soft(b), round).value);
                check("fma", &[a, b, c], soft(a).mul_add_r(soft(b), soft(c), round).value);
                if division {
                    check("div", &[a, b], soft(a).div_r(soft(b), round).value);
                    check("rcp", &[b], F::from_u128(1).value.div_r(soft(b), round).value);
                }
            }
        }
    }
}

#[test]
fn f32_rounds_every_way() {
    against::<Single>("f32", 32, 24, 0x7fff_ffff, &MODES, true);
}

#[test]
fn halves_round_to_nearest() {
    against::<Half>("f16", 16, 11, 0x7fff, &MODES[..1], false);
    against::<BFloat>("bf16", 16, 8, 0x7fff, &MODES[..1], false);
}

#[test]
fn unwritten_roundings_are_to_nearest() {
    for (a, b) in [(1.0f32, 1e-8), (0.1, 0.7), (3.0, -1e20)] {
        assert_eq!(f32s("add.f32", &[a, b]), a + b);
        assert_eq!(f32s("sub.f32", &[a, b]), a - b);
        assert_eq!(f32s("mul.f32", &[a, b]), a * b);
        assert_eq!(f64s("add.f64", &[a.into(), b.into()]), f64::from(a) + f64::from(b));
    }
}

/// f64 in the directions, without the library that computes it: the sign of the exact error (an
/// fma, or a two-sum) says on which side of the nearest value the exact one lies.
#[test]
fn f64_rounds_every_way() {
    let values: Vec<f64> = samples(64, 53).into_iter().map(f64::from_bits).collect();
    let normal = |x: f64| x == 0.0 || (x.is_finite() && x.abs() > 1e-250);
    for &a in &values {
        for &b in &values {
            let check = |op: &str, nearest: f64, error: f64, sources: &[f64]| {
                if !normal(nearest) || nearest == 0.0 || error.is_nan() {
                    return;
                }
                let down = if error < 0.0 { nearest.next_down() } else { nearest };
                let up = if error > 0.0 { nearest.next_up() } else { nearest };
                let zero = if nearest > 0.0 { down } else { up };
                for (mode, expected) in [("rn", nearest), ("rm", down), ("rp", up), ("rz", zero)] {
                    let name = format!("{op}.{mode}.f64");
                    assert_eq!(f64s(&name, sources).to_bits(), expected.to_bits(), "{name} {sources:?}");
                }
            };
            let product = a * b;
            check("mul", product, a.mul_add(b, -product), &[a, b]);
            let sum = a + b;
            let back = sum - a;
            check("add", sum, (a - (sum - back)) + (b - back), &[a, b]);
            let quotient = a / b;
            if normal(a) && normal(b) && (1e-200..1e200).contains(&b.abs()) {
                let rest = (-quotient).mul_add(b, a);
                check("div", quotient, if b < 0.0 { -rest } else { rest }, &[a, b]);
            }
        }
        let root = a.sqrt();
        if normal(a) {
            check_root(a, root);
        }
    }
    // Where no error can be computed.
    assert_eq!(f64s("mul.rz.f64", &[1e300, 1e300]), f64::MAX);
    assert_eq!(f64s("mul.rp.f64", &[-1e300, 1e300]), -f64::MAX);
    assert_eq!(f64s("mul.rm.f64", &[1e-300, 1e-300]), 0.0);
    assert_eq!(f64s("mul.rp.f64", &[1e-300, 1e-300]), f64::from_bits(1));
    assert_eq!(f64s("sub.rm.f64", &[1.0, 1.0]).to_bits(), (-0f64).to_bits());
    assert_eq!(f64s("fma.rp.f64", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, 0.0]), 1.0);
    assert_eq!(f64s("fma.rz.f64", &[1.0 + f64::EPSILON, 1.0 - f64::EPSILON, 0.0]), 1f64.next_down());
}

/// A root rounded down is the greatest whose square is at most `a`, in integers.
fn check_root(a: f64, nearest: f64) {
    if a <= 0.0 {
        return;
    }
    let parts = |x: f64| (x.to_bits() & ((1 << 52) - 1) | 1 << 52, (x.to_bits() >> 52) as i32 - 1075);
    let square_at_most = |root: f64| {
        let ((m, e), (n, f)) = (parts(root), parts(a));
        u128::from(m) * u128::from(m) <= u128::from(n) << (f - 2 * e)
    };
    let down = f64s("sqrt.rm.f64", &[a]);
    assert!(square_at_most(down) && !square_at_most(down.next_up()), "sqrt.rm.f64 {a}");
    assert_eq!(f64s("sqrt.rz.f64", &[a]), down);
    assert_eq!(f64s("sqrt.rn.f64", &[a]), nearest);
    let (m, e) = parts(down);
    let (n, f) = parts(a);
    let exact = u128::from(m) * u128::from(m) == u128::from(n) << (f - 2 * e);
    assert_eq!(f64s("sqrt.rp.f64", &[a]), if exact { down } else { down.next_up() });
}

/// f64 holds the square of an f32 exactly.
#[test]
fn f32_roots() {
    let square = |x: f32| f64::from(x) * f64::from(x);
    for a in samples(32, 24).into_iter().map(|x| f32::from_bits(x as u32)).filter(|a| a.is_finite() && *a > 0.0) {
        let (down, up) = (f32s("sqrt.rm.f32", &[a]), f32s("sqrt.rp.f32", &[a]));
        assert!(square(down) <= a.into() && square(down.next_up()) > a.into(), "{a}");
        assert_eq!(up, if square(down) == f64::from(a) { down } else { down.next_up() });
        assert_eq!(f32s("sqrt.rz.f32", &[a]), down);
        assert_eq!(f32s("sqrt.rn.f32", &[a]), a.sqrt());
    }
    assert!(f32s("sqrt.rn.f32", &[-1.0]).is_nan());
    assert_eq!(f32s("sqrt.rm.f32", &[-0.0]).to_bits(), (-0f32).to_bits());
}

#[test]
fn pairs_are_two_halves() {
    let mut random = Random::new();
    for (pair, half) in [("f16x2", "f16"), ("bf16x2", "bf16")] {
        for _ in 0..500 {
            let x: [u64; 3] = std::array::from_fn(|_| random.next() & 0xffff_ffff);
            for (op, sources) in
                [("add", 2), ("mul.rn", 2), ("fma.rn", 3), ("fma.rn.relu", 3), ("min", 2), ("max.NaN", 2), ("neg", 1)]
            {
                let part = |shift: u32| {
                    let part: Vec<_> = x[..sources].iter().map(|x| x >> shift & 0xffff).collect();
                    one(&format!("{op}.{half}"), &part)
                };
                assert_eq!(one(&format!("{op}.{pair}"), &x[..sources]), part(0) | part(16) << 16, "{op}.{pair} {x:x?}");
            }
        }
    }
}

#[test]
fn extremes_and_nan() {
    let nan = f32::NAN;
    for (op, nan_result, zeros) in [("min", 1.0f32, -0f32), ("max", 1.0, 0.0)] {
        assert_eq!(f32s(&format!("{op}.f32"), &[nan, 1.0]), nan_result);
        assert_eq!(f32s(&format!("{op}.f32"), &[1.0, nan]), nan_result);
        assert_eq!(one(&format!("{op}.f32"), &[0xffc0_0001, 0x7f80_0001]), 0x7fff_ffff);
        assert_eq!(one(&format!("{op}.NaN.f32"), &[0x3f80_0000, 0xffc0_0001]), 0x7fff_ffff);
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
            assert_eq!(f32s(&format!("{op}.f32"), &[a, b]).to_bits(), zeros.to_bits());
            assert_eq!(f64s(&format!("{op}.f64"), &[a.into(), b.into()]).to_bits(), f64::from(zeros).to_bits());
        }
        assert_eq!(one(&format!("{op}.f16"), &[0x7e00, 0x3c00]), 0x3c00);
        assert_eq!(one(&format!("{op}.NaN.bf16"), &[0x7fc0, 0x3f80]), 0x7fff);
    }
    assert_eq!(f32s("min.xorsign.abs.f32", &[-3.0, 2.0]), -2.0);
    assert_eq!(f32s("max.xorsign.abs.f32", &[-3.0, -2.0]), 3.0);
    assert_eq!(f32s("copysign.f32", &[-1.0, 2.0]), -2.0);
    assert_eq!(f64s("copysign.f64", &[1.0, -2.0]), 2.0);
}

#[test]
fn saturation_and_flushing() {
    let subnormal = f32::from_bits(0x007f_ffff);
    assert_eq!(f32s("add.sat.f32", &[2.0, 3.0]), 1.0);
    assert_eq!(f32s("add.sat.f32", &[-2.0, 1.0]).to_bits(), 0);
    assert_eq!(f32s("fma.rn.sat.f32", &[f32::NAN, 1.0, 1.0]).to_bits(), 0);
    assert_eq!(f32s("mul.sat.f32", &[-0.0, 1.0]).to_bits(), 0);
    assert_eq!(one("fma.rn.sat.f16", &[0x4000, 0x4000, 0x0000]), 0x3c00);
    assert_eq!(one("fma.rn.relu.f16", &[0xc000, 0x4000, 0x0000]), 0);
    assert_eq!(one("fma.rn.relu.bf16", &[0x7fc0, 0x3f80, 0x0000]), 0x7fff);
    assert_eq!(f32s("add.f32", &[subnormal, 0.0]), subnormal);
    assert_eq!(f32s("add.ftz.f32", &[subnormal, 0.0]).to_bits(), 0);
    assert_eq!(f32s("add.ftz.f32", &[-subnormal, 1.0]), 1.0);
    assert_eq!(f32s("neg.ftz.f32", &[subnormal]).to_bits(), 1 << 31);
    // Seen on an H200: what rounding carries to the least normal number is flushed only if it would
    // stay below with unbounded exponents.
    let (below, least) = (f32::from_bits(0x3f7f_ffff), f32::MIN_POSITIVE);
    assert_eq!(f32s("mul.rn.f32", &[below, least]), least);
    assert_eq!(f32s("mul.rn.ftz.f32", &[below, least]), 0.0);
    assert_eq!(f32s("mul.rn.ftz.f32", &[f32::from_bits(0x3f7f_fffe), f32::from_bits(0x0080_0001)]), least);
    assert_eq!(f32s("fma.rp.ftz.f32", &[below, least, 0.0]), 0.0);
}

#[test]
fn classes() {
    let values = [0.0, 1.0, f32::from_bits(1), f32::INFINITY, f32::NAN].map(|x| u64::from(x.to_bits()));
    for (class, expected) in [
        ("finite", [1, 1, 1, 0, 0]),
        ("infinite", [0, 0, 0, 1, 0]),
        ("number", [1, 1, 1, 1, 0]),
        ("notanumber", [0, 0, 0, 0, 1]),
        ("normal", [1, 1, 0, 0, 0]),
        ("subnormal", [0, 0, 1, 0, 0]),
    ] {
        assert_eq!(values.map(|x| one(&format!("testp.{class}.f32"), &[x])), expected, "{class}");
    }
}

#[test]
fn approximations_at_their_special_values() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for (name, source, expected) in [
        ("rcp.approx.f32", -0.0, -inf),
        ("rcp.approx.f32", -inf, -0.0),
        ("rsqrt.approx.f32", -0.0, -inf),
        ("rsqrt.approx.f32", -1.0, nan),
        ("rsqrt.approx.f32", 4.0, 0.5),
        ("sqrt.approx.f32", 9.0, 3.0),
        ("lg2.approx.f32", 0.0, -inf),
        ("lg2.approx.f32", 8.0, 3.0),
        ("lg2.approx.f32", -1.0, nan),
        ("ex2.approx.f32", -inf, 0.0),
        ("ex2.approx.f32", -149.0, f32::from_bits(1)),
        ("ex2.approx.ftz.f32", -149.0, 0.0),
        ("ex2.approx.f32", -0.0, 1.0),
        ("sin.approx.f32", -0.0, -0.0),
        ("sin.approx.f32", inf, nan),
        ("cos.approx.f32", 0.0, 1.0),
        ("tanh.approx.f32", inf, 1.0),
    ] {
        let got = f32s(name, &[source]);
        assert!(got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan()), "{name} {source}: {got}");
    }
    assert_eq!(f32s("div.approx.f32", &[1e38, 2e38]), 0.0);
    assert_eq!(f32s("div.full.f32", &[1e38, 2e38]), 0.5);
    assert!(f32s("div.approx.f32", &[inf, 2e38]).is_nan());
    assert_eq!(one("ex2.approx.f16", &[0x4000]), 0x4400);
    assert_eq!(one("tanh.approx.bf16x2", &[0x7f80_ff80]), 0x3f80_bf80);
}
