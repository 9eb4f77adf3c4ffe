//! Which lanes of a warp can be at a block, where conditions on the lane
//! number decide it.

use smallvec::SmallVec;

use super::{InstId, KernelInfo, Uniformity};
use crate::ir::{BlockId, Guard, Kernel, Module, Operand, Reg};
use crate::table::{Access, Lanes, Meaning, SpecialReg, WARP};

/// Lanes that can be at a point together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneSet {
    /// No other lanes are there; bit i for lane i.
    pub mask: u32,
    /// Whether all of these are there whenever any is.
    pub exact: bool,
}

impl LaneSet {
    /// Every lane.
    pub const ALL: LaneSet = LaneSet { mask: u32::MAX, exact: true };
}

/// The lanes that can be at a block. `kernel` and `module` must be those that
/// `info` describes.
pub fn lanes_at(module: &Module, kernel: &Kernel, info: &KernelInfo, b: BlockId) -> LaneSet {
    Search { module, kernel, info }.at(b, &mut SmallVec::new())
}

/// Of `lanes`, those where a guard holds at an instruction.
pub fn lanes_under(
    module: &Module,
    kernel: &Kernel,
    info: &KernelInfo,
    inst: InstId,
    guard: Guard,
    lanes: LaneSet,
) -> LaneSet {
    Search { module, kernel, info }.under(inst, guard, lanes)
}

struct Search<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
}

/// Expressions of the lane number are short.
const DEPTH: u32 = 16;

impl Search<'_> {
    fn at(&self, b: BlockId, visiting: &mut SmallVec<[BlockId; 8]>) -> LaneSet {
        if self.info.uniformity.control(b) < Uniformity::Divergent {
            return LaneSet::ALL;
        }
        if visiting.contains(&b) {
            return LaneSet { exact: false, ..LaneSet::ALL };
        }
        visiting.push(b);
        let mut found: Option<LaneSet> = None;
        for (c, taken) in self.direct_controllers(b) {
            let mut lanes = self.at(c, visiting);
            if let Some(last) = self.kernel.blocks[c.0 as usize].insts.last()
                && let Some(guard) = last.guard
            {
                let inst = self.info.cfg.inst_id(c, self.kernel.blocks[c.0 as usize].insts.len() - 1);
                lanes = self.under(inst, Guard { negated: guard.negated == taken, ..guard }, lanes);
            }
            found = Some(match found {
                None => lanes,
                Some(other) => LaneSet {
                    mask: other.mask | lanes.mask,
                    exact: other.exact && lanes.exact && other.mask == lanes.mask,
                },
            });
        }
        visiting.pop();
        found.unwrap_or(LaneSet::ALL)
    }

    /// Branches that decide directly about `b`, and whether it is the taken
    /// way that leads there.
    fn direct_controllers(&self, b: BlockId) -> SmallVec<[(BlockId, bool); 4]> {
        let cfg = &self.info.cfg;
        let mut found = SmallVec::new();
        for c in self.info.uniformity.controllers(b) {
            let stop = cfg.immediate_post_dominator(c);
            let target = self.kernel.blocks[c.0 as usize].insts.last().and_then(|i| i.branch_target());
            for s in cfg.successors(c) {
                let mut at = Some(s);
                while let Some(now) = at.filter(|&now| Some(now) != stop) {
                    if now == b {
                        found.push((c, target == Some(s)));
                    }
                    at = cfg.immediate_post_dominator(now);
                }
            }
        }
        found
    }

    fn under(&self, inst: InstId, guard: Guard, lanes: LaneSet) -> LaneSet {
        let value = self.info.uniformity.use_value(&self.info.cfg, &self.info.defuse, inst, guard.reg);
        if value.lane_bits == 0 {
            return lanes;
        }
        let holds = (value.warp_bits == 0).then(|| self.reg(inst, guard.reg, DEPTH)).flatten();
        let Some(holds) = holds else { return LaneSet { exact: false, ..lanes } };
        let mask = (0..WARP).filter(|&l| (holds[l] & 1 == 1) != guard.negated).fold(0, |m, l| m | 1 << l);
        LaneSet { mask: lanes.mask & mask, exact: lanes.exact }
    }

    /// A register's value in each lane, where it follows from the lane number
    /// alone. Only asked for values that do not differ between warps, so the
    /// thread number of the first warp stands for all.
    fn reg(&self, inst: InstId, reg: Reg, depth: u32) -> Option<Lanes> {
        let &[def] = self.info.defuse.reaching(inst, reg) else { return None };
        if self.info.defuse.is_guarded(def) || depth == 0 {
            return None;
        }
        let at = self.info.defuse.inst(def);
        let maker = self.info.inst(self.kernel, at);
        let Meaning::Lane(eval) = maker.form().meaning else { return None };
        let (mut sources, mut results) = (Vec::new(), Vec::new());
        let mut wanted = None;
        for (slot, operands) in maker.slots() {
            for operand in operands {
                if slot.access == Access::Read {
                    sources.push(self.operand(at, operand, depth - 1)?);
                } else {
                    if *operand == Operand::Reg(reg) {
                        wanted = Some(results.len());
                    }
                    results.push([0; WARP]);
                }
            }
        }
        eval(&mut results, &sources);
        wanted.map(|i| results[i])
    }

    fn operand(&self, inst: InstId, operand: &Operand, depth: u32) -> Option<Lanes> {
        let number = || std::array::from_fn(|lane| lane as u64);
        match *operand {
            Operand::Reg(r) => self.reg(inst, r, depth),
            Operand::NotPred(r) => self.reg(inst, r, depth).map(|v| v.map(|x| x ^ 1)),
            Operand::Imm(bits) => Some([bits; WARP]),
            Operand::Special(SpecialReg::Laneid | SpecialReg::TidX) => Some(number()),
            Operand::Special(_) => {
                let known = self.info.operand(self.module, self.kernel, inst, operand).as_constant();
                known.map(|bits| [bits; WARP])
            }
            _ => None,
        }
    }
}
