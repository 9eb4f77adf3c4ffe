//! Planted faults. The line that is to be found is marked.

use ptxgen_builder::interp::FindingKind::{self, *};

use super::{EXPECT, INIT, LOAD, MEET, STORE, all, wait};

const MARK: &str = "// here";

/// The fault is found at the marked line in every schedule, with these words.
#[track_caller]
fn finds(blocks: u32, kinds: &[FindingKind], words: &str, body: &str) {
    let line = body.lines().position(|l| l.contains(MARK)).expect("a marked line") as u32 + 2;
    for (schedule, report, _) in all(blocks, body) {
        let here = report.findings.iter().filter(|f| f.site.loc.as_ref().is_some_and(|l| l.line == line));
        let found = here.filter(|f| kinds.contains(&f.kind) && f.message.contains(words)).count();
        assert!(found > 0, "{schedule}: no {kinds:?} at line {line} with '{words}':\n{report}\n{body}");
    }
}

/// One thread loads 128 bytes, and then `rest`.
fn load(bytes: u32, rest: &str) -> String {
    format!("{INIT}\n@!%p0 bra W;\n{EXPECT} {bytes};\n{LOAD} [%sb], [%in], 128, [%bar];\nW: {rest}")
}

#[test]
fn no_wait_for_a_load() {
    finds(
        1,
        &[AsyncPending],
        "may still write",
        &load(128, &format!("bar.sync 0;\nld.shared.u32 %v, [%me]; {MARK}\n{}", wait("L", 0))),
    );
    finds(
        1,
        &[AsyncPending],
        "may still write",
        &load(128, &format!("bar.sync 0;\nst.shared.u32 [%me], %t; {MARK}\n{}", wait("L", 0))),
    );
    // One warp's wait is not another's: here the copying thread waits, and the others have met it only before.
    let body = format!(
        "{INIT}\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar];\nld.shared.u32 %v, [%sb]; {MARK}\n{}\nW:",
        wait("L", 0)
    );
    finds(1, &[AsyncPending], "may still write", &body);
}

/// A relaxed wait tells that the phase is over, and makes nothing visible.
#[test]
fn a_relaxed_wait() {
    let wait = "L: mbarrier.try_wait.parity.relaxed.cta.shared.b64 %p2, [%bar], 0; @!%p2 bra L;";
    finds(1, &[AsyncPending, Race], "", &load(128, &format!("{wait}\nld.shared.u32 %v, [%me]; {MARK}")));
}

#[test]
fn the_wrong_parity() {
    // It can pass at once, or never.
    let body = load(128, &format!("{} ld.shared.u32 %v, [%me]; {MARK}", wait("L", 1)));
    finds(1, &[AsyncPending, Deadlock, Race], "", &body);
    // After one phase the other parity never comes.
    let body = load(128, &format!("{}\nbar.sync 0;\n{} {MARK}", wait("L", 0), wait("L2", 1)));
    finds(1, &[Deadlock], "the phase of parity 1 of the mbarrier", &body);
}

/// The second phase is waited for with the parity of the first, which is over.
#[test]
fn a_phase_used_again() {
    let body = load(
        128,
        &format!(
            "{}\nbar.sync 0;\n@!%p0 bra W2;\n{EXPECT} 128;\n{LOAD} [%sb+256], [%in], 128, [%bar];\nW2: bar.sync 0;\n{}\nld.shared.u32 %v, [%me+256]; {MARK}\n{}",
            wait("L", 0),
            wait("L2", 0),
            wait("L3", 1)
        ),
    );
    finds(
        1,
        &[AsyncPending, Deadlock],
        "",
        &body.replace(
            &format!("{}\nld.shared.u32 %v, [%me+256]; {MARK}", wait("L2", 0)),
            &format!("ld.shared.u32 %v, [%me+256]; {MARK}"),
        ),
    );
}

#[test]
fn too_many_bytes_expected() {
    finds(1, &[Deadlock], "no arrival and 16 bytes are missing", &load(144, &format!("{} {MARK}", wait("L", 0))));
    finds(1, &[Deadlock], "no arrival and 128 bytes are missing", &load(256, &format!("{} {MARK}", wait("L", 0))));
}

#[test]
fn too_few_bytes_expected() {
    let more = "more bytes have come than were expected";
    finds(1, &[Deadlock], more, &load(64, &format!("{} {MARK}", wait("L", 0))));
    // Nothing is expected.
    let body = format!(
        "{INIT}\n@!%p0 bra W;\nmbarrier.arrive.shared.b64 _, [%bar];\n{LOAD} [%sb], [%in], 128, [%bar]; {MARK}\nW: {}",
        wait("L", 0)
    );
    // Where the copy comes after the wait has passed, it is one that nobody waits for.
    finds(1, &[TransactionCount, AsyncPending], "", &body);
    // Two copies, one of which is expected.
    let body = format!(
        "{INIT}\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar];\n{LOAD} [%sb+128], [%in], 128, [%bar]; {MARK}\nW: {}",
        wait("L", 0)
    );
    finds(1, &[TransactionCount], "ends while 128 bytes of this copy are under way", &body);
}

#[test]
fn more_than_a_phase_may_wait_for() {
    finds(1, &[BadOperand], "1048575", &format!("{INIT}\n@!%p0 bra E;\n{EXPECT} 2000000; {MARK}\nE:"));
}

#[test]
fn too_many_arrivals() {
    finds(1, &[BadOperand], "more arrivals", &format!("{INIT}\n@!%p0 bra E;\n{EXPECT} 64;\n{EXPECT} 64; {MARK}\nE:"));
}

#[test]
fn no_fence_of_the_proxy() {
    // A read of what threads wrote.
    let store = |fence: &str| {
        format!(
            "st.shared.u32 [%me], %t;\n{fence} bar.sync 0;\n@!%p0 bra E;\n{STORE} [%ob], [%sb], 128; {MARK}\ncp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\nE:"
        )
    };
    for fence in ["", "fence.acq_rel.cta;", "fence.proxy.async.global;", "@%p0 fence.proxy.async;"] {
        finds(1, &[ProxyFence], "may still find what was there before", &store(fence));
    }
    // A copy over what threads wrote.
    let over = |fence: &str| {
        format!(
            "st.shared.u32 [%me], %t; {fence}\n{INIT}\nbar.sync 0;\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar]; {MARK}\nW: {}",
            wait("L", 0)
        )
    };
    finds(1, &[ProxyFence], "may be overwritten", &over(""));
    // Global memory.
    for fence in ["", "fence.proxy.async.shared::cta;"] {
        let body = format!(
            "{INIT}\nst.global.u32 [%o], %t; {fence}\nbar.sync 0;\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%ob], 128, [%bar]; {MARK}\nW: {}",
            wait("L", 0)
        );
        finds(1, &[ProxyFence], "global memory", &body);
    }
    // What a neighbour wrote.
    let body = format!(
        "{MEET}\nst.shared::cluster.u32 [%pme], %t;\n{MEET}\n@!%p0 bra E;\n{STORE} [%ob], [%sb], 128; {MARK}\ncp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\nE:"
    );
    finds(2, &[ProxyFence], "may still find", &body);
}

#[test]
fn a_source_that_is_not_waited_for() {
    let store = |last: &str| {
        format!(
            "st.shared.u32 [%me], %t; fence.proxy.async;\nbar.sync 0;\n@!%p0 bra E;\n{STORE} [%ob], [%sb], 128;\n{last}\nE:"
        )
    };
    finds(
        1,
        &[AsyncPending],
        "may still read",
        &store(&format!("cp.async.bulk.commit_group;\nst.shared.u32 [%sb], %t; {MARK}\ncp.async.bulk.wait_group 0;")),
    );
    finds(
        1,
        &[AsyncPending],
        "may still read",
        &store(&format!(
            "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 1;\nst.shared.u32 [%sb], %t; {MARK}\ncp.async.bulk.wait_group 0;"
        )),
    );
    // Global memory that it writes.
    finds(
        1,
        &[AsyncPending],
        "has not been waited for",
        &store(&format!(
            "cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0;\nld.global.u32 %v, [%ob]; {MARK}\ncp.async.bulk.wait_group 0;"
        )),
    );
}

#[test]
fn a_copy_under_way_at_exit() {
    let body = format!(
        "st.shared.u32 [%me], %t; fence.proxy.async;\nbar.sync 0;\n@!%p0 bra E;\n{STORE} [%ob], [%sb], 128; {MARK}\ncp.async.bulk.commit_group;\nE:"
    );
    finds(1, &[AsyncPending], "the block exits", &body);
    let body = format!(
        "st.shared.u32 [%me], %t; fence.proxy.async;\nbar.sync 0;\n@!%p0 bra E;\n{STORE} [%ob], [%sb], 128; {MARK}\ncp.async.bulk.wait_group 0;\nE:"
    );
    finds(1, &[AsyncPending], "the block exits", &body);
    let body = format!("{INIT}\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar]; {MARK}\nW:");
    finds(1, &[AsyncPending], "the block exits", &body);
    let body = format!("{INIT}\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%ps], [%in], 128, [%pbar]; {MARK}\nW: {MEET}");
    finds(2, &[AsyncPending], "the block exits", &body);
}

#[test]
fn a_neighbour_that_may_have_left() {
    let left = "may have left";
    finds(
        2,
        &[BlockAbsent],
        left,
        &format!(
            "st.shared.u32 [%me], %t;\n{MEET}\nld.shared::cluster.u32 %v, [%pme]; {MARK}\nst.global.u32 [%o], %v;"
        ),
    );
    finds(2, &[BlockAbsent], left, &format!("{MEET}\nst.shared::cluster.u32 [%pme], %t; {MARK}"));
    finds(
        4,
        &[BlockAbsent],
        left,
        &format!("{INIT}\n@%p0 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%pbar]; {MARK}"),
    );
    // Only the block of rank 0 waits before it leaves.
    let body = format!(
        "{INIT} st.shared.u32 [%me], %t;\n{MEET}\nld.shared::cluster.u32 %v, [%pme]; {MARK}\nst.global.u32 [%o], %v;\n@!%p0 bra E; @%p1 bra W; mapa.shared::cluster.u32 %r5, %bar, 0; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5]; bra E;\nW: {}\nE:",
        wait("L", 0)
    );
    finds(2, &[BlockAbsent], left, &body);
}

#[test]
fn a_neighbour_that_may_not_have_started() {
    finds(2, &[BlockAbsent], "may not have started", &format!("st.shared::cluster.u32 [%pme], %t; {MARK}\n{MEET}"));
    let body =
        format!("barrier.cluster.arrive;\nst.shared::cluster.u32 [%pme], %t; {MARK}\nbarrier.cluster.wait;\n{MEET}");
    finds(2, &[BlockAbsent], "may not have started", &body);
}

#[test]
fn races_of_blocks() {
    let other = "blocks of a cluster are ordered by";
    // Whichever comes second is found, so both are on one line.
    finds(
        2,
        &[Race],
        other,
        &format!("{MEET}\nst.shared.u32 [%me], %t; ld.shared::cluster.u32 %v, [%pme]; {MARK}\n{MEET}"),
    );
    finds(
        2,
        &[Race],
        other,
        &format!("{MEET}\nst.shared.u32 [%me], %t; st.shared::cluster.u32 [%pme], %rank; {MARK}\n{MEET}"),
    );
    // A barrier of the block is none of the cluster.
    finds(
        2,
        &[Race],
        other,
        &format!("{MEET}\nst.shared.u32 [%me], %t; bar.sync 0; ld.shared::cluster.u32 %v, [%pme]; {MARK}\n{MEET}"),
    );
    // A relaxed arrival orders nothing, nor does a fence for the block.
    for fence in ["", "fence.acq_rel.cta;", "fence.mbarrier_init.release.cluster;"] {
        let body = format!(
            "{MEET}\nst.shared.u32 [%me], %t; {fence} barrier.cluster.arrive.relaxed; barrier.cluster.wait; ld.shared::cluster.u32 %v, [%pme]; {MARK}\n{MEET}"
        );
        if !fence.contains("mbarrier") {
            finds(2, &[Race], other, &body);
        }
    }
    // Atomics for the block alone.
    let body = format!(
        "mov.u64 %rd1, s; cvta.shared.u64 %rd1, %rd1; mapa.u64 %rd1, %rd1, 0; @%p0 st.shared.u32 [%sb], %t;\n{MEET}\natom.relaxed.cta.add.u32 %r3, [%rd1], 1; {MARK}\n{MEET}"
    );
    finds(2, &[Race], other, &body);
    // A relaxed arrival at a neighbour's mbarrier.
    let body = format!(
        "{INIT}\n@%p0 mbarrier.arrive.relaxed.cluster.shared::cluster.b64 _, [%pbar];\n{}\nst.shared.u32 [%me], %t; ld.shared::cluster.u32 %v, [%pme]; {MARK}\n{MEET}",
        wait("L", 0)
    );
    finds(2, &[Race], other, &body);
}

#[test]
fn races_of_copies() {
    // Two copies to the same bytes.
    let body = format!(
        "{INIT}\n@!%p0 bra W;\n{EXPECT} 256;\n{LOAD} [%sb], [%in], 128, [%bar];\n{LOAD} [%sb+64], [%in], 128, [%bar]; {MARK}\nW: {}",
        wait("L", 0)
    );
    finds(1, &[Race], "the other copy writes", &body);
    // A copy out of what a copy in still writes.
    let body = format!(
        "{INIT}\n@!%p0 bra W;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar];\n{STORE} [%ob], [%sb], 128; {MARK}\ncp.async.bulk.commit_group; cp.async.bulk.wait_group 0;\nW: {}",
        wait("L", 0)
    );
    finds(1, &[Race], "the other copy writes", &body);
    // A copy in over what a copy out still reads.
    let body = format!(
        "{INIT} st.shared.u32 [%me], %t; fence.proxy.async;\nbar.sync 0;\n@!%p0 bra W;\n{STORE} [%ob], [%sb], 128; cp.async.bulk.commit_group;\n{EXPECT} 128;\n{LOAD} [%sb], [%in], 128, [%bar]; {MARK}\ncp.async.bulk.wait_group 0;\nW: {}",
        wait("L", 0)
    );
    finds(1, &[Race], "the other copy reads", &body);
    // Two blocks copy to one.
    let body = format!(
        "{INIT}\nmapa.shared::cluster.u32 %r5, %sb, 0; mapa.shared::cluster.u32 %r6, %bar, 0; @!%p0 bra W;\n@%p1 {EXPECT} 256;\n{LOAD} [%r5], [%in], 128, [%r6]; {MARK}\nW: @!%p1 bra E;\n{}\nE: {MEET}",
        wait("L", 0)
    );
    finds(2, &[Race], "the other copy writes", &body);
}

#[test]
fn what_cannot_be_done_in_a_neighbour() {
    let body = format!("{INIT}\nL: mbarrier.try_wait.parity.b64 %p2, [%rd2], 0; {MARK}\n{MEET}").replacen(
        '\n',
        "\nmov.u64 %rd2, bar; cvta.shared.u64 %rd2, %rd2; cvt.u64.u32 %rd3, %peer; mapa.u64 %rd2, %rd2, %peer;\n",
        1,
    );
    finds(2, &[BadOperand], "its own block's only", &body);
    finds(
        2,
        &[OutOfBounds],
        "only .shared::cluster goes there",
        &format!("{MEET}\nld.shared.u32 %v, [%ps]; {MARK}\n{MEET}"),
    );
    finds(2, &[OutOfBounds], "another block's", &format!("{MEET}\n@%p0 {STORE} [%ob], [%ps], 128; {MARK}\n{MEET}"));
    let body =
        format!("{MEET}\nmapa.shared::cluster.u32 %r5, %sb, 2;\nld.shared::cluster.u32 %v, [%r5]; {MARK}\n{MEET}");
    finds(2, &[OutOfBounds], "the cluster has 2 blocks", &body);
    finds(2, &[OutOfBounds], "", &format!("{MEET}\nld.shared::cluster.u32 %v, [%ps+1152]; {MARK}\n{MEET}"));
}

#[test]
fn who_waits_for_what() {
    // A block that does not come to the cluster's barrier, as it waits for itself.
    let body =
        format!("{INIT}\n@%p1 bra M;\n{} {MARK}\nM: barrier.cluster.arrive; barrier.cluster.wait;", wait("L", 0));
    finds(2, &[Deadlock], "block 0 of the cluster, warp 0", &body);
    // An arrival that goes to the own block.
    let body =
        format!("{INIT}\n@!%p1 bra W;\n@%p0 mbarrier.arrive.shared.b64 _, [%bar];\nW: {} {MARK}\n{MEET}", wait("L", 0));
    finds(2, &[Deadlock], "1 of 1 arrivals are missing", &body);
    // Not all threads of the cluster arrive.
    let body = format!("{MEET}\n@%p1 bra M;\nbar.sync 1, 64;\nM: {MEET} {MARK}");
    finds(2, &[Deadlock], "with 32 of the cluster's 64 threads at its barrier", &body);
}
