//! The contract's exponential against values of higher precision.

use ptxgen_dsl::reference::{exp_f32, exp_f64};

/// The contract's limits: above the first the result is infinite, below the second 0.
const F32_LIMITS: (f32, f32) = (88.722_83, -103.972_08);
const F64_LIMITS: (f64, f64) = (709.782_712_893_384, -745.133_219_101_941_1);

/// Distance in units of the last place between two finite values of one sign.
fn ulps_f64(a: f64, b: f64) -> u64 {
    a.to_bits().abs_diff(b.to_bits())
}

#[test]
fn f64_is_within_one_ulp_of_the_exact_value() {
    let mut worst = 0;
    for line in include_str!("data/exp_f64.txt").lines() {
        let (x, y) = line.split_once(' ').unwrap();
        let bits = |s| f64::from_bits(u64::from_str_radix(s, 16).unwrap());
        let (x, exact): (f64, f64) = (bits(x), bits(y));
        let error = ulps_f64(exp_f64(x), exact);
        assert!(error <= 1, "exp({x:e}) = {:e}, exact {exact:e}", exp_f64(x));
        worst = worst.max(error);
    }
    assert_eq!(worst, 1, "a table that never differs would not test the bound");
}

#[test]
fn f64_agrees_with_libm_on_a_dense_sample() {
    // libm's own error is below 1 ulp, hence 2.
    for i in 0..2_000_000 {
        let x = -745.0 + 1454.7 * (f64::from(i) + 0.37) / 2e6;
        let (ours, theirs) = (exp_f64(x), libm::exp(x));
        assert!(ulps_f64(ours, theirs) <= 2, "exp({x}) = {ours:e}, libm {theirs:e}");
    }
}

#[test]
fn f32_is_within_one_ulp_of_the_exact_value() {
    let mut worst = 0.0f64;
    let mut check = |x: f32| {
        let (y, exact) = (exp_f32(x), libm::exp(f64::from(x)));
        // The spacing of f32 at the exact value, subnormals included.
        let exponent = (exact.to_bits() >> 52) as i32 - 1023;
        let ulp = libm::exp2(f64::from(exponent.max(-126) - 23));
        let error = (f64::from(y) - exact).abs() / ulp;
        worst = worst.max(error);
        assert!(error <= 1.0, "exp({x}) = {y:e}, exact {exact:e}: {error} ulp");
    };
    // Every 331st float in both signs up to the bounds, and every one around ties of n.
    for bits in (0..F32_LIMITS.0.to_bits()).step_by(331) {
        check(f32::from_bits(bits));
    }
    for bits in (0..(-F32_LIMITS.1).to_bits()).step_by(331) {
        check(-f32::from_bits(bits));
    }
    for n in -148..127 {
        let tie = (n as f32 + 0.5) * std::f32::consts::LN_2;
        (-50..50).for_each(|k| check(f32::from_bits(tie.to_bits().wrapping_add_signed(k))));
    }
    assert!(worst > 0.5);
}

#[test]
fn the_ends_are_exact() {
    for x in [f32::NEG_INFINITY, -1e30, F32_LIMITS.1.next_down()] {
        assert_eq!(exp_f32(x).to_bits(), 0, "{x}");
    }
    for x in [f32::INFINITY, 1e30, F32_LIMITS.0.next_up()] {
        assert_eq!(exp_f32(x), f32::INFINITY, "{x}");
    }
    assert!(exp_f32(F32_LIMITS.0).is_finite());
    assert!(exp_f32(F32_LIMITS.1) > 0.0);
    for x in [f64::NEG_INFINITY, -1e300, F64_LIMITS.1.next_down()] {
        assert_eq!(exp_f64(x).to_bits(), 0, "{x}");
    }
    for x in [f64::INFINITY, 1e300, F64_LIMITS.0.next_up()] {
        assert_eq!(exp_f64(x), f64::INFINITY, "{x}");
    }
    assert!(exp_f64(F64_LIMITS.0).is_finite());
    assert!(exp_f64(F64_LIMITS.1) > 0.0);
    assert!(exp_f32(f32::NAN).is_nan() && exp_f64(f64::NAN).is_nan());
    assert_eq!((exp_f32(0.0), exp_f64(-0.0)), (1.0, 1.0));
}
