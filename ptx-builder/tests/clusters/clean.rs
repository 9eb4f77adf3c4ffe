//! Correct kernels.

use super::{EXPECT, INIT, LOAD, MEET, STORE, all, wait};

/// The body is clean in every schedule, and thread t of block b (of the grid, and of `n` in a cluster) leaves `expected`.
#[track_caller]
fn check(blocks: u32, body: &str, expected: impl Fn(u32, u32) -> u32) {
    for (schedule, report, out) in all(blocks, body) {
        assert!(report.findings.is_empty(), "{schedule}: {report}");
        for (i, &value) in (0u32..).zip(&out) {
            assert_eq!(value, expected(i / 32, i % 32), "{schedule}: block {}, thread {}", i / 32, i % 32);
        }
    }
}

/// The rank of the next block of a cluster of `n`.
fn peer(block: u32, n: u32) -> u32 {
    (block % n + 1) % n
}

const GIVE: &str = "ld.shared.u32 %v, [%me]; st.global.u32 [%o], %v;";

#[test]
fn reading_a_neighbour() {
    for n in [1, 2, 8, 16] {
        let body = format!(
            "mad.lo.u32 %v, %rank, 100, %t; st.shared.u32 [%me], %v; {MEET}
             ld.shared::cluster.u32 %v, [%pme]; st.global.u32 [%o], %v; {MEET}"
        );
        check(n, &body, |b, t| 100 * peer(b, n) + t);
    }
}

#[test]
fn writing_to_a_neighbour() {
    let body = format!("{MEET} mad.lo.u32 %v, %rank, 100, %t; st.shared::cluster.u32 [%pme], %v; {MEET} {GIVE}");
    check(2, &body, |b, t| 100 * peer(b, 2) + t);
    check(16, &body, |b, t| 100 * ((b % 16 + 15) % 16) + t);
}

/// What `fence.acq_rel.cluster` has ordered before a relaxed arrival.
#[test]
fn a_relaxed_arrival_after_a_fence() {
    let body = format!(
        "st.shared.u32 [%me], %t; fence.acq_rel.cluster; barrier.cluster.arrive.relaxed; barrier.cluster.wait.acquire;
         ld.shared::cluster.u32 %v, [%pme]; st.global.u32 [%o], %v; {MEET}"
    );
    check(2, &body, |_, t| t);
}

#[test]
fn a_remote_arrival_orders() {
    let body = format!(
        "{INIT} @!%p0 bra W; mov.u32 %v, 7; st.shared::cluster.u32 [%ps], %v;
         mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%pbar]; W: {}
         ld.shared.u32 %v, [%sb]; st.global.u32 [%o], %v;",
        wait("L", 0)
    );
    check(2, &body, |_, _| 7);
}

#[test]
fn bytes_that_threads_complete_in_a_neighbour() {
    let body = format!(
        "{INIT} @!%p0 bra W; {EXPECT} 32;
         mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%pbar], 32; W: {} st.global.u32 [%o], %t; {MEET}",
        wait("L", 0)
    );
    check(2, &body, |_, t| t);
}

/// One thread loads 128 bytes to an address and completes them at an mbarrier; the block waits at its own.
fn load(to: &str, bar: &str) -> String {
    let wait = wait("L", 0);
    format!("{INIT} @!%p0 bra W; {EXPECT} 128; {LOAD} [{to}], [%in], 128, [{bar}]; W: {wait} {GIVE}")
}

#[test]
fn a_bulk_load() {
    check(1, &load("%sb", "%bar"), |_, t| 1000 + t);
}

#[test]
fn a_bulk_load_to_a_neighbour() {
    for blocks in [2, 4] {
        check(blocks, &load("%ps", "%pbar"), |_, t| 1000 + t);
    }
}

/// Two phases of one mbarrier, and memory used again after a barrier.
#[test]
fn two_phases() {
    let body = format!(
        "{INIT} @!%p0 bra W; {EXPECT} 128; {LOAD} [%sb], [%in], 128, [%bar]; W: {}
         ld.shared.u32 %r3, [%me]; bar.sync 0;
         @!%p0 bra W2; {EXPECT} 128; add.u64 %in, %in, 128; {LOAD} [%sb], [%in], 128, [%bar]; W2: {}
         ld.shared.u32 %v, [%me]; add.u32 %v, %v, %r3; st.global.u32 [%o], %v;",
        wait("L", 0),
        wait("L2", 1)
    );
    check(1, &body, |_, t| 2000 + 2 * t + 32);
}

#[test]
fn a_wait_by_state() {
    let body = format!(
        "{INIT} @!%p0 bra E; mbarrier.arrive.expect_tx.shared.b64 %st, [%bar], 128; {LOAD} [%sb], [%in], 128, [%bar];
         L: mbarrier.test_wait.shared.b64 %p2, [%bar], %st; @!%p2 bra L; E: bar.sync 0; {GIVE}"
    );
    check(1, &body, |_, t| 1000 + t);
}

#[test]
fn a_bulk_store() {
    for last in ["cp.async.bulk.wait_group 0;", "cp.async.bulk.wait_group.read 0; st.shared.u32 [%sb], %t;"] {
        let body = format!(
            "st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E;
             {STORE} [%ob], [%sb], 128; cp.async.bulk.commit_group; {last} E:"
        );
        check(1, &body, |_, t| t);
    }
}

/// From one engine's write to another's read no fence of the proxy is needed.
#[test]
fn a_load_and_a_store_of_it() {
    let body = format!(
        "{INIT} @!%p0 bra E; {EXPECT} 128; {LOAD} [%sb], [%in], 128, [%bar]; {}
         {STORE} [%ob], [%sb], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; E:",
        wait("L", 0)
    );
    check(1, &body, |_, t| 1000 + t);
}

/// Global memory that threads wrote, behind a fence.
#[test]
fn a_load_of_what_was_written() {
    let body = format!(
        "{INIT} st.global.u32 [%o], %t; fence.proxy.async; bar.sync 0; @!%p0 bra W;
         {EXPECT} 128; {LOAD} [%sb], [%ob], 128, [%bar]; W: {}
         ld.shared.u32 %v, [%me]; add.u32 %v, %v, 5; st.global.u32 [%o], %v;",
        wait("L", 0)
    );
    check(1, &body, |_, t| t + 5);
}

/// Atomics at generic addresses of another block.
#[test]
fn atomics_in_a_neighbour() {
    let body = format!(
        "mov.u32 %v, 0; @%p0 st.shared.u32 [%sb], %v; mov.u64 %rd1, s; cvta.shared.u64 %rd1, %rd1; mapa.u64 %rd1, %rd1, 0; {MEET}
         atom.add.u32 %r3, [%rd1], 1; {MEET} ld.u32 %v, [%rd1]; st.global.u32 [%o], %v; {MEET}"
    );
    for n in [2, 4] {
        check(n, &body, |_, _| 32 * n);
    }
}

/// The registers of a cluster, and ranks in addresses.
#[test]
fn registers_and_ranks() {
    let body = "mov.u32 %r3, %clusterid.x; mov.u32 %r4, %nclusterid.x; getctarank.shared::cluster.u32 %r5, %ps;
                getctarank.shared::cluster.u32 %r6, %sb; mad.lo.u32 %v, %r3, 10, %r4; mad.lo.u32 %v, %v, 100, %r5;
                mad.lo.u32 %v, %v, 100, %r6; st.global.u32 [%o], %v;";
    check(4, body, |b, _| (b / 4 * 10 + 2) * 10_000 + peer(b, 4) * 100 + b % 4);
}

/// A memory slot goes back to the block that fills it.
#[test]
fn a_pipeline_between_blocks() {
    let body = format!(
        "{INIT} mov.u32 %r3, 0; mov.u32 %v, 0;
         T: @!%p0 bra W; {EXPECT} 128; {LOAD} [%sb], [%in], 128, [%bar];
         W: mbarrier.try_wait.parity.shared.b64 %p2, [%bar], %r4; @!%p2 bra W;
         ld.shared.u32 %r5, [%me]; add.u32 %v, %v, %r5; bar.sync 0;
         xor.b32 %r4, %r4, 1; add.u32 %r3, %r3, 1; setp.lt.u32 %p3, %r3, 5; @%p3 bra T; st.global.u32 [%o], %v;"
    )
    .replace("mov.u32 %r3, 0;", "mov.u32 %r3, 0; mov.u32 %r4, 0;");
    check(2, &body, |_, t| 5 * (1000 + t));
}
