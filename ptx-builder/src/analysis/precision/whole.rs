//! Whether what is computed stays whole on its way to an output.
//!
//! Every result has a content: nothing that was computed in floats, a computed float with all of its
//! bits, one of the pieces that it was taken apart into, an integer that stands for a quantized
//! value or an exponent. An instruction that takes a computed float and is not known to keep all of
//! it loses it, whatever it is: what is not listed here is refused, not passed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use smallvec::SmallVec;

use super::flow::{Flow, memory};
use super::kept::Kept;
use super::tags::{is_float, type_of};
use super::{Accumulator, ActivationFormat, Requirements, Role};
use crate::analysis::{DefId, InstId};
use crate::ir::{Inst, Operand, Reg};
use crate::table::{Access, Async, Form, Matrix, Meaning, Mod, Op};
use crate::types::{RegClass, ScalarType};

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// Not known yet.
    Bottom,
    /// Nothing that was computed in floats.
    Plain,
    /// All bits of a computed float; `narrowed` where it was rounded from f64 and nothing was
    /// computed of it since.
    Whole { ty: ScalarType, narrowed: bool },
    /// Bytes `at` to `at + len` of one; pieces of the same value have the same number.
    Piece { ty: ScalarType, narrowed: bool, at: u32, len: u32, of: u64 },
    /// One rounded to 16 bits, to be stored.
    Half,
    /// An integer that stands for a quantized value.
    Quant,
    /// The exponent of a power of two that is to be a factor.
    Exponent,
    /// Its bits as a float's, or the high half of them.
    Power,
    /// Less than was computed.
    Lost,
}

use Content::{Bottom, Exponent, Half, Lost, Piece, Plain, Power, Quant, Whole};

impl Content {
    /// Whether bits of a computed float are in it.
    pub(super) fn is_computed(self) -> bool {
        matches!(self, Whole { .. } | Piece { .. } | Half | Lost)
    }

    pub(super) fn join(self, other: Content) -> Content {
        match (self, other) {
            (a, b) if a == b => a,
            (Bottom, x) | (x, Bottom) => x,
            (Whole { ty, narrowed: n }, Whole { ty: t, narrowed: m }) if ty == t => Whole { ty, narrowed: n || m },
            (Plain, x @ (Whole { .. } | Half | Quant | Exponent))
            | (x @ (Whole { .. } | Half | Quant | Exponent), Plain) => x,
            (Piece { ty, narrowed, at, len, of: a }, Piece { ty: t, at: o, len: l, of: b, .. })
                if (ty, at, len) == (t, o, l) =>
            {
                Piece { ty, narrowed, at, len, of: number(&[a.min(b), a.max(b)]) }
            }
            (Quant | Exponent | Power, Quant | Exponent | Power) => Quant,
            _ => Lost,
        }
    }
}

fn number(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// A result, or how the instruction loses what it takes.
type Result = std::result::Result<Content, &'static str>;

pub(super) struct Contents<'f, 'k> {
    pub(super) flow: &'f Flow<'k>,
    wanted: &'f Requirements,
    of: Vec<Content>,
    /// Results that are float integers with their remainders: see [`Contents::reduces`].
    integers: HashSet<DefId>,
    lost: BTreeMap<u32, &'static str>,
    /// Roundings to 16 bits whose results a cache holds: data from then on.
    cached: HashSet<u32>,
}

/// Instructions on the way to an output that lose bits of what was computed, and how.
pub(super) fn losses(flow: &Flow<'_>, wanted: &Requirements) -> Vec<(InstId, &'static str)> {
    let bottom = vec![Bottom; flow.info.defuse.def_count()];
    let mut all =
        Contents { flow, wanted, of: bottom, integers: HashSet::new(), lost: BTreeMap::new(), cached: cached(flow) };
    all.find_integers();
    // Contents only fall; the bound is for numbers of pieces that go around a loop.
    for round in 0.. {
        let kept = Kept::new(&all);
        if !all.settle(&kept, round > 30) || round > 60 {
            let way = kept.way(flow);
            return all.lost.iter().filter(|(i, _)| way[**i as usize]).map(|(&i, &how)| (InstId(i), how)).collect();
        }
    }
    Vec::new()
}

impl Contents<'_, '_> {
    /// What reaches a register operand.
    pub(super) fn reg(&self, id: InstId, r: Reg) -> Content {
        if r.class == RegClass::Pred {
            return Plain;
        }
        self.flow.info.defuse.reaching(id, r).iter().fold(Bottom, |all, d| all.join(self.of[d.index()]))
    }

    fn operand(&self, id: InstId, operand: &Operand) -> Content {
        match operand {
            Operand::Reg(r) => self.reg(id, *r),
            _ => Plain,
        }
    }

    /// The contents of the operands in the slots `pick`ed.
    pub(super) fn sources(&self, id: InstId, inst: &Inst, pick: impl Fn(&str) -> bool) -> SmallVec<[Content; 6]> {
        let read = inst.slots().filter(|(s, _)| {
            s.access == Access::Read && pick(s.name) && !matches!(s.shape, crate::table::Shape::Address(_))
        });
        read.flat_map(|(_, ops)| ops.iter().map(|op| self.operand(id, op))).collect()
    }

    /// What tells an operand's value from others.
    fn identity(&self, id: InstId, operand: &Operand) -> u64 {
        match operand {
            Operand::Reg(r) | Operand::NotPred(r) => {
                let mut defs: SmallVec<[u32; 8]> = self.flow.info.defuse.reaching(id, *r).iter().map(|d| d.0).collect();
                defs.sort_unstable();
                number(&(matches!(operand, Operand::NotPred(_)), &defs[..]))
            }
            other => number(other),
        }
    }

    fn settle(&mut self, kept: &Kept, late: bool) -> bool {
        let mut changed = false;
        for &b in self.flow.info.cfg.order() {
            for at in self.flow.info.cfg.inst_id(b, 0).0..self.flow.info.cfg.inst_end(b).0 {
                let id = InstId(at);
                let inst = self.flow.nodes[at as usize].inst;
                let (results, how) = self.results(id, inst, kept);
                // What a loop brings back lost stays lost here.
                match how {
                    Some(how) => drop(self.lost.insert(at, how)),
                    None if !results.contains(&Lost) => drop(self.lost.remove(&at)),
                    None => {}
                }
                let defs: SmallVec<[DefId; 4]> = self.flow.info.defuse.defs(id).collect();
                for (def, result) in defs.into_iter().zip(results) {
                    let old = self.of[def.index()];
                    let new = match (old, result) {
                        // Their numbers change as what they are made of does.
                        (Piece { at, len, .. }, Piece { at: a, len: l, .. }) if (at, len) == (a, l) && !late => result,
                        _ => old.join(result),
                    };
                    changed |= new != old;
                    self.of[def.index()] = new;
                }
            }
        }
        changed
    }

    /// The contents of an instruction's results, and how it loses something.
    fn results(&self, id: InstId, inst: &Inst, kept: &Kept) -> (SmallVec<[Content; 4]>, Option<&'static str>) {
        let defs: SmallVec<[Reg; 4]> = inst.defs().collect();
        let all = |content| defs.iter().map(|r| if r.class == RegClass::Pred { Plain } else { content }).collect();
        if matches!(inst.form().op, Op::Unpack | Op::Unpack4) {
            return (self.unpack(id, inst, defs.len()), None);
        }
        // What is lost already is told where that happened.
        let number = |s: &str| inst.form().op != Op::ShflSync || s == "a";
        if self.sources(id, inst, number).contains(&Lost) {
            return (all(Lost), None);
        }
        match self.result(id, inst, kept) {
            Ok(content) => (all(content), None),
            Err(how) => (all(Lost), Some(how)),
        }
    }

    fn unpack(&self, id: InstId, inst: &Inst, pieces: usize) -> SmallVec<[Content; 4]> {
        let source = inst.operands.last().copied().unwrap_or(Operand::None);
        let count = inst.slots().next().map_or(1, |(s, _)| s.width()) as u32;
        let content = match self.operand(id, &source) {
            Whole { ty, narrowed } => {
                let (len, of) = (ty.bytes() / count.max(1), self.identity(id, &source));
                // Unused pieces have no result, so that results are told by their places.
                let places = inst.operands.iter().take(count as usize).enumerate();
                return places
                    .filter(|(_, op)| matches!(op, Operand::Reg(_)))
                    .map(|(i, _)| Piece { ty, narrowed, at: i as u32 * len, len, of })
                    .collect();
            }
            Piece { .. } => Lost,
            other => other,
        };
        std::iter::repeat_n(content, pieces).collect()
    }

    fn result(&self, id: InstId, inst: &Inst, kept: &Kept) -> Result {
        let form = inst.form();
        let sources = self.sources(id, inst, |_| true);
        let computed = sources.iter().any(|c| c.is_computed());
        let of_float = type_of(form).is_some_and(is_float);
        match form.op {
            _ if memory(inst).is_some() => return self.through_memory(id, inst, kept),
            _ if arithmetic_of(form).is_some() => return self.arithmetic(inst, &sources),
            Op::Cvt => return self.convert(id, inst),
            Op::Mov => {
                let to_float = inst.defs().any(|r| matches!(r.class, RegClass::F32 | RegClass::F64));
                return Ok(match sources.first() {
                    Some(Power) if to_float => Whole { ty: type_of_class(inst), narrowed: false },
                    Some(content) => *content,
                    None => Plain,
                });
            }
            Op::Pack | Op::Pack4 => return pack(&sources),
            Op::ShflSync => {
                let moved = self.sources(id, inst, |s| s == "a").first().copied().unwrap_or(Plain);
                return Ok(match moved {
                    Piece { ty, narrowed, at, len, of } => {
                        let from: SmallVec<[u64; 4]> =
                            (inst.slots().filter(|(s, _)| s.access == Access::Read && s.name != "a"))
                                .flat_map(|(_, ops)| ops.iter().map(|op| self.identity(id, op)))
                                .collect();
                        Piece { ty, narrowed, at, len, of: number(&(of, form.id.index(), &from[..])) }
                    }
                    other => other,
                });
            }
            Op::Selp => return self.select(id, inst),
            Op::Neg | Op::Abs | Op::Min | Op::Max if of_float => {
                let all = sources.iter().fold(Bottom, |all, c| all.join(*c));
                return match all {
                    Whole { ty, .. } if Some(ty) == type_of(form) => Ok(all),
                    _ if computed => Err("takes something else than whole floats of its type"),
                    _ => Ok(all),
                };
            }
            _ => {}
        }
        // What is left gives numbers only of what was not computed.
        if matches!(form.meaning, Meaning::Async(Async::Copy | Async::BulkLoad)) {
            return Ok(Plain);
        }
        if inst.defs().all(|r| r.class == RegClass::Pred) {
            return Ok(Plain);
        }
        if computed {
            return Err("takes a computed float apart, or its bits as a number");
        }
        if matches!(form.meaning, Meaning::Matrix(_))
            && form.slots.iter().any(|s| matches!(s.shape, crate::table::Shape::Address(_)))
        {
            return self.through_memory(id, inst, kept);
        }
        let constants = inst.operands.iter().any(|op| matches!(op, Operand::Imm(_)));
        Ok(match sources.iter().fold(Bottom, |all, c| all.join(*c)) {
            Exponent | Quant if multiplies_integers(form) && !constants => Plain,
            Exponent if form.op == Op::Shl && matches!(inst.operands.last(), Some(Operand::Imm(20 | 23))) => Power,
            Exponent if matches!(form.op, Op::Add | Op::Sub | Op::Shr | Op::Shl) => Exponent,
            Exponent | Power | Quant => Quant,
            _ => Plain,
        })
    }

    fn arithmetic(&self, inst: &Inst, sources: &[Content]) -> Result {
        let form = inst.form();
        let ty = type_of(form).unwrap_or(ScalarType::F32);
        if form.mods.iter().any(|m| matches!(m, Mod::Rz | Mod::Rm | Mod::Rp)) {
            return Err("rounds a sum or product otherwise than to nearest even (.rn)");
        }
        if form.mods.iter().any(|m| matches!(m, Mod::Sat | Mod::Relu)) {
            return Err("saturates what it computes");
        }
        let fits = |c: &Content| match c {
            Whole { ty: of, .. } => *of == ty,
            // A power of two may stay in the register that it was made in.
            Bottom | Plain | Power => true,
            _ => false,
        };
        if !sources.iter().all(fits) {
            return Err("computes with what is not a whole float of its type");
        }
        Ok(if matches!(ty, ScalarType::F32 | ScalarType::F64) { Whole { ty, narrowed: false } } else { Plain })
    }

    fn convert(&self, id: InstId, inst: &Inst) -> Result {
        let form = inst.form();
        let content = self.sources(id, inst, |_| true).iter().fold(Bottom, |all, c| all.join(*c));
        let Some((to, from)) = converted(form) else {
            return if content.is_computed() {
                Err("converts a computed float in a way that is not followed")
            } else {
                Ok(Plain)
            };
        };
        if is_float(to) && !is_float(from) && matches!(content, Quant | Exponent | Power) {
            return Err("makes a float of the integer that a float was rounded to");
        }
        let Whole { ty, narrowed } = content else {
            return match content {
                _ if content.is_computed() => Err("converts a part of a computed float, or its bits as a number"),
                Quant | Exponent | Power if is_float(to) == is_float(from) => Ok(Quant),
                _ => Ok(Plain),
            };
        };
        if from != ty {
            return Err("takes the bits of a computed float as a number");
        }
        let rounds_to_integer = form.mods.iter().any(|m| matches!(m, Mod::Rni | Mod::Rzi | Mod::Rmi | Mod::Rpi));
        let all_integers = || {
            let defs = inst.uses().flat_map(|r| self.flow.info.defuse.reaching(id, r));
            defs.into_iter().all(|d| self.integers.contains(d))
        };
        if form.mods.iter().any(|m| matches!(m, Mod::Sat | Mod::Satfinite | Mod::Relu)) {
            return Err("saturates a computed float");
        }
        match (from, to) {
            (a, b) if a == b && !rounds_to_integer => Ok(content),
            (a, b) if a == b => {
                let reduced = self.flow.info.defuse.defs(id).all(|d| self.integers.contains(&d));
                if reduced { Ok(content) } else { Err("rounds a computed float to an integer") }
            }
            (ScalarType::F32, ScalarType::F64) => {
                if narrowed && self.wanted.accumulator != Some(Accumulator::F64) {
                    return Err("goes on in f64 with what was rounded to f32 in the middle of a computation");
                }
                Ok(Whole { ty: to, narrowed: false })
            }
            (ScalarType::F64, ScalarType::F32) if form.mods.contains(&Mod::Rn) => Ok(Whole { ty: to, narrowed: true }),
            (ScalarType::F64, ScalarType::F32) => Err("rounds to f32 otherwise than to nearest even (.rn)"),
            _ if self.cached.contains(&id.0) => Ok(Plain),
            (_, ScalarType::F16 | ScalarType::Bf16 | ScalarType::F16x2 | ScalarType::Bf16x2) => Ok(Half),
            (_, to) if is_float(to) => Err("rounds a computed float to a narrower type"),
            _ if all_integers() => Ok(Exponent),
            _ if self.wanted.activations == Some(ActivationFormat::Q8K) => Ok(Quant),
            _ => Err("rounds a computed float to an integer"),
        }
    }

    fn select(&self, id: InstId, inst: &Inst) -> Result {
        let of = |slot: &str| self.sources(id, inst, |s| s == slot).first().copied().unwrap_or(Plain);
        let identities = || {
            let operands = inst.slots().filter(|(s, _)| s.access == Access::Read).flat_map(|(_, ops)| ops);
            operands.map(|op| self.identity(id, op)).collect::<SmallVec<[u64; 4]>>()
        };
        Ok(match (of("a"), of("b")) {
            (Piece { ty, narrowed, at, len, of: a }, Piece { ty: t, at: o, len: l, of: b, .. })
                if (ty, at, len) == (t, o, l) =>
            {
                let condition = identities().last().copied();
                Piece { ty, narrowed, at, len, of: number(&(a, b, condition)) }
            }
            (a, b) => match a.join(b) {
                Lost => return Err("selects between a computed float and something else"),
                both => both,
            },
        })
    }

    fn through_memory(&self, id: InstId, inst: &Inst, kept: &Kept) -> Result {
        let node = &self.flow.nodes[id.0 as usize];
        let Some((m, writes)) = memory(inst) else {
            return if kept.is_computed(node.origin) { Err("loads pieces of computed floats") } else { Ok(Plain) };
        };
        let values = self.sources(id, inst, |_| true);
        if let Meaning::Atomic(..) = inst.form().meaning {
            let computed = values.iter().any(|c| c.is_computed()) || kept.is_computed(node.origin);
            return if computed {
                Err("changes a computed float in memory in one step with others")
            } else {
                Ok(Plain)
            };
        }
        if !writes {
            let float = inst.defs().any(|r| matches!(r.class, RegClass::F32 | RegClass::F64));
            return kept.load(m, node.origin, float);
        }
        let role = self.flow.role(node.origin);
        for value in values {
            match value {
                Whole { ty, .. } if ty.bytes() == m.ty.bytes() => {}
                Half if role == Role::HalfOutput => {}
                value if value.is_computed() => {
                    return Err("stores a part of a computed float, or rounds it as it is stored");
                }
                _ => {}
            }
        }
        Ok(Plain)
    }

    /// Finds floats that are rounded to an integer of which the remainder is computed too, as the
    /// argument of an exponential is: nothing of them is lost.
    fn find_integers(&mut self) {
        let mut uses: HashMap<DefId, SmallVec<[(InstId, Reg); 2]>> = HashMap::new();
        for (id, _) in self.flow.numbered() {
            for (r, defs) in self.flow.info.defuse.uses(id) {
                defs.iter().for_each(|d| uses.entry(*d).or_default().push((id, r)));
            }
        }
        let mut found = HashSet::new();
        for (id, node) in self.flow.numbered() {
            let same = converted(node.inst.form()).is_some_and(|(to, from)| to == from && is_float(to));
            if same && node.inst.form().mods.contains(&Mod::Rni) {
                found.extend(self.reduces(id, node.inst, &uses).into_iter().flatten());
            }
        }
        self.integers = found;
    }

    /// The integer, its negation and copies, if they are used for remainders and exponents only.
    fn reduces(
        &self,
        id: InstId,
        inst: &Inst,
        uses: &HashMap<DefId, SmallVec<[(InstId, Reg); 2]>>,
    ) -> Option<Vec<DefId>> {
        let du = &self.flow.info.defuse;
        let inst_of = |d: DefId| self.flow.nodes[du.inst(d).0 as usize].inst;
        let reg = |inst: &Inst, slot: &str| {
            inst.slots().find(|(s, _)| s.name == slot).and_then(|(_, ops)| match ops.first() {
                Some(Operand::Reg(r)) => Some(*r),
                _ => None,
            })
        };
        let argument = du.reaching(id, reg(inst, "a")?);
        // Where it was multiplied by a constant first, the remainder is of what was multiplied.
        let before: &[DefId] = match argument {
            [one] if inst_of(*one).form().op == Op::Mul => du.reaching(du.inst(*one), reg(inst_of(*one), "a")?),
            _ => &[],
        };
        let (mut integers, mut remainders): (Vec<DefId>, Vec<DefId>) = (du.defs(id).collect(), Vec::new());
        let mut at = 0;
        while at < integers.len() {
            for &(user, r) in uses.get(&integers[at]).map_or(&[][..], |u| &u[..]) {
                let by = self.flow.nodes[user.0 as usize].inst;
                let form = by.form();
                // Another value may come in the same register.
                if du.reaching(user, r).len() != 1 {
                    return None;
                }
                let of = |slot: &str| reg(by, slot).map_or(&[][..], |r| du.reaching(user, r));
                match form.op {
                    Op::Neg | Op::Mov => integers.extend(du.defs(user)),
                    Op::Sub if of("a") == argument && reg(by, "b") == Some(r) => remainders.extend(du.defs(user)),
                    Op::Fma
                        if of("c") == before
                            || of("c").iter().all(|d| remainders.contains(d)) && !of("c").is_empty() =>
                    {
                        remainders.extend(du.defs(user));
                    }
                    Op::Cvt if converted(form).is_some_and(|(to, _)| !is_float(to)) => {}
                    _ => return None,
                }
            }
            at += 1;
        }
        (!remainders.is_empty()).then_some(integers)
    }
}

/// Roundings to f16 whose results are stored as they are, to outputs that are halves.
fn cached(flow: &Flow<'_>) -> HashSet<u32> {
    let stores = |n: &&super::flow::Node<'_>| {
        memory(n.inst).is_some_and(|(_, writes)| writes) && flow.role(n.origin) == Role::HalfOutput
    };
    let mut work: Vec<u32> = flow.nodes.iter().filter(stores).flat_map(|n| n.sources.iter().copied()).collect();
    let (mut seen, mut found) = (HashSet::new(), HashSet::new());
    while let Some(i) = work.pop() {
        let node = &flow.nodes[i as usize];
        if !seen.insert(i) {
            continue;
        }
        match converted(node.inst.form()) {
            Some((ScalarType::F16, ScalarType::F32)) if node.inst.form().mods.contains(&Mod::Rn) => {
                found.insert(i);
            }
            Some((to, from)) if is_float(to) || is_float(from) => {}
            _ if arithmetic_of(node.inst.form()).is_some() => {}
            _ => work.extend(&node.sources),
        }
    }
    found
}

fn type_of_class(inst: &Inst) -> ScalarType {
    if inst.defs().any(|r| r.class == RegClass::F64) { ScalarType::F64 } else { ScalarType::F32 }
}

/// Pieces of one value, all of them and in order, are the value.
fn pack(sources: &[Content]) -> Result {
    if let Some(Piece { ty, of, .. }) = sources.first().copied() {
        let (mut next, mut rounded) = (0, false);
        for source in sources {
            match *source {
                Piece { ty: t, narrowed, at, len, of: o } if (t, at, o) == (ty, next, of) => {
                    next += len;
                    rounded |= narrowed;
                }
                _ => return Err("joins pieces of different values, or not in their order"),
            }
        }
        return if next == ty.bytes() {
            Ok(Whole { ty, narrowed: rounded })
        } else {
            Err("joins some pieces of a value")
        };
    }
    match sources {
        [Plain | Bottom, Power] => Ok(Power),
        all if all.iter().all(|c| matches!(c, Half)) => Ok(Half),
        all if all.iter().any(|c| c.is_computed()) => Err("joins computed floats with something else"),
        all => Ok(all.iter().fold(Bottom, |all, c| all.join(*c))),
    }
}

/// The types to and from of a conversion.
fn converted(form: &Form) -> Option<(ScalarType, ScalarType)> {
    let mut types = form.mods.iter().filter_map(|m| if let Mod::Ty(t) = m { Some(*t) } else { None });
    (form.op == Op::Cvt).then_some((types.next()?, types.next()?))
}

/// The type that float arithmetic computes in.
fn arithmetic_of(form: &Form) -> Option<ScalarType> {
    let computes = matches!(
        form.op,
        Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Fma
            | Op::Mad
            | Op::Div
            | Op::Rcp
            | Op::Sqrt
            | Op::Rsqrt
            | Op::Sin
            | Op::Cos
            | Op::Lg2
            | Op::Ex2
            | Op::Tanh
    );
    type_of(form).filter(|&t| computes && is_float(t))
}

fn multiplies_integers(form: &Form) -> bool {
    let multiplies = matches!(form.op, Op::Dp4a | Op::Dp2a | Op::Mul | Op::Mad | Op::Mul24 | Op::Mad24);
    matches!(form.meaning, Meaning::Matrix(Matrix::IntMma { .. })) || multiplies && arithmetic_of(form).is_none()
}
