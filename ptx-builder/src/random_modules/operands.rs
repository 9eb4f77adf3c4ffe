//! Operands that fit a form.

use smallvec::SmallVec;

use super::Shape as Launch;
use super::generate::Gen;
use crate::ir::{Operand, Reg};
use crate::table::{Access, Barrier, Form, Meaning, Op, Shape, Slot, SpecialReg};
use crate::types::{Kind, RegClass, ScalarType};

/// Special registers whose values do not depend on the machine or the time.
const STABLE: &[SpecialReg] = &[
    SpecialReg::TidX,
    SpecialReg::TidY,
    SpecialReg::NtidX,
    SpecialReg::NtidZ,
    SpecialReg::CtaidX,
    SpecialReg::CtaidY,
    SpecialReg::NctaidX,
    SpecialReg::Laneid,
    SpecialReg::LanemaskEq,
    SpecialReg::LanemaskLe,
    SpecialReg::LanemaskLt,
    SpecialReg::LanemaskGe,
    SpecialReg::LanemaskGt,
];

impl Gen {
    /// One of the registers that hold a value and have a class that is wanted.
    pub fn value(&mut self, wanted: impl Fn(RegClass) -> bool) -> Option<Reg> {
        let fitting: Vec<Reg> = self.values.iter().copied().filter(|r| wanted(r.class)).collect();
        (!fitting.is_empty()).then(|| fitting[self.random.below(fitting.len())])
    }

    /// Operands for a form, with the new registers among its results. A guarded
    /// instruction writes only registers that hold a value already. Nothing
    /// where no register fits.
    pub fn operands(&mut self, form: &'static Form, guarded: bool) -> Option<(SmallVec<[Operand; 5]>, Vec<Reg>)> {
        let mut operands = SmallVec::new();
        let mut written: Vec<Reg> = Vec::new();
        let mut results = Vec::new();
        let mut constant_sources = true;
        for slot in &form.slots {
            if let Some(given) = self.given(form, slot) {
                operands.push(given);
                continue;
            }
            if slot.optional && self.random.once_in(2) {
                operands.extend(std::iter::repeat_n(Operand::None, slot.width()));
                continue;
            }
            let mut bits = None;
            for _ in 0..slot.width() {
                if slot.access == Access::Read {
                    let operand = self.source(form, slot, constant_sources, bits)?;
                    // Elements of a vector have one size.
                    if let (Operand::Reg(r), Shape::Vector { .. }) = (operand, slot.shape) {
                        bits = Some(r.class.bits());
                    }
                    constant_sources &= matches!(operand, Operand::Imm(_));
                    operands.push(operand);
                } else {
                    let (reg, new) = self.result(slot, guarded, &written, bits)?;
                    bits = Some(reg.class.bits());
                    written.push(reg);
                    results.extend(new.then_some(reg));
                    operands.push(reg.into());
                }
            }
        }
        Some((operands, results))
    }

    /// Operands that the form's protocol fixes.
    fn given(&mut self, form: &Form, slot: &Slot) -> Option<Operand> {
        match (form.meaning, slot.name) {
            (_, "membermask") => Some(Operand::Imm(0xffff_ffff)),
            // The whole warp, or segments of eight lanes.
            (Meaning::Shuffle(_), "c") => Some(Operand::Imm(if self.random.once_in(2) { 0x1f } else { 0x181f })),
            (Meaning::Barrier(Barrier::Sync { .. } | Barrier::Reduce { .. }), "a") => {
                Some(Operand::Imm(self.random.below(16) as u64))
            }
            (Meaning::Barrier(Barrier::Sync { .. } | Barrier::Reduce { .. }), "b") => {
                Some(Operand::Imm(Launch::BLOCK.into()))
            }
            (Meaning::Pause, "t") => Some(Operand::Imm(20)),
            _ => None,
        }
    }

    fn result(&mut self, slot: &Slot, guarded: bool, written: &[Reg], bits: Option<u32>) -> Option<(Reg, bool)> {
        let (ty, relaxed) = (slot.ty()?, is_relaxed(slot));
        let accepts = |class: RegClass| class.accepts(ty, relaxed) && bits.is_none_or(|b| class.bits() == b);
        if guarded || self.random.once_in(4) {
            let old = self.value(accepts).filter(|r| !written.contains(r));
            if let Some(old) = old {
                return Some((old, false));
            }
            if guarded {
                return None;
            }
        }
        let classes: Vec<RegClass> = RegClass::ALL.into_iter().filter(|c| accepts(*c)).collect();
        let usual = RegClass::of(ty).filter(|c| accepts(*c) && !self.random.once_in(8));
        let class = usual.unwrap_or(classes[self.random.below(classes.len())]);
        Some((self.reg(class), true))
    }

    fn source(&mut self, form: &Form, slot: &Slot, may_all_be_constant: bool, bits: Option<u32>) -> Option<Operand> {
        let ty = slot.ty().unwrap_or(ScalarType::B64);
        let constant = self.random.once_in(4);
        match slot.shape {
            Shape::Address(space) => Some(self.address(form, space)),
            Shape::Const { ty, least, most } => {
                let span = most.abs_diff(least).saturating_add(1);
                let value = least.wrapping_add_unsigned(self.random.next() % span);
                Some(Operand::Imm(value as u64 & mask(ty)))
            }
            Shape::OneOf(ty, values) => Some(Operand::Imm(values[self.random.below(values.len())] as u64 & mask(ty))),
            Shape::Small { most, .. } if constant => Some(Operand::Imm(self.random.next() % (u64::from(most) + 1))),
            Shape::Label => None,
            Shape::Predicate(negatable) => {
                let reg = self.value(|class| class == RegClass::Pred)?;
                let negated = negatable && self.random.once_in(3);
                Some(if negated { Operand::NotPred(reg) } else { reg.into() })
            }
            Shape::Move(_) if constant && form.op == Op::Mov && ty.bits() == 32 && ty.kind() != Kind::Float => {
                Some(Operand::Special(STABLE[self.random.below(STABLE.len())]))
            }
            Shape::Value(_) | Shape::Wide(_) | Shape::Move(_)
                if constant
                    && ty != ScalarType::Pred
                    && ty.has_constants()
                    && (may_all_be_constant || slot.name != "a") =>
            {
                Some(Operand::Imm(self.constant(ty)))
            }
            _ => {
                let accepts =
                    |class: RegClass| class.accepts(ty, is_relaxed(slot)) && bits.is_none_or(|b| class.bits() == b);
                self.value(accepts).map(Operand::Reg)
            }
        }
    }

    /// A constant that is interesting more often than a random one.
    fn constant(&mut self, ty: ScalarType) -> u64 {
        let floats = [0.0, -0.0, 1.0, -1.5, f64::INFINITY, f64::NAN, 3e-42, 1e300];
        let ints = [0, 1, 2, 3, 4, 8, 31, 32, 64, 255, u64::MAX, 1 << 31, 1 << 63];
        let value = match ty {
            _ if self.random.once_in(3) => self.random.next(),
            ScalarType::F32 => u64::from((floats[self.random.below(floats.len())] as f32).to_bits()),
            ScalarType::F64 => floats[self.random.below(floats.len())].to_bits(),
            _ => ints[self.random.below(ints.len())],
        };
        value & mask(ty)
    }
}

fn is_relaxed(slot: &Slot) -> bool {
    matches!(slot.shape, Shape::Wide(_) | Shape::Vector { relaxed: true, .. })
}

fn mask(ty: ScalarType) -> u64 {
    u64::MAX >> (64 - ty.bits().min(64))
}
