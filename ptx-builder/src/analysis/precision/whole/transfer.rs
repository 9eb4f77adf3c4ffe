//! What each instruction makes of the contents of its sources, as its row states it.

use smallvec::{SmallVec, smallvec};

use super::content::{Content, Id, Value};
use super::names::{Ids, Name};
use super::{Contents, Fate, Loss};
use crate::analysis::InstId;
use crate::ir::{Inst, Operand, Reg};
use crate::table::{Access, Meaning, Parts, Precision, Real, Shape, Shuffle, SpecialReg};
use crate::types::RegClass;

pub(super) type Values = SmallVec<[Value; 4]>;

/// An operand that is read, and what it holds.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub slot: &'static str,
    pub operand: Operand,
    pub value: Value,
}

pub(super) type Sources = SmallVec<[Source; 6]>;

/// What all of these may be.
pub(super) fn joined(sources: &[Source]) -> Content {
    sources.iter().fold(Content::Plain, |all, s| all.join(s.value.content))
}

pub(super) fn any_computed(sources: &[Source]) -> bool {
    sources.iter().any(|s| s.value.content.is_computed())
}

impl Contents<'_, '_> {
    /// What reaches a register operand.
    pub(super) fn reg(&self, reg: Reg) -> Value {
        self.registers.read(self.flow.info, reg)
    }

    fn operand(&mut self, operand: &Operand) -> Value {
        let id = match operand {
            Operand::Reg(r) => return self.reg(*r),
            Operand::NotPred(r) => {
                let of = self.reg(*r).id;
                self.names.id(Name::Not(of))
            }
            Operand::Imm(bits) => self.names.id(Name::Constant(*bits)),
            Operand::Special(_)
            | Operand::Symbol(..)
            | Operand::Address(_)
            | Operand::Label(_)
            | Operand::Function(_)
            | Operand::Text(_)
            | Operand::None => Id::NONE,
        };
        Value { content: Content::Plain, id }
    }

    /// The operands that are read, but for addresses.
    pub(super) fn sources(&mut self, inst: &Inst) -> Sources {
        let read =
            |s: &crate::table::Slot| s.access == Access::Read && !matches!(s.shape, Shape::Address(_) | Shape::Label);
        let mut sources = Sources::new();
        for (slot, operands) in inst.slots().filter(|(s, _)| read(s)) {
            for operand in operands.iter().filter(|o| **o != Operand::None) {
                sources.push(Source { slot: slot.name, operand: *operand, value: self.operand(operand) });
            }
        }
        sources
    }

    /// The name of an instruction's `n`th result, where it has no other.
    pub(super) fn own(&mut self, id: InstId, n: usize) -> Id {
        match self.flow.info.defuse.defs(id).nth(n) {
            Some(def) => self.names.id(Name::Def(def)),
            None => Id::NONE,
        }
    }

    /// The same content in every result; predicates are plain.
    fn all(&mut self, id: InstId, inst: &Inst, content: Content) -> Values {
        let results = inst.defs().enumerate().map(|(n, r)| {
            let content = if r.class == RegClass::Pred { Content::Plain } else { content };
            Value { content, id: self.own(id, n) }
        });
        results.collect()
    }

    /// The contents of an instruction's results, and how it loses something.
    pub(super) fn results(&mut self, id: InstId, inst: &Inst) -> (Values, Fate) {
        let sources = self.sources(inst);
        // An earlier loss is reported where it happened.
        let number = |s: &&Source| inst.form().precision != Precision::Lanes || s.slot == "a";
        if sources.iter().filter(number).any(|s| s.value.content == Content::Lost) {
            if inst.form().precision == Precision::Stores {
                self.stored[id.0 as usize] = Some(super::Stored::lost());
                self.pieces.remove(&id.0);
            }
            return (self.all(id, inst, Content::Lost), Fate::LostBefore);
        }
        // Barriers in memory, for instance.
        let writes = !self.flow.nodes[id.0 as usize].touched.writes.is_empty();
        if writes && self.stored[id.0 as usize].is_none() {
            self.stored[id.0 as usize] = Some(super::Stored { updated: true, ..super::Stored::default() });
        }
        match self.transfer(id, inst, &sources) {
            Ok(values) if values.iter().any(|v| v.content == Content::Lost) => (values, Fate::LostBefore),
            Ok(values) => (values, Fate::Kept),
            Err(how) => (self.all(id, inst, Content::Lost), Fate::Lost(how)),
        }
    }

    fn transfer(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<Values, Loss> {
        let content = match inst.form().precision {
            Precision::Nothing | Precision::Compares => Content::Plain,
            // Of predicates, nothing is followed.
            _ if inst.defs().next().is_some() && inst.defs().all(|r| r.class == RegClass::Pred) => Content::Plain,
            Precision::Integer | Precision::IntegerProduct => {
                if any_computed(sources) {
                    return Err(Loss::AsInteger);
                }
                self.integers(id, inst, sources)
            }
            Precision::Moves => return Ok(smallvec![self.moved(id, inst, sources)]),
            Precision::Bits(Parts::Pack) => return self.pack(id, inst, sources).map(|v| smallvec![v]),
            Precision::Bits(Parts::Unpack) => return self.unpack(id, inst, sources),
            Precision::Bits(Parts::Cut | Parts::Merge | Parts::Mix) => {
                if any_computed(sources) {
                    return self.bytes_moved(id, inst, sources).map(|v| smallvec![v]);
                }
                self.integers(id, inst, sources)
            }
            Precision::Selects => return self.select(inst, sources).map(|v| smallvec![v]),
            Precision::Exact { real, ty } => {
                return self.exact(id, real, ty, sources).map(|v| smallvec![v]);
            }
            Precision::Rounds { ty, mode, clamp, .. } => self.rounds(ty, mode, clamp, sources)?,
            Precision::Approximates { ty, .. } => self.rounds(ty, None, None, sources)?,
            Precision::Converts { .. } => return self.convert(id, inst, sources).map(|v| smallvec![v]),
            Precision::Lanes => return Ok(self.lanes(id, inst, sources)),
            Precision::Loads => return self.load(id, inst),
            Precision::Stores => return self.store(id, inst, sources).map(|()| Values::new()),
            Precision::Updates { .. } => self.update(id, sources)?,
            Precision::Copies => return self.copy(id, inst).map(|()| Values::new()),
            Precision::MatrixProduct { .. } if any_computed(sources) => return Err(Loss::Product),
            Precision::MatrixProduct { .. } => Content::Plain,
            Precision::Opaque => return Err(Loss::Unknown),
        };
        Ok(self.all(id, inst, content))
    }

    /// A copy has the name of what it copies.
    fn moved(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Value {
        let own = self.own(id, 0);
        let Some(source) = sources.first() else { return Value { content: Content::Plain, id: own } };
        let float = inst.defs().next().and_then(|r| super::content::type_of_class(r.class));
        match (source.value, float) {
            (Value { content: Content::Power, .. }, Some(ty)) => {
                Value { content: Content::Whole(super::content::Float { ty, narrowed: false }), id: own }
            }
            (Value { content, id: Id::NONE }, _) => Value { content, id: own },
            (value, _) => value,
        }
    }

    fn select(&mut self, inst: &Inst, sources: &[Source]) -> Result<Value, Loss> {
        let (Some(a), Some(b), Some(c)) = (at(sources, "a"), at(sources, "b"), at(sources, "c")) else {
            return Err(Loss::Unknown);
        };
        let (by, form) = (c.value.id, inst.form);
        let all = [a.value, b.value];
        let met = self.names.meet(&all, &mut |names, of, _| names.id(Name::Chosen { by, form, of }));
        if met.content == Content::Lost { Err(Loss::Choice) } else { Ok(met) }
    }

    /// The same of another lane.
    fn lanes(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Values {
        let own = self.own(id, 0);
        let from: Ids = sources.iter().filter(|s| s.slot != "a").map(|s| s.value.id).collect();
        let value = at(sources, "a").map_or(Value::UNSET, |s| s.value);
        if self.is_own_lane(id, inst, sources) {
            return self.shuffled(id, inst, value);
        }
        // Lanes that are not distinguished may be any.
        let form = inst.form;
        let known = !from.contains(&Id::NONE);
        let moved = |names: &mut super::Names, of: Id| match known && of != Id::NONE {
            true => names.id(Name::Lane { form, of, from: from.clone() }),
            false => own,
        };
        let value = match value.content {
            Content::Bytes(_) if !known => Value { content: Content::Lost, id: own },
            Content::Bytes(_) => self.names.renamed(value, own, moved),
            content => Value { content, id: moved(&mut self.names, value.id) },
        };
        self.shuffled(id, inst, value)
    }

    /// A value, or only the predicate, or both.
    fn shuffled(&mut self, id: InstId, inst: &Inst, value: Value) -> Values {
        let results = inst.defs().enumerate().map(|(n, r)| match r.class {
            RegClass::Pred => Value { content: Content::Plain, id: self.own(id, n) },
            _ => value,
        });
        results.collect()
    }

    /// Whether every lane reads itself.
    fn is_own_lane(&self, id: InstId, inst: &Inst, sources: &[Source]) -> bool {
        let Meaning::Shuffle(Shuffle::Idx) = inst.form().meaning else { return false };
        let laneid = |s: &Source| match s.operand {
            Operand::Reg(r) => match self.flow.info.defuse.reaching(id, r) {
                [def] => {
                    let by = self.flow.nodes[self.flow.info.defuse.inst(*def).0 as usize].inst;
                    by.guard.is_none()
                        && by.form().precision == Precision::Moves
                        && by.operands.contains(&Operand::Special(SpecialReg::Laneid))
                }
                _ => false,
            },
            _ => false,
        };
        at(sources, "b").is_some_and(laneid) && at(sources, "c").is_some_and(|s| s.operand == Operand::Imm(31))
    }

    fn exact(
        &mut self,
        id: InstId,
        real: Real,
        ty: crate::types::ScalarType,
        sources: &[Source],
    ) -> Result<Value, Loss> {
        let own = self.own(id, 0);
        let all = joined(sources);
        if any_computed(sources) && !matches!(all, Content::Whole(float) if float.ty == ty) {
            return Err(Loss::NotWhole);
        }
        let same = || {
            let first = sources.first().map(|s| s.value)?;
            sources.iter().all(|s| s.value.id == first.id).then_some(first)
        };
        let content = match all {
            Content::Whole(_) | Content::Plain => all,
            Content::Power => Content::Power,
            Content::Quant | Content::Exponent => Content::Quant,
            Content::Bytes(_) | Content::Half | Content::Lost => return Err(Loss::NotWhole),
        };
        match real {
            Real::Neg => {
                let of = sources.first().map_or(Id::NONE, |s| s.value.id);
                let id = if of == Id::NONE { own } else { self.names.id(Name::Negated(of)) };
                Ok(Value { content, id })
            }
            Real::Min | Real::Max => Ok(same().unwrap_or(Value { content, id: own })),
            Real::Copysign => {
                // The magnitude is that of the second; the first gives the sign.
                let of = |slot: &str| at(sources, slot).is_some_and(|s| s.value.content.is_computed());
                if of("a") && !of("b") { Err(Loss::Sign) } else { Ok(Value { content, id: own }) }
            }
            Real::Abs
            | Real::Magnitude
            | Real::Add
            | Real::Sub
            | Real::Mul
            | Real::Fma
            | Real::Div
            | Real::Rcp
            | Real::Sqrt
            | Real::Rsqrt
            | Real::Sin
            | Real::Cos
            | Real::Lg2
            | Real::Ex2
            | Real::Tanh => Ok(Value { content, id: own }),
        }
    }
}

/// The first source in a slot.
pub(super) fn at<'s>(sources: &'s [Source], slot: &str) -> Option<&'s Source> {
    sources.iter().find(|s| s.slot == slot)
}
