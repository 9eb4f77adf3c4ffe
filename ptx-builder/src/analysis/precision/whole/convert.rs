//! Conversions.

use std::collections::HashSet;

use super::content::{Content, Float, Value};
use super::transfer::{Source, any_computed, joined};
use super::{Contents, Loss};
use crate::analysis::precision::flow::{Flow, Node};
use crate::analysis::precision::tags::is_float;
use crate::analysis::precision::{Accumulator, Role};
use crate::analysis::{DefId, InstId};
use crate::ir::{Inst, Operand};
use crate::table::{Precision, Rounding};
use crate::types::ScalarType::{self, F16, F32, F64};

impl Contents<'_, '_> {
    pub(super) fn convert(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Result<Value, Loss> {
        let Precision::Converts { from, to, mode, integral, clamp } = inst.form().precision else {
            return Err(Loss::Unknown);
        };
        let own = self.own(id, 0);
        let computed = any_computed(sources);
        let all = joined(sources);
        let content = match (is_float(from), is_float(to)) {
            (false, false) if computed => {
                return self.bytes_moved(id, inst, sources);
            }
            (false, false) => match all {
                Content::Plain => Content::Plain,
                _ => Content::Quant,
            },
            (false, true) if computed => return Err(Loss::BitsConverted),
            (false, true) => match all {
                Content::Quant | Content::Exponent | Content::Power => return Err(Loss::Back),
                _ if mode.is_some_and(|m| m != Rounding::NearestEven) => return Err(Loss::Directed),
                _ if matches!(to, F32 | F64) => Content::Whole(Float { ty: to, narrowed: false }),
                _ => Content::Plain,
            },
            (true, _) if computed => {
                let Content::Whole(float) = all else { return Err(Loss::PartConverted) };
                if clamp.is_some() {
                    return Err(Loss::Clamped);
                }
                if float.ty == from && to == from && !integral {
                    return sources.first().map(|s| s.value).ok_or(Loss::Unknown);
                }
                self.of_float(id, sources, float, (from, to), mode)?
            }
            (true, true) if from == to => all,
            (true, _) => match all {
                Content::Plain | Content::Power => Content::Plain,
                _ => Content::Quant,
            },
        };
        Ok(Value { content, id: own })
    }

    /// A whole float in another type, or rounded to an integral value.
    fn of_float(
        &mut self,
        id: InstId,
        sources: &[Source],
        float: Float,
        (from, to): (ScalarType, ScalarType),
        mode: Option<Rounding>,
    ) -> Result<Content, Loss> {
        if float.ty != from {
            return Err(Loss::BitsConverted);
        }
        let nearest = mode == Some(Rounding::NearestEven);
        match (from, to) {
            (a, b) if a == b => {
                let reduced = self.flow.info.defuse.defs(id).all(|d| self.is_integer(d));
                if reduced { Ok(Content::Whole(float)) } else { Err(Loss::Integer) }
            }
            (F32, F64) if float.narrowed && self.wanted.accumulator != Some(Accumulator::F64) => Err(Loss::Widened),
            (F32, F64) => Ok(Content::Whole(Float { ty: to, narrowed: false })),
            (F64, F32) if nearest => match self.flow.decoded(self.tags[id.0 as usize]) {
                Some(factor) => Err(Loss::Decoded(factor.name)),
                None => Ok(Content::Whole(Float { ty: to, narrowed: true })),
            },
            (F64, F32) => Err(Loss::Narrowed),
            (_, to) if is_float(to) => {
                let halves = to.bits() == 16 || matches!(to, ScalarType::F16x2 | ScalarType::Bf16x2);
                if self.cached.contains(&id.0) {
                    Ok(Content::Plain)
                } else if nearest && halves {
                    Ok(Content::Half)
                } else {
                    Err(Loss::OtherType)
                }
            }
            _ if self.all_integers(id, sources) => Ok(Content::Exponent),
            _ if self.wanted.meets_as_integers() => Ok(Content::Quant),
            _ => Err(Loss::Integer),
        }
    }

    fn is_integer(&self, def: DefId) -> bool {
        self.integers.as_ref().is_none_or(|all| all.contains(&def))
    }

    /// Whether every float that is converted is an integer already, and its remainder is used.
    fn all_integers(&self, id: InstId, sources: &[Source]) -> bool {
        let of = |s: &Source| match s.operand {
            Operand::Reg(r) => self.flow.info.defuse.reaching(id, r),
            _ => &[],
        };
        sources.iter().all(|s| !of(s).is_empty() && of(s).iter().all(|d| self.is_integer(*d)))
    }
}

/// Roundings to f16 whose results are stored as they are, to outputs that are halves.
pub(super) fn cached(flow: &Flow<'_>) -> HashSet<u32> {
    let stores = |n: &&Node<'_>| n.touched.writes.iter().any(|p| flow.role(p.origin) == Role::HalfOutput);
    let mut work: Vec<u32> = flow.nodes.iter().filter(stores).flat_map(|n| n.sources.iter().copied()).collect();
    let (mut seen, mut found) = (HashSet::new(), HashSet::new());
    while let Some(i) = work.pop() {
        if !seen.insert(i) {
            continue;
        }
        let node = &flow.nodes[i as usize];
        match node.inst.form().precision {
            Precision::Converts { from: F32, to: F16, mode: Some(Rounding::NearestEven), clamp: None, .. } => {
                found.insert(i);
            }
            Precision::Converts { from, to, .. } if is_float(to) || is_float(from) => {}
            Precision::Rounds { .. }
            | Precision::Approximates { .. }
            | Precision::Exact { .. }
            | Precision::MatrixProduct { .. }
            | Precision::Opaque
            | Precision::Compares
            | Precision::Nothing => {}
            Precision::Converts { .. }
            | Precision::Integer
            | Precision::IntegerProduct
            | Precision::Moves
            | Precision::Bits(_)
            | Precision::Selects
            | Precision::Loads
            | Precision::Stores
            | Precision::Updates { .. }
            | Precision::Copies
            | Precision::Lanes => work.extend(&node.sources),
        }
    }
    found
}
