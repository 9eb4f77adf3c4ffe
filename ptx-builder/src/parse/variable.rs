//! Variables and their initialisers.

use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::number::Number;
use super::parser::{Parser, directive_type};
use super::select::integer;
use crate::ir::{Linkage, Reference, Symbol, Variable};
use crate::types::{ScalarType, Space};

/// An initialised variable has no more bytes than this.
const MOST_INITIALISED: u64 = 1 << 24;

/// A variable's place, name, elements (none where they are left open) and first values.
type Declarator<'a> = (Pos, &'a str, Option<u64>, Initial);

/// First values, and the addresses among them.
#[derive(Default)]
struct Initial {
    bytes: Vec<u8>,
    refs: Vec<Reference>,
}

impl<'a> Parser<'a> {
    /// The rest of a declaration of variables after their space, to the
    /// semicolon. Gives their places and their names in the text too.
    pub(super) fn variables(&mut self, space: Space) -> Result<Vec<(Pos, &'a str, Variable)>, Fault> {
        let (mut align, mut vector) = (None, None);
        let ty = loop {
            let token = self.cursor.peek();
            if token.kind != Kind::Directive {
                return Err(self.cursor.expected("the variable's type"));
            }
            self.cursor.take();
            // In this order: the alignment, the vector, the type.
            match token.text {
                ".align" if vector.is_none() => align = Some(self.align()?),
                ".attribute" => self.attribute_after_name()?,
                ".texref" | ".samplerref" | ".surfref" => {
                    let what = "a texture, a surface or a sampler".to_owned();
                    return Err((token.at, ParseErrorKind::Unsupported { what, instead: "use global memory" }));
                }
                ".v2" if vector.is_none() => vector = Some(2u32),
                ".v4" if vector.is_none() => vector = Some(4),
                text => match directive_type(text) {
                    Some(t) if t != ScalarType::Pred => break t,
                    _ => return Err((token.at, self.unknown(&token, "a type, or before it .align, .v2 or .v4"))),
                },
            }
        };
        let width = ty.bytes() * vector.unwrap_or(1);
        if width > 16 {
            let what = format!("a vector of {width} bytes");
            return Err((self.cursor.at(), ParseErrorKind::Unsupported { what, instead: "PTX has at most 16" }));
        }
        let mut all = Vec::new();
        loop {
            let (at, name, len, Initial { bytes: init, refs }) = self.declarator(ty, vector.unwrap_or(1))?;
            let align = align.unwrap_or(width);
            let linkage = Linkage::Internal;
            let variable = Variable { name: name.to_owned(), space, align, ty, len, init, refs, linkage };
            all.push((at, name, variable));
            if !self.cursor.take_if(',') {
                self.cursor.punct(';')?;
                return Ok(all);
            }
        }
    }

    /// A variable's name, its extents and its first values.
    fn declarator(&mut self, ty: ScalarType, vector: u32) -> Result<Declarator<'a>, Fault> {
        let name = self.cursor.name("the variable's name")?;
        let extents = self.extents()?;
        let elements = extents.iter().try_fold(u64::from(vector), |n, e| n.checked_mul((*e)?));
        let mut open = extents.contains(&None);
        let mut elements = elements;
        let mut init = Initial::default();
        if self.cursor.take_if('=') {
            let is_open = matches!(extents.first(), Some(None)) && !extents[1..].contains(&None);
            // As many as there are values.
            let whole = extents.into_iter().map(|e| e.unwrap_or(u64::MAX));
            let extents: Vec<u64> = whole.chain((vector > 1).then_some(vector.into())).collect();
            init = self.initialiser(ty, elements.filter(|_| !open), &extents, is_open, name.at)?;
            if is_open {
                open = false;
                let row = extents[1..].iter().product::<u64>().max(1);
                elements = Some((init.bytes.len() as u64).div_ceil(u64::from(ty.bytes()) * row) * row);
            }
        }
        if elements.and_then(|n| n.checked_mul(ty.bytes().into())).is_none() && !open {
            let what = "a variable beyond 64-bit sizes".to_owned();
            return Err((name.at, ParseErrorKind::Unsupported { what, instead: "make it smaller" }));
        }
        Ok((name.at, name.text, if open { None } else { elements }, init))
    }

    /// `[4][8]`, or nothing for a scalar; `[]` has no extent.
    fn extents(&mut self) -> Result<Vec<Option<u64>>, Fault> {
        let mut extents = Vec::new();
        while self.cursor.take_if('[') {
            if extents.len() == 8 {
                return Err(self.cursor.expected("at most eight dimensions"));
            }
            extents.push(if self.cursor.is(']') {
                None
            } else {
                Some(self.cursor.computed("an array's length", 0, u64::MAX.into())? as u64)
            });
            self.cursor.punct(']')?;
        }
        Ok(extents)
    }

    /// `{{1, 2}, {3}}`, in braces for each dimension, or a scalar without. Rows
    /// that are shorter than their dimension are filled with zeros.
    fn initialiser(
        &mut self,
        ty: ScalarType,
        elements: Option<u64>,
        extents: &[u64],
        is_open: bool,
        at: Pos,
    ) -> Result<Initial, Fault> {
        let size = elements.and_then(|n| n.checked_mul(ty.bytes().into())).or(is_open.then_some(MOST_INITIALISED));
        let Some(size) = size.filter(|s| (1..=MOST_INITIALISED).contains(s)) else {
            let what = format!("an initialiser for no bytes, more than {MOST_INITIALISED}, or an unknown length");
            return Err((at, ParseErrorKind::Unsupported { what, instead: "copy the data at run time" }));
        };
        let mut init = Initial::default();
        if extents.is_empty() {
            self.element(ty, &mut init)?;
            return Ok(init);
        }
        if !self.cursor.is('{') {
            return Err(self.cursor.expected("'{' and the array's values"));
        }
        // The first byte of each open row, with its size.
        let mut rows: Vec<(u64, u64)> = Vec::new();
        loop {
            if self.cursor.is('{') {
                if rows.len() >= extents.len() {
                    return Err(self.cursor.expected("no more braces than dimensions"));
                }
                self.cursor.take();
                let inner = extents.iter().skip(rows.len()).fold(1u64, |n, &e| n.saturating_mul(e));
                rows.push((init.bytes.len() as u64, inner.saturating_mul(u64::from(ty.bytes()))));
                continue;
            }
            let end = rows.last().map_or(0, |(first, size)| first.saturating_add(*size)).min(size);
            if init.bytes.len() as u64 + u64::from(ty.bytes()) > end {
                return Err(self.cursor.expected("'}', because the array is full"));
            }
            if rows.len() < extents.len() {
                return Err(self.cursor.expected("'{', because each dimension has its own braces"));
            }
            self.element(ty, &mut init)?;
            while self.cursor.take_if('}') {
                let Some((first, size)) = rows.pop() else { break };
                if rows.is_empty() {
                    return Ok(init);
                }
                init.bytes.resize((first + size) as usize, 0);
            }
            if !self.cursor.take_if(',') {
                return Err(self.cursor.expected("',' or '}'"));
            }
        }
    }

    /// One constant, little-endian, or an address.
    fn element(&mut self, ty: ScalarType, init: &mut Initial) -> Result<(), Fault> {
        let token = self.cursor.peek();
        let what = format!("a constant of type {ty}");
        let float = matches!(ty, ScalarType::F32 | ScalarType::F64);
        // `0xFF00(name)` is a byte of an address.
        let masked = matches!(token.kind, Kind::Int(_)) && self.cursor.peek_at(1).kind == Kind::Punct('(');
        let bits = if masked || token.kind == Kind::Word && !self.cursor.starts_constant() {
            if float {
                return Err(self.cursor.expected(&what));
            }
            self.address_element(ty, masked, init)?
        } else if self.cursor.starts_constant() {
            match (self.cursor.constant(&what)?, ty) {
                (Number::Signed(v), _) if !float => {
                    integer(ty, v < 0, v.unsigned_abs()).map_err(|kind| (token.at, kind))?
                }
                (Number::Unsigned(v), _) if !float => integer(ty, false, v).map_err(|kind| (token.at, kind))?,
                (Number::Float(v), ScalarType::F32) => u64::from((v as f32).to_bits()),
                (Number::Float(v), ScalarType::F64) => v.to_bits(),
                _ => {
                    let found = format!("'{}'", token.text);
                    return Err((token.at, ParseErrorKind::Expected { expected: what, found }));
                }
            }
        } else {
            let bits = match (token.kind, ty) {
                (Kind::F32(bits), ScalarType::F32 | ScalarType::B32) => bits.into(),
                (Kind::F64(bits), ScalarType::F64 | ScalarType::B64) => bits,
                _ => return Err(self.cursor.expected(&what)),
            };
            self.cursor.take();
            bits
        };
        init.bytes.extend_from_slice(&bits.to_le_bytes()[..ty.bytes().min(8) as usize]);
        Ok(())
    }

    /// `name+4`, `generic(name)`, `0xFF00(name)` or a function's name: the bits, or a reference and zeros.
    fn address_element(&mut self, ty: ScalarType, masked: bool, init: &mut Initial) -> Result<u64, Fault> {
        let mut shift = 0;
        if masked && let Kind::Int(mask) = self.cursor.take().kind {
            shift = if mask == 0 { 0 } else { mask.trailing_zeros() };
            self.cursor.punct('(')?;
        }
        let is_generic = self.cursor.peek().text == "generic" && self.cursor.peek_at(1).kind == Kind::Punct('(');
        if is_generic {
            self.cursor.take();
            self.cursor.take();
        }
        let name = self.cursor.name("a variable's name")?;
        for _ in 0..u32::from(masked) + u32::from(is_generic) {
            self.cursor.punct(')')?;
        }
        let addend = match self.cursor.is('+') || self.cursor.is('-') {
            true => self.cursor.computed("a number of bytes", i64::MIN.into(), i64::MAX.into())? as i64,
            false => 0,
        };
        if let Some(address) = self.address_of_function(name.text) {
            return Ok(address.wrapping_add_signed(addend) >> shift & u64::MAX >> (64 - ty.bits()));
        }
        let Some(Symbol::Module(variable)) = self.symbol(name.text) else {
            let near = self.nearest_symbol(name.text);
            return Err((name.at, ParseErrorKind::UnknownName { name: name.text.to_owned(), near }));
        };
        if !masked && ty.bits() < 64 {
            let expected = "64 bits for an address".to_owned();
            return Err((name.at, ParseErrorKind::Expected { expected, found: ty.to_string() }));
        }
        let (at, bytes) = (init.bytes.len() as u64, ty.bytes() as u8);
        init.refs.push(Reference { at, bytes, shift: shift as u8, variable, addend, is_generic });
        Ok(0)
    }
}
