//! Passes of a few tokens of a sequence, with logits and the most likely token after each: what guesses are checked with.

use super::{
    DeviceModel, LoadError,
    bind::{Buffers, Kernels},
    buffers::buffer,
    passes::{Passes, sizes},
    slot::Slot,
};
use ptxgen_runtime::Graph;

/// Tokens of such passes at most.
const SIZES: [usize; 3] = [2, 4, 8];

/// The passes of a session, recorded when they are first needed.
#[derive(Default)]
pub(super) struct FewPasses(Vec<Few>);

/// Passes of up to so many tokens.
struct Few {
    tokens: usize,
    /// The layers, logits and the most likely tokens; none where the session's buffers are too small for them.
    all: Option<Graph>,
}

impl FewPasses {
    /// The recorded pass for so many tokens.
    pub(super) fn graph(&self, tokens: usize) -> Option<&Graph> {
        self.0.iter().filter(|few| few.tokens >= tokens).min_by_key(|few| few.tokens)?.all.as_ref()
    }

    /// Records the pass for so many tokens of a session with these positions and buffers, if that has not been done; false
    /// where there is none.
    pub(super) fn record(
        &mut self,
        tokens: usize,
        model: &DeviceModel,
        positions: u32,
        buffers: &mut Buffers,
    ) -> Result<bool, LoadError> {
        let Some(size) = SIZES.into_iter().find(|size| *size >= tokens) else { return Ok(false) };
        if let Some(few) = self.0.iter().find(|few| few.tokens == size) {
            return Ok(few.all.is_some());
        }
        let all = recorded(size, model, positions, buffers)?;
        let is_there = all.is_some();
        self.0.push(Few { tokens: size, all });
        Ok(is_there)
    }
}

fn recorded(
    tokens: usize,
    model: &DeviceModel,
    positions: u32,
    buffers: &mut Buffers,
) -> Result<Option<Graph>, LoadError> {
    let passes = Passes::of_few(&model.plan, positions, tokens as u32)?;
    let sizes = sizes(std::iter::once(&passes));
    if sizes.iter().any(|(home, bytes)| buffers.get(home).is_some_and(|b| b.bytes() < *bytes)) {
        return Ok(None);
    }
    for (home, bytes) in sizes {
        if let std::collections::hash_map::Entry::Vacant(free) = buffers.entry(home) {
            free.insert(buffer(&model.devices[home.device], home.slot, bytes)?);
        }
    }
    let kernels = Kernels::load(&model.devices, &passes.plan)?;
    let calls = kernels.bind(&passes.plan, &passes.plan.launches, &model.weights, buffers, (Slot::State, 0))?;
    Ok(Some(model.device().graph(&calls)?))
}
