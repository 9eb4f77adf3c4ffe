//! Races found, and ordered programs without findings.

use ptxgen_builder::interp::{Blocks, FindingKind, Memory, Options, Report, WarpOrder};

use crate::common::*;

const SHARED: &str = ".shared .align 4 .b8 s[256]; mov.u32 %r0, %tid.x; shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2; ld.param.u64 %rd0, [x]; xor.b32 %r3, %r1, 128;";

fn run_grid(grid: u32, block: u32, body: &str) -> Report {
    let m = module(".param .u64 x", body);
    let mut reports = Vec::new();
    for order in [WarpOrder::RoundRobin, WarpOrder::Seeded(3), WarpOrder::Adversarial] {
        for schedule in [Blocks::Parallel, Blocks::Interleaved] {
            let mut mem = Memory::new();
            let x = mem.alloc(&[0; 4096], 16).unwrap();
            reports.push(launch(
                &m,
                grid,
                block,
                &[x.into()],
                &mut mem,
                &Options { order, schedule, ..Options::default() },
            ));
        }
    }
    // Both orders of a race are the same race; whether it is one must not depend on the order.
    let counts: Vec<usize> = reports.iter().map(|r| r.findings.len()).collect();
    assert!(counts.iter().all(|c| (*c == 0) == (counts[0] == 0)), "{counts:?}");
    reports.swap_remove(0)
}

fn run(body: &str) -> Report {
    run_grid(1, 64, &format!("{SHARED}\n{body}"))
}

#[test]
fn a_missing_barrier() {
    let report = run("st.shared.u32 [%r1], %r0;\nld.shared.u32 %r4, [%r3]; ret;");
    let f = report.of(FindingKind::Race).next().expect("a race");
    let lines = [f.site.loc.as_ref().unwrap().line, f.other.as_ref().unwrap().site.loc.as_ref().unwrap().line];
    assert!(lines.contains(&6) && lines.contains(&7), "{report}");
    assert!(run("st.shared.u32 [%r1], %r0;\nbar.sync 0;\nld.shared.u32 %r4, [%r3]; ret;").is_clean());
}

#[test]
fn a_barrier_missing_before_the_buffer_is_used_again() {
    let body = "mov.u32 %r9, 0;
        $l: st.shared.u32 [%r1], %r0;
        bar.sync 0;
        ld.shared.u32 %r4, [%r3];
        BARRIER
        add.u32 %r9, %r9, 1; setp.lt.u32 %p0, %r9, 3; @%p0 bra $l; ret;";
    assert!(!run(&body.replace("BARRIER", "")).is_clean());
    let report = run(&body.replace("BARRIER", "bar.sync 0;"));
    assert!(report.is_clean(), "{report}");
}

#[test]
fn lanes_of_a_warp() {
    let body = "xor.b32 %r3, %r1, 4; st.shared.u32 [%r1], %r0;\nSYNC ld.shared.u32 %r4, [%r3]; ret;";
    assert_eq!(run(&body.replace("SYNC", "")).of(FindingKind::Race).count(), 1);
    // Lanes wait for each other at these, which orders no memory.
    for no_sync in [
        "shfl.sync.idx.b32 %r5, %r0, 0, 31, -1;",
        "setp.eq.u32 %p0, %r0, 0; vote.sync.all.pred %p1, %p0, -1;",
        "match.any.sync.b32 %r5, %r0, -1;",
        "redux.sync.add.u32 %r5, %r0, -1;",
    ] {
        assert_eq!(run(&body.replace("SYNC", no_sync)).of(FindingKind::Race).count(), 1, "{no_sync}");
    }
    for sync in ["bar.warp.sync -1;", "bar.sync 0;"] {
        let report = run(&body.replace("SYNC", sync));
        assert!(report.is_clean(), "{sync} {report}");
    }
}

#[test]
fn one_instruction_writes_different_values_to_one_place() {
    let report = run_grid(1, 32, &format!("{SHARED}\nst.shared.u32 [%r2], %r0; ret;"));
    only(&report, FindingKind::Race, 2);
    let same = run_grid(1, 32, &format!("{SHARED}\nst.shared.u32 [%r2], 7; ret;"));
    assert!(same.is_clean(), "{same}");
}

/// Warps that write the same to one place change nothing, whichever is last: that is told, and no race. It is one where
/// the values differ, where somebody may read in between, and where only one writes.
#[test]
fn warps_that_write_the_same_value() {
    let same = run("st.shared.u32 [%r2], 7; bar.sync 0; ld.shared.u32 %r4, [s]; ret;");
    only(&same, FindingKind::SameValue, 2);
    assert!(same.is_clean(), "{same}");
    let vectors = run("st.shared.v4.u32 [%r2], {1, 2, 3, 4}; ret;");
    only(&vectors, FindingKind::SameValue, 2);
    let differs = run("shr.u32 %r5, %r0, 5; st.shared.u32 [%r2], %r5; ret;");
    only(&differs, FindingKind::Race, 2);
    let read = run("st.shared.u32 [%r2], 7;\nld.shared.u32 %r4, [s]; ret;");
    assert!(read.of(FindingKind::Race).count() > 0 && !read.is_clean(), "{read}");
    // Each warp writes one value twice, after another.
    let twice = run("st.shared.u32 [%r2], 1; st.shared.u32 [%r2], 7; ret;");
    assert!(twice.of(FindingKind::Race).count() > 0, "{twice}");
}

#[test]
fn bytes_of_one_word_are_separate() {
    let report = run("add.u32 %r1, %r2, %r0; st.shared.u8 [%r1], %r0; ret;");
    assert!(report.is_clean(), "{report}");
    assert!(!run("add.u32 %r1, %r2, %r0; st.shared.u8 [%r1], %r0;\nld.shared.u32 %r4, [s]; ret;").is_clean());
}

#[test]
fn atomics_race_with_plain_accesses_only() {
    assert!(run("st.shared.u32 [%r1], 0; bar.sync 0; red.shared.add.u32 [s], 1; ret;").is_clean());
    let report = run("st.shared.u32 [%r1], 0; bar.sync 0; red.shared.add.u32 [s], 1;\nld.shared.u32 %r4, [s]; ret;");
    assert!(report.of(FindingKind::Race).count() > 0, "{report}");
}

#[test]
fn named_barriers_order_their_participants() {
    // Warp 0 produces, warp 1 consumes.
    let report = run("setp.ge.u32 %p0, %r0, 32; @%p0 bra $consume;
         st.shared.u32 [%r1], %r0; bar.arrive 3, 64; ret;
         $consume: bar.sync 3, 64; ld.shared.u32 %r4, [%r3]; ret;");
    assert!(report.is_clean(), "{report}");
}

const GLOBAL: &str = "mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; ld.param.u64 %rd0, [x]; mul.wide.u32 %rd1, %r1, 4; add.s64 %rd2, %rd0, %rd1; mov.u32 %r7, %nctaid.x;";

#[test]
fn blocks_that_write_one_place() {
    let report = run_grid(4, 1, &format!("{GLOBAL}\nst.global.u32 [%rd0], %r1; ret;"));
    let f = only(&report, FindingKind::Race, 2);
    assert_ne!(f.block, f.other.unwrap().block);
    let report = run_grid(4, 1, &format!("{GLOBAL}\nred.global.add.u32 [%rd0], 1; ret;"));
    assert!(report.is_clean(), "{report}");
    let report = run_grid(4, 1, &format!("{GLOBAL}\nred.cta.global.add.u32 [%rd0], 1; ret;"));
    only(&report, FindingKind::Race, 2);
}

/// The last block to finish adds up what the others have written.
#[test]
fn the_last_block() {
    let body = |release: &str, acquire: &str| {
        format!(
            "{GLOBAL}
             st.global.u32 [%rd2+64], %r1; {release}
             atom.global.add.u32 %r4, [%rd0], 1; add.u32 %r4, %r4, 1; setp.ne.u32 %p0, %r4, %r7; @%p0 bra $end;
             {acquire}
             ld.global.u32 %r5, [%rd0+64]; ld.global.u32 %r6, [%rd0+68];
             $end: ret;"
        )
    };
    let report = run_grid(4, 1, &body("membar.gl;", "membar.gl;"));
    assert!(report.is_clean(), "{report}");
    for (release, acquire) in [("", "membar.gl;"), ("membar.gl;", ""), ("membar.cta;", "membar.gl;"), ("", "")] {
        let m = module(".param .u64 x", &body(release, acquire));
        let mut mem = Memory::new();
        let x = mem.alloc(&[0; 4096], 16).unwrap();
        let options = Options { schedule: Blocks::Interleaved, ..Options::default() };
        let report = launch(&m, 4, 1, &[x.into()], &mut mem, &options);
        assert!(report.of(FindingKind::Race).count() > 0, "{release} {acquire} {report}");
    }
}

/// A barrier over the whole grid, by a counter that every block spins on.
#[test]
fn a_grid_barrier() {
    let body = format!(
        "{GLOBAL}
         st.global.u32 [%rd2+64], %r1;
         atom.acq_rel.gpu.global.add.u32 %r4, [%rd0], 1;
         $spin: ld.acquire.gpu.global.u32 %r5, [%rd0]; setp.lt.u32 %p0, %r5, %r7; @%p0 bra $spin;
         ld.global.u32 %r5, [%rd0+64]; ld.global.u32 %r6, [%rd0+68]; ret;"
    );
    let m = module(".param .u64 x", &body);
    let mut mem = Memory::new();
    let x = mem.alloc(&[0; 4096], 16).unwrap();
    let options = Options { schedule: Blocks::Interleaved, ..Options::default() };
    let report = launch(&m, 16, 1, &[x.into()], &mut mem, &options);
    assert!(report.is_clean(), "{report}");
}

/// Data after a flag, in one block and between two.
#[test]
fn a_flag_with_release_and_acquire() {
    let body = |store: &str, load: &str| {
        format!(
            "{GLOBAL}
             setp.ne.u32 %p0, %r1, 0; @%p0 bra $wait;
             st.global.u32 [%rd0+64], 5; {store} [%rd0], 1; ret;
             $wait: {load} %r5, [%rd0]; setp.eq.u32 %p0, %r5, 0; @%p0 bra $wait;
             ld.global.u32 %r5, [%rd0+64]; ret;"
        )
    };
    let good = run_grid(2, 1, &body("st.release.gpu.global.u32", "ld.acquire.gpu.global.u32"));
    assert!(good.is_clean(), "{good}");
    let bad = run_grid(2, 1, &body("st.volatile.global.u32", "ld.volatile.global.u32"));
    assert!(bad.of(FindingKind::Race).count() > 0, "{bad}");
    let fences = run_grid(2, 1, &body("membar.gl; st.volatile.global.u32", "ld.volatile.global.u32"));
    assert!(fences.of(FindingKind::Race).count() > 0, "the reader lacks a fence: {fences}");
}

#[test]
fn read_only_data_must_not_change() {
    // The launch passes one buffer twice, which the verifier cannot know.
    let m = module(
        ".param .u64 x, .param .u64 y",
        "ld.param.u64 %rd0, [x]; ld.param.u64 %rd1, [y]; mov.u32 %r0, %ctaid.x; setp.ne.u32 %p0, %r0, 0; @%p0 bra $w;
         ld.global.nc.u32 %r4, [%rd0]; ret;
         $w: st.global.u32 [%rd1], 1; ret;",
    );
    let mut mem = Memory::new();
    let x = mem.alloc(&[0; 16], 16).unwrap();
    let report = launch(&m, 2, 1, &[x.into(), x.into()], &mut mem, &Options::default());
    only(&report, FindingKind::ReadOnlyWritten, 3);
    let y = mem.alloc(&[0; 16], 16).unwrap();
    assert!(launch(&m, 2, 1, &[x.into(), y.into()], &mut mem, &Options::default()).is_clean());
}
