//! Accesses next to each other that are like one: the halves of an f64 that are stored one after
//! the other, or loaded so, with nothing between that could see or change one half alone.

use std::collections::HashMap;

use crate::analysis::precision::flow::Flow;
use crate::analysis::precision::place::access;
use crate::analysis::{DefId, InstId};
use crate::ir::{Base, Inst, Operand, Reg, Symbol};
use crate::table::{Meaning, Memory, Order, Precision};
use crate::types::Space;

/// The position of an access in its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The first access.
    pub first: u32,
    /// The distance from a multiple of [`UNIT`] bytes at or before the first.
    pub at: i64,
    /// Whether it is the last.
    pub last: bool,
}

/// Bytes of the largest float, which run addresses are counted from a multiple of.
const UNIT: i64 = 8;

/// A start of an address and a guard: equal ones are the same at both places.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Key {
    space: Space,
    base: Option<(Reg, Vec<DefId>)>,
    symbol: Option<Symbol>,
    guard: Option<(bool, Reg, Vec<DefId>)>,
}

struct Open {
    key: Key,
    first: u32,
    /// Each access with its place and size.
    members: Vec<(u32, i64, i64)>,
    /// What is to be added to an offset.
    start: i64,
}

/// A store whose bytes nothing has overwritten yet.
struct Written {
    key: Key,
    store: u32,
    bytes: std::ops::Range<i64>,
}

/// All runs of a kernel.
#[derive(Default)]
pub(super) struct Runs {
    of: HashMap<u32, Member>,
    members: HashMap<u32, Vec<(u32, i64)>>,
    /// Loads of what the same thread has just stored: each store, and where it begins, counted from the load.
    forwarded: HashMap<u32, Vec<(u32, i64)>>,
}

impl Runs {
    pub(super) fn new(flow: &Flow<'_>) -> Runs {
        let mut runs = Runs::default();
        let cfg = &flow.info.cfg;
        for &b in cfg.order() {
            let (mut loads, mut stores): (Vec<Open>, Vec<Open>) = (Vec::new(), Vec::new());
            let mut written: Vec<Written> = Vec::new();
            for at in cfg.inst_id(b, 0).0..cfg.inst_end(b).0 {
                let inst = flow.nodes[at as usize].inst;
                let weak = access(inst).filter(|m| m.order == Order::Weak);
                match (inst.form().precision, weak) {
                    (Precision::Loads, Some(m)) => {
                        runs.close(&mut stores);
                        runs.forward(flow, at, inst, m, &written);
                        join(flow, at, inst, m, &mut loads);
                    }
                    (Precision::Stores, Some(m)) => {
                        runs.close(&mut loads);
                        let key = key(flow, at, inst, m);
                        overwrite(&mut written, at, key.clone(), m);
                        // Another address may be the same memory.
                        if !stores.iter().all(|o| Some(&o.key) == key.as_ref().map(|(k, _)| k)) {
                            runs.close(&mut stores);
                        }
                        if !join(flow, at, inst, m, &mut stores) {
                            runs.close(&mut stores);
                            join(flow, at, inst, m, &mut stores);
                        }
                    }
                    _ if is_apart(inst) => {}
                    _ => {
                        runs.close(&mut loads);
                        runs.close(&mut stores);
                        written.clear();
                    }
                }
            }
            runs.close(&mut loads);
            runs.close(&mut stores);
        }
        runs
    }

    fn close(&mut self, open: &mut Vec<Open>) {
        for run in open.drain(..).filter(|r| r.members.len() > 1) {
            let end = run.members.last().map(|m| m.0);
            for &(id, at, _) in &run.members {
                self.of.insert(id, Member { first: run.first, at, last: end == Some(id) });
            }
            self.members.insert(run.first, run.members.iter().map(|&(id, at, _)| (id, at)).collect());
        }
    }

    /// Notes that a load reads what these stores have written: without a barrier between, another thread that wrote
    /// there would be a race.
    fn forward(&mut self, flow: &Flow<'_>, at: u32, inst: &Inst, m: Memory, written: &[Written]) {
        let Some((key, offset)) = key(flow, at, inst, m) else { return };
        let end = offset + i64::from(m.bytes());
        let meets = |w: &&Written| w.key == key && w.bytes.start < end && offset < w.bytes.end;
        let from: Vec<_> = written.iter().filter(meets).map(|w| (w.store, w.bytes.start - offset)).collect();
        if !from.is_empty() {
            self.forwarded.insert(at, from);
        }
    }

    /// The stores that wrote what a load reads, each with its first byte's place in the load; none where that is not
    /// told.
    pub(super) fn stored_by(&self, load: InstId) -> &[(u32, i64)] {
        self.forwarded.get(&load.0).map_or(&[], |from| &from[..])
    }

    pub(super) fn of(&self, id: InstId) -> Option<Member> {
        self.of.get(&id.0).copied()
    }

    /// The accesses of a run, with their places.
    pub(super) fn members(&self, first: u32) -> &[(u32, i64)] {
        self.members.get(&first).map_or(&[], |m| &m[..])
    }
}

/// Adds a store to those that are still there, and drops what it may overwrite.
fn overwrite(written: &mut Vec<Written>, store: u32, key: Option<(Key, i64)>, m: Memory) {
    let Some((key, offset)) = key else { return written.clear() };
    let bytes = offset..offset + i64::from(m.bytes());
    // Another address may be the same memory.
    written.retain(|w| w.key == key && (w.bytes.end <= bytes.start || bytes.end <= w.bytes.start));
    written.push(Written { key, store, bytes });
}

/// Whether an instruction neither touches memory nor waits for other threads, who do.
fn is_apart(inst: &Inst) -> bool {
    matches!(inst.form().meaning, Meaning::Lane(_) | Meaning::Approx(..))
}

/// What an address starts from, and the offset.
fn key(flow: &Flow<'_>, at: u32, inst: &Inst, m: Memory) -> Option<(Key, i64)> {
    let du = &flow.info.defuse;
    let reaching = |r: Reg| (r, du.reaching(InstId(at), r).to_vec());
    let address = inst.operands.iter().find_map(|o| if let Operand::Address(a) = o { Some(*a) } else { None })?;
    let (base, symbol) = match address.base {
        Base::Reg(r) => (Some(reaching(r)), None),
        Base::Symbol(s) => (None, Some(s)),
    };
    let guard = inst.guard.map(|g| {
        let (r, defs) = reaching(g.reg);
        (g.negated, r, defs)
    });
    Some((Key { space: m.space, base, symbol, guard }, i64::from(address.offset)))
}

/// Adds an access to a run of its kind; whether it could be.
fn join(flow: &Flow<'_>, at: u32, inst: &Inst, m: Memory, open: &mut Vec<Open>) -> bool {
    let address = inst.operands.iter().find(|o| matches!(o, Operand::Address(_)));
    // mutants: same, every access has an address
    let Some(((key, offset), address)) = key(flow, at, inst, m).zip(address) else { return true };
    let size = i64::from(m.bytes());
    match open.iter_mut().find(|o| o.key == key) {
        Some(run) => {
            let place = offset + run.start;
            let writes = inst.form().precision == Precision::Stores;
            if writes && run.members.iter().any(|(_, p, s)| place < p + s && *p < place + size) {
                return false;
            }
            run.members.push((at, place, size));
        }
        None => {
            let value = flow.info.operand(flow.module, flow.kernel, InstId(at), address).number();
            // Without a known place in a float, nothing is like one access.
            if u32::from(value.known) < UNIT.trailing_zeros() {
                return true;
            }
            let place = (value.residue as i64).rem_euclid(UNIT);
            open.push(Open { key, first: at, members: vec![(at, place, size)], start: place - offset });
        }
    }
    true
}

/// Whether two accesses are at constant distances from one address that never changes, and do not overlap.
pub(super) fn apart(flow: &Flow<'_>, a: InstId, b: InstId) -> bool {
    let at = |id: InstId| {
        let inst = flow.nodes[id.0 as usize].inst;
        let m = access(inst)?;
        let (key, offset) = key(flow, id.0, inst, m)?;
        Some((key.space, key.base, key.symbol, offset..offset + i64::from(m.bytes())))
    };
    let once = |base: &Option<(Reg, Vec<DefId>)>| {
        base.as_ref().is_none_or(|(_, defs)| matches!(defs[..], [def] if !repeats(flow, def)))
    };
    let both = at(a).zip(at(b));
    both.is_some_and(|(a, b)| {
        once(&a.1) && (a.0, a.1, a.2) == (b.0, b.1, b.2) && (a.3.end <= b.3.start || b.3.end <= a.3.start)
    })
}

/// Whether a definition may be executed more than once.
fn repeats(flow: &Flow<'_>, def: DefId) -> bool {
    let cfg = &flow.info.cfg;
    let own = cfg.site(flow.info.defuse.inst(def)).0;
    let mut seen = vec![false; cfg.len()];
    let mut work: Vec<_> = cfg.successors(own).collect();
    while let Some(b) = work.pop() {
        if !std::mem::replace(&mut seen[b.0 as usize], true) {
            work.extend(cfg.successors(b));
        }
    }
    seen[own.0 as usize]
}
