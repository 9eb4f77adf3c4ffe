//! Entries: header, launch bounds and the body as a whole.

use std::collections::{HashMap, HashSet};

use super::body::Body;
use super::cursor::Cursor;
use super::draft::{Actual, Call, Callee, Draft, PASSED};
use super::error::ParseErrorKind;
use super::forward::forward;
use super::lex::{Fault, Kind, Pos};
use super::parser::{Parser, directive_type};
use super::scope::{Entity, Scopes};
use super::signature::{Home, Signature};
use crate::ir::{Block, BlockId, Kernel, Operand, Param, Reg, Symbol, registers};
use crate::types::{ScalarType, Space};

impl<'a> Body<'_, 'a> {
    fn new<'p>(parser: &'p mut Parser<'a>, name: &str, at: Pos) -> Body<'p, 'a> {
        let mut kernel = Kernel::new(name);
        kernel.loc = Some(parser.place(at));
        Body {
            parser,
            kernel,
            scopes: Scopes::new(),
            branches: Vec::new(),
            loc: None,
            lines: HashMap::new(),
            shared: HashMap::new(),
            taken: HashSet::new(),
            is_function: false,
            calls: Vec::new(),
            passed: [0; 6],
            passed_arrays: HashSet::new(),
            prototypes: HashMap::new(),
            targets: HashMap::new(),
            tables: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// Reads the rest of an entry from its name on; none where it is only declared.
    pub(super) fn entry(parser: &mut Parser<'a>, name: &str, at: Pos) -> Result<Option<Draft<'a>>, Fault> {
        let mut body = Body::new(parser, name, at);
        body.params()?;
        body.bounds()?;
        if body.cursor().take_if(';') {
            return Ok(None);
        }
        body.braces()?;
        let (kernel, calls, _) = body.finish(Vec::new());
        Ok(Some(Draft { kernel, calls, results: Vec::new(), params: Vec::new() }))
    }

    /// Reads a function's body.
    pub(super) fn function(
        parser: &mut Parser<'a>,
        name: &str,
        at: Pos,
        signature: &Signature<'a>,
    ) -> Result<Draft<'a>, Fault> {
        let mut body = Body::new(parser, name, at);
        body.is_function = true;
        let mut homes = Vec::new();
        for formal in signature.params.iter().chain(&signature.results) {
            homes.push(body.home(formal)?);
        }
        body.braces()?;
        // Where it returns to.
        body.kernel.blocks.push(Block::default());
        let (kernel, calls, mut params) = body.finish(homes);
        let results = params.split_off(signature.params.len());
        Ok(Draft { kernel, calls, results, params })
    }

    fn braces(&mut self) -> Result<(), Fault> {
        if !self.cursor().is('{') {
            return self.cursor().punct('{');
        }
        let end = self.indexed_tables();
        self.cursor().take();
        self.statements();
        if self.parser.gave_up() {
            self.cursor().jump(end);
            self.cursor().take_if('}');
        }
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
            len = Some(self.cursor().computed("the parameter's length", 0, u32::MAX.into())? as u32);
            self.cursor().punct(']')?;
        }
        let symbol = Symbol::Param(self.kernel.params.len() as u32);
        let declared = self.scopes.declare(name.text, Entity::Symbol(symbol));
        declared.map_err(|kind| (name.at, kind))?;
        self.taken.insert(name.text.to_owned());
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
                ".explicitcluster" => self.kernel.bounds.explicit_cluster = true,
                ".maxclusterrank" => self.kernel.bounds.max_cluster_rank = Some(count(self.cursor())?),
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

    /// The kernel, its branches resolved, with its calls and the places of what it takes and gives.
    fn finish(self, mut homes: Vec<Home>) -> (Kernel, Vec<Call<'a>>, Vec<Home>) {
        let Body { parser, mut kernel, scopes, branches, mut calls, is_function, places, .. } = self;
        let targets: Vec<u32> = (0..)
            .zip(&branches)
            .map(|(n, &(scope, name, at))| {
                places.get(&n).copied().or_else(|| scopes.find_label(scope, name)).unwrap_or_else(|| {
                    let near = scopes.nearest_label(name);
                    parser.fault((at, ParseErrorKind::UnknownLabel { name: name.to_owned(), near }));
                    u32::MAX
                })
            })
            .collect();
        let end = BlockId(kernel.blocks.len() as u32 - 1);
        for op in kernel.blocks.iter_mut().flat_map(|b: &mut Block| &mut b.insts).flat_map(|i| &mut i.operands) {
            match op {
                Operand::Label(b) if *b == RETURN && is_function => *b = end,
                Operand::Label(b) => *b = BlockId(targets.get(b.0 as usize).copied().unwrap_or(u32::MAX)),
                _ => {}
            }
        }
        forward(&mut kernel, &calls);
        settle(&mut kernel, &mut calls, &mut homes);
        (kernel, calls, homes)
    }
}

/// What a function's `ret` names, until its last block has a number.
pub(super) const RETURN: BlockId = BlockId(u32::MAX - 1);

/// Gives the registers of what is passed numbers after the kernel's own, as far as something uses them.
fn settle(kernel: &mut Kernel, calls: &mut [Call<'_>], homes: &mut [Home]) {
    let mut numbers: HashMap<Reg, Reg> = HashMap::new();
    let counts = &mut kernel.registers;
    let mut settled = |reg: &mut Reg| {
        if reg.index >= PASSED && !reg.is_carry() {
            *reg = *numbers.entry(*reg).or_insert_with(|| {
                let count = &mut counts[reg.class as usize];
                *count += 1;
                Reg { class: reg.class, index: *count - 1 }
            });
        }
    };
    for home in homes {
        if let Home::Reg(reg) = home {
            settled(reg);
        }
    }
    for inst in kernel.blocks.iter_mut().flat_map(|b| &mut b.insts) {
        registers(inst).for_each(&mut settled);
    }
    for call in calls {
        call.guard.iter_mut().for_each(|g| settled(&mut g.reg));
        if let Callee::At(reg, _) = &mut call.callee {
            settled(reg);
        }
        for actual in call.args.iter_mut().chain(&mut call.results) {
            if let Actual::Reg(reg) = actual {
                settled(reg);
            }
        }
    }
}
