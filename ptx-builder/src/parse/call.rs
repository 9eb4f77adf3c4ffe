//! Calls, and what is passed to and from functions.
//!
//! A scalar that is passed is a register, an array a local one. A call of a
//! function of the text stands at a block's end until the function is put in
//! its place; one of another module's function is an instruction.

use smallvec::SmallVec;

use super::body::Body;
use super::draft::{Actual, Call, Callee, PASSED, Targets};
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::operand::{Arg, Argument};
use super::scope::Entity;
use super::signature::{Formal, class_passed};
use crate::ir::{Block, Guard, Inst, Operand, Reg, Symbol};
use crate::table::{CALL_ARGUMENTS, Mod, Op, table};
use crate::types::{RegClass, ScalarType};

impl<'a> Body<'_, 'a> {
    /// A new register for a scalar that is passed.
    pub(super) fn pass_reg(&mut self, class: RegClass) -> Reg {
        let next = &mut self.passed[class as usize];
        let index = PASSED + *next;
        *next += 1;
        Reg { class, index }
    }

    /// `.param .b32 a, b[4];` in a body.
    pub(super) fn passed(&mut self) -> Result<(), Fault> {
        self.cursor().take();
        let (mut align, mut ty) = (None, None);
        while self.cursor().peek().kind == Kind::Directive {
            let token = self.cursor().take();
            match token.text {
                ".align" => align = Some(self.parser.align()?),
                text => match super::parser::directive_type(text) {
                    Some(t) if ty.is_none() => ty = Some(t),
                    _ => return Err((token.at, self.parser.unknown(&token, "a type or .align"))),
                },
            }
        }
        let Some(ty) = ty else { return Err(self.cursor().expected("a type")) };
        loop {
            let name = self.cursor().name("the parameter's name")?;
            let mut len = None;
            if self.cursor().take_if('[') {
                len = Some(self.cursor().computed("the length", 0, 1 << 20)? as u32);
                self.cursor().punct(']')?;
            }
            let entity = match (len, class_passed(ty)) {
                (None, Some(class)) => Entity::Passed(self.pass_reg(class), ty),
                _ => {
                    let formal = Formal { name: None, ty, len, align, is_register: false };
                    Entity::Symbol(self.passed_array(name.text, &formal))
                }
            };
            self.scopes.declare(name.text, entity).map_err(|kind| (name.at, kind))?;
            if !self.cursor().take_if(',') {
                return self.cursor().punct(';');
            }
        }
    }

    /// `call (result), function, (argument, ..), prototype;` after the opcode.
    pub(super) fn call(&mut self, guard: Option<Guard>, at: Pos) -> Result<(), Fault> {
        let mut results = Vec::new();
        if self.cursor().is('(') {
            results = self.actuals()?;
            self.cursor().punct(',')?;
        }
        let name = self.cursor().name("a function or a register with its address")?;
        let (mut args, mut with) = (Vec::new(), None);
        if self.cursor().take_if(',') {
            if self.cursor().is('(') {
                args = self.actuals()?;
                if self.cursor().take_if(',') {
                    with = Some(self.cursor().name("a prototype or a list of targets")?);
                }
            } else {
                with = Some(self.cursor().name("a prototype or a list of targets")?);
            }
        }
        self.cursor().punct(';')?;
        let callee = match (self.scopes.find(name.text), self.parser.function_ids.get(name.text), with) {
            (Some(Entity::Reg(reg)), _, Some(with)) => {
                let like = self.prototypes.get(with.text).cloned().map(Targets::Like);
                let of = || self.targets.get(with.text).cloned().map(Targets::Of);
                let unknown = || (with.at, ParseErrorKind::UnknownName { name: with.text.to_owned(), near: None });
                Callee::At(reg, like.or_else(of).ok_or_else(unknown)?)
            }
            (None, Some(&id), _) if self.parser.functions[id].is_external => {
                return self.call_external(id, guard, &results, &args, at);
            }
            (None, Some(&id), _) => Callee::Function(id),
            (None, None, _) => return Err((name.at, self.unknown_name(name.text))),
            _ => return Err((name.at, self.parser.unknown(&name, "a function, or an address with a prototype"))),
        };
        let loc = self.here(at);
        let block = self.kernel.blocks.len() - 1;
        self.calls.push(Call { block, guard, callee, results, args, at, loc });
        self.kernel.blocks.push(Block::default());
        Ok(())
    }

    /// `(a, b)`.
    fn actuals(&mut self) -> Result<Vec<Actual>, Fault> {
        self.cursor().punct('(')?;
        let mut all = Vec::new();
        if self.cursor().take_if(')') {
            return Ok(all);
        }
        loop {
            let arg = self.scalar()?;
            all.push(match arg.arg {
                Arg::Reg(reg) | Arg::Passed(reg, _) => Actual::Reg(reg),
                Arg::Symbol(symbol @ Symbol::Kernel(_), 0) => Actual::Array(symbol),
                Arg::Int { negative, magnitude } => {
                    Actual::Imm(if negative { magnitude.wrapping_neg() } else { magnitude })
                }
                Arg::F32(bits) => Actual::Imm(bits.into()),
                Arg::F64(bits) => Actual::Imm(bits),
                Arg::Sink => Actual::Sink,
                Arg::Unknown => return Err((arg.at, self.unknown_name(&arg.text))),
                _ => {
                    let expected = "a parameter, a register or a constant".to_owned();
                    return Err((arg.at, ParseErrorKind::Expected { expected, found: format!("'{}'", arg.text) }));
                }
            });
            if self.cursor().take_if(')') {
                return Ok(all);
            }
            if !self.cursor().take_if(',') {
                return Err(self.cursor().expected("',' or ')'"));
            }
        }
    }

    /// A call of another module's function.
    fn call_external(
        &mut self,
        id: usize,
        guard: Option<Guard>,
        results: &[Actual],
        args: &[Actual],
        at: Pos,
    ) -> Result<(), Fault> {
        let unsupported = |what: String, instead| (at, ParseErrorKind::Unsupported { what, instead });
        let name = self.parser.functions[id].name;
        let signature = &self.parser.functions[id].signature;
        if (signature.results.len(), signature.params.len()) != (results.len(), args.len()) {
            let (takes, gives) = (signature.params.len(), signature.results.len());
            let what = format!("a call of '{name}', which takes {takes} values and gives {gives}, with others");
            return Err(unsupported(what, "call it as it is declared"));
        }
        if args.len() > CALL_ARGUMENTS || results.len() > 1 {
            let what = format!("a call of '{name}' of another module with more than {CALL_ARGUMENTS} arguments");
            return Err(unsupported(what, "pass a pointer"));
        }
        let mut operands: SmallVec<[Operand; 5]> = SmallVec::new();
        operands.push(Operand::Function(self.parser.external(id)));
        operands.push(match results.first() {
            Some(Actual::Reg(reg)) => Operand::Reg(*reg),
            _ => Operand::None,
        });
        for actual in args {
            operands.push(match *actual {
                Actual::Reg(reg) => Operand::Reg(reg),
                Actual::Imm(bits) => Operand::Imm(bits),
                Actual::Array(_) | Actual::Sink => {
                    let what = format!("an array passed to '{name}' of another module");
                    return Err(unsupported(what, "pass a pointer to it"));
                }
            });
        }
        operands.resize(2 + CALL_ARGUMENTS, Operand::None);
        let Some(form) = table().find(Op::Call, &[]) else { return Ok(()) };
        self.push(Inst { form, guard, operands, loc: Some(self.here(at)) });
        Ok(())
    }

    /// `ld.param` and `st.param` of a passed scalar; false where the arguments are of another kind.
    pub(super) fn passed_access(
        &mut self,
        name: &str,
        guard: Option<Guard>,
        args: &[Argument<'a>],
        at: Pos,
    ) -> Result<bool, Fault> {
        let passed = |arg: &Argument<'_>| {
            if let Arg::PassedAt(reg, ty, offset) = arg.arg { Some((reg, ty, offset)) } else { None }
        };
        let (value, place, loads) = match args {
            [value, place] if name.starts_with("ld.") => (value, place, true),
            [place, value] if name.starts_with("st.") => (value, place, false),
            _ => return Ok(false),
        };
        let Some((reg, declared, offset)) = passed(place) else { return Ok(false) };
        let value = match &value.arg {
            Arg::Vector(elements) if elements.len() == 1 => &elements[0].arg,
            other => other,
        };
        let ty =
            name.rsplit('.').find_map(ScalarType::from_name).filter(|t| t.bits() == declared.bits() && offset == 0);
        let Some(ty) = ty.filter(|_| !matches!(value, Arg::Vector(_))) else {
            let what = format!("'{name}' of a part of what is passed as one {declared}");
            return Err((at, ParseErrorKind::Unsupported { what, instead: "declare it as an array of bytes" }));
        };
        let operand = match *value {
            Arg::Reg(r) => Operand::Reg(r),
            Arg::Sink if loads => Operand::None,
            Arg::Int { negative, magnitude } if !loads => {
                let bits = if negative { magnitude.wrapping_neg() } else { magnitude };
                Operand::Imm(bits & u64::MAX >> (64 - ty.bits()))
            }
            Arg::F32(bits) if !loads => Operand::Imm(bits.into()),
            Arg::F64(bits) if !loads => Operand::Imm(bits),
            Arg::Float(v) if !loads && ty.bits() == 32 => Operand::Imm((v as f32).to_bits().into()),
            Arg::Float(v) if !loads => Operand::Imm(v.to_bits()),
            _ => {
                let kind = ParseErrorKind::Expected { expected: format!("a {ty} register"), found: name.to_owned() };
                return Err((at, kind));
            }
        };
        self.transfer(reg, ty, operand, loads, guard, at);
        Ok(true)
    }

    /// Between a passed scalar and an operand.
    fn transfer(&mut self, reg: Reg, ty: ScalarType, operand: Operand, loads: bool, guard: Option<Guard>, at: Pos) {
        let other = if let Operand::Reg(r) = operand { r.class.bits() } else { reg.class.bits() };
        let (to, from) = if loads { (operand, Operand::Reg(reg)) } else { (Operand::Reg(reg), operand) };
        let loc = Some(self.here(at));
        let unsigned = |bits: u32| match bits {
            16 => ScalarType::U16,
            32 => ScalarType::U32,
            _ => ScalarType::U64,
        };
        let signed = |bits: u32| match bits {
            16 => ScalarType::S16,
            32 => ScalarType::S32,
            _ => ScalarType::S64,
        };
        let same = |bits: u32| match bits {
            16 => ScalarType::B16,
            32 => ScalarType::B32,
            _ => ScalarType::B64,
        };
        let mods: SmallVec<[Mod; 2]> = if loads && (ty.bits() < other || ty.bits() == 8) {
            // A narrow value is extended to its register by its type.
            let from = match ty {
                ScalarType::B8 => ScalarType::U8,
                ty if ty.bits() > 8 && !ty.is_signed() => unsigned(ty.bits()),
                ty => ty,
            };
            let to = if ty.is_signed() { signed(other) } else { unsigned(other) };
            SmallVec::from_slice(&[Mod::Ty(to), Mod::Ty(from)])
        } else if !loads && other > reg.class.bits() {
            SmallVec::from_slice(&[Mod::Ty(unsigned(reg.class.bits())), Mod::Ty(unsigned(other))])
        } else {
            SmallVec::from_slice(&[Mod::Ty(same(reg.class.bits()))])
        };
        let op = if mods.len() == 2 { Op::Cvt } else { Op::Mov };
        if let Some(form) = table().find(op, &mods) {
            self.push(Inst { form, guard, operands: SmallVec::from_slice(&[to, from]), loc });
        }
    }
}
