//! Choosing the form for an instruction's spelling and arguments.

use smallvec::SmallVec;

use super::error::ParseErrorKind;
use super::lex::{Fault, Pos};
use super::operand::{Arg, Argument};
use crate::ir::{BlockId, Operand, Reg};
use crate::table::{Access, Form, FormId, Mod, Op, Shape, Slot, table};
use crate::types::{Kind, RegClass, ScalarType};

/// An instruction's form and operands. The label of a branch is its place in
/// `labels`, as a [`BlockId`], until the kernel's labels are known.
pub(super) struct Choice<'a> {
    pub form: FormId,
    pub operands: SmallVec<[Operand; 5]>,
    pub label: Option<(&'a str, Pos)>,
}

/// Chooses among the forms written `name` the first whose slots the arguments
/// fit, with their register classes if possible: wrong classes alone are left
/// to the verifier. `label` is the number for a label operand, and `unknown`
/// makes the error for a name that nothing declares.
pub(super) fn choose<'a>(
    name: &str,
    at: Pos,
    args: &[Argument<'a>],
    label: u32,
    unknown: impl Fn(&str) -> ParseErrorKind,
) -> Result<Choice<'a>, Fault> {
    let mut loose = None;
    let mut error: Option<Fault> = None;
    for form in table().loosely_named(name) {
        let mut fit =
            Fit { form: form.get(), at, label, operands: SmallVec::new(), branch: None, exact: true, is_braced: false };
        match fit.all(args, &unknown) {
            Ok(()) => {
                let choice = Choice { form: *form, operands: fit.operands, label: fit.branch };
                if fit.exact {
                    return Ok(choice);
                }
                loose.get_or_insert(choice);
            }
            // Of several forms' errors, the one that got furthest is meant.
            Err(e) => {
                if error.as_ref().is_none_or(|(old, _)| (old.line, old.column) < (e.0.line, e.0.column)) {
                    error = Some(e);
                }
            }
        }
    }
    loose.ok_or_else(|| {
        error.unwrap_or_else(|| {
            let near = super::suggest::nearest_instruction(name);
            (at, ParseErrorKind::UnknownInstruction { name: name.to_owned(), near })
        })
    })
}

/// Arguments on their way to a form's operands.
struct Fit<'a> {
    form: &'static Form,
    at: Pos,
    label: u32,
    operands: SmallVec<[Operand; 5]>,
    branch: Option<(&'a str, Pos)>,
    /// Whether every register has a class that its slot accepts.
    exact: bool,
    /// Whether one side of a `mov` is in braces.
    is_braced: bool,
}

impl<'a> Fit<'a> {
    fn all(&mut self, args: &[Argument<'a>], unknown: &impl Fn(&str) -> ParseErrorKind) -> Result<(), Fault> {
        let mut rest = args.iter().peekable();
        for (i, slot) in self.form.slots.iter().enumerate() {
            if slot.shape == Shape::Carry {
                self.operands.push(Operand::Reg(Reg::CARRY));
                continue;
            }
            let bar = i > 0 && slot.access == Access::Write && matches!(slot.shape, Shape::Predicate(_));
            match rest.next_if(|arg| arg.bar == bar) {
                Some(arg) => self.one(slot, arg, unknown)?,
                None if slot.optional => self.operands.extend(std::iter::repeat_n(Operand::None, slot.width())),
                None => match rest.peek() {
                    Some(arg) => return Err(self.mismatch(slot, arg)),
                    None => return Err(self.count(args.len())),
                },
            }
        }
        if rest.next().is_some() { Err(self.count(args.len())) } else { Ok(()) }
    }

    fn one(&mut self, slot: &Slot, arg: &Argument<'a>, unknown: &impl Fn(&str) -> ParseErrorKind) -> Result<(), Fault> {
        match (slot.shape, &arg.arg) {
            (Shape::Label, _) => {
                let Some(name) = arg.name else { return Err(self.mismatch(slot, arg)) };
                self.branch = Some((name, arg.at));
                self.operands.push(Operand::Label(BlockId(self.label)));
            }
            (Shape::Sink, Arg::Sink) => self.operands.push(Operand::None),
            (Shape::Sink, _) => return Err(self.mismatch(slot, arg)),
            (_, Arg::Unknown) => return Err((arg.at, unknown(&arg.text))),
            (Shape::Address(_), Arg::Address(a)) => self.operands.push(Operand::Address(*a)),
            (Shape::Vector { ty, len, relaxed }, Arg::Vector(elements)) if elements.len() == usize::from(len) => {
                for element in elements {
                    let operand = self.scalar(slot, ty, relaxed, element)?;
                    self.operands.push(operand);
                }
            }
            (Shape::Vector { .. } | Shape::Address(_), _) => return Err(self.mismatch(slot, arg)),
            // A vector of one element is that element, where there may be vectors (and one side of a `mov` is not).
            (shape, Arg::Vector(elements)) if elements.len() == 1 && self.takes_vectors() => {
                if matches!(shape, Shape::Move(_)) && std::mem::replace(&mut self.is_braced, true) {
                    return Err(self.mismatch(slot, arg));
                }
                return self.one(slot, &elements[0], unknown);
            }
            (shape, _) => {
                let relaxed = matches!(shape, Shape::Wide(_));
                let operand = self.scalar(slot, slot.ty().unwrap_or(ScalarType::B64), relaxed, arg)?;
                self.operands.push(operand);
            }
        }
        Ok(())
    }

    /// Whether a register in braces is that register: for loads, stores and `mov` of bits.
    fn takes_vectors(&self) -> bool {
        match self.form.op {
            Op::Mov => self.form.mods.iter().any(|m| matches!(m, Mod::Ty(t) if t.kind() == Kind::Bits)),
            op => matches!(op, Op::Ld | Op::LdNc | Op::Ldu | Op::St),
        }
    }

    fn scalar(&mut self, slot: &Slot, ty: ScalarType, relaxed: bool, arg: &Argument<'_>) -> Result<Operand, Fault> {
        let moves = matches!(slot.shape, Shape::Move(_));
        let (operand, exact) = match arg.arg {
            Arg::Reg(r) => (Operand::Reg(r), r.class.accepts(ty, relaxed)),
            Arg::NotPred(r) => {
                let taken = slot.shape == Shape::Predicate(true) || slot.shape == Shape::Move(ScalarType::Pred);
                (Operand::NotPred(r), taken && r.class == RegClass::Pred)
            }
            Arg::Sink if slot.access == Access::Write => (Operand::None, true),
            Arg::Special(s) if slot.access == Access::Read => (Operand::Special(s), moves),
            Arg::Symbol(s, offset) if slot.access == Access::Read => (Operand::Symbol(s, offset), moves),
            // Any number but 0 is true.
            Arg::Int { magnitude, .. } if ty == ScalarType::Pred && slot.access == Access::Read => {
                (Operand::Imm(u64::from(magnitude != 0)), moves || slot.shape == Shape::Predicate(true))
            }
            Arg::Int { .. } | Arg::Float(_) | Arg::F32(_) | Arg::F64(_) if slot.access == Access::Read => {
                let bits = self.constant(slot, ty, arg)?;
                (Operand::Imm(bits), !matches!(slot.shape, Shape::Register(_)))
            }
            _ => return Err(self.mismatch(slot, arg)),
        };
        self.exact &= exact;
        Ok(operand)
    }

    /// The bits of a constant of type `ty`.
    fn constant(&self, slot: &Slot, ty: ScalarType, arg: &Argument<'_>) -> Result<u64, Fault> {
        let bits = match (ty, &arg.arg) {
            (_, &Arg::Int { negative, magnitude }) if ty.kind() != Kind::Float => {
                let counts = matches!(slot.shape, Shape::Const { .. } | Shape::OneOf(..) | Shape::Small { .. });
                if counts {
                    return integer(ty, negative, magnitude).map_err(|kind| (arg.at, kind));
                }
                // A constant has 64 bits and is converted to the operand's size (PTX ISA 4.5.1).
                let bits = if negative { magnitude.wrapping_neg() } else { magnitude };
                Some(bits & u64::MAX >> (64 - ty.bits().min(64)))
            }
            (ScalarType::F32, &Arg::Float(v)) => Some(u64::from((v as f32).to_bits())),
            (ScalarType::F64, &Arg::Float(v)) => Some(v.to_bits()),
            (ScalarType::F32, &Arg::F64(bits)) => Some(u64::from((f64::from_bits(bits) as f32).to_bits())),
            (ScalarType::F64, &Arg::F32(bits)) => Some(f64::from(f32::from_bits(bits)).to_bits()),
            (ScalarType::F32 | ScalarType::B32, &Arg::F32(bits)) => Some(u64::from(bits)),
            (ScalarType::F64 | ScalarType::B64, &Arg::F64(bits)) => Some(bits),
            (ScalarType::B64, &Arg::Float(v)) => Some(v.to_bits()),
            _ => None,
        };
        bits.ok_or_else(|| self.mismatch(slot, arg))
    }

    fn mismatch(&self, slot: &Slot, arg: &Argument<'_>) -> Fault {
        let found = match &arg.arg {
            Arg::Reg(r) => format!("register '{}' of type {}", arg.text, r.class.declared()),
            Arg::NotPred(_) => "a negated predicate".to_owned(),
            Arg::Int { .. } => "an integer".to_owned(),
            Arg::Float(_) | Arg::F32(_) | Arg::F64(_) => "a floating-point constant".to_owned(),
            Arg::Special(s) => format!("special register '{s}'"),
            Arg::Symbol(..) => format!("variable '{}'", arg.text),
            Arg::Address(_) => "an address".to_owned(),
            Arg::Vector(elements) => format!("a vector of {}", elements.len()),
            Arg::Passed(..) | Arg::PassedAt(..) => format!("'{}', which is passed to a function", arg.text),
            Arg::Pair(_) => format!("register '{}' of type b128", arg.text),
            Arg::Part(..) => format!("'{}', a part of a register", arg.text),
            Arg::Specials => format!("'{}', four numbers", arg.text),
            Arg::Sink => "'_'".to_owned(),
            Arg::Unknown => format!("'{}'", arg.text),
        };
        let found = if arg.bar { format!("{found} after '|'") } else { found };
        let instruction = self.form.name.clone();
        let expected = expected(slot);
        (arg.at, ParseErrorKind::Operand { instruction, operand: slot.name, expected, found })
    }

    fn count(&self, found: usize) -> Fault {
        let slots = &self.form.slots;
        // A first result that is not wanted is written `_`.
        let least = slots.iter().enumerate().filter(|(i, s)| *i == 0 || !s.optional).count();
        let expected = if least == slots.len() { least.to_string() } else { format!("{least} to {}", slots.len()) };
        let operands = slots.iter().filter(|s| s.shape != Shape::Carry).map(|s| s.name).collect::<Vec<_>>().join(", ");
        let instruction = self.form.name.clone();
        (self.at, ParseErrorKind::OperandCount { instruction, expected, operands, found })
    }
}

/// What is allowed in a slot, in words.
fn expected(slot: &Slot) -> String {
    let constant = match slot.ty() {
        Some(ScalarType::F32 | ScalarType::F64) => "or floating-point constant",
        Some(ty) if !ty.has_constants() => "(there are no constants of that type)",
        _ => "or integer",
    };
    match slot.shape {
        Shape::Value(ty) | Shape::Wide(ty) if slot.access == Access::Write => format!("a {ty} register"),
        Shape::Register(ty) => format!("a {ty} register"),
        Shape::Value(ty) | Shape::Wide(ty) => format!("a {ty} register {constant}"),
        Shape::Move(ty) => format!("a {ty} register {constant}, a special register or a variable"),
        Shape::Predicate(_) if slot.access == Access::Write => "a predicate register".to_owned(),
        Shape::Predicate(_) => "a predicate register, negated or not".to_owned(),
        Shape::Vector { ty, len, .. } => format!("a vector of {len} {ty} registers in braces"),
        Shape::Const { ty, least, most } => format!("a {ty} constant from {least} to {most}"),
        Shape::Small { ty, most } => format!("a {ty} register or constant from 0 to {most}"),
        Shape::OneOf(ty, values) => format!("a {ty} constant out of {values:?}"),
        Shape::Address(space) => format!("an address in {space} space in brackets"),
        Shape::Label => "a label".to_owned(),
        Shape::Function => "a function".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Passed => "a register or a constant".to_owned(),
        Shape::Sink => "'_'".to_owned(),
        Shape::Carry => "nothing: the carry flag is not written".to_owned(),
    }
}

/// The bits of an integer of type `ty`, which may be written signed or
/// unsigned: `-1` and `4294967295` are the same b32.
pub(super) fn integer(ty: ScalarType, negative: bool, magnitude: u64) -> Result<u64, ParseErrorKind> {
    let bits = ty.bits().min(64);
    let most = (1i128 << bits) - 1;
    let least = if bits == 1 { 0 } else { -(1i128 << (bits - 1)) };
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    if (least..=most).contains(&value) {
        Ok((value & most) as u64)
    } else {
        Err(ParseErrorKind::Range { what: ty.name(), value, least, most })
    }
}
