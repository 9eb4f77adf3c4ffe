//! Asynchronous copies that have been issued and not yet been waited for.

use std::collections::HashMap;

use super::shadow::Snapshot;
use super::warp::lanes;
use crate::table::WARP;
use crate::types::Space;

/// Bytes that one counter of pending accesses covers; the least size of a copy.
const GRAIN: u64 = 4;

/// How a copy tells that it is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Completion {
    /// With its thread's group of `cp.async` copies.
    Group,
    /// With its thread's group of bulk copies.
    BulkGroup,
    /// By its bytes, at the mbarrier at this shared address.
    Mbarrier(u64),
}

/// One copy by one thread.
#[derive(Clone)]
pub(super) struct Copy {
    pub pc: u32,
    /// `warp * 32 + lane`.
    pub thread: u32,
    pub completion: Completion,
    /// The group, once it is committed.
    group: Option<u64>,
    pub from: (Space, u64),
    pub to: (Space, u64),
    pub bytes: u32,
    /// Zeros written behind them.
    pub zeros: u32,
    /// Whether the data is already there.
    pub landed: bool,
    /// What the thread had done when it issued the copy.
    pub clock: Snapshot,
    /// Whether the source has been waited for.
    source_read: bool,
}

impl Copy {
    pub fn new(pc: u32, thread: u32, completion: Completion, from: (Space, u64), to: (Space, u64)) -> Self {
        let clock = Snapshot::default();
        Copy {
            pc,
            thread,
            completion,
            group: None,
            from,
            to,
            bytes: 0,
            zeros: 0,
            landed: false,
            clock,
            source_read: false,
        }
    }
}

/// The copies of a block under way.
#[derive(Default)]
pub(super) struct Copies {
    pending: Vec<Copy>,
    /// Groups that each thread has committed, of both kinds.
    committed: HashMap<(u32, bool), u64>,
    /// For each grain of shared memory, how many copies write it, and read it.
    writing: Vec<u16>,
    reading: Vec<u16>,
    /// Whether any counter may be above zero.
    busy: bool,
}

fn grains(at: u64, bytes: u32) -> std::ops::Range<usize> {
    (at / GRAIN) as usize..((at + u64::from(bytes)).div_ceil(GRAIN)) as usize
}

impl Copies {
    pub fn new(shared_bytes: u64) -> Self {
        let n = shared_bytes.div_ceil(GRAIN) as usize;
        Copies { writing: vec![0; n], reading: vec![0; n], ..Copies::default() }
    }

    pub fn add(&mut self, copy: Copy) {
        self.busy = true;
        self.mark(&copy, true);
        self.pending.push(copy);
    }

    /// Counts a copy's accesses to shared memory in or out.
    fn mark(&mut self, copy: &Copy, begins: bool) {
        let all = copy.bytes + copy.zeros;
        let source = (!copy.source_read).then_some((&mut self.reading, copy.from, copy.bytes));
        for (counters, (space, at), n) in source.into_iter().chain([(&mut self.writing, copy.to, all)]) {
            if space == Space::Shared {
                for counter in counters.get_mut(grains(at, n)).into_iter().flatten() {
                    *counter = if begins { counter.saturating_add(1) } else { counter.saturating_sub(1) };
                }
            }
        }
    }

    /// Lanes whose access to shared memory meets a copy that is still under way.
    #[inline]
    pub fn clashes(&self, mask: u32, at: &[u64; WARP], bytes: u32, write: bool) -> u32 {
        if !self.busy {
            return 0;
        }
        let meets = |lane: &usize| {
            let range = grains(at[*lane], bytes);
            let busy = |counters: &[u16]| counters.get(range.clone()).is_some_and(|c| c.iter().any(|&n| n > 0));
            busy(&self.writing) || write && busy(&self.reading)
        };
        lanes(mask).filter(meets).fold(0, |m, lane| m | 1 << lane)
    }

    /// Closes the group of each lane's copies.
    pub fn commit(&mut self, warp: u32, mask: u32, bulk: bool) {
        let kind = if bulk { Completion::BulkGroup } else { Completion::Group };
        for lane in lanes(mask) {
            *self.committed.entry((warp * 32 + lane as u32, bulk)).or_default() += 1;
        }
        for copy in &mut self.pending {
            let mine = copy.thread / 32 == warp && mask >> (copy.thread % 32) & 1 == 1;
            if mine && copy.completion == kind && copy.group.is_none() {
                copy.group = self.committed.get(&(copy.thread, bulk)).copied();
            }
        }
    }

    /// Takes the copies for which `pick` holds out of those under way.
    pub fn take(&mut self, mut pick: impl FnMut(&Copy) -> bool) -> Vec<Copy> {
        let mut taken: Vec<Copy> = self.pending.extract_if(.., |c| pick(c)).collect();
        taken.iter_mut().for_each(|c| self.mark(c, false));
        self.busy = !self.pending.is_empty();
        taken
    }

    /// Takes the copies of lanes' groups of which at most `allowed` may stay pending.
    pub fn take_groups(&mut self, warp: u32, mask: u32, bulk: bool, allowed: u64) -> Vec<Copy> {
        let kind = if bulk { Completion::BulkGroup } else { Completion::Group };
        let committed = std::mem::take(&mut self.committed);
        let taken = self.take(|c| is_due(c, &committed, warp, mask, kind, allowed));
        self.committed = committed;
        taken
    }

    /// The sources of those groups have been read; gives copies whose data is to land now.
    pub fn sources_read(&mut self, warp: u32, mask: u32, allowed: u64) -> Vec<Copy> {
        let mut taken = self.take_groups(warp, mask, true, allowed);
        let to_land = taken.clone();
        for copy in &mut taken {
            (copy.source_read, copy.landed) = (true, true);
        }
        taken.into_iter().for_each(|copy| self.add(copy));
        to_land
    }
}

fn is_due(
    copy: &Copy,
    committed: &HashMap<(u32, bool), u64>,
    warp: u32,
    mask: u32,
    kind: Completion,
    allowed: u64,
) -> bool {
    let mine = copy.thread / 32 == warp && mask >> (copy.thread % 32) & 1 == 1 && copy.completion == kind;
    let total = committed.get(&(copy.thread, kind == Completion::BulkGroup)).copied().unwrap_or(0);
    mine && copy.group.is_some_and(|g| g + allowed <= total)
}
