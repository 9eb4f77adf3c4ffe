//! The benchmark's two halves: NVRTC works, both are the same amount of code, and both compute the
//! same bits.

#[path = "../benches/arithmetic/mod.rs"]
mod arithmetic;
#[path = "../benches/nvrtc/mod.rs"]
mod nvrtc;

use arithmetic::Arithmetic;
use nvrtc::Nvrtc;
use ptxgen_builder::interp::{Launch, Memory, Options};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::ptxas::Ptxas;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Validated, verify};

const NVRTC_OPTIONS: &[&str] = &["--gpu-architecture=compute_90", "--fmad=false"];

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
    let theirs = nvrtc.compile(&program.cuda(), NVRTC_OPTIONS);
    let theirs = arithmetic::instructions_in(&theirs.expect("right source"));
    assert!((900..1300).contains(&ours) && (900..1300).contains(&theirs), "{ours} and {theirs} instructions");
    if let Some(ptxas) = Ptxas::for_tests() {
        ptxas.assemble(&ptx, Target::SM_90).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// What `y` holds after a module's only kernel has run over 100 threads, as bits.
fn interpreted(module: &Validated, x: &[f32]) -> Vec<u32> {
    let mut memory = Memory::new();
    let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_le_bytes()).collect();
    let input = memory.alloc(&bytes, 16).expect("room");
    let output = memory.alloc_uninit(bytes.len() as u64, 16).expect("room");
    let n = u32::try_from(x.len()).expect("few");
    let launch = Launch {
        module,
        kernel: "arithmetic",
        grid: [n.div_ceil(64), 1, 1],
        block: [64, 1, 1],
        dynamic_shared: 0,
        args: &[n.into(), 3u32.into(), input.into(), output.into()],
        globals: None,
        options: &Options::default(),
    };
    let report = launch.run(&mut memory).expect("a right launch");
    assert!(report.is_clean(), "{report:?}");
    let written = memory.read(output).expect("still there");
    written.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect()
}

#[test]
fn both_sides_of_the_benchmark_compute_the_same_bits() {
    let Some(nvrtc) = Nvrtc::for_tests() else { return };
    let program = Arithmetic::new(4, 100);
    let ours = program.kernel().verify(Target::SM_90).unwrap_or_else(|errors| panic!("{errors:?}"));
    let theirs = nvrtc.compile(&program.cuda(), NVRTC_OPTIONS).expect("right source");
    let theirs = parse("nvrtc.ptx", &theirs).unwrap_or_else(|errors| panic!("{errors}"));
    let theirs = verify(theirs).unwrap_or_else(|errors| panic!("{errors:?}"));
    let x: Vec<f32> = (0..100).map(|i| (i as f32 - 31.0) * 0.37).collect();
    let results = interpreted(&ours, &x);
    assert_eq!(results, interpreted(&theirs, &x));
    let distinct: std::collections::BTreeSet<_> = results.iter().collect();
    assert!(distinct.len() > 90 && results.iter().all(|&b| f32::from_bits(b).is_finite()), "{results:?}");
}
