//! The flow of numbers through a kernel: registers, shuffles, memory.

use smallvec::SmallVec;

use super::place::{Place, Touched};
use super::tags::{self, Tags, is_factor};
use super::{Factors, Input, Role};
use crate::analysis::roots::Roots;
use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Inst, Kernel, Module, Operand, Symbol};
use crate::table::{Access, Precision, Slot};
use crate::types::{RegClass, Space};

/// An instruction with its place, and where its numbers come from.
pub(super) struct Node<'k> {
    pub(super) inst: &'k Inst,
    /// Instructions whose results it takes as numbers, from registers and from memory.
    pub(super) sources: SmallVec<[u32; 4]>,
    /// The memory that it reads and writes.
    pub(super) touched: Touched,
}

impl Node<'_> {
    /// The array or buffer that it reads, or else writes.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.touched.reads.first().or(self.touched.writes.first()).and_then(|p| p.origin)
    }
}

/// The flow of numbers through a kernel.
pub(super) struct Flow<'k> {
    pub(super) module: &'k Module,
    pub(super) kernel: &'k Kernel,
    pub(super) info: &'k KernelInfo,
    roles: &'k [Role],
    pub(super) factors: &'k Factors,
    pub(super) nodes: Vec<Node<'k>>,
}

/// Whether a register in this slot, if it is not a predicate, is a number that the result is made of: no choice of lanes.
/// (The registers of addresses are not operands by themselves.)
fn is_number(inst: &Inst, slot: &Slot) -> bool {
    let lanes = inst.form().precision == Precision::Lanes;
    slot.access == Access::Read && slot.name != "membermask" && (!lanes || slot.name == "a")
}

impl<'k> Flow<'k> {
    pub(super) fn new(
        module: &'k Module,
        kernel: &'k Kernel,
        info: &'k KernelInfo,
        roles: &'k [Role],
        factors: &'k Factors,
    ) -> Flow<'k> {
        let mut nodes: Vec<Node<'k>> = Vec::with_capacity(info.cfg.inst_count());
        let roots = Roots::new(module, kernel, info);
        for (b, i, inst) in kernel.insts() {
            let id = info.cfg.inst_id(b, i);
            let mut sources: SmallVec<[u32; 4]> = SmallVec::new();
            for (_, operands) in inst.slots().filter(|(slot, _)| is_number(inst, slot)) {
                for operand in operands {
                    if let Operand::Reg(r) = operand
                        && r.class != RegClass::Pred
                    {
                        sources.extend(info.defuse.reaching(id, *r).iter().map(|&d| info.defuse.inst(d).0));
                    }
                }
            }
            let reachable = info.cfg.is_reachable(b);
            let touched = if reachable { Touched::new(module, kernel, info, &roots, id) } else { Touched::default() };
            nodes.push(Node { inst, sources, touched });
        }
        let mut flow = Flow { module, kernel, info, roles, factors, nodes };
        flow.through_memory();
        flow
    }

    pub(super) fn role(&self, origin: Option<Origin>) -> Role {
        match origin {
            Some(Origin::Pointer(i)) => self.roles.get(i as usize).copied().unwrap_or(Role::Other),
            _ => Role::Other,
        }
    }

    /// Instructions that write to outputs: stores, copies, atomics.
    pub(super) fn outputs(&self) -> Vec<InstId> {
        let output = |role| matches!(role, Role::Output | Role::InPlace | Role::HalfOutput);
        let declared = self.roles.iter().any(|&r| output(r));
        // Variables of the module in global memory outlive the kernel as buffers do.
        let outlives = |symbol: Symbol| match symbol {
            Symbol::Module(i) => self.module.variables.get(i as usize).is_some_and(|v| v.space == Space::Global),
            Symbol::Kernel(_) | Symbol::Param(_) => false,
        };
        let is_output = |place: &Place| match place.origin {
            Some(Origin::Symbol(symbol)) => !declared && outlives(symbol),
            Some(Origin::Pointer(_)) if declared => output(self.role(place.origin)),
            Some(Origin::Pointer(_)) | None => matches!(place.space, Space::Global | Space::Generic),
        };
        // What is not known may store numbers, too.
        let numbers = |n: &Node<'_>| {
            matches!(
                n.inst.form().precision,
                Precision::Stores | Precision::Updates { .. } | Precision::Copies | Precision::Opaque
            )
        };
        let writes = |n: &Node<'_>| n.touched.writes.iter().any(is_output);
        self.numbered().filter(|(_, n)| numbers(n) && writes(n)).map(|(i, _)| i).collect()
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
        match node.inst.form().precision {
            Precision::Loads | Precision::Copies => {
                let loaded = all.or(self.raw(node.origin()));
                tags::reinterpret(self.factors, node.inst, loaded)
            }
            Precision::Lanes | Precision::Stores | Precision::Updates { .. } | Precision::Compares => all,
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Exact { .. }
            | Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Converts { .. }
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => {
                let (a, b) = self.multiplied(id, tags);
                let constants = node.inst.operands.iter().any(|op| matches!(op, Operand::Imm(_)));
                tags::result(self.factors, node.inst, (a, b), all, constants)
            }
        }
    }

    /// What is loaded from there.
    fn raw(&self, origin: Option<Origin>) -> Tags {
        match self.role(origin) {
            Role::Input(Input::Left) => Tags::LEFT.and(Tags::RAW),
            Role::Input(Input::Right) => Tags::RIGHT.and(Tags::RAW),
            Role::Input(Input::Apart) | Role::Output | Role::InPlace | Role::HalfOutput | Role::Other => Tags::NONE,
        }
    }

    /// The ingredients of an instruction's two factors.
    pub(super) fn multiplied(&self, id: InstId, tags: &[Tags]) -> (Tags, Tags) {
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
