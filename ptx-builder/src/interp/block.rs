//! A block: its warps, its memory, and what they wait for.

use super::bytes::Bytes;
use super::copies::{Copies, Copy};
use super::counters::Counts;
use super::exec;
use super::findings::{Findings, Raw, RawOther};
use super::gate::Gate;
use super::homes::Home;
use super::index::{IndexStep, IndexSteps};
use super::layout::Layout;
use super::mbarriers::Mbarriers;
use super::memory::Memory;
use super::program::{Program, Step};
use super::report::{FindingKind, Site};
use super::schedule::Scheduler;
use super::shadow::{Access, By, Cells, Footprint, Mark, Order, Snapshot, Strength, Trace};
use super::sync::{Barrier, Device, Sync};
use super::warp::{State, Warp};
use super::wide::{BlockWide, Wide};
use super::{Options, WarpOrder};
use crate::ir::{BlockId, Kernel, Module};
use crate::table::{Async, Lanes, WARP};
use crate::types::Space;

/// The number of the cluster's barrier, after the block's own.
pub(super) const CLUSTER: u8 = 16;

/// Why a block ends early.
pub(super) type Stop = Box<Raw>;

/// What all blocks of a launch share.
pub(super) struct Context<'a> {
    pub module: &'a Module,
    pub kernel: &'a Kernel,
    pub program: Program,
    /// Where 32-bit indices are computed; empty where they are not followed.
    pub index: IndexSteps,
    /// What each instruction's accesses are to stay in.
    pub homes: Vec<Home>,
    pub layout: Layout,
    pub memory: &'a Memory,
    pub params: Bytes,
    pub consts: Bytes,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub options: &'a Options,
    pub device: Device,
    pub gate: Gate,
    /// What shadow precision needs; none where it is off.
    pub wide: Option<Wide>,
}

impl Context<'_> {
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn warps(&self) -> usize {
        self.threads().div_ceil(WARP as u32) as usize
    }

    pub fn index_step(&self, pc: u32) -> Option<&IndexStep> {
        self.index.steps.get(pc as usize)?.as_ref()
    }

    /// What the accesses of an instruction are to stay in.
    pub fn home(&self, pc: u32) -> Home {
        self.homes.get(pc as usize).copied().unwrap_or_default()
    }

    pub fn is_adversarial(&self) -> bool {
        self.options.order == WarpOrder::Adversarial
    }

    /// `%ctaid` of a block number.
    pub fn ctaid(&self, block: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [(block % x) as u32, (block / x % y) as u32, (block / x / y) as u32]
    }

    /// An instruction, for people.
    pub fn site(&self, pc: u32) -> Site {
        let Some(&(block, index, _)) = self.program.sites.get(pc as usize) else {
            // mutants: same, nobody comes there: a kernel ends in an exit
            let block = BlockId(self.kernel.blocks.len().saturating_sub(1) as u32);
            // mutants: same, nobody comes there: a kernel ends in an exit
            return Site { loc: self.kernel.loc.clone(), text: "the kernel's end".to_owned(), block, index: 0 };
        };
        let inst = &self.kernel.blocks[block.0 as usize].insts[index];
        Site { loc: inst.loc.clone(), text: super::text::inst(self.module, self.kernel, inst), block, index }
    }
}

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
    marks: Option<[Cells; 2]>,
}

/// How far a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Running,
    Done,
    /// All that can go on waits for a change of memory.
    Waiting,
    /// All that can go on waits for other launches, or for memory.
    Held,
}

/// A block under execution.
pub(super) struct Block<'a> {
    pub cx: &'a Context<'a>,
    pub warps: Vec<Warp>,
    scheduler: Scheduler,
    pub state: BlockState,
}

impl<'a> Block<'a> {
    pub fn new(cx: &'a Context<'a>, number: u64) -> Self {
        let threads = cx.threads();
        let mut warps: Vec<Warp> = (0..cx.warps() as u32)
            .map(|id| Warp::new(id, (threads - id * WARP as u32).min(WARP as u32), cx.block, cx.program.registers))
            .collect();
        warps.iter_mut().for_each(|warp| warp.wide = cx.wide.as_ref().map(Wide::registers));
        let widest = cx.program.widest;
        let counts = if cx.options.count { cx.program.code.len() } else { 0 };
        let state = BlockState {
            number,
            ctaid: cx.ctaid(number),
            shared: Bytes::uninit(cx.layout.shared_bytes as usize),
            local: Bytes::uninit(cx.layout.local_bytes as usize * warps.len() * WARP),
            steps: 0,
            changes: 0,
            counts: vec![Counts::default(); counts],
            src: vec![[0; WARP]; widest],
            dst: vec![[0; WARP]; widest],
            findings: Findings::default(),
            printed: String::new(),
            live: threads,
            lets_start: false,
            waited: false,
            barriers: Default::default(),
            released: Vec::new(),
            order: Order::new(warps.len()),
            sync: Sync::new(warps.len()),
            copies: Copies::new(cx.layout.shared_bytes),
            mbarriers: Mbarriers::default(),
            wide: BlockWide::default(),
            marks: cx.options.check.races.then(Default::default),
        };
        Block { cx, scheduler: Scheduler::new(cx.options.order, number), warps, state }
    }

    /// Whether some of its threads wait for other launches.
    pub fn is_held(&self) -> bool {
        self.warps.iter().any(Warp::is_held)
    }

    /// Lets those look again who wait for other launches.
    pub fn let_go(&mut self) {
        self.warps.iter_mut().for_each(Warp::let_go);
    }

    /// Executes up to about `budget` warp instructions.
    pub fn run(&mut self, budget: u64) -> Result<Progress, Stop> {
        let mut left = budget;
        while left > 0 {
            self.wake_spinning();
            let Some((warp, quantum)) = self.scheduler.next(&self.warps) else {
                if self.warps.iter().all(|w| w.live == 0) {
                    let rest = self.state.copies.take(|_| true);
                    rest.iter().for_each(|copy| exec::land(self.cx, &mut self.state, copy));
                    return Ok(Progress::Done);
                }
                if self.meet_apart() {
                    continue;
                }
                if self.is_held() {
                    return Ok(Progress::Held);
                }
                if self.warps.iter().any(Warp::is_spinning) {
                    return Ok(Progress::Waiting);
                }
                return Err(self.stuck());
            };
            let outcome = exec::run(self.cx, &mut self.state, &mut self.warps[warp], quantum.min(left));
            self.release_barriers();
            left = left.saturating_sub(outcome?.max(1));
        }
        Ok(Progress::Running)
    }

    /// Lets the waiters of completed barriers go on.
    fn release_barriers(&mut self) {
        while let Some((id, barrier)) = self.state.released.pop() {
            for warp in &mut self.warps {
                let mut waited = 0;
                for i in 0..warp.groups.len() {
                    let group = warp.groups[i];
                    if group.state != State::Barrier(id) {
                        continue;
                    }
                    waited |= group.mask;
                    warp.groups[i].state = State::Ready;
                    let code = &self.cx.program.code[group.pc as usize - 1];
                    if let (Some(value), Some(dst)) = (barrier.result(), self.cx.program.dsts(code).first()) {
                        exec::write(warp, dst, &[value; WARP], group.mask);
                        warp.wide.iter_mut().for_each(|regs| regs.clear(dst, group.mask));
                    }
                }
                if waited != 0 {
                    self.state.order.acquire(warp.id, &barrier.clock);
                    self.state.order.meet(warp.id, waited, warp.live);
                }
            }
            let st = &mut self.state;
            if id == CLUSTER {
                continue;
            }
            if st.live < self.cx.threads() && barrier.expected.is_none() {
                let gone = self.cx.threads() - st.live;
                st.find(FindingKind::BarrierExited, barrier.pc, barrier.warp, barrier.lanes, || {
                    format!("barrier {id} waits for all threads of the block, but {gone} of them have exited")
                });
            }
            if let (Some(other), None) = (barrier.other_pc, barrier.expected) {
                let other = self.cx.site(other);
                st.find(FindingKind::BarrierSites, barrier.pc, barrier.warp, barrier.lanes, || {
                    format!("threads of the block met at barrier {id} from different places: also {other}")
                });
            }
        }
    }
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
    ) {
        let Some([shared, global]) = &mut self.marks else { return };
        let cells = if space == Space::Shared { shared } else { global };
        let (findings, number) = (&mut self.findings, self.number);
        cells.access(&self.order, by, mask, at, bytes, access, values, |clash| {
            findings.clash(&clash, by, space, access.write, number);
        });
    }

    /// Marks a copy's writes to shared memory as done now by its thread.
    pub fn mark_copy(&mut self, copy: &Copy, warp: u32) {
        let by = By { pc: copy.pc, warp, serial: self.steps as u16 };
        let access = Access { write: true, strength: Strength::Weak, read_only: false };
        let lane = copy.thread % 32;
        for k in (0..u64::from(copy.bytes + copy.zeros)).step_by(4) {
            self.shadow_access(by, Space::Shared, 1 << lane, &[copy.to.1 + k; WARP], 4, access, None);
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
