//! Asynchronous copies and mbarriers.

use ptxgen_builder::interp::{FindingKind, Memory, Options, Report, WarpOrder};

use crate::common::*;

/// Runs a kernel that copies 256 words from x to y under both orders.
fn copy(body: &str) -> Vec<Report> {
    let m = module(".param .u64 x, .param .u64 y", body);
    let x: Vec<u32> = (0..256).map(|i| i * 7 + 1).collect();
    [WarpOrder::RoundRobin, WarpOrder::Adversarial]
        .map(|order| {
            let mut mem = Memory::new();
            let bx = mem.alloc(&bytes_of(&x, u32::to_le_bytes), 16).unwrap();
            let by = mem.alloc(&[0; 1024], 16).unwrap();
            let report = launch(&m, 1, 64, &[bx.into(), by.into()], &mut mem, &Options { order, ..Options::default() });
            if report.is_clean() {
                assert_eq!(u32s(&mem.read(by).unwrap()), x, "{order:?}");
            }
            report
        })
        .into()
}

const SETUP: &str = ".shared .align 16 .b8 s[1024]; .shared .align 8 .b8 arrived[8]; mov.u32 %r0, %tid.x; shl.b32 %r1, %r0, 4; mov.u32 %r2, s; add.u32 %r3, %r2, %r1; xor.b32 %r4, %r3, 512; xor.b32 %r5, %r1, 512; cvt.u64.u32 %rd0, %r1; cvt.u64.u32 %rd1, %r5; ld.param.u64 %rd2, [x]; ld.param.u64 %rd3, [y]; add.s64 %rd4, %rd2, %rd0; add.s64 %rd5, %rd3, %rd0; add.s64 %rd6, %rd3, %rd1; setp.eq.u32 %p0, %r0, 0; mov.u32 %r6, arrived;";

fn group(wait: &str, barrier: &str) -> String {
    format!(
        "{SETUP}
         cp.async.cg.shared.global [%r3], [%rd4], 16;
         cp.async.commit_group;
         {wait}
         {barrier}
         ld.shared.v4.u32 {{%r10, %r11, %r12, %r13}}, [%r4];
         st.global.v4.u32 [%rd6], {{%r10, %r11, %r12, %r13}}; ret;"
    )
}

#[test]
fn a_group_of_copies() {
    for report in copy(&group("cp.async.wait_group 0;", "bar.sync 0;")) {
        assert!(report.is_clean(), "{report}");
    }
    for report in copy(&group("cp.async.wait_all;", "bar.sync 0;")) {
        assert!(report.is_clean(), "{report}");
    }
}

#[test]
fn reading_before_the_wait() {
    for wait in ["", "cp.async.wait_group 1;"] {
        for report in copy(&group(wait, "bar.sync 0;")) {
            only(&report, FindingKind::AsyncPending, 6);
        }
    }
}

#[test]
fn a_wait_without_a_barrier_is_a_race() {
    for report in copy(&group("cp.async.wait_group 0;", "")) {
        assert!(report.of(FindingKind::Race).count() + report.of(FindingKind::AsyncPending).count() > 0, "{report}");
    }
}

#[test]
fn zeros_follow_a_short_copy() {
    let m = module(
        ".param .u64 x, .param .u64 y",
        ".shared .align 16 .b8 s[16]; ld.param.u64 %rd2, [x]; ld.param.u64 %rd3, [y];
         cp.async.ca.shared.global [s], [%rd2], 16, 5; cp.async.wait_all; ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [s];
         st.global.v4.u32 [%rd3], {%r10, %r11, %r12, %r13}; ret;",
    );
    for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial] {
        let mut mem = Memory::new();
        let x = mem.alloc(&[1, 2, 3, 4, 5], 16).unwrap();
        let y = mem.alloc(&[9; 16], 16).unwrap();
        let report = launch(&m, 1, 1, &[x.into(), y.into()], &mut mem, &Options { order, ..Options::default() });
        assert!(report.is_clean(), "{report}");
        assert_eq!(mem.read(y).unwrap(), [1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

/// One thread copies in bulk, all wait for the bytes, and one copies back.
fn bulk(wait: &str, last: &str) -> String {
    format!(
        "{SETUP}
         @%p0 mbarrier.init.shared.b64 [%r6], 1;
         bar.sync 0;
         @!%p0 bra $wait;
         mbarrier.arrive.expect_tx.shared.b64 _, [%r6], 1024;
         cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], [%rd2], 1024, [%r6];
         $wait: {wait}
         ld.shared.u32 %r10, [%r3]; add.u32 %r10, %r10, 0;
         bar.sync 0;
         st.shared.u32 [%r3], %r10;
         fence.proxy.async; bar.sync 0; @!%p0 bra $end;
         cp.async.bulk.global.shared::cta.bulk_group [%rd3], [%r2], 1024;
         cp.async.bulk.commit_group; {last}
         st.shared.u32 [%r2], %r10;
         $end: ret;"
    )
}

/// The lane that is at fault is named.
#[test]
fn a_bulk_copy_of_no_multiple_of_16_bytes() {
    let sizes = "mov.u32 %r7, 16; setp.eq.u32 %p1, %r0, 5; @%p1 mov.u32 %r7, 24;";
    let body = format!("{SETUP} {sizes}\ncp.async.bulk.global.shared::cta.bulk_group [%rd4], [%r3], %r7; ret;");
    for report in copy(&body) {
        let finding = report.findings.iter().find(|f| f.kind == FindingKind::BadOperand);
        let finding = finding.unwrap_or_else(|| panic!("{report}"));
        assert_eq!((finding.lanes, finding.warp), (1 << 5, 0), "{finding}");
        assert!(finding.message.starts_with("lane 5 copies 24 bytes"), "{finding}");
    }
}

#[test]
fn bulk_copies_through_an_mbarrier() {
    let wait = "mbarrier.try_wait.parity.shared.b64 %p1, [%r6], 0; @!%p1 bra $wait;";
    for last in ["cp.async.bulk.wait_group 0;", "cp.async.bulk.wait_group.read 0;"] {
        for report in copy(&bulk(wait, last)) {
            assert!(report.is_clean(), "{report}");
        }
    }
    for report in copy(&bulk(wait, "")) {
        let lines = report.of(FindingKind::AsyncPending).filter_map(|f| f.site.loc.as_ref().map(|l| l.line - 4));
        // The write to the source, and the copy that is still under way when the block exits.
        assert_eq!(lines.collect::<Vec<_>>(), [12, 14], "{report}");
        assert_eq!(report.findings.len(), 2, "{report}");
    }
    for report in copy(&bulk("", "cp.async.bulk.wait_group 0;")) {
        assert!(report.of(FindingKind::AsyncPending).count() > 0, "{report}");
    }
}

/// Threads arrive at an mbarrier when their copies are complete.
#[test]
fn copies_that_arrive_at_an_mbarrier() {
    for (noinc, count) in [(".noinc", 64), ("", 64)] {
        let arrive = if noinc.is_empty() { "mbarrier.arrive.shared.b64 %rd9, [%r6];" } else { "" };
        let body = format!(
            "{SETUP}
             @%p0 mbarrier.init.shared.b64 [%r6], {count};
             bar.sync 0;
             cp.async.cg.shared.global [%r3], [%rd4], 16;
             cp.async.mbarrier.arrive{noinc}.shared.b64 [%r6];
             {arrive}
             $wait: mbarrier.test_wait.parity.shared.b64 %p1, [%r6], 0; @!%p1 bra $wait;
             ld.shared.v4.u32 {{%r10, %r11, %r12, %r13}}, [%r4];
             st.global.v4.u32 [%rd6], {{%r10, %r11, %r12, %r13}}; ret;"
        );
        for report in copy(&body) {
            assert!(report.is_clean(), "{report}");
        }
    }
}

#[test]
fn an_mbarrier_without_init_or_with_too_many_arrivals() {
    let report = &copy(&format!(
        "{SETUP} setp.eq.u32 %p2, %r0, 99; @%p2 mbarrier.init.shared.b64 [%r6], 1;\nmbarrier.arrive.shared.b64 %rd9, [%r6]; ret;"
    ))[0];
    only(report, FindingKind::BadOperand, 2);
    let report = &copy(&format!(
        "{SETUP}\n@%p0 mbarrier.init.shared.b64 [%r6], 63; bar.sync 0;\nmbarrier.arrive.noComplete.shared.b64 %rd9, [%r6], 2; ret;"
    ))[0];
    assert!(report.fault().is_some(), "{report}");
}

#[test]
fn an_mbarrier_used_before_its_init_is_visible() {
    let report = &copy(&format!(
        "{SETUP}\n@%p0 mbarrier.init.shared.b64 [%r6], 64;\nbar.warp.sync -1; mbarrier.arrive.shared.b64 %rd9, [%r6]; ret;"
    ))[0];
    assert!(report.of(FindingKind::Race).count() > 0, "{report}");
}
