//! What the threads of a block wait for, and what happens once none can go on.

use super::block::Block;
use super::mbarriers::Waits;
use super::program::Step;
use super::report::FindingKind;
use super::state::{CLUSTER, Stop};
use super::warp::{Group, State, Warp};
use crate::table::{Barrier, Meaning, window};
use crate::types::Space;

/// Places that a message names.
const NAMED: usize = 8;

impl Block<'_> {
    /// Makes threads that wait for a change of memory check again, if there has
    /// been one.
    pub fn wake_spinning(&mut self) {
        let changes = Some(self.state.changes);
        self.warps.iter_mut().for_each(|w| _ = w.wake_spinning(changes));
    }

    /// The same where another block may have changed something.
    pub fn look_again(&mut self) {
        self.warps.iter_mut().for_each(|w| _ = w.wake_spinning(None));
    }

    /// Lanes meet at `bar.warp.sync` from different places too (PTX ISA
    /// 9.7.13.2); whether some have.
    pub fn meet_apart(&mut self) -> bool {
        let mut met = false;
        for warp in &mut self.warps {
            let program = &self.cx.program;
            let is_sync = |pc: u32| matches!(program.code[pc as usize].step, Step::Barrier(Barrier::Warp));
            let waits = |g: &Group| match g.state {
                State::Warp(mask) if is_sync(g.pc) => Some(mask),
                _ => None,
            };
            let Some(mask) = warp.groups.iter().filter_map(waits).find(|&mask| {
                let there = warp.groups.iter().filter(|g| waits(g) == Some(mask)).fold(0, |m, g| m | g.mask);
                mask & warp.live & !there == 0
            }) else {
                continue;
            };
            for g in warp.groups.iter_mut().filter(|g| waits(g) == Some(mask)) {
                (g.pc, g.state) = (g.pc + 1, State::Ready);
            }
            // mutants: same [1 to 2], a count that is only compared with what it was
            warp.meetings += 1;
            self.state.order_warp(warp, mask & warp.live);
            met = true;
        }
        met
    }

    /// Nothing can go on.
    pub fn stuck(&self) -> Stop {
        let together = if self.cx.blocks() > 1 { "cluster" } else { "block" };
        self.stop(&format!("no thread of the {together} can go on"), "")
    }

    /// The block waits for memory that nothing will change: `who` says why.
    pub fn endless(&self, who: &str) -> Stop {
        let remedy = "; what they wait for is never written: look for a lock that is not given back, \
                      a thread that does not arrive, or a count that is not that of the threads or blocks";
        self.stop(who, remedy)
    }

    fn stop(&self, what: &str, remedy: &str) -> Stop {
        let mut places = Vec::new();
        let mut first: Option<(FindingKind, u32, u32, u32)> = None;
        let spins = self.warps.iter().any(Warp::is_spinning);
        for warp in &self.warps {
            let gone = warp.lanes & !warp.live;
            if gone != 0 && warp.live != 0 {
                places.push(format!("{}: lanes {gone:#010x} have exited", self.cx.warp_name(warp.id)));
            }
            for group in &warp.groups {
                let (kind, pc, why) = match group.state {
                    State::Warp(mask) => {
                        let missing = mask & warp.live & !group.mask;
                        let lane = missing.trailing_zeros();
                        let at = warp.group_of(lane).map(|g| self.cx.site(place(g)).to_string());
                        let why = format!("for lane {lane}, which is at {}", at.unwrap_or_default());
                        (FindingKind::WarpMask, group.pc, why)
                    }
                    State::Barrier(id) => {
                        let why = self.at_barrier(self.cx.rank(warp.id), id);
                        (FindingKind::Deadlock, group.pc.saturating_sub(1), why)
                    }
                    State::Spin(spin) => (FindingKind::Deadlock, spin.polls, self.polled(spin.polls, spin.at)),
                    State::Ready | State::Held => continue,
                };
                let better = first.is_none_or(|(k, ..)| k == FindingKind::Deadlock && kind == FindingKind::WarpMask);
                if if spins { first.is_none() && matches!(group.state, State::Spin(_)) } else { better } {
                    first = Some((kind, pc, warp.id, group.mask));
                }
                let (name, site) = (self.cx.warp_name(warp.id), self.cx.site(pc));
                places.push(format!("{name} lanes {:#010x} wait at {site} {why}", group.mask));
            }
        }
        let (kind, pc, warp, lanes) = first.unwrap_or((FindingKind::Deadlock, 0, 0, 0));
        let more = places.len().saturating_sub(NAMED);
        places.truncate(NAMED);
        let mut message = format!("{what}: {}", places.join("; "));
        if more > 0 {
            message += &format!("; and {more} more");
        }
        self.state.fault(kind, pc, warp, lanes, message + remedy)
    }

    /// Who has come to a barrier and who has not.
    fn at_barrier(&self, rank: u32, id: u8) -> String {
        let live = &self.state.live;
        if id == CLUSTER {
            let (b, of) = (&self.state.cluster_barrier, live.iter().sum::<u32>());
            return format!("with {} of the cluster's {of} threads at its barrier", b.arrived);
        }
        let b = &self.state.barriers[rank as usize][usize::from(id)];
        let of = b.expected.unwrap_or(live[rank as usize]);
        format!("with {} of {of} threads at barrier {id}", b.arrived)
    }

    /// What an mbarrier lacks that threads wait at.
    fn at_mbarrier(&self, at: u64) -> String {
        let at = window::as_shared(at);
        let Some(mbarrier) = self.state.mbarriers.look(at) else { return format!("for the mbarrier at {at:#x}") };
        let asked = match mbarrier.waits {
            Some(Waits::Parity(parity)) => format!("the phase of parity {parity}"),
            Some(Waits::Phase(phase)) => format!("phase {phase}"),
            None => "the phase".to_owned(),
        };
        let (phase, lacks) = (mbarrier.phase, mbarrier.lacks());
        format!("for {asked} of the mbarrier at {at:#x}, which is in phase {phase} (parity {}): {lacks}", phase & 1)
    }

    /// What a loop reads again and again.
    fn polled(&self, pc: u32, at: Option<u64>) -> String {
        let Some(at) = at else { return "in a loop that reads and changes nothing".to_owned() };
        let form = self.cx.program.sites.get(pc as usize).map(|(_, _, form)| form.get());
        let memory = match form.map(|f| &f.meaning) {
            Some(Meaning::Load(m) | Meaning::Atomic(m, _)) => m,
            Some(Meaning::Async(_)) => return self.at_mbarrier(at),
            _ => return format!("for memory at {at:#x} to change"),
        };
        let value = match memory.space {
            Space::Global => {
                self.cx.memory.near(at).filter(|a| a.holds(at, memory.bytes())).map(|a| a.load(at, memory.bytes()))
            }
            Space::Shared if self.state.shared.holds(at, u64::from(memory.bytes())) => {
                Some(self.state.shared.load(at, memory.bytes()))
            }
            _ => None,
        };
        let value = value.map_or_else(String::new, |v| format!(", which is {v:#x},"));
        format!("for {} bytes of {} memory at {at:#x}{value} to change", memory.bytes(), memory.space)
    }
}

/// Where a group's lanes are: those that wait at a barrier have left it.
fn place(group: &Group) -> u32 {
    if matches!(group.state, State::Barrier(_)) { group.pc.saturating_sub(1) } else { group.pc }
}
