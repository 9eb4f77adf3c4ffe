//! Operations that several threads execute together.

use super::Rule;
use super::error::Errors;
use crate::analysis::lanes::{LaneSet, lanes_at, lanes_under};
use crate::analysis::{InstId, KernelInfo, Uniformity};
use crate::ir::{BlockId, Inst, Kernel, Module, Operand};
use crate::table::{Barrier, Meaning, Mod};

/// Checks barriers, lane masks and matrix instructions.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            let site = Site { module, kernel, info, b, id: info.cfg.inst_id(b, i), inst };
            match inst.form().meaning {
                Meaning::Barrier(Barrier::Warp) | Meaning::Shuffle(_) | Meaning::Vote(_) => site.mask(errors),
                Meaning::Barrier(barrier) => site.barrier(barrier, errors),
                Meaning::Matrix(_) => site.matrix(errors),
                _ => {}
            }
        }
    }
}

struct Site<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    b: BlockId,
    id: InstId,
    inst: &'k Inst,
}

impl Site<'_> {
    /// Under which decisions the instruction is executed.
    fn level(&self) -> Uniformity {
        let guard =
            self.inst.guard.map(|g| self.info.operand(self.module, self.kernel, self.id, &g.reg.into()).level());
        self.info.uniformity.control(self.b).max(guard.unwrap_or(Uniformity::Block))
    }

    /// The lines of the branches, or the guard, that part the threads.
    fn because(&self, over: Uniformity) -> String {
        let divergent = self.info.uniformity.controllers(self.b).filter(|&c| self.info.uniformity.branch(c) > over);
        let lines: Vec<String> = divergent
            .filter_map(|c| self.kernel.blocks[c.0 as usize].insts.last()?.loc.as_ref())
            .map(|loc| format!("{}:{}", loc.file, loc.line))
            .collect();
        if lines.is_empty() { "its guard".to_owned() } else { format!("the condition at {}", lines.join(" and ")) }
    }

    fn named(&self, name: &str) -> Option<&Operand> {
        self.inst.slots().find(|(slot, _)| slot.name == name).and_then(|(_, ops)| ops.first())
    }

    fn barrier(&self, barrier: Barrier, errors: &mut Errors) {
        let aligned = match barrier {
            Barrier::Sync { aligned } | Barrier::Arrive { aligned } | Barrier::Reduce { aligned, .. } => aligned,
            Barrier::ClusterArrive | Barrier::ClusterWait => self.inst.form().mods.contains(&Mod::Aligned),
            Barrier::Warp => false,
        };
        let counted = self.named("b").is_some_and(|op| *op != Operand::None);
        let allowed = if counted || matches!(barrier, Barrier::ClusterArrive | Barrier::ClusterWait) {
            Uniformity::Warp
        } else {
            Uniformity::Block
        };
        if !aligned || self.level() <= allowed {
            return;
        }
        let who = if allowed == Uniformity::Block { "block" } else { "warp" };
        let message = format!(
            "only some threads of the {who} reach this barrier: {} differs within the {who}; move the barrier out of the branch",
            self.because(allowed)
        );
        errors.inst(self.kernel, self.inst, Rule::DivergentBarrier, message);
    }

    fn matrix(&self, errors: &mut Errors) {
        if self.level() == Uniformity::Divergent {
            let message = format!(
                "only some lanes of the warp reach this matrix instruction, which takes all 32: {} differs within the warp",
                self.because(Uniformity::Warp)
            );
            errors.inst(self.kernel, self.inst, Rule::DivergentMatrix, message);
        }
    }

    /// Lanes that the block is too small to have are not there.
    fn present(&self) -> u32 {
        let threads = self.kernel.bounds.required.map_or(32, |shape| shape.iter().product());
        if threads < 32 { (1 << threads) - 1 } else { u32::MAX }
    }

    fn mask(&self, errors: &mut Errors) {
        let Some(operand) = self.named("membermask") else { return };
        let value = self.info.operand(self.module, self.kernel, self.id, operand);
        let Some(mask) = value.as_constant().map(|m| m as u32) else { return };
        let report = |errors: &mut Errors, message| errors.inst(self.kernel, self.inst, Rule::LaneMask, message);
        if mask == 0 {
            return report(errors, "the mask names no lane; name those that execute this".to_owned());
        }
        let mut lanes = lanes_at(self.module, self.kernel, self.info, self.b);
        if let Some(guard) = self.inst.guard {
            lanes = lanes_under(self.module, self.kernel, self.info, self.id, guard, lanes);
        }
        let there = LaneSet { mask: lanes.mask & self.present(), ..lanes };
        let (absent, unnamed) = (mask & !lanes.mask, there.mask & !mask);
        if absent != 0 && self.level() == Uniformity::Divergent {
            let message = format!(
                "mask {mask:#010x} names lanes {absent:#010x} that {} keeps away; they would be waited for",
                self.because(Uniformity::Warp)
            );
            report(errors, message);
        } else if self.level() == Uniformity::Divergent && !lanes.exact {
            if mask == u32::MAX {
                let message = format!(
                    "the mask names all lanes and only some reach this: {} differs within the warp; \
                     move it out of the branch or give the mask of the lanes that are there",
                    self.because(Uniformity::Warp)
                );
                report(errors, message);
            }
        } else if unnamed != 0 {
            let message = format!(
                "lanes {unnamed:#010x} execute this and mask {mask:#010x} does not name them, which is undefined; \
                 name all lanes that are there"
            );
            report(errors, message);
        }
    }
}
