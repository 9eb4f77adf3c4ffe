//! Passes of a few tokens of a sequence, with logits and the most likely token after each: what guesses are checked with.

use super::{
    LoadError,
    bind::Kernels,
    passes::{Passes, sizes},
    session::{DeviceSession, buffer, chosen_of_rows, of_host, read},
    slot::Slot,
};
use crate::{
    batch::BadLogit,
    engine::{Engine, EngineError},
    not_finite::NotFinite,
    origin::check_logits,
    trace::Stage,
};
use ptxgen_runtime::Graph;

/// Tokens of such passes at most.
const SIZES: [usize; 3] = [2, 4, 8];

/// Passes of up to so many tokens.
pub(super) struct Few {
    tokens: usize,
    /// The layers, logits and the most likely tokens; none where the session's buffers are too small for them.
    all: Option<Graph>,
}

/// What is wanted of a pass.
enum Wanted<'w> {
    Logits(&'w mut Vec<f32>),
    MostLikely(&'w mut Vec<u32>),
}

impl DeviceSession<'_> {
    /// [`Engine::forward_few`], where there are passes for so many tokens.
    pub(super) fn logits_of_few(&mut self, tokens: &[u32]) -> Result<Option<Vec<f32>>, EngineError> {
        let mut logits = Vec::new();
        Ok(self.pass_of_few(tokens, Wanted::Logits(&mut logits))?.then_some(logits))
    }

    /// [`Engine::most_likely`], where there are passes for so many tokens.
    pub(super) fn most_likely_of_few(&mut self, tokens: &[u32]) -> Result<Option<Vec<u32>>, EngineError> {
        let mut chosen = Vec::new();
        Ok(self.pass_of_few(tokens, Wanted::MostLikely(&mut chosen))?.then_some(chosen))
    }

    /// Takes tokens; false, without having done so, where there are no passes for so many.
    fn pass_of_few(&mut self, tokens: &[u32], wanted: Wanted<'_>) -> Result<bool, EngineError> {
        self.sequence().check(tokens)?;
        let Some(at) = self.few_for(tokens.len()).map_err(|e| self.failed(&e))? else { return Ok(false) };
        let position = self.sequence().position;
        self.set_pass(tokens, position).map_err(|e| self.failed(&e))?;
        let Some(graph) = &self.few[at].all else { return Ok(false) };
        let started = self.model.device().replay(graph).and_then(|()| self.status());
        let status = started.map_err(|e| self.failed(&e))?;
        self.check(status, position)?;
        match wanted {
            Wanted::Logits(logits) => {
                logits.resize(tokens.len() * self.sequence().vocab, 0.0);
                read(of_host(self.model, &self.buffers, Slot::Logits), logits).map_err(|e| self.failed(&e))?;
                check_logits(logits, self.sequence().vocab, position)?;
            }
            Wanted::MostLikely(chosen) => {
                let mut words = vec![[0u32; 2]; tokens.len()];
                let rows = read(of_host(self.model, &self.buffers, Slot::RowChosen), words.as_flattened_mut())
                    .and_then(|()| chosen_of_rows(self.model, &self.buffers, &words));
                for (row, token) in rows.map_err(|e| self.failed(&e))?.into_iter().enumerate() {
                    let (stage, position) = (Stage::Logits, position + row);
                    chosen.push(token.map_err(|BadLogit { index, nan }| {
                        EngineError::NotFinite(NotFinite { stage, layer: None, position, index, nan })
                    })?);
                }
            }
        }
        self.advance(tokens.len());
        Ok(true)
    }

    /// The passes for so many tokens, recorded when they are first needed; none where there are none.
    fn few_for(&mut self, tokens: usize) -> Result<Option<usize>, LoadError> {
        let Some(size) = SIZES.into_iter().find(|size| *size >= tokens) else { return Ok(None) };
        let at = match self.few.iter().position(|few| few.tokens == size) {
            Some(at) => at,
            None => {
                let all = self.record_few(size)?;
                self.few.push(Few { tokens: size, all });
                self.few.len() - 1
            }
        };
        Ok(self.few[at].all.is_some().then_some(at))
    }

    fn record_few(&mut self, tokens: usize) -> Result<Option<Graph>, LoadError> {
        let model = self.model;
        let passes = Passes::of_few(&model.plan, self.plans.one.plan.positions, tokens as u32)?;
        let sizes = sizes(std::iter::once(&passes));
        if sizes.iter().any(|(home, bytes)| self.buffers.get(home).is_some_and(|b| b.bytes() < *bytes)) {
            return Ok(None);
        }
        for (home, bytes) in sizes {
            if !self.buffers.contains_key(&home) {
                self.buffers.insert(home, buffer(&model.devices[home.device], home.slot, bytes)?);
            }
        }
        let kernels = Kernels::load(&model.devices, &passes.plan)?;
        let launches = &passes.plan.launches;
        let calls = kernels.bind(&passes.plan, launches, &model.weights, &mut self.buffers, (Slot::State, 0))?;
        Ok(Some(model.device().graph(&calls)?))
    }
}
