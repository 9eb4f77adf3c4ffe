//! Bulk copies out of shared memory that threads have written.

use ptxgen_builder::interp::{FindingKind, Memory, Options, Report, WarpOrder};

use crate::common::*;

/// Each of 64 threads writes a word, then one copies all of them out.
fn run(before_barrier: &str, after_barrier: &str) -> Vec<Report> {
    let m = module(
        ".param .u64 x",
        &format!(
            ".shared .align 16 .b8 s[256]; {GID}
             ld.param.u64 %rd0, [x]; shl.b32 %r1, %r0, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2; setp.ne.u32 %p0, %r0, 40;
             st.shared.u32 [%r1], %r0; {before_barrier}
             bar.sync 0; @%p0 bra $end; {after_barrier}
             cp.async.bulk.global.shared::cta.bulk_group [%rd0], [s], 256;
             cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
             $end: ret;"
        ),
    );
    [WarpOrder::RoundRobin, WarpOrder::Adversarial]
        .map(|order| {
            let mut memory = Memory::new();
            let x = memory.alloc_uninit(256, 16).unwrap();
            launch(&m, 1, 64, &[x.into()], &mut memory, &Options { order, ..Options::default() })
        })
        .into()
}

#[test]
fn without_a_fence() {
    for report in run("", "") {
        let finding = only(&report, FindingKind::ProxyFence, 5);
        assert!(finding.message.contains("fence.proxy.async"), "{finding}");
        assert_eq!(finding.other.and_then(|o| o.site.loc).map(|l| l.line), Some(7), "{report}");
    }
}

#[test]
fn a_fence_of_every_thread_or_on_the_way() {
    for (before, after) in
        [("fence.proxy.async;", ""), ("fence.proxy.async.shared::cta;", ""), ("", "fence.proxy.async;")]
    {
        for report in run(before, after) {
            assert!(report.is_clean(), "{report}");
        }
    }
}

#[test]
fn a_fence_that_does_not_count() {
    // Of one thread only, before the barrier; and of global memory.
    for before in ["@!%p0 fence.proxy.async;", "fence.proxy.async.global;", "membar.cta;"] {
        for report in run(before, "") {
            only(&report, FindingKind::ProxyFence, 5);
        }
    }
}

#[test]
fn what_the_copying_thread_wrote_and_fenced_itself() {
    let m = module(
        ".param .u64 x",
        ".shared .align 16 .b8 s[16]; ld.param.u64 %rd0, [x]; mov.u32 %r0, %tid.x; setp.ne.u32 %p0, %r0, 0; @%p0 bra $end;
         st.shared.v4.u32 [s], {%r0, %r0, %r0, %r0}; fence.proxy.async.shared::cta;
         cp.async.bulk.global.shared::cta.bulk_group [%rd0], [s], 16;
         cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
         $end: ret;",
    );
    let mut memory = Memory::new();
    let x = memory.alloc_uninit(16, 16).unwrap();
    let report = launch(&m, 1, 64, &[x.into()], &mut memory, &Options::default());
    assert!(report.is_clean(), "{report}");
}
