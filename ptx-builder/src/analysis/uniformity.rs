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
use super::divergence::Divergence;
use super::transfer::{Context, Geometry};
use super::value::{Uniformity, Value};
use super::{Cfg, DefUse};
use crate::ir::{BlockId, Kernel, Module, Reg};
use crate::table::Access;

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
}
