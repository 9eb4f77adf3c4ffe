//! Instructions and operands as text.

use std::fmt::Write as _;

use super::label::Labels;
use crate::ir::{Address, Base, Inst, Kernel, Module, Operand, Symbol};
use crate::table::{Access, Op, Shape, Slot};
use crate::types::{Kind, ScalarType};

/// One instruction as PTX, with its guard and semicolon. It need not be verified: operands that do not match the form
/// are printed unchanged.
pub fn inst(module: &Module, kernel: &Kernel, inst: &Inst) -> String {
    let branches = inst.operands.iter().any(|op| matches!(op, Operand::Label(_)));
    let labels = branches.then(|| Labels::of(kernel));
    let (head, operands) = halves(module, kernel, labels.as_ref(), inst);
    if operands.is_empty() { format!("{head};") } else { format!("{head} {operands};") }
}

/// The guard with the opcode, and the operands.
pub(super) fn halves(module: &Module, kernel: &Kernel, labels: Option<&Labels>, inst: &Inst) -> (String, String) {
    let mut head = String::new();
    if let Some(guard) = inst.guard {
        let _ = write!(head, "@{}{} ", if guard.negated { "!" } else { "" }, guard.reg);
    }
    if inst.form().op == Op::Opaque {
        head.push_str(&opaque(module, kernel, inst));
        return (head, String::new());
    }
    head.push_str(&inst.form().name);
    if inst.form().op == Op::Call {
        return (head, call(module, kernel, inst));
    }

    let names = Names { module, kernel, labels };
    let mut text = String::new();
    let mut visited = 0;
    // An omitted optional operand is printed only if a later one is not omitted.
    let written = inst.operands.iter().rposition(|op| *op != Operand::None).map_or(0, |last| last + 1);
    for (i, (slot, operands)) in inst.slots().enumerate() {
        let bar = i > 0 && slot.access == Access::Write && matches!(slot.shape, Shape::Predicate(_));
        let left_out = slot.optional && operands.iter().all(|op| *op == Operand::None);
        visited += operands.len();
        if left_out && (bar || visited > written) || slot.shape == Shape::Carry {
            continue;
        }
        if !text.is_empty() {
            text.push_str(if bar { "|" } else { ", " });
        }
        if let Shape::Vector { .. } = slot.shape {
            text.push('{');
            for (j, op) in operands.iter().enumerate() {
                text.push_str(if j > 0 { ", " } else { "" });
                names.operand(&mut text, Some(slot), op);
            }
            text.push('}');
        } else if let [op] = operands {
            names.operand(&mut text, Some(slot), op);
        }
    }
    for op in &inst.operands[visited..] {
        text.push_str(if text.is_empty() { "" } else { ", " });
        names.operand(&mut text, None, op);
    }
    (head, text)
}

/// Text that the table does not know, with its results and operands in their places.
fn opaque(module: &Module, kernel: &Kernel, inst: &Inst) -> String {
    let [Operand::Text(i), places @ ..] = &inst.operands[..] else { return String::new() };
    let Some(text) = kernel.texts.get(*i as usize) else { return format!("<no text {i}>") };
    let names = Names { module, kernel, labels: None };
    let written: Vec<&Operand> = places.iter().filter(|op| **op != Operand::None).collect();
    let mut out = String::new();
    let mut rest = text.body();
    while let Some(at) = rest.find('%') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match rest[..digits].parse::<usize>().ok().and_then(|n| written.get(n)) {
            Some(operand) => names.operand(&mut out, None, operand),
            None => {
                out.push('%');
                out += &rest[..digits];
            }
        }
        rest = &rest[digits..];
    }
    out + rest
}

/// `(d), function, (a, b)`, with what is passed itself: in a text it goes by way of `.param`s.
fn call(module: &Module, kernel: &Kernel, inst: &Inst) -> String {
    let names = Names { module, kernel, labels: None };
    let one = |operand: &Operand| {
        let mut text = String::new();
        names.operand(&mut text, None, operand);
        text
    };
    let [function, result, args @ ..] = &inst.operands[..] else { return String::new() };
    let result = if *result == Operand::None { String::new() } else { format!("({}), ", one(result)) };
    let args: Vec<String> = args.iter().filter(|op| **op != Operand::None).map(one).collect();
    format!("{result}{}, ({})", one(function), args.join(", "))
}

/// The names of symbols.
struct Names<'a> {
    module: &'a Module,
    kernel: &'a Kernel,
    labels: Option<&'a Labels>,
}

impl Names<'_> {
    fn operand(&self, out: &mut String, slot: Option<&Slot>, operand: &Operand) {
        let _ = match *operand {
            Operand::Reg(r) => write!(out, "{r}"),
            Operand::NotPred(r) => write!(out, "!{r}"),
            Operand::Imm(bits) => {
                out.push_str(&constant(bits, slot.and_then(Slot::ty)));
                Ok(())
            }
            Operand::Special(r) => write!(out, "{r}"),
            Operand::Symbol(s, offset) => {
                self.symbol(out, s);
                plus(out, offset)
            }
            Operand::Address(Address { base, offset }) => {
                out.push('[');
                match base {
                    Base::Reg(r) => {
                        let _ = write!(out, "{r}");
                    }
                    Base::Symbol(s) => self.symbol(out, s),
                }
                let _ = plus(out, offset);
                out.push(']');
                Ok(())
            }
            Operand::Label(b) => match self.labels {
                Some(labels) => write!(out, "{}", labels.label(b)),
                None => write!(out, "{b}"),
            },
            Operand::Text(i) => write!(out, "<text {i}>"),
            Operand::Function(i) => match self.module.externs.get(i as usize) {
                Some(function) => write!(out, "{}", function.name),
                None => write!(out, "<no function {i}>"),
            },
            Operand::None => write!(out, "_"),
        };
    }

    fn symbol(&self, out: &mut String, symbol: Symbol) {
        let (name, what, i) = match symbol {
            Symbol::Param(i) => (self.kernel.params.get(i as usize).map(|p| &p.name), "parameter", i),
            Symbol::Kernel(i) => (self.kernel.variables.get(i as usize).map(|v| &v.name), "kernel variable", i),
            Symbol::Module(i) => (self.module.variables.get(i as usize).map(|v| &v.name), "module variable", i),
        };
        let _ = match name {
            Some(name) => write!(out, "{name}"),
            None => write!(out, "<no {what} {i}>"),
        };
    }
}

fn plus(out: &mut String, offset: i32) -> std::fmt::Result {
    if offset == 0 { Ok(()) } else { write!(out, "+{offset}") }
}

/// A constant of a type from its bits: floats in hexadecimal, signed integers
/// signed, 16-bit floats (which have no literals) as hexadecimal bits.
pub(super) fn constant(bits: u64, ty: Option<ScalarType>) -> String {
    let Some(ty) = ty else { return format!("{bits:#x}") };
    match (ty, ty.kind()) {
        (ScalarType::F32, _) => format!("0f{bits:08X}"),
        (ScalarType::F64, _) => format!("0d{bits:016X}"),
        (_, Kind::Float) => format!("{bits:#x}"),
        (_, Kind::Signed) => {
            let unused = 64 - ty.bits().min(64);
            ((bits << unused).cast_signed() >> unused).to_string()
        }
        _ => bits.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::constant;
    use crate::types::ScalarType::*;

    #[test]
    fn constants_follow_the_operand_type() {
        assert_eq!(constant(0xffff_fffe, Some(S32)), "-2");
        assert_eq!(constant(0xffff_fffe, Some(U32)), "4294967294");
        assert_eq!(constant(0x80, Some(S8)), "-128");
        assert_eq!(constant(u64::MAX, Some(S64)), "-1");
        assert_eq!(constant(u64::MAX, Some(B64)), "18446744073709551615");
        assert_eq!(constant(0x3f80_0000, Some(F32)), "0f3F800000");
        assert_eq!(constant(0x3ff0_0000_0000_0000, Some(F64)), "0d3FF0000000000000");
        assert_eq!(constant(0x3c00, Some(F16)), "0x3c00");
        assert_eq!(constant(1, Some(Pred)), "1");
    }
}
