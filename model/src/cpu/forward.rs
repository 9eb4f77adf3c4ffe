//! The forward of one batch, stage by stage. Every worker runs all of it; [`Worker::meet`] is a barrier before a worker
//! needs what another has computed.
//!
//! Barriers, and fetching what another core wrote, cost more than small stages. So for a single token every worker
//! computes the residual stream redundantly. Attention is divided by KV heads if they divide evenly, and a single
//! token's experts by rank if those do. That leaves three barriers per layer.

use super::{
    buffers::{Buffers, Scratch, Stream},
    experts::Route,
    hand_over::Kept,
    hooks,
    matrix::{Forms, Inputs, Matrix},
    pass::{Batch, Failure, Pass, Share},
    record::Record,
    simd::TILE,
    team::{Shared, Worker},
    vector::{Norm, NormRope, add},
    weights::Router,
};
use crate::{
    batch::NanInRow,
    trace::{Stage, Tap},
};
use ptxgen_dsl::reference::Accumulator;
use std::ops::Range;

impl Buffers {
    /// Runs the batch through the model: adds its keys and values to the cache, and writes logits of the first wanted
    /// rows to `logits`, as many as fit; with a tap, of all.
    pub(super) fn forward<A: Accumulator>(
        &mut self,
        batch: &Batch<'_, '_>,
        logits: &mut [f32],
        tap: Option<&mut dyn Tap>,
    ) -> Result<(), NanInRow> {
        let rows = batch.logit_rows.start..batch.logit_rows.start + logits.len() / batch.model.config.vocab;
        let record = tap.map(|tap| Record::new(batch.model, batch.rows.len(), tap));
        let pass = Pass { batch, buffers: self, failure: Failure::default(), record };
        let logits = Shared::from_mut(logits);
        batch.model.team.run(|worker| {
            if pass.layers::<A>(worker) && !rows.is_empty() {
                pass.logits::<A>(worker, rows.clone(), logits);
                pass.record_logits(worker, logits);
            }
        });
        pass.failure.found().map_or(Ok(()), Err)
    }

    /// Logits of more rows of the last batch.
    pub(super) fn logits<A: Accumulator>(&mut self, batch: &Batch<'_, '_>, rows: Range<usize>, logits: &mut [f32]) {
        let pass = Pass { batch, buffers: self, failure: Failure::default(), record: None };
        let logits = Shared::from_mut(logits);
        batch.model.team.run(|worker| pass.logits::<A>(worker, rows.clone(), logits));
    }
}

// Safety of all that follows is the rule of `Shared`: in each stage every buffer is either only
// read, or written in parts that belong to one worker (`Worker::share`).
impl Pass<'_, '_, '_> {
    fn share<'w>(&self, worker: &'w Worker<'w>) -> Share<'_, 'w>
    where
        Self: 'w,
    {
        let (b, c, workers) = (self.buffers, &self.batch.model.config, worker.workers());
        let tokens = self.batch.rows.len();
        let alone = tokens == 1 && workers > 1;
        Share {
            worker,
            stream: if alone { &b.own[worker.index] } else { &b.stream },
            tokens: if alone { 0..1 } else { worker.share(tokens, 1) },
            together: !alone,
            by_head: c.kv_heads.is_multiple_of(workers),
            by_expert: alone && c.inner_vectors().is_multiple_of(workers),
        }
    }

    /// All layers; returns whether they succeeded.
    fn layers<A: Accumulator>(&self, worker: &Worker<'_>) -> bool {
        let (b, model) = (self.buffers, self.batch.model);
        let (weights, slots) = (&model.weights, &b.slots[..self.batch.rows.len()]);
        let forms = &weights.forms;
        let share = &self.share(worker);
        let stream = share.stream;
        let mut scratch = Scratch::<A>::default();

        let c = &model.config;
        let all = 0..self.batch.rows.len();
        for t in share.tokens.clone() {
            self.embed(stream, t);
            self.norm(share, t, &weights.layers[0].attn_norm, forms.attention, &mut scratch);
        }
        worker.meet_if(share.together);
        self.record(worker, None, all.clone(), &[(Stage::Embedding, Kept::F32(&stream.x, c.hidden))]);
        self.record(worker, Some(0), all.clone(), &[(Stage::AttnNorm, Kept::Norm)]);
        for (i, layer) in weights.layers.iter().enumerate() {
            self.attention(share, i, &mut scratch);
            worker.meet();
            self.record(worker, Some(i), all.clone(), &[(Stage::Attention, Kept::F32(&b.heads, c.query_width()))]);
            for t in share.tokens.clone() {
                let width = model.config.query_width();
                // SAFETY: in this stage `heads` is only read, and slot t belongs to this worker.
                unsafe {
                    let heads = b.heads.read(t * width..(t + 1) * width);
                    stream.heads_input.prepare(model.simd, t, heads, forms.attention_out);
                }
            }
            worker.meet_if(share.together);
            self.multiply::<A>(worker.share(layer.o.rows, TILE), &layer.o, &stream.heads_input, slots, &b.y);
            worker.meet();
            for t in share.tokens.clone() {
                self.add(stream, t, &b.y);
                let router = Forms { q8k: false, lanes: layer.router.is_some() };
                self.norm(share, t, &layer.ffn_norm, forms.experts | router, &mut scratch);
                if let Some(router) = &layer.router {
                    self.route(share, t, i, router, &mut scratch);
                }
            }
            worker.meet_if(share.together);
            let attended = [
                (Stage::AttnOut, Kept::F32(&b.y, c.hidden)),
                (Stage::PostAttnResidual, Kept::F32(&stream.x, c.hidden)),
                (Stage::FfnNorm, Kept::Norm),
                (Stage::RouterLogits, Kept::RouterLogits),
            ];
            let routes = layer.router.is_some();
            self.record(worker, Some(i), all.clone(), &attended[..if routes { 4 } else { 3 }]);
            if self.failure.found().is_some() {
                return false;
            }
            if routes {
                let routed = [
                    (Stage::RouterWeights, Kept::F32(&stream.weights, c.experts_used)),
                    (Stage::RouterExperts, Kept::U32(&stream.chosen, c.experts_used)),
                ];
                self.record(worker, Some(i), all.clone(), &routed);
            }
            self.experts(share, layer, &mut scratch);
            worker.meet();
            let (inner, outer) = (c.inner_vectors() * c.inner_width(), c.inner_vectors() * c.hidden);
            let [gate, up, swiglu, out] = match routes {
                true => [Stage::ExpertGate, Stage::ExpertUp, Stage::ExpertSwiglu, Stage::ExpertOut],
                false => [Stage::FfnGate, Stage::FfnUp, Stage::FfnSwiglu, Stage::FfnOut],
            };
            let made = [
                (gate, Kept::Gate),
                (up, Kept::Up),
                (swiglu, Kept::F32(&b.inner, inner)),
                (out, Kept::F32(&b.down, outer)),
            ];
            self.record(worker, Some(i), all.clone(), &made);
            for t in share.tokens.clone() {
                if routes {
                    self.sum_experts(stream, t, &mut scratch);
                    self.add(stream, t, &stream.sum);
                } else {
                    self.add(stream, t, &b.down);
                }
                match weights.layers.get(i + 1) {
                    Some(next) => self.norm(share, t, &next.attn_norm, forms.attention, &mut scratch),
                    None if self.batch.logit_rows.contains(&t) => {
                        self.norm(share, t, &weights.output_norm, forms.output, &mut scratch);
                    }
                    None => {}
                }
            }
            worker.meet_if(share.together);
            self.record_end(worker, stream, i);
        }
        true
    }

    /// The output projection of some of the tokens whose logits are wanted.
    fn logits<A: Accumulator>(&self, worker: &Worker<'_>, tokens: Range<usize>, logits: &Shared<f32>) {
        let (output, input) = (&self.batch.model.weights.output, &self.share(worker).stream.input);
        self.multiply::<A>(worker.share(output.rows, TILE), output, input, &self.buffers.slots[tokens], logits);
    }

    /// This worker's part of the projections to queries, keys and values, and of attention.
    fn attention<A: Accumulator>(&self, share: &Share<'_, '_>, layer: usize, scratch: &mut Scratch<A>) {
        let (b, model, worker) = (self.buffers, self.batch.model, share.worker);
        let (c, w, tokens) = (&model.config, &model.weights.layers[layer], self.batch.rows.len());
        let slots = &b.slots[..tokens];
        let group = c.heads / c.kv_heads;
        // The unit of division: a KV head, or everything.
        let (query_rows, rows, queries, keys) =
            if share.by_head { (group * c.head_dim, c.head_dim, group * tokens, tokens) } else { (TILE, TILE, 1, 1) };
        self.multiply::<A>(worker.share(w.q.rows, query_rows), &w.q, &share.stream.input, slots, &b.q);
        self.multiply::<A>(worker.share(w.k.rows, rows), &w.k, &share.stream.input, slots, &b.k);
        self.multiply::<A>(worker.share(w.v.rows, rows), &w.v, &share.stream.input, slots, &b.v);
        worker.meet_if(!share.by_head);
        let (q, k) = (Kept::F32(&b.q, c.query_width()), Kept::F32(&b.k, c.kv_width()));
        let projected = [(Stage::Q, q), (Stage::K, k), (Stage::V, Kept::F32(&b.v, c.kv_width()))];
        self.record(worker, Some(layer), 0..tokens, &projected);
        let queries = worker.share(tokens * c.heads, queries);
        for item in queries.clone() {
            let (h, t) = (item / tokens, item % tokens);
            // SAFETY: each head of each token belongs to one worker.
            let head = unsafe { b.q.write(part(t, h, c.heads, c.head_dim)) };
            self.norm_rope(t, head, &w.q_norm, scratch);
        }
        for item in worker.share(tokens * c.kv_heads, keys) {
            let (h, t) = (item / tokens, item % tokens);
            let part = part(t, h, c.kv_heads, c.head_dim);
            // SAFETY: as above; so does a position of the cache.
            unsafe {
                let key = b.k.write(part.clone());
                self.norm_rope(t, key, &w.k_norm, scratch);
                let place = (self.table(t), self.batch.rows[t].position);
                self.batch.cache.put((layer, h), place, key, b.v.read(part));
            }
        }
        worker.meet_if(!share.by_head);
        self.record(worker, Some(layer), 0..tokens, &[(Stage::QPostRope, q), (Stage::KPostRope, k)]);
        for item in queries {
            let (h, t) = (item / tokens, item % tokens);
            let part = part(t, h, c.heads, c.head_dim);
            let seen = (self.table(t), self.batch.rows[t].position + 1);
            // SAFETY: in this stage queries and the cache are only read; the output's part belongs to this worker.
            unsafe {
                let (q, out) = (b.q.read(part.clone()), b.heads.write(part));
                self.batch.cache.attend(model.simd, (layer, h / group), q, seen, out, &mut scratch.terms);
            }
        }
    }

    /// The pages of a row's sequence.
    fn table(&self, t: usize) -> &[u32] {
        &self.batch.tables[self.batch.rows[t].sequence]
    }

    /// QK-norm and RoPE of one head of a token.
    fn norm_rope<A: Accumulator>(&self, t: usize, head: &mut [f32], w: &[f32], scratch: &mut Scratch<A>) {
        let position = self.batch.rows[t].position;
        let (model, table) = (self.batch.model, self.batch.rope.at(position));
        let (eps, groups) = (model.config.rms_eps, &mut scratch.terms);
        if hooks::norm_rope(&model.weights, model.policy.acc, head, (w, eps), (self.batch.rope, position)) {
            return;
        }
        model.simd.run(NormRope { head, w, eps, table, groups });
    }

    /// A token's embedding.
    fn embed(&self, stream: &Stream, t: usize) {
        let embedding = &self.batch.model.weights.embedding;
        // SAFETY: token t belongs to this worker.
        let x = unsafe { stream.x.write(t * embedding.width..(t + 1) * embedding.width) };
        let row = embedding.row(self.batch.rows[t].token as usize);
        embedding.ty.dequantize(row, x).expect("a file's rows are whole blocks");
    }

    /// Computes the norm of a token's residual stream and converts it to an input.
    fn norm<A: Accumulator>(&self, share: &Share<'_, '_>, t: usize, w: &[f32], forms: Forms, scratch: &mut Scratch<A>) {
        let (model, stream) = (self.batch.model, share.stream);
        let hidden = model.config.hidden;
        scratch.vector.resize(hidden, 0.0);
        // SAFETY: in this stage token t belongs to this worker.
        let x = unsafe { stream.x.read(t * hidden..(t + 1) * hidden) };
        let (eps, out) = (model.config.rms_eps, &mut scratch.vector[..hidden]);
        model.simd.run(Norm { x, w, eps, out, groups: &mut scratch.terms });
        // SAFETY: in this stage slot t belongs to this worker; if several workers compute the same norm, one of them
        // stores it.
        unsafe {
            stream.input.prepare(model.simd, t, &scratch.vector, forms);
            if let Some(record) = self.record.as_ref().filter(|_| share.keeps()) {
                record.keep_norm(t, &scratch.vector);
            }
        }
    }

    /// Rows `mine` of a matrix with the vectors of `slots`; `out` is [slots, rows].
    fn multiply<A: Accumulator>(
        &self,
        mine: Range<usize>,
        w: &Matrix<'_>,
        inputs: &Inputs,
        slots: &[u32],
        out: &Shared<f32>,
    ) {
        let (simd, act) = (self.batch.model.simd, self.batch.model.policy.act);
        // SAFETY: in this stage inputs are only read, and these rows of the output belong to this worker.
        unsafe {
            hooks::multiply::<A>(simd, act, w, mine, inputs, slots, |i, rows| {
                out.write(i * w.rows + rows.start..i * w.rows + rows.end)
            });
        }
    }

    /// The residual: adds `y` to a token's stream.
    fn add(&self, stream: &Stream, t: usize, y: &Shared<f32>) {
        let hidden = self.batch.model.config.hidden;
        let part = t * hidden..(t + 1) * hidden;
        // SAFETY: in this stage token t belongs to this worker.
        unsafe { add(stream.x.write(part.clone()), y.read(part)) };
    }

    fn route<A>(&self, share: &Share<'_, '_>, t: usize, layer: usize, router: &Router, scratch: &mut Scratch<A>) {
        let (model, stream) = (self.batch.model, share.stream);
        let used = model.config.experts_used;
        // SAFETY: in this stage token t belongs to this worker.
        let (x, chosen, weights) = unsafe {
            let part = t * used..(t + 1) * used;
            (stream.input.lanes(t), stream.chosen.write(part.clone()), stream.weights.write(part))
        };
        let routed = model.simd.run(Route { router, x, used, logits: &mut scratch.logits });
        let routed = hooks::routed(&model.weights.layers[layer], x, &mut scratch.logits, used).unwrap_or(routed);
        if let Some(record) = self.record.as_ref().filter(|_| share.keeps()) {
            // SAFETY: in this stage token t belongs to this worker; if several workers route the same token, one of
            // them stores it.
            unsafe { record.keep_logits(t, &scratch.logits) };
        }
        match routed {
            Ok(routed) => {
                chosen.copy_from_slice(&routed.experts);
                weights.copy_from_slice(&routed.weights);
            }
            Err(nan) => self.failure.say(NanInRow { layer, row: t, expert: nan.expert }),
        }
    }
}

/// The offset of head h of token t in a buffer with `heads` heads per token.
fn part(t: usize, h: usize, heads: usize, head_dim: usize) -> Range<usize> {
    (t * heads + h) * head_dim..(t * heads + h + 1) * head_dim
}
