//! How far matrix products are from exact arithmetic: `docs/accuracy.md`. `BLESS=1` regenerates it.
//!
//! The kernels give the reference's bits (`gemv.rs`), so the reference is measured.

mod support;

use std::fmt::Write as _;

use ptxgen_builder::testing::assert_golden;
use ptxgen_dsl::format::{SUPERBLOCK, TensorType};
use ptxgen_dsl::precision::{Acc, Act, Policy};
use ptxgen_dsl::reference::{gemv, quantize_q8k};
use support::{Kind, Rng, q4k, q6k};

const COLUMNS: [usize; 6] = [256, 512, 768, 1024, 2048, 4096];
const ROWS: usize = 128;

/// What a policy promises, relative to `sum |w x|`.
fn bound(acc: Acc) -> f64 {
    match acc {
        Acc::F32 => 1e-7,
        Acc::F64 => 2f64.powi(-24),
    }
}

/// The largest error of a row, relative to `sum |w x|`, over dequantized weights, and under q8k
/// over dequantized activations.
fn error(policy: Policy, ty: TensorType, cols: usize) -> f64 {
    let mut rng = Rng::new(cols as u64);
    let blocks = ROWS * cols / SUPERBLOCK;
    let w = match ty {
        TensorType::Q4_K => q4k(&mut rng, blocks, Kind::Plain),
        _ => q6k(&mut rng, blocks, Kind::Plain),
    };
    let x = rng.vector(cols);
    let y = match policy.acc {
        Acc::F32 => gemv::<f32>(policy.act, ty, &w, &x),
        Acc::F64 => gemv::<f64>(policy.act, ty, &w, &x),
    };
    let x: Vec<f64> = match policy.act {
        Act::F32 => x.iter().map(|&x| f64::from(x)).collect(),
        Act::Q8K => {
            let blocks = x.as_chunks::<SUPERBLOCK>().0.iter().map(quantize_q8k);
            blocks.flat_map(|b| b.q.map(|q| f64::from(b.d) * f64::from(q))).collect()
        }
    };
    let mut weights = vec![0.0; ROWS * cols];
    ty.dequantize(&w, &mut weights).unwrap();
    let mut worst = 0f64;
    for (y, row) in y.unwrap().iter().zip(weights.chunks_exact(cols)) {
        let products = || row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x);
        let (exact, magnitude): (f64, f64) = (products().sum(), products().map(f64::abs).sum());
        worst = worst.max((f64::from(*y) - exact).abs() / magnitude);
    }
    worst
}

#[test]
fn products_are_as_near_as_promised() {
    let mut table = String::from(
        "# Accuracy of matrix products\n\n\
         The largest error of a row relative to exact arithmetic (f64 over the dequantized weights, under\n\
         act=q8k also over the dequantized activations), divided by sum |w x|: 128 rows of random\n\
         blocks, activations in -1..1. The guaranteed bound is 1e-7 under acc=f32, and 2^-24 = 5.96e-8, the\n\
         last rounding, under acc=f64. The error of rounding to Q8_K is in\n\
         [q8k-divergence.md](q8k-divergence.md).\n\n\
         Written by `BLESS=1 cargo test -p ptxgen-dsl --test accuracy`.\n\n\
         | Weights | Policy |",
    );
    for cols in COLUMNS {
        let _ = write!(table, " K = {cols} |");
    }
    table += "\n|---|---|";
    table += &"---|".repeat(COLUMNS.len());
    table += "\n";
    for ty in [TensorType::Q4_K, TensorType::Q6_K] {
        for policy in Policy::EXACT {
            let _ = write!(table, "| {ty} | {policy} |");
            for cols in COLUMNS {
                let error = error(policy, ty, cols);
                assert!(error <= bound(policy.acc), "{ty} {policy} K={cols}: {error:e}");
                let _ = write!(table, " {error:.1e} |");
            }
            table += "\n";
        }
    }
    assert_golden!("../docs/accuracy.md", table);
}
