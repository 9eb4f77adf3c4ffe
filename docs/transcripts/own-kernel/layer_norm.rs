use my_kernels::layer_norm;
use ptxgen::testing::{Accumulator, Harness, HarnessError, Random, assert_golden, assert_patterns, assert_policy, ptx};

fn run(eps: f32, x: &[f32], w: &[f32], b: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let n = w.len();
    let harness = Harness::new(&layer_norm()).scalar("n", n as u32).scalar("eps", eps);
    let harness = harness.input("x", x).input("w", w).input("b", b).output::<f32>("y", x.len());
    harness.grid((x.len() / n) as u32).run()?.read("y")
}

fn reference(eps: f32, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f64> {
    let n = w.len() as f64;
    let rows = x.chunks(w.len()).flat_map(|x| {
        let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        let deviation = (variance + f64::from(eps)).sqrt();
        let of = move |i: usize| (f64::from(x[i]) - mean) / deviation * f64::from(w[i]) + f64::from(b[i]);
        (0..x.len()).map(of)
    });
    rows.collect()
}

#[test]
fn it_normalizes() -> Result<(), HarnessError> {
    // Mean 2, variance 1.
    assert_eq!(run(0.0, &[1.0, 3.0, 1.0, 3.0], &[1.0, 1.0, 2.0, 2.0], &[0.0, 0.0, 0.0, 0.5])?, [-1.0, 1.0, -2.0, 2.5]);
    let mut random = Random::new(1);
    for n in [1, 31, 128, 129, 500] {
        let (x, w, b) = (random.vector(3 * n), random.vector(n), random.vector(n));
        let expected = reference(1e-5, &x, &w, &b);
        for (i, (y, expected)) in run(1e-5, &x, &w, &b)?.into_iter().zip(expected).enumerate() {
            assert!((f64::from(y) - expected).abs() <= 1e-7 * expected.abs() + 1e-12, "{n}, {i}: {y} {expected}");
        }
    }
    Ok(())
}

#[test]
fn its_text() {
    assert_golden!("tests/golden/layer_norm.ptx", ptx(&layer_norm()));
}

#[test]
fn it_sums_in_f64_and_rounds_once() {
    assert_policy!(layer_norm(), acc = Accumulator::F64, stages = 1, output = "y");
    assert_patterns(&ptx(&layer_norm()), "check: sqrt.rn.f64");
}
