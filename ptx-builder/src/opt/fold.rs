//! Folds instructions with constant sources.

use super::copy::{mask, result};
use crate::ir::{Inst, Operand};
use crate::table::{Access, Lanes, Meaning, Shape, WARP};
use crate::types::ScalarType;

/// The bits of an instruction's one result, by the table's own function, if
/// the instruction is exact and all its sources are constant. Addresses depend
/// on the machine and are not folded; neither are results that are extended to
/// a wider register.
pub(super) fn run(inst: &Inst, constant: impl Fn(&Operand) -> Option<u64>) -> Option<u64> {
    let form = inst.form();
    let Meaning::Lane(eval) = form.meaning else { return None };
    if form.word().depends_on_machine() {
        return None;
    }
    let reg = result(inst)?;
    let mut sources: Vec<Lanes> = Vec::new();
    let mut results: Vec<Lanes> = Vec::new();
    let mut place = None;
    for (slot, ops) in inst.slots() {
        for op in ops {
            if slot.access == Access::Write {
                if *op == Operand::Reg(reg) {
                    let exact = slot.ty().is_some_and(|ty| ty.bits() == reg.class.bits());
                    place = exact.then_some(results.len());
                }
                results.push([0; WARP]);
                continue;
            }
            if slot.optional && *op == Operand::None {
                continue;
            }
            let ty = match slot.shape {
                Shape::Predicate(_) => ScalarType::Pred,
                _ => slot.ty()?,
            };
            sources.push([constant(op)? & mask(ty); WARP]);
        }
    }
    let place = place?;
    eval(&mut results, &sources);
    Some(results[place][0])
}
