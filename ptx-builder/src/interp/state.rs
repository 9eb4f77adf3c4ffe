//! A block's memory and barriers, and what its threads have done to them.

use super::bytes::Bytes;
use super::context::Context;
use super::copies::{Copies, Copy};
use super::counters::Counts;
use super::findings::{Findings, Raw, RawOther};
use super::mbarriers::Mbarriers;
use super::memory::Memory;
use super::program::Step;
use super::report::FindingKind;
use super::shadow::{Access, By, Cells, Footprint, Mark, Order, Snapshot, Strength, Trace};
use super::sync::{Barrier, Sync};
use super::warp::Warp;
use super::wide::BlockWide;
use crate::table::{Async, Lanes, WARP};
use crate::types::Space;

/// The number of the cluster's barrier, after the block's own.
pub(super) const CLUSTER: u8 = 16;

/// Why a block ends early.
pub(super) type Stop = Box<Raw>;

/// A block's state, without its warps.
pub(super) struct BlockState {
    pub number: u64,
    pub ctaid: [u32; 3],
    pub shared: Bytes,
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
    /// Threads that have not exited.
    pub live: u32,
    /// Whether a thread has come to where it lets the launches after this one start.
    pub lets_start: bool,
    /// Whether a thread has come to where it waits for the launches before this one.
    pub waited: bool,
    /// The numbered barriers, and the cluster's.
    pub barriers: [Barrier; CLUSTER as usize + 1],
    /// Barriers that have completed and whose waiters are to go on.
    pub released: Vec<(u8, Barrier)>,
    pub order: Order,
    pub sync: Sync,
    pub copies: Copies,
    pub mbarriers: Mbarriers,
    /// Shadows of shared and local memory; empty where they are not followed.
    pub wide: BlockWide,
    /// Marks on shared and on global memory, where races are looked for.
    pub marks: Option<[Cells; 2]>,
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

    /// Threads have exited: barriers may complete without them.
    pub fn exited(&mut self, threads: u32) {
        self.live -= threads;
        for id in 0..=CLUSTER {
            self.complete_barrier(id);
        }
    }

    /// Releases a barrier if all that it waits for have arrived.
    pub fn complete_barrier(&mut self, id: u8) {
        let barrier = &mut self.barriers[usize::from(id)];
        if barrier.arrived > 0 && barrier.arrived >= barrier.expected.unwrap_or(self.live) {
            self.changes += 1;
            let barrier = std::mem::take(barrier);
            if id == CLUSTER {
                self.sync.cluster_phase += 1;
                self.sync.cluster_clock.merge(&barrier.clock);
            }
            self.released.push((id, barrier));
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

    /// Marks an access and reports races.
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
    ) {
        let Some([shared, global]) = &mut self.marks else { return };
        let cells = if space == Space::Shared { shared } else { global };
        let (findings, number, block) = (&mut self.findings, self.number, &self.shared);
        // What is written is not there yet, so that what is there is what was written before.
        let held = |at: u64| match space {
            Space::Shared => Some(block.load(at, bytes)),
            _ => memory.near(at).map(|alloc| alloc.load(at, bytes)),
        };
        cells.access(&self.order, by, mask, at, bytes, access, values, |clash| {
            let lane = clash.lane as usize;
            let same = clash.only_writes && values.is_some_and(|values| held(at[lane]) == Some(values[lane]));
            findings.clash(&clash, by, space, access, same, number);
        });
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

    /// Looks for writes by threads that a bulk copy out of shared memory may not
    /// see, though they are ordered before it.
    pub fn check_fenced(&mut self, cx: &Context, pc: u32, warp: u32, lane: u32, from: u64, bytes: u64) {
        let Some([shared, _]) = &self.marks else { return };
        let by_engine = |m: &Mark| matches!(cx.program.code[m.pc as usize].step, Step::Async(Async::BulkLoad));
        let order = &self.order;
        let unseen = |m: &Mark| {
            order.is_ordered(m.warp(), m.lane(), m.time, warp, lane)
                && !order.is_fenced(m.warp(), m.lane(), m.time, warp)
                && !by_engine(m)
        };
        let Some((address, write)) = shared.find_write(from, bytes, unseen) else { return };
        let kind = FindingKind::ProxyFence;
        self.findings.add(kind, pc, Some(write.pc), || Raw {
            kind,
            pc,
            warp,
            lanes: 1 << lane,
            other: Some(RawOther { pc: write.pc, block: self.number, warp: write.warp(), lane: write.lane() }),
            clash: None,
            message: format!(
                "the bulk copy reads shared memory at {address:#x}, which the other instruction wrote, and may still find \
                 what was there before: put a fence.proxy.async (`fence_async_shared`) after the writes, before the barrier"
            ),
            block: self.number,
            count: 0,
        });
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
