//! Inlines functions.

use super::draft::{Actual, Call, Callee, Draft, Targets};
use super::error::ParseErrorKind;
use super::lex::Fault;
use super::parser::Parser;
use super::signature::{Home, address};
use crate::ir::{Address, Base, Block, BlockId, Guard, Inst, Kernel, Loc, Operand, Reg, Symbol};
use crate::table::{Mod, Op, table};
use crate::types::{RegClass, ScalarType};

/// Maximum number of instructions of a kernel after inlining.
const MOST_INSTRUCTIONS: usize = 1 << 21;

/// Maximum depth of nested calls.
const DEEPEST: usize = 200;

/// A label with this bit names a block of the draft, by its number there.
const OF_DRAFT: u32 = 1 << 31;

/// A function prepared for inlining.
#[derive(Clone)]
pub(super) struct Body {
    kernel: Kernel,
    results: Vec<Home>,
    params: Vec<Home>,
}

/// The state of a function.
#[derive(Clone)]
pub(super) enum Linked {
    Not,
    Now,
    Whole(Box<Body>),
    Refused,
}

impl<'a> Parser<'a> {
    /// The kernel of a draft, with every call inlined.
    pub(super) fn link(&mut self, draft: &Draft<'a>, done: &mut Vec<Linked>) -> Result<Kernel, Fault> {
        self.linked(draft, done, 0)
    }

    fn linked(&mut self, draft: &Draft<'a>, done: &mut Vec<Linked>, depth: usize) -> Result<Kernel, Fault> {
        if draft.calls.is_empty() {
            return Ok(draft.kernel.clone());
        }
        let mut work = Work { kernel: draft.kernel.clone(), starts: Vec::new() };
        let mut calls = draft.calls.iter().peekable();
        for (i, mut block) in std::mem::take(&mut work.kernel.blocks).into_iter().enumerate() {
            for operand in block.insts.iter_mut().flat_map(|inst| &mut inst.operands) {
                if let Operand::Label(b) = operand {
                    b.0 |= OF_DRAFT;
                }
            }
            work.starts.push(work.kernel.blocks.len() as u32);
            work.kernel.blocks.push(block);
            while let Some(call) = calls.next_if(|call| call.block == i) {
                self.call_in(&mut work, call, done, depth)?;
            }
        }
        Ok(work.finish())
    }

    fn call_in(&mut self, work: &mut Work, call: &Call<'a>, done: &mut Vec<Linked>, depth: usize) -> Result<(), Fault> {
        let unsupported = |what: String, instead| (call.at, ParseErrorKind::Unsupported { what, instead });
        let after = BlockId((call.block as u32 + 1) | OF_DRAFT);
        if let Some(guard) = call.guard {
            let guard = Guard { negated: !guard.negated, ..guard };
            work.jump(Some(guard), after, &call.loc);
            work.kernel.blocks.push(Block::default());
        }
        let targets = match &call.callee {
            Callee::Function(id) => vec![*id],
            Callee::At(_, Targets::Of(ids)) => ids.clone(),
            Callee::At(_, Targets::Like(signature)) => {
                let fits = |id: &usize| self.functions[*id].is_named && self.functions[*id].signature.fits(signature);
                (0..self.functions.len()).filter(fits).collect()
            }
        };
        let Callee::At(at, _) = call.callee else {
            return self.one(work, call, targets[0], done, depth);
        };
        if targets.is_empty() {
            let what = "an indirect call that no function with a known address fits".to_owned();
            return Err(unsupported(what, "name its functions with .calltargets"));
        }
        // Compares with each address, and jumps over the body if it is a different one.
        for id in targets {
            let other = work.kernel.new_reg(RegClass::Pred);
            work.emit(
                Op::Setp,
                &[Mod::Ne, Mod::Ty(ScalarType::U64)],
                &[Operand::Reg(other), Operand::None, Operand::Reg(at), Operand::Imm(address(id))],
                &call.loc,
            );
            let skip = work.kernel.blocks.len() - 1;
            work.kernel.blocks.push(Block::default());
            self.one(work, call, id, done, depth)?;
            work.jump(None, after, &call.loc);
            work.kernel.blocks.push(Block::default());
            let next = work.kernel.blocks.len() - 1;
            work.jump_at(skip, Some(Guard { reg: other, negated: false }), BlockId(next as u32), &call.loc);
        }
        // No function has this address.
        work.emit(Op::Trap, &[], &[], &call.loc);
        Ok(())
    }

    /// Inlines a function at a call.
    fn one(
        &mut self,
        work: &mut Work,
        call: &Call<'a>,
        id: usize,
        done: &mut Vec<Linked>,
        depth: usize,
    ) -> Result<(), Fault> {
        let name = self.functions[id].name;
        let refuse = |what: String, instead| Err((call.at, ParseErrorKind::Unsupported { what, instead }));
        if depth > DEEPEST {
            return refuse(format!("calls nested more than {DEEPEST} deep"), "inline some of them");
        }
        if done.len() < self.functions.len() {
            done.resize(self.functions.len(), Linked::Not);
        }
        if matches!(done[id], Linked::Not) {
            match self.functions[id].draft.take() {
                Some(draft) => {
                    done[id] = Linked::Now;
                    let kernel = self.linked(&draft, done, depth + 1);
                    done[id] = match &kernel {
                        Ok(kernel) => Linked::Whole(Box::new(Body {
                            kernel: kernel.clone(),
                            results: draft.results.clone(),
                            params: draft.params.clone(),
                        })),
                        Err(_) => Linked::Refused,
                    };
                    self.functions[id].draft = Some(draft);
                    kernel?;
                }
                None => done[id] = Linked::Refused,
            }
        }
        let Body { kernel: body, results, params } = match &done[id] {
            Linked::Whole(body) => &**body,
            Linked::Now => return refuse(format!("function '{name}', which calls itself,"), "write a loop"),
            Linked::Refused | Linked::Not if self.functions[id].is_refused => {
                return refuse(format!("a call of function '{name}', which was refused,"), "see what is wrong with it");
            }
            Linked::Refused | Linked::Not => {
                return refuse(format!("a call of function '{name}', which has no body here,"), "define it");
            }
        };
        if (results.len(), params.len()) != (call.results.len(), call.args.len()) {
            let (takes, gives) = (params.len(), results.len());
            let what = format!("a call of '{name}', which takes {takes} values and gives {gives}, with others");
            return refuse(what, "call it as it is declared");
        }
        let sized = |b: &Block| b.insts.len();
        let size: usize =
            work.kernel.blocks.iter().map(sized).sum::<usize>() + body.blocks.iter().map(sized).sum::<usize>();
        if size > MOST_INSTRUCTIONS {
            let what = format!("a kernel of more than {MOST_INSTRUCTIONS} instructions with its functions in it");
            return refuse(what, "call fewer");
        }
        work.put(body, results, params, call).or_else(|what| refuse(what, "pass it as it is declared"))
    }
}

/// A kernel during inlining.
struct Work {
    kernel: Kernel,
    /// The current index of each of the draft's blocks.
    starts: Vec<u32>,
}

impl Work {
    fn emit(&mut self, op: Op, mods: &[Mod], operands: &[Operand], loc: &Loc) {
        let at = self.kernel.blocks.len() - 1;
        self.emit_at(at, op, mods, None, operands, loc);
    }

    fn emit_at(&mut self, at: usize, op: Op, mods: &[Mod], guard: Option<Guard>, operands: &[Operand], loc: &Loc) {
        if let Some(form) = table().find(op, mods) {
            let operands = operands.iter().copied().collect();
            self.kernel.blocks[at].insts.push(Inst { form, guard, operands, loc: Some(loc.clone()) });
        }
    }

    /// Jumps from the last block.
    fn jump(&mut self, guard: Option<Guard>, to: BlockId, loc: &Loc) {
        let at = self.kernel.blocks.len() - 1;
        self.jump_at(at, guard, to, loc);
    }

    fn jump_at(&mut self, at: usize, guard: Option<Guard>, to: BlockId, loc: &Loc) {
        self.emit_at(at, Op::Bra, &[], guard, &[Operand::Label(to)], loc);
    }

    /// Appends a function's blocks, between moves of its arguments and results.
    fn put(&mut self, body: &Kernel, results: &[Home], params: &[Home], call: &Call<'_>) -> Result<(), String> {
        let first = self.kernel.registers;
        for (count, more) in self.kernel.registers.iter_mut().zip(body.registers) {
            *count += more;
        }
        let moved = |r: Reg| Reg { index: if r.is_carry() { r.index } else { r.index + first[r.class as usize] }, ..r };
        // Passed arrays replace the function's own.
        let mut arrays: Vec<Option<Symbol>> = vec![None; body.variables.len()];
        for (home, actual) in params.iter().chain(results).zip(call.args.iter().chain(&call.results)) {
            match (home, actual) {
                (Home::Array(i), Actual::Array(symbol)) => arrays[*i as usize] = Some(*symbol),
                (Home::Reg(_), Actual::Reg(_) | Actual::Imm(_) | Actual::Sink) | (Home::Array(_), Actual::Sink) => {}
                _ => return Err("an array passed as a scalar, or a scalar as an array,".to_owned()),
            }
        }
        for (i, variable) in body.variables.iter().enumerate() {
            if arrays[i].is_none() {
                let mut variable = variable.clone();
                variable.name = format!("{}_{}", variable.name, self.kernel.variables.len());
                arrays[i] = Some(Symbol::Kernel(self.kernel.variables.len() as u32));
                self.kernel.variables.push(variable);
            }
        }
        for (home, actual) in params.iter().zip(&call.args) {
            match (home, actual) {
                (Home::Reg(r), Actual::Reg(from)) => self.copy(moved(*r), Operand::Reg(*from), &call.loc),
                (Home::Reg(r), Actual::Imm(bits)) => self.copy(moved(*r), Operand::Imm(*bits), &call.loc),
                _ => {}
            }
        }
        let texts = self.kernel.texts.len() as u32;
        self.kernel.texts.extend(body.texts.iter().cloned());
        let base = self.kernel.blocks.len() as u32;
        for block in &body.blocks {
            let mut block = block.clone();
            for inst in &mut block.insts {
                inst.guard = inst.guard.map(|g| Guard { reg: moved(g.reg), ..g });
                for operand in &mut inst.operands {
                    let array = |symbol: Symbol| match symbol {
                        Symbol::Kernel(i) => arrays[i as usize].unwrap_or(symbol),
                        other => other,
                    };
                    *operand = match *operand {
                        Operand::Reg(r) => Operand::Reg(moved(r)),
                        Operand::NotPred(r) => Operand::NotPred(moved(r)),
                        Operand::Symbol(symbol, offset) => Operand::Symbol(array(symbol), offset),
                        Operand::Address(Address { base: Base::Reg(r), offset }) => {
                            Operand::Address(Address { base: Base::Reg(moved(r)), offset })
                        }
                        Operand::Address(Address { base: Base::Symbol(symbol), offset }) => {
                            Operand::Address(Address { base: Base::Symbol(array(symbol)), offset })
                        }
                        Operand::Text(i) => Operand::Text(i + texts),
                        Operand::Label(b) => Operand::Label(BlockId(b.0.saturating_add(base))),
                        other @ (Operand::Imm(_) | Operand::Special(_) | Operand::Function(_) | Operand::None) => other,
                    };
                }
            }
            self.kernel.blocks.push(block);
        }
        // The last block of a function is its return point.
        for (home, actual) in results.iter().zip(&call.results) {
            if let (Home::Reg(from), Actual::Reg(to)) = (home, actual) {
                self.copy(*to, Operand::Reg(moved(*from)), &call.loc);
            }
        }
        Ok(())
    }

    fn copy(&mut self, to: Reg, from: Operand, loc: &Loc) {
        let bits = match to.class {
            RegClass::Pred => ScalarType::Pred,
            RegClass::B16 => ScalarType::B16,
            RegClass::B32 | RegClass::F32 => ScalarType::B32,
            RegClass::B64 | RegClass::F64 => ScalarType::B64,
        };
        let from = match from {
            Operand::Imm(v) => Operand::Imm(v & u64::MAX >> (64 - bits.bits())),
            other => other,
        };
        self.emit(Op::Mov, &[Mod::Ty(bits)], &[Operand::Reg(to), from], loc);
    }

    /// The complete kernel, with labels resolved to blocks.
    fn finish(mut self) -> Kernel {
        for operand in self.kernel.blocks.iter_mut().flat_map(|b| &mut b.insts).flat_map(|inst| &mut inst.operands) {
            if let Operand::Label(b) = operand
                && b.0 & OF_DRAFT != 0
            {
                *b = BlockId(self.starts.get((b.0 & !OF_DRAFT) as usize).copied().unwrap_or(u32::MAX));
            }
        }
        self.kernel
    }
}
