//! What `ptxgen::testing` says when a test fails.

use ptxgen::{
    prelude::*,
    testing::{Accumulator, Harness, HarnessError, Proof, check_golden, check_patterns, ptx},
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

fn scale() -> Kernel<(f32, In<f32>, Out<f32>)> {
    kernel::<(f32, In<f32>, Out<f32>)>("scale", ["a", "x", "y"], |k, (a, x, y)| {
        let i = k.global_thread_id();
        let value = x.at(i).load(k);
        y.at(i).store_if(k, i.lt(3), a * value);
    })
}

fn harness() -> Harness {
    Harness::new(&scale()).scalar("a", 2.0f32)
}

/// What the assertion says of a tile whose rows start in one bank.
fn bank_conflicts() -> String {
    let k = kernel::<(Out<f32>,)>("columns", ["y"], |k, (y,)| {
        let (tile, i) = (k.shared::<f32>(32 * 32).named("tile"), k.thread_x());
        tile.at(i * 32).store(k, 1.0);
        y.at(i).store(k, tile.at(i * 32).load(k));
    });
    let run = Harness::new(&k.with_block(32)).output::<f32>("y", 32).run().expect("it runs");
    let panic = catch_unwind(AssertUnwindSafe(|| _ = run.assert_no_bank_conflicts())).expect_err("there are some");
    panic.downcast_ref::<String>().cloned().expect("a panic has words")
}

/// What is said of an index that wraps.
fn wrapped_index() -> String {
    let k = kernel::<(u32, u32, In<f32>, Out<f32>)>("matrix", ["row", "cols", "x", "y"], |k, (row, cols, x, y)| {
        let i = k.thread_x();
        y.at(i).store(k, x.at(row * cols + i).load(k));
    });
    let harness = Harness::new(&k.with_block(4)).scalar("row", 1u32 << 16).scalar("cols", 1u32 << 16);
    let run = harness.input("x", &[1f32; 4]).output::<f32>("y", 4).run();
    run.expect_err("it wraps").to_string()
}

pub fn messages() -> Vec<String> {
    let error = |harness: Harness| harness.run().expect_err("it fails").to_string();
    let whole = || harness().input("x", &[1.0f32; 4]).output::<f32>("y", 4);
    let unwritten = || -> Result<Vec<f32>, HarnessError> { whole().block(4).run()?.read("y") };
    let unknown = || -> Result<Vec<f32>, HarnessError> { whole().block(4).run()?.read("z") };
    let folder = tempfile::tempdir().unwrap();
    let text = ptx(&scale());
    let golden = |text: &str, bless| check_golden(folder.path(), Path::new("scale.ptx"), text, bless);
    let missing = golden(&text, false).expect_err("there is none").to_string();
    golden(&text, true).expect("it is written");
    vec![
        missing,
        golden("another text", false).expect_err("another text").to_string(),
        error(whole()),
        error(harness().block(4)),
        error(whole().input("z", &[1.0f32]).block(4)),
        error(harness().input("x", &[1u32; 4]).output::<f32>("y", 4).block(4)),
        unwritten().expect_err("the last is left out").to_string(),
        unknown().expect_err("there is no z").to_string(),
        bank_conflicts(),
        wrapped_index(),
        check_patterns(&text, "chekc: mul").expect_err("no directive").to_string(),
        check_patterns(&text, "check: fma.rn.f64").expect_err("no such text").to_string(),
        Proof::of(&scale()).acc(Accumulator::F64).check().expect_err("it computes in f32").to_string(),
    ]
}
