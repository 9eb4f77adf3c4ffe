//! What the proof of precision says of several stages in one kernel.

use ptxgen_builder::analysis::precision::{Accumulator, Requirements, Role, check};
use ptxgen_dsl::catalogue::{Add, How, Norm, Schedule, Sequence, Shape, Store, gemv, quantize_q8k, rms_norm};
use ptxgen_dsl::format::Q4K;
use ptxgen_dsl::precision::{AccF32, AccF64, Accumulation, Act, ActF32, ActQ8K};
use ptxgen_dsl::proof;

use crate::together::TARGET;

const NORM: Norm = Norm { cols: 1024, tokens: 1, eps: 1e-6, pdl: false };

fn how() -> How {
    How::new(Schedule::default(), TARGET)
}

/// The violations of an accumulator, of a sequence whose values are rounded `stages` times on their way.
fn violations(sequence: &Sequence, act: Act, accumulator: Accumulator, stages: u32) -> Vec<String> {
    let launch = sequence.for_proof(TARGET).unwrap();
    let role = |name: &&str| match *name {
        "w" => proof::WEIGHTS,
        "x" | "rounded" => proof::ACTIVATIONS,
        "stream" => Role::InPlace,
        "normed" | "y" => Role::Output,
        _ => Role::Other,
    };
    let names = launch.kernel.param_names();
    let requirements = Requirements {
        accumulator: Some(accumulator),
        own_types: vec![proof::CHOICE],
        factors: proof::FACTORS,
        products: Some(proof::products(act)),
        allow_approximate: false,
        stages: Some(stages),
        // The residual stream is rounded with the product and after the addition.
        stages_of: names.iter().map(|n| (*n == "stream").then_some(2)).collect(),
        roles: names.iter().map(role).collect(),
    };
    let module = launch.kernel.verify(TARGET).unwrap();
    check(&module, 0, &requirements).map_or_else(|all| all.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

fn product_and_norm<P: Accumulation, N: Accumulation>() -> Sequence {
    let product = gemv::<Q4K<'static>, ActF32, P, Add>("gemv", Shape { rows: NORM.cols, cols: 256 }, how()).unwrap();
    let norm = rms_norm::<N>("rmsnorm", NORM).unwrap();
    Sequence::new("product_norm", 3).then(&product, ["w", "x", "stream"]).then(&norm, ["stream", "norm", "normed"])
}

/// The norm's sum is followed through the residual stream to the product.
#[test]
fn sums_are_in_the_accumulators_type() {
    let of = |sequence: &Sequence, accumulator| violations(sequence, Act::F32, accumulator, 3);
    assert_eq!(of(&product_and_norm::<AccF64, AccF64>(), Accumulator::F64), Vec::<String>::new());
    assert_eq!(of(&product_and_norm::<AccF32, AccF32>(), Accumulator::F32), Vec::<String>::new());
    let mixed = [(product_and_norm::<AccF64, AccF32>(), "norm.rs"), (product_and_norm::<AccF32, AccF64>(), "gemv.rs")];
    for (sequence, culprit) in mixed {
        let found = of(&sequence, Accumulator::F64);
        assert!(found.iter().any(|v| v.contains(culprit)), "{culprit}: {found:?}");
    }
}

/// A vector that the kernel rounds to Q8_K itself and reads again is more than the proof follows: its scales and quants lie
/// in one buffer. It refuses the kernel; the stages' own kernels are proved.
#[test]
fn a_q8k_vector_through_memory_is_not_proved() {
    let shape = Shape { rows: 40, cols: NORM.cols };
    let sequence = Sequence::new("norm_rounding_product", 3)
        .then(&rms_norm::<AccF64>("rmsnorm", NORM).unwrap(), ["x", "norm", "normed"])
        .then(&quantize_q8k("quantize", NORM.cols, 1).unwrap(), ["normed", "rounded"])
        .then(&gemv::<Q4K<'static>, ActQ8K, AccF64, Store>("gemv", shape, how()).unwrap(), ["w", "rounded", "y"]);
    let found = violations(&sequence, Act::Q8K, Accumulator::F64, 2);
    assert!(found.iter().any(|v| v.contains("[decoded-product]")), "{found:?}");
}
