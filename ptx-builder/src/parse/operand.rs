//! Arguments of instructions, before a form is chosen for them.

use super::error::ParseErrorKind;
use super::kernel::Body;
use super::lex::{Fault, Kind, Pos, Token};
use super::scope::Entity;
use crate::ir::{Address, Base, Guard, Reg, Symbol};
use crate::table::SpecialReg;

/// What an argument is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Arg {
    Reg(Reg),
    /// `!%p1`.
    NotPred(Reg),
    Int {
        negative: bool,
        magnitude: u64,
    },
    Float(f64),
    F32(u32),
    F64(u64),
    Special(SpecialReg),
    Symbol(Symbol, i32),
    Address(Address),
    /// `{a, b}`; not nested.
    Vector(Vec<Argument<'static>>),
    /// `_`.
    Sink,
    /// A name that nothing declares: a label, or a mistake.
    Unknown,
}

/// An argument with its place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Argument<'a> {
    pub arg: Arg,
    /// Whether it stands after a bar, `d|p`.
    pub bar: bool,
    /// The name, where it is one.
    pub name: Option<&'a str>,
    /// Its first token, for messages.
    pub text: String,
    pub at: Pos,
}

/// `WARP_SZ`, the one predefined constant (PTX ISA 4.4).
const WARP_SIZE: (&str, u64) = ("WARP_SZ", 32);

impl<'a> Body<'_, 'a> {
    /// The arguments up to a semicolon, which is taken.
    pub(super) fn arguments(&mut self) -> Result<Vec<Argument<'a>>, Fault> {
        let mut args = Vec::new();
        if self.cursor().take_if(';') {
            return Ok(args);
        }
        if self.cursor().is('}') || self.cursor().at_end() {
            return Err(self.cursor().expected("an operand or ';'"));
        }
        let mut bar = false;
        loop {
            let mut arg = self.argument()?;
            arg.bar = bar;
            args.push(arg);
            bar = self.cursor().take_if('|');
            if bar || self.cursor().take_if(',') {
                continue;
            }
            if self.cursor().take_if(';') {
                return Ok(args);
            }
            return Err(self.cursor().expected("',' or ';'"));
        }
    }

    fn argument(&mut self) -> Result<Argument<'a>, Fault> {
        let token = self.cursor().peek();
        let arg = match token.kind {
            Kind::Punct('[') => Arg::Address(self.address()?),
            Kind::Punct('{') => Arg::Vector(self.vector()?),
            _ => return self.scalar(),
        };
        Ok(Argument { arg, bar: false, name: None, text: token.text.to_owned(), at: token.at })
    }

    fn vector(&mut self) -> Result<Vec<Argument<'static>>, Fault> {
        self.cursor().punct('{')?;
        let mut elements = Vec::new();
        loop {
            let element = self.scalar()?;
            if element.arg == Arg::Unknown {
                return Err((element.at, self.unknown_name(&element.text)));
            }
            elements.push(Argument { name: None, ..element });
            if self.cursor().take_if('}') {
                return Ok(elements);
            }
            if !self.cursor().take_if(',') {
                return Err(self.cursor().expected("',' or '}'"));
            }
        }
    }

    fn scalar(&mut self) -> Result<Argument<'a>, Fault> {
        let token = self.cursor().peek();
        let arg = match token.kind {
            Kind::Word => {
                self.cursor().take();
                let arg = self.named(token.text);
                match arg {
                    Arg::Symbol(symbol, _) => Arg::Symbol(symbol, self.offset()?),
                    arg => arg,
                }
            }
            Kind::Punct('!') => {
                self.cursor().take();
                Arg::NotPred(self.register("a predicate register after '!'")?)
            }
            _ => self.literal()?,
        };
        let name = (token.kind == Kind::Word).then_some(token.text);
        Ok(Argument { arg, bar: false, name, text: token.text.to_owned(), at: token.at })
    }

    /// What a name stands for.
    fn named(&mut self, name: &str) -> Arg {
        match self.scopes.find(name) {
            Some(Entity::Reg(r)) => return Arg::Reg(r),
            Some(Entity::Symbol(s)) => return Arg::Symbol(s, 0),
            None => {}
        }
        if let Some(special) = SpecialReg::from_text(name) {
            Arg::Special(special)
        } else if let Some(symbol) = self.parser.symbol(name) {
            Arg::Symbol(symbol, 0)
        } else if let Some(symbol) = self.shared_array(name) {
            Arg::Symbol(symbol, 0)
        } else if name == "_" {
            Arg::Sink
        } else if name == WARP_SIZE.0 {
            Arg::Int { negative: false, magnitude: WARP_SIZE.1 }
        } else {
            Arg::Unknown
        }
    }

    fn literal(&mut self) -> Result<Arg, Fault> {
        let negative = self.cursor().take_if('-');
        let token = self.cursor().peek();
        let arg = match token.kind {
            Kind::Int(magnitude) => Arg::Int { negative, magnitude },
            Kind::Float(v) => Arg::Float(if negative { -v } else { v }),
            Kind::F32(bits) if !negative => Arg::F32(bits),
            Kind::F64(bits) if !negative => Arg::F64(bits),
            _ => return Err(self.cursor().expected(if negative { "a decimal number" } else { "an operand" })),
        };
        self.cursor().take();
        Ok(arg)
    }

    /// A register by its name.
    pub(super) fn register(&mut self, what: &str) -> Result<Reg, Fault> {
        let token = self.cursor().name(what)?;
        match self.named(token.text) {
            Arg::Reg(r) => Ok(r),
            Arg::Unknown => Err((token.at, self.unknown_name(token.text))),
            _ => Err((token.at, expected(what, &token))),
        }
    }

    /// `@%p1` or `@!%p1`, if it stands here.
    pub(super) fn guard(&mut self) -> Result<Option<Guard>, Fault> {
        if !self.cursor().take_if('@') {
            return Ok(None);
        }
        let negated = self.cursor().take_if('!');
        let reg = self.register("a predicate register after '@'")?;
        Ok(Some(Guard { reg, negated }))
    }

    /// `[base]`, `[base+4]`, `[base+-4]`.
    fn address(&mut self) -> Result<Address, Fault> {
        self.cursor().punct('[')?;
        let token = self.cursor().peek();
        if matches!(token.kind, Kind::Int(_)) {
            let what = "an absolute address".to_owned();
            return Err((token.at, ParseErrorKind::Unsupported { what, instead: "move it to a register first" }));
        }
        let what = "a register or variable as the address";
        self.cursor().name(what)?;
        let base = match self.named(token.text) {
            Arg::Reg(r) => Base::Reg(r),
            Arg::Symbol(s, _) => Base::Symbol(s),
            Arg::Unknown => return Err((token.at, self.unknown_name(token.text))),
            _ => return Err((token.at, expected(what, &token))),
        };
        let offset = self.offset()?;
        self.cursor().punct(']')?;
        Ok(Address { base, offset })
    }

    /// `+4`, `+-4` or nothing.
    fn offset(&mut self) -> Result<i32, Fault> {
        if self.cursor().is('-') {
            let what = "a '-' after an address".to_owned();
            let instead = "PTX has only '+' there: write [base+-4]";
            return Err((self.cursor().at(), ParseErrorKind::Unsupported { what, instead }));
        }
        if !self.cursor().take_if('+') {
            return Ok(0);
        }
        self.cursor().int("a byte offset", i32::MIN.into(), i32::MAX.into()).map(|v| v as i32)
    }

    /// The error that a name is not declared.
    pub(super) fn unknown_name(&self, name: &str) -> ParseErrorKind {
        let near = self.scopes.nearest(name).or_else(|| self.parser.nearest_symbol(name));
        ParseErrorKind::UnknownName { name: name.to_owned(), near }
    }
}

fn expected(what: &str, token: &Token<'_>) -> ParseErrorKind {
    ParseErrorKind::Expected { expected: what.to_owned(), found: super::cursor::found(token) }
}
