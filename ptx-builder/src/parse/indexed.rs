//! Jumps by index: `brx.idx`, as a row of comparisons and jumps.

use smallvec::SmallVec;

use super::body::Body;
use super::error::ParseErrorKind;
use super::lex::{Fault, Kind, Pos};
use super::operand::{Arg, Argument};
use crate::ir::{Block, BlockId, Guard, Inst, Operand};
use crate::table::{Mod, Op, table};
use crate::types::{RegClass, ScalarType};

impl<'a> Body<'_, 'a> {
    /// Finds the `.branchtargets` of the body that begins here: they may stand after their use. Gives the number of the
    /// token that ends the body.
    pub(super) fn indexed_tables(&mut self) -> usize {
        let mut found = Vec::new();
        let (mut depth, mut end) = (0u32, usize::MAX);
        let tokens = self.parser.cursor.from(self.parser.cursor.place());
        for (i, token) in tokens.iter().enumerate() {
            match token.kind {
                Kind::Punct('{') => depth += 1,
                Kind::Punct('}') if depth <= 1 => {
                    end = i;
                    break;
                }
                Kind::Punct('}') => depth -= 1,
                Kind::Directive if token.text == ".branchtargets" && i >= 2 => {
                    let words = tokens[i + 1..].iter().take_while(|t| t.kind != Kind::Punct(';'));
                    let labels = words.filter(|t| t.kind == Kind::Word).map(|t| (t.text, t.at)).collect();
                    found.push((tokens[i - 2].text, labels));
                }
                _ => {}
            }
        }
        self.tables.extend(found);
        end.saturating_add(self.parser.cursor.place())
    }

    /// `brx.idx index, table;`
    pub(super) fn indexed(&mut self, guard: Option<Guard>, args: &[Argument<'a>], at: Pos) -> Result<(), Fault> {
        let index = match args {
            [Argument { arg: Arg::Reg(r), .. }, _] if r.class == RegClass::B32 => *r,
            _ => {
                let expected = "a 32-bit register and a list of .branchtargets".to_owned();
                return Err((at, ParseErrorKind::Expected { expected, found: "'brx.idx'".to_owned() }));
            }
        };
        let labels = args[1].name.and_then(|name| self.tables.get(name)).cloned();
        let Some(labels) = labels else {
            return Err((args[1].at, ParseErrorKind::UnknownName { name: args[1].text.clone(), near: None }));
        };
        // Where the guard is false, it goes on after the row.
        let after = guard.map(|guard| {
            let label = self.anonymous();
            self.step(Op::Bra, &[], Some(Guard { negated: !guard.negated, ..guard }), &[Operand::Label(label)], at);
            label
        });
        let here = self.pass_reg(RegClass::Pred);
        for (n, (name, place)) in labels.into_iter().enumerate() {
            let operands = [Operand::Reg(here), Operand::None, Operand::Reg(index), Operand::Imm(n as u64)];
            self.step(Op::Setp, &[Mod::Eq, Mod::Ty(ScalarType::U32)], None, &operands, at);
            let label = Operand::Label(BlockId(self.branches.len() as u32));
            self.branches.push((self.scopes.current(), name, place));
            self.step(Op::Bra, &[], Some(Guard { reg: here, negated: false }), &[label], at);
        }
        // An index beyond the list is undefined; here it ends the grid.
        self.step(Op::Trap, &[], None, &[], at);
        self.kernel.blocks.push(Block::default());
        if let Some(label) = after {
            self.places.insert(label.0, self.kernel.blocks.len() as u32 - 1);
        }
        Ok(())
    }

    /// A label without a name.
    fn anonymous(&mut self) -> BlockId {
        let label = BlockId(self.branches.len() as u32);
        self.branches.push((self.scopes.current(), "", Pos { line: 0, column: 0 }));
        label
    }

    /// Appends an instruction of the table.
    pub(super) fn step(&mut self, op: Op, mods: &[Mod], guard: Option<Guard>, operands: &[Operand], at: Pos) {
        if let Some(form) = table().find(op, mods) {
            let loc = Some(self.here(at));
            self.push(Inst { form, guard, operands: SmallVec::from_slice(operands), loc });
        }
    }
}
