//! The flow of numbers through a kernel: registers, shuffles, shared memory.

use smallvec::SmallVec;

use super::loaded::Loaded;
use super::tags::{self, Tags, conversion, float_arithmetic, float_sum, integer_product, is_factor, is_float, type_of};
use super::{Facts, FloatSum, Reduction, Role};
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module, Operand};
use crate::table::{Access, Async, Matrix, Meaning, Memory, Mod, Op, Shape};
use crate::types::{RegClass, ScalarType, Space};

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
    info: &'k KernelInfo,
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
    fn outputs(&self) -> Vec<InstId> {
        let declared = self.roles.contains(&Role::Output);
        let is_output = |n: &Node<'_>| {
            let Some((m, true)) = memory(n.inst) else { return false };
            let global =
                matches!(m.space, Space::Global | Space::Generic) && !matches!(n.origin, Some(Origin::Symbol(_)));
            if declared { self.role(n.origin) == Role::Output || global && n.origin.is_none() } else { global }
        };
        self.numbered().filter(|(_, n)| is_output(n)).map(|(i, _)| i).collect()
    }

    fn numbered(&self) -> impl Iterator<Item = (InstId, &Node<'k>)> {
        (0..).map(InstId).zip(&self.nodes)
    }

    /// What every instruction's result is made of.
    fn tags(&self) -> Vec<Tags> {
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
    fn factors(&self, id: InstId, tags: &[Tags]) -> (Tags, Tags) {
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
    fn behind(&self, from: &[InstId]) -> Vec<bool> {
        let mut seen = vec![false; self.nodes.len()];
        let mut work: Vec<u32> = from.iter().map(|i| i.0).collect();
        while let Some(i) = work.pop() {
            if !std::mem::replace(&mut seen[i as usize], true) {
                work.extend(&self.nodes[i as usize].sources);
            }
        }
        seen
    }

    /// Where the terms of a sum come from.
    fn reduction(&self, sum: InstId, in_loop: bool) -> Reduction {
        let mut work: SmallVec<[u32; 8]> = self.nodes[sum.0 as usize].sources.clone().into_iter().collect();
        let mut seen: SmallVec<[u32; 16]> = SmallVec::new();
        let mut found = if in_loop { Reduction::Loop } else { Reduction::Straight };
        while let Some(i) = work.pop() {
            if seen.contains(&i) {
                continue;
            }
            seen.push(i);
            let node = &self.nodes[i as usize];
            match node.inst.form().meaning {
                Meaning::Shuffle(_) => return Reduction::Lanes,
                Meaning::Load(m) if m.space == Space::Shared => found = Reduction::Shared,
                Meaning::Lane(_) if matches!(node.inst.form().op, Op::Mov | Op::Pack | Op::Unpack | Op::Selp) => {
                    work.extend(node.sources.iter().copied());
                }
                _ => {}
            }
        }
        found
    }

    pub(super) fn facts(&self) -> Facts {
        let outputs = self.outputs();
        let behind = self.behind(&outputs);
        let tags = self.tags();
        let components = Components::new(&self.nodes);
        let Loaded { choosing, weighted } = self.loaded(&components);
        let mut facts = Facts { outputs, choosing, weighted, ..Facts::default() };
        for (id, node) in self.numbered() {
            if self.info.cfg.is_reachable(self.info.cfg.site(id).0) {
                self.anywhere(id, node, &mut facts);
                self.meetings(id, node, &tags, &mut facts);
                if behind[id.0 as usize] {
                    self.on_the_way(id, node, &tags, &components, &mut facts);
                }
            }
        }
        facts.quantizing = self.quantizing(&facts.quantizations);
        let argument = self.only_approximated();
        let rounds = |n: usize| is_narrowing(self.nodes[n].inst) && !argument[n];
        facts.stages = components.most(&self.nodes, &facts.outputs, rounds);
        facts
    }

    /// See [`Facts::quantizing`].
    fn quantizing(&self, quantizations: &[InstId]) -> Vec<InstId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut work: Vec<u32> = quantizations.iter().map(|i| i.0).collect();
        while let Some(i) = work.pop() {
            let node = &self.nodes[i as usize];
            if !is_narrowing(node.inst) && !std::mem::replace(&mut seen[i as usize], true) {
                work.extend(&node.sources);
            }
        }
        let of_these = |n: &Node<'_>| {
            n.inst.form().op == Op::Div && !n.sources.is_empty() && n.sources.iter().all(|&s| seen[s as usize])
        };
        self.numbered()
            .filter(|(id, n)| {
                let form = n.inst.form();
                let scaling = float_arithmetic(form).is_some() && !float_sum(form);
                scaling && (seen[id.0 as usize] || of_these(n))
            })
            .map(|(id, _)| id)
            .collect()
    }

    /// Which results are arguments of approximate instructions and nothing else.
    fn only_approximated(&self) -> Vec<bool> {
        let mut only = vec![false; self.nodes.len()];
        let mut otherwise = vec![false; self.nodes.len()];
        for node in &self.nodes {
            let approximate = matches!(node.inst.form().meaning, Meaning::Approx(..));
            let uses = if approximate { &mut only } else { &mut otherwise };
            node.sources.iter().for_each(|&s| uses[s as usize] = true);
        }
        only.iter_mut().zip(otherwise).for_each(|(only, otherwise)| *only &= !otherwise);
        only
    }

    fn anywhere(&self, id: InstId, node: &Node<'_>, facts: &mut Facts) {
        let form = node.inst.form();
        if matches!(form.meaning, Meaning::Approx(..)) {
            facts.approximate.push(id);
        }
        if form.leaves_rounding_open() {
            facts.unwritten_roundings.push(id);
        }
        if form.mods.contains(&Mod::Ftz) {
            facts.flushing.push(id);
        }
        if matches!(form.meaning, Meaning::Atomic(m, _) if is_float(m.ty)) && form.mods.contains(&Mod::AtomAdd) {
            facts.float_atomics.push(id);
        }
        if matches!(form.meaning, Meaning::Matrix(Matrix::FloatMma { .. })) {
            facts.float_matrices.push(id);
        }
    }

    /// Where weights and activations meet, and in which shape.
    fn meetings(&self, id: InstId, node: &Node<'_>, tags: &[Tags], facts: &mut Facts) {
        let form = node.inst.form();
        let (a, b) = self.factors(id, tags);
        if integer_product(form) && tags::meets(a, b) {
            facts.integer_products.push(id);
        }
        let multiplies = matches!(form.op, Op::Mul | Op::Fma | Op::Mad) && float_arithmetic(form).is_some();
        let matrix = matches!(form.meaning, Meaning::Matrix(Matrix::FloatMma { .. }));
        if (multiplies || matrix) && a.or(b).has(Tags::W_FLOAT.or(Tags::A_DECODED)) && !a.or(b).has(Tags::TERM) {
            facts.decoded_products.push(id);
        }
        if let Some((to, from)) = conversion(form)
            && !is_float(to)
            && is_float(from)
        {
            let of = node.sources.iter().fold(Tags::NONE, |t, &s| t.or(tags[s as usize]));
            if of.only(Tags::A) {
                facts.quantizations.push(id);
            }
        }
    }

    fn on_the_way(&self, id: InstId, node: &Node<'_>, tags: &[Tags], components: &Components, facts: &mut Facts) {
        let form = node.inst.form();
        if is_narrowing(node.inst) {
            facts.narrowings.push(id);
            if components.cyclic(id) {
                facts.looped_narrowings.push(id);
            }
        }
        if let Some(ty) = float_arithmetic(form) {
            if float_sum(form) {
                let reduction = self.reduction(id, components.cyclic(id));
                facts.accumulations.push(FloatSum { inst: id, ty, reduction });
            } else if !(form.op == Op::Mul && tags[id.0 as usize].only(Tags::W))
                || type_of(form) == Some(ScalarType::F64)
            {
                facts.arithmetic.push((id, ty));
            }
        }
        // An integer dot product that is rounded to a float.
        if let Some((to, from)) = conversion(form)
            && is_float(to)
            && !is_float(from)
            && tags[id.0 as usize].has(Tags::DOT)
        {
            facts.arithmetic.push((id, to));
        }
        if conversion(form).is_some_and(|(to, from)| to == ScalarType::F64 && is_float(from)) {
            facts.arithmetic.push((id, ScalarType::F64));
        }
    }
}

/// Whether an instruction rounds an f64 to f32 (or less).
fn is_narrowing(inst: &Inst) -> bool {
    conversion(inst.form()).is_some_and(|(to, from)| from == ScalarType::F64 && is_float(to) && to != ScalarType::F64)
}

/// Strongly connected components of the flow (Tarjan 1972), sources first.
pub(super) struct Components {
    pub(super) of: Vec<u32>,
    pub(super) members: Vec<SmallVec<[u32; 1]>>,
    cyclic: Vec<bool>,
}

impl Components {
    fn new(nodes: &[Node<'_>]) -> Components {
        const NEW: u32 = u32::MAX;
        let n = nodes.len();
        let mut c = Components { of: vec![NEW; n], members: Vec::new(), cyclic: Vec::new() };
        let (mut index, mut lowest) = (vec![NEW; n], vec![0u32; n]);
        let (mut open, mut next) = (Vec::new(), 0u32);
        let mut calls: Vec<(u32, usize)> = Vec::new();
        for root in 0..n as u32 {
            if index[root as usize] != NEW {
                continue;
            }
            calls.push((root, 0));
            while let Some((v, edge)) = calls.pop() {
                let at = v as usize;
                if edge == 0 {
                    index[at] = next;
                    lowest[at] = next;
                    next += 1;
                    open.push(v);
                } else {
                    let done = nodes[at].sources[edge - 1] as usize;
                    if c.of[done] == NEW {
                        lowest[at] = lowest[at].min(lowest[done]);
                    }
                }
                let rest = &nodes[at].sources[edge..];
                let skip = rest.iter().position(|&s| index[s as usize] == NEW);
                let until = skip.unwrap_or(rest.len());
                for &s in &rest[..until] {
                    if c.of[s as usize] == NEW {
                        lowest[at] = lowest[at].min(index[s as usize]);
                    }
                }
                if let Some(skip) = skip {
                    calls.push((v, edge + skip + 1));
                    calls.push((rest[skip], 0));
                    continue;
                }
                if lowest[at] == index[at] {
                    let mut members: SmallVec<[u32; 1]> = SmallVec::new();
                    while let Some(w) = open.pop() {
                        c.of[w as usize] = c.members.len() as u32;
                        members.push(w);
                        if w == v {
                            break;
                        }
                    }
                    c.cyclic.push(members.len() > 1 || nodes[at].sources.contains(&v));
                    c.members.push(members);
                }
            }
        }
        c
    }

    fn cyclic(&self, id: InstId) -> bool {
        self.cyclic[self.of[id.0 as usize] as usize]
    }

    /// The most counted nodes on a way to one of `ends`, each component once.
    fn most(&self, nodes: &[Node<'_>], ends: &[InstId], counts: impl Fn(usize) -> bool) -> u32 {
        // Components come sources first.
        let mut most = vec![0u32; self.members.len()];
        for (c, members) in self.members.iter().enumerate() {
            let before = members
                .iter()
                .flat_map(|&m| &nodes[m as usize].sources)
                .map(|&s| most[self.of[s as usize] as usize])
                .max();
            let own = u32::from(members.iter().any(|&m| counts(m as usize)));
            most[c] = before.unwrap_or(0) + own;
        }
        ends.iter().map(|e| most[self.of[e.0 as usize] as usize]).max().unwrap_or(0)
    }
}
