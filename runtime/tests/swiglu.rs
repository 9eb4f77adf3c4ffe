//! How far approximate instructions take SwiGLU from the exact variant, in the interpreter.

mod support;

use ptxgen_builder::interp::{Checks, Options};
use ptxgen_builder::target::Target;
use ptxgen_dsl::catalogue::Built;
use support::swiglu_errors;

/// With the approximate instructions' results as the interpreter gives them, which is the nearest
/// f32, and moved up or down to the edge of the ISA's tolerance.
#[test]
fn approximate_swiglu_in_the_interpreter() {
    for (perturb, what) in [(None, "rounded to nearest"), (Some(1), "at the tolerance's edge")] {
        let check = Checks { races: false, uninit: false };
        let options = Options { perturb, check, ..Options::default() };
        let run = |built: &Built, inputs: &[Vec<u8>]| {
            let trial = built.try_out(&built.verify().unwrap(), inputs, &options).unwrap();
            assert!(trial.report.is_clean(), "{}", trial.report);
            trial.outputs
        };
        let rows = swiglu_errors::rows(Target::SM_90, 1 << 16, run);
        println!("SwiGLU in the interpreter, ex2.approx and rcp.approx {what}\n\n{}", swiglu_errors::table(&rows));
        swiglu_errors::assert_documented(&rows);
    }
}
