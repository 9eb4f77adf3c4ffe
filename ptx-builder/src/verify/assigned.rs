//! Definite assignment: no use before a definition.

use std::cell::LazyCell;
use std::collections::HashMap;

use super::Rule;
use super::error::Errors;
use crate::analysis::bits::{self, BitMatrix};
use crate::analysis::{InstId, KernelInfo};
use crate::ir::{BlockId, Guard, Inst, Kernel, Module, Reg};

/// A register that is defined wherever a guard held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Partial {
    reg: usize,
    guard: Guard,
}

/// Registers that are followed at a time.
const CHUNK: usize = 4096;

/// What is defined at a point: a bit for each register of some, then one for each
/// [`Partial`] of them.
struct Assigned<'k> {
    info: &'k KernelInfo,
    kernel: &'k Kernel,
    /// The bit of each register that is followed; `u32::MAX` for others.
    bit_of: Vec<u32>,
    regs: usize,
    partials: Vec<Partial>,
    number: HashMap<Partial, usize>,
    /// Partials under a guard, and those whose guard is a register.
    under: HashMap<Guard, Vec<usize>>,
    by: HashMap<Reg, Vec<usize>>,
}

/// Reports every use of a register that some path from the entry reaches
/// without a definition, if anything depends on it. A guarded definition counts
/// where the same guard holds, or together with one under the opposite guard.
pub(super) fn check(module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    check_by(CHUNK, module, kernel, info, errors);
}

/// The same, with this many registers followed at a time.
fn check_by(size: usize, module: &Module, kernel: &Kernel, info: &KernelInfo, errors: &mut Errors) {
    let doubtful = undominated(kernel, info);
    let mut found = Vec::new();
    for chunk in doubtful.chunks(size) {
        let flow = Assigned::new(kernel, info, chunk);
        let entered = flow.solve();
        for &b in info.cfg.order() {
            let mut now = entered.row(b.0 as usize).to_vec();
            for (i, inst) in kernel.blocks[b.0 as usize].insts.iter().enumerate() {
                flow.uses(info.cfg.inst_id(b, i), inst, &now, &mut found);
                flow.step(inst, &mut now);
            }
        }
    }
    found.sort_by_key(|&(id, ..)| id);
    let matters = LazyCell::new(|| matters(kernel, info));
    // Compilers leave registers undefined if they know that nothing uses them.
    let from_text = module.version.is_some();
    for (id, inst, reg) in found {
        if matters[id.0 as usize] {
            report(kernel, info, from_text, inst, reg, errors);
        }
    }
}

/// The registers with a use that no definition dominates: of the others, each use is sure to come after one.
fn undominated(kernel: &Kernel, info: &KernelInfo) -> Vec<usize> {
    let (cfg, regs) = (&info.cfg, info.defuse.regs());
    let mut children: Vec<Vec<BlockId>> = vec![Vec::new(); cfg.len()];
    for &b in cfg.order() {
        if let Some(dominator) = cfg.immediate_dominator(b) {
            children[dominator.0 as usize].push(b);
        }
    }
    let mut above = vec![0u32; regs.len()];
    let mut found = vec![false; regs.len()];
    // Down the tree of dominators and up again.
    let mut work: Vec<(BlockId, bool)> = cfg.order().first().map(|&b| (b, false)).into_iter().collect();
    while let Some((b, left)) = work.pop() {
        let insts = &kernel.blocks[b.0 as usize].insts;
        let defined = |inst: &Inst| inst.guard.is_none().then(|| inst.defs().collect::<smallvec::SmallVec<[Reg; 4]>>());
        if left {
            for reg in insts.iter().filter_map(defined).flatten().filter_map(|r| regs.get(r)) {
                above[reg] -= 1;
            }
            continue;
        }
        for inst in insts {
            for reg in inst.uses().filter_map(|r| regs.get(r)) {
                found[reg] |= above[reg] == 0;
            }
            for reg in defined(inst).into_iter().flatten().filter_map(|r| regs.get(r)) {
                above[reg] += 1;
            }
        }
        work.push((b, true));
        work.extend(children[b.0 as usize].iter().map(|&c| (c, false)));
    }
    (0..regs.len()).filter(|&r| found[r]).collect()
}

fn report(kernel: &Kernel, info: &KernelInfo, from_text: bool, inst: &Inst, reg: Reg, errors: &mut Errors) {
    let name = kernel.names.get(&reg).map_or_else(|| reg.to_string(), |n| format!("{reg} ('{n}')"));
    let message = if info.defuse.defs_of(reg).is_empty() {
        format!("{name} is never defined; give it a value before this use")
    } else {
        format!("{name} is not defined on every path to this use; give it a value before the paths part")
    };
    match from_text {
        true => errors.doubt(kernel, inst, Rule::UseBeforeDefinition, message),
        false => errors.inst(kernel, inst, Rule::UseBeforeDefinition, message),
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

impl<'k> Assigned<'k> {
    fn new(kernel: &'k Kernel, info: &'k KernelInfo, chunk: &[usize]) -> Self {
        let regs = info.defuse.regs();
        let mut bit_of = vec![u32::MAX; regs.len()];
        chunk.iter().zip(0..).for_each(|(&reg, bit)| bit_of[reg] = bit);
        let (partials, number) = (Vec::new(), HashMap::new());
        let (under, by) = (HashMap::new(), HashMap::new());
        let mut flow = Assigned { info, kernel, bit_of, regs: chunk.len(), partials, number, under, by };
        for (_, _, inst) in kernel.insts() {
            let Some(guard) = inst.guard else { continue };
            let followed: smallvec::SmallVec<[usize; 4]> = inst.defs().filter_map(|r| flow.number(r)).collect();
            for reg in followed {
                let partial = Partial { reg, guard };
                let next = flow.partials.len();
                if *flow.number.entry(partial).or_insert(next) == next {
                    flow.partials.push(partial);
                    flow.under.entry(guard).or_default().push(next);
                    flow.by.entry(guard.reg).or_default().push(next);
                }
            }
        }
        flow
    }

    /// The bit of a register, if it is followed here.
    fn number(&self, reg: Reg) -> Option<usize> {
        let bit = self.bit_of[self.info.defuse.regs().get(reg)?];
        (bit != u32::MAX).then_some(bit as usize)
    }

    /// What is defined on every path to each block.
    fn solve(&self) -> BitMatrix {
        let cfg = &self.info.cfg;
        let bits = self.regs + self.partials.len();
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

    /// A guarded branch determines the value of its guard on both paths.
    fn along_edge(&self, from: BlockId, to: BlockId, now: &mut [u64]) {
        let Some(last) = self.kernel.blocks[from.0 as usize].insts.last() else { return };
        let Some(guard) = last.guard.filter(|_| last.form().meaning.ends_block()) else { return };
        let (taken, falls) = (last.branch_target() == Some(to), to.0 == from.0 + 1);
        if taken == falls {
            return;
        }
        let holds = Guard { reg: guard.reg, negated: guard.negated != falls };
        for &i in self.under.get(&holds).into_iter().flatten() {
            if bits::has(now, self.regs + i) {
                bits::set(now, self.partials[i].reg);
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
        for &i in inst.defs().filter_map(|reg| self.by.get(&reg)).flatten() {
            bits::clear(now, self.regs + i);
        }
    }

    fn partly(&self, reg: usize, guard: Guard, now: &mut [u64]) {
        let opposite = Guard { negated: !guard.negated, ..guard };
        let here = |guard| self.number.get(&Partial { reg, guard }).map(|i| self.regs + i);
        if here(opposite).is_some_and(|bit| bits::has(now, bit)) {
            bits::set(now, reg);
        }
        if let Some(bit) = here(guard) {
            bits::set(now, bit);
        }
    }

    fn uses(&self, id: InstId, inst: &'k Inst, now: &[u64], found: &mut Vec<(InstId, &'k Inst, Reg)>) {
        let mut reported: smallvec::SmallVec<[Reg; 4]> = smallvec::SmallVec::new();
        for reg in inst.uses() {
            let Some(number) = self.number(reg) else { continue };
            let under_guard = || {
                let partial = inst.guard.and_then(|guard| self.number.get(&Partial { reg: number, guard }));
                partial.is_some_and(|i| bits::has(now, self.regs + i))
            };
            let is_guard = inst.guard.is_some_and(|g| g.reg == reg);
            if bits::has(now, number) || !is_guard && under_guard() || reported.contains(&reg) {
                continue;
            }
            reported.push(reg);
            found.push((id, inst, reg));
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

    /// For any number of registers followed at a time, the reports are the same, in the order of the text.
    #[test]
    fn registers_are_followed_in_parts() {
        let text = ".version 8.0 .target sm_90 .address_size 64 .entry k(.param .u64 p) { .reg .pred %p; \
             .reg .b32 %t, %a, %b, %c, %d, %e; .reg .b64 %q; ld.param.u64 %q, [p]; mov.u32 %t, %tid.x; \
             setp.lt.u32 %p, %t, 5; @%p mov.u32 %b, 1; @%p mov.u32 %a, 1; @!%p mov.u32 %a, 2; add.u32 %c, %d, %a; \
             @%p add.u32 %c, %c, %b; add.u32 %c, %c, %e; add.u32 %c, %c, %b; st.global.u32 [%q], %c; ret; }";
        let module = crate::parse::parse("t", text).unwrap_or_else(|e| panic!("{e}"));
        let (kernel, info) = (&module.kernels[0], KernelInfo::new(&module, &module.kernels[0]));
        let told = |size| {
            let mut errors = Errors::new(&module, crate::verify::Doubts::Warn);
            check_by(size, &module, kernel, &info, &mut errors);
            errors.into_parts().1.iter().map(|e| e.message.clone()).collect::<Vec<_>>()
        };
        let all = told(CHUNK);
        let named = |name: &str| all.iter().position(|m| m.contains(&format!("'%{name}'")));
        assert_eq!((all.len(), named("d"), named("e"), named("b")), (3, Some(0), Some(1), Some(2)), "{all:?}");
        for size in 1..6 {
            assert_eq!(told(size), all, "{size}");
        }
    }
}
