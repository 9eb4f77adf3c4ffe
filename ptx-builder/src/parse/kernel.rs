//! Entries: header, launch bounds and the body as a whole.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::module::{Parser, directive_type};
use super::scope::{Entity, Scopes};
use crate::ir::{Block, BlockId, Kernel, Loc, Operand, Param, Symbol};
use crate::types::{ScalarType, Space};

/// A kernel being read.
pub(super) struct Body<'p, 'a> {
    pub parser: &'p mut Parser<'a>,
    pub kernel: Kernel,
    pub scopes: Scopes<'a>,
    /// The labels that branches name: the scope, the name, the place.
    pub branches: Vec<(usize, &'a str, Pos)>,
    /// The last `.loc`.
    pub loc: Option<Loc>,
    /// Shared arrays of the module that the kernel uses.
    pub shared: HashMap<String, Symbol>,
}

impl<'a> Body<'_, 'a> {
    pub(super) fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.parser.cursor
    }

    /// Reads the rest of an entry from its name on.
    pub(super) fn entry(parser: &mut Parser<'a>) -> Result<(), Fault> {
        let name = parser.cursor.name("the entry's name")?;
        let mut kernel = Kernel::new(name.text);
        kernel.loc = Some(parser.place(name.at));
        if parser.module.kernels.iter().any(|k| k.name == name.text)
            || parser.symbol(name.text).is_some()
            || parser.shared(name.text).is_some()
        {
            parser.fault((name.at, ParseErrorKind::Redeclared { name: name.text.to_owned() }));
        }
        let mut body =
            Body { parser, kernel, scopes: Scopes::new(), branches: Vec::new(), loc: None, shared: HashMap::new() };
        body.params()?;
        body.bounds()?;
        if body.cursor().is(';') {
            let what = "an entry without a body".to_owned();
            let instead = "give its body, or leave the declaration out";
            return Err((body.cursor().at(), ParseErrorKind::Unsupported { what, instead }));
        }
        body.cursor().punct('{')?;
        body.statements();
        let mut kernel = body.finish();
        kernel.canonicalize();
        parser.module.kernels.push(kernel);
        Ok(())
    }

    fn params(&mut self) -> Result<(), Fault> {
        if !self.cursor().take_if('(') || self.cursor().take_if(')') {
            return Ok(());
        }
        loop {
            self.param()?;
            if self.cursor().take_if(')') {
                return Ok(());
            }
            if !self.cursor().take_if(',') {
                return Err(self.cursor().expected("',' or ')'"));
            }
        }
    }

    fn param(&mut self) -> Result<(), Fault> {
        if !self.cursor().take_directive(".param") {
            return Err(self.cursor().expected("'.param'"));
        }
        let (mut align, mut ty, mut pointer): (_, Option<ScalarType>, Option<(Space, u32)>) = (None, None, None);
        let mut aligned = false;
        while self.cursor().peek().kind == Kind::Directive {
            let token = self.cursor().take();
            match token.text {
                ".align" => {
                    let value = self.parser.align()?;
                    match &mut pointer {
                        Some((_, a)) => (*a, aligned) = (value, true),
                        None => align = Some(value),
                    }
                }
                // PTX ISA 5.1.6.4: without .align, the pointee has 4 bytes'.
                ".ptr" if ty.is_some() && pointer.is_none() => pointer = Some((Space::Generic, 4)),
                text => {
                    let spaces = [Space::Global, Space::Shared, Space::Local, Space::Const];
                    let space = spaces.into_iter().find(|s| text.strip_prefix('.') == Some(s.name()));
                    match (directive_type(text), space, &mut pointer) {
                        (Some(t), ..) if t != ScalarType::Pred && ty.is_none() => ty = Some(t),
                        // PTX ISA 5.1.6.4: the space, then the alignment.
                        (_, Some(space), Some((s, _))) if *s == Space::Generic && !aligned => *s = space,
                        _ => return Err((token.at, self.parser.unknown(&token, "a type, .align or .ptr"))),
                    }
                }
            }
        }
        let Some(ty) = ty else { return Err(self.cursor().expected("the parameter's type")) };
        let name = self.cursor().name("the parameter's name")?;
        let mut len = None;
        if self.cursor().take_if('[') {
            len = Some(self.cursor().count("the parameter's length")?);
            self.cursor().punct(']')?;
        }
        let symbol = Symbol::Param(self.kernel.params.len() as u32);
        let declared = self.scopes.declare(name.text, Entity::Symbol(symbol));
        declared.map_err(|kind| (name.at, kind))?;
        self.kernel.params.push(Param { name: name.text.to_owned(), ty, len, align, pointer });
        Ok(())
    }

    fn bounds(&mut self) -> Result<(), Fault> {
        while self.cursor().peek().kind == Kind::Directive {
            if self.cursor().peek().text == ".pragma" {
                self.parser.pragma()?;
                continue;
            }
            let token = self.cursor().take();
            let count = |c: &mut Cursor<'a>| c.count("a count");
            match token.text {
                ".reqntid" => self.kernel.bounds.required = Some(self.shape()?),
                ".maxntid" => self.kernel.bounds.max_threads = Some(self.shape()?),
                ".reqnctapercluster" => self.kernel.bounds.cluster = Some(self.shape()?),
                ".minnctapersm" => self.kernel.bounds.min_blocks = Some(count(self.cursor())?),
                ".maxnreg" => self.kernel.bounds.max_registers = Some(count(self.cursor())?),
                ".explicitcluster" => {
                    let what = "'.explicitcluster'".to_owned();
                    let instead = "give the cluster's shape with .reqnctapercluster";
                    return Err((token.at, ParseErrorKind::Unsupported { what, instead }));
                }
                _ => return Err((token.at, self.parser.unknown(&token, "a launch bound or '{'"))),
            }
        }
        Ok(())
    }

    /// One to three extents; those left out are 1.
    fn shape(&mut self) -> Result<[u32; 3], Fault> {
        let mut shape = [1; 3];
        for (i, extent) in shape.iter_mut().enumerate() {
            if i > 0 && !self.cursor().take_if(',') {
                break;
            }
            *extent = self.cursor().count("an extent")?;
        }
        Ok(shape)
    }

    /// The kernel, its branches resolved.
    fn finish(self) -> Kernel {
        let Body { parser, mut kernel, scopes, branches, .. } = self;
        let targets: Vec<u32> = branches
            .iter()
            .map(|&(scope, name, at)| {
                scopes.find_label(scope, name).unwrap_or_else(|| {
                    let near = scopes.nearest_label(name);
                    parser.fault((at, ParseErrorKind::UnknownLabel { name: name.to_owned(), near }));
                    u32::MAX
                })
            })
            .collect();
        for op in kernel.blocks.iter_mut().flat_map(|b: &mut Block| &mut b.insts).flat_map(|i| &mut i.operands) {
            if let Operand::Label(b) = op {
                *b = BlockId(targets.get(b.0 as usize).copied().unwrap_or(u32::MAX));
            }
        }
        kernel
    }
}
