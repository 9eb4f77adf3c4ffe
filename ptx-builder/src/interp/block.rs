//! A block: its warps, its memory, and what they wait for.

use super::bytes::Bytes;
use super::copies::{Copies, Copy};
use super::counters::Counts;
use super::exec;
use super::findings::{Findings, Raw};
use super::layout::Layout;
use super::mbarriers::Mbarriers;
use super::memory::Memory;
use super::program::Program;
use super::report::{FindingKind, Site};
use super::schedule::Scheduler;
use super::shadow::{Access, By, Cells, Order, Snapshot, Strength, Trace};
use super::sync::{Barrier, Device, Sync};
use super::warp::{State, Warp};
use super::{Options, WarpOrder};
use crate::ir::{BlockId, Kernel, Module};
use crate::table::{Lanes, WARP};
use crate::types::Space;

/// The number of the cluster's barrier, behind the block's own.
pub(super) const CLUSTER: u8 = 16;

/// Why a block ends early.
pub(super) type Stop = Box<Raw>;

/// What all blocks of a launch share.
pub(super) struct Context<'a> {
    pub module: &'a Module,
    pub kernel: &'a Kernel,
    pub program: Program,
    pub layout: Layout,
    pub memory: &'a Memory,
    pub params: Bytes,
    pub consts: Bytes,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub options: &'a Options,
    pub device: Device,
}

impl Context<'_> {
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn warps(&self) -> usize {
        self.threads().div_ceil(WARP as u32) as usize
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
            let block = BlockId(self.kernel.blocks.len().saturating_sub(1) as u32);
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
    pub counts: Vec<Counts>,
    /// Scratch: sources and results of an instruction.
    pub src: Vec<Lanes>,
    pub dst: Vec<Lanes>,
    pub findings: Findings,
    /// Threads that have not exited.
    pub live: u32,
    /// The numbered barriers, and the cluster's.
    pub barriers: [Barrier; CLUSTER as usize + 1],
    /// Barriers that have completed and whose waiters are to go on.
    pub released: Vec<(u8, Barrier)>,
    pub order: Order,
    pub sync: Sync,
    pub copies: Copies,
    pub mbarriers: Mbarriers,
    /// Marks on shared and on global memory, where races are looked for.
    marks: Option<[Cells; 2]>,
}

/// How far a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Running,
    Done,
}

/// A block under execution.
pub(super) struct Block<'a> {
    cx: &'a Context<'a>,
    warps: Vec<Warp>,
    scheduler: Scheduler,
    pub state: BlockState,
}

impl<'a> Block<'a> {
    pub fn new(cx: &'a Context<'a>, number: u64) -> Self {
        let threads = cx.threads();
        let warps: Vec<Warp> = (0..cx.warps() as u32)
            .map(|id| Warp::new(id, (threads - id * WARP as u32).min(WARP as u32), cx.block, cx.program.registers))
            .collect();
        let widest = cx.program.widest;
        let counts = if cx.options.count { cx.program.code.len() } else { 0 };
        let state = BlockState {
            number,
            ctaid: cx.ctaid(number),
            shared: Bytes::uninit(cx.layout.shared_bytes as usize),
            local: Bytes::uninit(cx.layout.local_bytes as usize * warps.len() * WARP),
            steps: 0,
            counts: vec![Counts::default(); counts],
            src: vec![[0; WARP]; widest],
            dst: vec![[0; WARP]; widest],
            findings: Findings::default(),
            live: threads,
            barriers: Default::default(),
            released: Vec::new(),
            order: Order::new(warps.len()),
            sync: Sync::new(warps.len()),
            copies: Copies::new(cx.layout.shared_bytes),
            mbarriers: Mbarriers::default(),
            marks: cx.options.check.races.then(Default::default),
        };
        Block { cx, scheduler: Scheduler::new(cx.options.order, number), warps, state }
    }

    /// Executes up to about `budget` warp instructions.
    pub fn run(&mut self, budget: u64) -> Result<Progress, Stop> {
        let mut left = budget;
        while left > 0 {
            let Some((warp, quantum)) = self.scheduler.next(&self.warps) else {
                if self.warps.iter().all(|w| w.live == 0) {
                    let rest = self.state.copies.take(|_| true);
                    rest.iter().for_each(|copy| exec::land(self.cx, &mut self.state, copy));
                    return Ok(Progress::Done);
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

    /// Nothing can go on.
    fn stuck(&mut self) -> Stop {
        let mut places = Vec::new();
        let mut first: Option<(FindingKind, u32, u32, u32)> = None;
        for warp in &self.warps {
            let gone = warp.lanes & !warp.live;
            if gone != 0 && warp.live != 0 {
                places.push(format!("warp {}: lanes {gone:#010x} have exited", warp.id));
            }
            for group in &warp.groups {
                let (kind, pc, why) = match group.state {
                    State::Warp(mask) => {
                        let missing = mask & warp.live & !group.mask;
                        let lane = missing.trailing_zeros();
                        let at = warp.group_of(lane).map(|g| {
                            let pc = if matches!(g.state, State::Warp(_)) { g.pc } else { g.pc.saturating_sub(1) };
                            self.cx.site(pc).to_string()
                        });
                        let why = format!("for lane {lane}, which is at {}", at.unwrap_or_default());
                        (FindingKind::WarpMask, group.pc, why)
                    }
                    State::Barrier(id) => {
                        let b = &self.state.barriers[usize::from(id)];
                        let of = b.expected.unwrap_or(self.state.live);
                        let why = format!("with {} of {of} threads at barrier {id}", b.arrived);
                        (FindingKind::Deadlock, group.pc.saturating_sub(1), why)
                    }
                    State::Ready => continue,
                };
                let better = first.is_none_or(|(k, ..)| k == FindingKind::Deadlock && kind == FindingKind::WarpMask);
                if better {
                    first = Some((kind, pc, warp.id, group.mask));
                }
                places.push(format!("warp {} lanes {:#010x} wait at {} {why}", warp.id, group.mask, self.cx.site(pc)));
            }
        }
        let (kind, pc, warp, lanes) = first.unwrap_or((FindingKind::Deadlock, 0, 0, 0));
        let more = places.len().saturating_sub(8);
        places.truncate(8);
        let mut message = format!("no thread of the block can go on: {}", places.join("; "));
        if more > 0 {
            message += &format!("; and {more} more");
        }
        self.state.fault(kind, pc, warp, lanes, message)
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

    /// What other blocks need to know about a finished one.
    pub fn into_trace(self) -> Option<Trace> {
        self.marks.and_then(|[_, global]| Trace::new(self.number, &global, self.order))
    }
}
