//! Constants, copies, common expressions and cheaper instructions, in one walk
//! from each block to those that it dominates.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::copy::{become_copy, is_copy, mask, result};
use super::number::{Expression, Known, Source, Supply};
use super::{OptOptions, fold, simplify};
use crate::analysis::Cfg;
use crate::ir::{Address, Base, BlockId, Inst, Kernel, Operand, Reg};
use crate::table::{Access, Depends, Shape, Slot};
use crate::types::{RegClass, ScalarType};

/// Runs the enabled passes.
pub(super) fn run(kernel: &mut Kernel, cfg: &Cfg, options: &OptOptions) {
    let single = single_definitions(kernel);
    let mut supply = Supply::default();
    let mut known: Vec<Option<Known>> = vec![None; cfg.len()];
    for &b in cfg.order() {
        let known_here = entering(b, cfg, &known, &single);
        let mut walk = Walk { options, known: known_here, supply: &mut supply };
        let insts = std::mem::take(&mut kernel.blocks[b.0 as usize].insts);
        kernel.blocks[b.0 as usize].insts = insts.into_iter().filter_map(|inst| walk.inst(inst)).collect();
        known[b.0 as usize] = Some(walk.known);
    }
}

/// Registers with one definition, which is not guarded.
fn single_definitions(kernel: &Kernel) -> HashMap<Reg, bool> {
    let mut single = HashMap::new();
    for (_, _, inst) in kernel.insts() {
        for reg in inst.defs() {
            single.entry(reg).and_modify(|s| *s = false).or_insert(inst.guard.is_none());
        }
    }
    single
}

/// What is known at the start of a block.
fn entering(b: BlockId, cfg: &Cfg, known: &[Option<Known>], single: &HashMap<Reg, bool>) -> Known {
    let Some(dominator) = cfg.immediate_dominator(b) else { return Known::default() };
    let Some(mut here) = known[dominator.0 as usize].clone() else { return Known::default() };
    let mut predecessors = cfg.predecessors(b).filter(|p| cfg.is_reachable(*p));
    let only = predecessors.next() == Some(dominator) && predecessors.next().is_none();
    if !only {
        here.keep(|reg| single.get(&reg).copied().unwrap_or(false));
    }
    here
}

struct Walk<'a> {
    options: &'a OptOptions,
    known: Known,
    supply: &'a mut Supply,
}

impl Walk<'_> {
    /// The replacement of the instruction, or nothing if it has no effect.
    fn inst(&mut self, mut inst: Inst) -> Option<Inst> {
        if self.options.fold && !self.guard(&mut inst) {
            return None;
        }
        if self.options.copies {
            self.sources(&mut inst);
        }
        if self.options.strength {
            simplify::run(&mut inst, |op| self.constant(op));
        }
        let constant = is_copy(&inst) && matches!(inst.operands[1], Operand::Imm(_));
        if self.options.fold
            && !constant
            && let Some(bits) = fold::run(&inst, |op| self.constant(op))
        {
            become_copy(&mut inst, Operand::Imm(bits));
        }
        let expression = expression(&inst, &mut self.known, self.supply);
        if self.options.common
            && let Some(expression) = &expression
            && !is_copy(&inst)
            && let Some(reg) = result(&inst)
            && let Some(value) = self.known.find(expression)
            && let Some(holder) = self.known.holder(value, reg.class)
        {
            become_copy(&mut inst, holder.into());
        }
        if self.options.copies && self.copies_itself(&inst) {
            return None;
        }
        self.define(&inst, expression);
        Some(inst)
    }

    /// Resolves a constant guard; false if it never holds.
    fn guard(&mut self, inst: &mut Inst) -> bool {
        let Some(guard) = inst.guard else { return true };
        match self.known.constant_in(guard.reg) {
            Some(bits) if (bits != 0) != guard.negated => {
                inst.guard = None;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// Uses the oldest registers with the same values, and constants.
    fn sources(&mut self, inst: &mut Inst) {
        if let Some(guard) = &mut inst.guard {
            guard.reg = self.known.oldest(guard.reg);
        }
        let mut place = 0;
        let slots = &inst.form().slots;
        for slot in slots {
            for _ in 0..slot.width() {
                if slot.access == Access::Read
                    && let Some(op) = inst.operands.get_mut(place)
                {
                    self.source(slot, op);
                }
                place += 1;
            }
        }
    }

    fn source(&self, slot: &Slot, op: &mut Operand) {
        match *op {
            Operand::Reg(r) => {
                let constant = self.known.constant_in(r).and_then(|bits| literal(slot, bits));
                *op = constant.map_or_else(|| self.known.oldest(r).into(), Operand::Imm);
            }
            Operand::NotPred(r) => *op = Operand::NotPred(self.known.oldest(r)),
            Operand::Address(Address { base: Base::Reg(r), offset }) => {
                *op = Operand::Address(Address { base: Base::Reg(self.known.oldest(r)), offset });
            }
            _ => {}
        }
    }

    /// The bits that a source has, if they are constant.
    fn constant(&self, op: &Operand) -> Option<u64> {
        match *op {
            Operand::Imm(bits) => Some(bits),
            Operand::Reg(r) => self.known.constant_in(r),
            Operand::NotPred(r) => self.known.constant_in(r).map(|bits| bits ^ 1),
            _ => None,
        }
    }

    /// Whether the instruction writes a value that the register already has.
    fn copies_itself(&self, inst: &Inst) -> bool {
        let Some(reg) = result(inst).filter(|_| is_copy(inst)) else { return false };
        match inst.operands.get(1) {
            Some(Operand::Reg(source)) => self.known.same(reg, *source),
            Some(Operand::Imm(bits)) => self.known.constant_in(reg) == Some(*bits),
            _ => false,
        }
    }

    /// Records the results.
    fn define(&mut self, inst: &Inst, expression: Option<Expression>) {
        if inst.guard.is_some() {
            for reg in inst.defs() {
                self.known.forget(reg, self.supply);
            }
            return;
        }
        if let Some(reg) = result(inst).filter(|_| is_copy(inst)) {
            let value = match inst.operands.get(1) {
                Some(Operand::Imm(bits)) => Some(self.known.constant_value(reg.class, *bits, self.supply)),
                Some(Operand::Reg(source)) if source.class == reg.class => Some(self.known.value(*source, self.supply)),
                _ => None,
            };
            if let Some(value) = value {
                self.known.set(reg, value);
                if let Some(expression) = expression {
                    self.known.remember(expression, value);
                }
                return;
            }
        }
        let only = result(inst);
        for reg in inst.defs() {
            let value = self.known.forget(reg, self.supply);
            if let Some(expression) = expression.clone().filter(|_| only == Some(reg)) {
                self.known.remember(expression, value);
            }
        }
    }
}

/// A constant as a slot takes it, if it does.
fn literal(slot: &Slot, bits: u64) -> Option<u64> {
    match slot.shape {
        Shape::Value(ty) | Shape::Wide(ty) if ty != ScalarType::Pred && ty.has_constants() => Some(bits & mask(ty)),
        Shape::Move(ty) if ty.has_constants() => Some(bits & mask(ty)),
        Shape::Small { most, .. } if bits <= u64::from(most) => Some(bits),
        _ => None,
    }
}

/// The expression of an instruction whose result depends on nothing but its
/// sources: none where it has an effect or depends on the time.
fn expression(inst: &Inst, known: &mut Known, supply: &mut Supply) -> Option<Expression> {
    match inst.form().meaning.depends() {
        Depends::Sources | Depends::Constants => {}
        Depends::Others => return None,
    }
    let mut sources = SmallVec::new();
    let mut results = SmallVec::new();
    for (slot, ops) in inst.slots() {
        for op in ops {
            if slot.access == Access::Write {
                results.push(if let Operand::Reg(r) = op { Some(r.class) } else { None });
                continue;
            }
            sources.push(match *op {
                Operand::Reg(r) => Source::Value(known.value(r, supply)),
                Operand::NotPred(r) => Source::Not(known.value(r, supply)),
                Operand::Address(Address { base: Base::Reg(r), offset }) => {
                    Source::Address(known.value(r, supply), offset)
                }
                Operand::Special(s) if !s.is_stable() => return None,
                // A constant equals a register of its size with the same bits.
                Operand::Imm(bits) => {
                    match slot.ty().and_then(RegClass::of).filter(|c| Some(c.bits()) == slot_bits(slot)) {
                        Some(class) => Source::Value(known.constant_value(class, bits, supply)),
                        None => Source::Other(*op),
                    }
                }
                _ => Source::Other(*op),
            });
        }
    }
    Some(Expression { form: inst.form, sources, results })
}

fn slot_bits(slot: &Slot) -> Option<u32> {
    slot.ty().map(ScalarType::bits)
}
