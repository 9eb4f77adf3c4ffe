//! Instructions with one result, and copies.

use smallvec::SmallVec;

use crate::ir::{Inst, Operand, Reg};
use crate::table::{Mod, Op, Word, table};
use crate::types::{Kind, RegClass, ScalarType};

/// The one register that an instruction writes.
pub(super) fn result(inst: &Inst) -> Option<Reg> {
    let mut defs = inst.defs();
    let reg = defs.next()?;
    defs.next().is_none().then_some(reg)
}

/// Whether this is a plain `mov` of a register or constant.
pub(super) fn is_copy(inst: &Inst) -> bool {
    inst.form().word() == Word::Copy && matches!(inst.operands.get(1), Some(Operand::Reg(_) | Operand::Imm(_)))
}

/// Makes the instruction a `mov` to its result of a register or constant of the
/// same size.
pub(super) fn become_copy(inst: &mut Inst, source: Operand) {
    let Some(reg) = result(inst) else { return };
    let ty = match source {
        // Between classes, bits are moved.
        Operand::Reg(r) if r.class != reg.class => bits_type(reg.class.bits()),
        _ => Some(reg.class.declared()),
    };
    if let Some(form) = ty.and_then(|ty| table().find(Op::Mov, &[Mod::Ty(ty)])) {
        inst.form = form;
        inst.operands = SmallVec::from_slice(&[reg.into(), source]);
    }
}

/// The untyped bits of a register's size.
pub(super) fn bits_type(bits: u32) -> Option<ScalarType> {
    let mut types = RegClass::ALL.into_iter().map(RegClass::declared);
    types.find(|ty| ty.kind() == Kind::Bits && ty.bits() == bits)
}

/// All ones of a type.
pub(super) fn mask(ty: ScalarType) -> u64 {
    u64::MAX >> (64 - ty.bits().min(64))
}
