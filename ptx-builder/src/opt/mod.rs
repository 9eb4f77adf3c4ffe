//! A small optimizer.
//!
//! It never changes a result by a bit: constants are folded by the table's own
//! exact functions, floating-point instructions are not reassociated,
//! contracted or simplified, approximate ones are not folded, and what has an
//! effect, or depends on other lanes, on the time or on the machine, stays as
//! it is. `ptxas` optimizes as well; this makes dumps readable and the JIT's
//! work less.
//!
//! Registers of the IR may have several definitions, so facts are about values
//! (see `number`), not about registers.

mod dead;
mod fold;
mod number;
mod simplify;
mod value;

use crate::analysis::{Cfg, DefUse};
use crate::ir::{Kernel, Module};

/// Which passes run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptOptions {
    /// Computes what has constant sources: instructions, guards, branches.
    pub fold: bool,
    /// Uses a copy's source, or a constant, in its place.
    pub copies: bool,
    /// Computes equal expressions once.
    pub common: bool,
    /// Replaces integer instructions by cheaper ones: products, quotients and
    /// remainders by powers of two, operations with 0, 1 or all ones.
    pub strength: bool,
    /// Removes what nothing uses and what nothing reaches.
    pub dead: bool,
}

impl OptOptions {
    /// Every pass.
    pub const ALL: OptOptions = OptOptions { fold: true, copies: true, common: true, strength: true, dead: true };

    /// No pass.
    pub const NONE: OptOptions = OptOptions { fold: false, copies: false, common: false, strength: false, dead: false };
}

impl Default for OptOptions {
    fn default() -> Self {
        Self::ALL
    }
}

/// Rounds after which the optimizer stops in any case. Each makes the kernel
/// shorter or its operands simpler, and more than three are rarely of use.
const ROUNDS: usize = 8;

/// The module with its kernels optimized. A module that verifies does so
/// afterwards; one that does not is not repaired.
pub fn optimize(mut module: Module, options: &OptOptions) -> Module {
    for kernel in &mut module.kernels {
        for _ in 0..ROUNDS {
            if !round(kernel, options) {
                break;
            }
        }
    }
    module
}

/// One round; whether it changed anything.
fn round(kernel: &mut Kernel, options: &OptOptions) -> bool {
    let before = kernel.blocks.clone();
    if *options != (OptOptions { dead: options.dead, ..OptOptions::NONE }) {
        let cfg = Cfg::new(kernel);
        value::run(kernel, &cfg, options);
    }
    if options.dead {
        let cfg = Cfg::new(kernel);
        let chains = DefUse::new(kernel, &cfg);
        dead::run(kernel, &cfg, &chains);
    }
    if kernel.blocks == before {
        return false;
    }
    kernel.canonicalize();
    kernel.blocks != before
}
