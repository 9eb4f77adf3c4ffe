//! Kernels with one planted mistake each, written with the typed builder. The
//! line that ends in `// planted: <name>` must be the one that is reported,
//! by the verifier or, where only a run can tell, by the interpreter.

use ptxgen_builder::build::{Args, AsyncBytes, Body, F16x2, Global, In, InOut, Kernel, Out, ReadOnly, Val, kernel};
use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, Report};
use ptxgen_builder::ir::Loc;
use ptxgen_builder::target::Target;
use ptxgen_builder::verify::Rule;

/// The line of this file with this mistake.
fn planted(name: &str) -> u32 {
    let marker = format!("// planted: {name}");
    let found =
        include_str!("planted_mistakes.rs").lines().zip(1..).find(|(line, _)| line.trim_end().ends_with(&marker));
    found.unwrap_or_else(|| panic!("nothing is planted as {name}")).1
}

#[track_caller]
fn at_planted(loc: Option<&Loc>, name: &str, report: &str) {
    let loc = loc.unwrap_or_else(|| panic!("no line is reported: {report}"));
    assert!(loc.file.ends_with("planted_mistakes.rs"), "{report}");
    assert_eq!(loc.line, planted(name), "{report}");
}

/// The verifier reports this rule, and nothing else, at the planted line.
#[track_caller]
fn refused_on<A: Args>(target: Target, kernel: &Kernel<A>, rule: Rule, name: &str) {
    let errors = kernel.verify(target).err().unwrap_or_else(|| panic!("{name} is not found"));
    let found: Vec<Rule> = errors.iter().map(|e| e.rule).collect();
    assert_eq!(found, [rule], "{errors}");
    at_planted(errors[0].loc.as_ref(), name, &errors.to_string());
}

#[track_caller]
fn refused<A: Args>(kernel: &Kernel<A>, rule: Rule, name: &str) {
    refused_on(Target::SM_90, kernel, rule, name);
}

fn input_output(write: impl FnOnce(&Body, ReadOnly<f32>, Global<f32>)) -> Kernel<(In<f32>, InOut<f32>)> {
    kernel("k", ["x", "y"], |k, (x, y)| write(k, x, y)).with_block(64)
}

#[test]
fn a_barrier_in_a_divergent_branch() {
    let bad = input_output(|k, _, _| {
        let t = k.thread_x();
        k.if_(t.lt(40), |k| {
            k.barrier(); // planted: barrier
        });
    });
    refused(&bad, Rule::DivergentBarrier, "barrier");
}

#[test]
fn a_barrier_after_a_divergent_return() {
    let bad = kernel::<(u32,)>("k", ["n"], |k, (n,)| {
        let i = k.global_thread_id();
        k.return_if(i.ge(n));
        k.barrier(); // planted: return
    });
    refused(&bad, Rule::DivergentBarrier, "return");
}

#[test]
fn a_shuffle_in_a_divergent_branch() {
    let bad = kernel::<(u32, Out<u32>)>("k", ["n", "y"], |k, (n, y)| {
        let i = k.global_thread_id();
        k.if_(i.lt(n), |k| {
            let sum = i + k.shuffle_xor(i, 1); // planted: shuffle
            y.at(i).store(k, sum);
        });
    });
    refused(&bad, Rule::LaneMask, "shuffle");
}

#[test]
fn a_mask_that_leaves_lanes_out() {
    let bad = kernel::<(Out<u32>,)>("k", ["y"], |k, (y,)| {
        let lane = k.lane();
        let other = k.shuffle_xor_masked(lane, 1, 0xffff); // planted: half mask
        y.at(lane).store(k, other);
    });
    refused(&bad, Rule::LaneMask, "half mask");
}

#[test]
fn a_mask_with_lanes_that_are_elsewhere() {
    let bad = kernel::<(Out<u32>,)>("k", ["y"], |k, (y,)| {
        let lane = k.thread_x() & 31;
        k.if_(lane.lt(8), |k| {
            let other = k.shuffle_xor_masked(lane, 1, 0x1ff); // planted: wide mask
            y.at(lane).store(k, other);
        });
    });
    refused(&bad, Rule::LaneMask, "wide mask");
}

#[test]
fn sm_90_code_for_sm_80() {
    let dependent = kernel::<(u32,)>("k", ["n"], |k, (_,)| {
        k.grid_dependency_wait(); // planted: sm_90 instruction
    });
    dependent.verify(Target::SM_90).expect("sm_90 has it");
    refused_on(Target::SM_80, &dependent, Rule::TargetInstruction, "sm_90 instruction");
}

#[test]
fn a_special_register_of_sm_90_for_sm_80() {
    let cluster = kernel::<(Out<u32>,)>("k", ["y"], |k, (y,)| {
        let rank = k.cluster_rank(); // planted: sm_90 register
        y.at(0).store(k, rank);
    });
    cluster.verify(Target::SM_90).expect("sm_90 has it");
    refused_on(Target::SM_80, &cluster, Rule::TargetRegister, "sm_90 register");
}

#[test]
fn a_misaligned_vector() {
    let bad = input_output(|k, _, y| {
        let tile = k.shared_aligned::<f32>(64, 16);
        let four = tile.plus(2).load_vec::<4>(k); // planted: vector
        y.at(0).store(k, four[0]);
    });
    refused(&bad, Rule::Misaligned, "vector");
}

#[test]
fn a_constant_index_past_a_shared_array() {
    let bad = input_output(|k, _, y| {
        let tile = k.shared::<f32>(64);
        let value = tile.plus(64).load(k); // planted: past the array
        y.at(0).store(k, value);
    });
    refused(&bad, Rule::OutOfBounds, "past the array");
}

#[test]
fn the_read_only_path_for_data_that_is_written() {
    let bad = input_output(|k, _, y| {
        let value = y.read_only().at(0).load(k); // planted: read-only
        y.at(1).store(k, value);
    });
    refused(&bad, Rule::ReadOnlyData, "read-only");
}

#[test]
fn a_wait_for_copies_that_no_group_holds() {
    let bad = input_output(|k, x, y| {
        let tile = k.shared_aligned::<f32>(64, 16);
        k.copy_async(tile, x, AsyncBytes::B4);
        k.copy_async_wait(0); // planted: wait
        k.copy_async_commit();
        let value = tile.load(k);
        y.at(0).store(k, value);
    });
    refused(&bad, Rule::AsyncGroup, "wait");
}

#[test]
fn an_mbarrier_that_nobody_made() {
    let bad = input_output(|k, _, _| {
        let full = k.mbarrier();
        full.arrive(k); // planted: mbarrier
    });
    refused(&bad, Rule::Mbarrier, "mbarrier");
}

#[test]
fn a_matrix_product_of_half_a_warp() {
    let bad = kernel::<(In<F16x2>, Out<f32>)>("k", ["a", "y"], |k, (a, y)| {
        let lane = k.lane();
        let pair = a.at(lane).load(k);
        k.if_(lane.lt(16), |k| {
            let zero = Val::from(0.0f32);
            let c = k.mma_f16([pair; 4], [pair; 2], [zero; 4]); // planted: matrix
            y.at(lane).store(k, c[0]);
        });
    });
    refused(&bad, Rule::DivergentMatrix, "matrix");
}

/// A run of one block of 64 threads over 64 floats each.
fn run(kernel: &Kernel<(In<f32>, InOut<f32>)>) -> Report {
    let module = kernel.verify(Target::SM_90).unwrap_or_else(|e| panic!("{e}"));
    let mut memory = Memory::new();
    let x = memory.alloc(&[0; 256], 16).expect("a buffer");
    let y = memory.alloc(&[0; 256], 16).expect("a buffer");
    let args: [Arg; 2] = [x.into(), y.into()];
    let options = Options::default();
    let launch = Launch {
        module: &module,
        kernel: kernel.name(),
        grid: [1, 1, 1],
        block: [64, 1, 1],
        dynamic_shared: 0,
        args: &args,
        globals: None,
        options: &options,
    };
    launch.run(&mut memory).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
fn found(report: &Report, kind: FindingKind, name: &str) {
    let finding = report.of(kind).next().unwrap_or_else(|| panic!("{name} is not found: {report}"));
    at_planted(finding.site.loc.as_ref(), name, &report.to_string());
}

#[test]
fn a_read_past_a_buffer() {
    let bad = input_output(|k, x, y| {
        let i = k.thread_x();
        let value = x.at(i + 1).load(k); // planted: past the buffer
        y.at(i).store(k, value);
    });
    found(&run(&bad), FindingKind::OutOfBounds, "past the buffer");
}

#[test]
fn a_race_for_want_of_a_barrier() {
    let bad = input_output(|k, x, y| {
        let tile = k.shared::<f32>(64);
        let i = k.thread_x();
        let mine = x.at(i).load(k);
        tile.at(i).store(k, mine);
        let other = tile.at(i ^ 32).load(k); // planted: race
        y.at(i).store(k, other);
    });
    let report = run(&bad);
    let race = report.of(FindingKind::Race).next().unwrap_or_else(|| panic!("no race: {report}"));
    let lines = [race.site.loc.as_ref(), race.other.as_ref().and_then(|o| o.site.loc.as_ref())];
    assert!(lines.iter().flatten().any(|l| l.line == planted("race")), "{report}");
}

#[test]
fn shared_memory_that_nobody_wrote() {
    let bad = input_output(|k, _, y| {
        let tile = k.shared::<f32>(64);
        let i = k.thread_x();
        let value = tile.at(i).load(k); // planted: uninitialized
        y.at(i).store(k, value);
    });
    found(&run(&bad), FindingKind::Uninitialized, "uninitialized");
}

#[test]
fn two_lanes_that_write_one_place() {
    let bad = input_output(|k, x, y| {
        let i = k.thread_x();
        let value = x.at(i).load(k);
        y.at(i & 31).store(k, value); // planted: one place
    });
    // All lanes write the same value here.
    found(&run(&bad), FindingKind::SameValue, "one place");
}

#[test]
fn data_that_is_read_before_its_copy_is_waited_for() {
    let bad = input_output(|k, x, y| {
        let tile = k.shared_aligned::<f32>(64, 16);
        let i = k.thread_x();
        k.copy_async(tile.at(i), x.at(i), AsyncBytes::B4);
        k.copy_async_commit();
        let value = tile.at(i).load(k); // planted: not waited for
        k.copy_async_wait(0);
        y.at(i).store(k, value);
    });
    found(&run(&bad), FindingKind::AsyncPending, "not waited for");
}

#[test]
fn a_vector_at_an_address_that_only_a_run_knows() {
    let bad = input_output(|k, x, y| {
        let i = k.thread_x() & 7;
        let four = x.at(i).load_vec::<4>(k); // planted: odd vector
        y.at(0).store(k, four[0]);
    });
    found(&run(&bad), FindingKind::Misaligned, "odd vector");
}
