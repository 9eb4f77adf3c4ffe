//! Analyses of a kernel, as values.
//!
//! They work on kernels whose structure is sound (operands as the table says,
//! registers and labels declared); the verifier checks that first and keeps
//! the results as [`KernelInfo`].

pub(crate) mod bits;
pub mod cfg;
pub mod defuse;
pub mod liveness;
mod regs;

pub use cfg::{Cfg, InstId};
pub use defuse::{DefId, DefUse};
pub use liveness::{Liveness, Pressure};
pub use regs::RegNumbers;

use crate::ir::{Inst, Kernel, Module};

/// What is known of a kernel.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// Blocks and their edges.
    pub cfg: Cfg,
    /// Which definitions reach which uses.
    pub defuse: DefUse,
    /// Live registers and the peak pressure.
    pub liveness: Liveness,
}

impl KernelInfo {
    /// Analyses a kernel of a module.
    pub fn new(_module: &Module, kernel: &Kernel) -> KernelInfo {
        let cfg = Cfg::new(kernel);
        let defuse = DefUse::new(kernel, &cfg);
        let liveness = Liveness::new(&cfg, &defuse);
        KernelInfo { cfg, defuse, liveness }
    }

    /// An instruction by number. `kernel` must be the one analysed.
    pub fn inst<'k>(&self, kernel: &'k Kernel, inst: InstId) -> &'k Inst {
        let (b, i) = self.cfg.site(inst);
        &kernel.blocks[b.0 as usize].insts[i]
    }
}
