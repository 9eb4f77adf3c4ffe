//! Floats that are rounded to an integer of which the remainder is computed too, as the argument
//! of an exponential is: nothing of them is lost.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use crate::analysis::precision::flow::Flow;
use crate::analysis::precision::tags::is_float;
use crate::analysis::{DefId, InstId};
use crate::ir::{Inst, Operand, Reg};
use crate::table::{Precision, Real, Rounding};

type Uses = HashMap<DefId, SmallVec<[(InstId, Reg); 2]>>;

/// Every result that is such an integer, as a float.
pub(super) fn integers(flow: &Flow<'_>) -> HashSet<DefId> {
    let mut uses: Uses = HashMap::new();
    for (id, _) in flow.numbered() {
        for (r, defs) in flow.info.defuse.uses(id) {
            defs.iter().for_each(|d| uses.entry(*d).or_default().push((id, r)));
        }
    }
    let mut found = HashSet::new();
    for (id, node) in flow.numbered() {
        if let Precision::Converts { from, to, mode: Some(Rounding::NearestEven), .. } = node.inst.form().precision
            && from == to
            && is_float(to)
        {
            found.extend(reduces(flow, id, node.inst, &uses).into_iter().flatten());
        }
    }
    found
}

fn reg(inst: &Inst, slot: &str) -> Option<Reg> {
    inst.slots().find(|(s, _)| s.name == slot).and_then(|(_, ops)| match ops.first() {
        Some(Operand::Reg(r)) => Some(*r),
        _ => None,
    })
}

/// What a value is a copy of, through moves and choices between one and itself.
fn original(flow: &Flow<'_>, mut defs: SmallVec<[DefId; 2]>) -> SmallVec<[DefId; 2]> {
    let du = &flow.info.defuse;
    // Copies go around no loop without a definition that has two sources.
    for _ in 0..16 {
        let [one] = defs[..] else { break };
        let at = du.inst(one);
        let inst = flow.nodes[at.0 as usize].inst;
        let from = |slot: &str| reg(inst, slot).map(|r| SmallVec::from_slice(du.reaching(at, r)));
        let next: Option<SmallVec<[DefId; 2]>> = match inst.form().precision {
            _ if inst.guard.is_some() => None,
            Precision::Moves => from("a"),
            Precision::Selects | Precision::Exact { real: Real::Min | Real::Max, .. }
                if reg(inst, "a") == reg(inst, "b") =>
            {
                from("a")
            }
            Precision::Exact { real: Real::Neg, .. } => from("a").and_then(|of| {
                // Twice negated.
                let [inner] = of[..] else { return None };
                let at = du.inst(inner);
                let inst = flow.nodes[at.0 as usize].inst;
                let negates = matches!(inst.form().precision, Precision::Exact { real: Real::Neg, .. });
                (negates && inst.guard.is_none())
                    .then(|| reg(inst, "a"))
                    .flatten()
                    .map(|r| SmallVec::from_slice(du.reaching(at, r)))
            }),
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
            | Precision::Opaque => None,
        };
        match next {
            Some(next) if !next.is_empty() => defs = next,
            _ => break,
        }
    }
    defs
}

/// The integer, its negation and copies, if they are used for remainders and exponents only.
fn reduces(flow: &Flow<'_>, id: InstId, inst: &Inst, uses: &Uses) -> Option<Vec<DefId>> {
    let du = &flow.info.defuse;
    let inst_of = |d: DefId| flow.nodes[du.inst(d).0 as usize].inst;
    let reaching = |at: InstId, r: Reg| original(flow, SmallVec::from_slice(du.reaching(at, r)));
    let argument = reaching(id, reg(inst, "a")?);
    let real = |inst: &Inst| inst.form().precision.real();
    // Where it was multiplied by a constant first, the remainder is of what was multiplied.
    let before = match argument[..] {
        [one] if real(inst_of(one)) == Some(Real::Mul) => reaching(du.inst(one), reg(inst_of(one), "a")?),
        _ => SmallVec::new(),
    };
    let (mut integers, mut remainders): (Vec<DefId>, Vec<DefId>) = (du.defs(id).collect(), Vec::new());
    let mut at = 0;
    while at < integers.len() {
        for &(user, r) in uses.get(&integers[at]).map_or(&[][..], |u| &u[..]) {
            let by = flow.nodes[user.0 as usize].inst;
            // Another value may come in the same register.
            if du.reaching(user, r).len() != 1 {
                return None;
            }
            let of = |slot: &str| reg(by, slot).map_or_else(SmallVec::new, |r| reaching(user, r));
            match by.form().precision {
                Precision::Moves | Precision::Exact { real: Real::Neg, .. } => integers.extend(du.defs(user)),
                Precision::Rounds { real: Real::Sub, .. } if of("a") == argument && reg(by, "b") == Some(r) => {
                    remainders.extend(du.defs(user));
                }
                Precision::Rounds { real: Real::Fma, .. } => {
                    let of = of("c");
                    let before = !before.is_empty() && of == before;
                    if !before && (of.is_empty() || !of.iter().all(|d| remainders.contains(d))) {
                        return None;
                    }
                    remainders.extend(du.defs(user));
                }
                Precision::Converts { to, .. } if !is_float(to) => {}
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
    (!remainders.is_empty()).then_some(integers)
}
