//! Asynchronous copies that have been issued and not yet been waited for.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::mask::lanes;
use super::shadow::{PageHasher, Snapshot};
use crate::table::WARP;
use crate::table::window::{shared_offset, shared_rank};
use crate::types::Space;

/// Bytes that one counter of pending accesses covers; the least size of a copy.
const GRAIN: u64 = 4;

/// How a copy signals its completion.
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
    /// Zeros written after them.
    pub zeros: u32,
    /// Whether the data is already there.
    pub landed: bool,
    /// What the thread had done when it issued the copy.
    pub clock: Snapshot,
    /// Whether the source has been waited for.
    pub source_read: bool,
    /// How many copies of the block were issued before it.
    pub number: u64,
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
            number: 0,
        }
    }
}

/// Grains of global memory on a page of counters.
const PAGE: u64 = 256;

/// How many copies access each grain.
#[derive(Default)]
struct Counters {
    /// Of each block of the cluster.
    shared: Vec<Vec<u16>>,
    global: HashMap<u64, Box<[u16]>, BuildHasherDefault<PageHasher>>,
    /// Copies that access global memory.
    in_global: u64,
}

impl Counters {
    /// Counts a copy's access in or out.
    fn count(&mut self, (space, at): (Space, u64), bytes: u32, begins: bool) {
        let step = |counter: &mut u16| {
            *counter = if begins { counter.saturating_add(1) } else { counter.saturating_sub(1) };
        };
        match space {
            Space::Shared => {
                let grains = grains(shared_offset(at), bytes);
                let grains = grains.start as usize..grains.end as usize;
                let block = self.shared.get_mut(shared_rank(at) as usize);
                block.and_then(|block| block.get_mut(grains)).into_iter().flatten().for_each(step);
            }
            _ => {
                self.in_global = if begins { self.in_global + 1 } else { self.in_global.saturating_sub(1) };
                for grain in grains(at, bytes) {
                    let page = self.global.entry(grain / PAGE).or_insert_with(|| vec![0; PAGE as usize].into());
                    step(&mut page[(grain % PAGE) as usize]);
                }
                if self.in_global == 0 {
                    self.global.clear();
                }
            }
        }
    }

    /// Whether a copy accesses any of these bytes.
    fn any(&self, space: Space, at: u64, bytes: u32) -> bool {
        match space {
            Space::Shared => {
                let grains = grains(shared_offset(at), bytes);
                let block = self.shared.get(shared_rank(at) as usize);
                let counters = block.and_then(|block| block.get(grains.start as usize..grains.end as usize));
                counters.is_some_and(|c| c.iter().any(|&n| n > 0))
            }
            _ => grains(at, bytes)
                .any(|g| self.global.get(&(g / PAGE)).is_some_and(|page| page[(g % PAGE) as usize] > 0)),
        }
    }

    /// Whether any copy may be found in a space.
    fn are_in(&self, space: Space) -> bool {
        space == Space::Shared || self.in_global > 0
    }
}

/// The copies of a cluster under way.
#[derive(Default)]
pub(super) struct Copies {
    pending: Vec<Copy>,
    /// Groups that each thread has committed, of both kinds.
    committed: HashMap<(u32, bool), u64>,
    /// How many copies write each piece of memory, and read it.
    writing: Counters,
    reading: Counters,
    /// Whether any counter may be above zero.
    busy: bool,
    /// Copies issued so far.
    issued: u64,
    /// Whether the marks of engines tell who touches shared memory that a bulk copy accesses.
    has_marks: bool,
}

fn grains(at: u64, bytes: u32) -> std::ops::Range<u64> {
    at / GRAIN..at.saturating_add(u64::from(bytes)).div_ceil(GRAIN)
}

impl Copies {
    /// For a cluster of so many blocks, with so much shared memory each.
    pub fn new(blocks: u32, shared_bytes: u64, has_marks: bool) -> Self {
        let n = shared_bytes.div_ceil(GRAIN) as usize;
        let counters = || Counters { shared: vec![vec![0; n]; blocks as usize], ..Counters::default() };
        Copies { writing: counters(), reading: counters(), has_marks, ..Copies::default() }
    }

    /// A copy that begins.
    pub fn issue(&mut self, mut copy: Copy) {
        copy.number = self.issued;
        self.issued += 1;
        self.add(copy);
    }

    /// The copies that have not been waited for.
    pub fn pending(&self) -> &[Copy] {
        &self.pending
    }

    /// Bulk groups that a thread has committed: the number of the one that its next copies belong to.
    pub fn bulk_group(&self, thread: u32) -> u64 {
        self.committed.get(&(thread, true)).copied().unwrap_or(0)
    }

    /// Copies issued so far.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    fn add(&mut self, copy: Copy) {
        self.busy = true;
        self.mark(&copy, true);
        self.pending.push(copy);
    }

    /// Counts a copy's accesses in or out.
    fn mark(&mut self, copy: &Copy, begins: bool) {
        let counts = |space| space != Space::Shared || copy.completion == Completion::Group || !self.has_marks;
        if !copy.source_read && counts(copy.from.0) {
            self.reading.count(copy.from, copy.bytes, begins);
        }
        if counts(copy.to.0) {
            self.writing.count(copy.to, copy.bytes + copy.zeros, begins);
        }
    }

    /// Lanes whose access meets a copy that is still under way: of memory that it writes, or a write to memory that it reads.
    #[inline]
    pub fn clashes(&self, space: Space, mask: u32, at: &[u64; WARP], bytes: u32, write: bool) -> u32 {
        let (written, read) = (self.writing.are_in(space), write && self.reading.are_in(space));
        if !self.busy || !(written || read) {
            return 0;
        }
        let meets = |lane: &usize| {
            let at = at[*lane];
            written && self.writing.any(space, at, bytes) || read && self.reading.any(space, at, bytes)
        };
        lanes(mask).filter(meets).fold(0, |m, lane| m | 1 << lane)
    }

    /// The same for a range of shared memory that a bulk copy accesses.
    pub fn clashes_with_range(&self, at: u64, bytes: u64, write: bool) -> bool {
        let bytes = bytes.min(u64::from(u32::MAX)) as u32;
        let meets = |counters: &Counters| counters.any(Space::Shared, at, bytes);
        self.busy && (meets(&self.writing) || write && meets(&self.reading))
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

    /// Removes the copies for which `pick` is true from the pending ones.
    pub fn take(&mut self, mut pick: impl FnMut(&Copy) -> bool) -> Vec<Copy> {
        let mut taken: Vec<Copy> = self.pending.extract_if(.., |c| pick(c)).collect();
        taken.iter_mut().for_each(|c| self.mark(c, false));
        self.busy = !self.pending.is_empty();
        taken
    }

    /// Takes the first copy that is to complete at an mbarrier.
    pub fn take_first(&mut self, mbarrier: u64) -> Option<Copy> {
        let first = self.pending.iter().position(|c| c.completion == Completion::Mbarrier(mbarrier))?;
        let copy = self.pending.remove(first);
        self.mark(&copy, false);
        self.busy = !self.pending.is_empty();
        Some(copy)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy of 8 bytes by a thread, from shared byte 64 to shared byte 16.
    fn copy(thread: u32, completion: Completion) -> Copy {
        Copy { bytes: 8, ..Copy::new(0, thread, completion, (Space::Shared, 64), (Space::Shared, 16)) }
    }

    /// Whether an access of 4 bytes by lane 3 meets a copy.
    fn meets(copies: &Copies, at: u64, write: bool) -> bool {
        let clashes = copies.clashes(Space::Shared, 8, &[at; WARP], 4, write);
        assert!(clashes == 0 || clashes == 8);
        clashes != 0
    }

    #[test]
    fn accesses_meet_copies_under_way() {
        let mut copies = Copies::new(1, 100, false);
        assert!(!meets(&copies, 16, true));
        copies.add(Copy { zeros: 8, ..copy(0, Completion::Group) });
        for (at, read, write) in [
            (12, false, false),
            (16, true, true),
            (20, true, true),
            (24, true, true),
            (28, true, true),
            (32, false, false),
            (60, false, false),
            (64, false, true),
            (68, false, true),
            (72, false, false),
        ] {
            assert_eq!((meets(&copies, at, false), meets(&copies, at, true)), (read, write), "byte {at}");
        }
        // Two copies to the same place: it is free when both have come.
        copies.add(copy(1, Completion::Group));
        assert_eq!(copies.take(|c| c.thread == 0).len(), 1);
        assert!(meets(&copies, 16, false) && !meets(&copies, 24, false));
        assert_eq!(copies.take(|_| true).len(), 1);
        assert!(!meets(&copies, 16, true) && !meets(&copies, 64, true));
    }

    /// Global memory that a copy reads may be read, and what it writes may not be touched.
    #[test]
    fn accesses_of_global_memory_meet_copies() {
        let mut copies = Copies::new(1, 100, false);
        let (global, shared) = ((Space::Global, 1 << 40), (Space::Shared, 0));
        let meets = |copies: &Copies, at: u64, write| copies.clashes(Space::Global, 8, &[at; WARP], 4, write) == 8;
        let load = Copy { bytes: 8, ..Copy::new(0, 0, Completion::Group, global, shared) };
        let store = Copy { bytes: 2048, ..Copy::new(0, 1, Completion::BulkGroup, shared, global) };
        assert!(!meets(&copies, 1 << 40, true));
        copies.issue(load);
        assert_eq!(copies.issued(), 1);
        let at = |k: u64| (1 << 40) + k;
        for (k, write) in [(0, true), (4, true), (8, false)] {
            assert_eq!((meets(&copies, at(k), false), meets(&copies, at(k), write)), (false, write), "byte {k}");
        }
        assert!(!meets(&copies, at(0) - 4, true));
        copies.issue(store);
        assert!([0, 8, 1024, 2044].iter().all(|&k| meets(&copies, at(k), false) && meets(&copies, at(k), true)));
        assert!(!meets(&copies, at(2048), true));
        assert_eq!(copies.take(|c| c.thread == 1).len(), 1);
        assert!(meets(&copies, at(0), true) && !meets(&copies, at(8), true));
        assert_eq!(copies.take(|_| true)[0].number, 0);
        assert!(!meets(&copies, at(0), true) && copies.reading.global.is_empty());
    }

    #[test]
    fn groups_are_their_threads_own() {
        let mut copies = Copies::new(1, 100, false);
        // Three groups of thread 33; one copy of its neighbour and of another warp; one that is in none.
        for _ in 0..3 {
            copies.add(copy(33, Completion::Group));
            copies.commit(1, 1 << 1, false);
        }
        copies.add(copy(34, Completion::Group));
        copies.add(copy(1, Completion::Group));
        copies.commit(1, 1 << 2, false);
        copies.add(copy(33, Completion::Group));
        copies.add(copy(33, Completion::BulkGroup));
        let mut due = |warp, mask, bulk, allowed| copies.take_groups(warp, mask, bulk, allowed).len();
        assert_eq!(due(1, 1 << 1, false, 3), 0);
        assert_eq!(due(1, 1 << 1, false, 1), 2);
        assert_eq!(due(1, 1 << 1, false, 0), 1);
        assert_eq!(due(1, 1 << 1, true, 0), 0, "not committed");
        assert_eq!(due(0, 1 << 1, false, 0), 0, "not committed");
        assert_eq!(due(0, 1 << 2, false, 0), 0, "another warp's");
        assert_eq!(due(1, 1 << 2, false, 0), 1);
        copies.commit(1, 1 << 1, true);
        assert_eq!(copies.take_groups(1, 1 << 1, false, 0).len(), 0, "a commit of bulk copies");
        assert_eq!(copies.take_groups(1, 1 << 1, true, 0).len(), 1);
        copies.commit(1, 1 << 1, false);
        assert_eq!(copies.take_groups(1, u32::MAX, false, 0).len(), 1);
        assert_eq!(copies.take(|_| true).len(), 1, "that of thread 1");
    }

    #[test]
    fn a_source_that_was_read_may_be_written() {
        let mut copies = Copies::new(1, 100, false);
        copies.add(copy(0, Completion::BulkGroup));
        copies.commit(0, 1, true);
        assert!(meets(&copies, 64, true));
        assert_eq!(copies.sources_read(0, 1, 1).len(), 0);
        assert!(meets(&copies, 64, true));
        let landing = copies.sources_read(0, 1, 0);
        assert!(landing.len() == 1 && !landing[0].landed);
        assert!(!meets(&copies, 64, true) && meets(&copies, 16, false));
        let whole = copies.take_groups(0, 1, true, 0);
        assert!(whole.len() == 1 && whole[0].landed);
        assert!(!meets(&copies, 16, true) && !meets(&copies, 64, true));
    }
}
