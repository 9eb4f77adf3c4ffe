//! Analyses of a kernel, as values.
//!
//! They work on kernels whose structure is sound (operands as the table says,
//! registers and labels declared); the verifier checks that first and keeps
//! the results as [`KernelInfo`].

pub(crate) mod bits;
pub mod cfg;
pub mod counts;
pub mod defuse;
pub mod lanes;
pub mod liveness;
pub mod precision;
mod regs;
mod transfer;
pub mod uniformity;
mod value;

#[cfg(test)]
mod tests;

pub use cfg::{Cfg, InstId};
pub use defuse::{DefId, DefUse};
pub use liveness::{Liveness, Pressure};
pub use regs::RegNumbers;
pub use uniformity::Divergence;
pub use value::{Origin, Uniformity, Value};

use crate::ir::{Inst, Kernel, Module, Operand};

/// What is known of a kernel.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// Blocks and their edges.
    pub cfg: Cfg,
    /// Which definitions reach which uses.
    pub defuse: DefUse,
    /// Divergence, and what else is known of values.
    pub uniformity: Divergence,
    /// Live registers and the peak pressure.
    pub liveness: Liveness,
}

impl KernelInfo {
    /// Analyses a kernel of a module.
    pub fn new(module: &Module, kernel: &Kernel) -> KernelInfo {
        let cfg = Cfg::new(kernel);
        let defuse = DefUse::new(kernel, &cfg);
        let uniformity = Divergence::new(module, kernel, &cfg, &defuse);
        let liveness = Liveness::new(&cfg, &defuse);
        KernelInfo { cfg, defuse, uniformity, liveness }
    }

    /// An instruction by number. `kernel` must be the one analysed.
    pub fn inst<'k>(&self, kernel: &'k Kernel, inst: InstId) -> &'k Inst {
        let (b, i) = self.cfg.site(inst);
        &kernel.blocks[b.0 as usize].insts[i]
    }

    /// What is known of an operand of an instruction. `module` and `kernel`
    /// must be those analysed.
    pub fn operand(&self, module: &Module, kernel: &Kernel, inst: InstId, operand: &Operand) -> Value {
        self.uniformity.operand(module, kernel, &self.cfg, &self.defuse, inst, operand)
    }
}
