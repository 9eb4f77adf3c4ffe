//! Stages that do not fit together, and numbers of blocks that do not run at once.

use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_dsl::catalogue::{Norm, Sequence, SequenceError, quantize_q8k, rms_norm};
use ptxgen_dsl::precision::AccF32;

use crate::together::TARGET;

fn sequence(blocks: u32, names: [&'static str; 2]) -> Sequence {
    let norm = rms_norm::<AccF32>("rmsnorm", Norm { cols: 512, tokens: 1, eps: 1e-6, pdl: false }).unwrap();
    let rounding = quantize_q8k("quantize", 512, 1).unwrap();
    Sequence::new("both", blocks).then(&norm, ["x", "norm", "normed"]).then(&rounding, names)
}

fn error(blocks: u32, names: [&'static str; 2]) -> String {
    sequence(blocks, names).launch(TARGET).unwrap_err().to_string()
}

#[test]
fn errors_name_what_is_at_fault() {
    assert_eq!(
        error(4, ["norm", "rounded"]),
        "both: parameter 'norm' is a buffer of f32 here and a buffer of an f32 table in a part before: give it another \
         name in one of them"
    );
    assert_eq!(
        error(4, ["normed", "grid_waits"]),
        "both: stage quantize_q8k_512 has the names [\"normed\", \"grid_waits\"]; expected 2, none of them 'grid_waits'"
    );
    assert_eq!(
        error(4000, ["normed", "rounded"]),
        "both: 4000 blocks of 128 threads, expected 1 to 2112, as many as run at once"
    );
    assert!(matches!(sequence(0, ["normed", "rounded"]).launch(TARGET), Err(SequenceError::Blocks { .. })));
}

/// One block needs no word for waits.
#[test]
fn parameters_are_those_of_the_stages() {
    let names = |blocks| {
        let launch = sequence(blocks, ["normed", "rounded"]).launch(TARGET).unwrap();
        launch.kernel.param_names().to_vec()
    };
    assert_eq!(names(1), ["x", "norm", "normed", "rounded"]);
    assert_eq!(names(2), ["x", "norm", "normed", "rounded", "grid_waits"]);
}

/// Nothing that a stage has written is read through the read-only path.
#[test]
fn loads_are_coherent() {
    let launch = sequence(2, ["normed", "rounded"]).launch(TARGET).unwrap();
    let text = print(&launch.kernel.verify(TARGET).unwrap(), &PrintOptions::default());
    assert!(text.contains("ld.global") && !text.contains(".nc"), "{text}");
    if let Some(ptxas) = Ptxas::for_tests() {
        let report = ptxas.assemble(&text, TARGET).unwrap_or_else(|e| panic!("{e}"));
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
}
