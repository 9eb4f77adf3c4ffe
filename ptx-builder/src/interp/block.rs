//! The blocks of a cluster, most often one: their warps, and the order in which they run.

use std::collections::{BTreeMap, HashMap};

use super::bytes::Bytes;
use super::context::Context;
use super::copies::Copies;
use super::counters::Counts;
use super::exec;
use super::findings::Findings;
use super::mbarriers::Mbarriers;
use super::report::FindingKind;
use super::schedule::Scheduler;
use super::shadow::Order;
use super::shared::Shared;
use super::state::{BlockState, CLUSTER, Stop};
use super::sync::{Barrier, Sync};
use super::warp::{State, Warp};
use super::wide::{BlockWide, Wide};
use crate::table::WARP;

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

/// A cluster under execution.
pub(super) struct Block<'a> {
    pub cx: &'a Context<'a>,
    pub warps: Vec<Warp>,
    scheduler: Scheduler,
    pub state: BlockState,
}

impl<'a> Block<'a> {
    pub fn new(cx: &'a Context<'a>, number: u64) -> Self {
        let threads = cx.threads();
        let warp = |id: u32| {
            let in_block = cx.warp_in_block(id);
            let count = (threads - in_block * WARP as u32).min(WARP as u32);
            let mut warp = Warp::new(in_block, count, cx.block, cx.program.registers);
            warp.id = id;
            warp
        };
        let mut warps: Vec<Warp> = (0..cx.blocks() * cx.warps() as u32).map(warp).collect();
        warps.iter_mut().for_each(|warp| warp.wide = cx.wide.as_ref().map(Wide::registers));
        let widest = cx.program.widest;
        let counts = if cx.options.count { cx.program.code.len() } else { 0 };
        let state = BlockState {
            number,
            shared: Shared::uninit(cx.blocks(), cx.layout.shared_bytes),
            local: Bytes::uninit(cx.layout.local_bytes as usize * warps.len() * WARP),
            steps: 0,
            changes: 0,
            counts: vec![Counts::default(); counts],
            src: vec![[0; WARP]; widest],
            dst: vec![[0; WARP]; widest],
            findings: Findings::default(),
            printed: String::new(),
            live: vec![threads; cx.blocks() as usize],
            lets_start: false,
            waited: false,
            barriers: (0..cx.blocks()).map(|_| Default::default()).collect(),
            cluster_barrier: Barrier::default(),
            released: Vec::new(),
            order: Order::new(warps.len(), cx.warps()),
            sync: Sync::new(warps.len()),
            copies: Copies::new(cx.blocks(), cx.layout.shared_bytes, cx.options.check.races),
            mbarriers: Mbarriers::default(),
            issuers: HashMap::new(),
            remote: BTreeMap::new(),
            wide: BlockWide::default(),
            marks: cx.options.check.races.then(Default::default),
        };
        Block { cx, scheduler: Scheduler::new(cx.options.order, number), warps, state }
    }

    /// Whether some of its threads wait for other launches.
    pub fn is_held(&self) -> bool {
        self.warps.iter().any(Warp::is_held)
    }

    /// Makes threads that wait for other launches check again.
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
                    self.state.after_exit();
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
        while let Some((rank, id, barrier)) = self.state.released.pop() {
            // A warp may have arrived at the cluster's next barrier already.
            let arrived = &self.state.sync.cluster_arrived;
            let has_ended = |warp: &Warp| arrived[warp.id as usize] < self.state.sync.cluster_phase;
            let meets = |warp: &Warp| if id == CLUSTER { has_ended(warp) } else { self.cx.rank(warp.id) == rank };
            for warp in self.warps.iter_mut().filter(|warp| meets(warp)) {
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
                    self.state.sync.has_met[warp.id as usize] |= id == CLUSTER;
                    // What came after the arrival at the cluster's barrier is not ordered by the wait for it.
                    if id != CLUSTER {
                        self.state.order.meet(warp.id, waited, warp.live);
                    }
                }
            }
            let st = &mut self.state;
            if id == CLUSTER {
                continue;
            }
            let live = st.live[rank as usize];
            if live < self.cx.threads() && barrier.expected.is_none() {
                let gone = self.cx.threads() - live;
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
