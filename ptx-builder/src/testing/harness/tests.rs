//! Accepted inputs of the harness, and its messages for others.

use super::*;
use crate::build::{In, InOut, Kernel, Out, kernel};
use crate::interp::{FindingKind, MemoryError};
use crate::parse::parse;
use crate::verify::verify;

/// y[i] = a * x[i] + y[i]
fn saxpy() -> Kernel<(u32, f32, In<f32>, InOut<f32>)> {
    kernel::<(u32, f32, In<f32>, InOut<f32>)>("saxpy", ["n", "a", "x_in", "y"], |k, (n, a, x, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = a.fma(x.at(i).load(k), y.at(i).load(k));
            y.at(i).store(k, sum);
        });
    })
}

fn full() -> Harness {
    let half = Harness::new(&saxpy()).scalar("n", 3u32).scalar("a", 2.0f32).block(32);
    half.input("x_in", &[1.0f32, 2.0, 3.0]).inout("y", &[10.0f32, 20.0, 30.0])
}

/// Every thread but the first `skip` writes its number.
fn ids(skip: u32) -> Kernel<(Out<u32>,)> {
    let ids = kernel::<(Out<u32>,)>("ids", ["y"], |k, (y,)| {
        let i = k.thread_x();
        y.at(i).store_if(k, i.ge(skip), i);
    });
    ids.with_block(8)
}

#[track_caller]
fn fails(harness: Harness, message: &str) {
    assert_eq!(harness.run().unwrap_err().to_string(), message);
}

#[test]
fn a_run() {
    let run = full().run().unwrap();
    assert_eq!(run.read::<f32>("y").unwrap(), [12.0, 24.0, 36.0]);
    assert_eq!(run.read::<u8>("y").unwrap()[..4], 12.0f32.to_le_bytes());
    assert!(run.counts().warps > 0 && run.counts().sectors > 0);
    assert!(run.report().is_clean());
    let module = saxpy().verify(crate::target::Target::SM_75).unwrap();
    let from_module = Harness { module: Ok(module), args: None, ..full() };
    assert_eq!(from_module.run().unwrap().read::<f32>("y").unwrap(), [12.0, 24.0, 36.0]);
    assert_eq!(Harness::new(&ids(0)).output::<u32>("y", 8).run().unwrap().read::<u32>("y").unwrap()[7], 7);
}

#[test]
fn names_are_checked() {
    let y = &[0.0f32; 3];
    fails(full().scalar("b", 1u32), "kernel `saxpy` has no parameter `b`; it has n, a, x_in, y");
    fails(
        full().input("x_im", y),
        "kernel `saxpy` has no parameter `x_im`; it has n, a, x_in, y (did you mean `x_in`?)",
    );
    fails(full().inout("y", y), "parameter `y` of kernel `saxpy` is given twice");
    fails(
        Harness::new(&saxpy()).scalar("n", 3u32).input("x_in", y),
        "kernel `saxpy` lacks `a` (a number, `scalar(.., f32)`) and `y` (read and written, `inout` of f32)",
    );
    fails(full().kernel("daxpy"), "the module has no kernel `daxpy`; it has saxpy");
}

#[test]
fn types_are_checked() {
    let start = || Harness::new(&saxpy());
    let says = |harness, what: &str| fails(harness, &format!("parameter {what}"));
    says(
        start().scalar("a", 2.0f64),
        "`a` of kernel `saxpy` is a number, `scalar(.., f32)`, and got the number `scalar(.., f64)`",
    );
    says(start().input("x_in", &[1i32]), "`x_in` of kernel `saxpy` is read, `input` of f32, and got `input` of i32");
    says(start().output::<f32>("x_in", 3), "`x_in` of kernel `saxpy` is read, `input` of f32, and got `output` of f32");
    says(start().input("n", &[3u32]), "`n` of kernel `saxpy` is a number, `scalar(.., u32)`, and got `input` of u32");
    // Bytes are welcome everywhere.
    let bytes = full().run().unwrap().read::<u8>("y").unwrap();
    assert_eq!(bytes.len(), 12);
    let half = start().scalar("n", 0u32).scalar("a", 2.0f32).input("x_in", &[0u8; 4]).inout("y", &[0u8; 4]);
    half.block(32).run().unwrap();
}

#[test]
fn ptx_of_others() {
    let text = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p, .param .b32 v) {\n\
         .reg .b64 %rd<2>; .reg .b32 %r<1>;\n ld.param.u64 %rd0, [p]; cvta.to.global.u64 %rd1, %rd0;\n\
         ld.param.b32 %r0, [v]; st.global.b32 [%rd1], %r0; ret; }\n";
    let module = verify(parse("k.ptx", text).unwrap()).unwrap();
    let run = Harness::new(&module).output::<f32>("p", 1).scalar("v", 1.5f32).block(1).run().unwrap();
    assert_eq!(run.read::<f32>("p").unwrap(), [1.5]);
}

#[test]
fn the_block_is_known_or_asked_for() {
    let harness = Harness { block: None, ..full() };
    assert_eq!(harness.run().unwrap_err(), HarnessError::NoBlock);
    let wrong = Harness::new(&ids(0)).output::<u32>("y", 8).block(16).run().unwrap_err();
    assert!(matches!(wrong, HarnessError::Launch(LaunchError::Shape { .. })), "{wrong}");
}

#[test]
fn a_result_that_no_memory_holds() {
    let error = Harness::new(&ids(0)).output::<u32>("y", usize::MAX).run().unwrap_err();
    assert!(matches!(error, HarnessError::Memory(MemoryError::Full(_))), "{error}");
}

#[test]
fn results_are_checked() {
    let run = full().run().unwrap();
    let error = run.read::<f32>("x_in").unwrap_err();
    assert_eq!(error.to_string(), "`x_in` is not a result of this run; there are y");
    let error = run.read::<u32>("y").unwrap_err();
    assert_eq!(error.to_string(), "`y` was given as elements of f32, and is read as u32");
    let run = Harness::new(&ids(2)).output::<u32>("y", 8).run().unwrap();
    let error = run.read::<u32>("y").unwrap_err();
    let expected = "2 of the 8 elements of `y` were not written, the first at 0; \
                    if that is meant, give it with `inout` and initial values";
    assert_eq!((error.to_string(), format!("{error:?}")), (expected.to_owned(), expected.to_owned()));
    let run = Harness::new(&ids(2)).inout("y", &[9u32; 8]).run().unwrap();
    assert_eq!(run.read::<u32>("y").unwrap(), [9, 9, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn findings_are_failures_unless_allowed() {
    let short = Harness::new(&ids(0)).output::<u32>("y", 4);
    let error = short.run().unwrap_err();
    assert!(error.to_string().starts_with("the interpreter found:\nids: OutOfBounds: "), "{error}");
    let run = short.allow_findings().run().unwrap();
    assert_eq!(run.report().of(FindingKind::OutOfBounds).count(), 1);
}

#[test]
fn a_kernel_that_does_not_verify() {
    let bad = kernel::<(Out<u32>,)>("bad", ["y"], |k, (y,)| {
        let i = k.thread_x();
        k.if_(i.lt(3u32), |k| k.barrier());
        y.store(k, 1u32);
    });
    let error = Harness::new(&bad).output::<u32>("y", 1).block(32).run().unwrap_err();
    assert!(matches!(error, HarnessError::Verify(_)));
    assert!(error.to_string().contains("[divergent-barrier]"), "{error}");
}
