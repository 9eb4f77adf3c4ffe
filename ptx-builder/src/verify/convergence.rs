//! Operations that several threads execute together.

use super::Rule;
use super::error::Errors;
use crate::analysis::lanes::{LaneSet, lanes_at};
use crate::analysis::{InstId, KernelInfo, Uniformity, away};
use crate::ir::{BlockId, Inst, Kernel, Module, Operand};
use crate::table::{Barrier, Meaning, Meets, WARP};

/// Checks barriers, lane masks and matrix instructions.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            let site = Site { module, kernel, info, b, id: info.cfg.inst_id(b, i), inst };
            match inst.form().meets() {
                Meets::Mask => site.mask(errors),
                Meets::Block => site.barrier(true, errors),
                Meets::Cluster => site.barrier(false, errors),
                Meets::Warp => site.matrix(errors),
                Meets::Alone => {}
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

/// Whether threads that differ in where they go come to an instruction together.
enum Coming {
    /// They do.
    All,
    /// Some do not when others do.
    Some,
    /// Only a run can decide.
    Unknown,
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
        let mut lines: Vec<String> = divergent
            .filter_map(|c| self.kernel.blocks[c.0 as usize].insts.last()?.loc.as_ref())
            .map(|loc| format!("{}:{}", loc.file, loc.line))
            .collect();
        lines.dedup();
        if lines.is_empty() { "its guard".to_owned() } else { format!("the condition at {}", lines.join(" and ")) }
    }

    fn named(&self, name: &str) -> Option<&Operand> {
        self.inst.slots().find(|(slot, _)| slot.name == name).and_then(|(_, ops)| ops.first())
    }

    /// The constant that an operand is known to be.
    fn constant(&self, name: &str) -> Option<u64> {
        let operand = self.named(name).filter(|op| **op != Operand::None)?;
        self.info.operand(self.module, self.kernel, self.id, operand).as_constant()
    }

    /// The lanes of each warp that can be here, and those that the warp has. Of
    /// a block whose shape is not known, only the first warp is sure to exist.
    fn warps(&self) -> impl Iterator<Item = (LaneSet, u32)> {
        let at = |warp| lanes_at(self.module, self.kernel, self.info, self.b, self.id, self.inst.guard, warp);
        let bounds = &self.kernel.bounds;
        let threads = match (bounds.required, bounds.max_threads) {
            (Some(shape), _) => shape.iter().product::<u32>().min(1024),
            (None, Some(shape)) => shape.iter().product::<u32>().min(1024).next_multiple_of(32),
            (None, None) => 1024,
        };
        let present = move |w: u32| if threads - w * 32 < 32 { (1 << (threads - w * 32)) - 1 } else { u32::MAX };
        (0..threads.div_ceil(32)).map(move |w| (at(w), present(w)))
    }

    /// Whether the threads of the block (`whole_block`) or of each warp come here together.
    fn coming(&self, whole_block: bool) -> Coming {
        let warps: Vec<(LaneSet, u32)> = self.warps().collect();
        let shape_is_known = self.kernel.bounds.required.is_some();
        let some = |(lanes, present): &(LaneSet, u32)| lanes.mask & present != 0;
        let absent = |(lanes, present): &(LaneSet, u32)| present & !lanes.mask != 0;
        let is_parted = |warps: &[(LaneSet, u32)]| {
            if whole_block {
                warps.iter().any(some) && warps.iter().any(absent)
            } else {
                warps.iter().any(|w| some(w) && absent(w))
            }
        };
        let decided = warps.iter().all(|(lanes, _)| if whole_block { lanes.with_block } else { lanes.exact });
        match is_parted(if shape_is_known { &warps } else { &warps[..1] }) {
            true => Coming::Some,
            false if decided && !is_parted(&warps) => Coming::All,
            false => Coming::Unknown,
        }
    }

    fn barrier(&self, of_block: bool, errors: &mut Errors) {
        self.counts(errors);
        let counted = self.named("b").is_some_and(|op| *op != Operand::None);
        // A count is of warps, and so are a cluster's arrivals.
        let allowed = if counted || !of_block { Uniformity::Warp } else { Uniformity::Block };
        if !self.inst.form().is_aligned() || self.level() <= allowed {
            return;
        }
        let who = if allowed == Uniformity::Block { "block" } else { "warp" };
        let why = self.because(allowed);
        match self.coming(allowed == Uniformity::Block) {
            Coming::All => {}
            Coming::Some => {
                let message = format!(
                    "only some threads of the {who} reach this barrier: {why} differs within the {who}; move the barrier out of the branch"
                );
                errors.inst(self.kernel, self.inst, Rule::DivergentBarrier, message);
            }
            Coming::Unknown => {
                let message = format!(
                    "perhaps only some threads of the {who} reach this barrier: {why} may differ within the {who}; \
                     move the barrier out of the branch, or run it in the interpreter to see"
                );
                errors.doubt(self.kernel, self.inst, Rule::DivergentBarrier, message);
            }
        }
    }

    /// The number of the barrier and of its threads, where they are known.
    fn counts(&self, errors: &mut Errors) {
        let mut report = |message| errors.inst(self.kernel, self.inst, Rule::BarrierCount, message);
        if let Some(a) = self.constant("a").filter(|&a| a > 15) {
            report(format!("barrier {a} is not there; a block has barriers 0 to 15"));
        }
        let Some(n) = self.constant("b").map(|n| n & 0xffff_ffff) else { return };
        if n == 0 || n % WARP as u64 != 0 || n > 1024 {
            return report(format!("a barrier of {n} threads; the number must be a multiple of 32, from 32 to 1024"));
        }
        let shape = self.kernel.bounds.required.or(self.kernel.bounds.max_threads);
        let most = shape.map(|s| s.iter().map(|&x| u64::from(x)).product::<u64>().next_multiple_of(WARP as u64));
        if let Some(most) = most.filter(|&most| n > most && self.inst.form().waits()) {
            report(format!("a barrier of {n} threads in a block of at most {most} waits forever"));
        }
    }

    fn matrix(&self, errors: &mut Errors) {
        if self.level() < Uniformity::Divergent {
            return;
        }
        let why = self.because(Uniformity::Warp);
        match self.coming(false) {
            Coming::All => {}
            Coming::Some => {
                let message = format!(
                    "only some lanes of the warp reach this matrix instruction, which takes all 32: {why} differs within the warp"
                );
                errors.inst(self.kernel, self.inst, Rule::DivergentMatrix, message);
            }
            Coming::Unknown => {
                let message = format!(
                    "perhaps only some lanes of the warp reach this matrix instruction, which takes all 32: {why} may differ within the warp"
                );
                errors.doubt(self.kernel, self.inst, Rule::DivergentMatrix, message);
            }
        }
    }

    fn mask(&self, errors: &mut Errors) {
        let Some(mask) = self.constant("membermask").map(|m| m as u32) else { return };
        if mask == 0 {
            let message = "the mask names no lane; name those that execute this".to_owned();
            return errors.inst(self.kernel, self.inst, Rule::LaneMask, message);
        }
        let together = self.level() < Uniformity::Divergent;
        for (warp, (lanes, present)) in self.warps().enumerate() {
            let there = lanes.mask & present;
            let doubtful = if there == 0 {
                None
            } else if together || mask & present & !lanes.mask == 0 && lanes.exact {
                self.unnamed(mask, there)
            } else if mask & present & !lanes.mask != 0 {
                self.absent(mask, lanes, present)
            } else if mask == u32::MAX {
                self.undecided()
            } else {
                None
            };
            let Some((doubtful, message)) = doubtful else {
                // All warps are alike.
                if together && self.kernel.bounds.required.is_none() {
                    return;
                }
                continue;
            };
            return match doubtful || warp > 0 && self.kernel.bounds.required.is_none() {
                true => errors.doubt(self.kernel, self.inst, Rule::LaneMask, message),
                false => errors.inst(self.kernel, self.inst, Rule::LaneMask, message),
            };
        }
    }

    /// All lanes are known, and in the mask or not.
    fn unnamed(&self, mask: u32, there: u32) -> Option<(bool, String)> {
        let unnamed = there & !mask;
        let message = format!(
            "lanes {unnamed:#010x} execute this and mask {mask:#010x} does not name them, which is undefined; \
             name all lanes that are there"
        );
        // A block of fewer threads than a warp may have these lanes only.
        let small = self.kernel.bounds.required.is_none() && mask & mask.wrapping_add(1) == 0;
        (unnamed != 0).then_some((small, message))
    }

    /// Lanes of the mask do not come. That is all right once they have exited.
    fn absent(&self, mask: u32, lanes: LaneSet, present: u32) -> Option<(bool, String)> {
        let absent = mask & present & !lanes.mask;
        let why = self.because(Uniformity::Warp);
        match self.others() {
            Others::Leave => {}
            Others::MayMeet => {
                let message = format!(
                    "mask {mask:#010x} names lanes {absent:#010x} that {why} keeps away; they meet these at another \
                     bar.warp.sync only if they come to one as often; run it in the interpreter to see"
                );
                return Some((true, message));
            }
            Others::Wait => {
                let message = format!(
                    "mask {mask:#010x} names lanes {absent:#010x} that {why} keeps away; they would be waited for"
                );
                return Some((false, message));
            }
        }
        if mask != u32::MAX {
            let message = format!(
                "mask {mask:#010x} names lanes {absent:#010x} that {why} keeps away; they are waited for until they exit"
            );
            return Some((true, message));
        }
        let Meaning::Shuffle(mode) = self.inst.form().meaning else { return None };
        let there = lanes.mask & present;
        let reader = match (lanes.exact, self.constant("b"), self.constant("c")) {
            (true, Some(b), Some(c)) => (0..WARP as u32)
                .filter(|lane| there >> lane & 1 == 1)
                .map(|lane| (lane, mode.source(lane, b as u32, c as u32).0))
                .find(|&(_, from)| there >> from & 1 == 0)?,
            _ => return self.undecided(),
        };
        let (lane, from) = reader;
        let message = format!(
            "lane {lane} reads the register of lane {from}, which {why} keeps away: the result is undefined there"
        );
        Some((true, message))
    }

    /// Only a run can decide which lanes arrive, and the mask names all.
    fn undecided(&self) -> Option<(bool, String)> {
        let why = self.because(Uniformity::Warp);
        match self.others() {
            Others::Leave => {
                let shuffles = matches!(self.inst.form().meaning, Meaning::Shuffle(_));
                let message = format!(
                    "perhaps a lane's register is read that {why} keeps away, with an undefined result; \
                     move it out of the branch, or run it in the interpreter to see"
                );
                shuffles.then_some((true, message))
            }
            Others::MayMeet => {
                let message = format!(
                    "the mask names all lanes and {why} differs within the warp; the others meet these at another \
                     bar.warp.sync only if they come to one as often; run it in the interpreter to see"
                );
                Some((true, message))
            }
            Others::Wait => {
                let message = format!(
                    "the mask names all lanes and only some reach this: {why} differs within the warp; \
                     move it out of the branch or give the mask of the lanes that are there"
                );
                Some((true, message))
            }
        }
    }

    /// What lanes of the mask do that do not come when others do.
    fn others(&self) -> Others {
        let is_warp_barrier = matches!(self.inst.form().meaning, Meaning::Barrier(Barrier::Warp));
        match away::lanes_elsewhere(self.kernel, self.info, self.b, self.id) {
            away::Away::Exit => Others::Leave,
            away::Away::WarpBarrier if is_warp_barrier => Others::MayMeet,
            away::Away::WarpBarrier | away::Away::Meet => Others::Wait,
        }
    }
}

/// What lanes do that do not come to an instruction when others of their warp do.
enum Others {
    /// They exit, and are not waited for, or come after all.
    Leave,
    /// They come to another `bar.warp.sync`, where they meet these.
    MayMeet,
    /// They wait elsewhere.
    Wait,
}
