//! How far `ex2.approx` and `rcp.approx` take SwiGLU from the exact variant, on a GPU.

mod support;

use ptxgen_runtime::Device;
use support::{outputs, swiglu_errors};

/// Prints the table of `docs/policies.md`.
#[test]
#[ignore = "needs an NVIDIA GPU"]
fn approximate_swiglu_on_hardware() {
    let gpu = Device::cuda(0).unwrap_or_else(|e| panic!("this test needs an NVIDIA GPU: {e}"));
    let run = |built: &_, inputs: &[Vec<u8>]| outputs(&gpu, built, inputs).unwrap();
    let rows = swiglu_errors::rows(gpu.target(), 1 << 20, run);
    println!("SwiGLU on {}\n\n{}", gpu.name(), swiglu_errors::table(&rows));
    swiglu_errors::assert_documented(&rows);
}
