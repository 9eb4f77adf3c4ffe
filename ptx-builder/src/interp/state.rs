//! A block's memory and barriers, and what its threads have done to them.

use std::collections::{BTreeMap, HashMap};

use super::bytes::Bytes;
use super::context::Context;
use super::copies::{Completion, Copies, Copy};
use super::counters::Counts;
use super::findings::{Findings, Raw, RawOther};
use super::mask::warp_and_mask;
use super::mbarriers::Mbarriers;
use super::memory::Memory;
use super::report::FindingKind;
use super::shadow::{Access, By, Cells, Conflict, Footprint, Mark, Order, Snapshot, Strength, Trace};
use super::shared::Shared;
use super::sync::{Barrier, Sync};
use super::warp::Warp;
use super::wide::BlockWide;
use crate::table::{Lanes, Mod, Scope, WARP};
use crate::types::Space;

/// The number of the cluster's barrier, after a block's own.
pub(super) const CLUSTER: u8 = 16;

/// The numbered barriers of a block.
type Numbered = [Barrier; CLUSTER as usize];

/// Why a block ends early.
pub(super) type Stop = Box<Raw>;

/// The state of a cluster's blocks, most often of one block, without its warps.
pub(super) struct BlockState {
    /// The cluster's number.
    pub number: u64,
    pub shared: Shared,
    pub local: Bytes,
    /// Warp instructions executed.
    pub steps: u64,
    /// Changes of memory and barriers so far: what threads that spin wait for.
    pub changes: u64,
    pub counts: Vec<Counts>,
    /// Scratch: sources and results of an instruction.
    pub src: Vec<Lanes>,
    pub dst: Vec<Lanes>,
    pub findings: Findings,
    /// What it printed.
    pub printed: String,
    /// Threads of each block that have not exited.
    pub live: Vec<u32>,
    /// Whether a thread has come to where it lets the launches after this one start.
    pub lets_start: bool,
    /// Whether a thread has come to where it waits for the launches before this one.
    pub waited: bool,
    /// The numbered barriers of each block, and the cluster's.
    pub barriers: Vec<Numbered>,
    pub cluster_barrier: Barrier,
    /// Barriers that have completed and whose waiters are to go on: the block's rank, the number, and what it was.
    pub released: Vec<(u32, u8, Barrier)>,
    pub order: Order,
    pub sync: Sync,
    pub copies: Copies,
    pub mbarriers: Mbarriers,
    /// The thread that started an engine's work, by the engine and the instruction.
    pub issuers: HashMap<(u32, u32), u32>,
    /// The last access of each instruction and warp to the shared memory of another block: time and lane.
    pub remote: BTreeMap<(u32, u32, u32), (u32, u32)>,
    /// Shadows of shared and local memory; empty where they are not followed.
    pub wide: BlockWide,
    /// Marks on shared and on global memory, where races are looked for.
    pub marks: Option<[Cells; 2]>,
}

/// A clash with what an engine did is one with the thread that started it.
fn by_issuer(mut clash: Conflict, issuers: &HashMap<(u32, u32), u32>) -> Conflict {
    if let Some(&thread) = issuers.get(&(clash.other.warp(), clash.other.pc)) {
        clash.other.thread = thread as u16;
    }
    clash
}

impl BlockState {
    /// A finding after which execution goes on.
    pub fn find(&mut self, kind: FindingKind, pc: u32, warp: u32, lanes: u32, message: impl FnOnce() -> String) {
        self.findings.add(kind, pc, None, || Raw {
            kind,
            pc,
            warp,
            lanes,
            other: None,
            clash: None,
            message: message(),
            block: self.number,
            count: 0,
        });
    }

    /// A finding that ends the launch.
    pub fn fault(&self, kind: FindingKind, pc: u32, warp: u32, lanes: u32, message: String) -> Stop {
        Box::new(Raw { kind, pc, warp, lanes, other: None, clash: None, message, block: self.number, count: 1 })
    }

    /// The fault of a kernel that runs too long.
    pub fn step_limit(&self, cx: &Context, warp: &Warp, pc: u32, lanes: u32) -> Stop {
        let limit = cx.options.max_steps;
        let message =
            format!("the block has executed {limit} warp instructions: an endless loop, or raise `max_steps`");
        self.fault(FindingKind::StepLimit, pc, warp.id, lanes, message)
    }

    /// Threads of a block have exited: barriers may complete without them.
    pub fn exited(&mut self, rank: u32, threads: u32) {
        self.live[rank as usize] -= threads;
        for id in 0..=CLUSTER {
            self.complete_barrier(rank, id);
        }
    }

    /// A barrier of a block, or the cluster's, and the threads that may arrive there.
    pub fn barrier(&mut self, rank: u32, id: u8) -> (&mut Barrier, u32) {
        match id {
            CLUSTER => (&mut self.cluster_barrier, self.live.iter().sum()),
            _ => (&mut self.barriers[rank as usize][usize::from(id)], self.live[rank as usize]),
        }
    }

    /// Releases a barrier if all that it waits for have arrived.
    pub fn complete_barrier(&mut self, rank: u32, id: u8) {
        let (barrier, live) = self.barrier(rank, id);
        if barrier.arrived > 0 && barrier.arrived >= barrier.expected.unwrap_or(live) {
            let barrier = std::mem::take(barrier);
            self.changes += 1;
            if id == CLUSTER {
                self.sync.cluster_phase += 1;
                self.sync.cluster_clock.merge(&barrier.clock);
            }
            self.released.push((rank, id, barrier));
        }
    }

    /// The lanes of a mask have met at a `.sync` instruction.
    pub fn order_warp(&mut self, warp: &Warp, mask: u32) {
        if self.marks.is_some() {
            self.order.meet(warp.id, mask, warp.live);
        }
    }

    /// What the warp has done so far, to be ordered before others' future.
    pub fn release(&mut self, warp: u32) -> Snapshot {
        if self.marks.is_some() { self.order.release(warp) } else { Snapshot::default() }
    }

    /// Marks an access and reports races. Gives the lanes that meet a copy which nothing has waited for.
    #[allow(clippy::too_many_arguments)] // the parts of one access
    pub fn shadow_access(
        &mut self,
        by: By,
        space: Space,
        mask: u32,
        at: &[u64; WARP],
        bytes: u32,
        access: Access,
        values: Option<&[u128; WARP]>,
        memory: &Memory,
    ) -> u32 {
        let Some([shared, global]) = &mut self.marks else { return 0 };
        let cells = if space == Space::Shared { shared } else { global };
        let (findings, number, block) = (&mut self.findings, self.number, &self.shared);
        // What is written is not there yet, so that what is there is what was written before.
        let held = |at: u64| match space {
            Space::Shared => Some(block.load(at, bytes)),
            _ => memory.near(at).map(|alloc| alloc.load(at, bytes)),
        };
        let (order, issuers) = (&self.order, &self.issuers);
        let mut unfinished = 0;
        cells.access(order, by, mask, at, bytes, access, values, |mut clash| {
            let lane = clash.lane as usize;
            let by_engine = order.is_engine(clash.other.warp());
            if by_engine {
                // Where lanes access the same bytes, some stand for all.
                unfinished = mask;
                clash = by_issuer(clash, issuers);
            }
            let same =
                !by_engine && clash.only_writes && values.is_some_and(|values| held(at[lane]) == Some(values[lane]));
            findings.clash(&clash, by, space, access, same, [false, by_engine], number);
        });
        unfinished
    }

    /// Marks a copy's writes to shared memory as done now by its thread.
    pub fn mark_copy(&mut self, copy: &Copy, warp: u32, memory: &Memory) {
        let by = By { pc: copy.pc, warp, serial: self.steps as u16 };
        let access = Access { write: true, strength: Strength::Weak, read_only: false };
        let lane = copy.thread % 32;
        for k in (0..u64::from(copy.bytes + copy.zeros)).step_by(4) {
            self.shadow_access(by, Space::Shared, 1 << lane, &[copy.to.1 + k; WARP], 4, access, None, memory);
        }
    }

    /// Looks for writes by threads that a bulk copy may not see, or may not come after, though they are ordered before it.
    pub fn check_fenced(
        &mut self,
        cx: &Context,
        by: By,
        lane: u32,
        (space, at): (Space, u64),
        bytes: u64,
        writes: bool,
    ) {
        let Some([shared, global]) = &self.marks else { return };
        let (cells, is_global) = if space == Space::Shared { (shared, false) } else { (global, true) };
        let By { pc, warp, .. } = by;
        // Engines order what they do among themselves. What a bulk copy wrote to global memory is marked as its thread's.
        let by_engine = |m: &Mark| {
            let mods = cx.program.sites.get(m.pc as usize).map(|(_, _, form)| &form.get().mods);
            self.order.is_engine(m.warp()) || mods.is_some_and(|mods| mods.contains(&Mod::BulkGroup))
        };
        let order = &self.order;
        let unseen = |m: &Mark| {
            !by_engine(m)
                && order.is_ordered(m.warp(), m.lane(), m.time, warp, lane)
                && !order.is_fenced(m.warp(), m.lane(), m.time, warp, is_global)
        };
        let Some((address, write)) = cells.find_write(at, bytes, unseen) else { return };
        let (does, may) = match writes {
            false => ("reads", "may still find what was there before"),
            true => ("writes", "may be overwritten by it"),
        };
        let fence = if is_global { "fence.proxy.async" } else { "fence.proxy.async (`fence_async_shared`)" };
        let kind = FindingKind::ProxyFence;
        self.findings.add(kind, pc, Some(write.pc), || Raw {
            kind,
            pc,
            warp,
            lanes: 1 << lane,
            other: Some(RawOther { pc: write.pc, block: self.number, warp: write.warp(), lane: write.lane() }),
            clash: None,
            message: format!(
                "the bulk copy {does} {space} memory at {address:#x}, which the other instruction wrote, and {may}: put a \
                 {fence} after the writes, before the barrier"
            ),
            block: self.number,
            count: 0,
        });
    }

    /// Marks what an engine does to shared memory on behalf of a lane, and reports what is not ordered before it.
    /// Whether a thread has yet to wait for another copy there.
    #[allow(clippy::too_many_arguments)] // the parts of one access
    pub fn engine_access(
        &mut self,
        by: By,
        lane: u32,
        engine: (u32, u64),
        at: u64,
        bytes: u64,
        access: Access,
    ) -> bool {
        let Some([shared, _]) = &mut self.marks else { return false };
        self.issuers.insert((engine.0, by.pc), by.warp * WARP as u32 + lane);
        let clash = shared.engine_access(&self.order, by, lane, (engine.0, engine.1 as u32), at, bytes, access);
        let Some(clash) = clash else { return false };
        let other = self.order.is_engine(clash.other.warp());
        let by_engine = [true, other];
        let clash = by_issuer(clash, &self.issuers);
        self.findings.clash(&clash, by, Space::Shared, access, false, by_engine, self.number);
        other
    }

    /// What is wrong once all threads have left: copies that nobody has waited for, bytes that nobody has expected, and
    /// accesses to blocks that may have left before.
    pub fn after_exit(&mut self) {
        for copy in self.copies.pending().to_vec() {
            let (warp, lanes) = warp_and_mask(copy.thread);
            let message = match copy.completion {
                Completion::Mbarrier(place) => format!(
                    "the block exits and no thread has waited at the mbarrier at {place:#x} for this copy, which may write \
                     to shared memory that is another block's by then: wait for its phase"
                ),
                Completion::BulkGroup if !copy.source_read => {
                    "the block exits and the thread has not waited for this copy, which may read from shared memory that \
                     is another block's by then: cp.async.bulk.commit_group and cp.async.bulk.wait_group.read 0 \
                     (`bulk_wait_read`) wait for it"
                        .to_owned()
                }
                Completion::BulkGroup | Completion::Group => continue,
            };
            self.find(FindingKind::AsyncPending, copy.pc, warp, lanes, || message);
        }
        for (place, bytes, (pc, thread)) in self.mbarriers.overfull() {
            let (warp, lanes) = warp_and_mask(thread);
            self.find(FindingKind::TransactionCount, pc, warp, lanes, || {
                format!(
                    "with this copy {bytes} more bytes have come to the mbarrier at {place:#x} than its phases have expected \
                     (expect_tx)"
                )
            });
        }
        for ((pc, warp, rank), (time, lane)) in std::mem::take(&mut self.remote) {
            if !self.order.is_before_block(warp, time, rank) {
                self.find(FindingKind::BlockAbsent, pc, warp, 1 << lane, || {
                    format!(
                        "block {rank} of the cluster may have left before this access to its shared memory: let it wait \
                         before it exits, at a `barrier.cluster` or an mbarrier, for what comes after the access"
                    )
                });
            }
        }
    }

    /// A lane accesses another block's shared memory: it must have started, and must not leave before.
    pub fn reaches(&mut self, pc: u32, warp: u32, lane: u32, rank: u32) {
        if self.marks.is_none() {
            return;
        }
        let time = self.order.now(warp);
        self.remote.insert((pc, warp, rank), (time, lane));
        if self.sync.has_met[warp as usize] || self.order.has_heard_of(warp, rank) {
            return;
        }
        self.find(FindingKind::BlockAbsent, pc, warp, 1 << lane, || {
            format!(
                "block {rank} of the cluster may not have started when its shared memory is accessed: let all blocks meet \
                 at a `barrier.cluster` (arrive and wait) before"
            )
        });
    }

    /// What a relaxed arrival at the cluster's barrier publishes: what fences have before.
    pub fn fenced_for_cluster(&self, warp: u32) -> Snapshot {
        let mut snapshot = match &self.sync.fenced[warp as usize] {
            Some((snapshot, scope)) if *scope >= Scope::Cluster || self.live.len() == 1 => snapshot.clone(),
            _ => Snapshot::default(),
        };
        snapshot.merge(&self.sync.initialized[warp as usize]);
        snapshot
    }

    /// Adds what the block has done to global memory so far.
    pub fn footprint(&self, to: &mut Footprint) {
        if let Some([_, global]) = &self.marks {
            to.add(self.number, global);
        }
    }

    /// What other blocks need to know about a finished one.
    pub fn into_trace(self) -> Option<Trace> {
        self.marks.and_then(|[_, global]| Trace::new(self.number, &global, self.order))
    }
}
