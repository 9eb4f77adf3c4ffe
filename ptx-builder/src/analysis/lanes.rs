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
    let search = Search { module, kernel, info, warp, limits: LIMITS, steps: Cell::new(0) };
    let lanes = search.at(b, &mut SmallVec::new());
    guard.map_or(lanes, |guard| search.under(inst, guard, lanes))
}

/// A block whose shape is not known is taken to be a row.
pub(crate) const ROW: [u32; 3] = [u32::MAX, 1, 1];

struct Search<'k> {
    module: &'k Module,
    kernel: &'k Kernel,
    info: &'k KernelInfo,
    warp: u32,
    limits: Limits,
    /// How many blocks have been looked at.
    steps: Cell<u32>,
}

/// Limit of a search; beyond it, only a run can decide.
#[derive(Clone, Copy)]
struct Limits {
    /// Conditions within each other.
    nested: usize,
    /// Blocks that are looked at for an instruction.
    steps: u32,
    /// Instructions that an expression of the lane number goes through, one after the other.
    depth: u32,
}

const LIMITS: Limits = Limits { nested: 100, steps: 2000, depth: 16 };

impl Search<'_> {
    fn at(&self, b: BlockId, visiting: &mut SmallVec<[BlockId; 8]>) -> LaneSet {
        if self.info.uniformity.control(b) == Uniformity::Block {
            return LaneSet::ALL;
        }
        self.steps.set(self.steps.get() + 1);
        let every = |exact| LaneSet { exact, with_block: false, ..LaneSet::ALL };
        if visiting.len() > self.limits.nested || self.steps.get() > self.limits.steps {
            return every(false);
        }
        if visiting.contains(&b) {
            return every(self.info.uniformity.control(b) < Uniformity::Divergent);
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
        let Some(holds) = self.reg(inst, guard.reg, self.limits.depth) else {
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
        // A wider register holds the number extended by its sign; one as wide, the number.
        Some(ty.filter(|ty| ty.is_signed()).map_or(results[i], |ty| {
            let up = 64 - ty.bits();
            results[i].map(|v| (((v << up) as i64 >> up) as u64) & low(reg.class.bits()))
        }))
    }

    fn operand(&self, inst: InstId, operand: &Operand, depth: u32) -> Option<Lanes> {
        let required = self.kernel.bounds.required;
        let thread = |f: fn(u32, [u32; 3]) -> u32| {
            let shape = required.unwrap_or(ROW);
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
            Operand::Symbol(..)
            | Operand::Address(_)
            | Operand::Label(_)
            | Operand::Function(_)
            | Operand::Text(_)
            | Operand::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use crate::verify::verify;

    /// The lanes at the last `activemask` but those under `guard`, searched within these limits.
    fn lanes(body: &str, limits: Limits) -> LaneSet {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p<99>; .reg .b32 %r<99>; \
                    mov.u32 %r0, %laneid; ";
        let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
        let v = verify(module).unwrap_or_else(|e| panic!("{e}"));
        let (kernel, info) = (&v.module().kernels[0], v.info(0));
        let search = Search { module: v.module(), kernel, info, warp: 0, limits, steps: Cell::new(0) };
        let at = kernel.insts().filter(|(_, _, inst)| inst.form().name.starts_with("activemask")).last();
        let (b, i, inst) = at.expect("the place");
        let found = search.at(b, &mut SmallVec::new());
        inst.guard.map_or(found, |guard| search.under(info.cfg.inst_id(b, i), guard, found))
    }

    /// Who comes round a loop again may be fewer than came first.
    #[test]
    fn a_loop_that_lanes_leave_has_no_exact_lanes() {
        let found = lanes("L: activemask.b32 %r1; setp.lt.u32 %p1, %r0, 5; @%p1 bra L;", LIMITS);
        assert!(!found.exact && !found.with_block, "{found:?}");
    }

    /// Two ways to one place: by the same lanes, all of which are there with the block or not; by others.
    #[test]
    fn ways_that_meet() {
        // Lanes below 5, and of those a choice of the whole block (%p1, %p2) or of each lane (%p3, %p4).
        let choices = "setp.lt.u32 %p0, %r0, 5; mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 1; setp.eq.u32 %p2, %r1, 2; \
                       mov.u32 %r3, %clock; setp.eq.u32 %p3, %r3, 1; setp.eq.u32 %p4, %r3, 2; \
                       setp.lt.u32 %p5, %r0, 3; setp.lt.u32 %p6, %r0, 2; ";
        let set = |mask, exact, with_block| LaneSet { mask, exact, with_block };
        for (first, second, expected) in [
            ("p1", "p2", set(0x1f, true, true)),
            ("p1", "p3", set(0x1f, false, false)),
            ("p3", "p1", set(0x1f, false, false)),
            ("p3", "p4", set(0x1f, false, false)),
            ("p1", "p5", set(0x1f, false, false)),
            ("p5", "p1", set(0x1f, false, false)),
            // Of the lanes that the first leaves, the second takes none.
            ("p5", "p6", set(0x7, false, false)),
        ] {
            let body = format!(
                "{choices} @!%p0 bra E; @%{first} bra L; mov.u32 %r2, 1; @%{second} bra L; bra E; L: activemask.b32 %r2; E:"
            );
            assert_eq!(lanes(&body, LIMITS), expected, "{first} {second}");
        }
    }

    #[test]
    fn a_search_ends_at_its_limits() {
        let few = |nested, steps, depth| Limits { nested, steps, depth };
        // Under `n` conditions, each within the last.
        let nested = |n: u32| -> String {
            let conditions = (0..n).map(|i| format!("setp.lt.u32 %p{i}, %r0, {}; @!%p{i} bra E; ", 20 - i));
            conditions.collect::<String>() + "activemask.b32 %r1; E:"
        };
        let known = LaneSet { mask: (1 << 18) - 1, exact: true, with_block: true };
        let every = LaneSet { exact: false, with_block: false, ..LaneSet::ALL };
        assert_eq!(lanes(&nested(3), LIMITS), known);
        let narrowed = |mask: u32| LaneSet { mask, ..every };
        // The place itself and the blocks of the second and the third condition; all threads come to the first.
        for (limits, expected) in [
            (few(2, 99, 16), known),
            (few(1, 99, 16), narrowed(known.mask)),
            (few(99, 3, 16), known),
            (few(99, 2, 16), narrowed(known.mask)),
            (few(99, 99, 2), known),
            (few(99, 99, 1), every),
        ] {
            assert_eq!(lanes(&nested(3), limits), expected, "{} {} {}", limits.nested, limits.steps, limits.depth);
        }
    }
}
