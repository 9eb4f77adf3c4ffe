//! Decisions that threads agree on although what they compare differs.
//!
//! In `for (i = t; i < t + 4; i += 1)` both sides have the thread's own part
//! t and a part that is the same everywhere, so `i < t + 4` is too, as long
//! as neither sum wraps: so much of t and of the counts must be known.
//!
//! A side is followed back through sums with what is the same everywhere, to
//! a register or special register that both sides start from. One of them may
//! count: a register with two definitions, where it starts and a step. How
//! often it has stepped is the same for threads that have gone the same way,
//! which is what the divergence analysis assumes until it knows better; this
//! is asked again then. A start lies before each use on every path, so both
//! sides see the same execution of it.

use std::cell::OnceCell;

use smallvec::{SmallVec, smallvec};

use super::ranges::Ranges;
use super::value::{Uniformity, low};
use super::{Cfg, DefId, DefUse, Divergence, InstId};
use crate::ir::{BlockId, Guard, Inst, Kernel, Operand, Reg};
use crate::table::{Relation, SpecialReg, Word};

/// What a sum starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Def(DefId),
    Special(SpecialReg),
}

/// What is added to a start.
#[derive(Clone, Copy, Debug)]
struct Added {
    /// How far it is the same.
    level: Uniformity,
    /// It is at most this, if that is known.
    most: Option<u64>,
}

impl Added {
    const NOTHING: Added = Added { level: Uniformity::Block, most: Some(0) };

    fn and(self, other: Added) -> Added {
        let most = self.most.zip(other.most).and_then(|(a, b)| a.checked_add(b));
        Added { level: self.level.max(other.level), most }
    }
}

/// The ways to see a value as a start and what is added to it.
type Sums = SmallVec<[(Start, Added); 4]>;

/// A side of a comparison.
struct Side {
    sums: Sums,
    /// Where it counts: the step, and how much that is.
    step: Option<(InstId, Added)>,
}

/// Sums are short.
pub(super) const DEPTH: u32 = 16;

/// The kernel, and what is known of it so far.
pub(super) struct Agreement<'k, 'd> {
    pub kernel: &'k Kernel,
    pub cfg: &'k Cfg,
    pub defuse: &'k DefUse,
    pub known: &'d Divergence,
    /// Made when it is first needed.
    pub ranges: &'d OnceCell<Ranges<'k>>,
    /// Instructions that a sum is followed through, at most.
    pub depth: u32,
}

impl<'k> Agreement<'k, '_> {
    fn ranges(&self) -> &Ranges<'k> {
        self.ranges.get_or_init(|| Ranges::new(self.kernel, self.cfg, self.defuse))
    }

    /// How far threads agree on a branch at the end of a block, if more can be said than that of its guard.
    pub(super) fn of_branch(&self, b: BlockId, branch: InstId, guard: Guard) -> Option<Uniformity> {
        let (at, test) = self.def(branch, guard.reg)?;
        let form = test.form();
        let Word::Compare { relation, signed } = form.word() else { return None };
        let source = |name: &str| test.slots().find(|(s, _)| s.name == name).and_then(|(_, ops)| ops.first().copied());
        let (Operand::Reg(left), Operand::Reg(right)) = (source("a")?, source("b")?) else { return None };
        let (left, right) = (self.side(at, left)?, self.side(at, right)?);
        let here = Added { level: self.control_of(at), ..Added::NOTHING };
        let (start, x, y) = common(&left.sums, &right.sums)?;
        let level = [here, x, y].into_iter().chain(left.step.map(|s| s.1)).chain(right.step.map(|s| s.1));
        let level = level.map(|a| a.level).max()?;
        // The difference decides alone, whatever wraps.
        if matches!(relation, Relation::Eq | Relation::Ne) {
            return Some(level);
        }
        let bits = form.word_bits();
        let limit = low(if signed { bits - 1 } else { bits });
        let own = match start {
            Start::Def(def) => self.ranges().of_def(def).most,
            Start::Special(s) => self.ranges().special(s).most,
        };
        let (x, y) = (x.most?, y.most?);
        let reached = match (left.step, right.step) {
            (None, None) => x.max(y),
            (Some(_), Some(_)) => return None,
            (Some((step, by)), None) => {
                let stays = matches!(relation, Relation::Lt | Relation::Le);
                self.counted(b, at, step, stays != guard.negated, x.max(y), by)?
            }
            (None, Some((step, by))) => {
                let stays = matches!(relation, Relation::Gt | Relation::Ge);
                self.counted(b, at, step, stays != guard.negated, x.max(y), by)?
            }
        };
        (own.checked_add(reached)? <= limit).then_some(level)
    }

    /// How far a count gets that goes on only while it is below a bound: it starts and is compared with no more
    /// than `most`. `taken` says which way the branch of block `b` goes while it is.
    fn counted(&self, b: BlockId, test: InstId, step: InstId, taken: bool, most: u64, by: Added) -> Option<u64> {
        let insts = &self.kernel.blocks[b.0 as usize].insts;
        let target = insts.last()?.branch_target()?;
        let mut ways = self.cfg.successors(b);
        let stay = if taken { Some(target) } else { ways.find(|&s| s != target) }?;
        let from = self.cfg.site(step).0;
        // Whoever steps again has come by the test, and along the way of those below the bound.
        let passes = self.cfg.site(test).0 == b && !self.comes_back(from, (b, stay));
        // There may be a step between a test and its branch, so there may be two.
        passes.then(|| most.checked_add(by.most?.checked_mul(2)?))?
    }

    /// Whether a block can be reached from itself without an edge.
    fn comes_back(&self, from: BlockId, without: (BlockId, BlockId)) -> bool {
        let mut seen = vec![false; self.cfg.len()];
        let mut work: Vec<BlockId> = vec![from];
        while let Some(b) = work.pop() {
            for s in self.cfg.successors(b).filter(|&s| (b, s) != without) {
                if s == from {
                    return true;
                }
                if !std::mem::replace(&mut seen[s.0 as usize], true) {
                    work.push(s);
                }
            }
        }
        false
    }

    /// The only instruction that can have written a register where it is used, on every path there.
    fn def(&self, at: InstId, reg: Reg) -> Option<(InstId, &'k Inst)> {
        let [def] = self.defuse.reaching(at, reg) else { return None };
        let id = self.defuse.inst(*def);
        let is_plain = !self.defuse.is_guarded(*def) && self.is_before(id, at);
        is_plain.then(|| (id, self.inst(id)))
    }

    fn inst(&self, id: InstId) -> &'k Inst {
        self.cfg.inst(self.kernel, id)
    }

    /// Whether an instruction lies on every path to another.
    fn is_before(&self, first: InstId, then: InstId) -> bool {
        let ((a, i), (b, j)) = (self.cfg.site(first), self.cfg.site(then));
        if a == b {
            return i < j;
        }
        let mut at = Some(b);
        while let Some(now) = at {
            if now == a {
                return true;
            }
            at = self.cfg.immediate_dominator(now);
        }
        false
    }

    /// Under which decisions an instruction is executed.
    fn control_of(&self, id: InstId) -> Uniformity {
        self.known.control(self.cfg.site(id).0)
    }

    fn side(&self, at: InstId, reg: Reg) -> Option<Side> {
        if let &[a, b] = self.defuse.defs_of(reg) {
            return self.count(at, reg, a, b).or_else(|| self.count(at, reg, b, a));
        }
        let mut sums = Sums::new();
        self.sums(at, reg, Added::NOTHING, self.depth, &mut sums);
        Some(Side { sums, step: None })
    }

    /// A register that starts as one definition says and steps as the other does.
    fn count(&self, at: InstId, reg: Reg, start: DefId, step: DefId) -> Option<Side> {
        let (from, again) = (self.defuse.inst(start), self.defuse.inst(step));
        let is_plain = !self.defuse.is_guarded(start) && !self.defuse.is_guarded(step) && self.is_before(from, at);
        if !is_plain {
            return None;
        }
        let by = self.step(again, reg, self.depth)?.and(Added { level: self.control_of(again), ..Added::NOTHING });
        let mut sums: Sums = smallvec![];
        self.of_result(from, Added { level: self.control_of(from), ..Added::NOTHING }, self.depth, &mut sums);
        Some(Side { sums, step: Some((again, by)) })
    }

    /// What an instruction's result has more than `reg` had before.
    fn step(&self, id: InstId, reg: Reg, depth: u32) -> Option<Added> {
        let (source, added) = self.one_more(id)?;
        if source == reg {
            return Some(added);
        }
        let (before, _) = self.def(id, source).filter(|_| depth > 0)?;
        let control = Added { level: self.control_of(before), ..Added::NOTHING };
        Some(added.and(control).and(self.step(before, reg, depth - 1)?))
    }

    /// The register that an instruction adds something to that is the same in the warp at least.
    fn one_more(&self, id: InstId) -> Option<(Reg, Added)> {
        let inst = self.inst(id);
        let operand = |i: usize| inst.operands.get(i).copied();
        let added = |op: Operand| match op {
            Operand::Imm(c) => Some(Added { level: Uniformity::Block, most: Some(c) }),
            Operand::Reg(r) => {
                let level = self.known.use_value(self.cfg, self.defuse, id, r).level();
                (level < Uniformity::Divergent).then(|| Added { level, most: Some(self.ranges().of(id, r).most) })
            }
            _ => None,
        };
        match inst.form().word() {
            Word::Copy => match operand(1)? {
                Operand::Reg(r) => Some((r, Added::NOTHING)),
                _ => None,
            },
            Word::Add => match (operand(1)?, operand(2)?) {
                (Operand::Reg(a), b) if added(b).is_some() => Some((a, added(b)?)),
                (a, Operand::Reg(b)) => Some((b, added(a)?)),
                _ => None,
            },
            Word::Sub => match (operand(1)?, operand(2)?) {
                (Operand::Reg(a), b) => Some((a, Added { most: None, ..added(b)? })),
                _ => None,
            },
            Word::Resize { .. }
            | Word::Rebase
            | Word::InWindow
            | Word::Mul
            | Word::WideMul { .. }
            | Word::Mad
            | Word::WideMad { .. }
            | Word::Shl
            | Word::Shr { .. }
            | Word::Div { .. }
            | Word::Rem { .. }
            | Word::And
            | Word::Or
            | Word::Xor
            | Word::Min { .. }
            | Word::Max { .. }
            | Word::Select
            | Word::Compare { .. }
            | Word::Other => None,
        }
    }

    /// The sums that a register is where an instruction uses it.
    fn sums(&self, at: InstId, reg: Reg, added: Added, depth: u32, found: &mut Sums) {
        let Some((id, _)) = self.def(at, reg) else { return };
        let control = Added { level: self.control_of(id), ..Added::NOTHING };
        self.of_result(id, added.and(control), depth, found);
    }

    /// The sums of which an instruction's result consists, with further terms.
    fn of_result(&self, id: InstId, added: Added, depth: u32, found: &mut Sums) {
        let Some(def) = self.defuse.defs(id).next() else { return };
        found.push((Start::Def(def), added));
        let inst = self.inst(id);
        if let (Word::Copy, Some(&Operand::Special(s))) = (inst.form().word(), inst.operands.get(1))
            && s.is_stable()
        {
            found.push((Start::Special(s), added));
        }
        if let Some((source, more)) = self.one_more(id).filter(|_| depth > 0) {
            self.sums(id, source, added.and(more), depth - 1, found);
        }
    }
}

/// The first start that two values have in common, and what each adds to it.
fn common(left: &Sums, right: &Sums) -> Option<(Start, Added, Added)> {
    left.iter().find_map(|(start, x)| {
        let (_, y) = right.iter().find(|(other, _)| other == start)?;
        Some((*start, *x, *y))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use crate::verify::verify;

    /// How far threads agree on the last branch of a kernel, if sums are followed so deep.
    fn agreed(depth: u32, body: &str) -> Option<Uniformity> {
        let head = ".version 7.0 .target sm_80 .address_size 64 .entry k() { .reg .pred %p; .reg .b32 %t, %i, %r<9>; \
                    mov.u32 %t, %tid.x; ";
        let module = parse("t", &format!("{head}{body} ret; }}")).unwrap_or_else(|e| panic!("{e}"));
        let v = verify(module).unwrap_or_else(|e| panic!("{e}"));
        let (kernel, info) = (&v.module().kernels[0], v.info(0));
        let (cfg, defuse) = (&info.cfg, &info.defuse);
        let ranges = OnceCell::new();
        let agreement = Agreement { kernel, cfg, defuse, known: &info.uniformity, ranges: &ranges, depth };
        let (b, i, branch) = kernel.insts().filter(|(_, _, inst)| inst.branch_target().is_some()).last()?;
        agreement.of_branch(b, cfg.inst_id(b, i), branch.guard?)
    }

    #[test]
    fn sums_are_followed_as_deep_as_they_may_be() {
        let sums =
            "add.u32 %r1, %t, 1; add.u32 %r2, 5, %r1; add.u32 %r3, %r2, 9; setp.lt.u32 %p, %t, %r3; @%p bra E; E:";
        let steps = "add.u32 %r1, %t, 9; mov.u32 %i, %t; L: add.u32 %r2, %i, 1; add.u32 %r3, %r2, 1; mov.u32 %i, %r3; \
                     setp.lt.u32 %p, %i, %r1; @%p bra L;";
        for (body, least) in [(sums, 3), (steps, 2)] {
            for depth in 0..6 {
                let expected = (depth >= least).then_some(Uniformity::Block);
                assert_eq!(agreed(depth, body), expected, "{depth} {body}");
            }
        }
    }
}
