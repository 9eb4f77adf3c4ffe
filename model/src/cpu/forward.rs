//! The forward of one batch, stage by stage. Every worker runs all of it; [`Worker::meet`] ends a
//! stage.

use super::{
    CpuModel,
    attention::KvCache,
    experts::{Groups, Route},
    matrix::{Forms, Inputs, Matrix},
    product::product,
    simd::TILE,
    team::{Shared, Worker},
    vector::{Norm, NormRope, add},
};
use crate::{
    engine::EngineError,
    trace::{LayerTrace, Trace},
};
use ptxgen_dsl::reference::{Accumulator, RopeTable};
use std::{
    ops::Range,
    sync::{Mutex, OnceLock, PoisonError},
};

/// What a forward works on.
pub(super) struct Batch<'b, 'g> {
    pub(super) model: &'b CpuModel<'g>,
    /// At most [`Buffers::tokens`].
    pub(super) tokens: &'b [u32],
    /// Position of the first token.
    pub(super) position: usize,
    /// Tokens of the batch whose logits are wanted.
    pub(super) logit_rows: Range<usize>,
    pub(super) cache: &'b KvCache,
    pub(super) rope: &'b RopeTable,
}

/// The buffers between the stages, for a batch of up to `tokens`.
pub(super) struct Buffers {
    tokens: usize,
    /// Slots of `input` in order.
    slots: Vec<u32>,
    /// The residual stream, [tokens, hidden].
    x: Box<Shared<f32>>,
    /// A normed residual stream.
    pub(super) input: Inputs,
    q: Box<Shared<f32>>,
    k: Box<Shared<f32>>,
    v: Box<Shared<f32>>,
    /// Attention's output, [tokens, query width], and as an input.
    heads: Box<Shared<f32>>,
    heads_input: Inputs,
    /// What is added to the residual stream, [tokens, hidden].
    y: Box<Shared<f32>>,
    /// The chosen experts and their weights, [tokens, experts used].
    pub(super) chosen: Box<Shared<u32>>,
    pub(super) weights: Box<Shared<f32>>,
    /// For each token and rank: the experts' inner vectors, and their outputs.
    pub(super) gate: Box<Shared<f32>>,
    pub(super) up: Box<Shared<f32>>,
    pub(super) inner: Box<Shared<f32>>,
    pub(super) inner_input: Inputs,
    pub(super) down: Box<Shared<f32>>,
}

/// A worker's own memory.
#[derive(Default)]
pub(super) struct Scratch<A> {
    pub(super) terms: Vec<A>,
    vector: Vec<f32>,
    pub(super) logits: Vec<f64>,
    pub(super) groups: Groups,
}

impl Buffers {
    pub(super) fn new(model: &CpuModel<'_>, tokens: usize) -> Self {
        let (c, forms) = (&model.config, &model.weights.forms);
        let slots = tokens * c.experts_used;
        let router = Forms { q8k: false, lanes: true };
        Self {
            tokens,
            slots: (0..tokens as u32).collect(),
            x: Shared::new(0.0, tokens * c.hidden),
            input: Inputs::new(tokens, c.hidden, forms.attention | forms.experts | forms.output | router),
            q: Shared::new(0.0, tokens * c.query_width()),
            k: Shared::new(0.0, tokens * c.kv_width()),
            v: Shared::new(0.0, tokens * c.kv_width()),
            heads: Shared::new(0.0, tokens * c.query_width()),
            heads_input: Inputs::new(tokens, c.query_width(), forms.attention_out),
            y: Shared::new(0.0, tokens * c.hidden),
            chosen: Shared::new(0, slots),
            weights: Shared::new(0.0, slots),
            gate: Shared::new(0.0, slots * c.expert_ff),
            up: Shared::new(0.0, slots * c.expert_ff),
            inner: Shared::new(0.0, slots * c.expert_ff),
            inner_input: Inputs::new(slots, c.expert_ff, forms.down),
            down: Shared::new(0.0, slots * c.hidden),
        }
    }

    /// Tokens that fit.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Runs the batch through the model: the cache takes its keys and values, `logits` the rows
    /// that are wanted.
    pub(super) fn forward<A: Accumulator>(
        &mut self,
        batch: &Batch<'_, '_>,
        logits: &mut [f32],
        trace: Option<&mut Trace<'_>>,
    ) -> Result<(), EngineError> {
        let pass = Pass {
            batch,
            buffers: self,
            logits: Shared::from_mut(logits),
            failure: OnceLock::new(),
            trace: Mutex::new(trace),
        };
        batch.model.team.run(|worker| pass.run::<A>(worker));
        pass.failure.into_inner().map_or(Ok(()), Err)
    }
}

/// One forward in progress.
pub(super) struct Pass<'p, 'g, 't> {
    pub(super) batch: &'p Batch<'p, 'g>,
    pub(super) buffers: &'p Buffers,
    logits: &'p Shared<f32>,
    pub(super) failure: OnceLock<EngineError>,
    trace: Mutex<Option<&'p mut Trace<'t>>>,
}

// Safety of all that follows is the rule of `Shared`: in each stage every buffer is either only
// read, or written in parts that belong to one worker (`Worker::share`).
impl Pass<'_, '_, '_> {
    fn run<A: Accumulator>(&self, worker: &Worker<'_>) {
        let (b, model) = (self.buffers, self.batch.model);
        let (weights, tokens) = (&model.weights, self.batch.tokens.len());
        let forms = &weights.forms;
        let mut scratch = Scratch::<A>::default();

        for t in worker.share(tokens, 1) {
            self.embed(t);
            self.norm(t, &weights.layers[0].attn_norm, forms.attention, &mut scratch);
        }
        worker.meet();
        for (i, layer) in weights.layers.iter().enumerate() {
            let slots = &b.slots[..tokens];
            self.multiply::<A>(worker, &layer.q, &b.input, slots, &b.q);
            self.multiply::<A>(worker, &layer.k, &b.input, slots, &b.k);
            self.multiply::<A>(worker, &layer.v, &b.input, slots, &b.v);
            worker.meet();
            self.rope_and_store(worker, i, &mut scratch);
            worker.meet();
            self.attend(worker, i, &mut scratch);
            worker.meet();
            for t in worker.share(tokens, 1) {
                let width = model.config.query_width();
                // SAFETY: `heads` is read in this stage, slot t is this worker's.
                unsafe {
                    let heads = b.heads.read(t * width..(t + 1) * width);
                    b.heads_input.prepare(model.simd, t, heads, forms.attention_out);
                }
            }
            worker.meet();
            self.multiply::<A>(worker, &layer.o, &b.heads_input, slots, &b.y);
            worker.meet();
            for t in worker.share(tokens, 1) {
                self.add(t);
                let router = Forms { q8k: false, lanes: true };
                self.norm(t, &layer.ffn_norm, forms.experts | router, &mut scratch);
                self.route(t, i, &layer.router, &mut scratch);
            }
            worker.meet();
            if self.failure.get().is_some() {
                return;
            }
            self.gate_and_up::<A>(worker, layer, &mut scratch);
            worker.meet();
            self.prepare_inner(worker);
            worker.meet();
            self.down::<A>(worker, layer, &scratch);
            worker.meet();
            for t in worker.share(tokens, 1) {
                self.sum_experts(t, &b.y, &mut scratch);
                self.add(t);
                match weights.layers.get(i + 1) {
                    Some(next) => self.norm(t, &next.attn_norm, forms.attention, &mut scratch),
                    None if self.batch.logit_rows.contains(&t) => {
                        self.norm(t, &weights.output_norm, forms.output, &mut scratch);
                    }
                    None => {}
                }
            }
            worker.meet();
            if worker.index == 0 {
                self.report(i);
            }
        }
        let slots = &b.slots[self.batch.logit_rows.clone()];
        if !slots.is_empty() {
            self.multiply::<A>(worker, &weights.output, &b.input, slots, self.logits);
        }
    }

    /// A token's embedding.
    fn embed(&self, t: usize) {
        let embedding = &self.batch.model.weights.embedding;
        // SAFETY: token t is this worker's.
        let x = unsafe { self.buffers.x.write(t * embedding.width..(t + 1) * embedding.width) };
        let row = embedding.row(self.batch.tokens[t] as usize);
        embedding.ty.dequantize(row, x).expect("a file's rows are whole blocks");
    }

    /// Norms a token's residual stream and makes it an input.
    fn norm<A: Accumulator>(&self, t: usize, w: &[f32], forms: Forms, scratch: &mut Scratch<A>) {
        let model = self.batch.model;
        let hidden = model.config.hidden;
        scratch.vector.resize(hidden, 0.0);
        // SAFETY: token t is this worker's in this stage.
        let x = unsafe { self.buffers.x.read(t * hidden..(t + 1) * hidden) };
        let (eps, out) = (model.config.rms_eps, &mut scratch.vector[..hidden]);
        model.simd.run(Norm { x, w, eps, out, groups: &mut scratch.terms });
        // SAFETY: slot t is this worker's in this stage.
        unsafe { self.buffers.input.prepare(model.simd, t, &scratch.vector, forms) };
    }

    /// This worker's rows of a matrix with the vectors of `slots`; `out` is [slots, rows].
    fn multiply<A: Accumulator>(
        &self,
        worker: &Worker<'_>,
        w: &Matrix<'_>,
        inputs: &Inputs,
        slots: &[u32],
        out: &Shared<f32>,
    ) {
        let (simd, act) = (self.batch.model.simd, self.batch.model.policy.act);
        // SAFETY: inputs are read in this stage, and these rows of the output are this worker's.
        unsafe {
            product::<A>(simd, act, w, worker.share(w.rows, TILE), inputs, slots, |i, rows| {
                out.write(i * w.rows + rows.start..i * w.rows + rows.end)
            });
        }
    }

    /// QK-norm and RoPE of all heads; keys and values go to the cache.
    fn rope_and_store<A: Accumulator>(&self, worker: &Worker<'_>, layer: usize, scratch: &mut Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let (c, w) = (&model.config, &model.weights.layers[layer]);
        let per_token = c.heads + c.kv_heads;
        for item in worker.share(self.batch.tokens.len() * per_token, 1) {
            let (t, h) = (item / per_token, item % per_token);
            let pos = self.batch.position + t;
            let part = |h: usize, heads: usize| (t * heads + h) * c.head_dim..(t * heads + h + 1) * c.head_dim;
            // SAFETY: each head of each token is one worker's; a position of the cache likewise.
            unsafe {
                let (head, norm) = match h.checked_sub(c.heads) {
                    None => (b.q.write(part(h, c.heads)), &w.q_norm),
                    Some(h) => (b.k.write(part(h, c.kv_heads)), &w.k_norm),
                };
                let (table, groups) = (self.batch.rope.at(pos), &mut scratch.terms);
                model.simd.run(NormRope { head: &mut *head, w: norm, eps: c.rms_eps, table, groups });
                if let Some(h) = h.checked_sub(c.heads) {
                    self.batch.cache.put(layer, h, pos, head, b.v.read(part(h, c.kv_heads)));
                }
            }
        }
    }

    fn attend<A: Accumulator>(&self, worker: &Worker<'_>, layer: usize, scratch: &mut Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let c = &model.config;
        for item in worker.share(self.batch.tokens.len() * c.heads, 1) {
            let part = item * c.head_dim..(item + 1) * c.head_dim;
            let seen = self.batch.position + item / c.heads + 1;
            let kv_head = item % c.heads / (c.heads / c.kv_heads);
            // SAFETY: queries and the cache are read in this stage, the output's part is this worker's.
            unsafe {
                let (q, out) = (b.q.read(part.clone()), b.heads.write(part));
                self.batch.cache.attend(model.simd, (layer, kv_head), q, seen, out, &mut scratch.terms);
            }
        }
    }

    /// The residual: adds `y` to a token's stream.
    fn add(&self, t: usize) {
        let hidden = self.batch.model.config.hidden;
        let part = t * hidden..(t + 1) * hidden;
        // SAFETY: token t is this worker's in this stage.
        unsafe { add(self.buffers.x.write(part.clone()), self.buffers.y.read(part)) };
    }

    fn route<A>(&self, t: usize, layer: usize, router: &super::weights::Router, scratch: &mut Scratch<A>) {
        let (b, model) = (self.buffers, self.batch.model);
        let used = model.config.experts_used;
        // SAFETY: token t is this worker's in this stage.
        let (x, chosen, weights) = unsafe {
            let part = t * used..(t + 1) * used;
            (b.input.lanes(t), b.chosen.write(part.clone()), b.weights.write(part))
        };
        match model.simd.run(Route { router, x, used, logits: &mut scratch.logits }) {
            Ok(routed) => {
                chosen.copy_from_slice(&routed.experts);
                weights.copy_from_slice(&routed.weights);
            }
            Err(nan) => {
                let position = self.batch.position + t;
                // Another worker's failure is as good a report as this one.
                let _ = self.failure.set(EngineError::NanInRouter { layer, expert: nan.expert, position });
            }
        }
    }

    /// Hands a layer's results to the trace, if there is one.
    fn report(&self, layer: usize) {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trace) = trace.as_mut() else { return };
        let (b, c, tokens) = (self.buffers, &self.batch.model.config, self.batch.tokens.len());
        // SAFETY: none of these is written before this worker has met the others again.
        unsafe {
            trace(LayerTrace {
                layer,
                position: self.batch.position,
                tokens,
                experts: b.chosen.read(0..tokens * c.experts_used),
                weights: b.weights.read(0..tokens * c.experts_used),
                moe_ffn_out: b.y.read(0..tokens * c.hidden),
                out: b.x.read(0..tokens * c.hidden),
            });
        }
    }
}
