//! The kernel's tests. None needs a GPU.

use own_kernels::distances;
use ptxgen::prelude::*;
use ptxgen::testing::{
    Accumulator, Harness, HarnessError, PolicyError, Proof, Random, assert_golden, assert_patterns, assert_policy, ptx,
};

/// Runs it in the interpreter.
fn run(x: &[f32], q: &[f32]) -> Result<Vec<f32>, HarnessError> {
    let rows = x.len() / q.len();
    let harness = Harness::new(&distances()).scalar("n", q.len() as u32).input("x", x).input("q", q);
    harness.output::<f32>("d", rows).grid(rows as u32).run()?.read("d")
}

#[test]
fn it_is_the_distance() -> Result<(), HarnessError> {
    assert_eq!(run(&[3.0, 4.0, 0.0, 0.0], &[0.0, 0.0])?, [5.0, 0.0]);
    let mut random = Random::new(1);
    for n in [1, 33, 200] {
        let (x, q) = (random.vector(4 * n), random.vector(n));
        for (x, d) in x.chunks(n).zip(run(&x, &q)?) {
            let square = |(x, q): (&f32, &f32)| (f64::from(*x) - f64::from(*q)).powi(2);
            let expected = x.iter().zip(&q).map(square).sum::<f64>().sqrt();
            assert!((f64::from(d) - expected).abs() <= 1e-7 * expected, "{d} {expected}");
        }
    }
    Ok(())
}

/// Memory is read in whole sectors, and there are no bank conflicts.
#[test]
fn it_reads_in_rows() -> Result<(), HarnessError> {
    let (x, q) = (vec![1.0f32; 256], vec![0.0f32; 256]);
    let harness = Harness::new(&distances()).scalar("n", 256u32).input("x", &x).input("q", &q).output::<f32>("d", 1);
    let counts = harness.run()?.counts();
    assert_eq!(counts.bank_conflicts, 0);
    // Two vectors of 1024 bytes, and the sector of the result.
    assert_eq!(counts.sectors, 2 * 32 + 1);
    Ok(())
}

#[test]
fn a_buffer_that_is_too_short_is_found() {
    let short = Harness::new(&distances()).scalar("n", 8u32).input("x", &[0.0f32; 8]).input("q", &[0.0f32; 7]);
    let error = short.output::<f32>("d", 1).run().unwrap_err().to_string();
    assert!(error.contains("OutOfBounds") && error.contains("src/lib.rs:"), "{error}");
}

#[test]
fn the_text_is_the_golden_one() {
    assert_golden!("tests/golden/distances.ptx", ptx(&distances()));
}

#[test]
fn the_sum_is_fused_and_across_lanes() {
    assert_patterns(
        &ptx(&distances()),
        r"
            regex: S=\s+
            # The loop's sum, then the lanes'.
            check: fma.rn.f64
            check: shfl.sync.bfly.b32
            check: add.rn.f64
            # Rounded once, after the root.
            check: sqrt.rn.f64
            nextln: cvt.rn.f32.f64$S$(d=%f\d+),
            check: st.global.f32$S$(=\S+), $d;
        ",
    );
}

#[test]
fn it_computes_in_f64_and_rounds_once() {
    assert_policy!(distances(), acc = Accumulator::F64, stages = 1, output = "d");
}

/// The same with a sum in f32: the proof fails, at the line of the sum.
#[test]
fn a_sum_in_f32_is_found() {
    let narrow = kernel::<(In<f32>, Out<f32>)>("narrow", ["x", "y"], |k, (x, y)| {
        let sum = k.var::<f32>(0.0);
        k.for_(0u32, 8u32, 1u32, |k, i, _| sum.add(x.at(i).load(k)));
        y.store(k, sum.get());
    });
    let error = Proof::of(&narrow).acc(Accumulator::F64).stages(1).check().unwrap_err();
    assert!(matches!(error, PolicyError::Broken(_)));
    let shown = error.to_string();
    assert!(shown.contains("tests/distances.rs:") && shown.contains("in `add.rn.f32 "), "{shown}");
}
