//! The flow of numbers through a kernel: registers, shuffles, shared memory.

use smallvec::SmallVec;

use super::Role;
use super::tags::{self, Tags, is_factor, is_float};
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::table::{Access, Async, Meaning, Memory, Shape};
use crate::types::{RegClass, Space};

/// An instruction with its place, and where its numbers come from.
pub(super) struct Node<'k> {
    pub(super) inst: &'k Inst,
    /// Instructions whose results it takes as numbers.
    pub(super) sources: SmallVec<[u32; 4]>,
    /// The array that it accesses; of a copy, where it copies from.
    pub(super) origin: Option<Origin>,
    /// Of an asynchronous copy to shared memory, where it copies to.
    pub(super) copies_to: Option<Option<Origin>>,
}

/// The flow of numbers through a kernel.
pub(super) struct Flow<'k> {
    kernel: &'k Kernel,
    pub(super) info: &'k KernelInfo,
    roles: &'k [Role],
    pub(super) nodes: Vec<Node<'k>>,
}

/// Whether an operand in this slot is a number that the result is made of.
fn is_number(inst: &Inst, slot: &crate::table::Slot) -> bool {
    let shuffled = matches!(inst.form().meaning, Meaning::Shuffle(_) | Meaning::Vote(_));
    slot.access == Access::Read
        && !matches!(slot.shape, Shape::Address(_) | Shape::Predicate(_) | Shape::Label)
        && (!shuffled || slot.name == "a")
}

/// The memory that an instruction accesses, and whether it writes there.
pub(super) fn memory(inst: &Inst) -> Option<(Memory, bool)> {
    match inst.form().meaning {
        Meaning::Load(m) => Some((m, false)),
        Meaning::Store(m) | Meaning::Atomic(m, _) => Some((m, true)),
        _ => None,
    }
}

impl<'k> Flow<'k> {
    pub(super) fn new(module: &Module, kernel: &'k Kernel, info: &'k KernelInfo, roles: &'k [Role]) -> Flow<'k> {
        let mut nodes: Vec<Node<'k>> = Vec::with_capacity(info.cfg.inst_count());
        for (b, i, inst) in kernel.insts() {
            let id = info.cfg.inst_id(b, i);
            let mut sources: SmallVec<[u32; 4]> = SmallVec::new();
            let mut origin = None;
            let copies = matches!(inst.form().meaning, Meaning::Async(Async::Copy | Async::BulkLoad));
            let mut copies_to = None;
            for (slot, operands) in inst.slots() {
                for operand in operands {
                    if matches!(slot.shape, Shape::Address(_)) && info.cfg.is_reachable(b) {
                        let accessed = info.operand(module, kernel, id, operand).origin;
                        if copies && slot.name == "dst" {
                            copies_to = Some(accessed);
                        } else if origin.is_none() && (!copies || slot.name == "src") {
                            origin = accessed;
                        }
                    }
                    if let Operand::Reg(r) = operand
                        && is_number(inst, slot)
                        && r.class != RegClass::Pred
                    {
                        sources.extend(info.defuse.reaching(id, *r).iter().map(|&d| info.defuse.inst(d).0));
                    }
                }
            }
            nodes.push(Node { inst, sources, origin, copies_to });
        }
        let mut flow = Flow { kernel, info, roles, nodes };
        flow.through_memory();
        flow
    }

    /// A load from shared or local memory takes what stores of the same size,
    /// and asynchronous copies, put into the same variable.
    fn through_memory(&mut self) {
        let on_chip = |space| matches!(space, Space::Shared | Space::Local | Space::Generic);
        let stores: Vec<(u32, Memory, Option<Origin>)> = (0..)
            .zip(&self.nodes)
            .filter_map(|(i, n)| {
                memory(n.inst).filter(|(m, writes)| *writes && on_chip(m.space)).map(|(m, _)| (i, m, n.origin))
            })
            .filter(|(_, _, origin)| !matches!(origin, Some(Origin::Pointer(_))))
            .collect();
        let copies: Vec<(u32, Option<Origin>)> =
            (0..).zip(&self.nodes).filter_map(|(i, n)| n.copies_to.map(|to| (i, to))).collect();
        for node in &mut self.nodes {
            let Some((m, false)) = memory(node.inst) else { continue };
            if !on_chip(m.space) || matches!(node.origin, Some(Origin::Pointer(_))) {
                continue;
            }
            let sees = |s: &Memory, origin: &Option<Origin>| {
                s.ty.bytes() == m.ty.bytes() && (origin.is_none() || node.origin.is_none() || *origin == node.origin)
            };
            let meets = |origin: &Option<Origin>| origin.is_none() || node.origin.is_none() || *origin == node.origin;
            if m.space == Space::Shared {
                node.sources.extend(copies.iter().filter(|(_, to)| meets(to)).map(|(i, _)| *i));
            }
            node.sources.extend(stores.iter().filter(|(_, s, o)| sees(s, o)).map(|(i, _, _)| *i));
        }
    }

    pub(super) fn role(&self, origin: Option<Origin>) -> Role {
        match origin {
            Some(Origin::Pointer(i)) => self.roles.get(i as usize).copied().unwrap_or(Role::Other),
            _ => Role::Other,
        }
    }

    /// Stores to outputs.
    pub(super) fn outputs(&self) -> Vec<InstId> {
        let output = |role| matches!(role, Role::Output | Role::HalfOutput);
        let declared = self.roles.iter().any(|&r| output(r));
        let is_output = |n: &Node<'_>| {
            let Some((m, true)) = memory(n.inst) else { return false };
            let global =
                matches!(m.space, Space::Global | Space::Generic) && !matches!(n.origin, Some(Origin::Symbol(_)));
            if declared { output(self.role(n.origin)) || global && n.origin.is_none() } else { global }
        };
        self.numbered().filter(|(_, n)| is_output(n)).map(|(i, _)| i).collect()
    }

    /// Every instruction with its number.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (InstId, &Node<'k>)> {
        (0..).map(InstId).zip(&self.nodes)
    }

    /// What every instruction's result is made of.
    pub(super) fn tags(&self) -> Vec<Tags> {
        let mut tags = vec![Tags::NONE; self.nodes.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for &b in self.info.cfg.order() {
                for i in 0..self.kernel.blocks[b.0 as usize].insts.len() {
                    let id = self.info.cfg.inst_id(b, i);
                    let now = self.tag(id, &tags);
                    let joined = tags[id.0 as usize].or(now);
                    changed |= joined != tags[id.0 as usize];
                    tags[id.0 as usize] = joined;
                }
            }
        }
        tags
    }

    fn tag(&self, id: InstId, tags: &[Tags]) -> Tags {
        let node = &self.nodes[id.0 as usize];
        let all = node.sources.iter().fold(Tags::NONE, |t, &s| t.or(tags[s as usize]));
        match node.inst.form().meaning {
            Meaning::Load(m) => {
                let loaded = all.or(self.raw(node.origin));
                if is_float(m.ty) { tags::as_float(loaded) } else { loaded }
            }
            Meaning::Async(_) if node.copies_to.is_some() => self.raw(node.origin),
            Meaning::Lane(_) | Meaning::Approx(..) | Meaning::Matrix(_) => {
                let (a, b) = self.factors(id, tags);
                let constants = node.inst.operands.iter().any(|op| matches!(op, Operand::Imm(_)));
                tags::result(node.inst, a, b, all, constants)
            }
            _ => all,
        }
    }

    /// What is loaded from there.
    fn raw(&self, origin: Option<Origin>) -> Tags {
        match self.role(origin) {
            Role::Weights => Tags::W_RAW,
            Role::Activations => Tags::A_RAW,
            _ => Tags::NONE,
        }
    }

    /// The ingredients of an instruction's two factors.
    pub(super) fn factors(&self, id: InstId, tags: &[Tags]) -> (Tags, Tags) {
        let inst = self.nodes[id.0 as usize].inst;
        let mut found = [Tags::NONE; 2];
        for (slot, operands) in inst.slots().filter(|(s, _)| s.access == Access::Read && is_factor(s.name)) {
            for operand in operands {
                if let Operand::Reg(r) = operand {
                    for &d in self.info.defuse.reaching(id, *r) {
                        let at = &mut found[usize::from(slot.name == "b")];
                        *at = at.or(tags[self.info.defuse.inst(d).0 as usize]);
                    }
                }
            }
        }
        (found[0], found[1])
    }

    /// The instructions on the way to these, themselves included.
    pub(super) fn behind(&self, from: &[InstId]) -> Vec<bool> {
        let mut seen = vec![false; self.nodes.len()];
        let mut work: Vec<u32> = from.iter().map(|i| i.0).collect();
        while let Some(i) = work.pop() {
            if !std::mem::replace(&mut seen[i as usize], true) {
                work.extend(&self.nodes[i as usize].sources);
            }
        }
        seen
    }
}
