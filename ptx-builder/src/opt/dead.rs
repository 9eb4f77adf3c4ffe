//! Removes instructions whose results are not used, and unreachable blocks.

use crate::analysis::{Cfg, DefUse, InstId};
use crate::ir::{BlockId, Inst, Kernel, Operand};
use crate::table::Depends;

/// Removes them. A result counts as used if an instruction that stays may read it.
pub(super) fn run(kernel: &mut Kernel, cfg: &Cfg, chains: &DefUse) {
    let mut live = vec![false; cfg.inst_count()];
    let mut work: Vec<InstId> = Vec::new();
    for (b, i, inst) in kernel.insts() {
        if cfg.is_reachable(b) && !is_removable(inst) {
            let id = cfg.inst_id(b, i);
            live[id.0 as usize] = true;
            work.push(id);
        }
    }
    while let Some(inst) = work.pop() {
        for (_, defs) in chains.uses(inst) {
            for &def in defs {
                let source = chains.inst(def);
                if !live[source.0 as usize] {
                    live[source.0 as usize] = true;
                    work.push(source);
                }
            }
        }
    }
    for (b, block) in kernel.blocks.iter_mut().enumerate() {
        let first = cfg.inst_id(BlockId(b as u32), 0).0 as usize;
        let mut i = first;
        block.insts.retain(|_| {
            i += 1;
            live[i - 1]
        });
    }
}

/// Whether an instruction may be removed if its results are not used: it computes from its sources, or reads memory
/// that nothing changes. Reads of the clock stay, because authors measure with them; loads of other memory stay,
/// because they may fault.
fn is_removable(inst: &Inst) -> bool {
    let timed = inst.operands.iter().any(|op| matches!(op, Operand::Special(s) if !s.is_stable()));
    match inst.form().meaning.depends() {
        Depends::Sources => !timed,
        Depends::Constants => true,
        Depends::Others => false,
    }
}
