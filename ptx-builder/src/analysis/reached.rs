//! Which instructions a thread may come to from some places without passing certain others.
//!
//! Ways that contradict themselves are left out as far as copies tell: in the first turn of a loop its counter is what it
//! began as, so that `if counter == first` is taken there.

use std::collections::HashMap;

use super::Cfg;
use crate::ir::{BlockId, Inst, Kernel, Operand, Reg};
use crate::table::{Meaning, Relation, Word};

/// Instructions that are reached.
pub(super) struct Reached {
    /// By block: from which instruction on, and up to which.
    spans: Vec<Option<(usize, usize)>>,
    /// Whether a thread may end there.
    pub ends: bool,
}

/// What is known of a register on every way to a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    /// The value that was named when the instruction of this number was last executed: registers with one name are equal.
    Value(u32),
    /// A predicate.
    Truth(bool),
}

/// Registers of which something is known.
#[derive(Clone, PartialEq, Default, Debug)]
struct Equal(HashMap<Reg, Known>);

impl Equal {
    /// What is known on both ways.
    fn meet(&self, other: &Equal) -> Equal {
        let both = self.0.iter().filter(|(reg, known)| other.0.get(reg) == Some(known));
        Equal(both.map(|(r, k)| (*r, *k)).collect())
    }

    /// Whether an instruction is executed, if that is known.
    fn executes(&self, inst: &Inst) -> Option<bool> {
        match inst.guard {
            None => Some(true),
            Some(guard) => match self.0.get(&guard.reg)? {
                Known::Truth(truth) => Some(truth ^ guard.negated),
                Known::Value(_) => None,
            },
        }
    }

    /// Goes past instruction number `id`.
    fn pass(&mut self, inst: &Inst, id: u32) {
        if self.executes(inst) == Some(false) {
            return;
        }
        let known = inst.guard.is_none().then(|| self.result(inst, id)).flatten();
        for reg in inst.defs() {
            self.0.remove(&reg);
        }
        if let (Some(known), Some(reg)) = (known, inst.defs().next()) {
            self.0.insert(reg, known);
        }
    }

    /// What an instruction's only result is. A value without a name gets one.
    fn result(&mut self, inst: &Inst, id: u32) -> Option<Known> {
        let mut defs = inst.defs();
        let (reg, None) = (defs.next()?, defs.next()) else { return None };
        match (inst.form().word(), &inst.operands[..]) {
            (Word::Copy, [_, Operand::Reg(from)]) if from.class == reg.class => {
                if let Some(known) = self.0.get(from) {
                    return Some(*known);
                }
                self.name(id);
                self.0.insert(*from, Known::Value(id));
                Some(Known::Value(id))
            }
            (Word::Compare { relation, .. }, [.., Operand::Reg(a), Operand::Reg(b)]) => {
                let same = a == b || self.0.get(a).is_some_and(|known| self.0.get(b) == Some(known));
                same.then_some(Known::Truth(matches!(relation, Relation::Eq | Relation::Le | Relation::Ge)))
            }
            _ => {
                self.name(id);
                Some(Known::Value(id))
            }
        }
    }

    /// Takes a name back from what had it in an earlier turn.
    fn name(&mut self, id: u32) {
        self.0.retain(|_, known| *known != Known::Value(id));
    }
}

impl Reached {
    pub fn holds(&self, block: BlockId, index: usize) -> bool {
        self.spans[block.0 as usize].is_some_and(|(from, to)| (from..to).contains(&index))
    }

    /// What may come before an instruction that stops, from the kernel's start on.
    pub fn before(kernel: &Kernel, cfg: &Cfg, stops: impl Fn(&Inst) -> bool) -> Reached {
        Reached::new(kernel, cfg, stops, &[(BlockId(0), 0)], true)
    }

    /// What may come after an instruction of this kind.
    pub fn after(kernel: &Kernel, cfg: &Cfg, is: impl Fn(&Inst) -> bool) -> Reached {
        let from: Vec<_> = kernel.insts().filter(|(.., inst)| is(inst)).map(|(b, i, _)| (b, i + 1)).collect();
        Reached::new(kernel, cfg, |_| false, &from, false)
    }

    /// What is reached from these places, up to and with the first instruction that stops; `copies` says whether ways that
    /// contradict themselves are looked for.
    fn new(
        kernel: &Kernel,
        cfg: &Cfg,
        stops: impl Fn(&Inst) -> bool,
        from: &[(BlockId, usize)],
        copies: bool,
    ) -> Reached {
        let blocks = kernel.blocks.len();
        let mut reached = Reached { spans: vec![None; blocks], ends: false };
        // What is known at the start of each block, on all ways that have been found.
        let mut known: Vec<Option<Equal>> = vec![None; blocks];
        let mut todo: Vec<_> = from.iter().map(|&(block, first)| (block, first, Equal::default())).collect();
        while let Some((block, first, mut equal)) = todo.pop() {
            let at = block.0 as usize;
            if first == 0 {
                let met = known[at].as_ref().map_or_else(|| equal.clone(), |old| old.meet(&equal));
                if known[at].as_ref() == Some(&met) {
                    continue;
                }
                equal.clone_from(&met);
                known[at] = Some(met);
            }
            let insts = &kernel.blocks[at].insts;
            let stop = insts.iter().enumerate().skip(first).find(|(_, inst)| stops(inst)).map(|(i, _)| i);
            let end = stop.map_or(insts.len(), |i| i + 1);
            let span = reached.spans[at].get_or_insert((first, end));
            *span = (span.0.min(first), span.1.max(end));
            let mut branch = None;
            for (i, inst) in insts.iter().enumerate().take(end).skip(first) {
                reached.ends |= matches!(inst.form().meaning, Meaning::Exit);
                branch = matches!(inst.form().meaning, Meaning::Branch).then(|| equal.executes(inst)).flatten();
                if copies {
                    equal.pass(inst, cfg.inst_id(block, i).0);
                }
            }
            if stop.is_some() {
                continue;
            }
            let next: Vec<BlockId> = cfg.successors(block).collect();
            reached.ends |= next.is_empty() && !matches!(insts.last().map(|i| &i.form().meaning), Some(Meaning::Trap));
            // The branch's target is the first, what follows it the second.
            let taken = match (branch, &next[..]) {
                (Some(true), [target, _]) => vec![*target],
                (Some(false), [_, after]) => vec![*after],
                _ => next,
            };
            todo.extend(taken.into_iter().map(|b| (b, 0, equal.clone())));
        }
        reached
    }
}
