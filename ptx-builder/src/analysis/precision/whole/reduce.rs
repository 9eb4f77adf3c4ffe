//! Floats that are rounded to an integer of which the remainder is computed too, as the argument
//! of an exponential is, and multiplied by the integer's power on every path: nothing of them is lost.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::content::Id;
use super::names::Names;
use crate::analysis::precision::flow::Flow;
use crate::analysis::precision::tags::is_float;
use crate::analysis::{DefId, InstId};
use crate::ir::{Inst, Operand, Reg};
use crate::table::{Precision, Real, Rounding};
use crate::types::RegClass;

type Uses = HashMap<DefId, SmallVec<[(InstId, Reg); 2]>>;

/// The names of what instructions read from registers.
pub(super) type Read = HashMap<(InstId, Reg), Id>;

/// Whether an instruction rounds a float to an integral one.
pub(super) fn is_integral(inst: &Inst) -> bool {
    matches!(
        inst.form().precision,
        Precision::Converts { from, to, mode: Some(Rounding::NearestEven), .. } if from == to && is_float(to)
    )
}

/// Every result that is such an integer, as a float.
pub(super) fn integers(flow: &Flow<'_>, names: &Names, read: &Read) -> HashSet<DefId> {
    let mut uses: Uses = HashMap::new();
    for (id, _) in flow.numbered() {
        for (r, defs) in flow.info.defuse.uses(id) {
            defs.iter().for_each(|d| uses.entry(*d).or_default().push((id, r)));
        }
    }
    let search = Search { flow, names, read, uses };
    let integral = flow.numbered().filter(|(_, n)| is_integral(n.inst));
    integral.filter_map(|(id, n)| search.reduces(id, n.inst)).flatten().collect()
}

struct Search<'s, 'k> {
    flow: &'s Flow<'k>,
    names: &'s Names,
    read: &'s Read,
    uses: Uses,
}

fn reg(inst: &Inst, slot: &str) -> Option<Reg> {
    inst.slots().find(|(s, _)| s.name == slot).and_then(|(_, ops)| match ops.first() {
        Some(Operand::Reg(r)) => Some(*r),
        _ => None,
    })
}

impl Search<'_, '_> {
    /// The name of the contents of a slot.
    fn of(&self, id: InstId, inst: &Inst, slot: &str) -> Option<Id> {
        self.read.get(&(id, reg(inst, slot)?)).copied().filter(|id| *id != Id::NONE)
    }

    /// The integer, its negation and copies, if they are used for remainders and exponents only.
    fn reduces(&self, id: InstId, inst: &Inst) -> Option<Vec<DefId>> {
        let du = &self.flow.info.defuse;
        let argument = self.of(id, inst, "a")?;
        // Where it was multiplied by a constant first, the remainder is of what was multiplied.
        let before = self.names.def(argument).and_then(|d| {
            let at = du.inst(d);
            let by = self.flow.nodes[at.0 as usize].inst;
            (by.form().precision.real() == Some(Real::Mul)).then(|| self.of(at, by, "a")).flatten()
        });
        let (mut integers, mut remainders): (Vec<DefId>, Vec<Id>) = (du.defs(id).collect(), Vec::new());
        let (mut rests, mut exponents): (Vec<DefId>, Vec<DefId>) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < integers.len() {
            for &(user, r) in self.uses.get(&integers[at]).map_or(&[][..], |u| &u[..]) {
                let by = self.flow.nodes[user.0 as usize].inst;
                // Another value may come in the same register.
                if du.reaching(user, r).len() != 1 {
                    return None;
                }
                let of = |slot: &str| self.of(user, by, slot);
                let results = || du.defs(user).filter_map(|d| self.names.of_def(d));
                match by.form().precision {
                    Precision::Moves | Precision::Exact { real: Real::Neg, .. } => integers.extend(du.defs(user)),
                    Precision::Rounds { real: Real::Sub, .. }
                        if of("a") == Some(argument) && reg(by, "b") == Some(r) =>
                    {
                        remainders.extend(results());
                        rests.extend(du.defs(user));
                    }
                    Precision::Rounds { real: Real::Fma, .. } => {
                        let c = of("c")?;
                        if before != Some(c) && !remainders.contains(&c) {
                            return None;
                        }
                        remainders.extend(results());
                        rests.extend(du.defs(user));
                    }
                    Precision::Converts { to, .. } if !is_float(to) => exponents.extend(du.defs(user)),
                    Precision::Nothing
                    | Precision::Integer
                    | Precision::IntegerProduct
                    | Precision::Compares
                    | Precision::Bits(_)
                    | Precision::Selects
                    | Precision::Exact { .. }
                    | Precision::Rounds { .. }
                    | Precision::Approximates { .. }
                    | Precision::Converts { .. }
                    | Precision::Loads
                    | Precision::Stores
                    | Precision::Updates { .. }
                    | Precision::Copies
                    | Precision::Lanes
                    | Precision::MatrixProduct { .. }
                    | Precision::Opaque => return None,
                }
            }
            at += 1;
        }
        (!remainders.is_empty() && self.scales(exponents, &self.made_of(rests))).then_some(integers)
    }

    /// Whether a register is made of remainders, whatever way led here.
    fn is_made(&self, id: InstId, r: Reg, made: &HashSet<DefId>) -> bool {
        let defs = self.flow.info.defuse.reaching(id, r);
        !defs.is_empty() && defs.iter().all(|d| made.contains(d))
    }

    /// What is made of remainders on every path: not what may be selected instead.
    fn made_of(&self, rests: Vec<DefId>) -> HashSet<DefId> {
        let mut made: HashSet<DefId> = rests.iter().copied().collect();
        let mut work = rests;
        while let Some(def) = work.pop() {
            for &(user, _) in self.uses.get(&def).map_or(&[][..], |u| &u[..]) {
                if self.keeps(user, &made) {
                    work.extend(self.flow.info.defuse.defs(user).filter(|d| made.insert(*d)));
                }
            }
        }
        made
    }

    fn keeps(&self, id: InstId, made: &HashSet<DefId>) -> bool {
        let inst = self.flow.nodes[id.0 as usize].inst;
        let of = |slot: &str| reg(inst, slot).is_some_and(|r| self.is_made(id, r, made));
        match inst.form().precision {
            Precision::Selects | Precision::Exact { real: Real::Min | Real::Max | Real::Magnitude, .. } => {
                of("a") && of("b")
            }
            Precision::Exact { real: Real::Copysign, .. } => of("b"),
            Precision::Moves
            | Precision::Exact { .. }
            | Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Converts { .. }
            | Precision::Lanes
            | Precision::Bits(_) => inst.uses().any(|r| self.is_made(id, r, made)),
            Precision::Nothing
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Compares
            | Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::MatrixProduct { .. }
            | Precision::Opaque => false,
        }
    }

    /// Whether every power that comes of these exponents multiplies what is made of remainders. Other uses of the integers are
    /// seen by their contents.
    fn scales(&self, exponents: Vec<DefId>, made: &HashSet<DefId>) -> bool {
        let du = &self.flow.info.defuse;
        let mut seen: HashSet<DefId> = exponents.iter().copied().collect();
        let mut work = exponents;
        while let Some(def) = work.pop() {
            for &(user, r) in self.uses.get(&def).map_or(&[][..], |u| &u[..]) {
                let by = self.flow.nodes[user.0 as usize].inst;
                let is_power = matches!(r.class, RegClass::F32 | RegClass::F64);
                let other = if reg(by, "a") == Some(r) { "b" } else { "a" };
                let meets = || reg(by, other).is_some_and(|o| self.is_made(user, o, made));
                let goes_on = match by.form().precision {
                    Precision::Integer | Precision::IntegerProduct | Precision::Bits(_) | Precision::Selects
                        if !is_power =>
                    {
                        true
                    }
                    Precision::Moves | Precision::Exact { real: Real::Neg, .. } => true,
                    Precision::Rounds { real: Real::Mul, .. } if is_power => !meets(),
                    Precision::Rounds { real: Real::Fma, .. } if is_power && reg(by, "c") != Some(r) && meets() => {
                        false
                    }
                    Precision::Compares | Precision::Nothing => false,
                    Precision::Integer
                    | Precision::IntegerProduct
                    | Precision::Bits(_)
                    | Precision::Selects
                    | Precision::Exact { .. }
                    | Precision::Rounds { .. }
                    | Precision::Approximates { .. }
                    | Precision::Converts { .. }
                    | Precision::Loads
                    | Precision::Stores
                    | Precision::Updates { .. }
                    | Precision::Copies
                    | Precision::Lanes
                    | Precision::MatrixProduct { .. }
                    | Precision::Opaque => {
                        if is_power {
                            return false;
                        }
                        false
                    }
                };
                if goes_on {
                    work.extend(du.defs(user).filter(|d| seen.insert(*d)));
                }
            }
        }
        true
    }
}
