//! Definite assignment: no use before a definition.

use super::Rule;
use super::error::Errors;
use crate::analysis::bits::{self, BitMatrix};
use crate::analysis::{InstId, KernelInfo};
use crate::ir::{BlockId, Guard, Inst, Kernel, Module, Reg};

/// A register that is defined wherever a guard held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Partial {
    reg: usize,
    guard: Guard,
}

/// What is defined at a point: a bit for each register, then one for each
/// [`Partial`].
struct Assigned<'k> {
    info: &'k KernelInfo,
    kernel: &'k Kernel,
    partials: Vec<Partial>,
    /// Whether the module was read from a text: compilers leave registers
    /// undefined where they know that nobody will look.
    from_text: bool,
}

/// Reports every use of a register that some path from the entry reaches
/// without a definition, if anything depends on it. A guarded definition counts
/// where the same guard holds, or together with one under the opposite guard.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    let mut partials = Vec::new();
    for (_, _, inst) in kernel.insts() {
        let Some(guard) = inst.guard else { continue };
        for reg in inst.defs().filter_map(|r| info.defuse.regs().get(r)) {
            let partial = Partial { reg, guard };
            if !partials.contains(&partial) {
                partials.push(partial);
            }
        }
    }
    let flow = Assigned { info, kernel, partials, from_text: module.version.is_some() };
    let entered = flow.solve();
    let mut found = Vec::new();
    for &b in info.cfg.order() {
        let mut now = entered.row(b.0 as usize).to_vec();
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            flow.uses(info.cfg.inst_id(b, i), inst, &now, &mut found);
            flow.step(inst, &mut now);
        }
    }
    if found.is_empty() {
        return;
    }
    let matters = matters(kernel, info);
    for (id, inst, reg) in found {
        if matters[id.0 as usize] {
            flow.report(inst, reg, errors);
        }
    }
}

/// Of each instruction, whether it does something, or something that does
/// depends on its result.
fn matters(kernel: &Kernel, info: &KernelInfo) -> Vec<bool> {
    let mut matters = vec![false; kernel.insts().count()];
    let mut work = Vec::new();
    for &b in info.cfg.order() {
        for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
            if !inst.form().meaning.is_pure() {
                let id = info.cfg.inst_id(b, i);
                matters[id.0 as usize] = true;
                work.push(id);
            }
        }
    }
    while let Some(id) = work.pop() {
        for reg in info.inst(kernel, id).uses() {
            for &def in info.defuse.reaching(id, reg) {
                let maker = info.defuse.inst(def);
                if !std::mem::replace(&mut matters[maker.0 as usize], true) {
                    work.push(maker);
                }
            }
        }
    }
    matters
}

impl Assigned<'_> {
    fn regs(&self) -> usize {
        self.info.defuse.regs().len()
    }

    fn number(&self, reg: Reg) -> Option<usize> {
        self.info.defuse.regs().get(reg)
    }

    /// What is defined on every path to each block.
    fn solve(&self) -> BitMatrix {
        let cfg = &self.info.cfg;
        let bits = self.regs() + self.partials.len();
        let mut enter = BitMatrix::new(cfg.len(), bits, true);
        enter.row_mut(0).fill(0);
        let mut leave = enter.clone();
        leave.row_mut(0).fill(u64::MAX);
        let mut edge = vec![0u64; enter.stride()];
        let mut changed = true;
        while changed {
            changed = false;
            for &b in cfg.order() {
                for p in cfg.predecessors(b).filter(|&p| cfg.is_reachable(p)) {
                    edge.copy_from_slice(leave.row(p.0 as usize));
                    self.along_edge(p, b, &mut edge);
                    enter.row_mut(b.0 as usize).iter_mut().zip(&edge).for_each(|(to, from)| *to &= from);
                }
                edge.copy_from_slice(enter.row(b.0 as usize));
                for inst in &self.kernel.blocks[b.0 as usize].insts {
                    self.step(inst, &mut edge);
                }
                let out = leave.row_mut(b.0 as usize);
                if *out != *edge {
                    out.copy_from_slice(&edge);
                    changed = true;
                }
            }
        }
        enter
    }

    /// A guarded branch tells the value of its guard on both ways out.
    fn along_edge(&self, from: BlockId, to: BlockId, now: &mut [u64]) {
        if self.partials.is_empty() {
            return;
        }
        let Some(last) = self.kernel.blocks[from.0 as usize].insts.last() else { return };
        let Some(guard) = last.guard.filter(|_| last.form().meaning.ends_block()) else { return };
        let (taken, falls) = (last.branch_target() == Some(to), to.0 == from.0 + 1);
        if taken == falls {
            return;
        }
        let holds = Guard { reg: guard.reg, negated: guard.negated != falls };
        for (i, p) in self.partials.iter().enumerate() {
            if p.guard == holds && bits::has(now, self.regs() + i) {
                bits::set(now, p.reg);
            }
        }
    }

    /// From before an instruction to after it.
    fn step(&self, inst: &Inst, now: &mut [u64]) {
        for reg in inst.defs().filter_map(|r| self.number(r)) {
            match inst.guard {
                None => bits::set(now, reg),
                Some(guard) => self.partly(reg, guard, now),
            }
        }
        // A changed predicate guards something else.
        for reg in inst.defs() {
            for (i, p) in self.partials.iter().enumerate() {
                if p.guard.reg == reg {
                    bits::clear(now, self.regs() + i);
                }
            }
        }
    }

    fn partly(&self, reg: usize, guard: Guard, now: &mut [u64]) {
        let opposite = Guard { negated: !guard.negated, ..guard };
        for (i, p) in self.partials.iter().enumerate() {
            if p.reg == reg && p.guard == guard {
                bits::set(now, self.regs() + i);
            }
            if p.reg == reg && p.guard == opposite && bits::has(now, self.regs() + i) {
                bits::set(now, reg);
            }
        }
    }

    fn uses<'k>(&self, id: InstId, inst: &'k Inst, now: &[u64], found: &mut Vec<(InstId, &'k Inst, Reg)>) {
        let mut reported: smallvec::SmallVec<[Reg; 4]> = smallvec::SmallVec::new();
        for reg in inst.uses() {
            let Some(number) = self.number(reg) else { continue };
            let under_guard = || {
                self.partials
                    .iter()
                    .enumerate()
                    .any(|(i, p)| p.reg == number && Some(p.guard) == inst.guard && bits::has(now, self.regs() + i))
            };
            let is_guard = inst.guard.is_some_and(|g| g.reg == reg);
            if bits::has(now, number) || !is_guard && under_guard() || reported.contains(&reg) {
                continue;
            }
            reported.push(reg);
            found.push((id, inst, reg));
        }
    }

    fn report(&self, inst: &Inst, reg: Reg, errors: &mut Errors) {
        let name = self.kernel.names.get(&reg).map_or_else(|| reg.to_string(), |n| format!("{reg} ('{n}')"));
        let message = if self.info.defuse.defs_of(reg).is_empty() {
            format!("{name} is never defined; give it a value before this use")
        } else {
            format!("{name} is not defined on every path to this use; give it a value before the paths part")
        };
        match self.from_text {
            true => errors.doubt(self.kernel, inst, Rule::UseBeforeDefinition, message),
            false => errors.inst(self.kernel, inst, Rule::UseBeforeDefinition, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Operand;
    use crate::types::RegClass;
    use crate::verify::testing::{K, at, imm};

    #[test]
    fn a_register_that_is_never_defined() {
        let mut k = K::new();
        let [a, b] = k.regs(RegClass::B32);
        k.kernel.names.insert(b, "sum".to_owned());
        let line = k.i("add.s32", &[a.into(), b.into(), imm(1)]);
        let s = k.shared("s", 4, 4);
        k.i("st.shared.b32", &[at(s, 0), a.into()]);
        k.i("ret", &[]);
        let message = k.reject(Rule::UseBeforeDefinition, line);
        assert!(message.contains("%r1 ('sum') is never defined"), "{message}");
    }

    #[test]
    fn a_register_that_nothing_depends_on() {
        let mut k = K::new();
        let [a, b, c] = k.regs(RegClass::B32);
        k.i("add.s32", &[a.into(), b.into(), imm(1)]);
        k.i("mov.u32", &[c.into(), a.into()]);
        k.i("ret", &[]);
        k.accept();
    }

    #[test]
    fn a_register_defined_after_its_first_use_in_a_loop() {
        let mut k = K::new();
        let [a, b] = k.regs(RegClass::B32);
        k.i("mov.u32", &[a.into(), imm(0)]);
        k.block();
        let line = k.i("add.s32", &[a.into(), b.into(), imm(1)]);
        k.i("mov.u32", &[b.into(), a.into()]);
        let s = k.shared("s", 4, 4);
        k.i("st.shared.b32", &[at(s, 0), a.into()]);
        k.i("bra", &[Operand::Label(BlockId(1))]);
        k.reject(Rule::UseBeforeDefinition, line);
    }
}
