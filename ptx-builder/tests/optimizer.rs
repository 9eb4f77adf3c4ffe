//! The optimizer: each pass does what it says and no more, and random kernels
//! compute the same before and after.

use proptest::prelude::*;
use ptxgen_builder::build::{In, Kernel, Out, kernel};
use ptxgen_builder::interp::{Arg, Launch, Memory, Options};
use ptxgen_builder::ir::Module;
use ptxgen_builder::opt::{OptOptions, finish, optimize};
use ptxgen_builder::parse::parse;
use ptxgen_builder::print::{self, PrintOptions, print};
use ptxgen_builder::random_modules::{Shape, plans};
use ptxgen_builder::testing::ptx;
use ptxgen_builder::verify::verify;

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p, .param .u32 n)\n{\n\
    .reg .pred %p<9>;\n.reg .b16 %h<9>;\n.reg .b32 %r<32>;\n.reg .b64 %rd<9>;\n.reg .f32 %f<9>;\n.reg .f64 %fd<9>;\n\
    .shared .align 16 .b8 s[64];\nld.param.u32 %r0, [n];\nld.param.u64 %rd0, [p];\n";

/// What is left of a body, one instruction a line, without the loads of the
/// parameters that start it.
fn optimized(body: &str, options: OptOptions) -> Vec<String> {
    let module = parse("t.ptx", &format!("{HEAD}{body}\nret;\n}}\n")).unwrap_or_else(|e| panic!("{e}"));
    verify(module.clone()).unwrap_or_else(|e| panic!("{e}"));
    let module = optimize(module, &options);
    verify(module.clone()).unwrap_or_else(|e| panic!("optimized: {e}"));
    let kernel = &module.kernels[0];
    let lines = kernel.insts().map(|(_, _, i)| print::inst(&module, kernel, i));
    lines.filter(|l| !l.starts_with("ld.param") && l != "ret;").collect()
}

#[track_caller]
fn check(options: OptOptions, body: &str, left: &[&str]) {
    assert_eq!(optimized(body, options), left, "{body}");
}

/// A body that a pass must leave as it is.
#[track_caller]
fn unchanged(options: OptOptions, body: &str) {
    let lines: Vec<&str> = body.lines().collect();
    assert_eq!(optimized(body, options), lines);
}

const FOLD: OptOptions = OptOptions { fold: true, ..OptOptions::NONE };
const COPIES: OptOptions = OptOptions { copies: true, ..OptOptions::NONE };
const COMMON: OptOptions = OptOptions { common: true, ..OptOptions::NONE };
const STRENGTH: OptOptions = OptOptions { strength: true, ..OptOptions::NONE };
const DEAD: OptOptions = OptOptions { dead: true, ..OptOptions::NONE };

#[test]
fn constants_are_folded_exactly() {
    check(
        FOLD,
        "mov.u32 %r1, 6;\nmad.lo.u32 %r2, %r1, 7, 4294967295;\nfma.rn.f32 %f1, 0f3F800001, 0f3F800001, 0f00000000;\n\
         setp.lt.s32 %p1, %r2, -1;\ncvt.rn.f64.u32 %fd1, %r1;\nprmt.b32 %r3, 287454020, 0, 291;",
        &[
            "mov.u32 %r1, 6;",
            "mov.b32 %r2, 41;",
            "mov.f32 %f1, 0f3F800002;",
            "mov.pred %p1, 0;",
            "mov.f64 %fd1, 0d4018000000000000;",
            "mov.b32 %r3, 1144201745;",
        ],
    );
}

#[test]
fn constant_guards_and_branches_are_resolved() {
    let body = "mov.pred %p1, 0;\n@%p1 st.global.u32 [%rd0], 1;\n@!%p1 st.global.u32 [%rd0], 2;\n@%p1 bra L;\n\
                st.global.u32 [%rd0], 3;\nL: st.global.u32 [%rd0], 4;";
    let left = ["mov.pred %p1, 0;", "st.global.u32 [%rd0], 2;", "st.global.u32 [%rd0], 3;", "st.global.u32 [%rd0], 4;"];
    check(FOLD, body, &left);
    check(OptOptions::ALL, body, &left[1..]);
}

#[test]
fn what_is_not_exact_or_depends_on_the_machine_is_not_folded() {
    unchanged(
        FOLD,
        "ex2.approx.f32 %f1, 0f3F800000;\nrcp.approx.f32 %f2, 0f40000000;\nmov.u64 %rd1, 16;\n\
         cvta.shared.u64 %rd2, %rd1;\nisspacep.shared %p1, %rd1;\nmov.u32 %r1, %tid.x;\n\
         vote.sync.all.pred %p2, %p1, 4294967295;\nshfl.sync.idx.b32 %r2, 5, 0, 31, 4294967295;",
    );
}

#[test]
fn a_variable_with_two_definitions_is_not_a_constant_where_they_meet() {
    unchanged(
        FOLD,
        "mov.u32 %r1, 1;\nsetp.eq.u32 %p1, %r0, 0;\n@%p1 mov.u32 %r1, 2;\nadd.u32 %r2, %r1, 1;\nst.global.u32 [%rd0], %r2;",
    );
    let body = "mov.u32 %r1, 0;\nL: add.u32 %r2, %r1, 5;\nst.global.u32 [%rd0], %r2;\nadd.u32 %r1, %r1, 1;\n\
                setp.lt.u32 %p1, %r1, %r0;\n@%p1 bra L;";
    assert_eq!(optimized(body, OptOptions::ALL).len(), 6, "{:?}", optimized(body, OptOptions::ALL));
}

#[test]
fn copies_are_seen_through_until_their_source_changes() {
    check(
        COPIES,
        "mov.u32 %r1, %r0;\nadd.u32 %r2, %r1, %r1;\nadd.u32 %r0, %r0, 1;\nadd.u32 %r3, %r1, %r2;\n\
         mov.u32 %r4, 9;\nadd.u32 %r5, %r4, %r3;\nmov.u32 %r5, %r5;",
        &[
            "mov.u32 %r1, %r0;",
            "add.u32 %r2, %r0, %r0;",
            "add.u32 %r0, %r0, 1;",
            "add.u32 %r3, %r1, %r2;",
            "mov.u32 %r4, 9;",
            "add.u32 %r5, 9, %r3;",
        ],
    );
}

#[test]
fn a_copy_of_a_loop_variable_keeps_the_old_value() {
    // %r2 is the value before the addition; the loop's second turn must not take %r1 for it.
    let body = "mov.u32 %r1, 0;\nmov.u32 %r2, 0;\nL: st.global.u32 [%rd0], %r2;\nmov.u32 %r2, %r1;\n\
                add.u32 %r1, %r1, 1;\nsetp.lt.u32 %p1, %r1, %r0;\n@%p1 bra L;";
    let left = optimized(body, OptOptions::ALL);
    assert!(left.contains(&"st.global.u32 [%rd0], %r2;".to_owned()), "{left:?}");
    assert!(left.contains(&"mov.u32 %r2, %r1;".to_owned()), "{left:?}");
}

#[test]
fn equal_expressions_are_computed_once() {
    check(
        COMMON,
        "add.u32 %r1, %r0, 4;\nadd.u32 %r2, %r0, 4;\nex2.approx.f32 %f1, 0f3F800000;\nex2.approx.f32 %f2, 0f3F800000;\n\
         ld.param.u32 %r3, [n];\nmul.wide.u32 %rd1, %r1, %r2;\nmul.wide.u32 %rd2, %r2, %r1;\nmul.wide.u32 %rd3, %r1, %r1;",
        &[
            "add.u32 %r1, %r0, 4;",
            "mov.b32 %r2, %r1;",
            "ex2.approx.f32 %f1, 0f3F800000;",
            "mov.f32 %f2, %f1;",
            "mov.b32 %r3, %r0;",
            "mul.wide.u32 %rd1, %r1, %r2;",
            "mov.b64 %rd2, %rd1;",
            "mov.b64 %rd3, %rd1;",
        ],
    );
}

#[test]
fn an_expression_is_computed_again_after_its_source_changed() {
    unchanged(COMMON, "add.u32 %r1, %r0, 4;\nadd.u32 %r0, %r0, 1;\nadd.u32 %r2, %r0, 4;");
    unchanged(COMMON, "add.u32 %r1, %r0, 4;\nmov.u32 %r1, 3;\nadd.u32 %r2, %r0, 4;");
    // On one way only.
    let body = "setp.eq.u32 %p1, %r0, 0;\n@%p1 bra L;\nadd.u32 %r1, %r0, 4;\nst.global.u32 [%rd0], %r1;\n\
                L: add.u32 %r2, %r0, 4;\nst.global.u32 [%rd0], %r2;";
    assert!(optimized(body, COMMON).contains(&"add.u32 %r2, %r0, 4;".to_owned()));
    // In a dominating block, of registers that never change: seen past the join.
    let body = "setp.eq.u32 %p1, %r0, 0;\nadd.u32 %r1, %r0, 4;\n@%p1 bra L;\nst.global.u32 [%rd0], %r1;\n\
                L: add.u32 %r2, %r0, 4;\nst.global.u32 [%rd0], %r2;";
    assert!(optimized(body, COMMON).contains(&"mov.b32 %r2, %r1;".to_owned()));
}

#[test]
fn effects_clocks_and_other_lanes_are_not_common() {
    unchanged(
        COMMON,
        "ld.global.u32 %r1, [%rd0];\nld.global.u32 %r2, [%rd0];\nld.volatile.global.u32 %r3, [%rd0];\n\
         mov.u32 %r4, %clock;\nmov.u32 %r5, %clock;\nactivemask.b32 %r6;\nactivemask.b32 %r7;\n\
         shfl.sync.down.b32 %r8, %r1, 1, 31, 4294967295;\nshfl.sync.down.b32 %r9, %r1, 1, 31, 4294967295;\n\
         atom.global.add.u32 %r10, [%rd0], 1;\natom.global.add.u32 %r11, [%rd0], 1;\nbar.sync 0;\nbar.sync 0;",
    );
}

#[test]
fn integers_get_cheaper() {
    check(
        STRENGTH,
        "mul.lo.u32 %r1, %r0, 8;\nmul.lo.s32 %r2, 16, %r0;\nmad.lo.u32 %r3, %r0, 1, %r1;\nmad.lo.u32 %r4, %r0, %r1, 0;\n\
         div.u32 %r5, %r0, 32;\nrem.u32 %r6, %r0, 32;\nadd.u32 %r7, %r0, 0;\nshl.b32 %r8, %r0, 0;\nand.b32 %r9, %r0, 0;\n\
         and.b32 %r10, %r0, 4294967295;\nxor.b32 %r11, %r0, %r0;\ndiv.s32 %r12, %r0, 1;\nmul.lo.u64 %rd1, %rd0, 4294967296;",
        &[
            "shl.b32 %r1, %r0, 3;",
            "shl.b32 %r2, %r0, 4;",
            "add.u32 %r3, %r0, %r1;",
            "mul.lo.u32 %r4, %r0, %r1;",
            "shr.u32 %r5, %r0, 5;",
            "and.b32 %r6, %r0, 31;",
            "mov.b32 %r7, %r0;",
            "mov.b32 %r8, %r0;",
            "mov.b32 %r9, 0;",
            "mov.b32 %r10, %r0;",
            "mov.b32 %r11, 0;",
            "mov.b32 %r12, %r0;",
            "shl.b64 %rd1, %rd0, 32;",
        ],
    );
}

#[test]
fn signed_quotients_and_all_floats_stay() {
    unchanged(
        STRENGTH,
        "div.s32 %r1, %r0, 8;\nrem.s32 %r2, %r0, 8;\nmul.lo.u32 %r3, %r0, 6;\nmul.hi.u32 %r4, %r0, 8;\n\
         mov.b32 %f1, %r0;\nmul.rn.f32 %f2, %f1, 0f3F800000;\nadd.rn.f32 %f3, %f1, 0f00000000;\n\
         sub.rn.f32 %f4, %f1, %f1;\nfma.rn.f32 %f5, %f1, %f2, 0f80000000;\ndiv.rn.f32 %f6, %f1, 0f40000000;",
    );
    unchanged(
        OptOptions { dead: false, ..OptOptions::ALL },
        "mov.b32 %f1, %r0;\nmul.rn.f32 %f2, %f1, %f1;\nadd.rn.f32 %f3, %f2, %f1;\nadd.rn.f32 %f4, %f1, %f2;\n\
         add.f32 %f5, %f3, %f4;",
    );
}

#[test]
fn unused_results_go_and_effects_stay() {
    check(
        DEAD,
        "add.u32 %r1, %r0, 1;\nadd.u32 %r2, %r1, 1;\nadd.u32 %r3, %r0, 3;\nst.global.u32 [%rd0], %r3;\n\
         ex2.approx.f32 %f1, 0f3F800000;\nld.volatile.global.u32 %r4, [%rd0];\natom.global.add.u32 %r5, [%rd0], 1;\n\
         mov.u32 %r6, %clock;\nshfl.sync.down.b32 %r7, %r0, 1, 31, 4294967295;\nbar.sync 0;",
        &[
            "add.u32 %r3, %r0, 3;",
            "st.global.u32 [%rd0], %r3;",
            "ld.volatile.global.u32 %r4, [%rd0];",
            "atom.global.add.u32 %r5, [%rd0], 1;",
            "mov.u32 %r6, %clock;",
            "shfl.sync.down.b32 %r7, %r0, 1, 31, 4294967295;",
            "bar.sync 0;",
        ],
    );
}

#[test]
fn a_guarded_definition_does_not_hide_the_one_before_it() {
    unchanged(DEAD, "setp.eq.u32 %p1, %r0, 0;\nmov.u32 %r1, 1;\n@%p1 mov.u32 %r1, 2;\nst.global.u32 [%rd0], %r1;");
    check(
        DEAD,
        "mov.u32 %r1, 1;\nmov.u32 %r1, 2;\nst.global.u32 [%rd0], %r1;\nbra E;\nst.global.u32 [%rd0], 7;\nE: mov.u32 %r1, 3;",
        &["mov.u32 %r1, 2;", "st.global.u32 [%rd0], %r1;", "bra $L7;"],
    );
}

#[test]
fn no_pass_changes_nothing() {
    unchanged(OptOptions::NONE, "add.u32 %r1, 1, 2;\nmov.u32 %r2, %r1;\nmul.lo.u32 %r3, %r2, 8;");
}

#[test]
fn a_mistake_in_code_that_would_be_dropped_is_an_error() {
    let text = format!("{HEAD}mov.u32 %r2, %cluster_ctaid.x;\nret;\n}}\n");
    let errors =
        finish(parse("t.ptx", &text).unwrap(), &OptOptions::ALL).expect_err("sm_80 has no clusters").to_string();
    assert!(errors.contains("t.ptx:15") && errors.contains("target-register"), "{errors}");
}

#[test]
fn kernels_are_optimized_unless_they_say_otherwise() {
    let twice = kernel::<(In<f32>, Out<f32>)>("twice", ["x", "y"], |k, (x, y)| {
        let unused = k.thread_x() * 3;
        let (one, other) = (x.at(k.thread_x()).load(k), x.at(k.thread_x()).load(k));
        y.at(k.thread_x()).store(k, one + other);
        let _ = unused + 1;
    });
    let count = |kernel: &Kernel<_>, spelling: &str| {
        let text = ptx(kernel);
        (text.matches(spelling).count(), text.matches("ld.global").count())
    };
    // Loads of memory are never joined: each may fault, at its own line.
    assert_eq!(count(&twice, "%tid.x"), (1, 2));
    assert_eq!(count(&twice.unoptimized(), "%tid.x"), (4, 2));
}

/// The output of a generated kernel, from fixed input.
fn run(module: Module, seed: u64) -> Result<Vec<u8>, TestCaseError> {
    let text = print::ir(&module);
    let module = verify(module).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
    let mut memory = Memory::new();
    let input: Vec<u8> =
        (0..Shape::INPUT).map(|i| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u8).collect();
    let options: Vec<u8> = (0..Shape::OPTIONS).map(|i| i as u8 ^ 0x5a).collect();
    let input = memory.alloc(&input, 16).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let output = memory.alloc(&vec![0; Shape::OUTPUT as usize], 16).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let report = Launch {
        module: &module,
        kernel: Shape::KERNEL,
        grid: [Shape::GRID, 1, 1],
        block: [Shape::BLOCK, 1, 1],
        dynamic_shared: 0,
        args: &[input.into(), output.into(), Arg::bytes(&options)],
        globals: None,
        options: &Options::default(),
    }
    .run(&mut memory)
    .map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert!(report.is_clean(), "{:?}\n{}", report, text);
    memory.read(output).map_err(|e| TestCaseError::fail(e.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn optimized_kernels_compute_the_same(plan in plans(), passes in 1..32u8, seed: u64) {
        let bit = |i: u8| passes >> i & 1 == 1;
        let options = OptOptions { fold: bit(0), copies: bit(1), common: bit(2), strength: bit(3), dead: bit(4) };
        let module = plan.module();
        let before = run(module.clone(), seed)?;
        for options in [options, OptOptions::ALL] {
            let better = optimize(module.clone(), &options);
            prop_assert_eq!(&run(better.clone(), seed)?, &before, "{}", print::ir(&better));
            let text = print(&verify(better.clone()).map_err(|e| TestCaseError::fail(e.to_string()))?, &PrintOptions::default());
            prop_assert_eq!(parse("optimized", &text), Ok(better));
            let finished = finish(module.clone(), &options).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let mut again = finished.module().clone();
            again.renumber();
            prop_assert_eq!(&again, finished.module());
            prop_assert_eq!(parse("finished", &print(&finished, &PrintOptions::default())), Ok(again));
            prop_assert_eq!(&run(finished.into_module(), seed)?, &before);
        }
    }
}
