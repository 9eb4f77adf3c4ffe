//! Instructions.

use smallvec::SmallVec;

use super::{Base, Loc, Operand, Reg};
use crate::table::{Access, Form, FormId, Shape, Slot};
use crate::target::PtxVersion;

/// The guard of a predicated instruction, `@%p1` or `@!%p1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Guard {
    /// The predicate register.
    pub reg: Reg,
    /// Whether the instruction runs if the predicate is false.
    pub negated: bool,
}

/// One instruction: a form of the table with its operands.
#[derive(Clone, Debug)]
pub struct Inst {
    /// Which instruction, with all its modifiers.
    pub form: FormId,
    /// The guard, if predicated.
    pub guard: Option<Guard>,
    /// Operands in writing order, vectors flattened.
    pub operands: SmallVec<[Operand; 5]>,
    /// The position in the source. Not compared.
    pub loc: Option<Loc>,
}

/// Positions are not compared: equal instructions at different positions are equal.
impl PartialEq for Inst {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.guard == other.guard && self.operands == other.operands
    }
}

impl Inst {
    /// The table's entry for this instruction.
    pub fn form(&self) -> &'static Form {
        self.form.get()
    }

    /// The first PTX version with this instruction and its special registers.
    pub fn least_ptx(&self) -> PtxVersion {
        let special = |op: &Operand| if let Operand::Special(s) = op { Some(s.least_ptx()) } else { None };
        self.operands.iter().filter_map(special).fold(self.form().least_ptx, PtxVersion::max)
    }

    /// Each slot with its operands (several for a vector slot). Surplus operands or slots are not visited; the verifier
    /// reports them.
    pub fn slots(&self) -> impl Iterator<Item = (&'static Slot, &[Operand])> {
        let mut rest = &self.operands[..];
        self.form().slots.iter().map_while(move |slot| {
            let (now, later) = rest.split_at_checked(slot.width())?;
            rest = later;
            Some((slot, now))
        })
    }

    /// Registers read: sources, address bases and the guard.
    pub fn uses(&self) -> impl Iterator<Item = Reg> {
        let guard = self.guard.map(|g| g.reg);
        let operands = self.slots().flat_map(|(slot, ops)| {
            ops.iter().filter_map(move |op| match *op {
                Operand::Reg(r) | Operand::NotPred(r) if slot.access == Access::Read => Some(r),
                Operand::Address(a) => match a.base {
                    Base::Reg(r) => Some(r),
                    Base::Symbol(_) => None,
                },
                _ => None,
            })
        });
        guard.into_iter().chain(operands)
    }

    /// Registers written. A guarded instruction writes them only if its guard holds.
    pub fn defs(&self) -> impl Iterator<Item = Reg> {
        self.slots().filter(|(slot, _)| slot.access == Access::Write).flat_map(|(_, ops)| {
            ops.iter().filter_map(|op| match *op {
                Operand::Reg(r) => Some(r),
                _ => None,
            })
        })
    }

    /// The target of a branch.
    pub fn branch_target(&self) -> Option<super::BlockId> {
        self.slots().find_map(|(slot, ops)| match (slot.shape, ops.first()) {
            (Shape::Label, Some(Operand::Label(b))) => Some(*b),
            _ => None,
        })
    }
}
