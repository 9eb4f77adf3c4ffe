//! How long a kernel of about 1,000 instructions takes from source to checked PTX: built, verified
//! and printed here, and compiled by NVRTC from CUDA C++, in the same run.
//!
//! `cargo bench -p ptxgen-builder --bench compile`

mod arithmetic;
mod nvrtc;

use arithmetic::Arithmetic;
use divan::{Bencher, black_box};
use nvrtc::Nvrtc;
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{PrintOptions, print};
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::{Validated, verify};

const NVRTC_OPTIONS: &[&str] = &["--gpu-architecture=compute_90", "--fmad=false"];

fn main() {
    let ours = program().kernel().module(Target::SM_90);
    println!("ours: {} instructions", ours.kernels.iter().map(|k| k.insts().count()).sum::<usize>());
    if let Some(nvrtc) = Nvrtc::for_tests() {
        let (major, minor) = nvrtc.version().unwrap_or_default();
        match nvrtc.compile(&program().cuda(), NVRTC_OPTIONS) {
            Ok(ptx) => println!("NVRTC {major}.{minor}: {} instructions", arithmetic::instructions_in(&ptx)),
            Err(error) => println!("NVRTC {major}.{minor}: {error}"),
        }
    }
    divan::main();
}

fn program() -> Arithmetic {
    Arithmetic::new(4, 100)
}

fn validated() -> Validated {
    program().kernel().unoptimized().verify(Target::SM_90).unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[divan::bench]
fn build_verify_print(bencher: Bencher) {
    let program = program();
    let options = PrintOptions::default();
    let verified = |program: &Arithmetic| program.kernel().unoptimized().verify(Target::SM_90);
    bencher.bench_local(|| verified(black_box(&program)).map(|module| print(&module, &options)));
}

#[divan::bench]
fn build_verify_optimize_print(bencher: Bencher) {
    let program = program();
    let options = PrintOptions::default();
    bencher.bench_local(|| black_box(&program).kernel().verify(Target::SM_90).map(|module| print(&module, &options)));
}

#[divan::bench]
fn build_alone(bencher: Bencher) {
    let program = program();
    bencher.bench_local(|| black_box(&program).kernel());
}

#[divan::bench]
fn verify_alone(bencher: Bencher) {
    let module = validated().into_module();
    bencher.with_inputs(|| module.clone()).bench_local_values(verify);
}

#[divan::bench]
fn print_alone(bencher: Bencher) {
    let module = validated();
    let options = PrintOptions::default();
    bencher.bench_local(|| print(black_box(&module), &options));
}

#[divan::bench]
fn parse_alone(bencher: Bencher) {
    let text = print(&validated(), &PrintOptions::default());
    bencher.bench_local(|| parse("arithmetic.ptx", black_box(&text)));
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn nvrtc_compile(bencher: Bencher) {
    let Some(nvrtc) = Nvrtc::for_tests() else { return };
    let source = program().cuda();
    bencher.bench_local(|| nvrtc.compile(black_box(&source), NVRTC_OPTIONS));
}
