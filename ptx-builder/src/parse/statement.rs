//! What stands in a kernel's braces.

use std::borrow::Cow;
use std::sync::Arc;

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::parser::directive_type;
use super::scope::Entity;
use super::select;
use super::signature::Signature;
use crate::ir::{Block, Inst, Loc, Reg, Symbol, Variable};
use crate::types::{RegClass, ScalarType, Space};

/// Braces nest no deeper than this.
const DEEPEST: u32 = 64;

/// A kernel has no more registers of a class than this.
const MOST_REGISTERS: u32 = 1 << 20;

impl<'a> Body<'_, 'a> {
    /// Everything up to the closing brace, which is taken. Errors are
    /// recorded; reading goes on after the statement at fault.
    pub(super) fn statements(&mut self) {
        let mut depth = 0;
        while !self.parser.gave_up() {
            if self.cursor().at_end() {
                let fault = self.cursor().expected("'}' at the end of the entry");
                return self.parser.fault(fault);
            }
            if self.cursor().take_if('}') {
                if !self.scopes.close() {
                    return;
                }
                depth -= 1;
                continue;
            }
            if self.cursor().is('{') {
                if depth == DEEPEST {
                    let at = self.cursor().at();
                    let what = format!("nesting deeper than {DEEPEST} braces");
                    let instead = "take some braces out";
                    self.parser.fault((at, ParseErrorKind::Unsupported { what, instead }));
                    self.cursor().skip_braces();
                    continue;
                }
                self.cursor().take();
                self.scopes.open();
                depth += 1;
                continue;
            }
            if let Err(fault) = self.statement() {
                self.parser.fault(fault);
                self.cursor().skip_statement();
            }
        }
    }

    fn statement(&mut self) -> Result<(), Fault> {
        let token = self.cursor().peek();
        match token.kind {
            Kind::Punct(';') => Err(self.cursor().expected("a statement (PTX has no empty ones: remove this ';')")),
            Kind::Directive => self.directive(),
            Kind::Word if self.cursor().peek_at(1).kind == Kind::Punct(':') => {
                self.cursor().take();
                self.cursor().take();
                match self.cursor().peek().text {
                    ".callprototype" => return self.prototype(token.text),
                    ".calltargets" => return self.call_targets(token.text),
                    // They have been found before.
                    ".branchtargets" => {
                        self.cursor().skip_statement();
                        return Ok(());
                    }
                    _ => {}
                }
                self.kernel.blocks.push(Block::default());
                let block = self.kernel.blocks.len() as u32 - 1;
                self.scopes.declare_label(token.text, block).map_err(|kind| (token.at, kind))
            }
            Kind::Word | Kind::Punct('@') => self.instruction(),
            _ => Err(self.cursor().expected("an instruction, a label or a declaration")),
        }
    }

    fn directive(&mut self) -> Result<(), Fault> {
        let token = self.cursor().peek();
        match token.text {
            ".reg" => self.registers(),
            ".shared" | ".local" => {
                let space = if token.text == ".local" { Space::Local } else { Space::Shared };
                self.cursor().take();
                self.variable(space)
            }
            ".loc" => self.position(),
            ".pragma" => self.parser.pragma(),
            ".section" => {
                self.parser.section();
                Ok(())
            }
            ".param" => self.passed(),
            // Where sources are called so is for debuggers.
            ".file" => self.parser.source_file(),
            _ => {
                let what = ".reg, .shared, .local, .loc, .pragma, a label or an instruction";
                Err((token.at, self.parser.unknown(&token, what)))
            }
        }
    }

    /// `.reg .b32 %r<28>, sum;`
    fn registers(&mut self) -> Result<(), Fault> {
        self.cursor().take();
        let mut token = self.cursor().take();
        let vector = match token.text {
            ".v2" => 2,
            ".v4" => 4,
            _ => 1,
        };
        if vector > 1 {
            token = self.cursor().take();
        }
        let ty = if token.kind == Kind::Directive { directive_type(token.text) } else { None };
        // 128 bits are two registers of 64.
        let pairs = ty == Some(ScalarType::B128) && vector == 1;
        let class = if pairs { Some(RegClass::B64) } else { ty.and_then(RegClass::of) };
        let Some(class) = class else {
            return Err((token.at, self.parser.unknown(&token, "the registers' type")));
        };
        // A vector has 128 bits at most.
        if vector > 1 && vector * class.bits() > 128 {
            return Err((token.at, self.parser.unknown(&token, "elements of a vector of at most 128 bits")));
        }
        let each = if pairs { 2 } else { vector };
        loop {
            let name = self.cursor().name("a register's name")?;
            if matches!(name.text, "_" | "$" | "%" | "WARP_SZ") {
                return Err((name.at, self.parser.unknown(&name, "a register's name")));
            }
            let first = self.kernel.registers[class as usize];
            let left = MOST_REGISTERS - first;
            let declared = if self.cursor().take_if('<') {
                let count = self.cursor().int("the number of registers", 0, (left / each).into())? as u32;
                self.cursor().punct('>')?;
                if vector > 1 {
                    let what = "a numbered row of vectors of registers".to_owned();
                    return Err((name.at, ParseErrorKind::Unsupported { what, instead: "declare each by its name" }));
                }
                self.kernel.registers[class as usize] += count * each;
                self.scopes.declare_range(name.text, Reg { class, index: first }, count, pairs)
            } else if left < each {
                let what = format!("more than {MOST_REGISTERS} registers of a class");
                Err(ParseErrorKind::Unsupported { what, instead: "use fewer" })
            } else {
                let reg = Reg { class, index: first };
                self.kernel.registers[class as usize] += each;
                self.kernel.names.insert(reg, name.text.to_owned());
                let entity = match (pairs, vector) {
                    (true, _) => Entity::Pair(reg),
                    (false, 1) => Entity::Reg(reg),
                    (false, _) => Entity::Vector(reg, vector as u8),
                };
                self.scopes.declare(name.text, entity)
            };
            declared.map_err(|kind| (name.at, kind))?;
            if !self.cursor().take_if(',') {
                return self.cursor().punct(';');
            }
        }
    }

    /// A shared or local array. Those of inner scopes move to the kernel, under
    /// another name where theirs is taken.
    fn variable(&mut self, space: Space) -> Result<(), Fault> {
        for (at, name, variable) in self.parser.variables(space)? {
            if variable.len.is_none() {
                let what = "an array without length in a body".to_owned();
                let instead = "declare it '.extern .shared' outside of the entry";
                return Err((at, ParseErrorKind::Unsupported { what, instead }));
            }
            let symbol = self.own(variable);
            self.scopes.declare(name, Entity::Symbol(symbol)).map_err(|kind| (at, kind))?;
        }
        Ok(())
    }

    /// Makes an array one of the kernel's.
    pub(super) fn own(&mut self, mut variable: Variable) -> Symbol {
        let name = variable.name.clone();
        // Names that are taken often are followed by larger numbers.
        let mut copies = 0;
        while self.is_taken(&variable.name) {
            copies += 1 + self.kernel.variables.len();
            variable.name = format!("{name}_{copies}");
        }
        self.taken.insert(variable.name.clone());
        self.kernel.variables.push(variable);
        Symbol::Kernel(self.kernel.variables.len() as u32 - 1)
    }

    /// A shared array that the module declares, which becomes the kernel's own where it is first used.
    pub(super) fn shared_array(&mut self, name: &str) -> Option<Symbol> {
        let variable = self.parser.shared(name)?.clone();
        if let Some(&symbol) = self.shared.get(name) {
            return Some(symbol);
        }
        let symbol = self.own(variable);
        self.shared.insert(name.to_owned(), symbol);
        Some(symbol)
    }

    /// Whether a variable of the kernel may not have this name.
    fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name) || self.parser.symbol(name).is_some()
    }

    /// `.loc file line column`, and what may follow about inlining.
    fn position(&mut self) -> Result<(), Fault> {
        self.cursor().take();
        let number = self.cursor().int("the file's number", 0, u64::MAX.into())? as u64;
        let line = self.cursor().count("the line")?;
        let column = self.cursor().count("the column")?;
        let mut caller = None;
        while self.cursor().take_if(',') {
            let clause = self.cursor().name("function_name or inlined_at")?;
            match clause.text {
                "function_name" => {
                    self.cursor().name("the label of the function's name")?;
                    if self.cursor().take_if('+') {
                        self.cursor().count("an offset")?;
                    }
                }
                "inlined_at" => {
                    let number = self.cursor().int("the file's number", 0, u64::MAX.into())? as u64;
                    let line = self.cursor().count("the line of the call")?;
                    caller = Some((number, line, self.cursor().count("the column of the call")?));
                }
                _ => return Err((clause.at, self.parser.unknown(&clause, "function_name or inlined_at"))),
            }
        }
        // A place in a file that is not named is none.
        let file = self.parser.files.get(&number).cloned();
        self.loc =
            file.map(|file| Loc { caller: caller.and_then(|at| self.call_at(at)), ..Loc::new(file, line, column) });
        if let Some(loc) = &self.loc {
            self.lines.insert((number, line, column), Arc::new(loc.clone()));
        }
        Ok(())
    }

    /// The place of a call, with the calls around it where a `.loc` before told them.
    fn call_at(&self, at: (u64, u32, u32)) -> Option<Arc<Loc>> {
        self.lines.get(&at).cloned().filter(|loc| loc.chain().count() < Loc::DEEPEST).or_else(|| {
            let (number, line, column) = at;
            Some(Arc::new(Loc::new(self.parser.files.get(&number)?.clone(), line, column)))
        })
    }

    fn instruction(&mut self) -> Result<(), Fault> {
        let at = self.cursor().at();
        let guard = self.guard()?;
        let opcode = self.cursor().name("an instruction")?;
        let mut name = Cow::Borrowed(opcode.text);
        // Modifiers may stand apart from their opcode.
        while self.cursor().peek().kind == Kind::Directive {
            name.to_mut().push_str(self.cursor().take().text);
        }
        if matches!(&*name, "call" | "call.uni") {
            return self.call(guard, at);
        }
        if super::texture::is_texture(&name) {
            return self.texture(&name, guard, opcode.at);
        }
        let mut args = self.arguments_or_skip(&name)?;
        if self.special_statement(&mut name, guard, &mut args, at)? {
            return Ok(());
        }
        let label = self.branches.len() as u32;
        let choice = select::choose(&name, opcode.at, &args, label, |name| self.unknown_name(name));
        let select::Choice { form, operands, label } = match choice {
            Ok(choice) => choice,
            // The statement has been read to its end.
            Err(fault) => {
                self.parser.fault(fault);
                return Ok(());
            }
        };
        if let Some((name, at)) = label {
            self.branches.push((self.scopes.current(), name, at));
        }
        let loc = Some(self.here(at));
        self.push(Inst { form, guard, operands, loc });
        Ok(())
    }

    /// The source line of a statement.
    pub(super) fn here(&self, at: Pos) -> Loc {
        self.loc.clone().unwrap_or_else(|| self.parser.place(at))
    }

    pub(super) fn push(&mut self, inst: Inst) {
        // There is a block from the start on.
        if let Some(block) = self.kernel.blocks.last_mut() {
            block.insts.push(inst);
        }
    }

    /// `.callprototype (results) _ (parameters);`
    fn prototype(&mut self, name: &'a str) -> Result<(), Fault> {
        self.cursor().take();
        let results = self.parser.formals()?;
        self.cursor().name("'_'")?;
        let params = self.parser.formals()?;
        self.parser.attributes()?;
        self.prototypes.insert(name, Signature { results, params });
        self.cursor().punct(';')
    }

    /// `.calltargets f, g;`
    fn call_targets(&mut self, name: &'a str) -> Result<(), Fault> {
        self.cursor().take();
        let mut all = Vec::new();
        loop {
            let function = self.cursor().name("a function")?;
            let id = self.parser.function_ids.get(function.text).copied();
            all.push(id.ok_or_else(|| (function.at, self.unknown_name(function.text)))?);
            if !self.cursor().take_if(',') {
                break;
            }
        }
        self.targets.insert(name, all);
        self.cursor().punct(';')
    }

    /// The arguments; where the instruction is unknown as well, that is the
    /// error to tell.
    fn arguments_or_skip(&mut self, name: &str) -> Result<Vec<super::operand::Argument<'a>>, Fault> {
        let at = self.cursor().at();
        self.arguments().map_err(|fault| {
            if crate::table::table().loosely_named(name).is_empty() {
                let near = super::suggest::nearest_instruction(name);
                (at, ParseErrorKind::UnknownInstruction { name: name.to_owned(), near })
            } else {
                fault
            }
        })
    }
}
