//! Conversions.

use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use super::{Random, one};

const MODES: [(&str, Round); 4] = [
    ("rn", Round::NearestTiesToEven),
    ("rz", Round::TowardZero),
    ("rm", Round::TowardNegative),
    ("rp", Round::TowardPositive),
];
const INTS: [(&str, u32, bool); 8] = [
    ("u8", 8, false),
    ("u16", 16, false),
    ("u32", 32, false),
    ("u64", 64, false),
    ("s8", 8, true),
    ("s16", 16, true),
    ("s32", 32, true),
    ("s64", 64, true),
];

fn mask(bits: u32) -> u64 {
    if bits == 64 { u64::MAX } else { (1 << bits) - 1 }
}

fn value(bits: u64, width: u32, signed: bool) -> i128 {
    let x = i128::from(bits);
    if signed && bits >> (width - 1) & 1 == 1 { x - (1 << width) } else { x }
}

fn ints() -> Vec<u64> {
    let mut random = Random::new();
    let mut all = vec![0, 1, 127, 128, 255, 2049, 65519, 65520, 16_777_217, 33_554_435, (1 << 53) + 1, u64::MAX];
    all.extend([8, 16, 32, 64].map(|w| 1 << (w - 1)));
    all.extend((0..60).map(|_| random.bits()));
    all
}

/// f64 values: integers with halves and quarters, powers of two, limits of narrower types, any.
fn floats() -> Vec<f64> {
    let mut random = Random::new();
    let mut all = vec![0.0, 0.5, 1.5, 2.5, 0.499_999_97, 127.5, 255.5, 65519.9, 65520.0, 3.4e38, 3.5e38, 1e300, 5e-324];
    all.extend([7, 8, 15, 16, 31, 32, 63, 64].map(|e| 2f64.powi(e)));
    all.extend([7, 8, 15, 16, 31, 32].map(|e| 2f64.powi(e) - 0.5));
    all.extend([-149, -150, -133, -134, -24, -25, -14].map(|e| 2f64.powi(e) * 1.25));
    all.extend((0..100).map(|_| random.bits() as f64 / 4.0));
    all.extend((0..100).map(|_| f64::from_bits(random.next())));
    all.extend((0..100).map(|_| f64::from(f32::from_bits(random.next() as u32))));
    all.extend([f64::INFINITY, f64::NAN]);
    let negative: Vec<_> = all.iter().map(|x| -x).collect();
    all.extend(negative);
    all
}

#[test]
fn between_integers() {
    for (d, wd, sd) in INTS {
        let (least, most) = if sd { (-(1i128 << (wd - 1)), (1 << (wd - 1)) - 1) } else { (0, (1i128 << wd) - 1) };
        for (a, wa, sa) in INTS {
            for x in ints() {
                // The source register may hold more than the type.
                let v = value(x & mask(wa), wa, sa);
                assert_eq!(one(&format!("cvt.{d}.{a}"), &[x]), v as u64 & mask(wd), "cvt.{d}.{a} {v}");
                let name = format!("cvt.sat.{d}.{a}");
                if !ptxgen_builder::table::table().named(&name).is_empty() {
                    assert_eq!(one(&name, &[x]), v.clamp(least, most) as u64 & mask(wd), "{name} {v}");
                }
            }
        }
    }
}

fn from_ints<F: Float>(d: &str, nothing_below: u32) {
    for (a, width, signed) in INTS.into_iter().filter(|i| i.1 >= nothing_below) {
        for x in ints() {
            let v = value(x & mask(width), width, signed);
            for (mode, round) in MODES {
                let expected = F::from_i128_r(v, round).value.to_bits() as u64;
                assert_eq!(one(&format!("cvt.{mode}.{d}.{a}"), &[x]), expected, "cvt.{mode}.{d}.{a} {v}");
            }
        }
    }
}

#[test]
fn from_integers() {
    from_ints::<Half>("f16", 8);
    from_ints::<BFloat>("bf16", 16);
    from_ints::<Single>("f32", 8);
    from_ints::<Double>("f64", 8);
}

/// The value rounded to an integer, by way of apfloat's own integral rounding; `None` for a NaN.
fn integer<F: Float>(x: F, round: Round) -> Option<i128> {
    if x.is_nan() {
        return None;
    }
    let mut exact = false;
    let rounded = x.to_i128_r(127, round, &mut exact);
    Some(rounded.value)
}

fn to_ints<F: Float>(a: &str, width: u32)
where
    Double: FloatConvert<F>,
{
    for x in floats() {
        let x: F = Double::from_bits(u128::from(x.to_bits())).convert(&mut false).value;
        let bits = x.to_bits() as u64;
        for (d, wd, signed) in INTS.into_iter().filter(|i| a != "bf16" || i.1 > 8) {
            let (least, most) =
                if signed { (-(1i128 << (wd - 1)), (1 << (wd - 1)) - 1) } else { (0, (1i128 << wd) - 1) };
            for (mode, round) in MODES {
                let expected = match integer(x, round) {
                    Some(v) => v.clamp(least, most) as u64 & mask(wd),
                    None if width == 64 || wd == 64 => 1 << (wd - 1),
                    None => 0,
                };
                let name = format!("cvt.{mode}i.{d}.{a}");
                assert_eq!(one(&name, &[bits]), expected, "{name} {bits:x}");
            }
        }
    }
}

#[test]
fn to_integers() {
    to_ints::<Half>("f16", 16);
    to_ints::<BFloat>("bf16", 16);
    to_ints::<Single>("f32", 32);
    to_ints::<Double>("f64", 64);
}

fn narrowing<A: Float + FloatConvert<D>, D: Float>(d: &str, a: &str, nan: u64)
where
    Double: FloatConvert<A>,
{
    for x in floats() {
        let x: A = Double::from_bits(u128::from(x.to_bits())).convert(&mut false).value;
        for (mode, round) in MODES {
            let exact: D = x.convert_r(round, &mut false).value;
            let expected = if exact.is_nan() { nan } else { exact.to_bits() as u64 };
            let name = format!("cvt.{mode}.{d}.{a}");
            assert_eq!(one(&name, &[x.to_bits() as u64]), expected, "{name} {:x}", x.to_bits());
        }
    }
}

#[test]
fn narrower_floats() {
    narrowing::<Double, Single>("f32", "f64", 0x7fff_ffff);
    narrowing::<Double, Half>("f16", "f64", 0x7fff);
    narrowing::<Double, BFloat>("bf16", "f64", 0x7fff);
    narrowing::<Single, Half>("f16", "f32", 0x7fff);
    narrowing::<Single, BFloat>("bf16", "f32", 0x7fff);
    narrowing::<Half, BFloat>("bf16", "f16", 0x7fff);
    narrowing::<BFloat, Half>("f16", "bf16", 0x7fff);
}

#[test]
fn wider_floats_and_integral_values() {
    for x in 0..=0xffffu64 {
        let half: Single = Half::from_bits(x.into()).convert(&mut false).value;
        let expected = if half.is_nan() { 0x7fff_ffff } else { half.to_bits() as u64 };
        assert_eq!(one("cvt.f32.f16", &[x]), expected, "{x:x}");
        let bf16 = if x & 0x7fff > 0x7f80 { 0x7fff_ffff } else { x << 16 };
        assert_eq!(one("cvt.f32.bf16", &[x]), bf16, "{x:x}");
    }
    for (x, [rn, rz, rm, rp]) in
        [(2.5f32, [2.0f32, 2.0, 2.0, 3.0]), (-0.5, [-0.0, -0.0, -1.0, -0.0]), (3.5, [4.0, 3.0, 3.0, 4.0])]
    {
        for (mode, expected) in [("rni", rn), ("rzi", rz), ("rmi", rm), ("rpi", rp)] {
            assert_eq!(super::f32s(&format!("cvt.{mode}.f32.f32"), &[x]).to_bits(), expected.to_bits(), "{mode} {x}");
        }
    }
    assert_eq!(super::f32s("cvt.sat.f32.f32", &[f32::NAN]).to_bits(), 0);
    assert_eq!(super::f32s("cvt.sat.f32.f32", &[7.0]), 1.0);
}

#[test]
fn packed_floats() {
    let [a, b] = [-2.0f32, 1.5].map(|x| u64::from(x.to_bits()));
    assert_eq!(one("cvt.rn.f16x2.f32", &[a, b]), 0xc000_3e00);
    assert_eq!(one("cvt.rn.bf16x2.f32", &[a, b]), 0xc000_3fc0);
    assert_eq!(one("cvt.rz.relu.f16x2.f32", &[a, b]), 0x0000_3e00);
    assert_eq!(one("cvt.rn.relu.bf16.f32", &[0xffc0_0000]), 0x7fff);
    // 1 + 2^-8 lies half way between two bf16.
    let half_way = u64::from((1.0f32 + 1.0 / 256.0).to_bits());
    assert_eq!(one("cvt.rn.bf16x2.f32", &[half_way, half_way + 1]), 0x3f80_3f81);
    assert_eq!(one("cvt.rz.bf16x2.f32", &[half_way, half_way + 1]), 0x3f80_3f80);
}
