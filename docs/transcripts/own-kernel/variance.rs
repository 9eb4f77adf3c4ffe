use my_kernels::variance;
use ptxgen::testing::{Accumulator, Harness, HarnessError, Random, assert_golden, assert_policy, ptx};

fn run(n: usize, x: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let rows = x.len() / n;
    let harness = Harness::new(&variance()).scalar("n", n as u32).input("x", x).output::<f32>("v", rows);
    harness.grid(rows as u32).run()?.read("v")
}

#[test]
fn it_is_the_variance() -> Result<(), HarnessError> {
    assert_eq!(run(4, &[1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0])?, [1.25, 0.0]);
    let mut random = Random::new(1);
    for n in [1, 31, 100] {
        let x = random.vector(3 * n);
        for (x, v) in x.chunks(n).zip(run(n, &x)?) {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n as f64;
            let expected = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n as f64;
            assert!((f64::from(v) - expected).abs() <= 1e-7 * expected, "{v} {expected}");
        }
    }
    Ok(())
}

#[test]
fn its_text() {
    assert_golden!("tests/golden/variance.ptx", ptx(&variance()));
}

#[test]
fn it_computes_in_f64_and_rounds_once() {
    assert_policy!(variance(), acc = Accumulator::F64, stages = 1, output = "v");
}
