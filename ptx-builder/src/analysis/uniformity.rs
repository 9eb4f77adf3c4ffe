//! Divergence: which values and decisions are the same in a warp or a block.
//!
//! Sources of divergence are `%tid`, `%laneid`, loads from addresses that
//! differ, and atomics. It spreads through data, and through control: where
//! paths meet that a divergent branch parted, a register with several
//! definitions holds different values; so does one that leaves a loop whose
//! lanes leave at different times. Threads may agree on a branch although
//! what they compare differs (`agree`).

use std::cell::OnceCell;

use super::agree::{Agreement, DEPTH};
use super::controls::Controls;
use super::transfer::{Context, Geometry};
use super::value::{Uniformity, Value};
use super::{Cfg, DefId, DefUse, InstId};
use crate::ir::{BlockId, Kernel, Module, Operand, Reg};
use crate::table::Access;

/// What is known of the values of a kernel, and how far its threads stay together.
#[derive(Clone, Debug)]
pub struct Divergence {
    values: Vec<Option<Value>>,
    branches: Vec<Uniformity>,
    control: Vec<Uniformity>,
    controls: Controls,
}

impl Divergence {
    /// Analyses a kernel.
    pub fn new(module: &Module, kernel: &Kernel, cfg: &Cfg, defuse: &DefUse) -> Divergence {
        let context = Context { module, kernel, geometry: Geometry::new(kernel) };
        let mut d = Divergence {
            values: vec![None; defuse.def_count()],
            branches: vec![Uniformity::Block; cfg.len()],
            control: vec![Uniformity::Block; cfg.len()],
            controls: Controls::new(cfg),
        };
        let ranges = OnceCell::new();
        let mut sources: Vec<Value> = Vec::new();
        let mut changed = true;
        while changed {
            changed = false;
            for &b in cfg.order() {
                for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
                    let id = cfg.inst_id(b, i);
                    let mut read = |r: Reg| d.use_value(cfg, defuse, id, r);
                    let guard = inst.guard.map(|g| read(g.reg).level());
                    if inst.form().meaning.ends_block() {
                        let mut level = guard.unwrap_or(Uniformity::Block);
                        if let Some(guard) = inst.guard.filter(|_| level > d.branches[b.0 as usize]) {
                            let agreement = Agreement { kernel, cfg, defuse, known: &d, ranges: &ranges, depth: DEPTH };
                            level = agreement.of_branch(b, id, guard).map_or(level, |agreed| agreed.min(level));
                        }
                        changed |= level > d.branches[b.0 as usize];
                        d.branches[b.0 as usize] = d.branches[b.0 as usize].max(level);
                        continue;
                    }
                    if defuse.defs(id).next().is_none() {
                        continue;
                    }
                    sources.clear();
                    for (slot, operands) in inst.slots() {
                        if slot.access == Access::Read {
                            sources.extend(operands.iter().map(|op| context.operand(op, &mut read)));
                        }
                    }
                    let mut value = context.result(inst, &sources, d.control[b.0 as usize]);
                    if let Some(level) = guard {
                        value = value.at_least(level);
                    }
                    for def in defuse.defs(id) {
                        let old = d.values[def.index()];
                        let new = Some(old.map_or(value, |old| old.join(value)));
                        changed |= new != old;
                        d.values[def.index()] = new;
                    }
                }
            }
            for b in 0..cfg.len() {
                let deciding = d.controls.of(BlockId(b as u32)).iter();
                let level = deciding.map(|&c| d.branches[c as usize]).max().unwrap_or(d.unknown());
                changed |= level != d.control[b];
                d.control[b] = level;
            }
        }
        d
    }

    /// For tests: what is known of a definition's value; of code that never runs, nothing.
    #[cfg(test)]
    pub fn of(&self, def: DefId) -> Value {
        self.values[def.index()].unwrap_or(Value::unknown(Uniformity::Divergent))
    }

    /// Under which decisions a block is executed: `Divergent` means that only
    /// some lanes of a warp may be there, `Warp` only some warps of a block.
    pub fn control(&self, b: BlockId) -> Uniformity {
        self.control[b.0 as usize]
    }

    /// How far the lanes agree on where to go from a block.
    pub fn branch(&self, b: BlockId) -> Uniformity {
        self.branches[b.0 as usize]
    }

    /// The blocks whose branches decide whether `b` is executed, directly or indirectly.
    pub fn controllers(&self, b: BlockId) -> impl Iterator<Item = BlockId> {
        self.controls.of(b).iter().map(|&c| BlockId(c))
    }

    /// Whether all that decide are known.
    pub fn is_complete(&self) -> bool {
        self.controls.is_complete()
    }

    /// What a block is under that nobody is known to decide about.
    fn unknown(&self) -> Uniformity {
        if self.controls.is_complete() { Uniformity::Block } else { Uniformity::Divergent }
    }

    /// What is known of a register where an instruction uses it.
    pub(crate) fn use_value(&self, cfg: &Cfg, defuse: &DefUse, inst: InstId, reg: Reg) -> Value {
        let defs = defuse.reaching(inst, reg);
        if defs.is_empty() {
            // Undefined: that is for others to report.
            return Value::unknown(Uniformity::Block);
        }
        let mut value: Option<Value> = None;
        for &def in defs {
            let Some(v) = self.values[def.index()] else { continue };
            let v = match self.choice(cfg, defuse, inst, def, defs.len() > 1) {
                Uniformity::Block => v,
                level => v.at_least(level),
            };
            value = Some(value.map_or(v, |old| old.join(v)));
        }
        // Nothing reaches it yet: the most that can be hoped for, to be joined later.
        value.unwrap_or(Value::constant(0))
    }

    /// How far threads agree on which execution of `def` they see at `inst`.
    fn choice(&self, cfg: &Cfg, defuse: &DefUse, inst: InstId, def: DefId, several: bool) -> Uniformity {
        let (from, to) = (cfg.site(defuse.inst(def)).0, cfg.site(inst).0);
        if several {
            return self.control[from.0 as usize];
        }
        if from == to || self.control[from.0 as usize] == Uniformity::Block {
            return Uniformity::Block;
        }
        // A lone definition differs only where lanes leave its loop at different times.
        let (own, seen) = (self.controls.of(from), self.controls.of(to));
        if std::ptr::eq(own, seen) {
            return self.unknown();
        }
        let beyond = own.iter().filter(|c| seen.binary_search(c).is_err()).map(|&c| self.branches[c as usize]);
        beyond.max().unwrap_or(self.unknown())
    }

    /// What is known of an operand of an instruction.
    pub fn operand(
        &self,
        module: &Module,
        kernel: &Kernel,
        cfg: &Cfg,
        defuse: &DefUse,
        inst: InstId,
        operand: &Operand,
    ) -> Value {
        let context = Context { module, kernel, geometry: Geometry::new(kernel) };
        context.operand(operand, &mut |r| self.use_value(cfg, defuse, inst, r))
    }
}
