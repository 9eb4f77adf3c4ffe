//! What is ordered before what, and what clashes, against sets of accesses.
//!
//! The clocks keep a number where a set would do; here the sets are kept, of a block of three warps with a few lanes each.

mod blocks;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Access, By, Cells, Known, Order, Snapshot, Strength, Strong};
use crate::table::{Scope, WARP};
use crate::testing::Random;

const WARPS: usize = 3;
const LANES: [usize; 4] = [0, 1, 5, 31];
const LIVE: u32 = 1 | 1 << 1 | 1 << 5 | 1 << 31;

/// An access: its warp, lane and time.
type Event = (u32, usize, u32);
type Events = BTreeSet<Event>;

/// What is ordered before what each lane does now.
#[derive(Clone, Default)]
struct Model {
    all: Vec<Events>,
    /// Of other warps, for all lanes.
    seen: Vec<Events>,
    /// Of the warp itself, for each lane.
    own: Vec<Vec<Events>>,
    /// Before the asynchronous engines.
    fenced: Vec<Events>,
}

impl Model {
    fn new() -> Model {
        let none = || vec![Events::new(); WARPS];
        Model { all: none(), seen: none(), own: vec![vec![Events::new(); LANES.len()]; WARPS], fenced: none() }
    }

    fn is_ordered(&self, e: Event, by: usize, lane: usize) -> bool {
        if e.0 as usize != by {
            return self.seen[by].contains(&e);
        }
        e.1 == LANES[lane] || self.own[by][lane].contains(&e)
    }

    fn meet(&mut self, w: usize, mask: u32) {
        let members: Vec<usize> = (0..LANES.len()).filter(|&l| mask >> LANES[l] & 1 == 1).collect();
        let mut known: Events = self.all[w].iter().filter(|e| mask >> e.1 & 1 == 1).copied().collect();
        members.iter().for_each(|&l| known.extend(&self.own[w][l]));
        for l in members {
            self.own[w][l].extend(&known);
        }
    }

    fn released(&self, w: usize) -> (Events, Events) {
        (self.seen[w].union(&self.all[w]).copied().collect(), self.fenced[w].clone())
    }

    fn acquire(&mut self, w: usize, (events, fenced): &(Events, Events)) {
        for e in events {
            match e.0 as usize == w {
                true => self.own[w].iter_mut().for_each(|own| _ = own.insert(*e)),
                false => _ = self.seen[w].insert(*e),
            }
        }
        self.fenced[w].extend(fenced);
    }

    fn fence(&mut self, w: usize, mask: u32) {
        let mut before = self.seen[w].clone();
        for l in (0..LANES.len()).filter(|&l| mask >> LANES[l] & 1 == 1) {
            before.extend(&self.own[w][l]);
            before.extend(self.all[w].iter().filter(|e| e.1 == LANES[l]));
        }
        self.fenced[w].extend(before);
    }
}

#[test]
fn clocks_are_sets_of_accesses() {
    let mut random = Random::new(11);
    let mut below = |n: usize| random.below(n as u64) as usize;
    for _ in 0..400 {
        let (mut order, mut model) = (Order::new(WARPS, WARPS), Model::new());
        let mut told: Vec<(Snapshot, (Events, Events))> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        for _ in 0..40 {
            let w = below(WARPS);
            let warp = w as u32;
            let mask = LANES.iter().filter(|_| below(2) == 1).fold(0, |m, l| m | 1 << l);
            match below(8) {
                0..=2 => {
                    let e = (warp, LANES[below(LANES.len())], order.now(warp));
                    if !events.contains(&e) {
                        events.push(e);
                        model.all[w].insert(e);
                    }
                }
                3 if mask != 0 => {
                    order.meet(warp, mask, LIVE);
                    model.meet(w, mask);
                }
                4 => {
                    order.meet(warp, LIVE, LIVE);
                    model.meet(w, LIVE);
                }
                5 => told.push((order.release(warp), model.released(w))),
                6 if !told.is_empty() => {
                    let (snapshot, sets) = told[below(told.len())].clone();
                    let (more, other) = told[below(told.len())].clone();
                    let (mut both, mut all) = (snapshot, sets);
                    both.merge(&more);
                    all.0.extend(&other.0);
                    all.1.extend(&other.1);
                    order.acquire(warp, &both);
                    model.acquire(w, &all);
                }
                7 if mask != 0 => {
                    order.fence_proxy(warp, mask, false);
                    model.fence(w, mask);
                }
                _ => {}
            }
            for &e in &events {
                for by in 0..WARPS {
                    for (l, lane) in LANES.iter().enumerate() {
                        let found = order.is_ordered(e.0, e.1 as u32, e.2, by as u32, *lane as u32);
                        assert_eq!(found, model.is_ordered(e, by, l), "{e:?} before warp {by} lane {lane}");
                    }
                    let for_all = (0..LANES.len()).all(|l| model.is_ordered(e, by, l));
                    if order.is_ordered_for_all(e.0, e.2, by as u32) {
                        assert!(for_all, "{e:?} before all of warp {by}");
                    } else if e.0 as usize != by {
                        assert!(!for_all, "{e:?} before all of warp {by}");
                    }
                    let fenced = order.is_fenced(e.0, e.1 as u32, e.2, by as u32, false);
                    assert_eq!(fenced, model.fenced[by].contains(&e), "{e:?} fenced for warp {by}");
                }
            }
        }
    }
}

/// What a warp knew of other blocks, and when.
#[test]
fn known_of_other_blocks() {
    let known = |list: &[(u64, &[u32])]| -> Known { Arc::new(list.iter().map(|(b, t)| (*b, Arc::from(*t))).collect()) };
    let mut order = Order::new(2, 2);
    let start = order.now(1);
    order.learn(1, &Known::default());
    assert_eq!(order.now(1), start, "nothing was learned");
    order.learn(1, &known(&[(7, &[3, 0])]));
    let first = order.now(1);
    assert!(first > start);
    order.learn(1, &known(&[(7, &[2, 5]), (9, &[1])]));
    let second = order.now(1);
    let knew = |time: u32, block: u64, other: u32| order.knew(1, time, block, other);
    assert_eq!([knew(start, 7, 0), knew(first - 1, 7, 0), knew(first, 7, 0), knew(second, 7, 0)], [0, 0, 3, 3]);
    assert_eq!([knew(first, 7, 1), knew(second - 1, 7, 1), knew(second, 7, 1), knew(second, 7, 2)], [0, 0, 5, 0]);
    assert_eq!([knew(second, 9, 0), knew(first, 9, 0), knew(second, 8, 0), order.knew(0, second, 7, 0)], [1, 0, 0, 0]);
    // It is passed on.
    let snapshot = order.release(1);
    order.acquire(0, &snapshot);
    assert_eq!((order.knew(0, order.now(0), 7, 1), order.knew(0, order.now(0), 9, 0)), (5, 1));
    let time = order.now(0);
    order.acquire(0, &snapshot);
    assert_eq!(order.now(0), time, "the same again is nothing new");
}

/// An access of one lane, to `bytes` bytes at `at`.
#[derive(Clone, Copy, Debug)]
struct One {
    thread: u32,
    time: u32,
    at: u64,
    bytes: u64,
    access: Access,
    value: u128,
    pc: u32,
}

/// Whether both are strong and of one size.
fn strong(a: Access, b: Access) -> bool {
    matches!((a.strength, b.strength), (Strength::Strong(a), Strength::Strong(b)) if a.bytes() == b.bytes())
}

/// Whether two accesses to a byte clash, if nothing orders them; and whether it is about read-only data.
fn clash(a: Access, b: Access) -> Option<bool> {
    if a.read_only && b.write || b.read_only && a.write {
        return Some(true);
    }
    ((a.write || b.write) && !strong(a, b)).then_some(false)
}

/// Where bytes are accessed a few times, every clash is found and none that is not.
#[test]
fn every_clash_is_found() {
    let mut random = Random::new(5);
    let mut below = |n: usize| random.below(n as u64) as usize;
    let (mut clashes, mut quiet) = (0, 0);
    for round in 0..3000 {
        let mut order = Order::new(2, 2);
        let mut cells = Cells::default();
        let mut done: Vec<One> = Vec::new();
        let base = [0, 4096 - 128, 1 << 20][below(3)];
        // Whether more is known of a place than its cell keeps.
        let mut forgotten = false;
        for serial in 0..below(4) + 1 {
            let warp = below(2) as u32;
            if below(3) == 0 {
                let (from, to) = (warp, 1 - warp);
                let snapshot = order.release(from);
                order.acquire(to, &snapshot);
            }
            if below(3) == 0 {
                order.meet(warp, [u32::MAX, 0xff, 0xffff_0000][below(3)], u32::MAX);
            }
            let bytes = [1, 2, 4, 4, 4, 8, 16][below(7)];
            let start = base + [0, 0, 32, 4, 16][below(5)] / bytes * bytes;
            let stride = [bytes, bytes, bytes, 2 * bytes, 0][below(5)];
            let mask = [u32::MAX, u32::MAX, 0xff, 0xff00, 1, 1 << 31, 0x0f0f_0f0f][below(7)];
            let at: [u64; WARP] = std::array::from_fn(|l| start + stride * l as u64);
            let (write, alike) = (below(2) == 1, below(2) == 1);
            let strength =
                [Strength::Weak, Strength::Weak, Strength::Strong(Strong::new(Scope::Gpu, bytes.min(4) as u32))]
                    [below(3)];
            let access = Access { write, strength, read_only: !write && below(6) == 0 };
            let values: [u128; WARP] = std::array::from_fn(|l| if alike { 7 } else { l as u128 });
            let pc = below(2) as u32;
            let by = By { warp, pc, serial: serial as u16 };
            let mut found: Vec<(u32, u64, u32, bool)> = Vec::new();
            let values_of = (write && strength == Strength::Weak).then_some(&values);
            cells.access(&order, by, mask, &at, bytes as u32, access, values_of, |c| {
                found.push((c.lane, c.address, u32::from(c.other.thread), c.read_only));
            });
            // The same, lane by lane and byte by byte.
            let mut expected: Vec<(u32, BTreeSet<(u32, bool)>)> = Vec::new();
            let before = done.len();
            for l in (0..WARP).filter(|l| mask >> l & 1 == 1) {
                let lane = l as u32;
                let mine = One {
                    thread: warp * 32 + lane,
                    time: order.now(warp),
                    at: at[l],
                    bytes,
                    access,
                    value: values[l],
                    pc,
                };
                let mut with = BTreeSet::new();
                for (i, old) in done.iter().enumerate() {
                    let overlaps = old.at < mine.at + bytes && mine.at < old.at + old.bytes;
                    let Some(read_only) = clash(old.access, access).filter(|_| overlaps) else { continue };
                    let (w, by_lane) = (old.thread / 32, old.thread % 32);
                    let ordered = order.is_ordered(w, by_lane, old.time, warp, lane);
                    let together = i >= before && old.value == mine.value && values_of.is_some();
                    if read_only || !ordered && !together {
                        with.insert((old.thread, read_only));
                    }
                }
                if !with.is_empty() {
                    expected.push((lane, with));
                }
                done.push(mine);
            }
            // For an address that all lanes access, some lanes represent all.
            let together = stride == 0;
            for (lane, address, other, read_only) in &found {
                let real = expected.iter().find(|(l, _)| l == lane);
                assert!(
                    real.is_some_and(|(_, with)| with.contains(&(*other, *read_only))),
                    "{round}: lane {lane} at {address:x} with {other} is no clash; {access:?} {at:x?} {done:?}"
                );
            }
            if together {
                assert!(
                    forgotten || expected.is_empty() || !found.is_empty(),
                    "{round}: none of {expected:?}: {access:?} {bytes} bytes at {at:x?} after {:?}",
                    &done[..before]
                );
            } else if !forgotten {
                let lanes: BTreeSet<u32> = found.iter().map(|f| f.0).collect();
                let wanted: BTreeSet<u32> = expected.iter().map(|(l, _)| *l).collect();
                assert_eq!(lanes, wanted, "{round}: {access:?} {bytes} bytes at {at:x?} after {:?}", &done[..before]);
            }
            // A weak write puts what was there out of sight; of one place for many lanes, the last is kept.
            forgotten |= stride == 0 || serial > 0 && write && strength == Strength::Weak;
            clashes += usize::from(!expected.is_empty());
            quiet += usize::from(expected.is_empty());
            if !expected.is_empty() {
                break;
            }
        }
    }
    assert!(clashes > 500 && quiet > 1000, "{clashes} {quiet}");
}

/// A write is found at its first byte, and every mark is located by address.
#[test]
fn marks_are_found_again() {
    let mut order = Order::new(1, 1);
    let mut cells = Cells::default();
    let at: [u64; WARP] = std::array::from_fn(|l| 64 + 4 * l as u64);
    let write = Access { write: true, strength: Strength::Weak, read_only: false };
    let read = Access { write: false, ..write };
    let by = |pc| By { warp: 0, pc, serial: 0 };
    cells.access(&order, by(1), u32::MAX, &at, 4, write, None, |_| panic!("no clash"));
    cells.access(&order, by(2), 1, &[256; WARP], 4, read, None, |_| panic!("no clash"));
    cells.access(&order, by(3), 1, &[8192 + 33; WARP], 1, write, None, |_| panic!("no clash"));
    let found = |at: u64, bytes: u64| cells.find_write(at, bytes, |_| true).map(|(at, m)| (at, m.pc, m.lane()));
    assert_eq!(found(64, 4), Some((64, 1, 0)));
    assert_eq!(found(60, 4), None);
    assert_eq!(found(60, 8), Some((64, 1, 0)));
    assert_eq!(found(188, 4), Some((188, 1, 31)));
    assert_eq!(found(192, 64), None);
    assert_eq!(found(256, 4), None, "it was read");
    assert_eq!(found(8192 + 33, 1), Some((8192 + 33, 3, 0)));
    assert_eq!(found(8192 + 32, 1), None);
    assert!(cells.find_write(64, 4, |m| m.pc == 2).is_none());
    let mut told: Vec<(u64, u64, u32)> = Vec::new();
    cells.for_each(|start, size, mark| told.push((start, size, mark.pc)));
    assert_eq!(told, [(64, 32, 1), (96, 32, 1), (128, 32, 1), (160, 32, 1), (256, 4, 2), (8192 + 33, 1, 3)]);
    // A write over all of a line makes it whole again, if nothing clashes.
    order.meet(0, u32::MAX, u32::MAX);
    let at: [u64; WARP] = std::array::from_fn(|l| 256 + 4 * l as u64);
    cells.access(&order, by(4), u32::MAX, &at, 4, write, None, |_| panic!("no clash"));
    let mut told: Vec<(u64, u64, u32)> = Vec::new();
    cells.for_each(|start, size, mark| told.push((start, size, mark.pc)));
    assert_eq!(told[4..], [(256, 32, 4), (288, 32, 4), (320, 32, 4), (352, 32, 4), (8192 + 33, 1, 3)]);
}
