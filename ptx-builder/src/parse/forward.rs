//! Removes the passed scalars of calls of other modules' functions.
//!
//! Compilers store each argument to a separate `.param` and load the result from another one; the printer writes calls
//! in the same way. If nothing else uses such a scalar, the call takes the argument and returns the result itself.

use std::collections::HashMap;

use super::draft::{Actual, Call, Callee, PASSED};
use crate::ir::{Block, Kernel, Operand, Reg};
use crate::table::Op;

/// How often a passed scalar is written and read.
#[derive(Clone, Copy, Default)]
struct Touched {
    writes: u32,
    reads: u32,
}

/// Lets calls name their arguments and results.
pub(super) fn forward(kernel: &mut Kernel, calls: &[Call<'_>]) {
    let mut touched: HashMap<Reg, Touched> = HashMap::new();
    for (_, _, inst) in kernel.insts() {
        inst.defs().filter(|r| r.index >= PASSED).for_each(|r| touched.entry(r).or_default().writes += 1);
        inst.uses().filter(|r| r.index >= PASSED).for_each(|r| touched.entry(r).or_default().reads += 1);
    }
    // What goes to a function of the text is left as it is.
    for call in calls {
        let at = if let Callee::At(reg, _) = call.callee { Some(reg) } else { None };
        let actuals = call.results.iter().chain(&call.args);
        let regs = actuals.filter_map(|a| if let Actual::Reg(r) = a { Some(*r) } else { None });
        for reg in regs.chain(at) {
            touched.entry(reg).or_default().writes += 2;
        }
    }
    let once = |reg: Reg| touched.get(&reg).is_some_and(|t| (t.writes, t.reads) == (1, 1));
    kernel.blocks.iter_mut().for_each(|block| in_block(block, once));
}

fn in_block(block: &mut Block, once: impl Fn(Reg) -> bool) {
    if !block.insts.iter().any(|inst| inst.form().op == Op::Call) {
        return;
    }
    let mut gone = vec![false; block.insts.len()];
    let mut defined: HashMap<Reg, usize> = HashMap::new();
    for i in 0..block.insts.len() {
        if block.insts[i].form().op == Op::Call {
            for k in 2..block.insts[i].operands.len() {
                let Operand::Reg(passed) = block.insts[i].operands[k] else { continue };
                let Some(&at) = defined.get(&passed).filter(|_| once(passed)) else { continue };
                let source = block.insts[at].operands.get(1).copied();
                let unchanged = match source {
                    Some(Operand::Reg(s)) => defined.get(&s).is_none_or(|&d| d < at),
                    Some(Operand::Imm(_)) => true,
                    _ => false,
                };
                if let Some(source) = source.filter(|_| unchanged && is_move(block, at)) {
                    block.insts[i].operands[k] = source;
                    gone[at] = true;
                }
            }
            result(block, i, &once, &mut gone);
        }
        for reg in block.insts[i].defs() {
            defined.insert(reg, i);
        }
    }
    let mut place = 0;
    block.insts.retain(|_| {
        place += 1;
        !gone[place - 1]
    });
}

/// The result of the call at `i` straight to where the next instruction moves it.
fn result(block: &mut Block, i: usize, once: impl Fn(Reg) -> bool, gone: &mut [bool]) {
    let (Some(&Operand::Reg(passed)), None) = (block.insts[i].operands.get(1), block.insts[i].guard) else { return };
    let Some(next) = block.insts.get(i + 1) else { return };
    let [Operand::Reg(to), Operand::Reg(from)] = next.operands[..] else { return };
    if from == passed && once(passed) && is_move(block, i + 1) && to.class.bits() == from.class.bits() {
        block.insts[i].operands[1] = Operand::Reg(to);
        gone[i + 1] = true;
    }
}

fn is_move(block: &Block, i: usize) -> bool {
    let inst = &block.insts[i];
    inst.guard.is_none() && inst.form().op == Op::Mov
}
