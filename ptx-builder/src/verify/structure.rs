//! Blocks.

use super::Rule;
use super::error::Errors;
use crate::ir::{BlockId, Kernel};

/// Checks how a kernel's blocks hang together.
pub(super) fn check(kernel: &Kernel, errors: &mut Errors) {
    if kernel.blocks.is_empty() {
        let message = "the kernel has no blocks; it needs at least one that ends in `ret`".to_owned();
        return errors.kernel(kernel, Rule::NoBlocks, message);
    }
    early_terminators(kernel, errors);
    falls_off(kernel, errors);
    entries(kernel, errors);
}

fn early_terminators(kernel: &Kernel, errors: &mut Errors) {
    for (b, i, inst) in kernel.insts() {
        if inst.form().meaning.ends_block() && i + 1 < kernel.blocks[b.0 as usize].insts.len() {
            let message = format!("{} stands inside block {b}; start a new block after it", inst.form().name);
            errors.inst(kernel, inst, Rule::EarlyTerminator, message);
        }
    }
}

fn falls_off(kernel: &Kernel, errors: &mut Errors) {
    let last = kernel.blocks.last().and_then(|b| b.insts.last());
    if last.is_some_and(|i| i.form().meaning.ends_block() && i.guard.is_none()) {
        return;
    }
    let message = "control can run past the last instruction; end the kernel in `ret`".to_owned();
    match last {
        Some(inst) => errors.inst(kernel, inst, Rule::FallsOff, message),
        None => errors.kernel(kernel, Rule::FallsOff, message),
    }
}

/// Blocks that are no blocks of their own.
fn entries(kernel: &Kernel, errors: &mut Errors) {
    let mut targeted = vec![false; kernel.blocks.len()];
    for block in &kernel.blocks {
        if let Some(target) = block.insts.last().and_then(|i| i.branch_target())
            && let Some(t) = targeted.get_mut(target.0 as usize)
        {
            *t = true;
        }
    }
    for (b, pair) in kernel.blocks.windows(2).enumerate() {
        let ends = pair[0].insts.last().is_some_and(|i| i.form().meaning.ends_block());
        if ends || targeted[b + 1] {
            continue;
        }
        let message = format!(
            "block {} is entered only by falling out of the block before it; put both in one block",
            BlockId(b as u32 + 1)
        );
        match pair[1].insts.first() {
            Some(inst) => errors.inst(kernel, inst, Rule::SplitBlock, message),
            None => errors.kernel(kernel, Rule::SplitBlock, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Block, Operand};
    use crate::types::RegClass;
    use crate::verify::testing::{K, imm};

    #[test]
    fn a_kernel_without_blocks() {
        let mut k = K::new();
        k.kernel.blocks.clear();
        k.reject(Rule::NoBlocks, 0);
    }

    #[test]
    fn an_exit_inside_a_block() {
        let mut k = K::new();
        let r = k.reg(RegClass::B32);
        let line = k.i("ret", &[]);
        k.i("mov.u32", &[r.into(), imm(1)]);
        k.i("ret", &[]);
        k.reject(Rule::EarlyTerminator, line);
    }

    #[test]
    fn control_falls_off_the_end() {
        let mut k = K::new();
        let r = k.reg(RegClass::B32);
        let line = k.i("mov.u32", &[r.into(), imm(1)]);
        k.reject(Rule::FallsOff, line);
        K::new().reject(Rule::FallsOff, 0);
    }

    #[test]
    fn a_block_that_is_none() {
        let mut k = K::new();
        let r = k.reg(RegClass::B32);
        k.i("mov.u32", &[r.into(), imm(1)]);
        k.block();
        let line = k.i("ret", &[]);
        k.reject(Rule::SplitBlock, line);
    }

    #[test]
    fn blocks_that_nothing_reaches_are_allowed() {
        let mut k = K::new();
        k.i("bra", &[Operand::Label(BlockId(2))]);
        k.block();
        k.i("ret", &[]);
        k.block();
        k.i("ret", &[]);
        assert_eq!(k.kernel.blocks.iter().filter(|b| **b != Block::default()).count(), 3);
        k.accept();
    }
}
