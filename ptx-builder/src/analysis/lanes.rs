//! Which lanes of a warp can be at a block, where conditions on the lane
//! number decide it.

use std::cell::Cell;

use smallvec::SmallVec;

use super::value::low;
use super::{InstId, KernelInfo, Uniformity};
use crate::ir::{BlockId, Guard, Kernel, Module, Operand, Reg};
use crate::table::{Access, Lanes, Meaning, SpecialReg, WARP};

/// Lanes of a warp that can be at a point together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneSet {
    /// No other lanes are there; bit i for lane i.
    pub mask: u32,
    /// Whether all of these are there whenever any is.
    pub exact: bool,
    /// Whether all of these are there whenever any thread of the block is there.
    pub with_block: bool,
}

impl LaneSet {
    /// Every lane.
    pub const ALL: LaneSet = LaneSet { mask: u32::MAX, exact: true, with_block: true };
}

/// The lanes of a warp that can be at an instruction of block `b`. `kernel` and
/// `module` must be those that `info` describes.
///
/// Blocks whose shape is not known are taken to be rows of whole warps.
pub fn lanes_at(
    module: &Module,
    kernel: &Kernel,
    info: &KernelInfo,
    b: BlockId,
    inst: InstId,
    guard: Option<Guard>,
    warp: u32,
) -> LaneSet {
    if !info.uniformity.is_complete() {
        return LaneSet { exact: false, with_block: false, ..LaneSet::ALL };
    }
    let search = Search { module, kernel, info, warp, steps: Cell::new(0) };
    let lanes = search.at(b, &mut SmallVec::new());
    guard.map_or(lanes, |guard| search.under(inst, guard, lanes))
}

struct Search<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    warp: u32,
    /// How many blocks have been looked at.
    steps: Cell<u32>,
}

/// Conditions nest no deeper than this; beyond, only a run can tell.
const NESTED: usize = 100;

/// Blocks that are looked at for an instruction; beyond, only a run can tell.
const STEPS: u32 = 2000;

/// Expressions of the lane number are short.
const DEPTH: u32 = 16;

impl Search<'_> {
    fn at(&self, b: BlockId, visiting: &mut SmallVec<[BlockId; 8]>) -> LaneSet {
        if self.info.uniformity.control(b) == Uniformity::Block {
            return LaneSet::ALL;
        }
        self.steps.set(self.steps.get() + 1);
        if visiting.contains(&b) || visiting.len() > NESTED || self.steps.get() > STEPS {
            let whole = visiting.len() <= NESTED && self.steps.get() <= STEPS;
            let exact = whole && self.info.uniformity.control(b) < Uniformity::Divergent;
            return LaneSet { exact, with_block: false, ..LaneSet::ALL };
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
                    with_block: other.with_block && lanes.with_block && other.mask == lanes.mask,
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
        if value.level() == Uniformity::Block {
            return lanes;
        }
        let Some(holds) = self.reg(inst, guard.reg, DEPTH) else {
            return LaneSet { exact: lanes.exact && value.lane_bits == 0, with_block: false, ..lanes };
        };
        let mask = (0..WARP).filter(|&l| (holds[l] & 1 == 1) != guard.negated).fold(0, |m, l| m | 1 << l);
        LaneSet { mask: lanes.mask & mask, ..lanes }
    }

    /// A register's value in each lane, where it follows from the thread's
    /// number alone.
    fn reg(&self, inst: InstId, reg: Reg, depth: u32) -> Option<Lanes> {
        let &[def] = self.info.defuse.reaching(inst, reg) else { return None };
        if self.info.defuse.is_guarded(def) || depth == 0 {
            return None;
        }
        let at = self.info.defuse.inst(def);
        let maker = self.info.inst(self.kernel, at);
        let Meaning::Lane(eval) = maker.form().meaning else { return None };
        if maker.form().word().depends_on_machine() {
            return None;
        }
        let (mut sources, mut results) = (Vec::new(), Vec::new());
        let mut wanted = None;
        for (slot, operands) in maker.slots() {
            for operand in operands {
                if slot.access == Access::Read {
                    sources.push(self.operand(at, operand, depth - 1)?);
                } else {
                    if *operand == Operand::Reg(reg) {
                        wanted = Some((results.len(), slot.ty()));
                    }
                    results.push([0; WARP]);
                }
            }
        }
        eval(&mut results, &sources);
        let (i, ty) = wanted?;
        // A wider register holds the number extended by its sign.
        let narrow = ty.filter(|ty| ty.is_signed() && ty.bits() < reg.class.bits());
        Some(narrow.map_or(results[i], |ty| {
            let up = 64 - ty.bits();
            results[i].map(|v| (((v << up) as i64 >> up) as u64) & low(reg.class.bits()))
        }))
    }

    fn operand(&self, inst: InstId, operand: &Operand, depth: u32) -> Option<Lanes> {
        let required = self.kernel.bounds.required;
        let thread = |f: fn(u32, [u32; 3]) -> u32| {
            let shape = required.unwrap_or([u32::MAX, 1, 1]);
            Some(std::array::from_fn(|lane| u64::from(f(self.warp * WARP as u32 + lane as u32, shape))))
        };
        match *operand {
            Operand::Reg(r) => self.reg(inst, r, depth),
            Operand::NotPred(r) => self.reg(inst, r, depth).map(|v| v.map(|x| x ^ 1)),
            Operand::Imm(bits) => Some([bits; WARP]),
            Operand::Special(SpecialReg::Laneid) => thread(|t, _| t % WARP as u32),
            Operand::Special(SpecialReg::TidX) => thread(|t, [x, ..]| t % x),
            Operand::Special(SpecialReg::TidY) if required.is_some() => thread(|t, [x, y, _]| t / x % y),
            Operand::Special(SpecialReg::TidZ) if required.is_some() => thread(|t, [x, y, _]| t / x / y),
            Operand::Special(_) => {
                let known = self.info.operand(self.module, self.kernel, inst, operand).as_constant();
                known.map(|bits| [bits; WARP])
            }
            // Addresses are the machine's.
            Operand::Symbol(..) | Operand::Address(_) | Operand::Label(_) | Operand::Function(_) | Operand::None => {
                None
            }
        }
    }
}
