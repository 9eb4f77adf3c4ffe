//! Whole forwards, stage by stage.

use super::{Choices, PlainError, PlainModel};
use crate::{
    graph::Scope,
    trace::{Stage, TraceData, TraceMeta},
};

/// The scope of a plain forward.
#[derive(Clone, Copy)]
pub struct Forward<'a> {
    /// The tokens, from position 0 on.
    pub tokens: &'a [u32],
    /// The first computed layer; its input comes from `start`.
    pub layer: usize,
    /// Values of another forward, which contain the residual stream into `layer`. `None` if the forward starts at the
    /// embedding.
    pub start: Option<&'a TraceData>,
    /// The stages to record.
    pub keep: &'a dyn Fn(Stage) -> bool,
}

impl<'a> Forward<'a> {
    /// A whole forward, in which everything is recorded.
    pub fn new(tokens: &'a [u32]) -> Self {
        Self { tokens, layer: 0, start: None, keep: &|_| true }
    }
}

impl std::fmt::Debug for Forward<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forward")
            .field("tokens", &self.tokens)
            .field("layer", &self.layer)
            .field("start", &self.start.is_some())
            .finish_non_exhaustive()
    }
}

impl PlainModel<'_> {
    /// Runs the model, each stage with its choice. Stages that no other stage reads (such as `attn_scores`) are
    /// computed only if they are recorded.
    ///
    /// # Errors
    /// If there are no tokens or one is outside the vocabulary, `start` lacks a required value, or a router logit is
    /// NaN.
    pub fn forward(&self, choices: &Choices, of: Forward<'_>) -> Result<TraceData, PlainError> {
        let mut data = TraceData {
            meta: TraceMeta { tokens: Some(of.tokens.to_vec()), ..TraceMeta::default() },
            positions: (0..of.tokens.len()).collect(),
            ..TraceData::default()
        };
        let graph = self.graph();
        let stream = graph.stream(of.layer);
        if let Some((stream, tensor)) = stream.and_then(|at| Some((at, of.start?.get(at.0, at.1)?))) {
            data.tensors.insert(stream, tensor.clone());
        }
        for (stage, layer) in graph.stages() {
            let skipped = match stage.scope() {
                Scope::Before => of.start.is_some(),
                Scope::Layer => layer < Some(of.layer),
                Scope::After => false,
            };
            if skipped || graph.is_aside(stage) && !(of.keep)(stage) {
                continue;
            }
            let tensor = self.stage(&choices.at(stage, layer), (stage, layer), of.tokens, &data)?;
            data.tensors.insert((stage, layer), tensor);
            if layer.is_some_and(|l| graph.stream(l + 1) == Some((stage, layer))) {
                // The next layer reads only the last stage of this one.
                data.tensors.retain(|&(s, l), _| (of.keep)(s) || (s, l) == (stage, layer));
            }
        }
        data.tensors.retain(|&(s, _), _| (of.keep)(s));
        Ok(data)
    }
}
