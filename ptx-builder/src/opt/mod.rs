//! A small optimizer.
//!
//! It never changes a bit of a result: constants are folded with the table's own exact functions, floating-point
//! instructions are not reassociated, contracted or simplified, approximate ones are not folded. Instructions that have
//! a side effect, or that depend on other lanes, on time or on the machine, stay unchanged. `ptxas` optimizes as well;
//! this optimizer makes dumps readable and reduces the work of the JIT.
//!
//! [`finish`] is the usual path of a module: it is verified as written, optimized, its registers are renumbered, and it
//! is verified again. [`Kernel::verify`](crate::build::Kernel::verify) uses it, and through that everything that takes
//! kernels; [`Kernel::unoptimized`](crate::build::Kernel::unoptimized) switches the passes off for a kernel.
//!
//! Registers of the IR may have several definitions, so facts are about values (see `number`), not about registers.

mod copy;
mod dead;
mod fold;
mod number;
mod simplify;
mod value;

use crate::analysis::{Cfg, DefUse};
use crate::ir::{Kernel, Module};
use crate::verify::{Doubts, Validated, VerifyErrors, verify_with};

/// The passes to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptOptions {
    /// Evaluates what has constant sources: instructions, guards, branches.
    pub fold: bool,
    /// Replaces a copy by its source, or by a constant.
    pub copies: bool,
    /// Computes equal expressions once.
    pub common: bool,
    /// Replaces integer instructions by cheaper ones: products, quotients and remainders by powers of two, operations
    /// with 0, 1 or all ones.
    pub strength: bool,
    /// Removes unused results and unreachable code.
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

/// Maximum number of rounds. Each makes the kernel shorter or its operands simpler, and more than three rarely help.
const ROUNDS: usize = 8;

/// The module with its kernels optimized. A module that verifies still verifies afterwards; one that does not is not
/// repaired.
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

/// The module verified, optimized and verified again, with stable [numbers of registers](Module::renumber).
///
/// # Errors
/// Everything that is or [may be](Doubts) wrong with the module as written: the verifier runs first, so an error in
/// code that the optimizer would remove is reported too.
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

/// One round; returns whether it changed anything.
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
