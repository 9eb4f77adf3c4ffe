//! Arguments of instructions, before a form is chosen for them.

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos, Token};
use super::number::Number;
use super::scope::Entity;
use crate::ir::{Address, Base, Guard, Reg, Symbol};
use crate::table::SpecialReg;
use crate::types::ScalarType;

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
    /// What is passed to or from a function, in this register.
    Passed(Reg, ScalarType),
    /// The same in brackets, with an offset.
    PassedAt(Reg, ScalarType, i32),
    /// A register of 128 bits, by its low half.
    Pair(Reg),
    /// `{a, b}`; not nested.
    Vector(Vec<Argument<'static>>),
    /// A part of a register, for video instructions: `%r1.h0`.
    Part(Reg, String),
    /// A special register of three components by its name alone: `%tid`.
    Specials,
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
            Kind::Punct('[') => self.address()?,
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

    pub(super) fn scalar(&mut self) -> Result<Argument<'a>, Fault> {
        let token = self.cursor().peek();
        let arg = match token.kind {
            _ if self.cursor().starts_constant() => self.number()?,
            Kind::Word => {
                self.cursor().take();
                match self.named(token.text) {
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

    /// What a name represents.
    fn named(&mut self, name: &str) -> Arg {
        match self.scopes.find(name) {
            Some(Entity::Reg(r)) => return Arg::Reg(r),
            Some(Entity::Symbol(s)) => return Arg::Symbol(s, 0),
            Some(Entity::Passed(r, ty)) => return Arg::Passed(r, ty),
            Some(Entity::Pair(r)) => return Arg::Pair(r),
            Some(Entity::Vector(first, len)) => return vector_of(name, first, len),
            None => {}
        }
        if let Some(component) = self.component(name) {
            return Arg::Reg(component);
        }
        if let Some((word, selector)) = name.rsplit_once('.')
            && is_selector(selector)
            && let Some(Entity::Reg(reg)) = self.scopes.find(word)
        {
            return Arg::Part(reg, selector.to_owned());
        }
        if let Some(special) = SpecialReg::from_text(name) {
            Arg::Special(special)
        } else if name.strip_suffix(".w").is_some_and(is_row) {
            // The fourth component is always 0 (PTX ISA 10.1).
            Arg::Int { negative: false, magnitude: 0 }
        } else if is_row(name) {
            Arg::Specials
        } else if let Some(symbol) = self.parser.symbol(name) {
            Arg::Symbol(symbol, 0)
        } else if let Some(symbol) = self.shared_array(name) {
            Arg::Symbol(symbol, 0)
        } else if let Some(address) = self.parser.address_of_function(name) {
            Arg::Int { negative: false, magnitude: address }
        } else if name == "_" {
            Arg::Sink
        } else {
            Arg::Unknown
        }
    }

    /// `%v.x`, an element of a vector register.
    fn component(&self, name: &str) -> Option<Reg> {
        let (vector, element) = name.rsplit_once('.')?;
        let Some(Entity::Vector(first, len)) = self.scopes.find(vector) else { return None };
        let places = [["x", "r"], ["y", "g"], ["z", "b"], ["w", "a"]];
        let place = places.iter().position(|names| names.contains(&element)).filter(|&i| i < usize::from(len))?;
        Some(Reg { index: first.index + place as u32, ..first })
    }

    /// A constant expression.
    fn number(&mut self) -> Result<Arg, Fault> {
        Ok(match self.cursor().constant("an operand")? {
            Number::Signed(v) => Arg::Int { negative: v < 0, magnitude: v.unsigned_abs() },
            Number::Unsigned(magnitude) => Arg::Int { negative: false, magnitude },
            Number::Float(v) => Arg::Float(v),
        })
    }

    fn literal(&mut self) -> Result<Arg, Fault> {
        let arg = match self.cursor().peek().kind {
            Kind::F32(bits) => Arg::F32(bits),
            Kind::F64(bits) => Arg::F64(bits),
            _ => return Err(self.cursor().expected("an operand")),
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
    fn address(&mut self) -> Result<Arg, Fault> {
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
            Arg::Passed(r, ty) => {
                let offset = self.offset()?;
                self.cursor().punct(']')?;
                return Ok(Arg::PassedAt(r, ty, offset));
            }
            Arg::Unknown => return Err((token.at, self.unknown_name(token.text))),
            _ => return Err((token.at, expected(what, &token))),
        };
        let offset = self.offset()?;
        self.cursor().punct(']')?;
        Ok(Arg::Address(Address { base, offset }))
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
        self.cursor().computed("a byte offset", i32::MIN.into(), i32::MAX.into()).map(|v| v as i32)
    }

    /// The error that a name is not declared.
    pub(super) fn unknown_name(&self, name: &str) -> ParseErrorKind {
        let near = self.scopes.nearest(name).or_else(|| self.parser.nearest_symbol(name));
        ParseErrorKind::UnknownName { name: name.to_owned(), near }
    }
}

/// Whether a name is that of a special register with components.
fn is_row(name: &str) -> bool {
    name.starts_with('%') && SpecialReg::from_text(&format!("{name}.x")).is_some()
}

/// The elements of a vector register.
fn vector_of(name: &str, first: Reg, len: u8) -> Arg {
    let element = |i: u8| Argument {
        arg: Arg::Reg(Reg { index: first.index + u32::from(i), ..first }),
        bar: false,
        name: None,
        text: name.to_owned(),
        at: Pos { line: 0, column: 0 },
    };
    Arg::Vector((0..len).map(element).collect())
}

fn expected(what: &str, token: &Token<'_>) -> ParseErrorKind {
    ParseErrorKind::Expected { expected: what.to_owned(), found: super::cursor::found(token) }
}

/// The part of a name after its dot, where it can be one of a word.
pub(super) fn is_selector(text: &str) -> bool {
    let digits = text.get(1..).unwrap_or_default();
    matches!(text.as_bytes().first(), Some(b'b' | b'h'))
        && (1..=4).contains(&digits.len())
        && digits.bytes().all(|d| d.is_ascii_digit())
}
