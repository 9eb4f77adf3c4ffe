//! What stands in a kernel's braces.

use super::error::ParseErrorKind;
use super::kernel::Body;
use super::lex::{Fault, Kind};
use super::module::directive_type;
use super::scope::Entity;
use super::select;
use crate::ir::{Block, Inst, Loc, Symbol, Variable};
use crate::types::{RegClass, Space};

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
            Kind::Punct(';') => {
                self.cursor().take();
                Ok(())
            }
            Kind::Directive => self.directive(),
            Kind::Word if self.cursor().peek_at(1).kind == Kind::Punct(':') => {
                self.cursor().take();
                self.cursor().take();
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
            ".param" | ".callprototype" | ".calltargets" | ".branchtargets" => {
                let what = format!("'{}' in a body", token.text);
                Err((token.at, ParseErrorKind::Unsupported { what, instead: "inline the calls and indirect branches" }))
            }
            _ => {
                let what = ".reg, .shared, .local, .loc, .pragma, a label or an instruction";
                Err((token.at, self.parser.unknown(&token, what)))
            }
        }
    }

    /// `.reg .b32 %r<28>, sum;`
    fn registers(&mut self) -> Result<(), Fault> {
        self.cursor().take();
        let token = self.cursor().take();
        let ty = if token.kind == Kind::Directive { directive_type(token.text) } else { None };
        let Some(class) = ty.and_then(RegClass::of) else {
            return Err((token.at, self.parser.unknown(&token, "the registers' type")));
        };
        loop {
            let name = self.cursor().name("a register's name")?;
            if matches!(name.text, "_" | "$" | "%" | "WARP_SZ") {
                return Err((name.at, self.parser.unknown(&name, "a register's name")));
            }
            let first = self.kernel.registers[class as usize];
            let left = MOST_REGISTERS - first;
            let declared = if self.cursor().take_if('<') {
                let count = self.cursor().int("the number of registers", 0, left.into())? as u32;
                self.cursor().punct('>')?;
                self.kernel.registers[class as usize] += count;
                self.scopes.declare_range(name.text, class, first, count)
            } else if left == 0 {
                let what = format!("more than {MOST_REGISTERS} registers of a class");
                Err(ParseErrorKind::Unsupported { what, instead: "use fewer" })
            } else {
                let reg = self.kernel.new_reg(class);
                self.kernel.names.insert(reg, name.text.to_owned());
                self.scopes.declare(name.text, Entity::Reg(reg))
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
    fn own(&mut self, mut variable: Variable) -> Symbol {
        let name = variable.name.clone();
        let mut copies = 0;
        while self.is_taken(&variable.name) {
            copies += 1;
            variable.name = format!("{name}_{copies}");
        }
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
        let Body { kernel, parser, .. } = self;
        kernel.variables.iter().any(|v| v.name == name)
            || kernel.params.iter().any(|p| p.name == name)
            || parser.symbol(name).is_some()
    }

    /// `.loc file line column`, and what may follow about inlining.
    fn position(&mut self) -> Result<(), Fault> {
        self.cursor().take();
        let at = self.cursor().at();
        let number = self.cursor().int("the file's number", 0, u64::MAX.into())? as u64;
        let line = self.cursor().count("the line")?;
        let column = self.cursor().count("the column")?;
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
                    for _ in 0..3 {
                        self.cursor().count("the file, line and column of the call")?;
                    }
                }
                _ => return Err((clause.at, self.parser.unknown(&clause, "function_name or inlined_at"))),
            }
        }
        let file = self.parser.files.get(&number).cloned();
        let file = file.ok_or((at, ParseErrorKind::UnknownFile(number)))?;
        self.loc = Some(Loc { file, line, column });
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), Fault> {
        let at = self.cursor().at();
        let guard = self.guard()?;
        let opcode = self.cursor().name("an instruction")?;
        let mut name = std::borrow::Cow::Borrowed(opcode.text);
        // Modifiers may stand apart from their opcode.
        while self.cursor().peek().kind == Kind::Directive {
            name.to_mut().push_str(self.cursor().take().text);
        }
        let args = self.arguments_or_skip(&name)?;
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
        let loc = Some(self.loc.clone().unwrap_or_else(|| self.parser.place(at)));
        let inst = Inst { form, guard, operands, loc };
        // There is a block from the start on.
        if let Some(block) = self.kernel.blocks.last_mut() {
            block.insts.push(inst);
        }
        Ok(())
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
