//! Functions of inexact numbers, one by one, against the host's.

use crate::paths::run;

/// `(instruction of %f1 and %f0, the function)`: f32.
type Case = (&'static str, fn(f64) -> f64);

#[test]
fn of_one_f32() {
    let cases: [Case; 19] = [
        ("rcp.rn.f32 %f1, %f0", |x| 1.0 / x),
        ("rcp.approx.f32 %f1, %f0", |x| 1.0 / x),
        ("rcp.rz.ftz.f32 %f1, %f0", |x| 1.0 / x),
        ("sqrt.rn.f32 %f1, %f0", f64::sqrt),
        ("sqrt.approx.f32 %f1, %f0", f64::sqrt),
        ("rsqrt.approx.f32 %f1, %f0", |x| 1.0 / x.sqrt()),
        ("sin.approx.f32 %f1, %f0", f64::sin),
        ("cos.approx.f32 %f1, %f0", f64::cos),
        ("lg2.approx.f32 %f1, %f0", f64::log2),
        ("ex2.approx.f32 %f1, %f0", f64::exp2),
        ("tanh.approx.f32 %f1, %f0", f64::tanh),
        ("neg.f32 %f2, %f0; abs.f32 %f1, %f2", |x| x),
        ("sub.f32 %f2, %f0, 0f40000000; abs.f32 %f1, %f2", |x| (x - 2.0).abs()),
        ("neg.f32 %f2, %f0; max.xorsign.abs.f32 %f1, %f2, 0f3dcccccd", |x| -x),
        ("mov.f32 %f2, 0fbf800000; copysign.f32 %f1, %f2, %f0", |x| -x),
        ("div.full.f32 %f1, %f9, %f0", |x| 1.0 / x),
        ("div.approx.f32 %f1, %f0, %f0", |_| 1.0),
        ("fma.rn.f32 %f1, %f0, %f0, %f0", |x| x * x + x),
        ("mul.rm.f32 %f2, %f0, %f0; div.rp.f32 %f1, %f2, %f0", |x| x),
    ];
    for (instruction, f) in cases {
        let [_, z] = run(&format!("{instruction}; st.global.f32 [%rd3], %f1"));
        for (lane, e) in &z {
            let x = f64::from(1.0 + *lane as f32 / 7.0) / 3.0;
            let apart = (e.real() - f(x)).abs() / f(x).abs();
            assert!(apart < 1e-14, "{instruction}, lane {lane}: {e:?}, {}", f(x));
        }
        assert!(z.len() > 5 || instruction.starts_with("div.approx"), "{instruction}: {} are inexact", z.len());
    }
}

/// The square of a root is its source: by error-free products, since no type of the host has as many digits.
#[test]
fn roots_of_f64() {
    // x / 3 in f64, of an exact x.
    let third = "ld.global.f32 %f3, [%rd1]; cvt.f64.f32 %fd0, %f3; div.rn.f64 %fd0, %fd0, 0d4008000000000000;
         st.global.f64 [%rd2], %fd0;";
    let run = |body: &str| run(&format!("{third} {body} %fd1, %fd0; st.global.f64 [%rd3], %fd1"));
    let [y, z] = run("sqrt.rn.f64");
    for (lane, r) in &z {
        let Some(x) = y.get(lane) else { continue };
        let apart = r.value.mul_add(r.value, -x.value) + 2.0 * r.value * r.error - x.error;
        assert!((apart / x.value).abs() < 1e-30, "{r:?} of {x:?}");
    }
    let [y, z] = run("rcp.rn.f64");
    for (lane, r) in &z {
        let Some(x) = y.get(lane) else { continue };
        let apart = r.value.mul_add(x.value, -1.0) + r.value * x.error + r.error * x.value;
        assert!(apart.abs() < 1e-30, "{r:?} of {x:?}");
    }
    let [y, z] = run("rsqrt.approx.f64");
    for (lane, r) in &z {
        let Some(x) = y.get(lane) else { continue };
        // r^2 x = 1: what r^2 lacks as an f64, and what that times x lacks.
        let square = r.value * r.value;
        let rest = r.value.mul_add(r.value, -square);
        let apart =
            square.mul_add(x.value, -1.0) + rest * x.value + square * x.error + 2.0 * r.value * r.error * x.value;
        assert!(apart.abs() < 1e-30, "{r:?} of {x:?}");
    }
    assert!(z.len() > 20 && y.len() > 20);
}

#[test]
fn of_halves() {
    let real = |lane: u64| f64::from(1.0 + lane as f32 / 7.0) / 3.0;
    let cases: [Case; 7] = [
        ("add.f16 %h1, %h0, %h0", |x| x + x),
        ("mul.f16 %h1, %h0, %h0", |x| x * x),
        ("fma.rn.f16 %h1, %h0, %h0, %h0", |x| x * x + x),
        ("ex2.approx.f16 %h1, %h0", f64::exp2),
        ("tanh.approx.f16 %h1, %h0", f64::tanh),
        ("fma.rn.relu.f16 %h1, %h0, %h0, %h0", |x| x * x + x),
        ("neg.f16 %h1, %h0; min.f16 %h1, %h1, %h0", |x| -x),
    ];
    for (instruction, f) in cases {
        let [_, z] = run(&format!("cvt.rn.f16.f32 %h0, %f0; {instruction}; st.global.b16 [%rd3], %h1"));
        for (lane, e) in &z {
            let want = f(real(*lane));
            assert!((e.real() - want).abs() < 1e-12 * want.abs().max(1.0), "{instruction}, lane {lane}: {e:?}, {want}");
        }
        assert!(z.len() > 25, "{instruction}");
    }
}
