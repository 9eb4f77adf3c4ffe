//! Cheaper integer instructions. Floating-point ones are not changed: even `x * 1.0` changes a signalling NaN, and `x +
//! 0.0` a negative zero.

use smallvec::smallvec;

use super::copy::{become_copy, bits_type, mask, result};
use crate::ir::{Inst, Operand};
use crate::table::{FormId, Mod, Op, Word, table};
use crate::types::Kind;

/// A replacement of an instruction.
enum Better {
    /// A copy of a source.
    Copy(Operand),
    /// Another form, with these sources.
    Form(FormId, Operand, Operand),
}

/// Replaces the instruction by a cheaper one with the same result, if there is one. `constant` returns the bits of a
/// source.
pub(super) fn run(inst: &mut Inst, constant: impl Fn(&Operand) -> Option<u64>) {
    let Some(reg) = result(inst) else { return };
    let Some(better) = better(inst, constant) else { return };
    match better {
        Better::Copy(source) => {
            // There is no negated predicate source here.
            if !matches!(source, Operand::NotPred(_)) {
                become_copy(inst, source);
            }
        }
        Better::Form(form, a, b) => {
            inst.form = form;
            inst.operands = smallvec![reg.into(), a, b];
        }
    }
}

fn better(inst: &Inst, constant: impl Fn(&Operand) -> Option<u64>) -> Option<Better> {
    let form = inst.form();
    let [_, a, rest @ ..] = &inst.operands[..] else { return None };
    let (a, b, c) = (*a, rest.first().copied()?, rest.get(1).copied());
    let word = form.word();
    if word == Word::Select {
        return match constant(&c?)? {
            0 => Some(Better::Copy(b)),
            _ => Some(Better::Copy(a)),
        };
    }
    let last = form.mods.last()?;
    let Mod::Ty(ty) = *last else { return None };
    if matches!(ty.kind(), Kind::Float | Kind::Pred) || ty.bits() < 16 || ty.bits() > 64 {
        return None;
    }
    let (x, y) = (constant(&a).map(|v| v & mask(ty)), constant(&b).map(|v| v & mask(ty)));
    let zero = || Some(Better::Copy(Operand::Imm(0)));
    let form_of = |op: Op, mods: &[Mod], a, b| Some(Better::Form(table().find(op, mods)?, a, b));
    let bits = bits_type(ty.bits())?;
    let power = |v: u64| v.is_power_of_two().then(|| Operand::Imm(v.trailing_zeros().into()));
    let ones = mask(ty);
    match word {
        Word::Add if y == Some(0) => Some(Better::Copy(a)),
        Word::Add if x == Some(0) => Some(Better::Copy(b)),
        Word::Sub if y == Some(0) => Some(Better::Copy(a)),
        Word::Sub | Word::Xor if a == b && matches!(a, Operand::Reg(_)) => zero(),
        Word::Mul if x == Some(0) || y == Some(0) => zero(),
        Word::WideMul { .. } if x == Some(0) || y == Some(0) => zero(),
        Word::Mul if y == Some(1) => Some(Better::Copy(a)),
        Word::Mul if x == Some(1) => Some(Better::Copy(b)),
        Word::Mul => match (x, y) {
            (None, Some(y)) => form_of(Op::Shl, &[Mod::Ty(bits)], a, power(y)?),
            (Some(x), None) => form_of(Op::Shl, &[Mod::Ty(bits)], b, power(x)?),
            _ => None,
        },
        Word::Mad => {
            let c = c?;
            if x == Some(0) || y == Some(0) {
                Some(Better::Copy(c))
            } else if constant(&c).map(|v| v & ones) == Some(0) {
                form_of(Op::Mul, &[Mod::Lo, *last], a, b)
            } else if y == Some(1) {
                form_of(Op::Add, &[*last], a, c)
            } else if x == Some(1) {
                form_of(Op::Add, &[*last], b, c)
            } else {
                None
            }
        }
        Word::Div { .. } if y == Some(1) => Some(Better::Copy(a)),
        Word::Div { signed: false } => form_of(Op::Shr, &[*last], a, power(y?)?),
        Word::Rem { .. } if y == Some(1) => zero(),
        Word::Rem { signed: false } if y?.is_power_of_two() => {
            form_of(Op::And, &[Mod::Ty(bits)], a, Operand::Imm(y? - 1))
        }
        // The distance is always a u32, not of the shifted type.
        Word::Shl | Word::Shr { .. } if constant(&b) == Some(0) => Some(Better::Copy(a)),
        Word::And if x == Some(0) || y == Some(0) => zero(),
        Word::And if y == Some(ones) => Some(Better::Copy(a)),
        Word::And if x == Some(ones) => Some(Better::Copy(b)),
        Word::And | Word::Or if a == b => Some(Better::Copy(a)),
        Word::Or | Word::Xor if y == Some(0) => Some(Better::Copy(a)),
        Word::Or | Word::Xor if x == Some(0) => Some(Better::Copy(b)),
        Word::Add
        | Word::Sub
        | Word::WideMul { .. }
        | Word::Div { .. }
        | Word::Rem { .. }
        | Word::Shl
        | Word::Shr { .. }
        | Word::And
        | Word::Or
        | Word::Xor
        | Word::Copy
        | Word::Resize { .. }
        | Word::Rebase
        | Word::InWindow
        | Word::WideMad { .. }
        | Word::Min { .. }
        | Word::Max { .. }
        | Word::Select
        | Word::Compare { .. }
        | Word::Other => None,
    }
}
