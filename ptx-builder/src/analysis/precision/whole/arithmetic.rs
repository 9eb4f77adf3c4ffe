//! Arithmetic of floats, and of the integers that represent floats.

use super::content::{Content, Float};
use super::transfer::{Source, any_computed, joined};
use super::{Contents, Loss};
use crate::analysis::InstId;
use crate::analysis::precision::tags::{self, Tags};
use crate::ir::Inst;
use crate::table::{Clamp, Parts, Precision, Rounding};
use crate::types::ScalarType;

impl Contents<'_, '_> {
    /// A sum, product, quotient, root or function of whole floats.
    pub(super) fn rounds(
        &self,
        ty: ScalarType,
        mode: Option<Rounding>,
        clamp: Option<Clamp>,
        sources: &[Source],
    ) -> Result<Content, Loss> {
        // Without a rounding it is to nearest, and rejected by a rule of its own.
        if mode.is_some_and(|m| m != Rounding::NearestEven) {
            return Err(Loss::Directed);
        }
        if clamp.is_some() {
            return Err(Loss::Clamped);
        }
        let fits = |s: &Source| match s.value.content {
            Content::Whole(float) => float.ty == ty,
            // A power of two may stay in the register that it was made in.
            Content::Plain | Content::Power => true,
            Content::Bytes(_) | Content::Half | Content::Quant | Content::Exponent | Content::Lost => false,
        };
        if !sources.iter().all(fits) {
            return Err(Loss::NotWhole);
        }
        match ty {
            ScalarType::F32 | ScalarType::F64 => Ok(Content::Whole(Float { ty, narrowed: false })),
            // Of what was not computed: the rule of the accumulator's type decides.
            _ if any_computed(sources) => Err(Loss::Half),
            _ => Ok(Content::Plain),
        }
    }

    /// What integers are of integers, none of which has bits of computed floats.
    pub(super) fn integers(&mut self, id: InstId, inst: &Inst, sources: &[Source]) -> Content {
        let precision = inst.form().precision;
        let cuts = precision == Precision::Bits(Parts::Cut);
        match joined(sources) {
            Content::Quant if precision == Precision::IntegerProduct && self.is_product(id) => Content::Plain,
            Content::Exponent if cuts && self.shifts_into_exponent(id, inst, sources) => Content::Power,
            Content::Exponent if cuts || precision == Precision::Integer => Content::Exponent,
            Content::Exponent | Content::Power | Content::Quant => Content::Quant,
            Content::Plain => Content::Plain,
            // None is computed, so that these met: a power of two and something else.
            Content::Whole(_) | Content::Bytes(_) | Content::Half | Content::Lost => Content::Quant,
        }
    }

    /// Whether both kinds of factors meet, or what is made of both.
    fn is_product(&self, id: InstId) -> bool {
        let (a, b) = self.flow.multiplied(id, &self.tags);
        tags::meets(a, b) || a.or(b).has(Tags::DOT)
    }
}
