//! Addresses within a generated kernel's buffers.

use super::Shape;
use super::generate::{CELL, Gen};
use crate::ir::{Address, Base, Operand, Reg, Symbol};
use crate::table::{Async, Form, Matrix, Meaning};
use crate::types::{RegClass, Space};

/// Bytes that a form accesses at each address; more than it does is fine.
fn bytes(form: &Form) -> u32 {
    match form.meaning {
        Meaning::Load(m) | Meaning::Store(m) | Meaning::Atomic(m, _) => m.bytes().max(1),
        Meaning::Async(Async::Copy) | Meaning::Matrix(Matrix::Load { .. }) => 16,
        _ => 16,
    }
}

/// Whether a form writes where its address in this space points.
fn writes(form: &Form, space: Space) -> bool {
    match form.meaning {
        Meaning::Store(_) | Meaning::Atomic(..) => true,
        Meaning::Async(Async::Copy) => space == Space::Shared,
        _ => false,
    }
}

impl Gen {
    /// An address in a space that the form may access at this point: memory of
    /// the thread's own, or memory that nothing writes.
    pub fn address(&mut self, form: &Form, space: Space) -> Operand {
        let size = bytes(form);
        let read_only = matches!(form.meaning, Meaning::Load(m) if m.read_only);
        let b = self.bases;
        let (base, room) = match space {
            Space::Param => (Base::Symbol(Symbol::Param(2)), Shape::OPTIONS),
            Space::Shared => (Base::Reg(b.shared), CELL),
            Space::Local => (Base::Reg(b.local), CELL),
            Space::Const if self.random.once_in(2) => (Base::Symbol(Symbol::Module(0)), 2 * CELL),
            Space::Const => (Base::Reg(b.constant), 2 * CELL),
            Space::Global | Space::Generic if read_only => (Base::Reg(b.input), 2 * CELL),
            Space::Generic if self.random.once_in(2) => (Base::Reg(b.generic), CELL),
            Space::Global | Space::Generic if writes(form, space) || self.random.once_in(2) => {
                (Base::Reg(b.output), CELL)
            }
            Space::Global | Space::Generic => (Base::Reg(b.input), 2 * CELL),
        };
        let steps = room / size;
        match base {
            Base::Reg(reg) if reg.class == RegClass::B64 && space != Space::Local && self.random.once_in(4) => {
                self.computed(reg, size, steps)
            }
            base => {
                let offset = (self.random.below(steps as usize) as u32 * size) as i32;
                Operand::Address(Address { base, offset })
            }
        }
    }

    /// An address that depends on a value: `base + size * (value mod steps)`,
    /// with `steps` rounded down to a power of two.
    fn computed(&mut self, base: Reg, size: u32, steps: u32) -> Operand {
        let Some(value) = self.value(|class| class == RegClass::B32) else {
            return Operand::Address(Address { base: Base::Reg(base), offset: 0 });
        };
        let masked = self.reg(RegClass::B32);
        let [scaled, sum] = std::array::from_fn(|_| self.reg(RegClass::B64));
        let most = (1u64 << steps.ilog2()) - 1;
        self.emit("and.b32", &[masked.into(), value.into(), Operand::Imm(most)]);
        self.emit("mul.wide.u32", &[scaled.into(), masked.into(), Operand::Imm(size.into())]);
        self.emit("add.u64", &[sum.into(), base.into(), scaled.into()]);
        Operand::Address(Address { base: Base::Reg(sum), offset: 0 })
    }
}
