//! The object and offset of an address.

use crate::analysis::{InstId, KernelInfo, Origin};
use crate::ir::{Address, Base, Inst, Kernel, Module, Operand, Reg, Symbol};
use crate::table::{Meaning, Memory, Word};
use crate::types::{RegClass, ScalarType, Space};

/// The object that an address must stay inside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Object {
    /// The buffer of a parameter, by the parameter's index.
    Buffer(u32),
    /// An array of the kernel or module.
    Array(Symbol),
    /// The dynamic shared memory.
    Dynamic,
}

impl Object {
    /// The object for an origin of the value analysis.
    pub(super) fn of(module: &Module, origin: Origin) -> Object {
        match origin {
            Origin::Pointer(i) => Object::Buffer(i),
            Origin::Symbol(Symbol::Module(i))
                if module.variables.get(i as usize).is_some_and(|v| v.space == Space::Shared && v.len.is_none()) =>
            {
                Object::Dynamic
            }
            Origin::Symbol(s) => Object::Array(s),
        }
    }
}

/// An address as a sum: an object's start, an unsigned 32-bit index times a scale, and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Linear {
    pub origin: Origin,
    pub index: Option<(Reg, u64)>,
    pub offset: i64,
}

/// Largest scale of an index, so that its product with any index is far from 2^64.
const MOST_SCALE: u64 = 1 << 24;

/// Follows registers back to their computation.
pub(super) struct Trace<'k> {
    pub kernel: &'k Kernel,
    pub info: &'k KernelInfo,
}

impl Trace<'_> {
    /// The address of an access as a sum whose index register still has its value at the access.
    pub(super) fn linear(&self, at: InstId, address: &Address) -> Option<Linear> {
        let linear = match address.base {
            Base::Symbol(s) => Linear { origin: Origin::Symbol(s), index: None, offset: 0 },
            Base::Reg(r) => self.sum(at, r, at)?,
        };
        Some(Linear { offset: linear.offset.checked_add(address.offset.into())?, ..linear })
    }

    /// The only instruction that can have written `reg` before its use at `at`.
    fn def(&self, at: InstId, reg: Reg) -> Option<(InstId, &Inst)> {
        let [def] = self.info.defuse.reaching(at, reg) else { return None };
        if self.info.defuse.is_guarded(*def) {
            return None;
        }
        let id = self.info.defuse.inst(*def);
        Some((id, self.info.inst(self.kernel, id)))
    }

    /// Whether `reg`, used by `from`, has the same value at `to`.
    ///
    /// True for a register with one definition: each path from its definition past `from` to `to` passes `from` again
    /// if the definition was executed again, because `from` (the only definition that reaches `to`) is on every path to
    /// it. For other registers it is true if nothing between the two in one block writes them.
    fn stays(&self, reg: Reg, from: InstId, to: InstId) -> bool {
        let defs = self.info.defuse.defs_of(reg);
        if defs.len() == 1 && !self.info.defuse.is_guarded(defs[0]) {
            return true;
        }
        let (a, b) = (self.info.cfg.site(from), self.info.cfg.site(to));
        a.0 == b.0 && from.0 < to.0 && !defs.iter().any(|d| (from.0..to.0).contains(&self.info.defuse.inst(*d).0))
    }

    fn sum(&self, at: InstId, reg: Reg, access: InstId) -> Option<Linear> {
        let (id, inst) = self.def(at, reg)?;
        let form = inst.form();
        let operand = |i: usize| inst.operands.get(i).copied();
        let of = |op: Operand| match op {
            Operand::Reg(r) => self.sum(id, r, access),
            Operand::Symbol(s, offset) => {
                Some(Linear { origin: Origin::Symbol(s), index: None, offset: offset.into() })
            }
            _ => None,
        };
        let narrow = reg.class == RegClass::B32;
        let bytes = |bits: u64| if narrow { i64::from(bits as u32 as i32) } else { bits as i64 };
        if let Meaning::Load(m) = &form.meaning {
            return self.pointer(inst, m);
        }
        match form.word() {
            Word::Copy | Word::Rebase => of(operand(1)?),
            sum @ (Word::Add | Word::Sub) => {
                let (a, b) = (operand(1)?, operand(2)?);
                let minus = sum == Word::Sub;
                match (a, b) {
                    (a, Operand::Imm(c)) => {
                        let linear = of(a)?;
                        let offset = if minus {
                            linear.offset.checked_sub(bytes(c))?
                        } else {
                            linear.offset.checked_add(bytes(c))?
                        };
                        Some(Linear { offset, ..linear })
                    }
                    (Operand::Reg(a), Operand::Reg(b)) if !minus => self
                        .with_index(of(Operand::Reg(a)), || self.product(id, b, access))
                        .or_else(|| self.with_index(of(Operand::Reg(b)), || self.product(id, a, access))),
                    _ => None,
                }
            }
            Word::WideMad { signed: false } => self.multiplied(id, inst, of, access),
            Word::Mad if narrow => self.multiplied(id, inst, of, access),
            // Other functions are not a sum of a start and an index: the address itself is checked.
            Word::Mad
            | Word::WideMad { signed: true }
            | Word::Resize { .. }
            | Word::InWindow
            | Word::Mul
            | Word::WideMul { .. }
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

    /// `a b + c`, where a is an index and b its scale.
    fn multiplied(
        &self,
        id: InstId,
        inst: &Inst,
        of: impl Fn(Operand) -> Option<Linear>,
        access: InstId,
    ) -> Option<Linear> {
        let [_, Operand::Reg(index), Operand::Imm(scale), sum] = inst.operands[..] else { return None };
        self.with_index(of(sum), || self.scaled(id, index, scale, access))
    }

    /// A sum plus an index, if the sum has none yet.
    fn with_index(&self, sum: Option<Linear>, index: impl FnOnce() -> Option<(Reg, u64)>) -> Option<Linear> {
        let sum = sum.filter(|s| s.index.is_none())?;
        Some(Linear { index: Some(index()?), ..sum })
    }

    /// `index * scale`, if the index is an unsigned 32-bit register that keeps its value.
    fn scaled(&self, at: InstId, index: Reg, scale: u64, access: InstId) -> Option<(Reg, u64)> {
        let fits = index.class == RegClass::B32 && scale > 0 && scale <= MOST_SCALE;
        (fits && self.stays(index, at, access)).then_some((index, scale))
    }

    /// A register as an index times a scale. In 32 bits the product may wrap, but an index that passes the check is
    /// small enough that it does not.
    fn product(&self, at: InstId, reg: Reg, access: InstId) -> Option<(Reg, u64)> {
        let narrow = reg.class == RegClass::B32;
        let plain = || if narrow { self.scaled(at, reg, 1, access) } else { None };
        let Some((id, inst)) = self.def(at, reg) else { return plain() };
        let form = inst.form();
        let source = |i: usize| match inst.operands.get(i) {
            Some(Operand::Reg(r)) => Some(*r),
            _ => None,
        };
        let constant = |i: usize| match inst.operands.get(i) {
            Some(Operand::Imm(c)) => Some(*c),
            _ => None,
        };
        let found = match form.word() {
            Word::WideMul { signed: false } => self.scaled(id, source(1)?, constant(2)?, access),
            Word::Mul if narrow => self.scaled(id, source(1)?, constant(2)?, access),
            Word::Shl if narrow => self.scaled(id, source(1)?, 1u64.checked_shl(constant(2)? as u32)?, access),
            Word::Shl => {
                let by = constant(2).filter(|&by| by < 24)?;
                let (inner, scale) = self.product(id, source(1)?, access)?;
                (scale == 1).then_some((inner, 1 << by))
            }
            Word::Resize { signed: false }
                if form.word_bits() == 32 && form.slots[0].ty().is_some_and(|t| t.bits() == 64) =>
            {
                self.scaled(id, source(1)?, 1, access)
            }
            // A register with another definition is an index itself.
            Word::Mul
            | Word::WideMul { signed: true }
            | Word::Resize { .. }
            | Word::Copy
            | Word::Rebase
            | Word::InWindow
            | Word::Add
            | Word::Sub
            | Word::Mad
            | Word::WideMad { .. }
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
        };
        found.or_else(plain)
    }

    /// The pointer in a parameter.
    fn pointer(&self, inst: &Inst, m: &Memory) -> Option<Linear> {
        let Some(Operand::Address(Address { base: Base::Symbol(Symbol::Param(i)), offset: 0 })) = inst.operands.get(1)
        else {
            return None;
        };
        let whole = m.space == Space::Param && m.len == 1 && m.ty.bits() == 64;
        let scalar = self.kernel.params.get(*i as usize)?.len.is_none();
        (whole && scalar).then_some(Linear { origin: Origin::Pointer(*i), index: None, offset: 0 })
    }
}

/// The class of 32-bit integers, for addresses in shared and local memory.
pub(super) fn is_narrow(reg: Reg) -> bool {
    reg.class == RegClass::B32
}

/// The type of an address register.
pub(super) fn address_type(reg: Reg) -> ScalarType {
    if is_narrow(reg) { ScalarType::U32 } else { ScalarType::U64 }
}
