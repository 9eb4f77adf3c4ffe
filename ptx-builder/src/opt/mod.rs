//! A small optimizer.
//!
//! It never changes a result by a bit: constants are folded by the table's own
//! exact functions, floating-point instructions are not reassociated,
//! contracted or simplified, approximate ones are not folded, and what has an
//! effect, or depends on other lanes, on the time or on the machine, stays as
//! it is. `ptxas` optimizes as well; this makes dumps readable and the JIT's
//! work less.
//!
//! [`finish`] is the ordinary way of a module: verified as its author wrote it,
//! optimized, its registers renumbered, verified again.
//! [`Kernel::verify`](crate::build::Kernel::verify) goes it, and all that takes
//! kernels does through that;
//! [`Kernel::unoptimized`](crate::build::Kernel::unoptimized) switches the
//! passes off for a kernel.
//!
//! Registers of the IR may have several definitions, so facts are about values
//! (see `number`), not about registers.

mod copy;
mod dead;
mod fold;
mod number;
mod simplify;
mod value;

use crate::analysis::{Cfg, DefUse};
use crate::ir::{Kernel, Module};
use crate::verify::{Doubts, Validated, VerifyErrors, verify_with};

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

/// The module verified, optimized and verified again, with
/// [numbers of registers](Module::renumber) that stay where code around them
/// changes.
///
/// # Errors
/// Everything that is or [may be](Doubts) wrong with the module as it was given:
/// the verifier goes first, so a mistake in code that the optimizer would drop
/// is one, too.
pub fn finish(mut module: Module, passes: &OptOptions) -> Result<Validated, VerifyErrors> {
    module.hoist_constants();
    module.renumber();
    let written = verify_with(module, Doubts::Refuse)?;
    if *passes == OptOptions::NONE {
        return Ok(written);
    }
    let mut module = optimize(written.into_module(), passes);
    module.renumber();
    verify_with(module, Doubts::Refuse)
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
