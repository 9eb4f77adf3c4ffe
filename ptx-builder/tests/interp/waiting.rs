//! Threads that wait for memory: locks that lanes take one by one, grids whose
//! blocks wait for each other, and waits that never end.

use ptxgen_builder::interp::{Blocks, FindingKind, Memory, Options, Report, WarpOrder};

use crate::common::*;

/// Runs in every order and schedule; the last report, and the words of `x` after it.
fn run(grid: u32, block: u32, body: &str) -> (Report, Vec<u32>) {
    let m = module(".param .u64 x", &format!("ld.param.u64 %rd0, [x]; {GID}\n{body}"));
    let mut last = (Report::default(), Vec::new());
    for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(3), WarpOrder::Adversarial] {
        for schedule in [Blocks::Parallel, Blocks::Interleaved] {
            let mut memory = Memory::new();
            let x = memory.alloc(&[0; 64], 16).unwrap();
            let options = Options { order, schedule, max_steps: 100_000, ..Options::default() };
            let report = launch(&m, grid, block, &[x.into()], &mut memory, &options);
            last = (report, u32s(&memory.read(x).unwrap()));
        }
    }
    last
}

#[test]
fn every_lane_takes_a_lock() {
    let (report, x) = run(
        3,
        64,
        "$l: atom.acquire.gpu.global.cas.b32 %r4, [%rd0], 0, 1; setp.ne.u32 %p0, %r4, 0; @%p0 bra $l;
         ld.global.u32 %r5, [%rd0+4]; add.u32 %r5, %r5, 1; st.global.u32 [%rd0+4], %r5;
         membar.gl; atom.exch.global.b32 %r4, [%rd0], 0; ret;",
    );
    assert!(report.fault().is_none(), "{report}");
    assert_eq!(x[..2], [0, 3 * 64]);
}

#[test]
fn a_lock_in_shared_memory_and_a_barrier_after_it() {
    let (report, x) = run(
        1,
        64,
        ".shared .align 4 .b8 lock[8]; setp.ne.u32 %p1, %r0, 0; @%p1 bra $ready;
         st.shared.u32 [lock], 0; st.shared.u32 [lock+4], 0;
         $ready: bar.sync 0;
         $l: atom.acquire.cta.shared.exch.b32 %r4, [lock], 1; setp.eq.u32 %p0, %r4, 1; @%p0 bra $l;
         ld.shared.u32 %r5, [lock+4]; add.u32 %r5, %r5, 1; st.shared.u32 [lock+4], %r5;
         st.release.cta.shared.u32 [lock], 0;
         bar.sync 0;
         @%p1 bra $end; ld.shared.u32 %r5, [lock+4]; st.global.u32 [%rd0], %r5;
         $end: ret;",
    );
    assert!(report.fault().is_none(), "{report}");
    assert_eq!(x[0], 64);
}

#[test]
fn lanes_that_wait_for_lanes_of_their_warp() {
    // The waiting lanes stand before the one that lets them go.
    let (report, x) = run(
        1,
        32,
        "setp.eq.u32 %p1, %r0, 31; @%p1 bra $give;
         $wait: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.eq.u32 %p0, %r4, 0; @%p0 bra $wait;
         red.global.add.u32 [%rd0+4], 1; ret;
         $give: st.release.gpu.global.u32 [%rd0], 1; ret;",
    );
    assert!(report.is_clean(), "{report}");
    assert_eq!(x[..2], [1, 31]);
}

#[test]
fn a_grid_barrier_under_either_schedule() {
    let (report, x) = run(
        40,
        32,
        "setp.ne.u32 %p1, %r0, 0; @%p1 bra $join; mov.u32 %r5, %nctaid.x;
         atom.acq_rel.gpu.global.add.u32 %r4, [%rd0], 1;
         $spin: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.lt.u32 %p0, %r4, %r5; @%p0 bra $spin;
         $join: bar.sync 0; @%p1 bra $end; red.global.add.u32 [%rd0+4], 1;
         $end: ret;",
    );
    assert!(report.is_clean(), "{report}");
    assert_eq!(x[..2], [40, 40]);
}

/// Blocks of which the largest sm_90 holds four on each of its 132 multiprocessors, because of their shared memory.
const LARGE: &str = ".shared .align 16 .b8 large[49152];";

#[test]
fn a_grid_barrier_of_more_blocks_than_fit() {
    let barrier = format!(
        "{LARGE} setp.ne.u32 %p1, %r0, 0; mov.u32 %r5, %nctaid.x;
         atom.acq_rel.gpu.global.add.u32 %r4, [%rd0], 1;
         $spin: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.lt.u32 %p0, %r4, %r5; @%p0 bra $spin; ret;"
    );
    let m = module(".param .u64 x", &format!("ld.param.u64 %rd0, [x];\n{barrier}"));
    for schedule in [Blocks::Parallel, Blocks::Interleaved] {
        let run = |grid: u32| {
            let mut memory = Memory::new();
            let x = memory.alloc(&[0; 64], 16).unwrap();
            launch(&m, grid, 1, &[x.into()], &mut memory, &Options { schedule, ..Options::default() })
        };
        let report = run(4 * 132);
        assert!(report.is_clean(), "{report}");
        let report = run(4 * 132 + 3);
        let fault = report.fault().expect("the last three never start");
        assert_eq!(fault.kind, FindingKind::Deadlock, "{report}");
        let message = fault.to_string();
        assert!(message.contains("528 blocks, as many as the largest sm_90 GPU holds at once"), "{message}");
        assert!(message.contains("the other 3 start only when one ends"), "{message}");
    }
}

#[test]
fn blocks_that_wait_for_the_one_before_them_need_not_fit() {
    let m = module(
        ".param .u64 x",
        &format!(
            "{LARGE} ld.param.u64 %rd0, [x]; mov.u32 %r5, %ctaid.x;
             $spin: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.ne.u32 %p0, %r4, %r5; @%p0 bra $spin;
             add.u32 %r5, %r5, 1; st.release.gpu.global.u32 [%rd0], %r5; ret;"
        ),
    );
    for schedule in [Blocks::Parallel, Blocks::Interleaved] {
        let mut memory = Memory::new();
        let x = memory.alloc(&[0; 64], 16).unwrap();
        let report = launch(&m, 1200, 1, &[x.into()], &mut memory, &Options { schedule, ..Options::default() });
        assert!(report.is_clean(), "{report}");
        assert_eq!(u32s(&memory.read(x).unwrap())[0], 1200);
    }
}

/// The message, of a launch that must end quickly though it may run very long.
fn endless(grid: u32, block: u32, body: &str) -> String {
    let m = module(".param .u64 x", &format!("ld.param.u64 %rd0, [x]; {GID}\n{body}"));
    let mut memory = Memory::new();
    let x = memory.alloc(&[0; 64], 16).unwrap();
    let report = launch(&m, grid, block, &[x.into()], &mut memory, &Options::default());
    let fault = report.fault().unwrap_or_else(|| panic!("it ends: {report}"));
    assert_eq!(fault.kind, FindingKind::Deadlock, "{report}");
    fault.to_string()
}

#[test]
fn a_lock_that_is_not_given_back() {
    let message = endless(
        1,
        32,
        "$l: atom.acquire.gpu.global.cas.b32 %r4, [%rd0], 0, 1; setp.ne.u32 %p0, %r4, 0; @%p0 bra $l; ret;",
    );
    assert!(message.contains("the block waits for memory that no thread changes any more"), "{message}");
    assert!(
        message.contains("for 4 bytes of global memory at") && message.contains(", which is 0x1, to change"),
        "{message}"
    );
    assert!(message.contains("`atom.acquire.gpu.global.cas.b32") && message.contains("look for a lock"), "{message}");
}

#[test]
fn a_grid_barrier_that_waits_for_too_many() {
    let message = endless(
        8,
        32,
        "mov.u32 %r5, %nctaid.x; add.u32 %r5, %r5, 1; setp.ne.u32 %p1, %r0, 0; @%p1 bra $join;
         atom.acq_rel.gpu.global.add.u32 %r4, [%rd0], 1;
         $spin: ld.acquire.gpu.global.u32 %r4, [%rd0]; setp.lt.u32 %p0, %r4, %r5; @%p0 bra $spin;
         $join: bar.sync 0; ret;",
    );
    assert!(message.contains("8 blocks wait for memory that no thread of the grid changes any more"), "{message}");
    assert!(message.contains("which is 0x8, to change") && message.contains("for lane 0, which is at"), "{message}");
}

#[test]
fn an_mbarrier_that_nobody_completes() {
    let message = endless(
        1,
        32,
        ".shared .align 8 .b8 bar[8]; setp.ne.u32 %p1, %r0, 0; @%p1 bra $ready;
         mbarrier.init.shared.b64 [bar], 33;
         $ready: bar.sync 0; mbarrier.arrive.shared.b64 _, [bar];
         $l: mbarrier.try_wait.parity.shared.b64 %p0, [bar], 0; @!%p0 bra $l; ret;",
    );
    assert!(
        message.contains("for the phase of parity 0 of the mbarrier at 0x0, which is in phase 0 (parity 0): 1 of 33"),
        "{message}"
    );
}

#[test]
fn a_loop_that_reads_nothing() {
    let message = endless(1, 32, "$l: bra $l;");
    assert!(message.contains("in a loop that reads and changes nothing") && message.contains("`bra"), "{message}");
}

/// A loop that does something is no endless wait, however long it takes.
#[test]
fn a_long_loop_with_other_lanes_waiting() {
    let (report, x) = run(
        1,
        32,
        "mov.u32 %r4, 0; mul.lo.u32 %r5, %r0, 37;
         $l: add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, %r5; @%p0 bra $l;
         red.global.add.u32 [%rd0], %r4; ret;",
    );
    assert!(report.is_clean(), "{report}");
    assert_eq!(x[0], (1..32).map(|t| t * 37).sum::<u32>() + 1);
}
