//! The verifier: the only way from a [`Module`] to one that can be printed,
//! interpreted or launched.
//!
//! It reports all errors, each with the kernel, the instruction, the rule and
//! the line in the source. Flow rules are checked only in kernels whose
//! declarations, structure and operands are valid, and only in reachable
//! blocks. Unreachable blocks are allowed, because early exits create them.
//!
//! What PTX or its assembler rejects is an error. What only a run can decide is a
//! warning, which is part of the [`Validated`] module; [`verify_with`] can make it
//! an error, as for the builder's kernels. This concerns these rules:
//! `divergent-barrier`, `lane-mask` and `divergent-matrix` if the threads that
//! arrive depend on more than their indices, `index-wraps` and `out-of-bounds` if
//! they depend on a thread's index, and `use-before-definition` in modules
//! that were read from a text. An undefined value on which nothing
//! depends is not a violation.
//!
//! The rules, by name:
//!
//! | Declarations | |
//! |---|---|
//! | `name` | Names are PTX identifiers, and neither reserved words nor names of registers or labels. |
//! | `duplicate-name` | No name is declared twice in one scope, and none hides a variable of the module that the kernel uses. |
//! | `variable` | Arrays are in a space that their scope allows, of a type that can be declared, aligned to a power of two, and have a size. |
//! | `memory-size` | Static shared memory of a kernel is at most 48 KiB, constants of a module at most 64 KiB. |
//! | `parameter` | Parameters are at most 32764 bytes, with alignments that fit. |
//! | `launch-bounds` | Launch bounds are possible: no zero, at most 1024 threads, a required shape or a maximum, not both, clusters of at most 8 blocks from sm_90 on. |
//! | `register-count` | A kernel declares at most 2^20 registers of a class. |
//!
//! | Structure | |
//! |---|---|
//! | `no-blocks` | A kernel has at least one block. |
//! | `early-terminator` | Branches and exits occur only at the end of a block. |
//! | `falls-off` | Control does not fall off the end of a kernel. |
//! | `split-block` | A block after a fall-through is also a branch target; otherwise it would be part of the block before it. |
//! | `label` | A branch names a block of its kernel. |
//!
//! | Operands | |
//! |---|---|
//! | `operand-count` | An instruction has as many operands as its form. |
//! | `operand-kind` | An operand is of the kind that its slot accepts: register, constant, address, label, predicate. |
//! | `operand-type` | A register's class matches the operand's type. |
//! | `register` | A register is declared. |
//! | `constant-range` | A constant is in the range of its type and of the instruction. |
//! | `duplicate-result` | An instruction does not write one register twice. |
//! | `guard` | A guard is a predicate register. |
//!
//! | Memory | |
//! |---|---|
//! | `symbol` | A symbol is declared. |
//! | `space` | A symbol is in the space that the instruction accesses. |
//! | `address-register` | An address register has 64 bits, or 32 in shared and local space. |
//! | `out-of-bounds` | An access through a symbol is inside the declared object. |
//! | `index-wraps` | No thread accesses memory at an index that certainly wrapped in 32 bits. |
//! | `misaligned` | An access is aligned to its size, as far as its address is known. |
//! | `read-only-space` | Nothing writes to constants or parameters. |
//! | `read-only-data` | Data read through the read-only path (`.nc`) is not written in the same kernel. |
//!
//! | Target | |
//! |---|---|
//! | `target-instruction` | The target has the instruction. |
//! | `target-register` | The target has the special register. |
//! | `ptx-version` | The PTX version that a file states has its target, its instructions and its directives. |
//!
//! | Flow | |
//! |---|---|
//! | `complexity` | The analyses of a kernel stay within their limits. |
//! | `use-before-definition` | A register is defined on every path to a use that something depends on. |
//! | `divergent-barrier` | An aligned barrier is reached by all threads that it waits for: not under a condition that is divergent in the block (or, with a thread count, in the warp). |
//! | `barrier-count` | A barrier has a number from 0 to 15, and its thread count is a multiple of 32 that the block can have. |
//! | `lane-mask` | The mask of a warp operation names at least one lane, all lanes that execute it, and others only if they have exited. |
//! | `divergent-matrix` | A warp-wide matrix instruction is executed by the whole warp. |
//! | `async-group` | Groups of asynchronous copies are committed before they are waited for. |
//! | `mbarrier` | An mbarrier is an 8-byte aligned shared object, its uses are in bounds, and its count is valid. |

mod assigned;
mod asynchronous;
mod convergence;
mod declarations;
mod error;
mod indices;
#[cfg(test)]
mod limits;
mod memory;
mod operands;
mod rule;
mod structure;
mod target;
#[cfg(test)]
pub(crate) mod testing;

pub use error::{Doubts, VerifyError, VerifyErrors};
pub use rule::Rule;

use crate::analysis::{KernelInfo, Overlap, Pressure, waits};
use crate::ir::{Kernel, Module};
use error::Errors;

/// A module that passed the verifier. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct Validated {
    module: Module,
    info: Vec<KernelInfo>,
    warnings: Vec<VerifyError>,
}

impl Validated {
    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// What may be wrong, and only a run can decide; in writing order.
    pub fn warnings(&self) -> &[VerifyError] {
        &self.warnings
    }

    /// What the verifier learned of the kernel with this index.
    pub(crate) fn info(&self, kernel: usize) -> &KernelInfo {
        &self.info[kernel]
    }

    /// The most registers that are live at once in the kernel with this index.
    ///
    /// # Panics
    /// If the module has no such kernel.
    pub fn pressure(&self, kernel: usize) -> Pressure {
        self.info[kernel].liveness().peak()
    }

    /// Whether the kernel with this index waits for the kernels before it (`griddepcontrol.wait`), on some way at least.
    ///
    /// # Panics
    /// If the module has no such kernel.
    pub fn waits(&self, kernel: usize) -> bool {
        waits(&self.module.kernels[kernel])
    }

    /// How the kernel with this index may overlap with the kernels before and after it, in programmatic dependent launch.
    ///
    /// # Panics
    /// If the module has no such kernel.
    pub fn overlap(&self, kernel: usize) -> Overlap {
        Overlap::new(&self.module, &self.module.kernels[kernel], &self.info[kernel])
    }

    /// The module, to be changed; it has to be verified again.
    pub fn into_module(self) -> Module {
        self.module
    }
}

/// Verifies a module against every rule. What cannot be decided without running
/// it is a [warning](Validated::warnings).
///
/// # Errors
/// Everything that violates a rule.
pub fn verify(module: Module) -> Result<Validated, VerifyErrors> {
    verify_with(module, Doubts::Warn)
}

/// Verifies a module against every rule.
///
/// # Errors
/// Everything that violates a rule, and, with [`Doubts::Refuse`], whatever may.
pub fn verify_with(mut module: Module, doubts: Doubts) -> Result<Validated, VerifyErrors> {
    module.hoist_constants();
    let mut errors = Errors::new(&module, doubts);
    declarations::check_module(&module, &mut errors);
    target::check_version(&module, &mut errors);
    let mut info = Vec::with_capacity(module.kernels.len());
    for kernel in &module.kernels {
        info.extend(check(&module, kernel, &mut errors));
    }
    let warnings = errors.finish()?;
    Ok(Validated { module, info, warnings })
}

/// Checks a kernel; gives what was learned of it where its declarations, structure and operands are sound.
fn check(module: &Module, kernel: &Kernel, errors: &mut Errors) -> Option<KernelInfo> {
    let before = errors.len();
    declarations::check_kernel(module, kernel, errors);
    structure::check(kernel, errors);
    for (_, _, inst) in kernel.insts() {
        target::check(module, kernel, inst, errors);
        operands::check(module, kernel, inst, errors);
    }
    if errors.len() > before {
        return None;
    }
    let facts = KernelInfo::new(module, kernel);
    if !facts.defuse.is_complete() {
        let message =
            "too many definitions reach too many uses of a register for its analysis; use more registers".to_owned();
        errors.kernel(kernel, Rule::Complexity, message);
        return None;
    }
    assigned::check(module, kernel, &facts, errors);
    memory::check(module, kernel, &facts, errors);
    indices::check(module, kernel, &facts, errors);
    convergence::check(module, kernel, &facts, errors);
    asynchronous::check(module, kernel, &facts, errors);
    Some(facts)
}

/// What the verifier says of each kernel by itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// The module with the kernels that nothing is wrong with.
    pub validated: Validated,
    /// The names of the others, and what is wrong with them.
    pub refused: Vec<(String, VerifyErrors)>,
    /// What is wrong with the module's own declarations: then no kernel is among the validated.
    pub module: Vec<VerifyError>,
}

/// Verifies a module kernel by kernel: a fault in one rejects that one only.
pub fn verify_each(mut module: Module, doubts: Doubts) -> Judged {
    module.hoist_constants();
    let mut errors = Errors::new(&module, doubts);
    declarations::check_module(&module, &mut errors);
    target::check_version(&module, &mut errors);
    let (of_module, mut warnings) = errors.into_parts();
    let (of_kernels, of_module): (Vec<_>, Vec<_>) = of_module.into_iter().partition(|e| e.kernel.is_some());
    let (mut refused, mut info, mut sound) = (Vec::new(), Vec::new(), Vec::new());
    for kernel in &module.kernels {
        let mut errors = Errors::new(&module, doubts);
        let facts = check(&module, kernel, &mut errors);
        let (mut wrong, mut doubtful) = errors.into_parts();
        wrong.extend(of_kernels.iter().filter(|e| e.kernel.as_deref() == Some(&kernel.name)).cloned());
        sound.push(wrong.is_empty() && of_module.is_empty());
        match (facts, wrong.is_empty()) {
            (Some(facts), true) if of_module.is_empty() => {
                info.push(facts);
                warnings.append(&mut doubtful);
            }
            (_, true) => {}
            (_, false) => refused.push((kernel.name.clone(), VerifyErrors(wrong))),
        }
    }
    let mut is_sound = sound.into_iter();
    module.kernels.retain(|_| is_sound.next().unwrap_or_default());
    Judged { validated: Validated { module, info, warnings }, refused, module: of_module }
}
