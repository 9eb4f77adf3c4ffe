//! The buffers between the stages of a forward.

use super::{
    CpuModel,
    groups::Groups,
    matrix::{Forms, Inputs},
    team::Shared,
};

/// The residual stream of some tokens, and the values that are computed from whole rows of it.
pub(super) struct Stream {
    /// [tokens, hidden].
    pub(super) x: Box<Shared<f32>>,
    /// The normalized residual stream.
    pub(super) input: Inputs,
    /// Attention's output.
    pub(super) heads_input: Inputs,
    /// The chosen experts and their weights, [tokens, experts used].
    pub(super) chosen: Box<Shared<u32>>,
    pub(super) weights: Box<Shared<f32>>,
    /// The experts' sum, [tokens, hidden].
    pub(super) sum: Box<Shared<f32>>,
}

/// The buffers between the stages, for a batch of up to `tokens`.
pub(super) struct Buffers {
    tokens: usize,
    /// Slots of `input` in order.
    pub(super) slots: Vec<u32>,
    /// The batch's stream, where one worker processes each token.
    pub(super) stream: Stream,
    /// One private stream per worker, for a single token; empty if there is only one worker.
    pub(super) own: Vec<Stream>,
    pub(super) q: Box<Shared<f32>>,
    pub(super) k: Box<Shared<f32>>,
    pub(super) v: Box<Shared<f32>>,
    /// Attention's output, [tokens, query width].
    pub(super) heads: Box<Shared<f32>>,
    /// Attention's part of the residual, [tokens, hidden].
    pub(super) y: Box<Shared<f32>>,
    /// For each token and rank: the experts' inner vectors, and their outputs.
    pub(super) inner: Box<Shared<f32>>,
    pub(super) inner_input: Inputs,
    pub(super) down: Box<Shared<f32>>,
}

/// A worker's private memory.
#[derive(Default)]
pub(super) struct Scratch<A> {
    pub(super) terms: Vec<A>,
    pub(super) vector: Vec<f32>,
    pub(super) logits: Vec<f64>,
    pub(super) groups: Groups,
    /// This worker's rows of an expert's gate and up projections, for each token of that expert.
    pub(super) gate: Vec<f32>,
    pub(super) up: Vec<f32>,
}

impl Stream {
    fn new(model: &CpuModel<'_>, tokens: usize) -> Self {
        let (c, forms) = (&model.config, &model.weights.forms);
        let router = Forms { q8k: false, lanes: c.experts > 0 };
        Self {
            x: Shared::new(0.0, tokens * c.hidden),
            input: Inputs::new(tokens, c.hidden, forms.attention | forms.experts | forms.output | router),
            heads_input: Inputs::new(tokens, c.query_width(), forms.attention_out),
            // In a dense feed-forward always expert 0.
            chosen: Shared::new(0, tokens * c.inner_vectors()),
            weights: Shared::new(0.0, tokens * c.experts_used),
            sum: Shared::new(0.0, tokens * c.hidden),
        }
    }
}

impl Buffers {
    pub(super) fn new(model: &CpuModel<'_>, tokens: usize) -> Self {
        let c = &model.config;
        let slots = tokens * c.inner_vectors();
        let workers = model.team.threads();
        Self {
            tokens,
            slots: (0..tokens as u32).collect(),
            stream: Stream::new(model, tokens),
            own: (0..if workers > 1 { workers } else { 0 }).map(|_| Stream::new(model, 1)).collect(),
            q: Shared::new(0.0, tokens * c.query_width()),
            k: Shared::new(0.0, tokens * c.kv_width()),
            v: Shared::new(0.0, tokens * c.kv_width()),
            heads: Shared::new(0.0, tokens * c.query_width()),
            y: Shared::new(0.0, tokens * c.hidden),
            inner: Shared::new(0.0, slots * c.inner_width()),
            inner_input: Inputs::new(slots, c.inner_width(), model.weights.forms.down),
            down: Shared::new(0.0, slots * c.hidden),
        }
    }

    /// Maximum number of tokens.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }
}
