//! Functions: their declarations and bodies.
//!
//! A function does not exist in a [`Module`](crate::ir::Module): it is inlined into its callers
//! ([`link`](super::link)), where every analysis sees it.

use super::body::Body;
use super::draft::Function;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::parser::{Parser, directive_type};
use super::scope::Entity;
use super::signature::{Formal, Home, Signature, address, class_passed};
use crate::ir::{Extern, Linkage, Symbol, Variable};
use crate::types::{RegClass, ScalarType, Space};

impl<'a> Parser<'a> {
    /// The rest of a function, starting at its results or name.
    pub(super) fn function(&mut self, linkage: Linkage) -> Result<(), Fault> {
        self.attribute()?;
        let results = self.formals()?;
        let name = self.cursor.name("the function's name")?;
        let signature = Signature { results, params: self.formals()? };
        self.attributes()?;
        if self.is_declared(name.text) {
            self.fault((name.at, ParseErrorKind::Redeclared { name: name.text.to_owned() }));
        }
        let id = match self.function_ids.get(name.text) {
            Some(&id) => id,
            None => {
                self.functions.push(Function {
                    name: name.text,
                    signature: Signature::default(),
                    draft: None,
                    is_refused: false,
                    is_external: false,
                    is_named: false,
                });
                let id = self.functions.len() - 1;
                self.function_ids.insert(name.text, id);
                id
            }
        };
        let function = &mut self.functions[id];
        let first = function.signature.params.is_empty() && function.signature.results.is_empty();
        function.is_external |= linkage == Linkage::External;
        if first {
            function.signature = signature.clone();
        }
        if self.cursor.take_if(';') {
            return Ok(());
        }
        if self.functions[id].draft.is_some() || self.functions[id].is_refused {
            self.fault((name.at, ParseErrorKind::Redeclared { name: name.text.to_owned() }));
        }
        self.functions[id].signature = signature.clone();
        self.begin_part(name.text);
        let start = self.cursor.at();
        let draft = Body::function(self, name.text, name.at, &signature).map_err(|fault| {
            self.fault(fault);
            self.recover(start);
        });
        let is_whole = self.end_part(false);
        let function = &mut self.functions[id];
        function.is_external = false;
        match draft {
            Ok(draft) if is_whole => function.draft = Some(draft),
            _ => function.is_refused = true,
        }
        Ok(())
    }

    /// `(.param .b32 a, .reg .u32 b)`, or nothing.
    pub(super) fn formals(&mut self) -> Result<Vec<Formal<'a>>, Fault> {
        let mut all = Vec::new();
        if !self.cursor.take_if('(') || self.cursor.take_if(')') {
            return Ok(all);
        }
        loop {
            all.push(self.formal()?);
            if self.cursor.take_if(')') {
                return Ok(all);
            }
            if !self.cursor.take_if(',') {
                return Err(self.cursor.expected("',' or ')'"));
            }
        }
    }

    fn formal(&mut self) -> Result<Formal<'a>, Fault> {
        let is_register = match self.cursor.peek().text {
            ".param" => false,
            ".reg" => true,
            _ => return Err(self.cursor.expected("'.param' or '.reg'")),
        };
        self.cursor.take();
        let (mut align, mut ty) = (None, None);
        while self.cursor.peek().kind == Kind::Directive {
            let token = self.cursor.take();
            match token.text {
                ".align" => align = Some(self.align()?),
                // The space of a pointer is only a hint.
                ".ptr" | ".global" | ".shared" | ".local" | ".const" if ty.is_some() => {}
                text => match directive_type(text).filter(|t| *t != ScalarType::Pred || is_register) {
                    Some(t) if ty.is_none() => ty = Some(t),
                    _ => return Err((token.at, self.unknown(&token, "a type or .align"))),
                },
            }
        }
        let Some(ty) = ty else { return Err(self.cursor.expected("the parameter's type")) };
        let name = self.cursor.name("the parameter's name")?;
        let mut len = None;
        while self.cursor.take_if('[') {
            let extent = if self.cursor.is(']') { 0 } else { self.cursor.computed("the length", 0, 1 << 20)? as u32 };
            len = Some(len.unwrap_or(1u32).saturating_mul(extent));
            self.cursor.punct(']')?;
        }
        let name = (name.text != "_").then_some((name.text, name.at));
        Ok(Formal { name, ty, len, align, is_register })
    }

    /// `.attribute(.unified(1, 2))`, a hint.
    fn attribute(&mut self) -> Result<(), Fault> {
        if self.cursor.take_directive(".attribute") { self.attribute_after_name() } else { Ok(()) }
    }

    pub(super) fn attribute_after_name(&mut self) -> Result<(), Fault> {
        self.cursor.punct('(')?;
        let mut depth = 1;
        while depth > 0 {
            match self.cursor.take().kind {
                Kind::Punct('(') => depth += 1,
                Kind::Punct(')') => depth -= 1,
                Kind::End => return Err(self.cursor.expected("')'")),
                _ => {}
            }
        }
        Ok(())
    }

    /// The directives after a function's parameters, which are only for the assembler.
    pub(super) fn attributes(&mut self) -> Result<(), Fault> {
        loop {
            match self.cursor.peek().text {
                ".noreturn" => _ = self.cursor.take(),
                ".abi_preserve" | ".abi_preserve_control" => {
                    self.cursor.take();
                    self.cursor.count("a number of registers")?;
                }
                ".attribute" => self.attribute()?,
                ".pragma" => self.pragma()?,
                _ => return Ok(()),
            }
        }
    }

    /// The address of a function, which an indirect call may then call.
    pub(super) fn address_of_function(&mut self, name: &str) -> Option<u64> {
        let id = *self.function_ids.get(name)?;
        self.functions[id].is_named = true;
        Some(address(id))
    }

    /// The function of another module with this name, for the printed text and the interpreter.
    pub(super) fn external(&mut self, id: usize) -> u32 {
        let function = &self.functions[id];
        let known = self.module.externs.iter().position(|e| e.name == function.name);
        let known = known.unwrap_or_else(|| {
            let all = |formals: &[Formal<'_>]| formals.iter().map(Formal::passed).collect();
            let (results, params) = (all(&function.signature.results), all(&function.signature.params));
            self.module.externs.push(Extern { name: function.name.to_owned(), results, params });
            self.module.externs.len() - 1
        });
        known as u32
    }
}

impl<'a> Body<'_, 'a> {
    /// Declares a parameter or result in the function's body.
    pub(super) fn home(&mut self, formal: &Formal<'a>) -> Result<Home, Fault> {
        let at = formal.name.map_or(Pos { line: 0, column: 0 }, |(_, at)| at);
        let class = if formal.is_register { RegClass::of(formal.ty) } else { class_passed(formal.ty) };
        let (home, entity) = match (formal.len, class) {
            (None, Some(class)) => {
                let reg = self.pass_reg(class);
                let entity = if formal.is_register { Entity::Reg(reg) } else { Entity::Passed(reg, formal.ty) };
                (Home::Reg(reg), entity)
            }
            _ => {
                let symbol = self.passed_array(formal.name.map_or("_", |(name, _)| name), formal);
                let Symbol::Kernel(i) = symbol else { return Err(self.cursor().expected("a parameter")) };
                (Home::Array(i), Entity::Symbol(symbol))
            }
        };
        if let Some((name, _)) = formal.name {
            self.scopes.declare(name, entity).map_err(|kind| (at, kind))?;
        }
        Ok(home)
    }

    /// The local array for an array that is passed.
    pub(super) fn passed_array(&mut self, name: &str, formal: &Formal<'_>) -> Symbol {
        let (ty, len) = (formal.ty, u64::from(formal.len.unwrap_or(1)));
        let align = formal.align.unwrap_or(ty.bytes().max(1));
        // A name of its own: parameters of calls have any.
        let name = format!("passed_{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        let (space, linkage) = (Space::Local, Linkage::Internal);
        let (init, refs) = (Vec::new(), Vec::new());
        let array = self.own(Variable { name, space, align, ty, len: Some(len), init, refs, linkage });
        self.passed_arrays.insert(array);
        array
    }
}
