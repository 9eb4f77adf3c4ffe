//! What orders accesses to memory and what does not, in small pieces of code: each with its twin that is right.
//!
//! Each runs with its warps in several orders.

use ptxgen_builder::interp::{Arg, FindingKind, Launch, Memory, Options, WarpOrder};
use ptxgen_builder::parse::parse;
use ptxgen_builder::verify::{Doubts, verify_with};

use FindingKind::{AsyncPending, ProxyFence, Race, Uninitialized};

/// What a run must find.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Right {
    Clean,
    Finds(FindingKind),
}

use Right::{Clean, Finds};

/// It finds `%t` (the thread), `%lane`, `%w` (the warp), `%pa` (8,192 bytes of zeros), `%o` (the thread's 16 of them), `%sb` (the
/// array `s`), `%me` and `%nb` (the thread's word of it and its neighbour's), `%bar` (room for two mbarriers), and `%r0`, the
/// thread's place in bytes.
struct Case {
    right: Right,
    name: &'static str,
    threads: u32,
    blocks: u32,
    body: &'static str,
}

const fn case(right: Right, name: &'static str, threads: u32, blocks: u32, body: &'static str) -> Case {
    Case { right, name, threads, blocks, body }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case(Finds(AsyncPending), "bulk-store-read-dest-early", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; ld.global.u32 %r2, [%pa]; st.global.u32 [%pa+2048], %r2; cp.async.bulk.wait_group 0; E:"),
    case(Clean, "bulk-store-read-dest", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; ld.global.u32 %r2, [%pa]; st.global.u32 [%pa+2048], %r2; E:"),
    case(Finds(AsyncPending), "bulk-store-read-dest-wait-read-only", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; ld.global.u32 %r2, [%pa]; st.global.u32 [%pa+2048], %r2; E:"),
    case(Finds(AsyncPending), "bulk-store-write-dest-early", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; st.global.u32 [%pa], %t; cp.async.bulk.wait_group 0; E:"),
    case(Finds(AsyncPending), "bulk-store-other-reads-dest-before-wait", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @%p0 cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; @%p0 cp.async.bulk.commit_group; bar.sync 0; ld.global.u32 %r2, [%pa+4]; @%p0 cp.async.bulk.wait_group 0;"),
    case(Finds(AsyncPending), "bulk-load-source-written", 32, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 1; bar.sync 0; @!%p0 bra X; mbarrier.arrive.expect_tx.shared.b64 %st, [%bar], 128; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%pa], 128, [%bar]; st.global.u32 [%pa], %t; X: L: mbarrier.try_wait.parity.shared.b64 %p1, [%bar], 0; @!%p1 bra L; ld.shared.u32 %r2, [%me];"),
    case(Clean, "bulk-load-source-written-after", 32, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 1; bar.sync 0; @!%p0 bra X; mbarrier.arrive.expect_tx.shared.b64 %st, [%bar], 128; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%pa], 128, [%bar]; X: L: mbarrier.try_wait.parity.shared.b64 %p1, [%bar], 0; @!%p1 bra L; ld.shared.u32 %r2, [%me]; @%p0 st.global.u32 [%pa], %t;"),
    case(Clean, "async-source-written-after", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.wait_all; st.global.u32 [%o], %t;"),
    case(Finds(AsyncPending), "async-source-written-by-other", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; bar.sync 0; xor.b32 %r3, %t, 1; mul.wide.u32 %d0, %r3, 16; add.u64 %d0, %pa, %d0; st.global.u32 [%d0], %t; cp.async.wait_all;"),
    case(Clean, "async-source-written-by-other-after", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.wait_all; bar.sync 0; xor.b32 %r3, %t, 1; mul.wide.u32 %d0, %r3, 16; add.u64 %d0, %pa, %d0; st.global.u32 [%d0], %t;"),
    case(Finds(Race), "cluster-arrive-then-store", 64, 1, "barrier.cluster.arrive; st.shared.u32 [%me], %t; barrier.cluster.wait; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "cluster-relaxed-lanes", 32, 1, "st.shared.u32 [%me], %t; barrier.cluster.arrive.relaxed; barrier.cluster.wait; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Clean, "cluster-relaxed-after-fence", 64, 1, "st.shared.u32 [%me], %t; fence.acq_rel.cluster; barrier.cluster.arrive.relaxed; barrier.cluster.wait; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "atomics-of-one-width", 64, 2, "atom.global.add.u32 %r2, [%pa], 1; red.relaxed.gpu.global.add.u32 [%pa], 1; ld.relaxed.gpu.global.u32 %r3, [%pa];"),
    case(Finds(Race), "atomics-of-two-widths", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 atom.global.add.u64 %d0, [%pa], 1; @!%p0 atom.global.add.u32 %r2, [%pa], 1;"),
    case(Finds(Race), "atomics-of-two-widths-high-half", 64, 1, "setp.eq.u32 %p0, %t, 63; @%p0 red.global.add.u64 [%pa], 1; @!%p0 red.global.add.u32 [%pa+4], 1;"),
    case(Clean, "atomics-of-two-widths-after-a-barrier", 64, 1, "red.global.add.u64 [%pa], 1; bar.sync 0; red.global.add.u32 [%pa], 1;"),
    case(Finds(Race), "strong-load-of-half", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 st.relaxed.gpu.global.u64 [%pa], %d0; @!%p0 ld.relaxed.gpu.global.u32 %r2, [%pa];"),
    case(Finds(Race), "strong-load-of-half-by-other-blocks", 1, 4, "mov.u32 %r3, %ctaid.x; setp.eq.u32 %p0, %r3, 2; @%p0 st.relaxed.gpu.global.u64 [%pa], %d0; @!%p0 ld.relaxed.gpu.global.u32 %r2, [%pa];"),
    case(Clean, "strong-elements-of-vectors", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 st.relaxed.gpu.global.v2.u32 [%pa], {%r2, %r3}; @!%p0 ld.relaxed.gpu.global.u32 %r2, [%pa+4];"),
    case(Finds(Race), "strong-vectors-of-other-elements", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 st.relaxed.gpu.global.v2.u32 [%pa], {%r2, %r3}; @!%p0 ld.relaxed.gpu.global.u64 %d0, [%pa];"),
    case(Finds(Race), "packed-atomics-are-of-halves", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 red.global.add.noftz.f16x2 [%pa], %r2; @!%p0 red.global.add.u32 [%pa], 1;"),
    case(Finds(Race), "st-ld-nothing", 32, 1, "st.shared.u32 [%me], %t; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Clean, "st-bwarp-ld", 32, 1, "st.shared.u32 [%me], %t; bar.warp.sync -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-vote-ld", 32, 1, "st.shared.u32 [%me], %t; setp.ne.u32 %p0, %t, 99; vote.sync.all.pred %p1, %p0, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-ballot-ld", 32, 1, "st.shared.u32 [%me], %t; setp.ne.u32 %p0, %t, 99; vote.sync.ballot.b32 %r3, %p0, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-match-ld", 32, 1, "st.shared.u32 [%me], %t; match.any.sync.b32 %r3, %r0, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-redux-ld", 32, 1, "st.shared.u32 [%me], %t; redux.sync.add.s32 %r3, %r0, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-shfl-ld", 32, 1, "st.shared.u32 [%me], %t; shfl.sync.idx.b32 %r3, %t, 0, 31, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Clean, "st-shfl-bwarp-ld", 32, 1, "st.shared.u32 [%me], %t; shfl.sync.idx.b32 %r3, %t, 0, 31, -1; bar.warp.sync -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-elect-ld", 32, 1, "st.shared.u32 [%me], %t; elect.sync %r3|%p1, -1; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-activemask-ld", 32, 1, "st.shared.u32 [%me], %t; activemask.b32 %r3; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-membar-ld", 32, 1, "st.shared.u32 [%me], %t; membar.cta; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "st-fence-ld", 32, 1, "st.shared.u32 [%me], %t; fence.sc.cta; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "war-shfl", 32, 1, "st.shared.u32 [%me], %t; bar.warp.sync -1; ld.shared.u32 %r2, [%nb]; shfl.sync.idx.b32 %r3, %r2, 0, 31, -1; st.shared.u32 [%me], %r3; st.global.u32 [%o], %r2;"),
    case(Clean, "war-bwarp", 32, 1, "st.shared.u32 [%me], %t; bar.warp.sync -1; ld.shared.u32 %r2, [%nb]; bar.warp.sync -1; st.shared.u32 [%me], %r2; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "bwarp-half-mask", 32, 1, "st.shared.u32 [%me], %t; setp.lt.u32 %p0, %t, 16; @%p0 bra A; bar.warp.sync 0xffff0000; bra E; A: bar.warp.sync 0x0000ffff; E: xor.b32 %r3, %r0, 64; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "bwarp-half-mask-own-half", 32, 1, "st.shared.u32 [%me], %t; setp.lt.u32 %p0, %t, 16; @%p0 bra A; bar.warp.sync 0xffff0000; bra E; A: bar.warp.sync 0x0000ffff; E: ld.shared.u32 %r2, [%nb]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "two-warps-bwarp", 64, 1, "st.shared.u32 [%me], %t; bar.warp.sync -1; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "two-warps-bar", 64, 1, "st.shared.u32 [%me], %t; bar.sync 0; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "two-warps-other-barrier", 64, 1, "st.shared.u32 [%me], %t; setp.lt.u32 %p0, %t, 32; @%p0 bra A; bar.sync 1, 32; bra E; A: bar.sync 2, 32; E: xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "arrive-sync-producer", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; bar.sync 1, 64; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2; bra E; P: st.shared.u32 [%me], %t; bar.arrive 1, 64; E:"),
    case(Finds(Race), "arrive-is-no-wait", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; st.shared.u32 [%me], %t; bar.sync 1, 64; bra E; P: bar.arrive 1, 64; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; st.shared.u32 [%r3], %t; E:"),
    case(Finds(Race), "arrive-store-after", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; bar.sync 1, 64; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2; bra E; P: st.shared.u32 [%me], 0; bar.arrive 1, 64; st.shared.u32 [%me], %t; E:"),
    case(Finds(Race), "double-buffer-one-barrier-short", 64, 1, "mov.u32 %r5, 0; L: st.shared.u32 [%me], %r5; bar.sync 0; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; add.u32 %r5, %r5, 1; setp.lt.u32 %p0, %r5, 3; @%p0 bra L; st.global.u32 [%o], %r2;"),
    case(Clean, "double-buffer", 64, 1, "mov.u32 %r5, 0; mov.u32 %r6, 0; L: add.u32 %r7, %me, %r6; st.shared.u32 [%r7], %r5; bar.sync 0; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; add.u32 %r3, %r3, %r6; ld.shared.u32 %r2, [%r3]; xor.b32 %r6, %r6, 512; add.u32 %r5, %r5, 1; setp.lt.u32 %p0, %r5, 3; @%p0 bra L; st.global.u32 [%o], %r2;"),
    case(Clean, "same-word-two-halves", 32, 1, "shr.u32 %r3, %t, 0; shl.b32 %r3, %t, 1; add.u32 %r3, %sb, %r3; cvt.u16.u32 %h0, %t; st.shared.u16 [%r3], %h0; ld.shared.u16 %h1, [%r3]; st.global.u16 [%o], %h1;"),
    case(Finds(Race), "overlapping-words", 32, 1, "shl.b32 %r3, %t, 2; add.u32 %r3, %sb, %r3; st.shared.u32 [%r3], %t; setp.lt.u32 %p0, %t, 31; @%p0 st.shared.u8 [%r3+5], %t;"),
    case(Clean, "atomics-no-race", 32, 1, "mov.u32 %r3, 1; setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [s], 0; bar.warp.sync -1; red.shared.add.u32 [s], %r3; bar.warp.sync -1; ld.shared.u32 %r2, [s]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "atomic-and-load", 64, 1, "mov.u32 %r3, 1; setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [s], 0; bar.sync 0; red.shared.add.u32 [s], %r3; ld.shared.u32 %r2, [s]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "global-two-blocks", 32, 2, "st.global.u32 [%o], %t;"),
    case(Clean, "global-two-blocks-own", 32, 2, "mov.u32 %r3, %ctaid.x; mul.wide.u32 %d0, %r3, 512; add.u64 %d1, %o, %d0; st.global.u32 [%d1], %t;"),
    case(Finds(Race), "global-bar-not-across-blocks", 32, 2, "setp.eq.u32 %p0, %t, 0; mov.u32 %r3, %ctaid.x; mul.wide.u32 %d0, %r3, 4; add.u64 %d1, %pa, %d0; @%p0 st.global.u32 [%d1], 1; bar.sync 0; xor.b32 %r3, %r3, 1; mul.wide.u32 %d0, %r3, 4; add.u64 %d1, %pa, %d0; @%p0 ld.global.u32 %r2, [%d1];"),
    case(Clean, "relaxed-both", 32, 2, "setp.eq.u32 %p0, %t, 0; @%p0 st.relaxed.gpu.global.u32 [%pa], 1; @%p0 ld.relaxed.gpu.global.u32 %r2, [%pa];"),
    case(Finds(Race), "relaxed-cta-scope-two-blocks", 32, 2, "setp.eq.u32 %p0, %t, 0; @%p0 st.relaxed.cta.global.u32 [%pa], 1; @%p0 ld.relaxed.cta.global.u32 %r2, [%pa];"),
    case(Finds(Race), "volatile-flag-no-fence", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; setp.ne.u32 %p1, %t, 32; @%p1 bra E; L: ld.relaxed.gpu.global.u32 %r2, [%pa]; setp.eq.u32 %p2, %r2, 0; @%p2 bra L; ld.shared.u32 %r4, [s]; st.global.u32 [%pa+8], %r4; bra E; P: setp.ne.u32 %p1, %t, 0; @%p1 bra E; st.shared.u32 [s], 7; st.relaxed.gpu.global.u32 [%pa], 1; E:"),
    case(Clean, "flag-release-acquire", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; setp.ne.u32 %p1, %t, 32; @%p1 bra E; L: ld.acquire.gpu.global.u32 %r2, [%pa]; setp.eq.u32 %p2, %r2, 0; @%p2 bra L; ld.shared.u32 %r4, [s]; st.global.u32 [%pa+8], %r4; bra E; P: setp.ne.u32 %p1, %t, 0; @%p1 bra E; st.shared.u32 [s], 7; st.release.gpu.global.u32 [%pa], 1; E:"),
    case(Clean, "flag-fences", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; setp.ne.u32 %p1, %t, 32; @%p1 bra E; L: ld.relaxed.gpu.global.u32 %r2, [%pa]; setp.eq.u32 %p2, %r2, 0; @%p2 bra L; fence.acq_rel.gpu; ld.shared.u32 %r4, [s]; st.global.u32 [%pa+8], %r4; bra E; P: setp.ne.u32 %p1, %t, 0; @%p1 bra E; st.shared.u32 [s], 7; fence.acq_rel.gpu; st.relaxed.gpu.global.u32 [%pa], 1; E:"),
    case(Finds(Race), "flag-weak-load", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; setp.ne.u32 %p1, %t, 32; @%p1 bra E; L: ld.global.u32 %r2, [%pa]; setp.eq.u32 %p2, %r2, 0; @%p2 bra L; fence.acq_rel.gpu; ld.shared.u32 %r4, [s]; st.global.u32 [%pa+8], %r4; bra E; P: setp.ne.u32 %p1, %t, 0; @%p1 bra E; st.shared.u32 [s], 7; fence.acq_rel.gpu; st.global.u32 [%pa], 1; E:"),
    case(Finds(AsyncPending), "async-no-wait", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+4], %r2;"),
    case(Finds(AsyncPending), "async-commit-no-wait", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+4], %r2;"),
    case(Clean, "async-wait", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; cp.async.wait_group 0; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+4], %r2;"),
    case(Finds(Race), "async-wait-other-thread-no-barrier", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; cp.async.wait_group 0; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o+4], %r2;"),
    case(Clean, "async-wait-other-thread", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; cp.async.wait_group 0; bar.sync 0; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o+4], %r2;"),
    case(Finds(Race), "async-barrier-before-wait", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; bar.sync 0; cp.async.wait_group 0; ld.shared.u32 %r2, [%nb]; st.global.u32 [%o+4], %r2;"),
    case(Finds(Race), "async-over-read", 32, 1, "st.shared.u32 [%me], %t; ld.shared.u32 %r2, [%nb]; cp.async.ca.shared.global [%me], [%o], 4; cp.async.wait_all; st.global.u32 [%o+4], %r2;"),
    case(Finds(AsyncPending), "async-source-written", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; st.global.u32 [%o], %t; cp.async.wait_all;"),
    case(Finds(AsyncPending), "async-two-groups", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; add.u32 %r5, %me, 512; cp.async.ca.shared.global [%r5], [%o+4], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r2, [%r5]; st.global.u32 [%o+8], %r2;"),
    case(Clean, "async-two-groups-first", 32, 1, "cp.async.ca.shared.global [%me], [%o], 4; cp.async.commit_group; add.u32 %r5, %me, 512; cp.async.ca.shared.global [%r5], [%o+4], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+8], %r2; cp.async.wait_all;"),
    case(Finds(AsyncPending), "bulk-load-no-wait", 32, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 1; bar.sync 0; @!%p0 bra E; mbarrier.arrive.expect_tx.shared.b64 %st, [%bar], 128; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%pa], 128, [%bar]; ld.shared.u32 %r2, [s]; st.global.u32 [%pa+512], %r2; E:"),
    case(Clean, "bulk-load-wait", 32, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 1; bar.sync 0; @!%p0 bra X; mbarrier.arrive.expect_tx.shared.b64 %st, [%bar], 128; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [s], [%pa], 128, [%bar]; X: L: mbarrier.try_wait.parity.shared.b64 %p1, [%bar], 0; @!%p1 bra L; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+512], %r2;"),
    case(Finds(ProxyFence), "bulk-store-no-fence", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; E:"),
    case(Clean, "bulk-store-fence-after-the-barrier", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; bar.sync 0; @!%p0 bra E; fence.proxy.async.shared::cta; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; E:"),
    case(Clean, "bulk-store-fence", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; E:"),
    case(Finds(AsyncPending), "bulk-store-reuse-without-wait", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; st.shared.u32 [s], 5; cp.async.bulk.wait_group 0; E:"),
    case(Clean, "bulk-store-reuse-wait-read", 32, 1, "setp.eq.u32 %p0, %t, 0; st.shared.u32 [%me], %t; fence.proxy.async.shared::cta; bar.sync 0; @!%p0 bra E; cp.async.bulk.global.shared::cta.bulk_group [%pa], [s], 128; cp.async.bulk.commit_group; cp.async.bulk.wait_group.read 0; st.shared.u32 [s], 5; E:"),
    case(Finds(Uninitialized), "uninit-shared", 32, 1, "ld.shared.u32 %r2, [%me]; st.global.u32 [%o], %r2;"),
    case(Clean, "the-same-value-by-one-instruction", 32, 1, "mov.u32 %r3, 5; st.shared.u32 [s], %r3; bar.warp.sync -1; ld.shared.u32 %r2, [s]; st.global.u32 [%o], %r2;"),
    case(Clean, "ldmatrix-sync", 32, 1, "shl.b32 %r3, %t, 4; add.u32 %r4, %sb, %r3; st.shared.v4.u32 [%r4], {%t, %t, %t, %t}; bar.warp.sync -1; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5, %r6, %r7, %r8}, [%r4]; st.global.u32 [%o], %r5;"),
    case(Finds(Race), "stmatrix-then-load", 32, 1, "shl.b32 %r3, %t, 4; add.u32 %r4, %sb, %r3; stmatrix.sync.aligned.m8n8.x4.shared.b16 [%r4], {%t, %t, %t, %t}; ld.shared.u32 %r5, [%me]; st.global.u32 [%o], %r5;"),
    case(Clean, "stmatrix-sync-load", 32, 1, "shl.b32 %r3, %t, 4; add.u32 %r4, %sb, %r3; stmatrix.sync.aligned.m8n8.x4.shared.b16 [%r4], {%t, %t, %t, %t}; bar.warp.sync -1; ld.shared.u32 %r5, [%me]; st.global.u32 [%o], %r5;"),
    case(Finds(Race), "wmma-store-then-load", 32, 1, "mov.u32 %r5, 0; wmma.store.d.sync.aligned.row.m16n16k16.shared.f16 [s], {%r5, %r5, %r5, %r5}; ld.shared.u32 %r6, [%nb]; st.global.u32 [%o], %r6;"),
    case(Clean, "wmma-store-sync-load", 32, 1, "mov.u32 %r5, 0; wmma.store.d.sync.aligned.row.m16n16k16.shared.f16 [s], {%r5, %r5, %r5, %r5}; bar.warp.sync -1; ld.shared.u32 %r6, [%nb]; st.global.u32 [%o], %r6;"),
    case(Clean, "mbarrier-handoff", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 64; bar.sync 0; st.shared.u32 [%me], %t; mbarrier.arrive.shared.b64 %st, [%bar]; L: mbarrier.test_wait.shared.b64 %p1, [%bar], %st; @!%p1 bra L; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "mbarrier-no-wait", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 mbarrier.init.shared.b64 [%bar], 64; bar.sync 0; st.shared.u32 [%me], %t; mbarrier.arrive.shared.b64 %st, [%bar]; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "local-is-own", 64, 1, "st.local.u32 [lo], %t; ld.local.u32 %r2, [lo]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "generic-vs-shared", 64, 1, "cvt.u64.u32 %d0, %me; cvta.shared.u64 %d0, %d0; st.u32 [%d0], %t; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "exit-then-read", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; st.shared.u32 [%me], %t; exit; P: xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "exit-then-bar-counts", 64, 1, "setp.lt.u32 %p0, %t, 32; @%p0 bra P; st.shared.u32 [%me], %t; bar.arrive 1, 64; exit; P: bar.sync 1, 64; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "barrier-red-orders", 64, 1, "st.shared.u32 [%me], %t; setp.eq.u32 %p0, %t, 0; barrier.red.popc.u32 %r5, 0, %p0; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Clean, "cluster-barrier-orders", 64, 1, "st.shared.u32 [%me], %t; barrier.cluster.arrive; barrier.cluster.wait; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "cluster-barrier-relaxed", 64, 1, "st.shared.u32 [%me], %t; barrier.cluster.arrive.relaxed; barrier.cluster.wait; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2;"),
    case(Finds(Race), "cluster-arrive-only", 64, 1, "st.shared.u32 [%me], %t; barrier.cluster.arrive; xor.b32 %r3, %r0, 128; add.u32 %r3, %sb, %r3; ld.shared.u32 %r2, [%r3]; st.global.u32 [%o], %r2; barrier.cluster.wait;"),
    case(Finds(Race), "vector-store-overlap", 32, 1, "shl.b32 %r3, %t, 2; add.u32 %r3, %sb, %r3; and.b32 %r3, %r3, -8; st.shared.v2.u32 [%r3], {%t, %t};"),
    case(Clean, "read-read", 64, 1, "ld.global.u32 %r2, [%pa]; add.u32 %r2, %r2, 1;"),
    case(Finds(Race), "ld-while-other-writes-global", 64, 1, "ld.global.u32 %r2, [%pa]; st.global.u32 [%o], %t;"),
    case(Clean, "red-async-like-exch", 64, 1, "setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [s], 0; bar.sync 0; atom.shared.exch.b32 %r2, [s], %t; st.global.u32 [%o], %r2;"),
    case(Clean, "spin-lock-shared-data", 64, 1, "setp.ne.u32 %p5, %lane, 0; setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [s], 0; @%p0 st.shared.u32 [s+4], 0; bar.sync 0; @%p5 bra E; L: atom.acquire.cta.shared.cas.b32 %r2, [s], 0, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra L; ld.shared.u32 %r3, [s+4]; add.u32 %r3, %r3, 1; st.shared.u32 [s+4], %r3; st.release.cta.shared.u32 [s], 0; E:"),
    case(Finds(Race), "spin-lock-relaxed", 64, 1, "setp.ne.u32 %p5, %lane, 0; setp.eq.u32 %p0, %t, 0; @%p0 st.shared.u32 [s], 0; @%p0 st.shared.u32 [s+4], 0; bar.sync 0; @%p5 bra E; L: atom.relaxed.cta.shared.cas.b32 %r2, [s], 0, 1; setp.ne.u32 %p1, %r2, 0; @%p1 bra L; ld.shared.u32 %r3, [s+4]; add.u32 %r3, %r3, 1; st.shared.u32 [s+4], %r3; st.relaxed.cta.shared.u32 [s], 0; E:"),
    case(Finds(AsyncPending), "copies-of-another-stage", 32, 1, "setp.eq.u32 %p0, %t, 0; mov.u32 %r9, 32; @%p0 mbarrier.init.shared.b64 [%bar], %r9; @%p0 mbarrier.init.shared.b64 [%bar+8], %r9; bar.sync 0; cp.async.ca.shared.global [%me], [%o], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [%bar]; add.u32 %r5, %me, 512; cp.async.ca.shared.global [%r5], [%o+4], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [%bar+8]; L: mbarrier.test_wait.parity.shared.b64 %p1, [%bar], 0; @!%p1 bra L; ld.shared.u32 %r2, [%r5]; st.global.u32 [%o+8], %r2;"),
    case(Clean, "copies-of-this-stage", 32, 1, "setp.eq.u32 %p0, %t, 0; mov.u32 %r9, 32; @%p0 mbarrier.init.shared.b64 [%bar], %r9; @%p0 mbarrier.init.shared.b64 [%bar+8], %r9; bar.sync 0; cp.async.ca.shared.global [%me], [%o], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [%bar]; add.u32 %r5, %me, 512; cp.async.ca.shared.global [%r5], [%o+4], 4; cp.async.mbarrier.arrive.noinc.shared.b64 [%bar+8]; L: mbarrier.test_wait.parity.shared.b64 %p1, [%bar], 0; @!%p1 bra L; ld.shared.u32 %r2, [%me]; st.global.u32 [%o+8], %r2; cp.async.wait_all;"),
];

fn text(case: &Case) -> String {
    format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 .ptr .global .align 16 a) {{\n\
         .shared .align 128 .b8 s[4096]; .shared .align 8 .b64 bar[2]; .local .align 4 .b8 lo[16];\n\
         .reg .b64 %pa, %o, %d<8>, %st; .reg .b32 %t, %sb, %me, %nb, %r<20>, %lane, %w, %bar; .reg .b16 %h<4>;\n\
         .reg .f32 %f<8>; .reg .pred %p<8>;\n\
         ld.param.u64 %pa, [a]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 16; add.s64 %o, %pa, %o;\n\
         mov.u32 %sb, s; shl.b32 %r0, %t, 2; add.u32 %me, %sb, %r0; xor.b32 %r1, %r0, 4; add.u32 %nb, %sb, %r1;\n\
         and.b32 %lane, %t, 31; shr.u32 %w, %t, 5; mov.u32 %bar, bar;\n{}\nret; }}\n",
        case.body
    )
}

/// What a run finds, and what it says.
fn found(case: &Case, order: WarpOrder) -> (Vec<FindingKind>, String) {
    let text = text(case);
    let module = parse("case.ptx", &text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", case.name));
    let module = verify_with(module, Doubts::Warn).unwrap_or_else(|e| panic!("{}: {e}\n{text}", case.name));
    let mut memory = Memory::new();
    let a = memory.alloc(&[0; 8192], 256).expect("room");
    let options = Options { order, ..Options::default() };
    let launch = Launch {
        module: &module,
        kernel: "k",
        grid: [case.blocks, 1, 1],
        block: [case.threads, 1, 1],
        dynamic_shared: 0,
        args: &[Arg::from(a)],
        globals: None,
        options: &options,
    };
    let report = launch.run(&mut memory).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    (report.findings.iter().map(|f| f.kind).collect(), report.to_string())
}

#[test]
fn each_case_is_judged_right() {
    let mut wrong = Vec::new();
    for case in CASES {
        for order in [WarpOrder::RoundRobin, WarpOrder::Adversarial, WarpOrder::Seeded(3), WarpOrder::Seeded(11)] {
            let (kinds, said) = found(case, order);
            let right = match case.right {
                Clean => kinds.is_empty(),
                Finds(kind) => kinds.contains(&kind),
            };
            if !right {
                wrong.push(format!("{} ({order:?}) is {:?}, and a run finds {kinds:?}: {said}", case.name, case.right));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn there_are_twins() {
    let clean = CASES.iter().filter(|c| c.right == Clean).count();
    assert!(clean >= 30 && CASES.len() - clean >= 40, "{clean} of {}", CASES.len());
    let mut names: Vec<_> = CASES.iter().map(|c| c.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len(), "each has a name of its own");
}
