//! What is ordered before what.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::table::WARP;

/// What is known of other clusters (or blocks that are in none): up to which time each of their warps' work
/// is ordered before one's own.
pub(in crate::interp) type Known = Arc<BTreeMap<u64, Arc<[u32]>>>;

/// A point that can be ordered after: for each warp of the cluster, and after them each engine, accesses
/// before this time.
#[derive(Clone, Default, Debug)]
pub(in crate::interp) struct Snapshot {
    pub warps: Vec<u32>,
    pub others: Known,
    /// For each thread: its accesses before this time are ordered before those of the asynchronous engines too, of
    /// shared memory and of global memory. Empty where no fence has done that.
    pub fenced: [Vec<u32>; 2],
}

impl Snapshot {
    /// Orders after an engine's work before a time too.
    pub fn raise(&mut self, engine: u32, time: u32) {
        let engine = engine as usize;
        if self.warps.len() <= engine {
            self.warps.resize(engine + 1, 0);
        }
        self.warps[engine] = self.warps[engine].max(time);
    }

    /// Orders after both.
    pub fn merge(&mut self, other: &Snapshot) {
        max_into(&mut self.warps, &other.warps);
        max_of_both(&mut self.fenced, &other.fenced);
        merge_known(&mut self.others, &other.others);
    }
}

/// Whether a fence between proxies is of shared memory, or of global memory: the index of [`Snapshot::fenced`].
fn side(is_global: bool) -> usize {
    usize::from(is_global)
}

fn max_of_both(to: &mut [Vec<u32>; 2], from: &[Vec<u32>; 2]) {
    to.iter_mut().zip(from).for_each(|(to, from)| max_into(to, from));
}

fn max_into(to: &mut Vec<u32>, from: &[u32]) {
    if to.len() < from.len() {
        to.resize(from.len(), 0);
    }
    for (a, &b) in to.iter_mut().zip(from) {
        *a = (*a).max(b);
    }
}

/// Adds what `from` knows.
pub(in crate::interp) fn merge_known(to: &mut Known, from: &Known) {
    // mutants: same [|| to &&], only time
    if Arc::ptr_eq(to, from) || from.is_empty() {
        return;
    }
    if to.is_empty() {
        to.clone_from(from);
        return;
    }
    let known = Arc::make_mut(to);
    for (&block, theirs) in from.iter() {
        let ours = known.entry(block).or_insert_with(|| theirs.clone());
        // mutants: same [&& to ||; > to >=], only time
        if !Arc::ptr_eq(ours, theirs) && theirs.iter().zip(ours.iter()).any(|(t, o)| t > o) {
            *ours = ours.iter().zip(theirs.iter()).map(|(&o, &t)| o.max(t)).collect();
        }
    }
}

type LaneTimes = Box<[[u32; WARP]; WARP]>;

/// A part of the asynchronous engines whose work completes in order, so that one number tells how much of it has been
/// waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::interp) enum Engine {
    /// What completes at an mbarrier, by the number of its initialization: the time is the phase.
    Mbarrier(u64),
    /// What a thread's bulk groups read of shared memory: the time is the group.
    Reads(u32),
}

/// Numbers of warps and engines are below this, so that a mark's thread takes 16 bits.
const MOST: usize = 1 << 11;

/// The clocks of a cluster.
pub(in crate::interp) struct Order {
    warps: usize,
    /// Warps of each of its blocks.
    of_block: usize,
    /// `seen[w][v]`: accesses of warp v before this time are ordered before
    /// what warp w does now. `seen[w][w]` is warp w's own time. Engines come after the warps.
    seen: Vec<Vec<u32>>,
    /// The number of each engine.
    engines: HashMap<Engine, u32>,
    /// Accesses of the warp itself before this time are ordered for all its lanes.
    base: Vec<u32>,
    /// The same between pairs of lanes, where only some lanes met.
    pairs: Vec<Option<LaneTimes>>,
    /// What each warp knows of other blocks, with the times at which it learned.
    known: Vec<Vec<(u32, Known)>>,
    /// For each warp, [`Snapshot::fenced`] as it sees it.
    fenced: Vec<[Vec<u32>; 2]>,
}

impl Order {
    /// For a cluster of so many warps, of which so many are in each block.
    pub fn new(warps: usize, of_block: usize) -> Self {
        let mut order = Order {
            warps,
            of_block: of_block.max(1),
            seen: vec![vec![0; warps]; warps],
            engines: HashMap::new(),
            base: vec![0; warps],
            pairs: vec![None; warps],
            known: vec![Vec::new(); warps],
            fenced: vec![Default::default(); warps],
        };
        (0..warps).for_each(|w| order.seen[w][w] = 1);
        order
    }

    /// The number of an engine, which stands where a warp's does; none if there are too many.
    pub fn engine(&mut self, engine: Engine) -> Option<u32> {
        let next = self.warps + self.engines.len();
        match self.engines.get(&engine) {
            Some(&number) => Some(number),
            None if next >= MOST => None,
            None => {
                self.engines.insert(engine, next as u32);
                Some(next as u32)
            }
        }
    }

    /// Whether a number is an engine's and no warp's.
    pub fn is_engine(&self, warp: u32) -> bool {
        warp as usize >= self.warps
    }

    /// A warp has waited for an engine's work before this time.
    pub fn waited(&mut self, warp: u32, engine: u32, time: u32) {
        let mut until = vec![0; engine as usize];
        until.push(time);
        max_into(&mut self.seen[warp as usize], &until);
    }

    /// Whether two warps are of one block.
    pub fn is_same_block(&self, a: u32, b: u32) -> bool {
        a as usize / self.of_block == b as usize / self.of_block
    }

    /// Whether a warp knows of anything that a block of the cluster has done.
    pub fn has_heard_of(&self, warp: u32, rank: u32) -> bool {
        let first = rank as usize * self.of_block;
        self.seen[warp as usize].iter().skip(first).take(self.of_block).any(|&time| time > 0)
    }

    /// Whether what a warp did before a time is ordered before the last of what some warp of a block did.
    pub fn is_before_block(&self, warp: u32, time: u32, rank: u32) -> bool {
        let first = rank as usize * self.of_block;
        self.seen.iter().skip(first).take(self.of_block).any(|seen| seen.get(warp as usize).is_some_and(|&t| time < t))
    }

    /// How much of a warp's or an engine's work is ordered before what a warp does now.
    #[inline]
    fn seen(&self, by: u32, warp: u32) -> u32 {
        self.seen[by as usize].get(warp as usize).copied().unwrap_or(0)
    }

    /// A warp's time.
    #[inline]
    pub fn now(&self, warp: u32) -> u32 {
        self.seen[warp as usize][warp as usize]
    }

    fn tick(&mut self, warp: u32) -> u32 {
        let time = &mut self.seen[warp as usize][warp as usize];
        *time = time.saturating_add(1);
        *time
    }

    /// What the warp has done and knows so far, for others to order after.
    pub fn release(&mut self, warp: u32) -> Snapshot {
        self.tick(warp);
        let w = warp as usize;
        let others = self.known[w].last().map(|(_, k)| k.clone()).unwrap_or_default();
        let fenced = self.fenced[w].clone();
        Snapshot { warps: self.seen[w].clone(), others, fenced }
    }

    /// Orders the warp's future after a snapshot of its own cluster.
    pub fn acquire(&mut self, warp: u32, from: &Snapshot) {
        let w = warp as usize;
        // Its own time is never behind what others have seen of it.
        let own = from.warps.get(w).copied().unwrap_or(0);
        self.base[w] = self.base[w].max(own);
        max_into(&mut self.seen[w], &from.warps);
        max_of_both(&mut self.fenced[w], &from.fenced);
        self.learn(warp, &from.others);
    }

    /// Lanes of a warp order what came before them, their own accesses and
    /// those that are ordered before these, before asynchronous accesses of shared or of global memory.
    pub fn fence_proxy(&mut self, warp: u32, mask: u32, is_global: bool) {
        let now = self.tick(warp);
        let w = warp as usize;
        let lane_time = |lane: usize| match (mask >> lane & 1, &self.pairs[w]) {
            (1, _) => now,
            (_, None) => self.base[w],
            (_, Some(pairs)) => {
                let members = (0..WARP).filter(|m| mask >> m & 1 == 1);
                members.map(|m| pairs[m][lane]).max().unwrap_or(0).max(self.base[w])
            }
        };
        let times: Vec<u32> = (0..self.warps * WARP)
            .map(|t| if t / WARP == w { lane_time(t % WARP) } else { self.seen[w][t / WARP] })
            .collect();
        max_into(&mut self.fenced[w][side(is_global)], &times);
    }

    /// Whether an access by `(warp, lane)` at `time` is ordered before
    /// asynchronous accesses that warp `by` starts now.
    pub fn is_fenced(&self, warp: u32, lane: u32, time: u32, by: u32, is_global: bool) -> bool {
        self.fenced[by as usize][side(is_global)]
            .get((warp * WARP as u32 + lane) as usize)
            .is_some_and(|&until| time < until)
    }

    /// Orders the warp's future after what is known of other blocks.
    pub fn learn(&mut self, warp: u32, others: &Known) {
        let history = &mut self.known[warp as usize];
        if others.is_empty() || history.last().is_some_and(|(_, k)| Arc::ptr_eq(k, others)) {
            return;
        }
        let mut known = history.last().map(|(_, k)| k.clone()).unwrap_or_default();
        merge_known(&mut known, others);
        let time = self.tick(warp);
        self.known[warp as usize].push((time, known));
    }

    /// What a warp knew of another block's warp at one of its own times.
    pub fn knew(&self, warp: u32, time: u32, block: u64, other: u32) -> u32 {
        let history = &self.known[warp as usize];
        let at = history.partition_point(|(t, _)| *t <= time);
        let known = at.checked_sub(1).and_then(|i| history[i].1.get(&block));
        known.and_then(|warps| warps.get(other as usize)).copied().unwrap_or(0)
    }

    /// The lanes of a mask have met.
    pub fn meet(&mut self, warp: u32, mask: u32, live: u32) {
        let time = self.tick(warp);
        let w = warp as usize;
        if mask & live == live {
            self.base[w] = time;
            self.pairs[w] = None;
            return;
        }
        let pairs = self.pairs[w].get_or_insert_with(|| Box::new([[0; WARP]; WARP]));
        let members = || (0..WARP).filter(|l| mask >> l & 1 == 1);
        let mut row = [0; WARP];
        for l in members() {
            for m in 0..WARP {
                row[m] = pairs[l][m].max(row[m]);
            }
        }
        members().for_each(|m| row[m] = time);
        members().for_each(|l| pairs[l] = row);
    }

    /// Whether an access by any lane of `warp` at `time` is ordered before
    /// what every lane of `by` does now.
    #[inline]
    pub fn is_ordered_for_all(&self, warp: u32, time: u32, by: u32) -> bool {
        if warp == by {
            return time < self.base[by as usize];
        }
        time < self.seen(by, warp)
    }

    /// Whether an access by `(warp, lane)` at `time` is ordered before what
    /// `(by, by_lane)` does now.
    #[inline]
    pub fn is_ordered(&self, warp: u32, lane: u32, time: u32, by: u32, by_lane: u32) -> bool {
        if warp != by {
            return time < self.seen(by, warp);
        }
        lane == by_lane
            || time < self.base[by as usize]
            || self.pairs[by as usize].as_ref().is_some_and(|p| time < p[by_lane as usize][lane as usize])
    }
}
