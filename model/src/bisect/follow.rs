//! Finds what a run computes, stage by stage, from its own recorded inputs.

use super::{
    factor::{Factor, Site},
    followed::{Followed, Follows},
    measure,
};
use crate::{
    engine::EngineError,
    gguf::TensorType,
    graph::Operation,
    plain::{Choice, Lane, Mistake, PlainError, PlainModel},
    trace::{Tensor, TraceData, Values},
};
use std::collections::BTreeMap;

/// Relative error up to which a stage is near to the result of a choice.
const NEAR: f64 = 2e-6;
/// The same for a run of another program, which sums in a different order.
const NEAR_OF_OTHERS: f64 = 1e-4;

/// Computes every stage of a run anew.
pub(super) fn follow(
    model: &PlainModel<'_>,
    tokens: &[u32],
    run: &TraceData,
    declared: Choice,
) -> Result<Followed, PlainError> {
    let mut found = BTreeMap::new();
    let ours = run.meta.version.is_some();
    for (stage, layer) in model.graph().stages() {
        // Derived values follow by construction.
        let aside = model.graph().is_aside(stage);
        let Some(recorded) = run.get(stage, layer) else { continue };
        let known = model.graph().inputs(stage, layer).iter().all(|&(s, l)| run.get(s, l).is_some());
        if aside || !known || run.meta.derived.contains(&stage) {
            continue;
        }
        let near = if ours { NEAR } else { NEAR_OF_OTHERS };
        let stage = OneStage { model, tokens, run, at: (stage, layer), recorded, near };
        let (choice, how) = match stage.follow(declared) {
            // NaN logits have no choice of experts; the stage that computes them reports the NaN.
            Err(PlainError::Engine(EngineError::NanInRouter { .. })) => continue,
            found => found?,
        };
        let within = if matches!(how, Follows::Not { .. }) { stage.cause_within(declared)? } else { None };
        if let Some((within, choice)) = within {
            found.insert(within, (choice, Follows::Otherwise));
            found.insert(stage.at, (declared, Follows::Declared));
        } else {
            found.insert(stage.at, (choice, how));
        }
    }
    Ok(Followed { declared, ours, found })
}

/// The stages before this one that were not recorded, in the forward's order: a fused kernel does not write them.
fn kept_within(model: &PlainModel<'_>, run: &TraceData, (stage, layer): Site) -> Vec<Site> {
    let mut kept: Vec<Site> =
        model.graph().inputs(stage, layer).into_iter().filter(|(s, _)| run.meta.derived.contains(s)).collect();
    let mut next = 0;
    while let Some(&(stage, layer)) = kept.get(next) {
        let more = model.graph().inputs(stage, layer).into_iter().filter(|(s, _)| run.meta.derived.contains(s));
        kept.extend(more);
        next += 1;
    }
    kept.sort_by_key(|&(stage, layer)| (layer, stage));
    kept.dedup();
    kept
}

/// One stage of a run.
struct OneStage<'a> {
    model: &'a PlainModel<'a>,
    tokens: &'a [u32],
    run: &'a TraceData,
    at: Site,
    recorded: &'a Tensor,
    /// The largest relative error that counts as near.
    near: f64,
}

impl OneStage<'_> {
    fn follow(&self, declared: Choice) -> Result<(Choice, Follows), PlainError> {
        let expected = self.model.stage(&declared, self.at, self.tokens, self.run)?;
        let Some((first, _)) = measure::differing(self.recorded, &expected) else {
            return Ok((declared, Follows::Declared));
        };
        // Candidates are tried on the positions up to the first difference, then on all.
        let width = self.recorded.width().max(1);
        let short = first / width + 1;
        let (tokens, run) = (&self.tokens[..short], self.prefix(short));
        let recorded = head(self.recorded, short);
        let candidates = self.candidates(declared);
        for candidate in &candidates {
            let found = self.model.stage(candidate, self.at, tokens, &run)?;
            if measure::differing(&recorded, &found).is_none() {
                let all = self.model.stage(candidate, self.at, self.tokens, self.run)?;
                if measure::differing(self.recorded, &all).is_none() {
                    return Ok((*candidate, Follows::Otherwise));
                }
            }
        }
        self.nearest(declared, &candidates, (tokens, &run, &recorded))
    }

    /// The nearest choice on the positions of `short`: the stated one unless another is much nearer, and a mistake only
    /// if it is near.
    fn nearest(
        &self,
        declared: Choice,
        candidates: &[Choice],
        short: (&[u32], &TraceData, &Tensor),
    ) -> Result<(Choice, Follows), PlainError> {
        let error = |choice: &Choice, (tokens, run, recorded): (&[u32], &TraceData, &Tensor)| {
            let found = self.model.stage(choice, self.at, tokens, run)?;
            let scale = measure::norm(recorded).max(f64::MIN_POSITIVE);
            Ok::<_, PlainError>((measure::distance(recorded, &found) / scale, found))
        };
        let mut best = (declared, error(&declared, short)?.0);
        if best.1 > self.near {
            let limit = best.1 / 10.0;
            for candidate in candidates {
                let relative = error(candidate, short)?.0;
                let limit = if candidate.mistake.is_some() { self.near } else { limit };
                if relative <= limit && relative < best.1 {
                    best = (*candidate, relative);
                }
            }
        }
        let (relative, found) = error(&best.0, (self.tokens, self.run, self.recorded))?;
        let ids = matches!(self.recorded.values, Values::U32(_));
        if relative <= self.near && !ids {
            return Ok((best.0, Follows::Nearly(relative)));
        }
        let width = self.recorded.width().max(1);
        let (first, differing) = measure::differing(self.recorded, &found).unwrap_or((0, 0));
        let (position, index) = (first / width, first % width);
        Ok((best.0, Follows::Not { differing, values: self.recorded.values.len(), position, index, relative }))
    }

    /// An unrecorded stage before this one, with the choice under which this stage follows from recorded values.
    fn cause_within(&self, declared: Choice) -> Result<Option<(Site, Choice)>, PlainError> {
        let kept = kept_within(self.model, self.run, self.at);
        let expected = self.model.stage(&declared, self.at, self.tokens, self.run)?;
        let Some((first, _)) = measure::differing(self.recorded, &expected) else { return Ok(None) };
        let short = first / self.recorded.width().max(1) + 1;
        for (i, &at) in kept.iter().enumerate() {
            for candidate in (OneStage { at, ..*self }).candidates(declared) {
                let follows = |positions: usize| {
                    let mut data = self.prefix(positions);
                    let tokens = &self.tokens[..positions];
                    data.tensors.insert(at, self.model.stage(&candidate, at, tokens, &data)?);
                    for &later in &kept[i + 1..] {
                        data.tensors.insert(later, self.model.stage(&declared, later, tokens, &data)?);
                    }
                    let found = self.model.stage(&declared, self.at, tokens, &data)?;
                    Ok::<_, PlainError>(measure::differing(&head(self.recorded, positions), &found).is_none())
                };
                if follows(short)? && follows(self.tokens.len())? {
                    return Ok(Some((at, candidate)));
                }
            }
        }
        Ok(None)
    }

    /// The inputs at the first positions, of this stage and of the unrecorded stages before it.
    fn prefix(&self, positions: usize) -> TraceData {
        let kept = kept_within(self.model, self.run, self.at);
        let inputs = [&kept[..], &[self.at]].concat().into_iter().flat_map(|(s, l)| self.model.graph().inputs(s, l));
        let tensors = inputs.filter_map(|at| Some((at, head(self.run.get(at.0, at.1)?, positions))));
        TraceData { tensors: tensors.collect(), ..TraceData::default() }
    }

    /// Other choices that affect the stage, those with the fewest changes first, then known mistakes.
    fn candidates(&self, declared: Choice) -> Vec<Choice> {
        let mut choices = vec![declared];
        for factor in Factor::CHOICES.into_iter().filter(|f| f.concerns(self.model, self.at)) {
            let more: Vec<Choice> = choices.iter().flat_map(|&choice| factor.others(choice)).collect();
            choices.extend(more);
        }
        let mistaken: Vec<Choice> = self
            .mistakes()
            .into_iter()
            .flat_map(|mistake| choices.iter().map(move |&choice| Choice { mistake: Some(mistake), ..choice }))
            .collect();
        choices.remove(0);
        choices.extend(mistaken);
        choices
    }

    /// The known mistakes that are possible in this stage.
    fn mistakes(&self) -> Vec<Mistake> {
        match self.model.operation(self.at.0) {
            Some(Operation::HeadNormRope(_)) => vec![Mistake::RopeInterleaved],
            Some(Operation::RouterExperts | Operation::RouterWeights) => vec![Mistake::TiesToHigher],
            operation => {
                let Some(role) = operation.and_then(Operation::matrix) else { return Vec::new() };
                let Ok(w) = self.model.tensor(role, self.at.1) else { return Vec::new() };
                let groups = (0..16).map(Lane::Group);
                let fours = [0, 4, 8, 12].map(Lane::Run).into_iter().chain([0, 1, 8, 9].map(Lane::Four));
                let blocks = w.row_len().div_ceil(ptxgen_dsl::format::SUPERBLOCK) as u32;
                let blocks = (0..if blocks > 1 { blocks } else { 0 }).map(Lane::Block);
                let left_out = groups.chain(fours).chain(blocks).map(Mistake::LeftOut);
                let decoded = [Mistake::Q6kAsQ4k, Mistake::Q6kAsPackedQ4k];
                let decoded = decoded.into_iter().filter(|_| w.ty == TensorType::Q6_K);
                decoded.chain(left_out).collect()
            }
        }
    }
}

/// The first positions of a tensor.
fn head(tensor: &Tensor, positions: usize) -> Tensor {
    let n = positions * tensor.width();
    let values = match &tensor.values {
        Values::F32(v) => Values::F32(v[..n].to_vec()),
        Values::F64(v) => Values::F64(v[..n].to_vec()),
        Values::U32(v) => Values::U32(v[..n].to_vec()),
    };
    let mut shape = tensor.shape.clone();
    shape[0] = positions;
    Tensor { shape, values }
}
