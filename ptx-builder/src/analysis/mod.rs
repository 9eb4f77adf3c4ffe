//! What is known of a kernel: [precision], counts of instructions, register
//! [pressure](crate::verify::Validated::pressure), how it [overlaps](crate::verify::Validated::overlap) with others.
//!
//! The analyses that these use (control flow, definitions and uses, uniformity,
//! liveness) work on kernels whose structure is sound: operands as the table
//! says, registers and labels declared. The verifier checks that first.

mod agree;
#[cfg(test)]
mod agree_sound;
pub(crate) mod away;
pub(crate) mod bits;
mod cfg;
mod controls;
mod counts;
mod defuse;
mod divergence;
pub(crate) mod lanes;
mod liveness;
mod overlap;
pub mod precision;
pub(crate) mod ranges;
mod reached;
mod regs;
mod roots;
mod transfer;
mod uniformity;
mod value;

#[cfg(test)]
mod known;
#[cfg(test)]
mod sound;
#[cfg(test)]
mod tests;

pub(crate) use cfg::Cfg;
pub use cfg::InstId;
pub use counts::{InstClass, InstCounts};
pub(crate) use defuse::{DefId, DefUse};
pub(crate) use divergence::Divergence;
pub(crate) use liveness::Liveness;
pub use liveness::Pressure;
pub use overlap::{Overlap, Uses};
pub(crate) use overlap::{controls, waits};
pub(crate) use regs::RegNumbers;
pub(crate) use value::{Origin, Uniformity, Value};

use crate::ir::{Inst, Kernel, Module, Operand};

/// What is known of a kernel.
#[derive(Clone, Debug)]
pub(crate) struct KernelInfo {
    /// Blocks and their edges.
    pub cfg: Cfg,
    /// Which definitions reach which uses.
    pub defuse: DefUse,
    /// Divergence, and what else is known of values.
    pub uniformity: Divergence,
}

impl KernelInfo {
    /// Analyses a kernel of a module.
    pub fn new(module: &Module, kernel: &Kernel) -> KernelInfo {
        let cfg = Cfg::new(kernel);
        let defuse = DefUse::new(kernel, &cfg);
        let uniformity = Divergence::new(module, kernel, &cfg, &defuse);
        KernelInfo { cfg, defuse, uniformity }
    }

    /// Live registers and the peak pressure.
    pub fn liveness(&self) -> Liveness {
        Liveness::new(&self.cfg, &self.defuse)
    }

    /// An instruction by number. `kernel` must be the one analysed.
    pub fn inst<'k>(&self, kernel: &'k Kernel, inst: InstId) -> &'k Inst {
        self.cfg.inst(kernel, inst)
    }

    /// What is known of an operand of an instruction. `module` and `kernel`
    /// must be those analysed.
    pub fn operand(&self, module: &Module, kernel: &Kernel, inst: InstId, operand: &Operand) -> Value {
        self.uniformity.operand(module, kernel, &self.cfg, &self.defuse, inst, operand)
    }
}
