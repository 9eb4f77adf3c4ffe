//! Whether what is computed stays whole on its way to an output.
//!
//! Every register has a content: nothing that was computed in floats, a computed float with all of
//! its bits, bytes of some in an arrangement, an integer that was made of a float or an
//! exponent. Instructions do to it what their rows state. One that takes a computed float and does
//! not keep all of it loses it; what is not known to keep it is rejected, not passed.

mod arithmetic;
mod arrays;
mod bits;
mod content;
mod convert;
mod loss;
mod memory;
mod names;
mod reduce;
mod registers;
mod runs;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrays::{Arrays, Stored};
use content::Byte;
pub(super) use loss::Loss;
use names::Names;
use reduce::Read;
use registers::Registers;
use runs::Runs;

use super::Requirements;
use super::flow::Flow;
use crate::analysis::{DefId, InstId};

/// How often a kernel is gone through before that is given up.
const ROUNDS: usize = 64;

struct Contents<'f, 'k> {
    flow: &'f Flow<'k>,
    wanted: &'f Requirements,
    names: Names,
    registers: Registers,
    arrays: Arrays,
    /// What was stored, by instruction.
    stored: Vec<Option<Stored>>,
    /// The bytes that stores have stored, by instruction.
    pieces: HashMap<u32, Vec<Byte>>,
    runs: Runs,
    /// Results that are float integers with their remainders (see [`reduce`]); none while that is
    /// not known, and all are taken to be.
    integers: Option<HashSet<DefId>>,
    /// Roundings to 16 bits whose results a cache holds: data from then on.
    cached: HashSet<u32>,
    lost: BTreeMap<u32, Loss>,
    /// Instructions that take what was lost before.
    tainted: BTreeSet<u32>,
    tags: Vec<super::tags::Tags>,
    /// Instructions that write to outputs.
    results: HashSet<InstId>,
    /// What instructions read, where that is noted.
    read: Option<Read>,
}

/// What becomes of what an instruction takes.
enum Fate {
    /// All of it is in the results, or may be dropped.
    Kept,
    /// It was lost before.
    LostBefore,
    /// It is lost here.
    Lost(Loss),
}

/// Instructions on the way to an output that lose bits of what was computed, and how.
pub(super) fn losses(flow: &Flow<'_>, wanted: &Requirements) -> Vec<(InstId, Loss)> {
    let outputs = flow.outputs();
    let integral = flow.nodes.iter().any(|n| reduce::is_integral(n.inst));
    let mut all = Contents::new(flow, wanted, (!integral).then(HashSet::new));
    let mut settled = all.settle();
    // The names of values say which integers belong to which remainders.
    if settled && integral {
        all.read = Some(Read::new());
        all.round();
        let integers = reduce::integers(flow, &all.names, &all.read.take().unwrap_or_default());
        all = Contents::new(flow, wanted, Some(integers));
        settled = all.settle();
    }
    if !settled {
        return outputs.into_iter().map(|id| (id, Loss::Endless)).collect();
    }
    all.losses_behind(&outputs)
}

impl<'f, 'k> Contents<'f, 'k> {
    fn new(flow: &'f Flow<'k>, wanted: &'f Requirements, integers: Option<HashSet<DefId>>) -> Self {
        Contents {
            flow,
            wanted,
            names: Names::default(),
            registers: Registers::new(flow.info),
            arrays: Arrays::default(),
            stored: vec![None; flow.nodes.len()],
            pieces: HashMap::new(),
            runs: Runs::new(flow),
            integers,
            cached: convert::cached(flow),
            lost: BTreeMap::new(),
            tainted: BTreeSet::new(),
            tags: flow.tags(),
            results: flow.outputs().into_iter().collect(),
            read: None,
        }
    }

    /// What is lost on the way to these. Where no instruction loses something that is lost later on,
    /// it is lost where paths meet, which is told where that is used.
    fn losses_behind(&self, outputs: &[InstId]) -> Vec<(InstId, Loss)> {
        let way = self.flow.behind(outputs);
        let on_way = |i: &&u32| way[**i as usize];
        let known = |i: &u32| self.lost.contains_key(i) || self.tainted.contains(i);
        let met = |i: &&u32| !self.flow.nodes[**i as usize].sources.iter().any(known);
        let mut found: BTreeMap<u32, Loss> =
            self.lost.iter().filter(|(i, _)| on_way(i)).map(|(i, how)| (*i, *how)).collect();
        found.extend(self.tainted.iter().filter(on_way).filter(met).map(|i| (*i, Loss::Met)));
        if found.is_empty() {
            // It goes around a loop.
            found.extend(self.tainted.iter().find(on_way).map(|i| (*i, Loss::Met)));
        }
        found.into_iter().map(|(i, how)| (InstId(i), how)).collect()
    }

    /// Goes through the kernel until nothing changes; whether that was soon enough.
    fn settle(&mut self) -> bool {
        std::iter::repeat_n((), ROUNDS).any(|()| !self.round())
    }
}

impl Contents<'_, '_> {
    /// Goes through the kernel once; whether something changed.
    fn round(&mut self) -> bool {
        let mut changed = false;
        let flow = self.flow;
        for &block in flow.info.cfg.order() {
            self.registers.enter(flow.info, &mut self.names, block);
            for at in flow.info.cfg.inst_id(block, 0).0..flow.info.cfg.inst_end(block).0 {
                changed |= self.step(InstId(at));
            }
            changed |= self.registers.leave(block);
        }
        let arrays = Arrays::new(flow, &self.stored, &self.arrays);
        changed |= arrays != self.arrays;
        self.arrays = arrays;
        changed | std::mem::take(&mut self.names.learned)
    }

    /// An instruction's results; whether they are others than before.
    fn step(&mut self, id: InstId) -> bool {
        let inst = self.flow.nodes[id.0 as usize].inst;
        if let Some(read) = &mut self.read {
            read.extend(inst.uses().map(|r| ((id, r), self.registers.read(self.flow.info, r).id)));
        }
        let (results, how) = self.results(id, inst);
        self.tainted.remove(&id.0);
        match how {
            Fate::Lost(how) => drop(self.lost.insert(id.0, how)),
            Fate::Kept => drop(self.lost.remove(&id.0)),
            // What a loop brings back lost stays lost here.
            Fate::LostBefore => drop(self.tainted.insert(id.0)),
        }
        let info = self.flow.info;
        let mut changed = false;
        let defs: smallvec::SmallVec<[_; 4]> = inst.defs().zip(info.defuse.defs(id)).collect();
        for (def, result) in defs.into_iter().zip(results) {
            changed |= self.registers.write(info, &mut self.names, def, inst.guard, result);
        }
        changed
    }
}
