//! The benchmark's two halves: NVRTC works, and both compile the same amount of code.

#[path = "../benches/arithmetic/mod.rs"]
mod arithmetic;
#[path = "../benches/nvrtc/mod.rs"]
mod nvrtc;

use arithmetic::Arithmetic;
use nvrtc::Nvrtc;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;

#[test]
fn nvrtc_compiles_and_explains_errors() {
    let Some(nvrtc) = Nvrtc::for_tests() else { return };
    let (major, _) = nvrtc.version().expect("a version");
    assert!(major >= 12, "{major}");
    let options = ["--gpu-architecture=compute_80"];
    let ptx = nvrtc.compile("extern \"C\" __global__ void k(int *p) { *p = 1; }", &options).expect("a right kernel");
    assert!(ptx.contains(".visible .entry k("), "{ptx}");
    let error = nvrtc.compile("__global__ void k() { nonsense; }", &options).expect_err("an unknown name");
    assert!(error.contains("kernel.cu(1): error") && error.contains("nonsense"), "{error}");
    let error = nvrtc.compile("", &["--no-such-option"]).expect_err("an unknown option");
    assert!(error.contains("no-such-option"), "{error}");
}

#[test]
fn both_sides_of_the_benchmark_are_about_a_thousand_instructions() {
    let Some(nvrtc) = Nvrtc::for_tests() else { return };
    let program = Arithmetic::new(4, 100);
    let validated = program.kernel().verify(Target::SM_90).unwrap_or_else(|errors| panic!("{errors:?}"));
    let ptx = print(&validated, &PrintOptions::default());
    let ours = validated.module().kernels[0].insts().count();
    assert_eq!(arithmetic::instructions_in(&ptx), ours);
    let theirs = nvrtc.compile(&program.cuda(), &["--gpu-architecture=compute_90", "--fmad=false"]);
    let theirs = arithmetic::instructions_in(&theirs.expect("right source"));
    assert!((900..1300).contains(&ours) && (900..1300).contains(&theirs), "{ours} and {theirs} instructions");
    if let Some(ptxas) = Ptxas::for_tests() {
        ptxas.assemble(&ptx, Target::SM_90).unwrap_or_else(|error| panic!("{error}"));
    }
}
