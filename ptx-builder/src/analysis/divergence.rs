//! What the divergence analysis has found out.

use super::controls::Controls;
use super::transfer::{Context, Geometry};
use super::value::{Uniformity, Value};
use super::{Cfg, DefId, DefUse, InstId};
use crate::ir::{BlockId, Kernel, Module, Operand, Reg};

/// What is known of the values of a kernel, and how far its threads stay together.
#[derive(Clone, Debug)]
pub struct Divergence {
    pub(super) values: Vec<Option<Value>>,
    pub(super) branches: Vec<Uniformity>,
    pub(super) control: Vec<Uniformity>,
    pub(super) controls: Controls,
}

impl Divergence {
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
    pub(super) fn unknown(&self) -> Uniformity {
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
