//! Variables and their initialisers.

use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::module::{Parser, directive_type};
use super::select::integer;
use crate::ir::{Linkage, Variable};
use crate::types::{ScalarType, Space};

/// An initialised variable has no more bytes than this.
const MOST_INITIALISED: u64 = 1 << 24;

/// A variable's place, name, elements (none where they are left open) and first values.
type Declarator<'a> = (Pos, &'a str, Option<u64>, Vec<u8>);

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
            let (at, name, len, init) = self.declarator(ty, vector.unwrap_or(1))?;
            let align = align.unwrap_or(width);
            let variable = Variable { name: name.to_owned(), space, align, ty, len, init, linkage: Linkage::Internal };
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
        let open = extents.contains(&None);
        let mut init = Vec::new();
        if self.cursor.take_if('=') {
            let extents: Vec<u64> =
                extents.into_iter().flatten().chain((vector > 1).then_some(vector.into())).collect();
            init = self.initialiser(ty, elements.filter(|_| !open), &extents, name.at)?;
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
                Some(self.cursor.int("an array's length", 0, u64::MAX.into())? as u64)
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
        at: Pos,
    ) -> Result<Vec<u8>, Fault> {
        let size = elements.and_then(|n| n.checked_mul(ty.bytes().into()));
        let Some(size) = size.filter(|s| (1..=MOST_INITIALISED).contains(s)) else {
            let what = format!("an initialiser for no bytes, more than {MOST_INITIALISED}, or an unknown length");
            return Err((at, ParseErrorKind::Unsupported { what, instead: "copy the data at run time" }));
        };
        let mut init = Vec::new();
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
                let inner: u64 = extents.iter().skip(rows.len()).product();
                rows.push((init.len() as u64, inner * u64::from(ty.bytes())));
                continue;
            }
            let end = rows.last().map_or(0, |(first, size)| first + size).min(size);
            if init.len() as u64 + u64::from(ty.bytes()) > end {
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
                init.resize((first + size) as usize, 0);
            }
            if !self.cursor.take_if(',') {
                return Err(self.cursor.expected("',' or '}'"));
            }
        }
    }

    /// One constant, little-endian.
    fn element(&mut self, ty: ScalarType, init: &mut Vec<u8>) -> Result<(), Fault> {
        let negative = self.cursor.take_if('-');
        let token = self.cursor.peek();
        let float = matches!(ty, ScalarType::F32 | ScalarType::F64);
        let sign = if negative { -1.0 } else { 1.0 };
        let bits = match (token.kind, ty) {
            (Kind::Int(magnitude), _) if !float => integer(ty, negative, magnitude).map_err(|kind| (token.at, kind))?,
            (Kind::Float(v), ScalarType::F32) => u64::from(((sign * v) as f32).to_bits()),
            (Kind::Float(v), ScalarType::F64) => (sign * v).to_bits(),
            (Kind::F32(bits), ScalarType::F32 | ScalarType::B32) if !negative => bits.into(),
            (Kind::F64(bits), ScalarType::F64 | ScalarType::B64) if !negative => bits,
            _ => return Err(self.cursor.expected(&format!("a constant of type {ty}"))),
        };
        self.cursor.take();
        init.extend_from_slice(&bits.to_le_bytes()[..ty.bytes().min(8) as usize]);
        Ok(())
    }
}
